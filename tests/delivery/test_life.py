"""The life of deliveries as a state machine: whatever happens in whatever order, these laws hold (contract § 8).

Workers claim, crash, come back with stale leases and record; people retry, cancel, replay, pause and erase; time
passes. Due times follow the database's clock, so time passes by moving them into the past.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from leadline.domain import endpoints as endpoint_rules
from leadline.domain.calls import CallState
from leadline.domain.deliveries import MOVES, DeliveryState
from leadline.domain.errors import InvalidRequest
from leadline.domain.outcomes import OutcomeDefinition, OutcomeType, Stay
from leadline.domain.periods import Span
from leadline.domain.reports import Measure
from leadline.domain.schedule import JITTER_RATIO_MAX
from leadline.ids import new_id
from leadline.operations import replays
from leadline.operations.apply_outcome import Application, apply_outcome
from leadline.operations.calls import NewCall, start_call
from leadline.operations.claim_deliveries import ClaimRequest, claim_deliveries, find_claimable
from leadline.operations.contacts import erase_contact
from leadline.operations.count_ahead import count_ahead
from leadline.operations.deliveries import cancel_delivery, retry_delivery
from leadline.operations.delivering import cancel_empty, release, renew_leases
from leadline.operations.endpoints import change_endpoint
from leadline.operations.events import list_events
from leadline.operations.maintenance import drift, prune_workspace
from leadline.operations.outcomes import define_outcome
from leadline.operations.record_attempts import Attempted, record_attempts
from leadline.operations.workspaces import create_workspace, rotate_secret, signing_secrets
from leadline.store import deliveries as store
from leadline.store import endpoints
from leadline.store.database import Database, Tx
from leadline.store.deliveries import ClaimedRow
from leadline.store.engines import Statement
from leadline.store.migrating import migrate
from leadline.store.reports import counts_of
from postgres import PostgresServer
from store.databases import make_database

T = TypeVar("T")
WAITS_SECONDS = (5.0, 300.0, 1800.0)
ATTEMPTS_MAX = len(WAITS_SECONDS) + 1
LEASE_MS = 40_000
DAY_MS = 86_400_000
BREAKER_FAILURES = 3
REPLAY_STEP = 2
REPLAY_LOOKED_MAX = 3

_SNAPSHOT = Statement(
    "SELECT delivery_id, contact_id, state, due_at, lease_id, payload, attempt_count, schedule_step, finished_at,"
    " created_at, (SELECT COUNT(*) FROM attempts a WHERE a.workspace_id = d.workspace_id"
    " AND a.delivery_id = d.delivery_id), (SELECT COALESCE(MAX(number), 0) FROM attempts a"
    " WHERE a.workspace_id = d.workspace_id AND a.delivery_id = d.delivery_id), {now_ms}"
    " FROM deliveries d WHERE workspace_id = :workspace_id",
    register=False,
)
_ENDPOINT = Statement(
    "SELECT endpoint_id, state, max_concurrency, failures_in_a_row FROM endpoints"
    " WHERE workspace_id = :workspace_id",
    register=False,
)
_LET_PASS = Statement(
    "UPDATE deliveries SET due_at = due_at - :ms WHERE workspace_id = :workspace_id AND due_at IS NOT NULL",
    register=False,
)
_EXPIRE = Statement(
    "UPDATE deliveries SET due_at = due_at - :ms WHERE workspace_id = :workspace_id AND delivery_id = :delivery_id",
    register=False,
)
_AGE = Statement(
    "UPDATE deliveries SET finished_at = finished_at - :ms WHERE workspace_id = :workspace_id"
    " AND delivery_id = :delivery_id",
    register=False,
)
_LOSE = Statement(
    "DELETE FROM deliveries WHERE workspace_id = :workspace_id AND delivery_id = :delivery_id", register=False
)
_LET_PASS_AT_ENDPOINTS = Statement(
    "UPDATE endpoints SET probe_at = probe_at - :ms, failing_since = failing_since - :ms"
    " WHERE workspace_id = :workspace_id",
    register=False,
)


@dataclass(frozen=True)
class Seen:
    """A delivery as it is in the database; `now` is the database's clock."""

    delivery_id: str
    contact_id: str | None
    state: str
    due_at: int | None
    lease_id: str | None
    payload: str | None
    attempt_count: int
    schedule_step: int
    finished_at: int | None
    created_at: int
    recorded: int
    number_max: int
    now: int

    @property
    def in_flight(self) -> bool:
        return self.lease_id is not None and self.due_at is not None and self.due_at > self.now

    def row(self) -> tuple[Any, ...]:
        """What a stale worker must not change."""
        return (self.state, self.due_at, self.lease_id, self.attempt_count, self.schedule_step, self.payload)


@dataclass(frozen=True)
class Held:
    """A claim in the hands of a worker, perhaps one that everybody takes for dead."""

    lease_id: str
    delivery: ClaimedRow


@dataclass
class Job:
    """A replay as it should be."""

    replay_id: str
    states: frozenset[str]
    until: int
    after: tuple[int, str] = (-1, "")
    matched: int = 0
    requeued: int = 0
    state: str = "running"


class Life(RuleBasedStateMachine):
    database: ClassVar[Database]
    loop: ClassVar[asyncio.Runner]

    def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        return self.loop.run(self.database.write(work))

    @initialize(max_concurrency=st.integers(1, 4))
    def begin(self, max_concurrency: int) -> None:
        self.calls = 0
        self.held: list[Held] = []
        self.job: Job | None = None
        self.payloads: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self.emptied: set[str] = set()

        async def make(tx: Tx) -> tuple[str, str]:
            workspace_id = (await create_workspace(tx, "Life")).workspace_id
            definition = OutcomeDefinition(
                "Done", OutcomeType.ACTION, 0, Stay(), "https://receiver.example/hook"
            )
            outcome, _ = await define_outcome(tx, workspace_id, definition)
            return workspace_id, outcome.outcome.outcome_id

        self.workspace_id, self.outcome_id = self.write(make)
        self.endpoint_id = str(self.endpoint()[0])
        self.change(max_concurrency=max_concurrency)

    # What there is

    def see(self) -> dict[str, Seen]:
        async def read(tx: Tx) -> list[Seen]:
            return [Seen(*row) for row in await tx.all(_SNAPSHOT, workspace_id=self.workspace_id)]

        return {each.delivery_id: each for each in self.loop.run(self.database.read(read))}

    def endpoint(self) -> Any:
        async def read(tx: Tx) -> Any:
            return await tx.first(_ENDPOINT, workspace_id=self.workspace_id)

        return self.loop.run(self.database.read(read))

    def tally(self) -> tuple[int, int]:
        """How many attempts the endpoint has on its count, that succeeded and that failed."""

        async def read(tx: Tx) -> tuple[int, int]:
            tallies = await endpoints.tallies(tx, self.workspace_id, [self.endpoint_id])
            found = tallies.get(self.endpoint_id, endpoints.Tally())
            return found.succeeded_total, found.failed_total

        return self.loop.run(self.database.read(read))

    def reported(self) -> Counter[str]:
        """How many attempts reports know, by what came of them, and how many deliveries that arrived (`latency`)."""

        async def read(tx: Tx) -> Counter[str]:
            found = Counter[str]()
            for row in await counts_of(tx, self.workspace_id, Measure.ATTEMPTS, [Span(0, DAY_MS)]):
                found["ok" if row.label == "succeeded" else "failed"] += row.counted
            for row in await counts_of(tx, self.workspace_id, Measure.LATENCY, [Span(0, DAY_MS)]):
                found["arrived"] += row.counted
            return found

        return self.loop.run(self.database.read(read))

    def pick(self, data: st.DataObject) -> str:
        delivery_id: str = data.draw(st.sampled_from(sorted(self.payloads)))
        return delivery_id

    # What people do

    @rule()
    def apply(self) -> None:
        self.calls += 1

        async def do(tx: Tx) -> str | None:
            number = f"+1212555{self.calls:04}"
            new = NewCall(number, None, None, "outbound", None, CallState.LIVE, None)
            call, _ = await start_call(tx, self.workspace_id, new)
            application = Application(call.call.call_id, self.outcome_id)
            answer, _ = await apply_outcome(tx, self.workspace_id, application)
            return answer.applied.delivery_id

        delivery_id = self.write(do)
        assert delivery_id is not None
        payload = self.see()[delivery_id].payload
        assert payload is not None
        self.payloads[delivery_id] = payload
        self.states[delivery_id] = DeliveryState.PENDING

    @precondition(lambda self: self.payloads)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        delivery_id = self.pick(data)
        before = self.see()[delivery_id]
        try:
            self.write(lambda tx: retry_delivery(tx, self.workspace_id, delivery_id))
        except InvalidRequest:
            assert before.payload is None
            return
        after = self.see()[delivery_id]
        assert after.state == DeliveryState.PENDING
        assert after.lease_id == before.lease_id, "one that is on its way is left to its worker"
        assert after.schedule_step == (0 if before.lease_id is None else 1)
        if before.lease_id is None:
            assert after.due_at is not None
            assert after.due_at <= after.now

    @precondition(lambda self: self.payloads)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        delivery_id = self.pick(data)
        before = self.see()[delivery_id]
        self.write(lambda tx: cancel_delivery(tx, self.workspace_id, delivery_id))
        after = self.see()[delivery_id]
        ended = before.state != DeliveryState.PENDING
        assert after.state == (before.state if ended else DeliveryState.CANCELED)

    @precondition(lambda self: self.payloads)
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        delivery_id = self.pick(data)
        contact_id = self.see()[delivery_id].contact_id
        if contact_id is None:
            return
        self.emptied.add(delivery_id)
        self.write(lambda tx: erase_contact(tx, self.workspace_id, contact_id))
        after = self.see()[delivery_id]
        assert after.payload is None
        assert after.state != DeliveryState.PENDING

    @rule(kept_ms=st.sampled_from([-1000, DAY_MS]))
    def prune(self, kept_ms: int) -> None:
        self.count_ahead()
        self.emptied |= {each.delivery_id for each in self.see().values() if each.state != "pending"}
        self.write(lambda tx: store.prune_deliveries(tx, self.workspace_id, tx.now_ms - kept_ms, limit=3))

    @rule()
    def count_ahead(self) -> None:
        """Reports count until two minutes ago: all attempts of this life began long before."""

        async def count(tx: Tx) -> None:
            for measure in (Measure.ATTEMPTS, Measure.LATENCY):
                await count_ahead(tx, self.workspace_id, measure)

        self.write(count)

    @rule(state=st.sampled_from(["active", "active", "paused", "disabled"]))
    def change_state(self, state: str) -> None:
        self.change(state=state)

    @rule(max_concurrency=st.integers(1, 4))
    def change_concurrency(self, max_concurrency: int) -> None:
        self.change(max_concurrency=max_concurrency)

    def change(self, **changes: Any) -> None:
        self.write(
            lambda tx: change_endpoint(tx, self.workspace_id, self.endpoint_id, changes, timeout_seconds=15)
        )

    @rule(ms=st.sampled_from([6_000, LEASE_MS + 1, 400_000, 2 * DAY_MS]))
    def let_pass(self, ms: int) -> None:
        async def do(tx: Tx) -> None:
            await tx.run(_LET_PASS, workspace_id=self.workspace_id, ms=ms)
            await tx.run(_LET_PASS_AT_ENDPOINTS, workspace_id=self.workspace_id, ms=ms)

        self.write(do)

    # What workers do

    @rule(limit=st.integers(1, 5), looks_first=st.booleans())
    def claim(self, limit: int, looks_first: bool = True) -> None:
        """One that has not looked has looked long ago: it must find the same."""
        before, endpoint = self.see(), self.endpoint()
        _, state, max_concurrency, failures = endpoint
        in_flight = sum(each.in_flight for each in before.values())
        request = ClaimRequest(new_id(), LEASE_MS, ATTEMPTS_MAX, limit)
        prospect = self.loop.run(self.database.read(lambda tx: find_claimable(tx, self.workspace_id)))
        endpoint_ids = prospect.endpoint_ids if looks_first else [self.endpoint_id]
        claim = self.write(lambda tx: claim_deliveries(tx, self.workspace_id, endpoint_ids, request))
        room = max(0, (1 if failures >= BREAKER_FAILURES else max_concurrency) - in_flight)
        assert len(claim.deliveries) <= min(limit, room if state == "active" else 0)
        after = self.see()
        for row in claim.deliveries:
            was, now = before[row.delivery_id], after[row.delivery_id]
            assert was.state == DeliveryState.PENDING
            assert not was.in_flight, "it was on its way already"
            assert row.payload == self.payloads[row.delivery_id]
            assert row.attempt_count == was.attempt_count + 1
            assert now.lease_id == request.lease_id
            assert now.in_flight
            assert now.schedule_step <= ATTEMPTS_MAX
            self.held.append(Held(request.lease_id, row))

    def take(self, data: st.DataObject) -> Held:
        position = data.draw(st.integers(0, len(self.held) - 1))
        return self.held.pop(position)

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(),
        result=st.sampled_from(["ok", "ok", "refused", "refused", "gone", "later"]),
        jitter=st.floats(0, 1),
    )
    def record(self, data: st.DataObject, result: str, jitter: float) -> None:
        held = self.take(data)
        before = self.see()[held.delivery.delivery_id]
        attempted = self.attempted(held, result, jitter)
        self.write(lambda tx: record_attempts(tx, self.workspace_id, [attempted], WAITS_SECONDS))
        after = self.see()[held.delivery.delivery_id]
        if before.lease_id != held.lease_id:
            assert after.row() == before.row(), "a stale lease changed something"
            return
        assert after.lease_id is None
        if result == "ok":
            assert after.state == DeliveryState.SUCCEEDED
        elif result == "gone":
            assert self.endpoint()[1] == "disabled"
            assert after.state == DeliveryState.PENDING
            assert after.schedule_step == before.schedule_step - 1, "waiting costs no attempt"
        elif before.schedule_step == ATTEMPTS_MAX:
            assert after.state == DeliveryState.EXHAUSTED
        else:
            assert_waits(before, after, result)

    def attempted(self, held: Held, result: str, jitter: float = 0.0) -> Attempted:
        status = {"ok": 200, "refused": 500, "gone": 410, "later": 503}[result]
        return Attempted(
            workspace_id=self.workspace_id,
            delivery_id=held.delivery.delivery_id,
            endpoint_id=held.delivery.endpoint_id,
            lease_id=held.lease_id,
            number=held.delivery.attempt_count,
            started_at=1,
            duration_ms=1,
            remote_address="127.0.0.1",
            status=status,
            response_headers=[],
            response_body="",
            error=None if result == "ok" else "http_status",
            error_detail=None,
            timings="{}",
            retry_after_seconds=3600.0 if result == "later" else None,
            jitter=jitter,
        )

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """It is never heard of again; the lease has to run out."""
        self.take(data)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), begun=st.booleans())
    def return_unfinished(self, data: st.DataObject, begun: bool) -> None:
        held = self.take(data)
        delivery_id = held.delivery.delivery_id
        before = self.see()[delivery_id]
        operation = release if begun else cancel_empty
        self.write(lambda tx: operation(tx, self.workspace_id, delivery_id, held.lease_id))
        after = self.see()[delivery_id]
        if before.lease_id != held.lease_id:
            assert after.row() == before.row()
            return
        assert after.lease_id is None
        assert after.state == (DeliveryState.PENDING if begun else DeliveryState.CANCELED)
        assert after.attempt_count == before.attempt_count - (not begun)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from(self.held))
        delivery_id = held.delivery.delivery_id
        before = self.see()[delivery_id]
        self.renew_held(held)
        after = self.see()[delivery_id]
        if before.lease_id != held.lease_id:
            assert after.row() == before.row()
        else:
            assert after.in_flight

    def renew_held(self, held: Held) -> None:
        delivery_ids = [held.delivery.delivery_id]
        self.write(lambda tx: renew_leases(tx, self.workspace_id, {held.lease_id: delivery_ids}, LEASE_MS))

    # Replays

    @precondition(lambda self: self.job is None or self.job.state != "running")
    @rule(states=st.sets(st.sampled_from(list(DeliveryState)), min_size=1))
    def start_replay(self, states: set[DeliveryState]) -> None:
        request = replays.ReplayRequest(0, None, sorted(states), self.outcome_id, None)

        async def do(tx: Tx) -> tuple[str, int]:
            answer = await replays.start_replay(tx, self.workspace_id, request)
            return answer.replay.replay_id, tx.now_ms + 1

        replay_id, until = self.write(do)
        self.job = Job(replay_id, frozenset(states), until)

    @precondition(lambda self: self.job is not None)
    @rule()
    def step_replay(self) -> None:
        job = self.job
        assert job is not None
        looked = self.ahead_of(job)[:REPLAY_LOOKED_MAX] if job.state == "running" else []
        due = [each for each in looked if each.state in job.states][:REPLAY_STEP]
        more = self.write(lambda tx: replays.step_replay(tx, self.workspace_id, job.replay_id))
        assert more == (len(due) == REPLAY_STEP or len(looked) == REPLAY_LOOKED_MAX)
        if job.state != "running":
            return
        after = self.see()
        sent = [each for each in due if each.payload is not None]
        assert {after[each.delivery_id].state for each in sent} <= {DeliveryState.PENDING}
        job.matched += len(due)
        job.requeued += len(sent)
        if more:
            last = due[-1] if len(due) == REPLAY_STEP else looked[-1]
            job.after = (last.created_at, last.delivery_id)
        else:
            job.state = "done"

    def ahead_of(self, job: Job) -> list[Seen]:
        seen = sorted(self.see().values(), key=lambda each: (each.created_at, each.delivery_id))
        return [
            each
            for each in seen
            if (each.created_at, each.delivery_id) > job.after and each.created_at < job.until
        ]

    @precondition(lambda self: self.job is not None)
    @rule()
    def cancel_replay(self) -> None:
        job = self.job
        assert job is not None
        self.write(lambda tx: replays.cancel_replay(tx, self.workspace_id, job.replay_id))
        if job.state == "running":
            job.state = "canceled"

    # The laws

    @invariant()
    def every_delivery_is_there_and_well_formed(self) -> None:
        seen = self.see()
        assert set(seen) == set(self.payloads)
        for each in seen.values():
            pending = each.state == DeliveryState.PENDING
            assert pending == (each.due_at is not None)
            assert pending == (each.finished_at is None)
            assert pending or each.lease_id is None
            assert each.payload is not None or not pending, "there is nothing to send"
            assert each.payload in {None, self.payloads[each.delivery_id]}
            assert each.payload is not None or each.delivery_id in self.emptied
            assert each.recorded <= each.attempt_count
            assert each.number_max <= each.attempt_count
            assert 0 <= each.schedule_step <= ATTEMPTS_MAX

    @invariant()
    def every_move_is_legal(self) -> None:
        now = {delivery_id: each.state for delivery_id, each in self.see().items()}
        for delivery_id, state in now.items():
            was = self.states[delivery_id]
            # A rule may make two moves in one transaction; each starts from where it was seen last.
            assert state == was or DeliveryState(state) in MOVES[DeliveryState(was)]
        self.states = now

    @invariant()
    def a_replay_counts_truly(self) -> None:
        job = self.job
        if job is None:
            return

        async def read(tx: Tx) -> Any:
            return (await replays.get_replay(tx, self.workspace_id, job.replay_id)).replay

        view = self.loop.run(self.database.read(read))
        assert (view.state, view.matched, view.requeued) == (job.state, job.matched, job.requeued)

    def reports_know_of_every_attempt(self) -> None:
        """Also of those that were written down when their time had been counted."""
        found = self.reported()
        assert (found["ok"], found["failed"]) == self.tally()

    def fail(self) -> None:
        """One attempt, of a new delivery, that fails."""
        self.apply()
        self.let_pass(60_000)
        self.claim(limit=1)
        assert self.held
        self.record_all("refused")

    def fail_for(self, ms: int) -> None:
        """A failure now, and another so long after it."""
        self.fail()
        self.let_pass(ms - 60_000)
        self.fail()

    def age(self, delivery_id: str, ms: int) -> None:
        """It ended so long ago."""
        values = {"workspace_id": self.workspace_id, "delivery_id": delivery_id, "ms": ms}
        self.write(lambda tx: tx.run(_AGE, **values))

    def failures_told(self) -> list[dict[str, Any]]:
        return self.told("delivery.failed")

    def told(self, event: str) -> list[dict[str, Any]]:
        async def read(tx: Tx) -> list[dict[str, Any]]:
            answer = await list_events(tx, self.workspace_id, None, 200)
            return [each.data for each in answer.events if each.type == event]

        return self.loop.run(self.database.read(read))

    def crash_all(self) -> None:
        self.held.clear()

    def record_all(self, result: str = "ok") -> None:
        self.record_together([(held, result) for held in self.held])
        self.held.clear()

    def record_together(self, results: list[tuple[Held, str]]) -> None:
        attempts = [self.attempted(held, result) for held, result in results]
        self.write(lambda tx: record_attempts(tx, self.workspace_id, attempts, WAITS_SECONDS))

    def expire(self, held: Held) -> None:
        """The lease of one delivery runs out."""

        async def do(tx: Tx) -> None:
            values = {"workspace_id": self.workspace_id, "delivery_id": held.delivery.delivery_id}
            await tx.run(_EXPIRE, **values, ms=2 * LEASE_MS)

        self.write(do)

    def teardown(self) -> None:
        """With a receiver that takes everything, every life ends; nothing is stuck, whatever happened before."""
        if not hasattr(self, "endpoint_id"):
            return
        self.change(state="active")
        for _ in range(ATTEMPTS_MAX * len(self.payloads) + 10):
            self.let_pass(2 * DAY_MS)
            self.held.clear()
            self.claim(limit=5)
            self.record_all()
            if all(each.state != DeliveryState.PENDING for each in self.see().values()):
                break
        self.every_delivery_is_there_and_well_formed()
        self.every_move_is_legal()
        self.reports_know_of_every_attempt()
        ended = {DeliveryState.SUCCEEDED, DeliveryState.EXHAUSTED, DeliveryState.CANCELED}
        assert {each.state for each in self.see().values()} <= ended


def assert_waits(before: Seen, after: Seen, result: str) -> None:
    """Its wait, lengthened by up to a fifth; `Retry-After` is a floor."""
    wait_seconds = WAITS_SECONDS[before.schedule_step - 1]
    shortest = max(wait_seconds, 3600.0 if result == "later" else 0.0)
    longest = max(wait_seconds * (1 + JITTER_RATIO_MAX), 3600.0 if result == "later" else 0.0)
    assert after.state == DeliveryState.PENDING
    assert after.due_at is not None
    assert before.now + shortest * 1000 <= after.due_at <= after.now + longest * 1000 + 1
    assert after.schedule_step == before.schedule_step


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Runner]:
    monkeypatch.setattr(endpoint_rules, "BREAKER_FAILURES", BREAKER_FAILURES)
    monkeypatch.setattr(replays, "STEP", REPLAY_STEP)
    monkeypatch.setattr(replays, "LOOKED_MAX", REPLAY_LOOKED_MAX)
    with asyncio.Runner() as runner:
        yield runner


@contextlib.contextmanager
def machine_on(loop: asyncio.Runner, url: str) -> Iterator[type[Life]]:
    async def opened() -> Database:
        await migrate(url)
        database = make_database(url)
        await database.open()
        return database

    database = loop.run(opened())
    try:
        yield type("LifeOnEngine", (Life,), {"database": database, "loop": loop})
    finally:
        loop.run(database.close())


def live(loop: asyncio.Runner, url: str, examples: int, steps: int) -> None:
    bounds = settings(
        max_examples=examples,
        stateful_step_count=steps,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate],  # shrinking takes minutes; the steps of a failure are printed all the same
    )
    with machine_on(loop, url) as machine:
        run_state_machine_as_test(machine, settings=bounds)


def test_the_laws_of_a_delivery_hold_in_every_order_of_events_on_sqlite(
    loop: asyncio.Runner, tmp_path: Path
) -> None:
    live(loop, f"sqlite:///{tmp_path / 'life.db'}", examples=60, steps=60)


def test_a_claim_takes_no_more_than_its_limit_however_postgresql_plans_it(
    loop: asyncio.Runner, postgres: PostgresServer
) -> None:
    """A plan that runs a locking subquery once per row would take everything that is due."""
    url = postgres.create_database("plans")
    loop.run(plan_with_nested_loops(url))
    with machine_on(loop, url) as machine:
        life = machine()
        life.begin(max_concurrency=4)
        for _ in range(30):
            life.apply()
        life.claim(limit=3)
        assert len(life.held) == 3


@pytest.fixture(params=["sqlite", "postgresql"])
def life(
    request: pytest.FixtureRequest, loop: asyncio.Runner, make_database: Callable[[str], str]
) -> Iterator[Life]:
    """A life to be led by hand."""
    with machine_on(loop, make_database(request.param)) as machine:
        life = machine()
        life.begin(max_concurrency=4)
        yield life


def test_an_endpoint_that_keeps_failing_is_probed_by_one_attempt_though_many_wait(life: Life) -> None:
    for _ in range(6):
        life.apply()
    life.claim(limit=BREAKER_FAILURES)
    life.record_all("refused")
    life.let_pass(400_000)
    life.claim(limit=5, looks_first=False)
    assert len(life.held) == 1
    life.claim(limit=5, looks_first=False)
    assert len(life.held) == 1, "the probe is under way"


def test_an_endpoint_is_disabled_after_five_days_of_nothing_but_failure(life: Life) -> None:
    life.fail_for(5 * DAY_MS - 60_000)
    assert life.endpoint()[1] == "active"
    life.let_pass(60_000)
    life.fail()
    assert life.endpoint()[1] == "disabled"
    assert life.told("endpoint.disabled") == [
        {"endpoint_id": life.endpoint_id, "reason": "Nothing but failure for five days."}
    ]
    life.apply()
    life.claim(limit=1)
    assert not life.held, "what is due to it waits"


def test_a_success_within_the_five_days_begins_them_anew(life: Life) -> None:
    life.fail_for(4 * DAY_MS)
    life.apply()
    life.claim(limit=1)
    life.record_all("ok")
    life.fail_for(4 * DAY_MS)
    assert life.endpoint()[1] == "active"


def test_an_endpoint_that_is_active_again_has_no_past(life: Life) -> None:
    life.fail_for(5 * DAY_MS)
    assert life.endpoint()[1] == "disabled"
    life.change(state="active")
    assert life.endpoint()[3] == 0
    life.fail()
    assert life.endpoint()[1] == "active"


def test_what_ended_longer_ago_than_it_is_kept_loses_payload_and_attempts_and_nothing_else_does(
    life: Life,
) -> None:
    for _ in range(3):
        life.apply()
    life.claim(limit=3)
    ended, kept, pending = [held.delivery.delivery_id for held in life.held]
    life.record_together(list(zip(life.held, ["ok", "ok", "refused"], strict=True)))
    life.age(ended, 90 * DAY_MS)
    life.age(kept, 90 * DAY_MS - 60_000)
    life.let_pass(200 * DAY_MS)
    while life.write(lambda tx: prune_workspace(tx, life.workspace_id, events_kept_ms=DAY_MS)):
        pass
    seen = life.see()
    assert (seen[ended].payload, seen[ended].recorded) == (None, 0)
    assert (seen[kept].payload, seen[kept].recorded) == (life.payloads[kept], 1)
    assert (seen[pending].payload, seen[pending].recorded) == (life.payloads[pending], 1)


def test_a_delivery_that_was_promised_and_is_not_there_is_seen_as_drift(life: Life) -> None:
    for _ in range(3):
        life.apply()
    assert life.write(drift) == 0
    lost = sorted(life.payloads)[1]
    life.write(lambda tx: tx.run(_LOSE, workspace_id=life.workspace_id, delivery_id=lost))
    assert life.write(drift) == 1


def test_at_most_five_old_secrets_sign_along_and_each_until_its_own_overlap_ends(life: Life) -> None:
    def rotate(overlap_seconds: int) -> str:
        return life.write(lambda tx: rotate_secret(tx, life.workspace_id, overlap_seconds)).secret

    def signing() -> list[str]:
        return life.write(lambda tx: signing_secrets(tx, life.workspace_id))

    made = [rotate(3_600) for _ in range(8)]
    assert signing() == made[:1:-1], "the newest, and five before it"
    made.append(rotate(0))
    assert signing() == [made[-1], *made[-3:-7:-1]], (
        "the one before had no overlap; the others have their own"
    )


def test_a_delivery_that_kills_its_worker_each_time_ends_and_that_is_told_like_any_end(life: Life) -> None:
    life.apply()
    for _ in range(ATTEMPTS_MAX):
        life.claim(limit=1)
        life.crash_all()
        life.let_pass(LEASE_MS + 1)
    life.claim(limit=1)
    assert not life.held
    (seen,) = life.see().values()
    assert (seen.state, seen.attempt_count) == (DeliveryState.EXHAUSTED, ATTEMPTS_MAX)
    life.apply()
    life.claim(limit=1)
    life.record_all("refused")
    ended, refused = life.failures_told()
    assert ended.keys() == refused.keys()
    named = {"delivery_id": seen.delivery_id, "state": "exhausted", "attempt": ATTEMPTS_MAX, "error": None}
    assert named.items() <= ended.items()
    assert ended["endpoint_id"] == refused["endpoint_id"] == life.endpoint_id


def test_an_attempt_that_is_written_down_late_is_in_the_reports_once(life: Life) -> None:
    """As after an outage: its time has been counted when it comes."""
    for _ in range(3):
        life.apply()
    life.claim(limit=3)
    life.count_ahead()
    results = list(zip(life.held, ["ok", "refused", "ok"], strict=True))
    life.record_together(results)
    life.record_together(results)
    life.count_ahead()
    assert life.reported() == {"ok": 2, "failed": 1, "arrived": 2}


def test_a_replay_of_a_rare_state_does_not_go_through_everything_at_once(life: Life) -> None:
    for _ in range(2 * REPLAY_LOOKED_MAX):
        life.apply()
    life.start_replay(states={DeliveryState.EXHAUSTED})
    steps = 0
    while life.job is not None and life.job.state == "running":
        life.step_replay()
        steps += 1
    assert steps == 3, "two full looks, and one that finds no more"
    life.a_replay_counts_truly()


def test_a_lease_that_was_lost_cannot_be_renewed(life: Life) -> None:
    life.apply()
    life.claim(limit=1)
    (stale,) = life.held
    life.let_pass(LEASE_MS + 1)
    life.claim(limit=1)
    before = life.see()[stale.delivery.delivery_id]
    assert before.lease_id != stale.lease_id
    life.renew_held(stale)
    assert life.see()[stale.delivery.delivery_id].row() == before.row()


def test_results_of_many_lives_are_recorded_together_as_if_each_were_alone(life: Life) -> None:
    """A success, a failure, a stale lease and an erased person in one statement each."""
    life.change(max_concurrency=4)
    for _ in range(4):
        life.apply()
    life.claim(limit=4)
    ok, refused, stale, erased = life.held
    life.held.clear()
    life.expire(stale)
    life.claim(limit=1)
    contact_id = life.see()[erased.delivery.delivery_id].contact_id
    assert contact_id is not None
    life.write(lambda tx: erase_contact(tx, life.workspace_id, contact_id))
    before = life.see()
    life.record_together([(ok, "ok"), (refused, "refused"), (stale, "ok"), (erased, "ok")])
    after = life.see()
    assert after[ok.delivery.delivery_id].state == DeliveryState.SUCCEEDED
    assert_waits(before[refused.delivery.delivery_id], after[refused.delivery.delivery_id], "refused")
    for untouched in (stale, erased):
        assert after[untouched.delivery.delivery_id].row() == before[untouched.delivery.delivery_id].row()
    assert {each.recorded for each in after.values()} == {1}


async def plan_with_nested_loops(url: str) -> None:
    connection = await asyncpg.connect(url)
    name = url.rpartition("/")[2]
    for way in ("hashjoin", "mergejoin", "hashagg", "sort", "material"):
        await connection.execute(f'ALTER DATABASE "{name}" SET enable_{way} = off')
    await connection.close()


def test_the_laws_of_a_delivery_hold_in_every_order_of_events_on_postgresql(
    loop: asyncio.Runner, postgres: PostgresServer
) -> None:
    live(loop, postgres.create_database("life"), examples=8, steps=40)


def test_results_that_are_recorded_again_count_once_for_their_endpoint(life: Life) -> None:
    """A commit whose answer was lost; what is recorded beside them for the first time counts."""
    for _ in range(3):
        life.apply()
    life.claim(limit=3)
    refused, stale, ok = life.held
    life.held.clear()
    life.expire(stale)
    life.record_together([(refused, "refused")])
    life.claim(limit=1)
    life.record_together([(refused, "refused"), (stale, "refused")])
    assert life.endpoint()[3] == 2
    assert life.tally() == (0, 2)
    for _ in range(2):
        life.record_together([(ok, "ok")])
    assert life.endpoint()[3] == 0
    assert life.tally() == (1, 2)
