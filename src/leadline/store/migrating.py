"""Bring a database to the newest migration. Alembic is imported only when there is something to do."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leadline.store.engines import Engine
from leadline.store.revisions import HEAD

_SCRIPTS = Path(__file__).parent / "migrations"
_CURRENT = "SELECT version_num FROM alembic_version"
_IS_MIGRATED = "SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'"


class UnknownRevision(Exception):
    """The database was migrated by a newer Leadline than this one."""


class InvalidDatabaseUrl(ValueError):
    """It names neither a SQLite file nor a PostgreSQL database."""


def engine_of(url: str) -> Engine:
    """Which engine a database URL names. Raises InvalidDatabaseUrl."""
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return Engine.SQLITE
    if url.startswith(("postgresql://", "postgres://")):
        return Engine.POSTGRESQL
    raise InvalidDatabaseUrl("a database is sqlite:///path or postgresql://user@host/name")


def sqlite_path(url: str) -> str:
    """The file that a `sqlite:///` URL names; relative to the working directory unless it begins with `/`."""
    return url.removeprefix("sqlite:///")


async def current_revision(url: str) -> str | None:
    """The revision a database has; None when it has never been migrated."""
    if engine_of(url) is Engine.SQLITE:
        return _sqlite_revision(sqlite_path(url))
    return await _postgresql_revision(url)


async def migrate(url: str) -> str | None:
    """Migrate to HEAD if needed; the revision it had before. Several processes may do this at once."""
    before = await current_revision(url)
    if before != HEAD:
        await asyncio.to_thread(_upgrade, url)
    return before


def _sqlite_revision(path: str) -> str | None:
    from leadline.store import sqlite_driver

    if not Path(path).exists():
        return None
    with contextlib.closing(sqlite_driver.connect(path)) as connection:
        if not connection.execute(_IS_MIGRATED).fetchall():
            return None
        rows = connection.execute(_CURRENT).fetchall()
    return str(rows[0][0]) if rows else None


async def _postgresql_revision(url: str) -> str | None:
    import asyncpg

    connection = await asyncpg.connect(url, timeout=10)
    try:
        value = await connection.fetchval(_CURRENT)
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()
    return value if value is None else str(value)


def _upgrade(url: str) -> None:
    from alembic import command
    from alembic.util.exc import CommandError

    config = alembic_config(url)
    with _one_at_a_time(url):
        try:
            command.upgrade(config, "head")
        except CommandError as unknown:
            raise UnknownRevision(f"this database is from a newer Leadline: {unknown}") from unknown


def alembic_config(url: str) -> Any:
    """Alembic's configuration for one database; also for making new revisions and for tests."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["url"] = url
    return config


@contextlib.contextmanager
def _one_at_a_time(url: str) -> Iterator[None]:
    """On SQLite by a lock on a file; PostgreSQL takes an advisory lock inside the migration."""
    if engine_of(url) is not Engine.SQLITE:
        yield
        return
    path = Path(sqlite_path(url))
    path.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{path}.migrating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            Path(lock.name).unlink(missing_ok=True)
