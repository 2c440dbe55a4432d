"""Idempotency keys and the answers stored under them (contract § 3)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from leadline.store.database import Tx
from leadline.store.engines import Engine, ManyStatement, Statement
from leadline.store.rows import Row, columns, deletion_of_many, insertion_of_many, rows_as_r


class StoredAnswer(Row, frozen=True, gc=False):
    idempotency_key: str
    fingerprint: str
    status: int
    body: bytes
    etag: str | None


class ClaimRow(Row, frozen=True, gc=False):
    """A key that is taken; its answer follows in the same transaction."""

    workspace_id: str
    idempotency_key: str
    fingerprint: str
    created_at: int
    kept_until: int


class FilledRow(Row, frozen=True, gc=False):
    """A key that was taken, with its answer."""

    workspace_id: str
    idempotency_key: str
    fingerprint: str
    created_at: int
    kept_until: int
    status: int
    body: bytes
    etag: str | None


class KeyRow(Row, frozen=True, gc=False):
    workspace_id: str
    idempotency_key: str


_FREE_WHEN_OVER = (
    "ON CONFLICT (workspace_id, idempotency_key) DO UPDATE SET fingerprint = excluded.fingerprint,"
    " status = excluded.status, body = excluded.body, etag = excluded.etag, created_at = excluded.created_at,"
    " kept_until = excluded.kept_until WHERE idempotency_keys.kept_until <= excluded.created_at"
)
_CLAIM = insertion_of_many("idempotency_keys", ClaimRow, tail=_FREE_WHEN_OVER)
# SQLite's way, see `claim_keys`.
_STORE = insertion_of_many("idempotency_keys", FilledRow, tail=_FREE_WHEN_OVER)
# Without a status it is a claim of this very transaction: nobody else's can be seen. The plus keeps SQLite from
# searching by time.
_GET = Statement(
    f"SELECT {columns(StoredAnswer)} FROM idempotency_keys WHERE workspace_id = :workspace_id"
    " AND idempotency_key {in_texts:keys} AND +kept_until > :now AND status IS NOT NULL"
)
_FILL = ManyStatement(
    "UPDATE idempotency_keys SET status = :status, body = :body, etag = :etag"
    " WHERE workspace_id = :workspace_id AND idempotency_key = :idempotency_key",
    # JSON carries bytes as base64, and a bytea column would take that for the bytes themselves.
    f"{rows_as_r('idempotency_keys')} UPDATE idempotency_keys k SET status = r.status, etag = r.etag,"
    " body = decode(convert_from(r.body, 'UTF8'), 'base64') FROM r"
    " WHERE k.workspace_id = :workspace_id AND k.idempotency_key = r.idempotency_key"
    " AND k.idempotency_key = ANY(ARRAY(SELECT r.idempotency_key FROM r))",
)
_RELEASE = deletion_of_many("idempotency_keys", ("idempotency_key",))
_PRUNE = Statement(
    "DELETE FROM idempotency_keys WHERE workspace_id = :workspace_id AND idempotency_key IN"
    " (SELECT idempotency_key FROM idempotency_keys WHERE workspace_id = :workspace_id"
    " AND kept_until <= :now ORDER BY kept_until LIMIT :limit)"
)


async def claim_keys(tx: Tx, rows: Sequence[ClaimRow]) -> int:
    """Take those that are free or over; how many. Waits on PostgreSQL while another transaction has one.

    Differs because SQLite has one writer: a key that is free now stays free until the answer is stored, and a row
    that is written twice, small and then large, costs four times as much.
    """
    if tx.engine is Engine.SQLITE:
        taken = (
            await stored_answers(tx, rows[0].workspace_id, [row.idempotency_key for row in rows])
            if rows
            else ()
        )
        return len(rows) - len(taken)
    return await tx.change_many(_CLAIM, rows)


async def stored_answers(tx: Tx, workspace_id: str, keys: Sequence[str]) -> dict[str, StoredAnswer]:
    """The answers that are kept under these keys."""
    rows = await tx.all(_GET, workspace_id=workspace_id, keys=json.dumps(list(keys)), now=tx.now_ms)
    return {row[0]: StoredAnswer(*row) for row in rows}


async def fill_answers(tx: Tx, rows: Sequence[FilledRow]) -> None:
    """Store the answers of keys that were claimed in this transaction."""
    await tx.change_many(_STORE if tx.engine is Engine.SQLITE else _FILL, rows)


async def release_keys(tx: Tx, rows: Sequence[KeyRow]) -> None:
    """Give up keys that were claimed in this transaction."""
    if tx.engine is not Engine.SQLITE:
        await tx.change_many(_RELEASE, rows)


async def prune_keys(tx: Tx, workspace_id: str, *, limit: int) -> int:
    """Delete at most `limit` keys that are over; how many."""
    return await tx.run(_PRUNE, workspace_id=workspace_id, now=tx.now_ms, limit=limit)
