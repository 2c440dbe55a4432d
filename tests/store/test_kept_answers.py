"""Answers kept by the workspace's configuration revision: never an old one, whoever changed what."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import msgspec
import pytest

from leadline.domain.errors import Unavailable
from leadline.domain.outcomes import AddTo, Destination, OutcomeDefinition, OutcomeType, Stay
from leadline.operations.idempotency import EncodedAnswer
from leadline.operations.outcomes import define_outcome, delete_outcome, list_outcomes, replace_outcome
from leadline.operations.reorder_outcomes import move_outcome
from leadline.operations.smart_lists import create_smart_list, delete_smart_list, rename_smart_list
from leadline.store import outcomes as outcomes_store
from leadline.store import smart_lists as lists_store
from leadline.store import workspaces as workspaces_store
from leadline.store.database import Database, Tx
from leadline.store.engines import Statement
from leadline.store.workspaces import configuration_revision
from leadline.web.kept_answers import KeptAnswers
from store.databases import Opened, make_database

Open = Callable[[], AbstractAsyncContextManager[Opened]]


class Kept:
    """The list of outcomes as it is kept, and how often it was made."""

    def __init__(self, database: Database, workspace_id: str, **options: Any) -> None:
        self.answers = KeptAnswers(database, **options)
        self._workspace_id = workspace_id
        self.made = 0

    async def get(self) -> bytes:
        return (await self.answers.answer("list_outcomes", self._workspace_id, self._make)).body

    async def _make(self, tx: Tx) -> EncodedAnswer:
        self.made += 1
        return await encoded_list(self._workspace_id)(tx)


def encoded_list(workspace_id: str) -> Callable[[Tx], Awaitable[EncodedAnswer]]:
    async def make(tx: Tx) -> EncodedAnswer:
        return EncodedAnswer(200, msgspec.json.encode(await list_outcomes(tx, workspace_id)))

    return make


def outcome(name: str, destination: Destination, order: int) -> OutcomeDefinition:
    return OutcomeDefinition(
        name=name,
        type=OutcomeType.DISPOSITION,
        order=order,
        destination=destination,
        webhook_url=None,
    )


async def test_every_change_of_outcomes_and_lists_is_seen_at_once_in_another_process(
    shared_url: str, open_shared: Open
) -> None:
    async with open_shared() as here:
        elsewhere = make_database(shared_url)
        await elsewhere.open()
        try:
            await _change_everything(here, elsewhere)
        finally:
            await elsewhere.close()


async def _change_everything(here: Opened, elsewhere: Database) -> None:
    workspace_id = here.workspace_id
    kept = Kept(elsewhere, workspace_id)

    async def change(work: Callable[[Tx], Awaitable[Any]]) -> Any:
        before = await kept.get()
        made = kept.made
        assert await kept.get() == before
        assert kept.made == made, "nothing has changed, and it was made again"
        found = await here.database.write(work)
        truth = (await elsewhere.read(encoded_list(workspace_id))).body
        assert await kept.get() == truth
        assert kept.made == made + 1
        return before, truth, found

    _, _, made_list = await change(lambda tx: create_smart_list(tx, workspace_id, "First"))
    list_id = made_list.smart_list.smart_list_id
    ids = []
    destinations: list[Destination] = [AddTo(list_id), Stay(), Stay()]
    for place, destination in enumerate(destinations):
        definition = outcome(f"Outcome {place}", destination, place)
        before, after, (answer, _) = await change(
            partial(define_outcome, workspace_id=workspace_id, definition=definition)
        )
        assert before != after
        ids.append(answer.outcome.outcome_id)
    renamed = outcome("Another name", AddTo(list_id), 0)
    for work in (
        lambda tx: replace_outcome(tx, workspace_id, ids[0], renamed, if_match=None),
        lambda tx: move_outcome(tx, workspace_id, ids[0], places=1),
        lambda tx: rename_smart_list(tx, workspace_id, list_id, "Second"),
        lambda tx: delete_smart_list(tx, workspace_id, list_id, force=True),
        lambda tx: delete_outcome(tx, workspace_id, ids[1], if_match=None),
    ):
        before, after, _ = await change(work)
        assert before != after


async def test_a_change_of_one_workspace_is_none_of_anothers(open_shared: Open) -> None:
    async with open_shared() as one, open_shared() as other:
        kept = Kept(one.database, one.workspace_id)
        first = await kept.get()
        await other.database.write(lambda tx: create_smart_list(tx, other.workspace_id, "Theirs"))
        definition = outcome("Theirs", Stay(), 1)
        await other.database.write(lambda tx: define_outcome(tx, other.workspace_id, definition))
        assert await kept.get() == first
        assert kept.made == 1
        assert b"Theirs" in await Kept(other.database, other.workspace_id).get()


class Counted:
    """A database that counts its reads, and fails the next when told to."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = 0
        self.fails = False

    async def read(self, work: Callable[[Tx], Awaitable[Any]], *, long: bool = False) -> Any:
        self.reads += 1
        if self.fails:
            self.fails = False
            raise Unavailable
        return await self._database.read(work, long=long)


async def test_who_asks_in_the_same_moment_shares_one_look(open_shared: Open) -> None:
    async with open_shared() as opened:
        database = Counted(opened.database)
        kept = Kept(database, opened.workspace_id)  # type: ignore[arg-type] # all of a database that it needs
        await kept.get()
        database.reads = 0
        waiting = [asyncio.create_task(kept.get()) for _ in range(20)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert {type(each) for each in answers[1:]} == {bytes}
        assert database.reads == 1


async def test_a_database_that_is_away_is_told_to_each_and_forgotten(open_shared: Open) -> None:
    async with open_shared() as opened:
        database = Counted(opened.database)
        kept = Kept(database, opened.workspace_id)  # type: ignore[arg-type] # all of a database that it needs
        await kept.get()
        database.fails = True
        refused = await asyncio.gather(kept.get(), kept.get(), return_exceptions=True)
        assert [type(each) for each in refused] == [Unavailable, Unavailable]
        assert isinstance(await kept.get(), bytes)


async def test_no_more_bytes_are_kept_than_may_be(open_shared: Open) -> None:
    async with open_shared() as one, open_shared() as other:
        length = len(await Kept(one.database, one.workspace_id).get())
        answers = KeptAnswers(one.database, bytes_max=length)
        made = 0

        async def ask(workspace_id: str) -> None:
            async def make(tx: Tx) -> EncodedAnswer:
                nonlocal made
                made += 1
                return await encoded_list(workspace_id)(tx)

            await answers.answer("list_outcomes", workspace_id, make)

        for workspace_id in (one.workspace_id, one.workspace_id, other.workspace_id, one.workspace_id):
            await ask(workspace_id)
        assert made == 3, "the second was kept, the first had to go for the third"


_WRITES = re.compile(r"^(INSERT INTO|UPDATE|DELETE FROM) (outcomes|smart_lists)\b")


def test_only_the_two_modules_that_raise_the_revision_write_these_tables() -> None:
    theirs = {
        id(value)
        for module in (outcomes_store, lists_store)
        for value in vars(module).values()
        if isinstance(value, Statement)
    }
    theirs |= {id(each) for each in workspaces_store._EMPTY}  # the workspace goes with them
    writing = [each for each in Statement.registry if _WRITES.match(each.text)]
    assert len(writing) >= 6
    assert [each.text for each in writing if id(each) not in theirs] == []


async def test_a_workspace_that_is_not_there_has_a_revision_too(open_shared: Open) -> None:
    async with open_shared() as opened:
        nowhere = "00000000-0000-4000-8000-000000000000"
        assert await opened.database.read(lambda tx: configuration_revision(tx, nowhere)) == 0


@pytest.mark.parametrize("bytes_max", [0, 1])
async def test_what_is_too_long_is_answered_and_not_kept(open_shared: Open, bytes_max: int) -> None:
    async with open_shared() as opened:
        kept = Kept(opened.database, opened.workspace_id, bytes_max=bytes_max)
        assert await kept.get() == await kept.get()
        assert kept.made == 2
