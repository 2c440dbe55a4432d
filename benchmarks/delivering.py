"""Deliver: sustained deliveries with every result recorded, against a bare loop that records nothing.

And the way from an apply to its receipt, at shares of what one core can apply and deliver together.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import bulk, servers
from benchmarks.databases import Databases, StatementCounter, databases
from benchmarks.histogram import Histogram
from benchmarks.load import LoadFailed, Window, read_sent, run_load
from benchmarks.machine import core_time, processor_seconds
from benchmarks.measuring import Key, Measure, Plan, Windows, in_turn
from benchmarks.report import Better, Figure, Part, Unit, Values, ratio
from benchmarks.scene import Scene, make_scene
from benchmarks.sink import Receipts
from leadline.domain.webhooks import Event, EventCall, EventOutcome, Scope, payload
from leadline.ids import new_id
from leadline.store.deliveries import DeliveryRow

DELIVERY, BARE, APPLY = "deliver and record", "bare loop", "apply to receipt"
AT_ONCE = 64
SHARES = (0.25, 0.50, 0.80)
HEADLINE_SHARE = 0.50
SETTLE_SECONDS_MAX = 60.0
LOOK_SECONDS = 0.02


@dataclass
class Stage:
    """A server that delivers, the sink it delivers to, and who else sends there."""

    plan: Plan
    made: Databases
    scene: Scene
    server: servers.Server
    sink: servers.Server
    receipts: Receipts
    counter: StatementCounter | None = None
    helpers: Sequence[int] = ()
    """Further processes that deliver."""
    receipts_of_others: int = 0

    def deliver(self) -> Window:
        """Work off a mountain of deliveries for one window. Every one that is received must be recorded."""
        missing = self.plan.deliveries_max - self.waiting()
        if missing > 0:
            bulk.insert(self.scene.database_url, [("deliveries", pending_deliveries(self.scene, missing))])
        return self.deliver_what_waits()

    def deliver_what_waits(self) -> Window:
        """The same with what is there already, in whatever workspace."""
        waiting, received = self.waiting(), self.receipts.count
        self.let_go()
        watched = {"server": [self.server.pid, *self.helpers], **self.made.watched}
        window = _watch(self.plan, self.receipts, watched, self.sink, self.counter)
        self.hold()
        self._settle(lambda: waiting - self.waiting() == self.receipts.count - received)
        if not self.waiting():
            raise LoadFailed("every delivery was sent before the window ended")
        return window

    def waiting(self) -> int:
        """Deliveries that are due, or under way, or received and not yet recorded."""
        return self.made.number(
            self.scene.database_url, "SELECT COUNT(*) FROM deliveries WHERE state = 'pending'"
        )

    def _settle(self, everything_is_recorded: Callable[[], bool]) -> None:
        """Wait for what is under way. Raises LoadFailed when the books do not balance then."""
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while self._under_way() or not everything_is_recorded():
            if time.monotonic() > deadline:
                raise LoadFailed(f"{self.receipts.count} were received, {self.waiting()} are not recorded")
            time.sleep(LOOK_SECONDS)

    def _under_way(self) -> int:
        return self.made.number(
            self.scene.database_url, "SELECT COUNT(*) FROM deliveries WHERE lease_id IS NOT NULL"
        )

    def audit(self) -> None:
        """Every receipt has its attempt, every attempt its receipt. Raises LoadFailed."""
        attempts = self.made.number(self.scene.database_url, "SELECT COUNT(*) FROM attempts")
        if attempts != self.receipts.count - self.receipts_of_others:
            raise LoadFailed(f"{attempts} attempts are recorded, {self.receipts.count} were received")

    def apply(self, rate_per_second: float | None) -> Window:
        """Applies whose webhooks go out at once (`rate_per_second`), or wait (None: as fast as it can).

        With a rate, the latencies are those from the moment an apply was meant to be sent to its receipt.
        """
        self.scene.want_live_calls(self.plan.applies_max)
        if rate_per_second is None:
            return self.apply_unsent(None)
        before, ids = self.receipts.count, list(self.scene.live_call_ids)
        self.let_go()
        sent_file = self.made.directory / "sent"
        window = self._run_applies(rate_per_second, sent_file)
        window = self._until_received(window, ids, sent_file, before)
        self.hold()
        return window

    def apply_unsent(self, rate_per_second: float | None) -> Window:
        """Applies whose webhooks wait, and are taken away afterwards: the next mountain is as high as the last."""
        self.scene.want_live_calls(self.plan.applies_max)
        self.hold()
        window = self._run_applies(rate_per_second, None)
        self.drop_pending()
        return window

    def apply_while_sending(self) -> Window:
        """Applies as fast as it can while their webhooks go out. What is left of them is taken away."""
        self.scene.want_live_calls(self.plan.applies_max)
        self.let_go()
        window = self._run_applies(None, None)
        self.hold()
        self._settle(lambda: True)
        self.drop_pending()
        return window

    def _run_applies(self, rate_per_second: float | None, sent_file: Path | None) -> Window:
        orders = self.plan.orders(
            self.server,
            self.scene.apply_request(),
            connections=self.plan.headline_connections,
            expected_status=201,
            rate_per_second=rate_per_second,
            watched=self.made.watched,
        )
        window = run_load(orders, self.scene.live_call_ids, sent_file=sent_file)
        self.scene.take(window.requests_sent)
        return window

    def _until_received(self, window: Window, ids: Sequence[str], sent_file: Path, before: int) -> Window:
        sent = read_sent(sent_file)
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while self.receipts.count - before < len(sent):
            if time.monotonic() > deadline:
                raise LoadFailed(f"{len(sent)} were applied, {self.receipts.count - before} received")
            time.sleep(LOOK_SECONDS)
        self._settle(lambda: not self.waiting())
        came_ns = dict(self.receipts.after(before))
        latency = Histogram()
        for call_id, meant_for_ns in zip(ids, sent, strict=False):
            if meant_for_ns >= window.began_ns:
                latency.add((came_ns[call_id] - meant_for_ns) // 1000)
        return window.with_latency(latency)

    def drop_pending(self) -> None:
        """Whatever waits is taken away, as if it had never been."""
        self.made.execute(self.scene.database_url, "DELETE FROM deliveries WHERE state = 'pending'")

    def let_go(self) -> None:
        """Everything that is due may be sent; the server finds it within a second."""
        self.made.execute(self.scene.database_url, _LET_GO)

    def hold(self) -> None:
        """Nothing is sent any more; what is due waits."""
        self.made.execute(self.scene.database_url, "UPDATE endpoints SET state = 'paused'")

    @staticmethod
    def await_number(number: Callable[[], int], wanted: int) -> None:
        """Wait until it is as high as that. Raises LoadFailed."""
        _await(number, wanted)


def _watch(
    plan: Plan,
    receipts: Receipts,
    watched: Mapping[str, Sequence[int]],
    sink: servers.Server,
    counter: StatementCounter | None = None,
) -> Window:
    """What arrives at the sink in one window, from whoever is sending. The sink stands in for the generator."""
    cores = plan.places.generator
    _await(lambda: receipts.count, receipts.count + 1)
    time.sleep(plan.warm_up_seconds)
    statements, count, began_ns = counter.read() if counter else 0, receipts.count, time.monotonic_ns()
    used = _used(watched)
    sink_seconds, core = processor_seconds(sink.pid), core_time(cores)
    time.sleep(plan.seconds)
    _await(lambda: receipts.count, count + 1)
    seconds, answers = (time.monotonic_ns() - began_ns) / 1e9, receipts.count - count
    now = core_time(cores)
    busy, idle = now.busy_seconds - core.busy_seconds, now.idle_seconds - core.idle_seconds
    return Window(
        answers=answers,
        seconds=seconds,
        requests_sent=answers,
        statuses={},
        buckets={},
        used_seconds={name: seconds - used[name] for name, seconds in _used(watched).items()},
        generator_share=(processor_seconds(sink.pid) - sink_seconds) / seconds,
        core_share=busy / (busy + idle) if busy + idle else 0.0,
        began_ns=began_ns,
        statements=counter.read() - statements if counter else None,
    )


def _used(watched: Mapping[str, Sequence[int]]) -> dict[str, float]:
    return {name: sum(map(processor_seconds, pids)) for name, pids in watched.items()}


def _await(number: Callable[[], int], wanted: int) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while number() < wanted:
        if time.monotonic() > deadline:
            raise LoadFailed(f"waited for {wanted}, got as far as {number()}")
        time.sleep(LOOK_SECONDS)


def pending_deliveries(scene: Scene, count: int) -> Iterator[DeliveryRow]:
    """Deliveries of that many applies, all due, none ever tried."""
    for _ in range(count):
        call_id, applied_id = new_id(), new_id()
        event = Event(
            error_message="",
            timestamp=_LONG_AGO,
            scope=Scope(subaccount_id=scene.workspace_id, organization_id=scene.workspace_id),
            outcome=EventOutcome(
                outcome_id=scene.outcome_id, outcome_name="Interested", outcome_type="action"
            ),
            call=EventCall(call_id=call_id, phone_number="+12000000000", contact_id=call_id),
            destination={"destination_type": "smart_list", "destination_id": scene.smart_list_id},
        )
        yield DeliveryRow(
            workspace_id=scene.workspace_id,
            delivery_id=new_id(),
            endpoint_id=scene.endpoint_id,
            applied_id=applied_id,
            outcome_id=scene.outcome_id,
            call_id=call_id,
            contact_id=None,
            webhook_url=scene.webhook_url,
            payload=payload(event),
            state="pending",
            due_at=_LONG_AGO,
            attempt_count=0,
            schedule_step=0,
            lease_id=None,
            last_error=None,
            last_status=None,
            created_at=_LONG_AGO,
            finished_at=None,
        )


_LET_GO = f"UPDATE endpoints SET state = 'active', max_concurrency = {AT_ONCE}"
_LONG_AGO = 1_780_000_000_000


@contextlib.contextmanager
def stage(
    plan: Plan,
    made: Databases,
    name: str,
    *,
    counted: bool = False,
    prepare: Callable[[Scene], None] | None = None,
) -> Iterator[Stage]:
    """Everything at its place: the sink with the generator, the server on its own core.

    `prepare` is done before the server has the database: whoever fills it holds its lock for seconds.
    """
    port = servers.free_port()
    receipts_file = made.directory / f"{name}.receipts"
    receipts = Receipts(receipts_file)
    scene = make_scene(made.create(name), f"http://127.0.0.1:{port}/hook", paused=True)
    if prepare is not None:
        prepare(scene)
    counter = made.statement_counter(scene.database_url, name) if counted else None
    sinking = servers.serving(
        "sink",
        ["-m", "benchmarks.sink", str(port), str(receipts_file)],
        port=port,
        cores=plan.places.generator,
    )
    with sinking as sink, servers.leadline(scene.database_url, plan.places.server) as server:
        yield Stage(plan, made, scene, server, sink, receipts, counter)


def _bare(on: Stage) -> Window:
    """The bare loop on the server's core, as many at once, to the same sink."""
    arguments = ["-m", "benchmarks.bare_sender", str(on.sink.port), str(AT_ONCE)]
    before = on.receipts.count
    with servers.serving("bare loop", arguments, port=0, cores=on.plan.places.server) as sender:
        window = _watch(on.plan, on.receipts, {"server": [sender.pid]}, on.sink)
    on.receipts_of_others += on.receipts.count - before
    return window


def measure_deliver(plan: Plan, engine: str) -> Part:
    """The part on one engine."""
    with databases(engine, plan.places) as made:
        with stage(plan, made, "deliver") as on:
            case = f"{AT_ONCE} at once"
            cases: dict[Key, Measure] = {(case, DELIVERY): on.deliver, (case, BARE): partial(_bare, on)}
            windows = in_turn(plan, cases, title=f"deliver on {engine}")
            on.audit()
        with stage(plan, made, "latency") as on:
            peak = _peak_of_both(on, statistics.median(windows.per_second(case, DELIVERY)))
            at_rates = in_turn(
                plan,
                {
                    (f"{share:.0%} of {peak:,.0f}/s", APPLY): partial(on.apply, peak * share)
                    for share in SHARES
                },
                title=f"apply to receipt on {engine}",
            )
        statements = _count_statements(plan, made) if engine == "postgresql" else None
    return _part(plan, engine, windows, at_rates, statements)


def _peak_of_both(on: Stage, deliveries_per_second: float) -> float:
    """What one core can apply and deliver together: so much of it for each that both go equally fast."""
    applies_per_second = on.apply(None).per_second
    return 1 / (1 / applies_per_second + 1 / deliveries_per_second)


def _count_statements(plan: Plan, made: Databases) -> list[float]:
    """Statements for each delivery at the peak, in a run of its own: counting costs time."""
    with stage(plan, made, "counted", counted=True) as on:
        if on.counter is None:
            return []
        window = on.deliver()
        assert window.statements is not None
        return [window.statements / window.answers]


def _part(
    plan: Plan, engine: str, windows: Windows, at_rates: Windows, statements: list[float] | None
) -> Part:
    case = f"{AT_ONCE} at once"
    figures = [
        Figure(
            name=f"delivered and recorded / bare loop, {engine}",
            values=ratio(windows.per_second(case, DELIVERY), windows.per_second(case, BARE)),
            reach=0.60,
        ),
        Figure(
            name=f"the same by processor time, {engine}",
            values=ratio(windows.used_us(case, BARE, "server"), windows.used_us(case, DELIVERY, "server")),
        ),
    ]
    for share, row in zip(SHARES, at_rates.rows(), strict=True):
        figures.append(
            Figure(
                name=f"p99 from apply to receipt at {share:.0%} of peak, {engine}",
                values=row.columns["p99 ms"],
                better=Better.LOWER,
                reach=100.0 if share == HEADLINE_SHARE else None,
            )
        )
    if statements is not None:
        figures.append(
            Figure(
                name=f"statements per delivery at peak, {engine}",
                values=Values(Unit.COUNT, statements),
                better=Better.LOWER,
                reach=1.0,
            )
        )
    return Part(
        name=f"Deliver on {engine}",
        command=f"python -m benchmarks deliver --engine {engine} --runs {plan.runs}",
        rows=[*windows.rows(), *at_rates.rows()],
        figures=figures,
        notes=(
            "One endpoint with a mountain of due deliveries; in their rows, the generator is the sink.",
            "Each that was received is found recorded after the window, or the run fails.",
            "Latency counts from the moment an apply was meant to be sent to its arrival at the sink.",
            "The peak is what one core can apply and deliver together: 1 / (1/applies + 1/deliveries).",
        ),
    )
