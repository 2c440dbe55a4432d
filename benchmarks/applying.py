"""Apply: a full apply over HTTP against an echo of the same size and against the idiomatic application."""

from __future__ import annotations

import contextlib
import json
import statistics
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks import servers
from benchmarks.databases import Databases, StatementCounter, databases
from benchmarks.delivering import stage
from benchmarks.load import Window, request, run_load
from benchmarks.measuring import HEADLINE_CONNECTIONS, Key, Measure, Plan, Windows, in_turn
from benchmarks.report import Better, Figure, Part, Unit, Values, ratio
from benchmarks.scene import ANY_AUTHORIZATION, NOTE, NOWHERE, Scene, make_scene
from benchmarks.syncing import SYNC_BYTES, SYNCS_PER_SECOND, measure_disk
from leadline.ids import new_id

LEADLINE, ECHO, IDIOMATIC, SENDING = "leadline", "bare echo", "idiomatic", "leadline, sending"
CHECKED = "echo"
DISK = "the disk alone"


@dataclass
class Applier:
    """A server that applies outcomes, and the calls to apply them to."""

    server: servers.Server
    scene: Scene
    watched: Mapping[str, Sequence[int]]
    plan: Plan

    @property
    def calls_wanted(self) -> int:
        """More than a window can use up."""
        return self.plan.applies_max

    def measure(self, connections: int, rate_per_second: float | None = None) -> Window:
        """One window of applies, each to a call of its own."""
        self.scene.want_live_calls(self.calls_wanted)
        orders = self.plan.orders(
            self.server,
            self.scene.apply_request(),
            connections=connections,
            expected_status=201,
            rate_per_second=rate_per_second,
            watched=self.watched,
        )
        window = run_load(orders, self.scene.live_call_ids)
        self.scene.take(window.requests_sent)
        return window

    def answer_bytes(self) -> int:
        """How long an answer is: of one apply, looked at closely."""
        self.scene.want_live_calls(1)
        (call_id,) = self.scene.take(1)
        body = {"outcome_id": self.scene.outcome_id, "note": NOTE}
        headers = {
            **self.scene.authorization,
            "Idempotency-Key": f"first-{call_id}",
            "Content-Type": "application/json",
        }
        url = f"http://127.0.0.1:{self.server.port}/phone-system/calls/{call_id}/outcomes"
        asked = urllib.request.Request(url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(asked, timeout=30) as answered:  # noqa: S310 - as above
            content: bytes = answered.read()
            answer = json.loads(content)
        assert answered.status == 201
        assert answer["applied"]["delivery_id"] is not None
        assert answer["applied"]["destination"]["lists_added"] == [self.scene.smart_list_id]
        return len(content)


def measure_apply(plan: Plan, engine: str) -> Part:
    """The part on one engine."""
    with databases(engine, plan.places) as made, contextlib.ExitStack() as stack:
        appliers = _appliers(plan, made, stack)
        size_bytes = appliers[LEADLINE].answer_bytes()
        echo = stack.enter_context(servers.echo(plan.places.server))
        checked_scene = make_scene(made.create("echo"), NOWHERE, paused=True)
        checked = stack.enter_context(
            servers.checked_echo(checked_scene.database_url, plan.places.server, size_bytes)
        )
        cases: dict[Key, Measure] = {}
        for connections in plan.connections:
            case = f"{connections} connections"
            for subject, applier in appliers.items():
                cases[case, subject] = partial(applier.measure, connections)
            cases[case, CHECKED] = partial(_measure_checked, plan, checked, checked_scene, connections)
            cases[case, ECHO] = partial(_measure_echo, plan, echo, size_bytes, connections)
        sending = stack.enter_context(stage(plan, made, "sending"))
        cases[f"{plan.headline_connections} connections", SENDING] = sending.apply_while_sending
        windows = in_turn(plan, cases, title=f"apply on {engine}")
        at_rates = _measure_rates(plan, made, appliers[LEADLINE], windows)
        memory = appliers[LEADLINE].server.memory_peak_mb
    statements = _count_statements(plan, engine)
    return _part(plan, engine, windows, at_rates, statements, memory)


def _appliers(plan: Plan, made: Databases, stack: contextlib.ExitStack) -> dict[str, Applier]:
    """Both of them at once, each with a database of its own; whose turn it is not is idle."""
    starts = {LEADLINE: servers.leadline, IDIOMATIC: servers.idiomatic}
    found = {}
    for subject, start in starts.items():
        scene = make_scene(made.create(subject), NOWHERE, paused=True)
        server = stack.enter_context(start(scene.database_url, plan.places.server))
        found[subject] = Applier(server, scene, made.watched, plan)
    return found


def _measure_echo(plan: Plan, echo: servers.Server, size_bytes: int, connections: int) -> Window:
    """The same head but for the path's end, the same body, an answer as long."""
    body = json.dumps({"outcome_id": "0" * 36, "note": NOTE}).encode()
    headers = {**ANY_AUTHORIZATION, "Idempotency-Key": f"bench-{'0' * 36}"}
    target = f"/phone-system/calls/{'0' * 36}/{size_bytes:08d}"
    same = request("POST", target, headers=headers, body=body)
    return run_load(plan.orders(echo, same, connections=connections))


def _measure_checked(plan: Plan, echo: servers.Server, scene: Scene, connections: int) -> Window:
    """The very requests of an apply: token, key, body. The calls need not exist."""
    orders = plan.orders(echo, scene.apply_request(), connections=connections, expected_status=201)
    return run_load(orders, [new_id() for _ in range(plan.applies_max)])


def _measure_rates(plan: Plan, made: Databases, applier: Applier, windows: Windows) -> Windows:
    """Latency at half of what it can do, requests coming whether or not the last was answered; and the disk's."""
    peak = max(
        statistics.median(windows.per_second(f"{connections} connections", LEADLINE))
        for connections in plan.connections
    )
    connections = plan.headline_connections
    rate = peak / 2
    case = f"half of peak, {rate:,.0f}/s"
    cases: dict[Key, Measure] = {
        (case, LEADLINE): partial(applier.measure, connections, rate),
        (case, DISK): partial(measure_disk, plan, made.directory),
    }
    return in_turn(plan, cases, title="open loop")


def _count_statements(plan: Plan, engine: str) -> dict[Key, Values]:
    """Statements for each apply, in runs of their own: counting costs time."""
    counts: dict[Key, Values] = {}
    starts = {LEADLINE: servers.leadline, IDIOMATIC: servers.idiomatic}
    with databases(engine, plan.places) as made:
        for subject, start in starts.items():
            plan.tell(f"apply on {engine}: counting the statements of {subject}")
            scene = make_scene(made.create(subject), NOWHERE, paused=True)
            counter = made.statement_counter(scene.database_url, subject)
            if counter is None:
                break
            with start(scene.database_url, plan.places.server, counter_file=counter.file) as server:
                applier = Applier(server, scene, {}, plan)
                for connections, count in _counted(plan, applier, counter):
                    counts[f"{connections} connections", subject] = Values(Unit.COUNT, [count])
    return counts


def _counted(plan: Plan, applier: Applier, counter: StatementCounter) -> Iterator[tuple[int, float]]:
    for connections in plan.connections:
        applier.scene.want_live_calls(applier.calls_wanted)
        before = counter.read()
        window = applier.measure(connections)
        yield connections, (counter.read() - before) / window.requests_sent


def _part(
    plan: Plan,
    engine: str,
    windows: Windows,
    at_rates: Windows,
    statements: Mapping[Key, Values],
    memory_mb: float,
) -> Part:
    more = {key: {"statements": count} for key, count in statements.items()}
    rows = [*windows.rows(more), *at_rates.rows()]
    return Part(
        name=f"Apply on {engine}",
        command=f"python -m benchmarks apply --engine {engine} --runs {plan.runs}",
        rows=rows,
        figures=list(_figures(plan, engine, windows, at_rates, statements, memory_mb)),
        notes=(
            "Deliveries are made and committed, their endpoint is paused: nothing is sent meanwhile.",
            f"That is the headline; in the row of '{SENDING}' the same core sends them too, to a local sink.",
            "The echo passes every check of an apply and answers as many bytes; the bare echo has HTTP alone.",
            "Statements are those of a run of their own, with BEGIN, SAVEPOINT and COMMIT.",
            (
                f"The disk alone: {SYNC_BYTES // 1000} kB written and synced {SYNCS_PER_SECOND:.0f} times a second. "
                "Nobody is answered before a sync."
            ),
        ),
    )


def _figures(
    plan: Plan,
    engine: str,
    windows: Windows,
    at_rates: Windows,
    statements: Mapping[Key, Values],
    memory_mb: float,
) -> Iterator[Figure]:
    for connections in plan.connections:
        case = f"{connections} connections"
        ours = windows.per_second(case, LEADLINE)
        is_headline = connections == HEADLINE_CONNECTIONS
        yield Figure(
            name=f"apply / echo, {engine}, {case}",
            values=ratio(ours, windows.per_second(case, CHECKED)),
            reach=0.40 if is_headline and engine == "sqlite" else None,
        )
        yield Figure(
            name=f"the same by processor time, {engine}, {case}",
            values=ratio(windows.used_us(case, CHECKED, "server"), windows.used_us(case, LEADLINE, "server")),
        )
        yield Figure(
            name=f"apply / bare echo, {engine}, {case}",
            values=ratio(ours, windows.per_second(case, ECHO)),
        )
        yield Figure(
            name=f"apply / idiomatic, {engine}, {case}",
            values=ratio(ours, windows.per_second(case, IDIOMATIC)),
            reach=8.0 if is_headline else None,
        )
        yield Figure(
            name=f"statements per apply, {engine}, {case}",
            values=statements.get((case, LEADLINE), Values(Unit.COUNT, [])),
            better=Better.LOWER,
            reach=1.0 if is_headline and engine == "postgresql" else None,
        )
    for row in (row for row in at_rates.rows() if row.subject == LEADLINE):
        yield Figure(
            name=f"p99 of apply at half of peak, {engine}",
            values=row.columns["p99 ms"],
            better=Better.LOWER,
            reach=25.0,
        )
    yield Figure(
        name=f"memory at peak, one process, {engine}",
        values=Values(Unit.MB, [memory_mb]),
        better=Better.LOWER,
        reach=200.0,
    )
