"""Drafts: what an agent has typed and chosen for a call before he saves it."""

from __future__ import annotations

from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import Row, columns, insertion, values_of


class DraftRow(Row, frozen=True, gc=False):
    workspace_id: str
    call_id: str
    user_id: str
    outcome_id: str | None
    note: str
    updated_at: int


_SAVE = insertion(
    "drafts",
    DraftRow,
    tail="ON CONFLICT (workspace_id, call_id, user_id) DO UPDATE SET outcome_id = excluded.outcome_id,"
    " note = excluded.note, updated_at = excluded.updated_at",
)
_GET = Statement(
    f"SELECT {columns(DraftRow)} FROM drafts"
    " WHERE workspace_id = :workspace_id AND call_id = :call_id AND user_id = :user_id"
)
_FORGET_CALL = Statement("DELETE FROM drafts WHERE workspace_id = :workspace_id AND call_id = :call_id")
_FORGET_CONTACT = Statement(
    "DELETE FROM drafts WHERE workspace_id = :workspace_id AND call_id IN (SELECT call_id FROM calls"
    " WHERE workspace_id = :workspace_id AND contact_id = :contact_id)"
)
_PRUNE = Statement(
    "DELETE FROM drafts WHERE workspace_id = :workspace_id AND call_id IN (SELECT t.call_id FROM drafts t"
    " JOIN calls c ON c.workspace_id = t.workspace_id AND c.call_id = t.call_id"
    " WHERE t.workspace_id = :workspace_id AND c.state = 'closed' LIMIT :limit)"
)


async def save_draft(tx: Tx, row: DraftRow) -> None:
    """In place of the one before."""
    await tx.run(_SAVE, **values_of(row))


async def get_draft(tx: Tx, workspace_id: str, call_id: str, user_id: str) -> DraftRow | None:
    row = await tx.first(_GET, workspace_id=workspace_id, call_id=call_id, user_id=user_id)
    return DraftRow(*row) if row else None


async def forget_drafts_of_call(tx: Tx, workspace_id: str, call_id: str) -> None:
    """Everybody's."""
    await tx.run(_FORGET_CALL, workspace_id=workspace_id, call_id=call_id)


async def forget_contact_of_drafts(tx: Tx, workspace_id: str, contact_id: str) -> None:
    """While his calls still name him: afterwards nobody knows which they were."""
    await tx.run(_FORGET_CONTACT, workspace_id=workspace_id, contact_id=contact_id)


async def prune_drafts(tx: Tx, workspace_id: str, *, limit: int) -> int:
    """Those of closed calls, which nothing will ever be made of; how many went."""
    return await tx.run(_PRUNE, workspace_id=workspace_id, limit=limit)
