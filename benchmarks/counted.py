"""Runs a module with every SQLite connection traced: `python -m benchmarks.counted COUNTER_FILE MODULE ARGUMENTS…`.

SQLite itself reports each statement at its first step (sqlite3_trace_v2), so nothing is missed or counted twice,
whoever prepares it: BEGIN, SAVEPOINT and COMMIT count as well. The number lies in a shared file of 8 bytes,
so that it can be read while the process runs. Tracing costs time; throughput is measured without it.
"""

from __future__ import annotations

import mmap
import runpy
import struct
import sys
from pathlib import Path
from typing import Any

NUMBER = struct.Struct("=Q")


class Counter:
    """A number in a file, written by one process and read by another."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(NUMBER.pack(0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), NUMBER.size)
        self._count = 0

    def count_up(self, by: int) -> None:
        self._count += by
        NUMBER.pack_into(self._memory, 0, self._count)

    def add(self, statement: str) -> None:
        """Count a statement. SQLite reports the inner ones of triggers as comments; they are no statements."""
        if not statement.startswith("--"):
            self.count_up(1)

    def read(self) -> int:
        number: int = NUMBER.unpack_from(self._memory)[0]
        return number


def main(counter_file: str, module: str, arguments: list[str]) -> None:
    """Trace both SQLite drivers, whichever the module uses, and be that module."""
    counter = Counter(Path(counter_file))
    _trace_python_s(counter)
    _trace_ours(counter)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=False)


def _trace_python_s(counter: Counter) -> None:
    import sqlite3  # noqa: PLC0415 - before the module, which must find it wrapped

    connect = sqlite3.connect

    def traced(*arguments: Any, **named: Any) -> Any:
        connection = connect(*arguments, **named)
        connection.set_trace_callback(counter.add)
        return connection

    for module in (sqlite3, sqlite3.dbapi2):
        module.connect = traced  # type: ignore[attr-defined]


def _trace_ours(counter: Counter) -> None:
    import apsw  # noqa: PLC0415

    from leadline.store import sqlite_driver  # noqa: PLC0415 - before the module, which must find it wrapped

    connect = sqlite_driver.connect

    def traced(*arguments: Any, **named: Any) -> apsw.Connection:
        connection = connect(*arguments, **named)
        connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: counter.add(event["sql"]))
        return connection

    sqlite_driver.connect = traced


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
