"""The engine and the session of a request."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

# SQLite has one writer; further connections would only wait for it (README.md has the numbers).
SQLITE_CONNECTIONS = 1
POSTGRESQL_CONNECTIONS = 10
POOL_TIMEOUT_SECONDS = 60


def make_engine(url: str) -> AsyncEngine:
    """An engine for `sqlite:///…` or `postgresql://…`, with as many connections as suit it."""
    if url.startswith("sqlite:"):
        engine = create_async_engine(
            url.replace("sqlite:", "sqlite+aiosqlite:", 1),
            pool_size=SQLITE_CONNECTIONS,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT_SECONDS,
        )
        _tune_sqlite(engine)
        return engine
    return create_async_engine(
        url.replace("postgresql:", "postgresql+asyncpg:", 1),
        pool_size=POSTGRESQL_CONNECTIONS,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        connect_args={"server_settings": {"jit": "off"}},
    )


def _tune_sqlite(engine: AsyncEngine) -> None:
    """Leadline's pragmas, and SQLAlchemy's recipe for transactions that begin by taking the write lock."""

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-16384",
            "busy_timeout=5000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def on_begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def make_sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(engine, expire_on_commit=False)


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """One session for a request. What was not committed when the request ends is rolled back."""
    sessions: async_sessionmaker[AsyncSession] = request.app.state.sessions
    async with sessions() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]


def now_ms() -> int:
    return time.time_ns() // 1_000_000
