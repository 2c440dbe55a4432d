"""The driver's own faults: processes, the clock, the disk, PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import asyncpg

from chaos.plan import Fault, Injection
from chaos.processes import Victim
from chaos.victim import CLOCK_FILE, FULL_FILE

DISK_FULL_SECONDS = 1.5
DISK_BYTES = 48 * 1024 * 1024
# Forward by up to an hour. Back by little: what was put off by a clock that was ahead is due that much later.
JUMP_FORWARD_SECONDS_MAX = 3600.0
JUMP_BACK_SECONDS_MAX = 3.0
_CUT = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"


class Postgres(Protocol):
    """What is needed of `postgres.PostgresServer`."""

    url: str

    def restart(self, *, crash: bool = False) -> None: ...


class Disk:
    """Where the database of a run lies. `is_real`: a file system of its own that can be filled."""

    def __init__(self, directory: Path, *, is_real: bool, orders_directory: Path) -> None:
        self.directory = directory
        self.is_real = is_real
        self._full_file = orders_directory / FULL_FILE
        self._balloon = directory / "balloon"

    def fill(self) -> None:
        """Not a byte more goes in; without a file system of its own, SQLite is told so (`chaos.victim`)."""
        if not self.is_real:
            self._full_file.touch()
            return
        with contextlib.suppress(OSError), self._balloon.open("wb", buffering=0) as balloon:
            for chunk_bytes in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while balloon.write(bytes(chunk_bytes)) == chunk_bytes:
                        pass

    def free(self) -> None:
        """There is room again."""
        self._full_file.unlink(missing_ok=True)
        self._balloon.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[Disk]:
    """A small tmpfs, where mounting is allowed; else a plain folder."""
    place = directory / "disk"
    place.mkdir()
    mounted = _mount(place)
    try:
        yield Disk(place, is_real=mounted, orders_directory=directory)
    finally:
        if mounted:
            subprocess.run([_umount(), "--lazy", str(place)], check=False, capture_output=True)


def put_database_on(disk: Disk, database_url: str, maintenance_url: str) -> None:
    """Move a database of a PostgreSQL of our own, an empty one, onto a disk: its tables, not the log of the cluster.

    A cluster that cannot write its log crashes, which is a fault of its own; one that cannot write a table refuses.
    """
    place = disk.directory / "tables"
    place.mkdir(mode=0o700)
    if os.geteuid() == 0:
        # PostgreSQL refuses to be root; as `nobody` (tests/postgres.py) it must find its way in here.
        shutil.chown(place, "nobody")
        disk.directory.parent.chmod(0o711)
    asyncio.run(_move(urlsplit(database_url).path[1:], place, maintenance_url))


async def _move(name: str, place: Path, maintenance_url: str) -> None:
    connection = await asyncpg.connect(maintenance_url)
    try:
        await connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        await connection.execute(f'ALTER DATABASE "{name}" SET TABLESPACE small')
    finally:
        await connection.close()


def _mount(place: Path) -> bool:
    mount = shutil.which("mount")
    if mount is None:
        return False
    command = [mount, "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "leadline-chaos", str(place)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _umount() -> str:
    return shutil.which("umount") or "umount"


class Faults:
    """Carries out a plan's injections, each at its second, and counts those that took place."""

    def __init__(
        self, victims: Sequence[Victim], directory: Path, disk: Disk, postgres: Postgres | None, database: str
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._victims = victims
        self._directory = directory
        self._disk = disk
        self._postgres = postgres
        self._database = database
        self._offset_seconds = 0.0
        self._deeds: Mapping[Fault, Callable[[Injection], Awaitable[bool]]] = {
            Fault.KILL: self._kill,
            Fault.STOP: self._stop,
            Fault.CLOCK_JUMP: self._jump,
            Fault.DISK_FULL: self._fill,
            Fault.DATABASE_CRASH: lambda _: self._restart(crash=True),
            Fault.DATABASE_RESTART: lambda _: self._restart(crash=False),
            Fault.DATABASE_CUT: lambda _: self._cut(),
        }

    async def carry_out(self, injections: Sequence[Injection]) -> None:
        """All of them, one after the other; seconds count from now."""
        started_at = time.monotonic()
        for injection in injections:
            await asyncio.sleep(max(0.0, injection.at_seconds - (time.monotonic() - started_at)))
            if await self._deeds[injection.fault](injection):
                self.counts[injection.fault] += 1

    async def _kill(self, injection: Injection) -> bool:
        return self._victims[injection.victim].kill(Fault.KILL)

    async def _stop(self, injection: Injection) -> bool:
        """Wait, within reason, for a process that has come up: before that it owes no orderly end."""
        victim = self._victims[injection.victim]
        for _ in range(100):
            if victim.terminate(Fault.STOP):
                return True
            await asyncio.sleep(0.05)
        return False

    async def _jump(self, injection: Injection) -> bool:
        forward = injection.amount > 0.5 or self._offset_seconds == 0
        step = JUMP_FORWARD_SECONDS_MAX if forward else -JUMP_BACK_SECONDS_MAX
        self._offset_seconds += step * max(0.1, injection.amount)
        fresh = self._directory / f"{CLOCK_FILE}.new"
        fresh.write_text(json.dumps(self._offset_seconds))
        fresh.replace(self._directory / CLOCK_FILE)
        return True

    async def _fill(self, _injection: Injection) -> bool:
        if self._postgres is not None and not self._disk.is_real:
            return False  # SQLite can be told that its disk is full, PostgreSQL cannot
        try:
            await asyncio.to_thread(self._disk.fill)
            await asyncio.sleep(DISK_FULL_SECONDS)
        finally:
            self._disk.free()
        return True

    async def _restart(self, *, crash: bool) -> bool:
        assert self._postgres is not None
        await asyncio.to_thread(self._postgres.restart, crash=crash)
        return True

    async def _cut(self) -> bool:
        assert self._postgres is not None
        connection = await asyncpg.connect(self._postgres.url)
        try:
            return bool(await connection.fetchval(_CUT, self._database))
        finally:
            await connection.close()
