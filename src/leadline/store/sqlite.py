"""SQLite: one file, one writer, many requests to a commit.

Writes queue up for one thread. It takes everything that waits (bounded), runs each operation in a savepoint
of its own, commits once with `synchronous=FULL` and only then answers them all. No clock makes a batch wait:
while one commit is on its way to the disk, the next batch gathers by itself, and those who have just been
answered together are let come back together.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import msgspec

from leadline.clock import Clock, monotonic_seconds
from leadline.domain.errors import LeadlineError, Unavailable
from leadline.store import sqlite_driver as driver
from leadline.store.database import Conflict, Listener, Listeners, Row, Signal, Together, Tx, probe
from leadline.store.engines import Engine, ManyStatement, Statement
from leadline.store.vault import Vault

T = TypeVar("T")
log = logging.getLogger("leadline.store")

# 3.51.3 mended the WAL-reset bug, by which a checkpoint at the wrong moment loses committed data.
VERSION_MIN = (3, 51, 3)
QUEUE_MAX = 4096
BATCH_MAX = 256
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


class SqliteTx(Tx):
    __slots__ = ("_connection",)
    engine = Engine.SQLITE

    def __init__(self, connection: driver.Connection, now_ms: int, vault: Vault) -> None:
        super().__init__(now_ms, vault)
        self._connection = connection

    async def all(self, statement: Statement, **values: Any) -> Sequence[Row]:
        return self._connection.execute(statement.sqlite, values).fetchall()

    async def first(self, statement: Statement, **values: Any) -> Row | None:
        # All of it is fetched: a statement left half-way would keep its read lock.
        rows = self._connection.execute(statement.sqlite, values).fetchall()
        return rows[0] if rows else None

    async def run(self, statement: Statement, **values: Any) -> int:
        with _conflicts():
            self._connection.execute(statement.sqlite, values)
        return self._connection.changes()

    async def change_many(self, statement: ManyStatement, rows: Sequence[msgspec.Struct]) -> int:
        if not rows:
            return 0
        before = self._connection.total_changes()
        with _conflicts():
            self._connection.executemany(statement.each_in_order, map(attrgetter(*statement.names), rows))
        return self._connection.total_changes() - before


@contextlib.contextmanager
def _conflicts() -> Iterator[None]:
    """A broken unique key or foreign key, by its name. A broken CHECK is a bug and stays what it is."""
    try:
        yield
    except driver.ConstraintError as broken:
        if "CHECK" in str(broken):
            raise
        raise Conflict(str(broken)) from broken


class _Job:
    """Something to be written for a caller: an item of some work that is done together, or work of its own."""

    __slots__ = ("answer", "durable", "error", "future", "item", "kind", "work")

    def __init__(
        self,
        work: Callable[..., Awaitable[Any]],
        future: asyncio.Future[Any],
        kind: object = None,
        item: object = None,
        *,
        durable: bool = True,
    ) -> None:
        self.work = work
        self.kind = kind
        self.item = item
        self.durable = durable
        self.future = future
        self.answer: Any = None
        self.error: BaseException | None = None

    def give(self, answer: Any) -> None:
        if isinstance(answer, LeadlineError):
            self.error = answer
        else:
            self.answer = answer

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.answer)
        else:
            self.future.set_exception(self.error)


def _groups(batch: Sequence[_Job]) -> Iterable[list[_Job]]:
    """Jobs of one kind together, in the place of the first of them; a job without a kind by itself."""
    groups: dict[object, list[_Job]] = {}
    for number, job in enumerate(batch):
        groups.setdefault(number if job.kind is None else job.kind, []).append(job)
    return groups.values()


async def _carry_out(jobs: Sequence[_Job], tx: Tx) -> Sequence[Any]:
    work = jobs[0].work
    if jobs[0].kind is None:
        return [await work(tx)]
    answers: Sequence[Any] = await work(tx, [job.item for job in jobs])
    return answers


def _give(jobs: Sequence[_Job], answers: Sequence[Any], tx: Tx, signals: set[tuple[Signal, str]]) -> None:
    signals |= tx.signals
    for job, answer in zip(jobs, answers, strict=True):
        job.give(answer)


def _raise_if_everybodys(refused: Exception) -> None:
    if not driver.is_callers(refused):
        raise refused


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
        on nothing is written, and only a restart mends it.
        """
        self.path = path
        self._clock = clock
        self._vault = vault or Vault()
        self._exclusive = exclusive
        self._lock_file: IO[str] | None = None
        self._listeners = Listeners()
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._came_back = threading.Event()
        self._closing = False
        self._failed: str | None = None
        self._syncs = True
        # When the oldest commit was made that no sync has followed yet.
        self._unsynced_since: float | None = None
        self._log_descriptor: int | None = None
        self._log_is_long = False
        self._long_reads = asyncio.Semaphore(LONG_READS_MAX)
        self._on_failure = on_failure
        self._writer: threading.Thread | None = None

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
        self._loop = asyncio.get_running_loop()
        self._writer = threading.Thread(target=self._write_all, name="leadline-writer", daemon=True)
        self._writer.start()

    async def close(self) -> None:
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._writer is not None:
            await asyncio.to_thread(self._writer.join)
            self._writer = None
            self._read_connection.close()
            self._write_connection.close()
        if self._log_descriptor is not None:
            os.close(self._log_descriptor)
            self._log_descriptor = None
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def listen(self, listener: Listener) -> Callable[[], None]:
        return self._listeners.add(listener)

    async def healthy(self) -> str | None:
        if self._failed is not None:
            return self._failed
        try:
            async with asyncio.timeout(BUSY_TIMEOUT_MS / 1000):
                return await self.write(probe)
        except (LeadlineError, TimeoutError):
            return "the database cannot be written"

    async def read(self, work: Callable[[Tx], Awaitable[T]], *, long: bool = False) -> T:
        if long:
            async with self._long_reads:
                return await asyncio.to_thread(self._read_aside, work)
        # In the event loop itself: a bounded, indexed read costs less than handing it to a thread would.
        return self._read(self._read_connection, work)

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
            return _drive(work(SqliteTx(connection, self._clock.now_ms(), self._vault)))
        except driver.Error as broken:
            raise Unavailable from broken
        finally:
            if connection.in_transaction:  # else SQLite has rolled back by itself
                connection.execute("ROLLBACK")

    async def write(
        self,
        work: Callable[[Tx], Awaitable[T]],
        *,
        durable: bool = True,
        patient: bool = False,  # noqa: ARG002 - it shares a commit with those who are not
    ) -> T:
        job = _Job(work, asyncio.get_running_loop().create_future(), durable=durable)
        return cast("T", await self._queue(job))

    async def write_together(self, work: Together[T], workspace_id: str, item: Any) -> T:
        future = asyncio.get_running_loop().create_future()
        return cast("T", await self._queue(_Job(work, future, kind=(work, workspace_id), item=item)))

    def _queue(self, job: _Job) -> asyncio.Future[Any]:
        with self._wake:
            if self._failed is not None:
                raise Unavailable(self._failed)
            if self._closing or len(self._jobs) >= QUEUE_MAX:
                raise Unavailable
            self._jobs.append(job)
            self._wake.notify()
        return job.future

    def _write_all(self) -> None:
        while (batch := self._next_batch()) is not None:
            if batch:
                self._write_and_answer(batch)
            else:
                self._tidy()

    def _write_and_answer(self, batch: list[_Job]) -> None:
        signals: set[tuple[Signal, str]] = set()
        try:
            self._write_batch(batch, signals)
        except BaseException as broken:  # noqa: BLE001 - whatever it was: nobody may be told that he was written
            self._give_up(batch, broken)
            signals.clear()
        together = len(batch) > 1
        if together:
            self._came_back.clear()
        self._loop.call_soon_threadsafe(self._settle, batch, signals)
        # Who was written is not kept waiting for it.
        self._shorten_log(CHECKPOINT_FRAMES)
        if together:
            self._came_back.wait(COMING_BACK_SECONDS_MAX)

    def _tidy(self) -> None:
        """Do now, while nobody writes, what would be in somebody's way later."""
        self._shorten_log(CHECKPOINT_FRAMES_IDLE)
        if self._sync_wait_seconds() == 0:
            self._sync()

    def _next_batch(self) -> list[_Job] | None:
        """What waits, nothing when it is time to tidy up, None when the database is being closed."""
        with self._wake:
            while not self._jobs:
                if self._closing:
                    return None
                if not self._wake.wait(self._tidy_wait_seconds()):
                    return []
            return [self._jobs.popleft() for _ in range(min(len(self._jobs), BATCH_MAX))]

    def _tidy_wait_seconds(self) -> float | None:
        return IDLE_SECONDS if self._log_is_long else self._sync_wait_seconds()

    def _sync_wait_seconds(self) -> float | None:
        since = self._unsynced_since
        return None if since is None else max(0.0, since + UNSYNCED_SECONDS_MAX - monotonic_seconds())

    def _write_batch(self, batch: list[_Job], signals: set[tuple[Signal, str]]) -> None:
        if self._failed is not None:
            raise Unavailable(self._failed)  # it was waiting in the queue while the disk failed
        connection = self._write_connection
        durable = any(job.durable for job in batch) or self._sync_wait_seconds() == 0
        self._sync_at_commit(durable)
        connection.execute("BEGIN IMMEDIATE")
        first, *others = _groups(batch)
        self._run_first(connection, first, signals)
        for jobs in others:
            # One whose caller has gone may still be run: he cannot know, and a retry finds the answer.
            self._run(connection, jobs, signals)
        connection.execute("COMMIT")
        if durable:
            self._unsynced_since = None
        elif self._unsynced_since is None:
            self._unsynced_since = monotonic_seconds()

    def _sync(self) -> None:
        """Have on disk what was committed without waiting for it, once nobody else has seen to that."""
        self._unsynced_since = None
        if self._failed is not None:
            return
        try:
            if self._log_descriptor is None:
                # Of the log: closing a file drops all locks of the process on it, and SQLite has none on this one.
                self._log_descriptor = os.open(f"{self.path}-wal", os.O_RDONLY)
            os.fdatasync(self._log_descriptor)
        except OSError as broken:
            log.error("the write-ahead log could not be synced: %s", broken, exc_info=broken)
            self._fail()
            self._loop.call_soon_threadsafe(self._settle, [], set())

    def _shorten_log(self, frames_max: int) -> None:
        """Move the write-ahead log into the database file when it has so many frames.

        SQLite would do it by itself after a commit, but then tells nobody when the disk fails it.
        """
        self._log_is_long = False
        if self._failed is not None:
            return
        try:
            frames = _log_frames(self._write_connection)
            self._log_is_long = CHECKPOINT_FRAMES_IDLE <= frames < frames_max
            if frames >= frames_max:
                _checkpoint(self._write_connection)
        except BaseException as broken:  # nothing may be acknowledged after it
            log.error("the write-ahead log could not be moved into the database: %s", broken, exc_info=broken)
            self._fail()
            self._loop.call_soon_threadsafe(self._settle, [], set())

    def _sync_at_commit(self, wanted: bool) -> None:
        """With FULL a commit is on disk when it returns, and all before it; with NORMAL once something is synced."""
        if wanted != self._syncs:
            self._write_connection.execute(f"PRAGMA synchronous={'FULL' if wanted else 'NORMAL'}")
            self._syncs = wanted

    def _run_first(
        self, connection: driver.Connection, jobs: Sequence[_Job], signals: set[tuple[Signal, str]]
    ) -> None:
        """Carry out the first jobs of a transaction.

        They need no savepoint, which would copy every page they change: there is nothing yet that going back to the
        beginning could take away from anybody.
        """
        tx = SqliteTx(connection, self._clock.now_ms(), self._vault)
        try:
            answers = _drive(_carry_out(jobs, tx))
        except Exception as refused:  # noqa: BLE001 - what is not everybody's is for who asked
            _raise_if_everybodys(refused)
            connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            self._after_failure(connection, jobs, refused, signals)
        else:
            _give(jobs, answers, tx, signals)

    def _run(
        self, connection: driver.Connection, jobs: Sequence[_Job], signals: set[tuple[Signal, str]]
    ) -> None:
        tx = SqliteTx(connection, self._clock.now_ms(), self._vault)
        connection.execute("SAVEPOINT operation")
        try:
            answers = _drive(_carry_out(jobs, tx))
        except Exception as refused:  # noqa: BLE001 - what is not everybody's is for who asked
            _raise_if_everybodys(refused)
            connection.execute("ROLLBACK TO operation")
            connection.execute("RELEASE operation")
            self._after_failure(connection, jobs, refused, signals)
        else:
            connection.execute("RELEASE operation")
            _give(jobs, answers, tx, signals)

    def _after_failure(
        self,
        connection: driver.Connection,
        jobs: Sequence[_Job],
        refused: Exception,
        signals: set[tuple[Signal, str]],
    ) -> None:
        """What failed for one is told him; what failed for several together is done for each alone."""
        if len(jobs) == 1:
            jobs[0].error = refused
            return
        for job in jobs:
            self._run(connection, [job], signals)

    def _give_up(self, batch: list[_Job], broken: BaseException) -> None:
        """Roll back and answer `unavailable`.

        A disk that failed to sync is not asked again: what it holds is unknown.
        """
        log.error("a batch of %d writes was rolled back: %s", len(batch), broken, exc_info=broken)
        for job in batch:
            job.answer, job.error = None, Unavailable()
        failed = driver.is_of_the_disk(broken)
        try:
            if self._write_connection.in_transaction:
                self._write_connection.execute("ROLLBACK")
        except driver.Error:
            failed = True
        if failed:
            self._fail()

    def _fail(self) -> None:
        with self._wake:
            self._failed = _NOTHING_WRITTEN_IS_TRUSTED

    def _settle(self, batch: list[_Job], signals: set[tuple[Signal, str]]) -> None:
        if self._failed is not None:
            if self._on_failure is not None:
                self._on_failure(self._failed)
            for job in batch:
                # What was written a moment before the disk failed is there, but nobody is told so any more.
                job.error = job.error or Unavailable(self._failed)
        for job in batch:
            job.settle()
        self._listeners.tell(signals)
        if len(batch) > 1:
            self._let_come_back(len(batch))

    def _let_come_back(self, answered: int, waiting: int = 0, vain_turns: int = 0) -> None:
        """Let the next batch begin once as many wait as were answered, or nobody seems to come any more.

        Else the writer would take the first few who are back, and the others would be a batch of their own: twice the
        commits, and two threads that keep taking the interpreter from each other.
        """
        now_waiting = len(self._jobs)
        vain_turns = 0 if now_waiting > waiting else vain_turns + 1
        if now_waiting >= answered or vain_turns > VAIN_TURNS_MAX:
            self._came_back.set()
        else:
            self._loop.call_soon(self._let_come_back, answered, now_waiting, vain_turns)


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


def _log_frames(connection: driver.Connection) -> int:
    _busy, frames, _moved = connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchall()[0]
    return cast("int", frames)


def _checkpoint(connection: driver.Connection) -> None:
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except driver.Error as broken:
        if driver.is_of_the_disk(broken):
            raise
        # The disk is full, say. All of it is safe in the log, and the next commit tries again.
        log.warning("the write-ahead log could not be moved into the database: %s", broken)


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


def _drive(work: Awaitable[T]) -> T:
    """Run an operation to its end. It cannot suspend: everything it may await answers at once."""
    coroutine = cast("Coroutine[Any, Any, T]", work)
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    coroutine.close()
    raise RuntimeError("an operation awaited something other than its transaction")
