"""SQLite for SQLAlchemy: as much of PEP 249 as its dialect asks for, on the driver that everything else uses.

Alembic alone goes this way. Transactions begin and end by statement, so that what is done to the schema is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import apsw

from leadline.store import sqlite_driver

paramstyle = "qmark"
sqlite_version_info = sqlite_driver.VERSION
# Under the names of PEP 249: SQLAlchemy wraps an error by what the module calls it.
Error = DatabaseError = apsw.Error
IntegrityError = apsw.ConstraintError
OperationalError = apsw.SQLError
ProgrammingError = apsw.MisuseError


class Connection:
    """One connection; `isolation_level` is there to be set and says nothing."""

    isolation_level: str | None = None

    def __init__(self, path: str) -> None:
        self._connection = sqlite_driver.connect(path, timeout_seconds=30)

    def cursor(self) -> Cursor:
        return Cursor(self._connection)

    def execute(self, statement: str) -> None:
        self._connection.execute(statement).fetchall()

    def create_function(self, name: str, arguments: int, function: Callable[..., Any], **_: Any) -> None:
        self._connection.create_scalar_function(name, function, arguments)

    def commit(self) -> None:
        self._end("COMMIT")

    def rollback(self) -> None:
        self._end("ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    def _end(self, how: str) -> None:
        if self._connection.in_transaction:
            self._connection.execute(how)


class Cursor:
    """The rows of a statement are fetched when it is carried out: one left half-way would keep its lock."""

    arraysize = 1

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Sequence[tuple[Any, ...]] | None = None
        self.rowcount = -1

    @property
    def lastrowid(self) -> int:
        return self._connection.last_insert_rowid()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> None:
        before = self._connection.total_changes()
        cursor = self._connection.cursor()
        # Before it is carried out: afterwards only a statement that has answered rows knows its columns.
        cursor.exec_trace = self._describe
        self._rows = cursor.execute(statement, tuple(values)).fetchall()
        self.rowcount = self._connection.total_changes() - before

    def _describe(self, cursor: apsw.Cursor, _statement: str, _values: object) -> bool:
        self.description = [(name, *[None] * 6) for name, _ in cursor.get_description()] or None
        return True

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(statement, rows)

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = 1) -> list[Any]:
        taken, self._rows = self._rows[:size], self._rows[size:]
        return taken

    def fetchall(self) -> list[Any]:
        taken, self._rows = self._rows, []
        return taken

    def close(self) -> None:
        self._rows = []


def connect(path: str, **_: Any) -> Connection:
    """As `sqlite3.connect`, whose settings for threads and transactions do not matter here."""
    return Connection(path)
