"""What is written to SQLite in one transaction: jobs of many callers, each of which fails by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, TypeVar, cast

import msgspec

from leadline.domain.errors import LeadlineError
from leadline.store import sqlite_driver as driver
from leadline.store.database import Conflict, Row, Signal, Tx
from leadline.store.engines import Engine, ManyStatement, Statement
from leadline.store.vault import Vault

T = TypeVar("T")


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


class Job:
    """Something to be written for a caller: an item of some work that is done together, or work of its own."""

    __slots__ = ("answer", "durable", "error", "future", "item", "kind", "long", "work")

    def __init__(
        self,
        work: Callable[..., Awaitable[Any]],
        future: asyncio.Future[Any],
        kind: object = None,
        item: object = None,
        *,
        durable: bool = True,
        long: bool = False,
    ) -> None:
        self.work = work
        self.kind = kind
        self.item = item
        self.durable = durable
        self.long = long
        self.future = future
        self.forget()

    def forget(self) -> None:
        """Take back what was given: it is to be done again, or was not kept."""
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


class Batch:
    """Jobs that share a transaction, and the signals of those that succeeded."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = jobs
        self.signals: set[tuple[Signal, str]] = set()

    def __len__(self) -> int:
        return len(self.jobs)

    @property
    def is_durable(self) -> bool:
        """Whether somebody waits for the disk."""
        return any(job.durable for job in self.jobs)

    @property
    def is_long(self) -> bool:
        """Whether somebody's work may take more than a moment."""
        return any(job.long for job in self.jobs)

    def forget(self) -> None:
        """As if it had not been carried out."""
        self.signals.clear()
        for job in self.jobs:
            job.forget()

    def refuse(self, error: Callable[[], LeadlineError]) -> None:
        """Nobody was written."""
        self.forget()
        for job in self.jobs:
            job.error = error()

    def carry_out(self, connection: driver.Connection, now_ms: Callable[[], int], vault: Vault) -> None:
        """One transaction, committed: each kind of job in a savepoint of its own.

        Raises what was nobody's own; the transaction may be open then.
        """
        connection.execute("BEGIN IMMEDIATE")
        transaction = _Transaction(connection, now_ms, vault, self.signals)
        first, *others = self._groups()
        transaction.run_first(first)
        for jobs in others:
            # One whose caller has gone may still be run: he cannot know, and a retry finds the answer.
            transaction.run(jobs)
        connection.execute("COMMIT")

    def _groups(self) -> Iterable[list[Job]]:
        """Jobs of one kind together, in the place of the first of them; a job without a kind by itself."""
        groups: dict[object, list[Job]] = {}
        for number, job in enumerate(self.jobs):
            groups.setdefault(number if job.kind is None else job.kind, []).append(job)
        return groups.values()


class _Transaction:
    """The inside of one transaction of the writer's."""

    def __init__(
        self,
        connection: driver.Connection,
        now_ms: Callable[[], int],
        vault: Vault,
        signals: set[tuple[Signal, str]],
    ) -> None:
        self._connection = connection
        self._now_ms = now_ms
        self._vault = vault
        self._signals = signals

    def run_first(self, jobs: Sequence[Job]) -> None:
        """Carry out the first jobs of a transaction.

        They need no savepoint, which would copy every page they change: there is nothing yet that going back to the
        beginning could take away from anybody.
        """
        try:
            self._carry_out(jobs)
        except Exception as refused:  # noqa: BLE001 - what is not everybody's is for who asked
            _raise_if_everybodys(refused)
            self._connection.execute("ROLLBACK")
            self._connection.execute("BEGIN IMMEDIATE")
            self._after_failure(jobs, refused)

    def run(self, jobs: Sequence[Job]) -> None:
        self._connection.execute("SAVEPOINT operation")
        try:
            self._carry_out(jobs)
        except Exception as refused:  # noqa: BLE001 - what is not everybody's is for who asked
            _raise_if_everybodys(refused)
            self._connection.execute("ROLLBACK TO operation")
            self._connection.execute("RELEASE operation")
            self._after_failure(jobs, refused)
        else:
            self._connection.execute("RELEASE operation")

    def _carry_out(self, jobs: Sequence[Job]) -> None:
        tx = SqliteTx(self._connection, self._now_ms(), self._vault)
        answers = drive(_work(jobs, tx))
        self._signals |= tx.signals
        for job, answer in zip(jobs, answers, strict=True):
            job.give(answer)

    def _after_failure(self, jobs: Sequence[Job], refused: Exception) -> None:
        """What failed for one is told him; what failed for several together is done for each alone."""
        if len(jobs) == 1:
            jobs[0].error = refused
            return
        for job in jobs:
            self.run([job])


async def _work(jobs: Sequence[Job], tx: Tx) -> Sequence[Any]:
    work = jobs[0].work
    if jobs[0].kind is None:
        return [await work(tx)]
    answers: Sequence[Any] = await work(tx, [job.item for job in jobs])
    return answers


def _raise_if_everybodys(refused: Exception) -> None:
    if not driver.is_callers(refused):
        raise refused


def drive(work: Awaitable[T]) -> T:
    """Run an operation to its end. It cannot suspend: everything it may await answers at once."""
    coroutine = cast("Coroutine[Any, Any, T]", work)
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    coroutine.close()
    raise RuntimeError("an operation awaited something other than its transaction")
