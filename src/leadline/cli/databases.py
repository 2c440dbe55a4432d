"""How commands reach the database: one transaction each, also while a server runs on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from leadline.cli.failures import Failed
from leadline.domain.errors import Unavailable
from leadline.ids import parse_id
from leadline.settings import Settings
from leadline.store.database import Tx
from leadline.store.engines import Engine
from leadline.store.migrating import engine_of, migrate, sqlite_path
from leadline.store.revisions import HEAD
from leadline.wiring import write_once

T = TypeVar("T")


def transact(settings: Settings, work: Callable[[Tx], Awaitable[T]], *, create: bool = False) -> T:
    """Run `work` in one transaction. Without `create` a SQLite file must be there. Raises Failed."""
    url = settings.database_url
    if not create and engine_of(url) is Engine.SQLITE and not Path(sqlite_path(url)).exists():
        raise Failed(f"there is no database at {sqlite_path(url)}; `leadline serve` or `migrate` makes one")
    try:
        return write_once(url, work)
    except Unavailable:
        raise Failed("the database is busy or cannot be reached; nothing was changed") from None


def migrate_database(settings: Settings) -> str:
    """Migrate; says what was done."""
    before = asyncio.run(migrate(settings.database_url))
    if before == HEAD:
        return f"The database is at revision {HEAD}; nothing to do."
    return (
        f"The database was migrated from {f'revision {before}' if before else 'nothing'} to revision {HEAD}."
    )


def require_id(text: str, noun: str) -> str:
    """The canonical form of an id that a person typed; what is no UUID names nothing. Raises Failed."""
    found = parse_id(text.strip())
    if found is None:
        raise Failed(f"there is no {noun} {text!r}")
    return found
