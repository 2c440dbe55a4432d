"""What will go wrong, and when: a pure function of seed, length and engine."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec


class Point(StrEnum):
    """Where a process kills itself: before, within and after each step that changes who knows what."""

    BEFORE_CLAIM = "before claim"
    IN_CLAIM = "claim, before its commit"
    AFTER_CLAIM = "after claim"
    BEFORE_SEND = "before send"
    AFTER_SEND = "after send"
    BEFORE_RECORD = "before record"
    IN_RECORD = "record, before its commit"
    AFTER_RECORD = "after record"
    BEFORE_APPLY = "before apply"
    IN_APPLY = "apply, before its commit"
    AFTER_COMMIT = "after a commit, before its answer"


# What only a process with the API passes.
API_POINTS = frozenset({Point.BEFORE_APPLY, Point.IN_APPLY})


class Fault(StrEnum):
    """What the driver does to processes, database, clock and disk at a given second."""

    KILL = "process killed at random"
    STOP = "process told to stop (SIGTERM)"
    CLOCK_JUMP = "clock jumps"
    DISK_FULL = "disk full"
    DATABASE_CRASH = "PostgreSQL crashes and restarts"
    DATABASE_RESTART = "PostgreSQL restarts in order"
    DATABASE_CUT = "PostgreSQL connections cut"


class Spell(msgspec.Struct, frozen=True):
    """When something is hostile: the first half of each period, until the end comes into sight."""

    period_seconds: float
    offset_seconds: float
    until_seconds: float

    def is_hostile(self, elapsed_seconds: float) -> bool:
        """Whether it is hostile so many seconds after the start."""
        if elapsed_seconds >= self.until_seconds:
            return False
        return (elapsed_seconds + self.offset_seconds) % self.period_seconds < self.period_seconds / 2


class KillPoint(msgspec.Struct, frozen=True):
    """A process kills itself when it passes `point` for the `passing`-th time once it has worked for `calm_seconds`."""

    point: Point
    passing: int
    calm_seconds: float


class Injection(msgspec.Struct, frozen=True):
    """A fault of the driver's. `victim` counts the processes from 0; `amount` is the fault's own number."""

    at_seconds: float
    fault: Fault
    victim: int
    amount: float


class Plan(msgspec.Struct, frozen=True):
    """Everything that chance decides, decided before anything runs."""

    seed: int
    seconds: float
    engine: str
    roles: Sequence[str]
    kill_points: Sequence[Sequence[KillPoint]]
    """For each process one list: the point of its first life, of its second, …; after that it is left alone."""
    injections: Sequence[Injection]
    spells: Mapping[str, Spell]


ROLES: Mapping[str, Sequence[str]] = {"sqlite": ("serve",), "postgresql": ("serve", "serve", "worker")}
_DATABASE_FAULTS = (Fault.DATABASE_CRASH, Fault.DATABASE_RESTART, Fault.DATABASE_CUT)
FAULTS: Mapping[str, Sequence[Fault]] = {
    "sqlite": (Fault.KILL, Fault.STOP, Fault.CLOCK_JUMP, Fault.DISK_FULL),
    "postgresql": (Fault.KILL, Fault.STOP, Fault.CLOCK_JUMP, Fault.DISK_FULL, *_DATABASE_FAULTS),
}
PERIOD_SECONDS_MAX = 40.0
PASSINGS_MAX = 5
# A life that ends at once does nothing that could go wrong.
CALM_SECONDS = (0.3, 2.0)
FAULT_EVERY_SECONDS = 12.0


def make_plan(seed: int, seconds: float, engine: str, kinds: Sequence[str]) -> Plan:
    """The plan of one run: the same arguments give the same plan. `kinds` are the receivers that turn hostile."""
    chance = random.Random(f"{seed}/{engine}")  # noqa: S311 - reproducible on purpose
    roles = ROLES[engine]
    return Plan(
        seed=seed,
        seconds=seconds,
        engine=engine,
        roles=roles,
        kill_points=[_kill_points(chance, role, seconds) for role in roles],
        injections=_injections(chance, seconds, engine, len(roles)),
        spells={kind: _spell(chance, seconds) for kind in kinds},
    )


def _kill_points(chance: random.Random, role: str, seconds: float) -> list[KillPoint]:
    """Every point of this role in turn, in an order of chance, and again from the start on a long run."""
    points = [point for point in Point if role == "serve" or point not in API_POINTS]
    chance.shuffle(points)
    wanted = max(len(points), int(seconds // 4))
    chosen = itertools.islice(itertools.cycle(points), wanted)
    return [
        KillPoint(point, chance.randint(1, PASSINGS_MAX), round(chance.uniform(*CALM_SECONDS), 2))
        for point in chosen
    ]


def _injections(chance: random.Random, seconds: float, engine: str, victims: int) -> list[Injection]:
    times = max(1, int(seconds // FAULT_EVERY_SECONDS))
    found = [
        Injection(
            at_seconds=round(chance.uniform(0.1, 0.85) * seconds, 2),
            fault=fault,
            victim=chance.randrange(victims),
            amount=round(chance.uniform(0, 1), 3),
        )
        for fault in FAULTS[engine]
        for _ in range(times)
    ]
    return sorted(found, key=lambda each: each.at_seconds)


def _spell(chance: random.Random, seconds: float) -> Spell:
    period = min(PERIOD_SECONDS_MAX, 1.2 * seconds)
    return Spell(round(period, 2), round(chance.uniform(0, 0.2) * period, 2), round(0.75 * seconds, 2))
