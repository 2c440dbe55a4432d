"""The last names of what was deleted, for the reports that still count it."""

from __future__ import annotations

import json
from collections.abc import Iterable

from leadline.store.database import Tx
from leadline.store.engines import Statement

# An id can be deleted again only after a restore put it back; the newest name is the one to keep.
_KEEP = Statement(
    "INSERT INTO deleted_names (workspace_id, deleted_id, noun, name, deleted_at)"
    " VALUES (:workspace_id, :deleted_id, :noun, :name, :deleted_at) ON CONFLICT (workspace_id, deleted_id)"
    " DO UPDATE SET name = excluded.name, deleted_at = excluded.deleted_at"
)
_NAMES = Statement(
    "SELECT deleted_id, name FROM deleted_names"
    " WHERE workspace_id = :workspace_id AND deleted_id {in_ids:deleted_ids}"
)


async def keep_name(tx: Tx, workspace_id: str, noun: str, deleted_id: str, name: str) -> None:
    """Remember what an outcome or a Smart List (`noun`) was called when it was deleted."""
    await tx.run(
        _KEEP, workspace_id=workspace_id, noun=noun, deleted_id=deleted_id, name=name, deleted_at=tx.now_ms
    )


async def names_of_deleted(tx: Tx, workspace_id: str, deleted_ids: Iterable[str]) -> dict[str, str]:
    """Name by id, of those that are known."""
    wanted = json.dumps(list(deleted_ids))
    return {row[0]: row[1] for row in await tx.all(_NAMES, workspace_id=workspace_id, deleted_ids=wanted)}
