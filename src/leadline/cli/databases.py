"""How commands reach the database: one transaction each, also while a server runs on it."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from leadline.cli.failures import Failed
from leadline.domain.errors import Unavailable
from leadline.ids import parse_id
from leadline.operations.audit import Actor, ActorKind, acting
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

    async def as_operator(tx: Tx) -> T:
        with acting(operator()):
            return await work(tx)

    try:
        return write_once(url, as_operator)
    except Unavailable:
        raise Failed("the database is busy or cannot be reached; nothing was changed") from None


def operator() -> Actor:
    """Whoever types the command, by the name the system knows him by."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "unknown"
    return Actor(ActorKind.COMMAND_LINE, name=f"{name} on the command line")


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
