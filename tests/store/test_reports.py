"""What is counted ahead, together with the newest facts, is what a count over the facts gives, at any moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from leadline.domain.periods import DAY_MS, HOUR_MS, QUARTER_MS, Span
from leadline.domain.reports import Measure, two_digits
from leadline.ids import new_id
from leadline.operations.count_ahead import GRACE_MS, count_ahead, uncounted
from leadline.store import reports as store
from leadline.store import sqlite_driver as driver
from leadline.store.database import Database, Tx
from leadline.store.reports import CountRow
from store.databases import NOW, Opened, insert, statement

# A Monday's midnight, well behind the real clock.
START = NOW - NOW % DAY_MS
AGENTS = (None, "ada", "*", "=x", "ünïcode")
OUTCOMES = tuple(sorted(new_id() for _ in range(3)))
LISTS = (new_id(), new_id())
ENDPOINTS = (new_id(), new_id())
ERRORS = (None, None, "timeout", "http_status")


@dataclass
class Facts:
    """What happened, as plain values: the other half of the comparison."""

    # By id: when closed, by whom, the label's flags, and how long in wrap-up.
    calls: dict[str, tuple[int, str, str, int | None]] = field(default_factory=dict)
    # When, on which call, by whom, the type and the outcome.
    applied: list[tuple[int, str, str, str, str]] = field(default_factory=list)
    moves: list[tuple[int, str, str]] = field(default_factory=list)
    # When, to which endpoint, error, duration, when its delivery was made, whether it is the first success.
    attempts: list[tuple[int, str, str | None, int, int, bool]] = field(default_factory=list)

    def of(self, measure: Measure) -> list[tuple[int, str, str, int]]:
        """(time, subject, label, ms) of every fact, computed in Python."""
        match measure:
            case Measure.OUTCOMES:
                return [(at, agent, kind[0] + outcome, 0) for at, _, agent, kind, outcome in self.applied]
            case Measure.CALLS:
                return [
                    (at, agent, f"{flags}:{self._kinds(call)}", 0)
                    for call, (at, agent, flags, _) in self.calls.items()
                ]
            case Measure.WRAP_UP:
                return [
                    (at, agent, str(two_digits(waited)), waited)
                    for at, agent, _, waited in self.calls.values()
                    if waited is not None
                ]
            case Measure.LIST_MOVES:
                return [(at, name, direction, 0) for at, name, direction in self.moves]
            case Measure.ATTEMPTS:
                return [
                    (at, name, error or "succeeded", took) for at, name, error, took, _, _ in self.attempts
                ]
            case Measure.LATENCY:
                found = [
                    (at, name, max(0, at + took - made))
                    for at, name, _, took, made, first in self.attempts
                    if first
                ]
                return [(at, name, str(two_digits(took)), took) for at, name, took in found]

    def _kinds(self, call: str) -> str:
        return ",".join(sorted(kind[0] + outcome for _, of, _, kind, outcome in self.applied if of == call))


@dataclass
class Workspace:
    """A workspace whose facts are written as time goes on."""

    database: Database
    workspace_id: str
    facts: Facts = field(default_factory=Facts)
    now_ms: int = START

    pending: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def write(self, table: str, **values: Any) -> None:
        """Kept back until somebody looks: a commit for each row would take most of the test's time."""
        self.pending.append((table, {"workspace_id": self.workspace_id, **values}))

    async def flush(self) -> None:
        rows, self.pending = self.pending, []

        async def insert_all(tx: Tx) -> None:
            for table, row in rows:
                await insert(tx, table, row)

        await self.database.write(insert_all)

    async def prepare(self) -> None:
        for agent in AGENTS:
            if agent is not None:
                await self.write("agents", agent_id=agent, created_at=START)
        for number, endpoint in enumerate(ENDPOINTS):
            await self.write(
                "endpoints", endpoint_id=endpoint, webhook_url=f"https://example.com/{number}",
                url_hash=f"{number}", state="active", max_concurrency=1, failures_in_a_row=0,
                created_at=START, updated_at=START,
            )  # fmt: skip

    async def close_call(self, agent: str | None, waited: int | None, answered: bool, kinds: int) -> None:
        call = new_id()
        waited = None if agent is None else waited
        flags = ("ac" if answered else "--") + ("-" if waited is None else "o")
        await self.write(
            "calls", call_id=call, state="closed", direction="outbound", agent_id=agent,
            line_result="completed" if answered else "busy", started_at=0,
            answered_at=0 if answered else None, ended_at=0,
            wrap_up_since=None if waited is None else self.now_ms - waited,
            closed_at=self.now_ms, created_at=0,
        )  # fmt: skip
        self.facts.calls[call] = (self.now_ms, agent or "", flags, waited)
        for number in range(2):
            if kinds & 1 << number:
                await self.apply(call, agent, "action" if number == 0 else "disposition", OUTCOMES[number])

    async def apply(self, call: str, agent: str | None, kind: str, outcome: str) -> None:
        await self.write(
            "applied_outcomes", applied_id=new_id(), call_id=call, outcome_id=outcome, outcome_name="O",
            outcome_type=kind, agent_id=agent, destination="{}", lists_added="[]", lists_removed="[]",
            error_message="", applied_at=self.now_ms,
        )  # fmt: skip
        self.facts.applied.append((self.now_ms, call, agent or "", kind, outcome))

    async def dispose_late(self, which: int, agent: str | None) -> None:
        """A disposition for a call that was closed without one."""
        given = {call for _, call, _, kind, _ in self.facts.applied if kind == "disposition"}
        waiting = [call for call in self.facts.calls if call not in given]
        if waiting:
            await self.apply(waiting[which % len(waiting)], agent, "disposition", OUTCOMES[2])

    async def move(self, which: int, direction: str) -> None:
        await self.write(
            "list_moves", move_id=new_id(), contact_id=None, smart_list_id=LISTS[which], smart_list_name="L",
            direction=direction, source="request", moved_at=self.now_ms,
        )  # fmt: skip
        self.facts.moves.append((self.now_ms, LISTS[which], direction))

    async def attempt(self, which: int, errors: Sequence[str | None], age: int, took: int) -> None:
        """All attempts of one delivery, begun at the same moment."""
        delivery = new_id()
        created = self.now_ms - age
        await self.write(
            "deliveries", delivery_id=delivery, endpoint_id=ENDPOINTS[which], applied_id=new_id(),
            webhook_url="https://example.com/", payload="{}", state="pending", due_at=0,
            attempt_count=len(errors), schedule_step=0, created_at=created,
        )  # fmt: skip
        seen = False
        for number, error in enumerate(errors, start=1):
            await self.write(
                "attempts", delivery_id=delivery, number=number, started_at=self.now_ms, duration_ms=took,
                response_headers="[]", response_body="", error=error, timings="{}",
            )  # fmt: skip
            first = error is None and not seen
            seen = seen or error is None
            self.facts.attempts.append((self.now_ms, ENDPOINTS[which], error, took, created, first))

    async def count(self, steps: int, step_facts: int) -> None:
        """Some steps of counting ahead, as the clock stands."""
        await self.flush()

        async def count(tx: Tx) -> None:
            for measure in Measure:
                for _ in range(steps):
                    await self._step(tx, measure, step_facts)

        await self.database.write(count)

    async def _step(self, tx: Tx, measure: Measure, step_facts: int) -> bool:
        tx.now_ms = self.now_ms
        return await count_ahead(tx, self.workspace_id, measure, step_facts=step_facts)


moments = st.sampled_from([0, 1, 60_000, 130_000, QUARTER_MS - 1, QUARTER_MS, HOUR_MS, 20 * HOUR_MS])
agents = st.sampled_from(AGENTS)
waits = st.none() | st.sampled_from([0, 99, 100, 101, 1_999, 86_400_000]) | st.integers(0, 10**9)
events = st.one_of(
    st.tuples(st.just("close_call"), agents, waits, st.booleans(), st.integers(0, 3)),
    st.tuples(st.just("dispose_late"), st.integers(0, 5), agents),
    st.tuples(st.just("move"), st.integers(0, 1), st.sampled_from(["joined", "left"])),
    st.tuples(st.just("attempt"), st.integers(0, 1), st.lists(st.sampled_from(ERRORS), min_size=1, max_size=3),
              st.integers(-50, 10**6), st.integers(0, 30_000)),
    st.tuples(st.just("count"), st.integers(1, 2), st.integers(0, 3)),
    st.tuples(st.just("count"), st.just(20), st.just(50)),
)  # fmt: skip
histories = st.lists(st.tuples(moments, events), max_size=14)
SPANS = [
    Span(START - DAY_MS, START + 30 * DAY_MS),
    Span(START, START + HOUR_MS),
    Span(START + QUARTER_MS, START + 2 * DAY_MS + 3 * QUARTER_MS),
    Span(START + 20 * HOUR_MS, START + 21 * HOUR_MS),
]


@pytest.fixture
async def opened(open_shared: Callable[[], AbstractAsyncContextManager[Opened]]) -> AsyncIterator[Opened]:
    async with open_shared() as database:
        yield database


NEW_WORKSPACE = statement(
    "INSERT INTO workspaces (workspace_id, organization_id, name, region, outcomes_enabled, require_disposition,"
    " retention_days, created_at, updated_at, configuration_revision) VALUES (:workspace_id, :workspace_id, 'W',"
    " 'US', 1, 'answered', 90, 0, 0, 0)"
)


async def fresh_workspace(database: Database) -> Workspace:
    workspace_id = new_id()
    await database.write(lambda tx: tx.run(NEW_WORKSPACE, workspace_id=workspace_id))
    workspace = Workspace(database, workspace_id)
    await workspace.prepare()
    return workspace


def summed(rows: Iterable[CountRow], *, named: bool) -> dict[tuple[int, str, str], tuple[int, int]]:
    counts, times = Counter[tuple[int, str, str]](), Counter[tuple[int, str, str]]()
    for row in rows:
        key = (row.span, row.subject if named else "", row.label)
        counts[key] += row.counted
        times[key] += row.total_ms
    return {key: (counts[key], times[key]) for key in counts if counts[key]}


def expected(
    facts: Iterable[tuple[int, str, str, int]], spans: Sequence[Span], *, named: bool
) -> dict[tuple[int, str, str], tuple[int, int]]:
    return summed(
        [
            CountRow(number, f"={subject}", label, 1, total_ms)
            for number, span in enumerate(spans)
            for at, subject, label, total_ms in facts
            if span.starts <= at < span.ends
        ],
        named=named,
    )


def until_now(now_ms: int) -> list[Span]:
    """As reports ask for it when nobody says until when: to the next quarter of an hour."""
    ends = now_ms + QUARTER_MS - now_ms % QUARTER_MS
    return [Span(ends - DAY_MS, ends), Span(ends - 2 * DAY_MS, ends - DAY_MS)]


async def assert_counts_are_those_of_the_facts(workspace: Workspace) -> None:
    await workspace.flush()
    for spans in (SPANS, until_now(workspace.now_ms)):
        for measure in Measure:
            await assert_counts_in(workspace, spans, measure)


async def assert_counts_in(workspace: Workspace, spans: Sequence[Span], measure: Measure) -> None:
    async def read(tx: Tx) -> Any:
        tx.now_ms = workspace.now_ms
        return (
            await store.counts_of(tx, workspace.workspace_id, measure, spans),
            await store.counts_by_subject(tx, workspace.workspace_id, measure, spans),
            await store.counts_of(tx, workspace.workspace_id, measure, spans, store.subject_of("ada")),
        )

    facts = workspace.facts.of(measure)
    together, apart, ada = await workspace.database.read(read)
    assert summed(together, named=False) == expected(facts, spans, named=False), measure
    assert summed(apart, named=True) == expected(facts, spans, named=True), measure
    of_ada = [fact for fact in facts if fact[1] == "ada"]
    assert summed(ada, named=True) == expected(of_ada, spans, named=True), measure


LATE: list[tuple[int, tuple[Any, ...]]] = [
    (0, ("close_call", "ada", 100, True, 1)),
    (0, ("close_call", None, None, False, 0)),
    (130_000, ("count", 20, 50)),
    (HOUR_MS, ("dispose_late", 0, "ada")),
    (60_000, ("dispose_late", 0, "*")),
    (90_000, ("count", 1, 0)),
    (60_000, ("count", 1, 0)),
    (20 * HOUR_MS, ("count", 20, 50)),
]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(history=histories)
@example(history=LATE)
async def test_counts_and_newest_facts_are_the_facts_at_any_moment(
    history: list[tuple[int, tuple[Any, ...]]], opened: Opened
) -> None:
    workspace = await fresh_workspace(opened.database)
    for gap_ms, (verb, *arguments) in history:
        workspace.now_ms += gap_ms
        await getattr(workspace, verb)(*arguments)
        if verb == "count":
            await assert_counts_are_those_of_the_facts(workspace)
    await assert_counts_are_those_of_the_facts(workspace)
    workspace.now_ms += DAY_MS
    await workspace.count(20, 50)
    await assert_counts_are_those_of_the_facts(workspace)
    due = await opened.database.read(uncounted)
    assert workspace.workspace_id not in {workspace_id for workspace_id, _ in due}


async def test_a_step_that_is_undone_is_taken_again(opened: Opened) -> None:
    class Killed(Exception):
        pass

    async def killed(tx: Tx) -> None:
        for measure in Measure:
            await workspace._step(tx, measure, 50)
        raise Killed

    workspace = await fresh_workspace(opened.database)
    await workspace.close_call("ada", 5_000, True, 3)
    await workspace.move(0, "joined")
    workspace.now_ms += HOUR_MS
    await workspace.flush()
    with pytest.raises(Killed):
        await opened.database.write(killed)
    await assert_counts_are_those_of_the_facts(workspace)
    due = await opened.database.read(uncounted)
    assert (workspace.workspace_id, Measure.CALLS) in due
    await workspace.count(1, 50)
    await workspace.count(1, 50)
    await assert_counts_are_those_of_the_facts(workspace)


async def test_what_happened_a_moment_ago_is_not_counted_ahead(opened: Opened) -> None:
    workspace = await fresh_workspace(opened.database)
    await workspace.move(0, "joined")
    workspace.now_ms += GRACE_MS
    await workspace.count(1, 50)
    assert (workspace.workspace_id, "list_moves") not in await counted(opened.database, workspace)
    workspace.now_ms += 1
    await workspace.count(1, 50)
    assert (workspace.workspace_id, "list_moves") in await counted(opened.database, workspace)


COUNTED = statement("SELECT workspace_id, measure FROM report_counts WHERE workspace_id = :workspace_id")


async def counted(database: Database, workspace: Workspace) -> set[tuple[str, str]]:
    rows = await database.read(lambda tx: tx.all(COUNTED, workspace_id=workspace.workspace_id))
    return {(row[0], row[1]) for row in rows}


async def test_a_transaction_under_way_holds_the_mark_back(
    opened: Opened, shared_url: str, engine: str
) -> None:
    if engine != "postgresql":
        pytest.skip("SQLite has one writer")
    connection = await asyncpg.connect(shared_url)
    async with connection.transaction():
        began = await connection.fetchval("SELECT CAST(extract(epoch FROM now()) * 1000 AS bigint)")
        await connection.execute("SELECT pg_sleep(0.01)")
        assert await opened.database.read(store.horizon_ms) <= began
    await connection.close()
    assert await opened.database.read(store.horizon_ms) > began


@given(duration_ms=st.integers(0, 10**13))
def test_durations_are_cut_to_two_digits_in_sql_as_in_python(duration_ms: int) -> None:
    connection = driver.connect(":memory:")
    found = connection.execute(f"SELECT {store._cut('(SELECT ?1)')}", (duration_ms,)).fetchall()[0][0]
    connection.close()
    assert found == two_digits(duration_ms)
