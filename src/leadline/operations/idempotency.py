"""One effect per Idempotency-Key: key, effect and answer commit together (contract § 3)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from leadline.domain.errors import IdempotencyKeyInUse, IdempotencyKeyReused, LeadlineError
from leadline.store import idempotency as store
from leadline.store.database import LockTimeout, Tx
from leadline.store.idempotency import ClaimRow, FilledRow, KeyRow, StoredAnswer

_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class Keyed(msgspec.Struct, frozen=True):
    """A key and what it is bound to. `kept_ms` is how long an answer is replayed; `seals`: there is a secret in it."""

    workspace_id: str
    key: str
    fingerprint: str
    kept_ms: int
    seals: bool = False


class EncodedAnswer(msgspec.Struct, frozen=True):
    """A success as it goes out."""

    status: int
    body: bytes
    etag: str | None = None
    replayed: bool = False


def fingerprint(method: str, path: str, query: str, body: object) -> str:
    """What a request is, however it is written: spaces and the order of keys do not matter."""
    return hashlib.sha256(_encode_sorted([method, path, query, body])).hexdigest()


Answers = list[EncodedAnswer | LeadlineError]


async def perform_together(
    tx: Tx,
    wanted: Sequence[Keyed | None],
    effect: Callable[[Tx, Sequence[int]], Awaitable[Sequence[EncodedAnswer | LeadlineError]]],
) -> Answers:
    """Answer requests of one workspace, each under its key: what is stored, or what `effect` answers now.

    `effect` is given the positions of those that are to be carried out. A refusal leaves its key free.
    """
    keys = [keyed for keyed in wanted if keyed is not None]
    stored = await _claim(tx, keys)
    todo = [at for at, keyed in enumerate(wanted) if keyed is None or keyed.key not in stored]
    done = dict(zip(todo, await effect(tx, todo) if todo else (), strict=True))
    await _fill(tx, [(wanted[at], answer) for at, answer in done.items()])
    return [
        done[at] if keyed is None or keyed.key not in stored else _replay(tx, stored[keyed.key], keyed)
        for at, keyed in enumerate(wanted)
    ]


async def perform_once(
    tx: Tx, keyed: Keyed, effect: Callable[[Tx], Awaitable[EncodedAnswer]]
) -> EncodedAnswer:
    """Run `effect` under its key, or answer with what is stored. Raises IdempotencyKeyReused, IdempotencyKeyInUse.

    A refusal raised by `effect` takes the whole transaction with it, the key too.
    """

    async def alone(tx: Tx, _: Sequence[int]) -> Sequence[EncodedAnswer]:
        return [await effect(tx)]

    return _or_raise(*await perform_together(tx, [keyed], alone))


async def replay_of(tx: Tx, keyed: Keyed) -> EncodedAnswer | None:
    """What is stored under a key, without claiming it. Raises IdempotencyKeyReused."""
    stored = await store.stored_answers(tx, keyed.workspace_id, [keyed.key])
    return _or_raise(_replay(tx, stored[keyed.key], keyed)) if stored else None


async def _claim(tx: Tx, keys: Sequence[Keyed]) -> dict[str, StoredAnswer]:
    """Claim all that are free; the answers of the others."""
    rows = [
        ClaimRow(each.workspace_id, each.key, each.fingerprint, tx.now_ms, tx.now_ms + each.kept_ms)
        for each in keys
    ]
    try:
        claimed = await store.claim_keys(tx, sorted(rows, key=lambda row: row.idempotency_key))
    except LockTimeout:
        if len(keys) == 1:
            raise IdempotencyKeyInUse from None
        raise  # each alone will find out whose it is
    if claimed == len(keys):
        return {}
    return await store.stored_answers(tx, keys[0].workspace_id, [each.key for each in keys])


async def _fill(tx: Tx, done: Iterable[tuple[Keyed | None, EncodedAnswer | LeadlineError]]) -> None:
    filled, released = [], []
    for keyed, answer in done:
        if keyed is None:
            continue
        if isinstance(answer, LeadlineError):
            released.append(KeyRow(keyed.workspace_id, keyed.key))
        else:
            filled.append(
                FilledRow(
                    workspace_id=keyed.workspace_id,
                    idempotency_key=keyed.key,
                    fingerprint=keyed.fingerprint,
                    created_at=tx.now_ms,
                    kept_until=tx.now_ms + keyed.kept_ms,
                    status=answer.status,
                    body=_sealed(tx, keyed, answer.body),
                    etag=answer.etag,
                )
            )
    await store.fill_answers(tx, filled)
    await store.release_keys(tx, released)


def _replay(tx: Tx, stored: StoredAnswer, keyed: Keyed) -> EncodedAnswer | IdempotencyKeyReused:
    if stored.fingerprint != keyed.fingerprint:
        return IdempotencyKeyReused()
    return EncodedAnswer(stored.status, _opened(tx, keyed, bytes(stored.body)), stored.etag, replayed=True)


def _sealed(tx: Tx, keyed: Keyed, body: bytes) -> bytes:
    """What shows a secret is kept as the secret itself is: it must not lie open beside it for a week."""
    return tx.vault.seal(body.decode(), keyed.workspace_id).encode() if keyed.seals else body


def _opened(tx: Tx, keyed: Keyed, body: bytes) -> bytes:
    return tx.vault.open(body.decode(), keyed.workspace_id).encode() if keyed.seals else body


def _or_raise(answer: EncodedAnswer | LeadlineError) -> EncodedAnswer:
    if isinstance(answer, LeadlineError):
        raise answer
    return answer
