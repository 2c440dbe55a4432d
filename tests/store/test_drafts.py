"""Drafts are kept for as long as something can be made of them, and no longer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from leadline.domain.access import Role
from leadline.domain.calls import CallState
from leadline.domain.errors import CallNotFound, CallNotLive
from leadline.domain.outcomes import OutcomeDefinition, OutcomeType, Stay
from leadline.operations.apply_outcome import Application, apply_outcome
from leadline.operations.calls import NewCall, end_call, start_call
from leadline.operations.contacts import erase_contact
from leadline.operations.drafts import find_draft, save_draft
from leadline.operations.maintenance import prune_workspace
from leadline.operations.outcomes import define_outcome
from leadline.operations.sessions import SignedIn, require_session, start_session
from leadline.operations.time_out_wrap_up import time_out_wrap_up
from leadline.operations.users import NewUser, create_user
from leadline.operations.workspaces import change_workspace
from leadline.store.database import Tx
from leadline.wire.calls import Call
from store.databases import Opened, statement

COUNT = statement("SELECT COUNT(*) FROM drafts WHERE workspace_id = :workspace_id")
LONG_AGO = statement(
    "UPDATE calls SET wrap_up_since = 0 WHERE workspace_id = :workspace_id AND state = 'wrap_up'"
)


@pytest.fixture
async def opened(open_shared: Callable[[], AbstractAsyncContextManager[Opened]]) -> AsyncIterator[Opened]:
    async with open_shared() as database:
        yield database


async def signed_in(tx: Tx, workspace_id: str, agent_id: str) -> SignedIn:
    user = await create_user(
        tx, workspace_id, NewUser(f"{agent_id}@example.com", agent_id, Role.AGENT, agent_id=agent_id)
    )
    return await require_session(tx, await start_session(tx, user))


async def live_call(tx: Tx, workspace_id: str, agent_id: str = "ada") -> Call:
    new = NewCall("+14155550100", None, agent_id, "inbound", None, CallState.LIVE, None)
    return (await start_call(tx, workspace_id, new))[0].call


async def disposition(tx: Tx, workspace_id: str) -> str:
    definition = OutcomeDefinition("Sale", OutcomeType.DISPOSITION, 0, Stay(), None)
    return (await define_outcome(tx, workspace_id, definition))[0].outcome.outcome_id


async def count(tx: Tx, workspace_id: str) -> int:
    row = await tx.first(COUNT, workspace_id=workspace_id)
    assert row is not None
    return int(row[0])


async def end(tx: Tx, workspace_id: str, call_id: str) -> Call:
    answer = await end_call(tx, workspace_id, call_id, line_result=None, ended_at_ms=None)
    return answer.call


async def test_a_draft_is_the_users_own_and_the_last_word_counts(opened: Opened) -> None:
    async def work(tx: Tx) -> None:
        ada = await signed_in(tx, opened.workspace_id, "ada")
        bob = await signed_in(tx, opened.workspace_id, "bob")
        outcome_id = await disposition(tx, opened.workspace_id)
        call = await live_call(tx, opened.workspace_id)
        await save_draft(tx, ada, call.call_id, note="first", outcome_id=outcome_id)
        await save_draft(tx, ada, call.call_id, note="second ", outcome_id=None, keep_choice=True)
        draft = await find_draft(tx, ada, call.call_id)
        assert draft is not None
        assert (draft.note, draft.outcome_id) == ("second ", outcome_id)
        assert await find_draft(tx, bob, call.call_id) is None
        with pytest.raises(CallNotFound):
            await save_draft(tx, bob, call.call_id, note="mine", outcome_id=None)

    await opened.database.write(work)


@pytest.mark.parametrize("requires", [True, False])
async def test_a_draft_outlives_the_line_and_goes_when_the_call_closes(
    opened: Opened, requires: bool
) -> None:
    workspace_id = opened.workspace_id

    async def work(tx: Tx) -> None:
        ada = await signed_in(tx, workspace_id, "ada")
        if requires:
            await disposition(tx, workspace_id)
        call = await live_call(tx, workspace_id)
        await save_draft(tx, ada, call.call_id, note="typed", outcome_id=None)
        ended = await end(tx, workspace_id, call.call_id)
        assert await count(tx, workspace_id) == int(requires)
        if not requires:
            assert ended.state == "closed"
            with pytest.raises(CallNotLive):
                await save_draft(tx, ada, call.call_id, note="late", outcome_id=None)

    await opened.database.write(work)


@pytest.mark.parametrize("applies", [True, False])
async def test_a_draft_goes_when_the_wrap_up_times_out(opened: Opened, applies: bool) -> None:
    workspace_id = opened.workspace_id

    async def work(tx: Tx) -> None:
        ada = await signed_in(tx, workspace_id, "ada")
        outcome_id = await disposition(tx, workspace_id)
        changes = {
            "wrap_up_timeout_seconds": 5,
            "wrap_up_timeout_outcome_id": outcome_id if applies else None,
        }
        await change_workspace(tx, workspace_id, changes)
        call = await live_call(tx, workspace_id)
        await save_draft(tx, ada, call.call_id, note="typed", outcome_id=None)
        await end(tx, workspace_id, call.call_id)
        await tx.run(LONG_AGO, workspace_id=workspace_id)
        assert await time_out_wrap_up(tx, workspace_id, call.call_id)
        assert await count(tx, workspace_id) == 0

    await opened.database.write(work)


async def test_a_draft_of_a_call_that_was_finished_by_others_is_swept_up(opened: Opened) -> None:
    workspace_id = opened.workspace_id

    async def work(tx: Tx) -> None:
        ada = await signed_in(tx, workspace_id, "ada")
        outcome_id = await disposition(tx, workspace_id)
        finished, kept = await live_call(tx, workspace_id), await live_call(tx, workspace_id)
        for call in (finished, kept):
            await save_draft(tx, ada, call.call_id, note="typed", outcome_id=None)
            await end(tx, workspace_id, call.call_id)
        await apply_outcome(tx, workspace_id, Application(finished.call_id, outcome_id))
        await prune_workspace(tx, workspace_id, events_kept_ms=3_600_000)
        assert await find_draft(tx, ada, finished.call_id) is None
        assert await find_draft(tx, ada, kept.call_id) is not None

    await opened.database.write(work)


async def test_a_draft_goes_with_the_contact(opened: Opened) -> None:
    workspace_id = opened.workspace_id

    async def work(tx: Tx) -> None:
        ada = await signed_in(tx, workspace_id, "ada")
        call = await live_call(tx, workspace_id)
        await save_draft(tx, ada, call.call_id, note="about a person", outcome_id=None)
        assert call.contact_id is not None
        await erase_contact(tx, workspace_id, call.contact_id)
        assert await count(tx, workspace_id) == 0

    await opened.database.write(work)
