"""Processes: one PostgreSQL with 1, 2 and 4 servers and as many workers.

On one core more of them can be no faster; what counts is what an operation costs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks import servers
from benchmarks.databases import Databases, databases
from benchmarks.delivering import Stage, stage
from benchmarks.load import Window, run_load
from benchmarks.measuring import Key, Measure, Plan, Windows, in_turn
from benchmarks.report import Figure, Part, ratio

PROCESSES, QUICK_PROCESSES = (1, 2, 4), (1, 2)
# Processes are added when there is more to do, so each gets as much as the one had; and, to be seen, the same in all.
APPLY, APPLY_SHARED, DELIVER = "apply, as many connections each", "apply, as many in all", "deliver"
# What "flat" means here: no more than this share of the processor time may be lost to company.
FLAT = 0.85


@dataclass
class Company:
    """So many servers and workers on one database."""

    on: Stage
    all_servers: list[servers.Server]

    def apply(self) -> Window:
        """Applies, as many connections to each server as one alone is measured with."""
        return self._apply(self.on.plan.headline_connections * len(self.all_servers))

    def apply_shared(self) -> Window:
        """Applies over as many connections as one alone is measured with, dealt out to all servers."""
        return self._apply(self.on.plan.headline_connections)

    def _apply(self, connections: int) -> Window:
        """Their webhooks wait."""
        plan, scene = self.on.plan, self.on.scene
        scene.want_live_calls(plan.applies_max)
        orders = plan.orders(
            self.all_servers,
            scene.apply_request(),
            connections=connections,
            expected_status=201,
            watched=self.on.made.watched,
        )
        self.on.hold()
        window = run_load(orders, scene.live_call_ids)
        scene.take(window.requests_sent)
        self.on.drop_pending()
        return window


def measure_processes(plan: Plan) -> Part:
    """The part, on PostgreSQL alone: a SQLite file has one process."""
    counts = QUICK_PROCESSES if plan.is_quick else PROCESSES
    with databases("postgresql", plan.places) as made, contextlib.ExitStack() as stack:
        cases: dict[Key, Measure] = {}
        companies = {count: stack.enter_context(_company(plan, made, count)) for count in counts}
        for count, company in companies.items():
            cases[APPLY, _subject(count)] = company.apply
        for count, company in list(companies.items())[1:]:
            cases[APPLY_SHARED, _subject(count)] = company.apply_shared
        for count, company in companies.items():
            cases[DELIVER, _subject(count)] = company.on.deliver
        windows = in_turn(plan, cases, title="processes")
    return Part(
        name="Processes on postgresql",
        command=f"python -m benchmarks processes --runs {plan.runs}",
        rows=windows.rows(),
        figures=[
            Figure(
                name=f"processor time of {operation}: 1 process / {count}",
                values=ratio(_used_us(windows, alone, 1), _used_us(windows, operation, count)),
                reach=None if operation == APPLY_SHARED else FLAT,
            )
            for operation, alone in ((APPLY, APPLY), (APPLY_SHARED, APPLY), (DELIVER, DELIVER))
            for count in counts[1:]
        ],
        notes=(
            "Each number of processes has a database of its own, and its turn; all share the server's core.",
            "As many connections in all are fewer for each process: smaller batches, which cost more for each apply.",
            "Processor time in the figures is that of all servers and workers and of PostgreSQL together.",
        ),
    )


def _subject(count: int) -> str:
    return f"{count} serve + {count} worker"


def _used_us(windows: Windows, operation: str, count: int) -> list[float]:
    """Processor time for each operation, of servers, workers and, where it can be seen, PostgreSQL."""
    subject = _subject(count)
    ours = windows.used_us(operation, subject, "server")
    database = windows.used_us(operation, subject, "database") or [0.0] * len(ours)
    return [a + b for a, b in zip(ours, database, strict=True)]


@contextlib.contextmanager
def _company(plan: Plan, made: Databases, count: int) -> Iterator[Company]:
    with stage(plan, made, f"processes{count}") as on, contextlib.ExitStack() as stack:
        start = partial(servers.leadline, on.scene.database_url, plan.places.server)
        others = [stack.enter_context(start()) for _ in range(count - 1)]
        workers = [stack.enter_context(start(role="worker")) for _ in range(count)]
        on.helpers = [each.pid for each in (*others, *workers)]
        yield Company(on, [on.server, *others])
