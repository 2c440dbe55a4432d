"""Calls from start to end, and the agents who take them (contract § 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from leadline.domain.calls import (
    CallState,
    EndingFacts,
    LineResult,
    RequireDisposition,
    ending,
    has_ended,
    state_after_answer,
)
from leadline.domain.errors import (
    AgentNotFound,
    CallNotFound,
    ContactNotFound,
    DispositionRequired,
    InvalidRequest,
    Problem,
)
from leadline.domain.paging import PageRequest, Position, cut_page
from leadline.ids import new_id
from leadline.operations.contacts import contact_for_number, require_number
from leadline.operations.events import EventType, call_event, emit
from leadline.operations.views import agent_view, call_view
from leadline.store import calls as store
from leadline.store import contacts, drafts, outcomes, workspaces
from leadline.store.calls import CallRow
from leadline.store.contacts import ContactRow
from leadline.store.database import Tx
from leadline.wire.calls import AgentAnswer, AgentsAnswer, CallAnswer, CallsAnswer

# Clocks of two systems differ; a start or end further ahead than this is a mistake, not a clock.
AHEAD_MS_MAX = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class NewCall:
    """A call that a phone system reports. Exactly one of `phone_number` and `contact_id`."""

    phone_number: str | None
    contact_id: str | None
    agent_id: str | None
    direction: str
    external_id: str | None
    state: CallState
    started_at_ms: int | None


async def start_call(tx: Tx, workspace_id: str, new: NewCall) -> tuple[CallAnswer, bool]:
    """Begin a call; the answer and whether it is new. One with a known `external_id` is the call that has it.

    Raises DispositionRequired (with the call that waits) when its agent still owes one and it is outbound.
    """
    if new.external_id is not None:
        known = await store.call_by_external_id(tx, workspace_id, new.external_id)
        if known is not None:
            return await _answer(tx, known), False
    contact = await _contact_of(tx, workspace_id, new)
    if new.agent_id is not None:
        await store.know_agent(tx, workspace_id, new.agent_id)
        if new.direction == "outbound":
            await _refuse_while_pending(tx, workspace_id, new.agent_id)
    row = _new_row(tx, workspace_id, new, contact)
    if not await store.insert_call(tx, row):
        assert new.external_id is not None  # the only thing that can collide
        known = await store.call_by_external_id(tx, workspace_id, new.external_id)
        assert known is not None
        return await _answer(tx, known), False
    happened = [EventType.CALL_STARTED, *([EventType.CALL_ANSWERED] if row.state == CallState.LIVE else [])]
    await _emit(tx, row, happened)
    return CallAnswer(call=call_view(row, ())), True


async def answer_call(tx: Tx, workspace_id: str, call_id: str) -> CallAnswer:
    """The line is up. Raises CallNotLive when the call has ended."""
    row = await _require_call(tx, workspace_id, call_id)
    state = state_after_answer(CallState(row.state))
    if state != row.state:
        answered_at = max(tx.now_ms, row.started_at)
        row = msgspec.structs.replace(row, state=state.value, answered_at=answered_at)
        await store.update_calls(tx, [row])
        await _emit(tx, row, [EventType.CALL_ANSWERED])
    return await _answer(tx, row)


async def end_call(
    tx: Tx, workspace_id: str, call_id: str, *, line_result: LineResult | None, ended_at_ms: int | None
) -> CallAnswer:
    """The line is down. Ending a call that has ended changes nothing."""
    row = await _require_call(tx, workspace_id, call_id)
    if has_ended(CallState(row.state)):
        return await _answer(tx, row)
    ended_at = _end_time(tx, row, ended_at_ms)
    end = ending(await _ending_facts(tx, row), line_result)
    if row.agent_id is not None and end.state is CallState.WRAP_UP:
        # The gate reads what is written here: who starts a call for this agent must wait for us.
        await store.know_agent(tx, workspace_id, row.agent_id)
    row = msgspec.structs.replace(
        row,
        state=end.state.value,
        line_result=end.line_result.value,
        ended_at=ended_at,
        wrap_up_since=tx.now_ms if end.state is CallState.WRAP_UP else None,
        closed_at=tx.now_ms if end.state is CallState.CLOSED else None,
    )
    await store.update_calls(tx, [row])
    closes = end.state is CallState.CLOSED
    if closes and row.agent_id is not None:
        await drafts.forget_drafts_of_call(tx, workspace_id, call_id)
    await _emit(tx, row, [EventType.CALL_ENDED, *([EventType.CALL_CLOSED] if closes else [])])
    return await _answer(tx, row)


async def close_call(tx: Tx, row: CallRow) -> CallRow:
    """Out of wrap-up, or as closed as it was."""
    if row.state == CallState.CLOSED:
        return row
    row = closed(row, tx.now_ms)
    await store.update_calls(tx, [row])
    await drafts.forget_drafts_of_call(tx, row.workspace_id, row.call_id)
    await _emit(tx, row, [EventType.CALL_CLOSED])
    return row


def closed(row: CallRow, now_ms: int) -> CallRow:
    """The call as it is once it is closed. When its wrap-up began stays: reports tell by it how long it took."""
    # A clock that stepped back must not make it close before it waited.
    return msgspec.structs.replace(row, state="closed", closed_at=max(now_ms, row.wrap_up_since or 0))


async def _emit(tx: Tx, row: CallRow, happened: Sequence[EventType]) -> None:
    await emit(tx, row.workspace_id, [call_event(each, row) for each in happened])


async def get_call(tx: Tx, workspace_id: str, call_id: str) -> CallAnswer:
    row = await store.get_call(tx, workspace_id, call_id)
    if row is None:
        raise CallNotFound
    return await _answer(tx, row)


async def list_calls(tx: Tx, workspace_id: str, page: PageRequest, filters: Mapping[str, Any]) -> CallsAnswer:
    """By their start, newest first. `filters`: state, agent_id, contact_id, since (Unix ms)."""
    rows = await store.page_of_calls(tx, workspace_id, page, dict(filters))
    rows, next_cursor = cut_page(rows, page, lambda row: Position(row.started_at, row.call_id))
    applied = await store.applied_to(tx, workspace_id, [row.call_id for row in rows])
    views = [call_view(row, applied[row.call_id]) for row in rows]
    return CallsAnswer(calls=views, next_cursor=next_cursor)


async def get_agent(tx: Tx, workspace_id: str, agent_id: str) -> AgentAnswer:
    if await store.get_agent(tx, workspace_id, agent_id) is None:
        raise AgentNotFound
    open_calls = await store.open_calls_of(tx, workspace_id, [agent_id])
    return AgentAnswer(agent=agent_view(agent_id, open_calls[agent_id]))


async def list_agents(tx: Tx, workspace_id: str, page: PageRequest) -> AgentsAnswer:
    rows = await store.page_of_agents(tx, workspace_id, page)
    rows, next_cursor = cut_page(rows, page, lambda row: Position(row.created_at, row.agent_id))
    open_calls = await store.open_calls_of(tx, workspace_id, [row.agent_id for row in rows])
    views = [agent_view(row.agent_id, open_calls[row.agent_id]) for row in rows]
    return AgentsAnswer(agents=views, next_cursor=next_cursor)


async def _require_call(tx: Tx, workspace_id: str, call_id: str) -> CallRow:
    row = await store.lock_call(tx, workspace_id, call_id)
    if row is None:
        raise CallNotFound
    return row


async def _answer(tx: Tx, row: CallRow) -> CallAnswer:
    applied = await store.applied_to(tx, row.workspace_id, [row.call_id])
    return CallAnswer(call=call_view(row, applied[row.call_id]))


async def _contact_of(tx: Tx, workspace_id: str, new: NewCall) -> ContactRow:
    if new.contact_id is None:
        assert new.phone_number is not None
        number = await require_number(tx, workspace_id, new.phone_number)
        return await contact_for_number(tx, workspace_id, number)
    contact = await contacts.get_contact(tx, workspace_id, new.contact_id)
    if contact is None:
        raise ContactNotFound
    return contact


async def _refuse_while_pending(tx: Tx, workspace_id: str, agent_id: str) -> None:
    pending = await store.pending_call_of(tx, workspace_id, agent_id)
    if pending is not None:
        raise DispositionRequired("The agent's last call still needs its disposition.", call_id=pending)


def _new_row(tx: Tx, workspace_id: str, new: NewCall, contact: ContactRow) -> CallRow:
    started_at = _sane_time(tx, new.started_at_ms, "started_at")
    return CallRow(
        workspace_id=workspace_id,
        call_id=new_id(),
        state=new.state.value,
        direction=new.direction,
        phone_number=contact.phone_number,
        contact_id=contact.contact_id,
        agent_id=new.agent_id,
        external_id=new.external_id,
        line_result=None,
        started_at=started_at,
        answered_at=started_at if new.state is CallState.LIVE else None,
        ended_at=None,
        wrap_up_since=None,
        closed_at=None,
        created_at=tx.now_ms,
    )


def _sane_time(tx: Tx, at_ms: int | None, field: str) -> int:
    if at_ms is None:
        return tx.now_ms
    if not 0 <= at_ms <= tx.now_ms + AHEAD_MS_MAX:
        raise InvalidRequest(
            "A time is out of range.", details=[Problem(field, "must be between 1970 and a day from now")]
        )
    return at_ms


def _end_time(tx: Tx, row: CallRow, ended_at_ms: int | None) -> int:
    earliest = max(row.started_at, row.answered_at or 0)
    if ended_at_ms is None:
        # A start that a phone system reported a little ahead of our clock must not make it end before.
        return max(tx.now_ms, earliest)
    if ended_at_ms < earliest:
        raise InvalidRequest(
            "A call cannot end before it began.", details=[Problem("ended_at", "is before the call began")]
        )
    return _sane_time(tx, ended_at_ms, "ended_at")


async def _ending_facts(tx: Tx, row: CallRow) -> EndingFacts:
    workspace = await workspaces.get_workspace(tx, row.workspace_id)
    assert workspace is not None  # foreign key
    return EndingFacts(
        state=CallState(row.state),
        has_agent=row.agent_id is not None,
        workspace_has_dispositions=await outcomes.has_disposition(tx, row.workspace_id),
        require=RequireDisposition(workspace.require_disposition),
        outcomes_enabled=bool(workspace.outcomes_enabled),
    )
