"""How Alembic reaches the database: the same drivers as Leadline itself."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa
from alembic import context

from leadline.store.engines import Engine
from leadline.store.migrating import engine_of, sqlite_path
from leadline.store.migrations import dbapi
from leadline.store.tables import metadata

# Any number: it only has to be the same in every Leadline.
ADVISORY_LOCK = 0x6C65_6164


def _run(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        context.run_migrations()


def _sqlite(path: str) -> None:
    engine = sa.create_engine(f"sqlite:///{path}", module=dbapi)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: dbapi.Connection, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.connect() as connection:
            _run(connection)
    finally:
        engine.dispose()


async def _postgresql(url: str) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    address = "postgresql+asyncpg://" + url.partition("://")[2]
    engine = create_async_engine(address)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run)
            await connection.commit()
    finally:
        await engine.dispose()


url: str = context.config.attributes["url"]
if engine_of(url) is Engine.SQLITE:
    _sqlite(sqlite_path(url))
else:
    asyncio.run(_postgresql(url))
