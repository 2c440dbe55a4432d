"""Opening databases, a workspace in them, and statements that only tests need."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from leadline.clock import Clock
from leadline.operations.workspaces import create_workspace
from leadline.store.database import Database, Tx
from leadline.store.engines import Engine, Statement
from leadline.store.migrating import engine_of, sqlite_path
from leadline.store.postgresql import PostgresqlDatabase
from leadline.store.sqlite import SqliteDatabase

NOW = 1_781_935_984_000


def make_database(url: str, **options: Any) -> Database:
    if engine_of(url) is Engine.SQLITE:
        options.pop("listening", None)
        return SqliteDatabase(sqlite_path(url), clock=Clock(), **options)
    return PostgresqlDatabase(url, clock=Clock(), **options)


@dataclass(frozen=True, slots=True)
class Opened:
    """An open database and a fresh workspace in it."""

    database: Database
    workspace_id: str


@contextlib.asynccontextmanager
async def opened_database(url: str, **options: Any) -> AsyncIterator[Opened]:
    database = make_database(url, **options)
    await database.open()
    try:
        row = await database.write(lambda tx: create_workspace(tx, "Store"))
        yield Opened(database, row.workspace_id)
    finally:
        await database.close()


def statement(text: str) -> Statement:
    """A statement that is no part of the store's own."""
    return Statement(text, register=False)


# Small rows that need nothing but their workspace: for tests of transactions.
ADD_AGENT = statement(
    "INSERT INTO agents (workspace_id, agent_id, created_at) VALUES (:workspace_id, :agent_id, :created_at)"
)
AGENTS = statement("SELECT agent_id FROM agents WHERE workspace_id = :workspace_id ORDER BY agent_id")


async def add_agent(tx: Tx, workspace_id: str, agent_id: str) -> None:
    await tx.run(ADD_AGENT, workspace_id=workspace_id, agent_id=agent_id, created_at=tx.now_ms)


async def agents(database: Database, workspace_id: str) -> list[str]:
    async def read(tx: Tx) -> list[str]:
        return [row[0] for row in await tx.all(AGENTS, workspace_id=workspace_id)]

    return await database.read(read)


async def insert(tx: Tx, table: str, values: Mapping[str, Any]) -> None:
    names = list(values)
    places = ", ".join(f":{name}" for name in names)
    await tx.run(statement(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})"), **values)
