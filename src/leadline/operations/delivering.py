"""The smaller things that the worker writes; see also `claim_deliveries` and `record_attempts` (contract § 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leadline.store import deliveries as store
from leadline.store.database import Signal, Tx


async def renew_leases(tx: Tx, workspace_id: str, held: Mapping[str, Sequence[str]], lease_ms: int) -> None:
    """Hold on to deliveries that are still on their way, or cannot be written down yet; `held` has them by lease."""
    await store.lock_deliveries(tx, workspace_id, sorted({each for some in held.values() for each in some}))
    for lease_id, delivery_ids in held.items():
        await store.renew_leases(tx, workspace_id, delivery_ids, lease_id, lease_ms)


async def cancel_empty(tx: Tx, workspace_id: str, delivery_id: str, lease_id: str) -> None:
    """End one that was claimed and has nothing to send: the person that it told of was erased."""
    await store.cancel_claimed(tx, workspace_id, delivery_id, lease_id)


async def release(tx: Tx, workspace_id: str, delivery_id: str, lease_id: str) -> None:
    """Return one whose attempt was cut off half-way: it may have arrived, so the attempt counts."""
    await store.release_delivery(tx, workspace_id, delivery_id, lease_id)
    tx.signal(Signal.DELIVERIES, workspace_id)


async def end_leases(tx: Tx) -> int:
    """Every lease is over: only for a database that no other worker has. How many there were."""
    return await store.end_leases(tx)


async def workspaces_due(tx: Tx) -> list[str]:
    """The workspaces that have something to be sent now."""
    return await store.workspaces_due(tx)
