"""SQLite: one file, one writer, many requests to a commit.

Writes queue up. The writer takes everything that waits (bounded), runs each operation in a savepoint of its own,
commits once and has that on disk before it answers them all. No clock makes a batch wait: while one commit is on its
way to the disk, the next batch gathers by itself, and those who have just been answered together are let come back
together.

What takes a moment is carried out in the event loop itself, and a thread waits for the disk (decision 13).
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from leadline.clock import Clock, monotonic_seconds
from leadline.domain.errors import LeadlineError, Unavailable
from leadline.store import sqlite_driver as driver
from leadline.store.database import Listener, Listeners, Together, Tx, probe
from leadline.store.engines import Engine
from leadline.store.sqlite_batch import Batch, Job, SqliteTx, drive
from leadline.store.sqlite_log import WriteAheadLog
from leadline.store.vault import Vault

T = TypeVar("T")
log = logging.getLogger("leadline.store")

# 3.51.3 mended the WAL-reset bug, by which a checkpoint at the wrong moment loses committed data.
VERSION_MIN = (3, 51, 3)
QUEUE_MAX = 4096
# A batch holds the event loop: full of applies for some 20 ms.
BATCH_MAX = 128
LONG_READS_MAX = 4
BUSY_TIMEOUT_MS = 5000
# How long the write-ahead log gets before its pages move into the database file, which takes 3 ms and more, most of it
# for syncs, and nobody can write meanwhile: about 8 MB when nobody has written for a moment (what happens to one call
# follows closely), and twice that when they never stop.
CHECKPOINT_FRAMES_IDLE, CHECKPOINT_FRAMES = 2000, 4000
IDLE_SECONDS = 0.005
# What waits for no disk gets there with the next commit that does, or this much later by itself.
UNSYNCED_SECONDS_MAX = 0.05
# After a batch was answered the event loop is let go round as long as that brings more to write: so many times in vain,
# and no longer than this altogether.
VAIN_TURNS_MAX, COMING_BACK_SECONDS_MAX = 3, 0.02
_NOTHING_WRITTEN_IS_TRUSTED = (
    "The disk failed to keep a commit. Restart Leadline, so that it reads what is there."
)


class SqliteTooOld(Exception):
    """This Python's SQLite can lose data."""


class DatabaseInUse(Exception):
    """Another `leadline serve` or `worker` has this file."""


class SqliteDatabase:
    """A SQLite file, opened by one process. Other processes may look and write small things (the command line)."""

    engine = Engine.SQLITE

    def __init__(
        self,
        path: str,
        *,
        clock: Clock,
        exclusive: bool = False,
        vault: Vault | None = None,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        """`exclusive` takes the file for this process: a second server on it would send everything twice.

        `on_failure` is called in the event loop, perhaps more than once, when the disk has failed: from then
        on nothing is written or read, and only a restart mends it.
        """
        self.path = path
        self._clock = clock
        self._vault = vault or Vault()
        self._exclusive = exclusive
        self._lock_file: IO[str] | None = None
        self._listeners = Listeners()
        self._on_failure = on_failure
        self._failed: str | None = None
        self._long_reads = asyncio.Semaphore(LONG_READS_MAX)
        # Of the writer, which lives in the event loop.
        self._jobs: deque[Job] = deque()
        self._closing = False
        self._writer: asyncio.Task[None] | None = None
        self._awaited: asyncio.Future[None] | None = None
        # While a commit that everybody can see is on its way to the disk.
        self._keeping: asyncio.Future[None] | None = None
        # When the oldest commit was made that no sync has followed yet.
        self._unsynced_since: float | None = None
        self._syncs = True

    async def open(self) -> None:
        if driver.VERSION < VERSION_MIN:
            found, wanted = (".".join(map(str, version)) for version in (driver.VERSION, VERSION_MIN))
            raise SqliteTooOld(f"SQLite {found} can lose data; {wanted} or newer is needed")
        if self._exclusive:
            self._lock_file = _take(self.path)
        self._write_connection = connect(self.path)
        self._read_connection = connect(self.path)
        self._read_connection.execute("PRAGMA query_only=ON")
        _sync_directory(self.path)
        self._log = WriteAheadLog(self.path, self._write_connection)
        # In the event loop nobody waits for another process.
        self._write_connection.set_busy_timeout(0)
        # Waits for the disk and for other processes, and does what takes long; one thing after the other.
        self._hand = ThreadPoolExecutor(1, "leadline-writer")
        self._writer = asyncio.create_task(self._write_all(), name="leadline-writer")

    async def close(self) -> None:
        self._closing = True
        self._wake()
        if self._writer is not None:
            await asyncio.wait([self._writer])
            self._writer = None
            await asyncio.to_thread(self._hand.shutdown)
            self._log.close()
            self._read_connection.close()
            self._write_connection.close()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def listen(self, listener: Listener) -> Callable[[], None]:
        return self._listeners.add(listener)

    async def healthy(self) -> str | None:
        if (trouble := self._trouble()) is not None:
            return trouble
        try:
            async with asyncio.timeout(BUSY_TIMEOUT_MS / 1000):
                return await self.write(probe)
        except (LeadlineError, TimeoutError):
            return self._trouble() or "the database cannot be written"

    def _trouble(self) -> str | None:
        """What only a restart mends."""
        return self._failed

    async def read(self, work: Callable[[Tx], Awaitable[T]], *, long: bool = False) -> T:
        if long:
            async with self._long_reads:
                answer = await asyncio.to_thread(self._read_aside, work)
        else:
            # In the event loop itself: a bounded, indexed read costs less than handing it to a thread would.
            answer = self._read(self._read_connection, work)
        if self._keeping is not None:
            # It may have seen what is not on the disk yet, and nobody is told that before it is.
            await asyncio.shield(self._keeping)
        if self._failed is not None:
            raise Unavailable(self._failed)
        return answer

    def _read_aside(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        connection = connect(self.path)
        connection.execute("PRAGMA query_only=ON")
        try:
            return self._read(connection, work)
        finally:
            connection.close()

    def _read(self, connection: driver.Connection, work: Callable[[Tx], Awaitable[T]]) -> T:
        connection.execute("BEGIN")
        try:
            return drive(work(SqliteTx(connection, self._clock.now_ms(), self._vault)))
        except driver.Error as broken:
            raise Unavailable from broken
        finally:
            if connection.in_transaction:  # else SQLite has rolled back by itself
                connection.execute("ROLLBACK")

    async def write(
        self,
        work: Callable[[Tx], Awaitable[T]],
        *,
        long: bool = False,
        durable: bool = True,
        patient: bool = False,  # noqa: ARG002 - it shares a commit with those who are not
    ) -> T:
        job = Job(work, asyncio.get_running_loop().create_future(), durable=durable, long=long)
        return cast("T", await self._queue(job))

    async def write_together(self, work: Together[T], workspace_id: str, item: Any) -> T:
        future = asyncio.get_running_loop().create_future()
        return cast("T", await self._queue(Job(work, future, kind=(work, workspace_id), item=item)))

    def _queue(self, job: Job) -> asyncio.Future[Any]:
        if self._failed is not None:
            raise Unavailable(self._failed)
        if self._closing or len(self._jobs) >= QUEUE_MAX:
            raise Unavailable
        self._jobs.append(job)
        self._wake()
        return job.future

    def _wake(self) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)

    async def _write_all(self) -> None:
        try:
            while (batch := await self._next_batch()) is not None:
                if batch.jobs:
                    await self._write_and_answer(batch)
                else:
                    await self._tidy()
        except Exception as broken:
            # A bug of ours. Nobody would write any more, so nobody is to wait for it.
            log.exception("the writer has ended")
            left = Batch(list(self._jobs))
            self._give_up(left, broken)
            self._settle(left)
            self._fail()

    async def _next_batch(self) -> Batch | None:
        """What waits, nothing when it is time to tidy up, None when the database is being closed."""
        while not self._jobs:
            if self._closing:
                return None
            if not await self._is_woken(self._tidy_wait_seconds()):
                return Batch([])
        batch = [self._jobs.popleft()]
        # What takes long goes by itself: else those it shares a batch with would be carried out aside, too.
        while self._jobs and len(batch) < BATCH_MAX and not (batch[0].long or self._jobs[0].long):
            batch.append(self._jobs.popleft())
        return Batch(batch)

    async def _is_woken(self, within_seconds: float | None) -> bool:
        """Wait until something is to be done; whether there was, within that time."""
        loop = asyncio.get_running_loop()
        self._awaited = loop.create_future()
        timer = None if within_seconds is None else loop.call_later(within_seconds, self._wake)
        try:
            await self._awaited
        finally:
            self._awaited = None
            if timer is not None:
                timer.cancel()
        return bool(self._jobs) or self._closing

    def _tidy_wait_seconds(self) -> float | None:
        if self._failed is not None:
            return None
        return IDLE_SECONDS if self._log.frames >= CHECKPOINT_FRAMES_IDLE else self._sync_wait_seconds()

    def _sync_wait_seconds(self) -> float | None:
        since = self._unsynced_since
        return None if since is None else max(0.0, since + UNSYNCED_SECONDS_MAX - monotonic_seconds())

    async def _write_and_answer(self, batch: Batch) -> None:
        try:
            await self._write(batch)
        except BaseException as broken:
            self._give_up(batch, broken)
            if not isinstance(broken, Exception):
                raise
        finally:
            self._settle(batch)
        # Who was written is not kept waiting for it.
        await self._shorten_log(CHECKPOINT_FRAMES)
        if len(batch) > 1:
            await self._let_come_back(len(batch))

    async def _write(self, batch: Batch) -> None:
        """Carry it out, commit it, and have it on disk when somebody waits for that."""
        if self._failed is not None:
            raise Unavailable(self._failed)  # it was waiting in the queue while the disk failed
        syncs = batch.is_durable or self._sync_wait_seconds() == 0
        if batch.is_long or self._log.begins_anew or not self._write_here(batch):
            await self._aside(self._write_aside, batch, syncs)
        elif syncs:
            await self._keep()
        if syncs:
            self._unsynced_since = None
        elif self._unsynced_since is None:
            self._unsynced_since = monotonic_seconds()

    def _write_here(self, batch: Batch) -> bool:
        """Carry it out in the event loop, not on disk yet; False, and nothing done, when another process is writing."""
        try:
            self._sync_at_commit(False)
            self._write_batch(batch)
        except driver.BusyError:
            self._roll_back()
            batch.forget()
            return False
        return True

    def _write_aside(self, batch: Batch, syncs: bool) -> None:
        """Carry it out in the thread. It is on disk before anybody can see it, when it is to be."""
        self._log.begins_anew = False
        self._write_connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        try:
            self._sync_at_commit(syncs)
            self._write_batch(batch)
        finally:
            self._write_connection.set_busy_timeout(0)

    def _write_batch(self, batch: Batch) -> None:
        batch.carry_out(self._write_connection, self._clock.now_ms, self._vault)

    async def _keep(self) -> None:
        """Have on disk what can be seen already, before anybody is told of it."""
        self._keeping = asyncio.get_running_loop().create_future()
        try:
            await self._aside(self._log.sync)
        except BaseException:
            self._fail()
            raise
        finally:
            self._keeping.set_result(None)
            self._keeping = None

    async def _tidy(self) -> None:
        """Do now, while nobody writes, what would be in somebody's way later."""
        await self._shorten_log(CHECKPOINT_FRAMES_IDLE)
        if self._sync_wait_seconds() == 0:
            await self._sync()

    async def _sync(self) -> None:
        """Have on disk what was committed without waiting for it, once nobody else has seen to that."""
        self._unsynced_since = None
        if self._failed is not None:
            return
        try:
            await self._aside(self._log.sync)
        except OSError as broken:
            log.error("the write-ahead log could not be synced: %s", broken, exc_info=broken)
            self._fail()

    async def _shorten_log(self, frames_max: int) -> None:
        """Move the write-ahead log into the database file when it has so many frames."""
        if self._failed is not None or self._log.frames < frames_max:
            return
        try:
            await self._aside(self._log.move)
        except Exception as broken:
            log.error("the write-ahead log could not be moved into the database: %s", broken, exc_info=broken)
            self._fail()

    def _aside(self, work: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """In the thread, and the event loop goes on."""
        return asyncio.get_running_loop().run_in_executor(self._hand, work, *arguments)

    def _sync_at_commit(self, wanted: bool) -> None:
        """With FULL a commit is on disk before anybody can see it; with NORMAL once the log is synced."""
        if wanted != self._syncs:
            self._write_connection.execute(f"PRAGMA synchronous={'FULL' if wanted else 'NORMAL'}")
            self._syncs = wanted

    def _give_up(self, batch: Batch, broken: BaseException) -> None:
        """Roll back and answer `unavailable`.

        A disk that failed to sync is not asked again: what it holds is unknown.
        """
        log.error("a batch of %d writes was rolled back: %s", len(batch), broken, exc_info=broken)
        batch.refuse(Unavailable)
        if driver.is_of_the_disk(broken) or not self._roll_back():
            self._fail()

    def _roll_back(self) -> bool:
        """Whether nothing is open any more."""
        try:
            if self._write_connection.in_transaction:
                self._write_connection.execute("ROLLBACK")
        except driver.Error:
            return False
        return True

    def _fail(self) -> None:
        """From here on nothing is acknowledged: what the disk holds is unknown."""
        self._failed = _NOTHING_WRITTEN_IS_TRUSTED
        if self._on_failure is not None:
            self._on_failure(self._failed)

    def _settle(self, batch: Batch) -> None:
        for job in batch.jobs:
            job.settle()
        try:
            self._listeners.tell(batch.signals)
        except Exception as failed:  # noqa: BLE001 - whatever a listener meets, the writer goes on
            told = {"message": "a listener failed", "exception": failed}
            asyncio.get_running_loop().call_exception_handler(told)

    async def _let_come_back(self, answered: int) -> None:
        """Let the next batch begin once as many wait as were answered, or nobody seems to come any more.

        Else the writer would take the first few who are back, and the others would be a batch of their own: twice the
        statements and commits.
        """
        until = monotonic_seconds() + COMING_BACK_SECONDS_MAX
        waiting = vain_turns = 0
        while waiting < answered and vain_turns <= VAIN_TURNS_MAX and monotonic_seconds() < until:
            await asyncio.sleep(0)
            vain_turns = 0 if len(self._jobs) > waiting else vain_turns + 1
            waiting = len(self._jobs)


def connect(path: str) -> driver.Connection:
    """A connection with the settings that every one of ours has. The caller begins and ends transactions."""
    connection = driver.connect(path, timeout_seconds=BUSY_TIMEOUT_MS / 1000, cached_statements=512)
    for pragma in (
        "journal_mode=WAL",
        # NORMAL lost 7 % of acknowledged commits in simulated power cuts, FULL none.
        "synchronous=FULL",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "cache_size=-16384",
        # By hand, see `_checkpoint`.
        "wal_autocheckpoint=0",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _sync_directory(path: str) -> None:
    """Make the names of the database and its log last, once both are there.

    SQLite syncs the directory too, but goes on when that fails. Raises OSError.
    """
    descriptor = os.open(Path(path).resolve().parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _take(path: str) -> IO[str]:
    lock_path = Path(f"{path}.lock")
    file = lock_path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise DatabaseInUse(f"{path} is in use by another leadline process") from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
