"""Rows straight into a database, by the tens of thousands a second: for setting scenes, never for what is measured."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import asyncpg

from leadline.store.engines import Engine
from leadline.store.migrating import engine_of, sqlite_path
from leadline.store.rows import Row
from leadline.store.sqlite import connect

CHUNK_ROWS = 20_000


def insert(database_url: str, batches: Sequence[tuple[str, Iterable[Row]]]) -> None:
    """Insert rows of `store`'s row types, table by table, in one transaction for each chunk.

    Parents come before children: PostgreSQL checks foreign keys. Works beside a running server.
    """
    if engine_of(database_url) is Engine.SQLITE:
        _insert_sqlite(sqlite_path(database_url), batches)
    else:
        asyncio.run(_insert_postgresql(database_url, batches))


def _insert_sqlite(path: str, batches: Sequence[tuple[str, Iterable[Row]]]) -> None:
    with contextlib.closing(connect(path)) as connection:
        # Set-up need not survive a power cut, and refers to nothing that is not there.
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("PRAGMA cache_size=-262144")
        for table, rows in batches:
            for columns, chunk in _chunks(rows):
                marks = ", ".join("?" * len(columns))
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",
                    chunk,
                )
                connection.execute("COMMIT")
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


async def _insert_postgresql(url: str, batches: Sequence[tuple[str, Iterable[Row]]]) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.set_type_codec("uuid", encoder=_uuid_bytes, decoder=bytes, schema="pg_catalog",
                                        format="binary")  # fmt: skip
        for table, rows in batches:
            for columns, chunk in _chunks(rows):
                await connection.copy_records_to_table(table, records=chunk, columns=columns)
        for table, _ in batches:
            await connection.execute(f"VACUUM (ANALYZE, FREEZE) {table}")
    finally:
        await connection.close()


def _uuid_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("-", ""))


def _chunks(rows: Iterable[Row]) -> Iterable[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
    """(columns, values) of so many rows at a time."""
    remaining = iter(rows)
    while chunk := list(islice(remaining, CHUNK_ROWS)):
        names = chunk[0].__struct_fields__
        yield names, [tuple([getattr(row, name) for name in names]) for row in chunk]
