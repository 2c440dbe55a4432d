"""The machine: which cores there are, who runs on which, and what processor time and memory a process has used."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Places:
    """Which cores each party runs on. With two cores PostgreSQL shares the generator's, never the server's."""

    server: frozenset[int]
    generator: frozenset[int]
    database: frozenset[int]

    def __str__(self) -> str:
        names = {"server": self.server, "generator": self.generator, "PostgreSQL": self.database}
        return ", ".join(f"{name} on core {_listed(cores)}" for name, cores in names.items())

    @property
    def generator_has_its_own(self) -> bool:
        """Whether the server is kept off the generator's core."""
        return not self.server & self.generator


def places(cores: Iterable[int] | None = None) -> Places:
    """The first core for the server, the second for the generator, the others (if any) for PostgreSQL."""
    usable = sorted(os.sched_getaffinity(0) if cores is None else cores)
    server, generator = usable[0], usable[min(1, len(usable) - 1)]
    return Places(
        server=frozenset({server}),
        generator=frozenset({generator}),
        database=frozenset(usable[2:]) or frozenset({generator}),
    )


def pin(pids: Iterable[int], cores: frozenset[int]) -> None:
    """Keep processes, with all their threads, on these cores; what they start later stays there too."""
    for pid in pids:
        for thread in _threads(pid):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(thread, cores)


def _threads(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return [int(each.name) for each in (_PROC / str(pid) / "task").iterdir()]
    return []


def family(pid: int) -> list[int]:
    """A process and all its descendants, as they are at this moment."""
    children: dict[int, list[int]] = {}
    for each in _PROC.iterdir():
        if each.name.isdigit():
            fields = _stat(int(each.name))
            if fields is not None:
                children.setdefault(int(fields[1]), []).append(int(each.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def processor_seconds(pid: int) -> float:
    """What a process and its descendants have used since they began, those that have ended included."""
    return sum(_own_seconds(each) for each in family(pid))


def _own_seconds(pid: int) -> float:
    """Of all its threads, to the nanosecond, and of children that were waited for, to the tick."""
    fields = _stat(pid)
    if fields is None:
        return 0.0
    children_seconds = sum(map(int, fields[13:15])) / _TICKS_PER_SECOND  # cutime, cstime
    with contextlib.suppress(OSError):
        return time.clock_gettime(_processor_clock(pid)) + children_seconds
    return 0.0  # it has ended just now


def _processor_clock(pid: int) -> int:
    """The number of a process's CPU clock, as Linux makes it (clock_getcpuclockid)."""
    return (~pid << 3) | 2


def _stat(pid: int) -> list[str] | None:
    """The fields behind the name, from the state on; None when there is no such process."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def memory_peak_mb(pid: int) -> float:
    """The most memory a process ever had resident, in MB (10^6 bytes)."""
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


@dataclass(frozen=True, slots=True)
class CoreTime:
    """Seconds since the machine started that some cores were busy, and that they were not."""

    busy_seconds: float
    idle_seconds: float


def core_time(cores: frozenset[int]) -> CoreTime:
    busy = idle = 0.0
    names = {f"cpu{core}" for core in cores}
    for line in (_PROC / "stat").read_text().splitlines():
        name, *fields = line.split()
        if name in names:
            ticks = [int(each) for each in fields[:8]]
            waiting = ticks[3] + ticks[4]
            idle += waiting / _TICKS_PER_SECOND
            busy += (sum(ticks) - waiting) / _TICKS_PER_SECOND
    return CoreTime(busy, idle)


def describe() -> Mapping[str, str]:
    """What a reader wants to know of the machine before believing a number."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
    }


def _processor() -> str:
    for line in (_PROC / "cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _listed(cores: frozenset[int]) -> str:
    return "+".join(map(str, sorted(cores)))
