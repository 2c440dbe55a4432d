"""Events are read in the order of their commits, and a late commit is never skipped (contract § 7)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest

from leadline.ids import NIL_ID, first_id_at, new_id
from leadline.operations.events import position_at
from leadline.store.database import Database, Tx
from leadline.store.events import (
    EventRow,
    NewEventRow,
    event_position,
    events_after,
    forget_contact_of_events,
    insert_events,
    newest_position,
    prune_events,
)
from store.databases import Opened

BEGINNING = (-1, NIL_ID)


@pytest.fixture
async def opened(open_shared: Callable[[], AbstractAsyncContextManager[Opened]]) -> AsyncIterator[Opened]:
    async with open_shared() as database:
        yield database


async def emit(tx: Tx, workspace_id: str, name: str, *, contact_id: str | None = None) -> str:
    event_id = new_id()
    await insert_events(tx, [NewEventRow(workspace_id, event_id, name, f'"{name}"', contact_id, tx.now_ms)])
    return event_id


class Reader:
    """A stream: reads on from where it was."""

    def __init__(self, database: Database, workspace_id: str) -> None:
        self._database, self._workspace_id = database, workspace_id
        self._position = BEGINNING
        self.seen: list[str] = []

    async def read_on(self, limit: int = 100) -> list[str]:
        position = self._position
        rows: list[EventRow] = await self._database.read(
            lambda tx: events_after(tx, self._workspace_id, position, limit=limit)
        )
        if rows:
            self._position = (rows[-1].commit_order, rows[-1].event_id)
        self.seen += [row.type for row in rows]
        return [row.type for row in rows]


async def test_events_are_read_in_the_order_they_were_written(opened: Opened) -> None:
    reader = Reader(opened.database, opened.workspace_id)
    for number in range(5):
        for part in "ab":
            name = f"{number}{part}"
            await opened.database.write(lambda tx, name=name: emit(tx, opened.workspace_id, name))  # type: ignore[misc]
    wanted = [f"{number}{part}" for number in range(5) for part in "ab"]
    while await reader.read_on(limit=3):
        pass
    assert reader.seen == wanted


async def test_events_of_one_transaction_stay_in_order_and_together(opened: Opened) -> None:
    async def emit_three(tx: Tx) -> None:
        for name in ("one", "two", "three"):
            await emit(tx, opened.workspace_id, name)

    reader = Reader(opened.database, opened.workspace_id)
    await opened.database.write(emit_three)
    assert await reader.read_on(limit=1) == ["one"]
    assert await reader.read_on(limit=5) == ["two", "three"]


async def test_a_late_commit_is_not_skipped(opened: Opened, engine: str) -> None:
    if engine == "sqlite":
        pytest.skip("SQLite commits in the order it writes")
    written, go = asyncio.Event(), asyncio.Event()

    async def late(tx: Tx) -> None:
        await emit(tx, opened.workspace_id, "late")
        written.set()
        await go.wait()

    reader = Reader(opened.database, opened.workspace_id)
    await opened.database.write(lambda tx: emit(tx, opened.workspace_id, "before"))
    open_transaction = asyncio.create_task(opened.database.write(late))
    await written.wait()
    await opened.database.write(lambda tx: emit(tx, opened.workspace_id, "overtaker"))
    assert await reader.read_on() == ["before"]
    # A stream that starts now must not start behind what is still to come.
    newest = await opened.database.read(lambda tx: newest_position(tx, opened.workspace_id))
    assert newest is not None
    assert newest[1] == (await first_event(opened)).event_id
    since = await opened.database.read(lambda tx: position_at(tx, opened.workspace_id, 0))
    go.set()
    await open_transaction
    assert await reader.read_on() == ["late", "overtaker"]
    rows = await opened.database.read(lambda tx: events_after(tx, opened.workspace_id, since, limit=9))
    assert [row.type for row in rows] == ["before", "late", "overtaker"]


async def test_a_stream_may_begin_at_a_moment_that_has_passed(opened: Opened) -> None:
    async def tell(workspace_id: str, name: str, tx: Tx) -> str:
        return await emit(tx, workspace_id, name)

    async def told_since(at_ms: int) -> list[str]:
        position = await opened.database.read(lambda tx: position_at(tx, opened.workspace_id, at_ms))
        rows = await opened.database.read(lambda tx: events_after(tx, opened.workspace_id, position, limit=9))
        return [row.type for row in rows]

    assert await told_since(0) == []
    moments = []
    for name in ("first", "second", "third"):
        event_id = await opened.database.write(partial(tell, opened.workspace_id, name))
        moments.append(int(event_id[:8] + event_id[9:13], 16))
        await asyncio.sleep(0.002)
    for at, moment in enumerate(moments):
        assert first_id_at(moment) <= new_id()
        assert await told_since(moment) == ["first", "second", "third"][at:]
        assert await told_since(moment + 1) == ["first", "second", "third"][at + 1 :]
    assert await told_since(0) == ["first", "second", "third"]


async def first_event(opened: Opened) -> EventRow:
    rows = await opened.database.read(lambda tx: events_after(tx, opened.workspace_id, BEGINNING, limit=1))
    return rows[0]


async def test_a_transaction_that_is_given_up_holds_nobody_up(opened: Opened) -> None:
    async def give_up(tx: Tx) -> None:
        await emit(tx, opened.workspace_id, "never")
        raise LookupError

    reader = Reader(opened.database, opened.workspace_id)
    with pytest.raises(LookupError):
        await opened.database.write(give_up)
    await opened.database.write(lambda tx: emit(tx, opened.workspace_id, "after"))
    assert await reader.read_on() == ["after"]


async def test_a_reader_beside_many_writers_sees_every_event_once(opened: Opened) -> None:
    reader = Reader(opened.database, opened.workspace_id)
    names = [f"{number:03}" for number in range(150)]

    async def write(name: str) -> None:
        await opened.database.write(lambda tx: emit(tx, opened.workspace_id, name))

    writing = asyncio.gather(*(write(name) for name in names))
    while not writing.done():
        await reader.read_on(limit=7)
        await asyncio.sleep(0)
    await writing
    async with asyncio.timeout(30):
        while len(reader.seen) < len(names):
            await reader.read_on()
    assert sorted(reader.seen) == names


async def test_a_position_is_known_while_its_event_is_kept(opened: Opened) -> None:
    event_id = await opened.database.write(lambda tx: emit(tx, opened.workspace_id, "one"))
    await opened.database.write(lambda tx: emit(tx, opened.workspace_id, "two"))
    position = await opened.database.read(lambda tx: event_position(tx, opened.workspace_id, event_id))
    assert position is not None
    rows = await opened.database.read(lambda tx: events_after(tx, opened.workspace_id, position, limit=9))
    assert [row.type for row in rows] == ["two"]
    assert await opened.database.read(lambda tx: event_position(tx, opened.workspace_id, new_id())) is None
    assert await opened.database.read(lambda tx: event_position(tx, new_id(), event_id)) is None


async def test_pruning_keeps_the_newest_so_that_the_order_goes_on(opened: Opened) -> None:
    for name in "abcd":
        await opened.database.write(lambda tx, name=name: emit(tx, opened.workspace_id, name))  # type: ignore[misc]
    long_ago_ms, far_future_ms = 1, 2**50
    gone = await opened.database.write(lambda tx: prune_events(tx, opened.workspace_id, long_ago_ms, limit=2))
    assert gone == 0, "what is not old enough stays"
    counts = [
        await opened.database.write(lambda tx: prune_events(tx, opened.workspace_id, far_future_ms, limit=2))
        for _ in range(3)
    ]
    assert counts == [2, 1, 0]
    reader = Reader(opened.database, opened.workspace_id)
    await opened.database.write(lambda tx: emit(tx, opened.workspace_id, "e"))
    assert await reader.read_on() == ["d", "e"]


async def test_what_was_told_of_a_person_is_forgotten_and_the_order_goes_on(opened: Opened) -> None:
    contact_id, other_id = new_id(), new_id()
    for name, who in (("a", contact_id), ("b", other_id), ("c", contact_id)):
        await opened.database.write(lambda tx, n=name, w=who: emit(tx, opened.workspace_id, n, contact_id=w))  # type: ignore[misc]
    await opened.database.write(lambda tx: forget_contact_of_events(tx, opened.workspace_id, contact_id))
    await opened.database.write(lambda tx: emit(tx, opened.workspace_id, "d"))
    rows = await opened.database.read(lambda tx: events_after(tx, opened.workspace_id, BEGINNING, limit=9))
    assert [(row.type, row.data) for row in rows] == [("b", '"b"'), ("c", "{}"), ("d", '"d"')]
