"""What goes by itself with time: old keys, events, drafts, payloads and attempts, in small batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from leadline.domain.limits import SESSION_IDLE_MS
from leadline.ids import first_id_at
from leadline.operations.contact_imports import prune_imports
from leadline.store import audit, deliveries, drafts, endpoints, events, idempotency, users, workspaces
from leadline.store.database import Tx

# So few that nobody waits for them: of a large database each may be a page or two from the disk.
BATCH = 100
DAY_MS = 86_400_000
# The last 24 hours are shown; what is older is kept as one sum.
HOURS_KEPT_MS = 2 * DAY_MS
# Applied outcomes in one step of the look for drift, a few ms of reading; a workspace counts as so many more.
DRIFT_STEP, WORKSPACE_COST = 1_000, 10


async def workspace_ids(tx: Tx) -> list[str]:
    return [row.workspace_id for row in await workspaces.list_workspaces(tx)]


async def prune_workspace(tx: Tx, workspace_id: str, *, events_kept_ms: int) -> bool:
    """Delete one batch of what is over; True when there may be more."""
    keys = await idempotency.prune_keys(tx, workspace_id, limit=BATCH)
    old = await events.prune_events(tx, workspace_id, tx.now_ms - events_kept_ms, limit=BATCH)
    stale = await drafts.prune_drafts(tx, workspace_id, limit=BATCH)
    more_imports = await prune_imports(tx, workspace_id)
    return await _prune_kept(tx, workspace_id) or more_imports or max(keys, old, stale) >= BATCH


async def _prune_kept(tx: Tx, workspace_id: str) -> bool:
    """Payloads, attempts and audit entries older than the workspace's `retention_days`; true when there may be more."""
    workspace = await workspaces.get_workspace(tx, workspace_id)
    if workspace is None:
        return False
    kept_since = tx.now_ms - workspace.retention_days * DAY_MS
    await endpoints.fold_hours(tx, workspace_id, tx.now_ms - HOURS_KEPT_MS)
    await users.prune_sessions(tx, workspace_id, tx.now_ms - SESSION_IDLE_MS)
    await users.prune_links(tx, workspace_id)
    entries = await audit.prune_entries(tx, workspace_id, kept_since, limit=BATCH)
    return max(entries, await deliveries.prune_deliveries(tx, workspace_id, kept_since, limit=BATCH)) >= BATCH


class DriftLook(NamedTuple):
    """A look for deliveries that were promised and are not there, as far as it has come."""

    workspace_ids: Sequence[str]
    since_ms: int
    """Unix ms; what was applied before is not looked at."""
    workspace: int = 0
    """Which of the workspaces it has come to."""
    after: str | None = None
    """The last applied_id of that one."""
    missing: int = 0

    @property
    def is_over(self) -> bool:
        return self.workspace >= len(self.workspace_ids)


async def look_on(tx: Tx, look: DriftLook) -> DriftLook:
    """The next `DRIFT_STEP` outcomes: one that promised a delivery was committed with it, so that any is a loss."""
    left = DRIFT_STEP
    while left > 0 and not look.is_over:
        after = look.after or first_id_at(look.since_ms)
        rows = await deliveries.promised(tx, look.workspace_ids[look.workspace], after, limit=left)
        look = look._replace(missing=look.missing + sum(is_missing for _, is_missing in rows))
        if len(rows) < left:
            look = look._replace(workspace=look.workspace + 1, after=None)
        else:
            look = look._replace(after=rows[-1][0])
        left -= len(rows) + WORKSPACE_COST
    return look


async def drift(tx: Tx, *, since_ms: int = 0) -> int:
    """The whole look at once: how many deliveries were promised since then (Unix ms) and are not there."""
    look = DriftLook(await workspace_ids(tx), since_ms)
    while not look.is_over:
        look = await look_on(tx, look)
    return look.missing


async def touch_tokens(tx: Tx, used: list[tuple[str, str, int]]) -> None:
    """Record when tokens were last used: (workspace_id, token_id, Unix ms)."""
    await workspaces.touch_tokens(tx, used)
