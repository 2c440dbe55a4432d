"""PostgreSQL: many processes, one transaction per operation, signals by LISTEN/NOTIFY.

Signals are not sent inside the transaction: NOTIFY takes a lock on the whole database at commit and would
make every commit wait for the one before. They are gathered and sent a moment later on a connection of
their own; one that is lost costs a poll interval.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

import asyncpg
import msgspec

from leadline.clock import Clock, monotonic_seconds
from leadline.domain.errors import LeadlineError, Unavailable
from leadline.ids import random_fraction
from leadline.store.database import (
    Conflict,
    Listener,
    Listeners,
    LockTimeout,
    Row,
    Signal,
    Together,
    Tx,
    probe,
)
from leadline.store.engines import Engine, ManyStatement, Statement
from leadline.store.vault import Vault

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode
log = logging.getLogger("leadline.store")

CHANNEL = "leadline"
# A little over PostgreSQL's own deadlock_timeout (1 s): of two who wait for each other it ends one, and the other
# goes on; ending both would only start the same again.
LOCK_TIMEOUT_MS = 1200
ATTEMPTS_MAX = 5
ACQUIRE_TIMEOUT_SECONDS = 5.0
COMMAND_TIMEOUT_SECONDS = 30.0
WAITING_MAX = 2048
BATCH_MAX = 256
GATHER_SECONDS_MAX = 0.005
RECONNECT_SECONDS = 0.5
RETRY_SECONDS = 0.01
# So long, from its beginning, a patient transaction gives way: an apply takes a few milliseconds, and where there is
# always another one, waiting longer would help nobody.
PATIENCE_SECONDS = 0.03

_TRY_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that is closed while it is being made
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.QueryCanceledError,
    asyncpg.ReadOnlySQLTransactionError,
    OSError,
    TimeoutError,
)


class PostgresqlTx(Tx):
    __slots__ = ("_connection",)
    engine = Engine.POSTGRESQL

    def __init__(self, connection: Any, now_ms: int, vault: Vault) -> None:
        super().__init__(now_ms, vault)
        self._connection = connection

    async def all(self, statement: Statement, **values: Any) -> Sequence[Row]:
        return cast("Sequence[Row]", await self._do(self._connection.fetch, statement, values))

    async def first(self, statement: Statement, **values: Any) -> Row | None:
        return cast("Row | None", await self._do(self._connection.fetchrow, statement, values))

    async def run(self, statement: Statement, **values: Any) -> int:
        tag = await self._do(self._connection.execute, statement, values)
        return int(tag.rpartition(" ")[2])

    async def _do(self, method: Any, statement: Statement, values: Mapping[str, Any]) -> Any:
        with _conflicts():
            return await method(statement.postgresql, *[values[name] for name in statement.names])

    async def change_many(self, statement: ManyStatement, rows: Sequence[msgspec.Struct]) -> int:
        if not rows:
            return 0
        values = {"rows": _encode(rows).decode(), "workspace_id": rows[0].workspace_id}  # type: ignore[attr-defined]
        with _conflicts():
            arguments = [values[name] for name in statement.postgresql_names]
            tag = await self._connection.execute(statement.postgresql, *arguments)
        return int(tag.rpartition(" ")[2])


class _Others:
    """What is under way at this moment and somebody waits for: whoever is patient gives way to it."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        self._count += 1
        self._none.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    async def gone(self, until: float) -> None:
        """Wait until there are none, or until that time (by the loop's clock)."""
        if not self._count or asyncio.get_running_loop().time() >= until:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while self._count:
                    await self._none.wait()


class _PatientTx(PostgresqlTx):
    """Gives way between its statements too, so that of two at the same time one is as fast as alone."""

    __slots__ = ("_others", "_until")

    def __init__(self, connection: Any, now_ms: int, vault: Vault, others: _Others, until: float) -> None:
        super().__init__(connection, now_ms, vault)
        self._others = others
        self._until = until

    async def _do(self, method: Any, statement: Statement, values: Mapping[str, Any]) -> Any:
        await self._others.gone(self._until)
        return await super()._do(method, statement, values)

    async def change_many(self, statement: ManyStatement, rows: Sequence[msgspec.Struct]) -> int:
        await self._others.gone(self._until)
        return await super().change_many(statement, rows)


@contextlib.contextmanager
def _conflicts() -> Iterator[None]:
    """What somebody else did first, by our names for it."""
    try:
        yield
    except (asyncpg.UniqueViolationError, asyncpg.ForeignKeyViolationError) as broken:
        raise Conflict(str(broken)) from broken
    except asyncpg.LockNotAvailableError as held:
        raise LockTimeout(str(held)) from held


_Item = tuple[Any, "asyncio.Future[Any]"]


def _give(batch: Sequence[_Item], answers: Sequence[Any]) -> None:
    for (_, future), answer in zip(batch, answers, strict=True):
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


class PostgresqlDatabase:
    """A PostgreSQL database, shared with any number of other processes."""

    engine = Engine.POSTGRESQL

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        connections_max: int = 10,
        listening: bool = True,
        vault: Vault | None = None,
    ) -> None:
        self._url = url
        self._clock = clock
        self._vault = vault or Vault()
        self._connections_max = connections_max
        self._listening = listening
        self._listeners = Listeners()
        self._others = _Others()
        self._unsent: set[tuple[Signal, str]] = set()
        self._has_unsent = asyncio.Event()
        self._waiting = 0
        self._gatherings: dict[object, deque[_Item]] = {}
        self._carriers: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._pool: Any = None

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._connections_max,
            init=_prepare,
            reset=_keep_as_it_is,
            command_timeout=COMMAND_TIMEOUT_SECONDS,
            timeout=ACQUIRE_TIMEOUT_SECONDS,
            statement_cache_size=512,
            server_settings=_SETTINGS,
        )
        if self._listening:
            self._tasks = [asyncio.create_task(self._talk(), name="leadline-signals")]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), 5)
            except TimeoutError:
                self._pool.terminate()
            self._pool = None

    def listen(self, listener: Listener) -> Callable[[], None]:
        return self._listeners.add(listener)

    async def healthy(self) -> str | None:
        try:
            return await self.write(probe)
        except Unavailable:
            return "the database cannot be written"

    async def read(self, work: Callable[[Tx], Awaitable[T]], *, long: bool = False) -> T:  # noqa: ARG002 - reads are elsewhere
        try:
            with self._others.joined():
                async with self._connection() as connection:
                    return await work(PostgresqlTx(connection, self._clock.now_ms(), self._vault))
        except _GONE as gone:
            raise Unavailable from gone

    async def write(
        self,
        work: Callable[[Tx], Awaitable[T]],
        *,
        long: bool = False,  # noqa: ARG002
        durable: bool = True,  # noqa: ARG002
        patient: bool = False,
    ) -> T:
        # Always durable: this server may crash and come back while we live on, believing what it has forgotten.
        attempt = self._attempt_patiently if patient else self._attempt
        for _ in range(ATTEMPTS_MAX):
            try:
                return await attempt(work)
            except (*_TRY_AGAIN, Conflict, LockTimeout) as lost:
                log.info("a transaction is run again: %s", lost)
                # A moment, so that who has won can be seen; not the same for all, so that they do not meet again.
                await asyncio.sleep(RETRY_SECONDS * (1 + 4 * random_fraction()))
        raise Unavailable

    async def _attempt(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        with self._others.joined():
            return await self._write_once(work, PostgresqlTx)

    async def _attempt_patiently(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        until = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        await self._others.gone(until)
        return await self._write_once(work, partial(_PatientTx, others=self._others, until=until))

    async def write_together(self, work: Together[T], workspace_id: str, item: Any) -> T:
        kind = (work, workspace_id)
        gathering = self._gatherings.get(kind)
        if gathering is None:
            gathering = self._gatherings[kind] = deque()
            task = asyncio.create_task(self._carry_out(work, kind, gathering), name="leadline-together")
            self._carriers.add(task)
            task.add_done_callback(self._carriers.discard)
        if len(gathering) >= WAITING_MAX:
            raise Unavailable
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        gathering.append((item, future))
        return await future

    async def _carry_out(self, work: Together[Any], kind: object, gathering: deque[_Item]) -> None:
        """One batch after the other: while one commits, the next gathers by itself, as on SQLite."""
        try:
            # Whoever asks in the same turn of the loop comes along.
            await asyncio.sleep(0)
            while gathering:
                batch = [gathering.popleft() for _ in range(min(len(gathering), BATCH_MAX))]
                began = monotonic_seconds()
                await self._carry_out_batch(work, batch)
                if gathering:
                    # Those who were answered just now come back in a moment, and each batch costs the same
                    # statements. A tenth of what the last one took is not felt.
                    await asyncio.sleep(min(GATHER_SECONDS_MAX, (monotonic_seconds() - began) / 10))
        finally:
            del self._gatherings[kind]
            for _, future in gathering:
                if not future.done():
                    future.set_exception(Unavailable())

    async def _carry_out_batch(self, work: Together[Any], batch: Sequence[_Item]) -> None:
        items = [item for item, _ in batch]
        try:
            answers = await self._attempt(lambda tx: work(tx, items))
        except LeadlineError as refused:  # the database is gone, or is too busy
            _give(batch, [refused] * len(batch))
        except asyncio.CancelledError:
            _give(batch, [Unavailable()] * len(batch))
            raise
        except Exception as spoiled:  # noqa: BLE001 - whose fault it was shows when each is done alone
            log.info("%d writes are done one by one: %s", len(batch), spoiled)
            await asyncio.gather(*(self._carry_out_alone(work, item, future) for item, future in batch))
        else:
            _give(batch, answers)

    async def _carry_out_alone(self, work: Together[Any], item: Any, future: asyncio.Future[Any]) -> None:
        try:
            answers = await self.write(lambda tx: work(tx, [item]))
        except Exception as refused:  # noqa: BLE001 - it is for the caller who waits
            answers = [refused]
        _give([(item, future)], answers)

    async def _write_once(
        self, work: Callable[[Tx], Awaitable[T]], begin: Callable[[Any, int, Vault], PostgresqlTx]
    ) -> T:
        try:
            async with self._connection() as connection:
                tx = begin(connection, self._clock.now_ms(), self._vault)
                async with connection.transaction():
                    answer = await work(tx)
        except _GONE as gone:
            # The commit's fate may be unknown; the retry finds out by its key.
            raise Unavailable from gone
        if tx.signals:
            self._listeners.tell(tx.signals)
            self._unsent |= tx.signals
            self._has_unsent.set()
        return answer

    @contextlib.asynccontextmanager
    async def _connection(self) -> Any:
        if self._waiting >= WAITING_MAX or self._pool is None:
            raise Unavailable
        self._waiting += 1
        try:
            connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS)
        except _GONE as gone:
            raise Unavailable from gone
        finally:
            self._waiting -= 1
        try:
            yield connection
        finally:
            with contextlib.suppress(*_GONE):
                await self._pool.release(connection, timeout=ACQUIRE_TIMEOUT_SECONDS)

    async def _talk(self) -> None:
        """Send our signals and hear the others', on one connection that is made again when it breaks."""
        while True:
            try:
                connection = await asyncpg.connect(self._url, timeout=ACQUIRE_TIMEOUT_SECONDS)
                try:
                    await connection.add_listener(CHANNEL, self._heard)
                    await self._send_from(connection)
                finally:
                    with contextlib.suppress(Exception):
                        await connection.close(timeout=1)
            except (*_GONE, asyncpg.PostgresError) as gone:
                log.info("signals are down, polling goes on: %s", gone)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _send_from(self, connection: Any) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                # Python 3.11's wait_for swallows a cancellation that comes with the event: close would never end.
                async with asyncio.timeout(10):
                    await self._has_unsent.wait()
            self._has_unsent.clear()
            signals, self._unsent = self._unsent, set()
            own_process = connection.get_server_pid()
            told = [f"{own_process}:{signal}:{workspace_id}" for signal, workspace_id in signals]
            # Also when there is nothing to say: that is how a dead connection is noticed.
            await connection.execute(_TELL, CHANNEL, told, timeout=ACQUIRE_TIMEOUT_SECONDS)

    def _heard(self, connection: Any, pid: int, _channel: str, payload: object) -> None:
        if pid == connection.get_server_pid():
            return  # our own, told already
        _, signal, workspace_id = str(payload).split(":", 2)
        with contextlib.suppress(ValueError):
            self._listeners.tell([(Signal(signal), workspace_id)])


_SETTINGS = {
    "application_name": "leadline",
    # A lock held longer than this is somebody's trouble; the caller is told to try again.
    "lock_timeout": str(LOCK_TIMEOUT_MS),
    "idle_in_transaction_session_timeout": "60000",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "jit": "off",
    # Everything of ours is reached by an index. While a table is small PostgreSQL would rather read all of it, and keep
    # that plan when it has grown; and it takes a workspace for all of a table (see the first migration).
    "enable_seqscan": "off",
}


_TELL = "SELECT pg_notify($1, payload) FROM unnest(CAST($2 AS text[])) AS payload"


async def _keep_as_it_is(connection: Any) -> None:
    """Nothing of ours outlives its transaction, which asyncpg ends: to have all reset is a statement each time."""


async def _prepare(connection: Any) -> None:
    """Ids are text inside Leadline, so that one code path serves both engines."""
    await connection.set_type_codec("uuid", encoder=str, decoder=str, schema="pg_catalog", format="text")
