"""Subjects in turn: A B A B …, so that what the machine does meanwhile falls upon all of them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load import BOTTLENECK_SHARE, LoadFailed, Orders, Window
from benchmarks.machine import Places, places
from benchmarks.report import Row, Unit, Values
from benchmarks.servers import Server


@dataclass(frozen=True)
class Plan:
    """How much to measure. `progress` is told, on standard error, what is being measured."""

    runs: int = 5
    seconds: float = 3.0
    warm_up_seconds: float = 0.5
    connections: Sequence[int] = (1, 16, 64, 256)
    engines: Sequence[str] = ("sqlite", "postgresql")
    applies_per_second_max: int = 20_000
    """For so many everything is prepared; a server that is faster ends its window early."""
    is_quick: bool = False
    rows_max: int | None = None
    places: Places = field(default_factory=places)

    @property
    def applies_max(self) -> int:
        """As many as a window can use up."""
        return int((self.warm_up_seconds + self.seconds) * self.applies_per_second_max)

    @property
    def deliveries_max(self) -> int:
        """More than can be sent until the window has ended and the sending has stopped."""
        return int((self.warm_up_seconds + self.seconds + STOP_SECONDS) * DELIVERIES_PER_SECOND_MAX)

    def orders(
        self,
        server: Server | Sequence[Server],
        template: bytes,
        *,
        connections: int,
        expected_status: int = 200,
        rate_per_second: float | None = None,
        watched: Mapping[str, Sequence[int]] | None = None,
    ) -> Orders:
        """One window of this plan's length on a server (or several), whose processor time is watched too."""
        serving = [server] if isinstance(server, Server) else server
        return Orders(
            ports=[each.port for each in serving],
            template=template,
            expected_status=expected_status,
            connections=connections,
            warm_up_seconds=self.warm_up_seconds,
            seconds=self.seconds,
            rate_per_second=rate_per_second,
            cores=sorted(self.places.generator),
            watched={"server": [each.pid for each in serving], **(watched or {})},
        )

    @property
    def headline_connections(self) -> int:
        """As many as the figures that have something to reach are measured with."""
        return HEADLINE_CONNECTIONS if HEADLINE_CONNECTIONS in self.connections else max(self.connections)

    def tell(self, what: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"\r\x1b[K{what}" if sys.stderr.isatty() else f"{what}\n")
            sys.stderr.flush()


HEADLINE_CONNECTIONS = 64
STOP_SECONDS = 0.5
DELIVERIES_PER_SECOND_MAX = 20_000
# Whether it runs at all, and counts right.
QUICK: Mapping[str, Any] = {
    "runs": 1,
    "seconds": 0.1,
    "warm_up_seconds": 0.05,
    "connections": (8,),
    "applies_per_second_max": 12_000,
    "is_quick": True,
}

Measure = Callable[[], Window]
Key = tuple[str, str]


class Windows:
    """What was seen, by case and subject, one window for each run."""

    def __init__(self) -> None:
        self._windows: dict[Key, list[Window]] = {}

    def add(self, case: str, subject: str, window: Window) -> None:
        self._windows.setdefault((case, subject), []).append(window)

    def drop(self, case: str, subject: str) -> None:
        self._windows.pop((case, subject), None)

    def of(self, case: str, subject: str) -> Sequence[Window]:
        return self._windows.get((case, subject), ())

    def per_second(self, case: str, subject: str) -> list[float]:
        return [window.per_second for window in self.of(case, subject)]

    def percentiles_ms(self, case: str, subject: str, percent: float) -> list[float]:
        return [window.latency.percentile_ms(percent) for window in self.of(case, subject)]

    def used_us(self, case: str, subject: str, name: str) -> list[float]:
        values = (window.used_us(name) for window in self.of(case, subject))
        return [value for value in values if value is not None]

    def rows(self, more: Mapping[Key, Mapping[str, Values]] | None = None) -> list[Row]:
        """A row for each case and subject; `more` has further columns for some of them."""
        return [self._row(*key, (more or {}).get(key, {})) for key in self._windows]

    def _row(self, case: str, subject: str, more: Mapping[str, Values]) -> Row:
        windows = self._windows[case, subject]
        columns = {
            "per second": Values(Unit.PER_SECOND, self.per_second(case, subject)),
        }
        if all(window.buckets for window in windows):
            columns["p50 ms"] = Values(Unit.MS, self.percentiles_ms(case, subject, 50))
            columns["p99 ms"] = Values(Unit.MS, self.percentiles_ms(case, subject, 99))
        for name, title in (("server", "CPU µs"), ("database", "PostgreSQL CPU µs")):
            used = self.used_us(case, subject, name)
            if used:
                columns[title] = Values(Unit.US, used)
        columns |= more
        columns["generator %"] = Values(Unit.PERCENT, [window.generator_share * 100 for window in windows])
        return Row(case, subject, columns, _remarks(windows))


def _remarks(windows: Sequence[Window]) -> list[str]:
    """What a reader must know before he believes the row."""
    remarks = []
    limited = sum(window.generator_share >= BOTTLENECK_SHARE for window in windows)
    crowded = sum(window.is_bottleneck for window in windows) - limited
    if limited:
        remarks.append(f"THE GENERATOR WAS THE BOTTLENECK in {limited} of {len(windows)}")
    if crowded:
        remarks.append(f"the generator's core was full in {crowded} of {len(windows)}")
    if any(window.overrun for window in windows):
        remarks.append("could not keep up with the rate")
    return remarks


def in_turn(
    plan: Plan, cases: Mapping[Key, Measure], *, title: str, failures: list[str] | None = None
) -> Windows:
    """Each subject's window for each case, again and again, as often as the plan says.

    A window that fails raises LoadFailed; with `failures` it is told there, and its case is left out with all that was
    seen of it: what took half an hour to set up is not thrown away.
    """
    windows = Windows()
    left = dict(cases)
    for run in range(plan.runs):
        for (case, subject), measure in list(left.items()):
            plan.tell(f"{title}, run {run + 1} of {plan.runs}: {case}, {subject}")
            try:
                windows.add(case, subject, measure())
            except LoadFailed as failed:
                if failures is None:
                    raise
                failures.append(f"NOT MEASURED, for it failed: {case}, {subject} ({failed}).")
                windows.drop(case, subject)
                del left[case, subject]
    return windows
