"""A past for a workspace: so many applied outcomes with all that they leave behind, made inside the database.

Each has a call, a delivery that succeeded at its first attempt, the attempt, the event, and the stored answer; every
tenth has a contact, a membership and a list move. Everything lies within the last 20 hours, so that nothing is due for
removal.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg

from benchmarks.scene import Scene
from leadline.domain.reports import Measure
from leadline.operations.count_ahead import count_ahead, uncounted
from leadline.settings import Settings
from leadline.store.database import Tx
from leadline.store.engines import Engine
from leadline.store.migrating import engine_of, sqlite_path
from leadline.store.sqlite import connect
from leadline.wiring import opened

CHUNK_ROWS = 50_000
CONTACT_EVERY = 10
SPAN_MS = 20 * 3_600_000
# What one applied outcome and its company take on the disk, indexes included; measured, and rounded up.
BYTES_PER_APPLIED = 5_500
_TABLES = ("contacts", "calls", "applied_outcomes", "memberships", "list_moves", "deliveries", "attempts",
           "events", "idempotency_keys")  # fmt: skip


@dataclass(frozen=True)
class Dialect:
    """How an engine counts, writes hexadecimal, and makes an id out of text."""

    numbers: str
    hexadecimal: Callable[[str, int], str]
    identifier: Callable[[str], str]
    blob: Callable[[str], str]
    commit_order: str


_SQLITE = Dialect(
    numbers="WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})",
    hexadecimal=lambda number, width: f"printf('%0{width}x', {number})",
    identifier=lambda text: text,
    blob=lambda text: f"CAST({text} AS BLOB)",
    commit_order="i + 1000",
)
_POSTGRESQL = Dialect(
    numbers="WITH n(i) AS (SELECT generate_series({first}::bigint, {last}::bigint))",
    hexadecimal=lambda number, width: f"lpad(to_hex({number}), {width}, '0')",
    identifier=lambda text: f"CAST({text} AS uuid)",
    blob=lambda text: f"convert_to({text}, 'UTF8')",
    commit_order="1",  # of a transaction before the first of all
)


class Past:
    """The statements that make it, on one engine. Row `i` happened `step_ms` after the one before."""

    def __init__(self, dialect: Dialect, scene: Scene, *, begins_at_ms: int, step_ms: float) -> None:
        self._dialect = dialect
        self._scene = scene
        self._at = f"({begins_at_ms} + CAST(i * {step_ms} AS bigint))"

    def statements(self, first: int, last: int) -> Iterator[str]:
        """INSERTs for rows `first` to `last`, parents before their children."""
        numbers = self._dialect.numbers.format(first=first, last=last)
        for table in _TABLES:
            columns = getattr(self, f"_{table}")()
            where = f"WHERE i % {CONTACT_EVERY} = 0" if table in _OF_CONTACTS else ""
            # PostgreSQL takes the WITH in front of the INSERT, SQLite too.
            yield (
                f"{numbers} INSERT INTO {table} ({', '.join(columns)})"
                f" SELECT {', '.join(columns.values())} FROM n {where}"
            )

    def id_text(self, kind: int, number: str = "i") -> str:
        """A UUIDv7 as text: as old as row `number`, one for each kind and number."""
        hexadecimal = self._dialect.hexadecimal
        at = self._at.replace("i *", f"{number} *")
        return (
            f"({hexadecimal(f'({at} / 65536)', 8)} || '-' || {hexadecimal(f'({at} % 65536)', 4)}"
            f" || '-7{kind:03x}-8000-' || {hexadecimal(f'({number})', 12)})"
        )

    def _id(self, kind: int, number: str = "i") -> str:
        return self._dialect.identifier(self.id_text(kind, number))

    def _known(self, text: str) -> str:
        return self._dialect.identifier(f"'{text}'")

    @property
    def _workspace(self) -> dict[str, str]:
        return {"workspace_id": self._known(self._scene.workspace_id)}

    @property
    def _contact(self) -> str:
        return self._id(CONTACT, f"(i - i % {CONTACT_EVERY})")

    def _contacts(self) -> dict[str, str]:
        number = "'+4' || CAST(100000000000 + i AS text)"
        return self._workspace | {
            "contact_id": self._contact,
            "phone_number": number,
            "name": "'Grace Hopper'",
            "attributes": "'{}'",
            "search_text": f"{number} || ' grace hopper'",
            "created_at": self._at,
            "updated_at": self._at,
        }

    def _calls(self) -> dict[str, str]:
        return self._workspace | {
            "call_id": self._id(CALL),
            "state": "'closed'",
            "direction": "'outbound'",
            "phone_number": f"'+4' || CAST(100000000000 + i - i % {CONTACT_EVERY} AS text)",
            "contact_id": self._contact,
            "agent_id": "'agent-' || CAST(i % 5 AS text)",
            "line_result": "'completed'",
            "started_at": self._at,
            "answered_at": self._at,
            "ended_at": f"{self._at} + 1",
            "closed_at": f"{self._at} + 1",
            "created_at": self._at,
        }

    def _applied_outcomes(self) -> dict[str, str]:
        return self._workspace | {
            "applied_id": self._id(APPLIED),
            "call_id": self._id(CALL),
            "contact_id": self._contact,
            "outcome_id": self._known(self._scene.outcome_id),
            "outcome_name": "'Interested'",
            "outcome_type": "'action'",
            "agent_id": "'agent-' || CAST(i % 5 AS text)",
            "note": "'Asked for the spring prices.'",
            "destination": f"'{self._destination}'",
            "lists_added": "'[]'",
            "lists_removed": "'[]'",
            "error_message": "''",
            "delivery_id": self._id(DELIVERY),
            "applied_at": self._at,
        }

    @property
    def _destination(self) -> str:
        return f'{{"destination_type":"smart_list","destination_id":"{self._scene.smart_list_id}"}}'

    def _memberships(self) -> dict[str, str]:
        return self._workspace | {
            "smart_list_id": self._known(self._scene.smart_list_id),
            "contact_id": self._contact,
            "since": self._at,
            "source": "'applied'",
            "applied_id": self._id(APPLIED),
        }

    def _list_moves(self) -> dict[str, str]:
        return self._workspace | {
            "move_id": self._id(MOVE),
            "contact_id": self._contact,
            "smart_list_id": self._known(self._scene.smart_list_id),
            "smart_list_name": "'Call back'",
            "direction": "'joined'",
            "source": "'applied'",
            "applied_id": self._id(APPLIED),
            "moved_at": self._at,
        }

    def _deliveries(self) -> dict[str, str]:
        return self._workspace | {
            "delivery_id": self._id(DELIVERY),
            "endpoint_id": self._known(self._scene.endpoint_id),
            "applied_id": self._id(APPLIED),
            "outcome_id": self._known(self._scene.outcome_id),
            "call_id": self._id(CALL),
            "contact_id": self._contact,
            "webhook_url": f"'{self._scene.webhook_url}'",
            "payload": self._payload(),
            "state": "'succeeded'",
            "attempt_count": "1",
            "schedule_step": "1",
            "last_status": "200",
            "created_at": self._at,
            "finished_at": f"{self._at} + 20",
        }

    def _payload(self) -> str:
        scene = self._scene
        return (
            f"""'{{"error_message":"","timestamp":' || CAST({self._at} AS text) || ',"scope":{{"subaccount_id":"'"""
            f""" || '{scene.workspace_id}","organization_id":"{scene.workspace_id}"}},"outcome":{{"outcome_id":"'"""
            f""" || '{scene.outcome_id}","outcome_name":"Interested","outcome_type":"action"}},"call":{{"call_id":"'"""
            f""" || {self.id_text(CALL)} || '","phone_number":"+41000000","contact_id":"'"""
            f""" || {self.id_text(CONTACT)} || '"}},"destination":{self._destination}}}'"""
        )

    def _attempts(self) -> dict[str, str]:
        return self._workspace | {
            "delivery_id": self._id(DELIVERY),
            "number": "1",
            "started_at": self._at,
            "duration_ms": "12",
            "remote_address": "'127.0.0.1'",
            "status": "200",
            "response_headers": """'[["content-type","text/plain"],["content-length","2"]]'""",
            "response_body": "'ok'",
            "timings": "'{}'",
        }

    def _events(self) -> dict[str, str]:
        return self._workspace | {
            "commit_order": self._dialect.commit_order,
            "event_id": self._id(EVENT),
            "type": "'outcome.applied'",
            "data": f"""'{{"applied_id":"' || {self.id_text(APPLIED)} || '","outcome_name":"Interested"}}'""",
            "contact_id": self._contact,
            "at": self._at,
        }

    def _idempotency_keys(self) -> dict[str, str]:
        answer = f"""'{{"ok":true,"applied":{{"applied_id":"' || {self.id_text(APPLIED)} || '"}}}}'"""
        return self._workspace | {
            "idempotency_key": "'past-' || CAST(i AS text)",
            "fingerprint": f"{self._dialect.hexadecimal('i', 64)}",
            "status": "201",
            "body": self._dialect.blob(answer),
            "created_at": self._at,
            "kept_until": f"{self._at} + {7 * 86_400_000}",
        }


CONTACT, CALL, APPLIED, DELIVERY, MOVE, EVENT = range(1, 7)
_OF_CONTACTS = {"contacts", "memberships", "list_moves"}


def past_of(scene: Scene, count: int) -> Past:
    """A past of so many applied outcomes, the newest an instant ago."""
    dialect = _SQLITE if engine_of(scene.database_url) is Engine.SQLITE else _POSTGRESQL
    now_ms = time.time_ns() // 1_000_000
    return Past(dialect, scene, begins_at_ms=now_ms - SPAN_MS, step_ms=SPAN_MS / max(1, count))


def fill(scene: Scene, past: Past, count: int, tell: Callable[[int], None]) -> None:
    """Make it. `tell` hears how many there are so far."""
    chunks = [(first, min(first + CHUNK_ROWS, count) - 1) for first in range(0, count, CHUNK_ROWS)]
    if engine_of(scene.database_url) is Engine.SQLITE:
        _fill_sqlite(sqlite_path(scene.database_url), past, chunks, tell)
    else:
        asyncio.run(_fill_postgresql(scene.database_url, past, chunks, tell))
    asyncio.run(_count(scene.database_url))


async def _count(database_url: str) -> None:
    """Count it for the reports, as the server has done by the time a past has come about."""
    async with opened(Settings(database_url=database_url)) as database:
        while due := await database.read(uncounted):
            for workspace_id, measure in due:
                step = partial(_count_some, workspace_id, measure)
                while await database.write(step):
                    pass


async def _count_some(workspace_id: str, measure: Measure, tx: Tx) -> bool:
    return await count_ahead(tx, workspace_id, measure, step_facts=CHUNK_ROWS)


def _fill_sqlite(path: str, past: Past, chunks: list[tuple[int, int]], tell: Callable[[int], None]) -> None:
    with contextlib.closing(connect(path)) as connection:
        for pragma in ("synchronous=OFF", "foreign_keys=OFF", "cache_size=-1048576"):
            connection.execute(f"PRAGMA {pragma}")
        for first, last in chunks:
            connection.execute("BEGIN IMMEDIATE")
            for statement in past.statements(first, last):
                connection.execute(statement)
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            tell(last + 1)


async def _fill_postgresql(
    url: str, past: Past, chunks: list[tuple[int, int]], tell: Callable[[int], None]
) -> None:
    connection = await asyncpg.connect(url)
    try:
        # Set-up needs neither the disk's word nor the keys' guard.
        await connection.execute("SET synchronous_commit = off; SET session_replication_role = replica")
        for first, last in chunks:
            async with connection.transaction():
                for statement in past.statements(first, last):
                    await connection.execute(statement)
            tell(last + 1)
        for table in _TABLES:
            await connection.execute(f"VACUUM (ANALYZE) {table}")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def contact_ids(past: Past, scene: Scene, count: int, wanted: int) -> list[str]:
    """Ids of so many contacts, spread over the whole past."""
    step = max(1, count // CONTACT_EVERY // wanted) * CONTACT_EVERY
    numbers = ", ".join(f"({number})" for number in range(0, count, step))
    query = f"WITH n(i) AS (VALUES {numbers}) SELECT {past.id_text(CONTACT)} FROM n"
    if engine_of(scene.database_url) is Engine.SQLITE:
        with contextlib.closing(connect(sqlite_path(scene.database_url))) as connection:
            return [row[0] for row in connection.execute(query)]

    async def ask() -> list[str]:
        connection = await asyncpg.connect(scene.database_url)
        try:
            return [row[0] for row in await connection.fetch(query)]
        finally:
            await connection.close()

    return asyncio.run(ask())


def room_for(directory: Path) -> int:
    """How many applied outcomes four fifths of the free disk have room for."""
    return shutil.disk_usage(directory).free * 4 // 5 // BYTES_PER_APPLIED
