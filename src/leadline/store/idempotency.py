"""Idempotency keys and the answers stored under them (contract § 3)."""

from __future__ import annotations

from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import Row, columns


class StoredAnswer(Row, frozen=True, gc=False):
    """`status` and `body` are null only inside the transaction that is about to fill them."""

    fingerprint: str
    status: int | None
    body: bytes | None
    etag: str | None
    created_at: int


_CLAIM = Statement(
    "INSERT INTO idempotency_keys (workspace_id, idempotency_key, fingerprint, status, body, etag, created_at)"
    " VALUES (:workspace_id, :idempotency_key, :fingerprint, NULL, NULL, NULL, :created_at)"
    " ON CONFLICT (workspace_id, idempotency_key) DO UPDATE SET fingerprint = excluded.fingerprint,"
    " status = NULL, body = NULL, etag = NULL, created_at = excluded.created_at"
    " WHERE idempotency_keys.created_at <= :kept_since"
)
_GET = Statement(
    f"SELECT {columns(StoredAnswer)} FROM idempotency_keys"
    " WHERE workspace_id = :workspace_id AND idempotency_key = :idempotency_key AND created_at > :kept_since"
)
_FILL = Statement(
    "UPDATE idempotency_keys SET status = :status, body = :body, etag = :etag"
    " WHERE workspace_id = :workspace_id AND idempotency_key = :idempotency_key"
)
_PRUNE = Statement(
    "DELETE FROM idempotency_keys WHERE workspace_id = :workspace_id AND idempotency_key IN"
    " (SELECT idempotency_key FROM idempotency_keys WHERE workspace_id = :workspace_id"
    " AND created_at <= :kept_since ORDER BY created_at LIMIT :limit)"
)


async def claim_key(tx: Tx, workspace_id: str, key: str, fingerprint: str, kept_since: int) -> bool:
    """Take a key that is free or older than `kept_since`. Waits on PostgreSQL while another transaction has it."""
    return bool(
        await tx.run(
            _CLAIM,
            workspace_id=workspace_id,
            idempotency_key=key,
            fingerprint=fingerprint,
            created_at=tx.now_ms,
            kept_since=kept_since,
        )
    )


async def get_answer(tx: Tx, workspace_id: str, key: str, kept_since: int) -> StoredAnswer | None:
    row = await tx.first(_GET, workspace_id=workspace_id, idempotency_key=key, kept_since=kept_since)
    return StoredAnswer(*row) if row else None


async def fill_answer(
    tx: Tx, workspace_id: str, key: str, status: int, body: bytes, etag: str | None
) -> None:
    await tx.run(_FILL, workspace_id=workspace_id, idempotency_key=key, status=status, body=body, etag=etag)


async def prune_keys(tx: Tx, workspace_id: str, kept_since: int, *, limit: int) -> int:
    """Delete at most `limit` keys that are over; how many."""
    return await tx.run(_PRUNE, workspace_id=workspace_id, kept_since=kept_since, limit=limit)
