"""What operations see of a database: transactions, and signals that leave after the commit.

An operation is `async def operation(tx, …)`. It awaits nothing but `tx`, so on SQLite it runs from start to
end in one go, without an event loop, and on PostgreSQL it suspends at each round trip. It may
be run again from the start (a deadlock, a lost race), so it has no effect outside of `tx`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import msgspec

from leadline.clock import Clock
from leadline.domain.errors import LeadlineError
from leadline.store.engines import Engine, ManyStatement, Statement
from leadline.store.revisions import HEAD
from leadline.store.vault import Vault

T = TypeVar("T")
Row = Sequence[Any]


class Signal(StrEnum):
    """Who is to look after a commit. A lost signal costs time, never work: everybody also looks by himself."""

    DELIVERIES = "deliveries"
    EVENTS = "events"
    WORKSPACE = "workspace"


Listener = Callable[[Signal, str], None]


class Tx:
    """One transaction. `now_ms` is its time: every row it writes carries the same."""

    __slots__ = ("now_ms", "signals", "vault")

    engine: Engine

    def __init__(self, now_ms: int, vault: Vault) -> None:
        self.now_ms = now_ms
        self.vault = vault
        self.signals: set[tuple[Signal, str]] = set()

    async def all(self, statement: Statement, **values: Any) -> Sequence[Row]:
        """Every row."""
        raise NotImplementedError

    async def first(self, statement: Statement, **values: Any) -> Row | None:
        """The first row, or None."""
        raise NotImplementedError

    async def run(self, statement: Statement, **values: Any) -> int:
        """Carry it out; the number of rows it touched."""
        raise NotImplementedError

    async def change_many(self, statement: ManyStatement, rows: Sequence[msgspec.Struct]) -> int:
        """Carry it out for each row, all of one workspace, in their order; how many rows it touched in all."""
        raise NotImplementedError

    def signal(self, signal: Signal, workspace_id: str) -> None:
        """Tell the listeners of every process once this transaction has been committed."""
        self.signals.add((signal, workspace_id))


# Changes nothing and is written all the same.
_PROBE = Statement("UPDATE alembic_version SET version_num = version_num")
_REVISION = Statement("SELECT version_num FROM alembic_version")


async def probe(tx: Tx) -> str | None:
    """Write something; what is wrong with the database's migrations, None when nothing is."""
    await tx.run(_PROBE)
    row = await tx.first(_REVISION)
    return None if row is not None and row[0] == HEAD else "the database is not migrated to this version"


Together = Callable[[Tx, Sequence[Any]], Awaitable[Sequence[T | LeadlineError]]]
"""Work for many items of one workspace: an answer, or a refusal that changed nothing, for each in its place."""


class Database(Protocol):
    """A database that is open. `read` and `write` raise `Unavailable` when it is busy or gone."""

    engine: Engine

    async def read(self, work: Callable[[Tx], Awaitable[T]], *, long: bool = False) -> T:
        """Run a function that only reads. `long`: it may take more than a moment, and is to hold up nobody."""
        ...

    async def write(
        self,
        work: Callable[[Tx], Awaitable[T]],
        *,
        long: bool = False,
        durable: bool = True,
        patient: bool = False,
    ) -> T:
        """Run a function in a transaction of its own and return once that is on disk.

        `long`: it may take more than a moment, and is to hold up no reader.
        Without `durable` it may return once it is committed, and be on disk a moment later: a power cut, which ends
        this process too, may take it back, but then nothing durable came after it. Only for what would be done again.
        `patient`: nobody waits for it, so it may give way to what somebody waits for, for a moment.
        """
        ...

    async def write_together(self, work: Together[T], workspace_id: str, item: Any) -> T:
        """As `write`, for work that is done for many at once.

        Items that wait at the same moment for the same work in the same workspace share one call of it. When that
        fails, for what one of them met, say, each is done alone.
        """
        ...

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` in the event loop after commits, here or in another process; returns its end."""
        ...

    async def healthy(self) -> str | None:
        """None when the database can be written and is migrated, else what is wrong."""
        ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...


class Listeners:
    """The listeners of one process. Only touched in the event loop."""

    def __init__(self) -> None:
        self._all: list[Listener] = []

    def add(self, listener: Listener) -> Callable[[], None]:
        self._all.append(listener)
        return lambda: self._all.remove(listener)

    def tell(self, signals: Iterable[tuple[Signal, str]]) -> None:
        for signal, workspace_id in signals:
            for listener in tuple(self._all):
                listener(signal, workspace_id)


class Conflict(Exception):
    """A unique key or a foreign key was broken by somebody who committed first."""


class LockTimeout(Exception):
    """Somebody else held what we needed for too long (PostgreSQL; SQLite has one writer, who waits for nobody)."""


__all__ = [
    "Clock",
    "Conflict",
    "Database",
    "Listener",
    "Listeners",
    "LockTimeout",
    "Row",
    "Signal",
    "Together",
    "Tx",
    "probe",
]
