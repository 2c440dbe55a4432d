"""The databases that are measured: SQLite files, and a PostgreSQL that keeps its commits like one in production."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import asyncpg

from benchmarks.counted import Counter
from benchmarks.machine import Places, family, pin
from leadline.store import sqlite_driver as driver
from leadline.store.migrating import sqlite_path
from postgres import DURABLE, OwnPostgresServer, PostgresServer, start_postgres

T = TypeVar("T")


class Databases:
    """Fresh databases of one engine, until the block ends."""

    def __init__(self, engine: str, directory: Path, server: PostgresServer | None) -> None:
        self.engine = engine
        self.directory = directory
        self._server = server

    def create(self, name: str) -> str:
        """An empty database; answers its URL."""
        if self._server is None:
            return f"sqlite:///{self.directory / name}.db"
        return self._server.create_database(name)

    @property
    def watched(self) -> dict[str, list[int]]:
        """PostgreSQL's processes, whose processor time counts. One that is not ours cannot be watched."""
        postmaster = self.postmaster
        return {} if postmaster is None else {"database": [postmaster]}

    @property
    def postmaster(self) -> int | None:
        if isinstance(self._server, OwnPostgresServer):
            return family(self._server.supervisor_pid)[1]
        return None

    def number(self, url: str, query: str) -> int:
        """The one number that a query answers."""
        if self._server is None:
            with contextlib.closing(driver.connect(sqlite_path(url), timeout_seconds=30)) as connection:
                number: Any = connection.execute(query).fetchall()[0][0]
                return int(number)
        return int(_run(url, lambda to: to.fetchval(query)))

    def execute(self, url: str, statement: str) -> None:
        """Change something behind the back of a server that is idle."""
        if self._server is None:
            with contextlib.closing(driver.connect(sqlite_path(url), timeout_seconds=30)) as connection:
                connection.execute(statement)
            return
        _run(url, lambda to: to.execute(statement))

    def statement_counter(self, url: str, name: str) -> StatementCounter | None:
        """What counts the statements on one database, BEGIN and COMMIT among them.

        PostgreSQL's are those that pg_stat_statements saw executed, by sessions that begin after this call. None on a
        PostgreSQL that was started without it.
        """
        if self._server is None:
            return SqliteCounter(self.directory / f"{name}.count")
        if "pg_stat_statements" not in _run(url, lambda to: to.fetchval("SHOW shared_preload_libraries")):
            return None
        _run(url, _count_from_now_on)
        return PostgresqlCounter(url)


class StatementCounter(Protocol):
    """A count that rises. `file` is for the server that is to count by itself (`benchmarks.counted`)."""

    file: Path | None

    def read(self) -> int: ...


class SqliteCounter:
    def __init__(self, file: Path) -> None:
        self.file: Path | None = file
        self.read = Counter(file).read


class PostgresqlCounter:
    def __init__(self, url: str) -> None:
        self.file: Path | None = None
        self._url = url

    def read(self) -> int:
        return int(_run(self._url, lambda to: to.fetchval(_CALLS)))


async def _count_from_now_on(to: Any) -> None:
    await to.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    name = await to.fetchval("SELECT quote_ident(current_database())")
    await to.execute(f"ALTER DATABASE {name} SET pg_stat_statements.track = 'all'")


_CALLS = """
SELECT COALESCE(SUM(calls), 0)::bigint FROM pg_stat_statements
WHERE toplevel AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
AND query NOT LIKE '%pg_stat_statements%'
"""


@contextlib.contextmanager
def databases(engine: str, places: Places) -> Iterator[Databases]:
    """Databases of an engine. A PostgreSQL that LEADLINE_TEST_POSTGRES_URL names is used as it is."""
    with tempfile.TemporaryDirectory(prefix="leadline-bench-", dir=_directory()) as directory:
        if engine == "sqlite":
            yield Databases(engine, Path(directory), None)
            return
        with start_postgres({**DURABLE, **_COUNTING}) as server:
            server.wear_in()
            found = Databases(engine, Path(directory), server)
            if found.postmaster is not None:
                pin(family(found.postmaster), places.database)
            yield found


# Loaded, and off until somebody counts: it costs a few percent.
_COUNTING = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "none"}


def _directory() -> str | None:
    """Where temporary files go; LEADLINE_BENCH_DIRECTORY says otherwise, when they lie in memory, say."""
    return os.environ.get("LEADLINE_BENCH_DIRECTORY")


def _run(url: str, work: Callable[[Any], Awaitable[T]]) -> T:
    async def run() -> T:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())
