"""The audit log: who changed what, with before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leadline.domain.paging import PageRequest
from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import Row, insertion, listing, page_values, values_of


class AuditRow(Row, frozen=True, gc=False):
    workspace_id: str
    entry_id: str
    at: int
    actor_kind: str
    actor_id: str | None
    actor_name: str
    request_id: str | None
    action: str
    thing: str
    thing_id: str | None
    before: str | None
    after: str | None


_INSERT = insertion("audit_entries", AuditRow)
_CONDITIONS = {
    "actor_id": "actor_id = :actor_id",
    "actor_kind": "actor_kind = :actor_kind",
    "action": "action = :action",
    "thing": "thing = :thing",
    "thing_id": "thing_id = :thing_id",
    "since": "at >= :since",
    "until": "at < :until",
}
# The fact that somebody was changed stays, and nothing of what he was.
_FORGET = Statement(
    "UPDATE audit_entries SET before = NULL, after = NULL"
    " WHERE workspace_id = :workspace_id AND thing_id = :thing_id AND thing = :thing"
)
_PRUNE = Statement(
    "DELETE FROM audit_entries WHERE workspace_id = :workspace_id AND entry_id IN (SELECT entry_id FROM audit_entries"
    " WHERE workspace_id = :workspace_id AND at < :kept_since ORDER BY at LIMIT :limit)"
)


async def insert_entry(tx: Tx, row: AuditRow) -> None:
    await tx.run(_INSERT, **values_of(row))


async def page_of_entries(
    tx: Tx, workspace_id: str, page: PageRequest, filters: Mapping[str, Any]
) -> list[AuditRow]:
    """One row more than the page. `filters` are names of `_CONDITIONS` with their values."""
    conditions = tuple(_CONDITIONS[name] for name in _CONDITIONS if name in filters)
    statement = listing(AuditRow, "audit_entries", ("at", "entry_id"), conditions)
    rows = await tx.all(statement, workspace_id=workspace_id, **page_values(page), **filters)
    return [AuditRow(*row) for row in rows]


async def forget(tx: Tx, workspace_id: str, thing: str, thing_id: str) -> None:
    """Take away what entries about a thing say of it."""
    await tx.run(_FORGET, workspace_id=workspace_id, thing=thing, thing_id=thing_id)


async def prune_entries(tx: Tx, workspace_id: str, kept_since: int, *, limit: int) -> int:
    return await tx.run(_PRUNE, workspace_id=workspace_id, kept_since=kept_since, limit=limit)
