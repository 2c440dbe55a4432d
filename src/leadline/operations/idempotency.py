"""One effect per Idempotency-Key: key, effect and answer commit together (contract § 3)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from leadline.domain.errors import IdempotencyKeyInUse, IdempotencyKeyReused
from leadline.store import idempotency as store
from leadline.store.database import LockTimeout, Tx
from leadline.store.idempotency import StoredAnswer


@dataclass(frozen=True, slots=True)
class Keyed:
    """A key and what it is bound to. `kept_ms` is how long an answer is replayed."""

    workspace_id: str
    key: str
    fingerprint: str
    kept_ms: int


@dataclass(frozen=True, slots=True)
class EncodedAnswer:
    """A success as it goes out."""

    status: int
    body: bytes
    etag: str | None = None
    replayed: bool = False


def fingerprint(method: str, path: str, query: str, body: object) -> str:
    """What a request is, however it is written: spaces and the order of keys do not matter."""
    text = json.dumps([method, path, query, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


async def perform_once(
    tx: Tx, keyed: Keyed, effect: Callable[[Tx], Awaitable[EncodedAnswer]]
) -> EncodedAnswer:
    """Run `effect` under its key, or answer with what is stored. Raises IdempotencyKeyReused.

    A refusal raised by `effect` takes the claim away with it, so the key stays free.
    """
    kept_since = tx.now_ms - keyed.kept_ms
    try:
        claimed = await store.claim_key(tx, keyed.workspace_id, keyed.key, keyed.fingerprint, kept_since)
    except LockTimeout:
        raise IdempotencyKeyInUse from None
    if not claimed:
        stored = await store.get_answer(tx, keyed.workspace_id, keyed.key, kept_since)
        assert stored is not None  # it is what the claim collided with
        return _replay(stored, keyed)
    answer = await effect(tx)
    await store.fill_answer(tx, keyed.workspace_id, keyed.key, answer.status, answer.body, answer.etag)
    return answer


async def replay_of(tx: Tx, keyed: Keyed) -> EncodedAnswer | None:
    """What is stored under a key, without claiming it. Raises IdempotencyKeyReused."""
    stored = await store.get_answer(tx, keyed.workspace_id, keyed.key, tx.now_ms - keyed.kept_ms)
    return None if stored is None else _replay(stored, keyed)


def _replay(stored: StoredAnswer, keyed: Keyed) -> EncodedAnswer:
    if stored.fingerprint != keyed.fingerprint:
        raise IdempotencyKeyReused
    assert stored.status is not None
    assert stored.body is not None  # filled in the transaction that claimed it
    return EncodedAnswer(stored.status, bytes(stored.body), stored.etag, replayed=True)
