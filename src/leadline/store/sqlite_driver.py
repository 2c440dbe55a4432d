"""SQLite by way of APSW, whose wheels carry an SQLite of their own (decision 11).

It syncs with `fdatasync`, is newer than the WAL-reset bug, and inserts a row for two thirds of what Python's own
module takes. Errors are APSW's; what matters here is whose they are.
"""

from __future__ import annotations

from pathlib import Path

import apsw
from apsw import BusyError, Connection, ConstraintError, Error

__all__ = [
    "VERSION",
    "BusyError",
    "Connection",
    "ConstraintError",
    "Error",
    "connect",
    "is_callers",
    "is_of_the_disk",
]

VERSION = tuple(int(number) for number in apsw.sqlite_lib_version().split("."))
_FLAGS = {
    "ro": apsw.SQLITE_OPEN_READONLY,
    "rw": apsw.SQLITE_OPEN_READWRITE,
    "rwc": apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE,
}
_OF_THE_DISK = (apsw.IOError, apsw.CorruptError, apsw.NotADBError)
_CALLERS = (apsw.ConstraintError, apsw.MismatchError, apsw.RangeError, apsw.TooBigError)


def connect(
    path: str | Path, mode: str = "rwc", *, timeout_seconds: float = 5.0, cached_statements: int = 100
) -> Connection:
    """A connection on which each statement is a transaction, but for those between BEGIN and COMMIT.

    `mode` is `ro`, `rw` (the file must be there) or `rwc`. Raises `Error`.
    """
    connection = Connection(str(path), flags=_FLAGS[mode], statementcachesize=cached_statements)
    connection.set_busy_timeout(round(timeout_seconds * 1000))
    # A statement has one plan, whatever its values. Else SQLite plans some anew for every row that they insert.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return connection


def is_of_the_disk(error: BaseException) -> bool:
    """Whether an error says that what is on the disk cannot be trusted any more."""
    return isinstance(error, _OF_THE_DISK)


def is_callers(error: BaseException) -> bool:
    """Whether an error is about the values of one statement; any other would have met everybody."""
    return not isinstance(error, Error) or isinstance(error, _CALLERS)
