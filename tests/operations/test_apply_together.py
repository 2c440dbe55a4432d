"""Many outcomes applied at once are what they would be one after the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadline.clock import Clock
from leadline.domain.calls import CallState, LineResult
from leadline.domain.errors import LeadlineError
from leadline.domain.outcomes import (
    AddTo,
    Destination,
    OutcomeDefinition,
    OutcomeType,
    RemoveFrom,
    RemoveFromAll,
    Stay,
)
from leadline.operations import maintenance
from leadline.operations.apply_outcome import Application, apply_outcomes, preview_outcome
from leadline.operations.calls import NewCall, end_call, start_call
from leadline.operations.maintenance import drift
from leadline.operations.outcomes import define_outcome
from leadline.operations.smart_lists import create_smart_list
from leadline.operations.workspaces import create_workspace
from leadline.store.database import Database, Tx
from leadline.store.engines import Statement
from leadline.store.migrating import migrate
from leadline.store.sqlite import SqliteDatabase
from store.databases import make_database as database_at

LISTS = 3
OUTCOMES = 7
CALLS = 5


@dataclass(frozen=True)
class Desk:
    """A workspace with lists, an outcome of every kind and calls; things are named by their numbers."""

    workspace_id: str
    lists: Sequence[str]
    outcomes: Sequence[str]
    calls: Sequence[str]

    def name(self, thing_id: str | None) -> str | None:
        """The number of a thing, by which two desks can be compared."""
        for kind, ids in (("list", self.lists), ("outcome", self.outcomes), ("call", self.calls)):
            if thing_id in ids:
                return f"{kind} {ids.index(str(thing_id))}"
        return None if thing_id is None else "?"


def definitions(lists: Sequence[str]) -> list[tuple[OutcomeType, Destination, str | None]]:
    url = "https://example.com/hook"
    return [
        (OutcomeType.ACTION, AddTo(lists[0]), url),
        (OutcomeType.ACTION, AddTo(lists[1]), url),
        (OutcomeType.ACTION, RemoveFromAll(), url),
        (OutcomeType.ACTION, RemoveFrom((lists[0], lists[2])), url),
        (OutcomeType.ACTION, Stay(), url),
        (OutcomeType.DISPOSITION, AddTo(lists[2]), None),
        (OutcomeType.DISPOSITION, RemoveFrom((lists[1],)), url),
    ]


async def furnish(tx: Tx, ended: Sequence[bool]) -> Desk:
    workspace_id = (await create_workspace(tx, "Law")).workspace_id
    lists = [
        (await create_smart_list(tx, workspace_id, f"List {number}")).smart_list.smart_list_id
        for number in range(LISTS)
    ]
    outcomes = []
    for number, (outcome_type, destination, url) in enumerate(definitions(lists)):
        definition = OutcomeDefinition(
            name=f"Outcome {number}",
            type=outcome_type,
            order=number,
            destination=destination,
            webhook_url=url,
        )
        answer, _ = await define_outcome(tx, workspace_id, definition)
        outcomes.append(answer.outcome.outcome_id)
    calls = [await call(tx, workspace_id, number, is_ended=is_ended) for number, is_ended in enumerate(ended)]
    return Desk(workspace_id, lists, outcomes, calls)


async def call(tx: Tx, workspace_id: str, number: int, *, is_ended: bool) -> str:
    """Calls 0 and 1 are with one contact, 2 and 3 with another, and so on."""
    new = NewCall(
        phone_number=f"+1212555010{number // 2}",
        contact_id=None,
        agent_id=f"agent-{number}",
        direction="inbound",
        external_id=None,
        state=CallState.LIVE,
        started_at_ms=None,
    )
    answer, _ = await start_call(tx, workspace_id, new)
    if is_ended:
        await end_call(
            tx, workspace_id, answer.call.call_id, line_result=LineResult.COMPLETED, ended_at_ms=None
        )
    return answer.call.call_id


class Engine:
    """A database and its event loop, for examples that Hypothesis runs one after the other."""

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self.database: Database = SqliteDatabase(str(path), clock=Clock())
        self.run(migrate(f"sqlite:///{path}"))
        self.run(self.database.open())

    def run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self.database.close())
        self._loop.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = Engine(tmp_path_factory.mktemp("law") / "law.db")
    yield made
    made.close()


def told(desk: Desk, answer: Any) -> Any:
    """An answer without what differs from one run to the next."""
    if isinstance(answer, LeadlineError):
        return answer.code
    applied, is_new = answer
    destination = applied.applied.destination
    return (
        is_new,
        desk.name(applied.applied.call_id),
        desk.name(applied.applied.outcome_id),
        [desk.name(each) for each in destination.lists_added],
        [desk.name(each) for each in destination.lists_removed],
        applied.applied.error_message,
        applied.applied.delivery_id is None,
        applied.call.state,
        [desk.name(each.outcome_id) for each in applied.call.applied],
        applied.call.disposition and desk.name(applied.call.disposition.outcome_id),
    )


_LEFT_BEHIND = {
    "memberships": "SELECT c.phone_number, m.smart_list_id, m.source FROM memberships m JOIN contacts c"
    " ON c.workspace_id = m.workspace_id AND c.contact_id = m.contact_id"
    " WHERE m.workspace_id = :workspace_id ORDER BY 1, m.smart_list_id",
    "moves": "SELECT c.phone_number, m.smart_list_id, m.direction FROM list_moves m JOIN contacts c"
    " ON c.workspace_id = m.workspace_id AND c.contact_id = m.contact_id"
    " WHERE m.workspace_id = :workspace_id ORDER BY m.move_id",
    "calls": "SELECT state, call_id FROM calls WHERE workspace_id = :workspace_id ORDER BY call_id",
    "deliveries": "SELECT state, call_id, outcome_id FROM deliveries WHERE workspace_id = :workspace_id"
    " ORDER BY delivery_id",
    "events": "SELECT type, data FROM events WHERE workspace_id = :workspace_id ORDER BY commit_order",
}


async def left_behind(tx: Tx, desk: Desk) -> dict[str, list[Any]]:
    found = {}
    for name, text in _LEFT_BEHIND.items():
        rows = await tx.all(Statement(text, register=False), workspace_id=desk.workspace_id)
        found[name] = [[row[0], *(comparable(desk, value) for value in row[1:])] for row in rows]
    return found


def comparable(desk: Desk, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.startswith("{"):
        data = json.loads(value)
        return [desk.name(data.get("call_id")), desk.name(data.get("outcome_id")), data.get("state")]
    return desk.name(value) if len(value) == 36 else value


askings = st.lists(st.tuples(st.integers(0, CALLS), st.integers(0, OUTCOMES)), max_size=12)
endings = st.lists(st.booleans(), min_size=CALLS, max_size=CALLS)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(ended=endings, asked=askings)
def test_together_is_as_one_after_the_other(
    engine: Engine, ended: list[bool], asked: list[tuple[int, int]]
) -> None:
    nobody = "00000000-0000-7000-8000-000000000000"

    def applications(desk: Desk) -> list[Application]:
        return [
            Application([*desk.calls, nobody][call_number], [*desk.outcomes, nobody][outcome_number])
            for call_number, outcome_number in asked
        ]

    async def together(tx: Tx) -> tuple[list[Any], dict[str, list[Any]]]:
        desk = await furnish(tx, ended)
        answers = await apply_outcomes(tx, desk.workspace_id, applications(desk))
        return [told(desk, answer) for answer in answers], await left_behind(tx, desk)

    async def in_a_row(tx: Tx) -> tuple[list[Any], dict[str, list[Any]]]:
        desk = await furnish(tx, ended)
        answers = []
        for application in applications(desk):
            answers += await apply_outcomes(tx, desk.workspace_id, [application])
        return [told(desk, answer) for answer in answers], await left_behind(tx, desk)

    database = engine.database
    assert engine.run(database.write(together)) == engine.run(database.write(in_a_row))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    ended=endings,
    asked=askings,
    call_number=st.integers(0, CALLS - 1),
    outcome_number=st.integers(0, OUTCOMES - 1),
)
def test_a_preview_says_what_applying_does_and_changes_nothing(
    engine: Engine, ended: list[bool], asked: list[tuple[int, int]], call_number: int, outcome_number: int
) -> None:
    async def compare(tx: Tx) -> None:
        desk = await furnish(tx, ended)
        before = [
            Application(desk.calls[each], desk.outcomes[which])
            for each, which in asked
            if each < CALLS and which < OUTCOMES
        ]
        await apply_outcomes(tx, desk.workspace_id, before)
        application = Application(desk.calls[call_number], desk.outcomes[outcome_number])
        untouched = await left_behind(tx, desk)
        try:
            preview: Any = await preview_outcome(tx, desk.workspace_id, application)
        except LeadlineError as refused:
            preview = refused
        assert await left_behind(tx, desk) == untouched
        (real,) = await apply_outcomes(tx, desk.workspace_id, [application])
        if isinstance(real, LeadlineError):
            assert preview.code == real.code
            return
        answer, is_new = real
        assert preview.call.state == answer.call.state
        assert preview.applied.destination == answer.applied.destination
        assert (preview.applied.applied_id is None) == is_new

    engine.run(engine.database.write(compare))


def test_a_delivery_that_is_missing_is_told(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few outcomes a step takes, and in whichever workspace it is."""

    async def looks(tx: Tx, **since: int) -> list[int]:
        found = []
        for step in (1, 2, 3, CALLS, 1_000):
            monkeypatch.setattr(maintenance, "DRIFT_STEP", step)
            found.append(await drift(tx, **since))
        return found

    async def lose(tx: Tx) -> tuple[list[int], list[int], list[int]]:
        desks = [await furnish(tx, [False] * CALLS) for _ in range(3)]
        for desk in desks:
            all_calls = [Application(call_id, desk.outcomes[0]) for call_id in desk.calls]
            await apply_outcomes(tx, desk.workspace_id, all_calls)
        whole = await looks(tx)
        for desk in desks[1:]:
            await tx.run(_LOSE_LAST, workspace_id=desk.workspace_id)
        return whole, await looks(tx), await looks(tx, since_ms=tx.now_ms + 60_000)

    assert engine.run(engine.database.write(lose)) == ([0] * 5, [2] * 5, [0] * 5)


_LOSE_LAST = Statement(
    "DELETE FROM deliveries WHERE workspace_id = :workspace_id AND delivery_id ="
    " (SELECT MAX(delivery_id) FROM deliveries WHERE workspace_id = :workspace_id)",
    register=False,
)


async def test_a_contact_who_is_moved_by_two_at_the_same_moment_moves_once(
    make_database: Callable[[str], str],
) -> None:
    """On PostgreSQL: calls are locked and contacts are not."""
    url = make_database("postgresql")
    await migrate(url)
    ours, theirs = database_at(url), database_at(url)
    await ours.open()
    await theirs.open()
    is_written, may_end = asyncio.Event(), asyncio.Event()
    try:
        desk = await ours.write(lambda tx: furnish(tx, [False] * CALLS))

        async def slowly(tx: Tx) -> None:
            await apply_outcomes(tx, desk.workspace_id, [Application(desk.calls[0], desk.outcomes[0])])
            is_written.set()
            await may_end.wait()

        def other(tx: Tx) -> Any:
            return apply_outcomes(tx, desk.workspace_id, [Application(desk.calls[1], desk.outcomes[0])])

        first = asyncio.create_task(ours.write(slowly))
        await is_written.wait()
        second = asyncio.create_task(theirs.write(other))
        await asyncio.sleep(0.3)  # it waits for the membership that is not committed
        assert not second.done()
        may_end.set()
        await first
        ((answer, is_new),) = await second
        assert is_new
        assert answer.applied.destination.lists_added == []
        assert len((await ours.read(lambda tx: left_behind(tx, desk)))["moves"]) == 1
    finally:
        may_end.set()
        await ours.close()
        await theirs.close()
