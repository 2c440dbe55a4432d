"""What goes by itself with time: old keys and old events, in small batches."""

from __future__ import annotations

from leadline.store import events, idempotency, workspaces
from leadline.store.database import Tx

BATCH = 500


async def workspace_ids(tx: Tx) -> list[str]:
    return [row.workspace_id for row in await workspaces.list_workspaces(tx)]


async def prune_workspace(tx: Tx, workspace_id: str, *, keys_kept_ms: int, events_kept_ms: int) -> bool:
    """Delete one batch of what is over; True when there may be more."""
    keys = await idempotency.prune_keys(tx, workspace_id, tx.now_ms - keys_kept_ms, limit=BATCH)
    old = await events.prune_events(tx, workspace_id, tx.now_ms - events_kept_ms, limit=BATCH)
    return max(keys, old) >= BATCH


async def touch_tokens(tx: Tx, used: list[tuple[str, str, int]]) -> None:
    """Record when tokens were last used: (workspace_id, token_id, Unix ms)."""
    await workspaces.touch_tokens(tx, used)
