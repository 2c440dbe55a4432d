"""Smart Lists and memberships (contract § 6)."""

from __future__ import annotations

from collections.abc import Iterable

from leadline.domain.errors import (
    ContactNotFound,
    LimitReached,
    SmartListExists,
    SmartListInUse,
    SmartListNotFound,
)
from leadline.domain.limits import SMART_LISTS_PER_WORKSPACE_MAX
from leadline.domain.paging import PageRequest, Position, cut_page
from leadline.domain.text import name_key
from leadline.ids import new_id
from leadline.operations import audit
from leadline.operations.views import (
    member_view,
    membership_view,
    outcome_points_to,
    smart_list_view,
)
from leadline.store import contacts, deleted_names, outcomes, workspaces
from leadline.store import smart_lists as store
from leadline.store.database import Tx
from leadline.store.smart_lists import LeavingRow, MembershipRow, MoveRow, SmartListRow
from leadline.wire.smart_lists import (
    MembersAnswer,
    MembershipAnswer,
    MembershipDeleted,
    SmartListAnswer,
    SmartListDeleted,
    SmartListsAnswer,
)


async def list_smart_lists(tx: Tx, workspace_id: str, page: PageRequest) -> SmartListsAnswer:
    rows = await store.page_of_lists(tx, workspace_id, page)
    rows, next_cursor = cut_page(rows, page, lambda row: Position(row.created_at, row.smart_list_id))
    counts = await store.member_counts(tx, workspace_id, [row.smart_list_id for row in rows])
    views = [smart_list_view(row, counts.get(row.smart_list_id, 0)) for row in rows]
    return SmartListsAnswer(smart_lists=views, next_cursor=next_cursor)


async def all_list_names(tx: Tx, workspace_id: str) -> dict[str, str]:
    """The names of all lists by their ids: at most 1,000."""
    return await store.list_names(tx, workspace_id)


async def get_smart_list(tx: Tx, workspace_id: str, smart_list_id: str) -> SmartListAnswer:
    row = await store.get_list(tx, workspace_id, smart_list_id)
    if row is None:
        raise SmartListNotFound
    return await _answer(tx, row)


async def create_smart_list(
    tx: Tx, workspace_id: str, name: str, *, smart_list_id: str | None = None
) -> SmartListAnswer:
    """`name` is trimmed and valid. Raises SmartListExists, LimitReached."""
    await workspaces.lock_workspace(tx, workspace_id)
    key = name_key(name)
    await _refuse_taken(tx, workspace_id, key, except_id=None)
    if await store.count_lists(tx, workspace_id) >= SMART_LISTS_PER_WORKSPACE_MAX:
        raise LimitReached(f"A workspace has at most {SMART_LISTS_PER_WORKSPACE_MAX} Smart Lists.")
    row = SmartListRow(
        workspace_id=workspace_id,
        smart_list_id=smart_list_id or new_id(),
        smart_list_name=name,
        name_key=key,
        created_at=tx.now_ms,
        updated_at=tx.now_ms,
    )
    await store.insert_list(tx, row)
    await audit.record(
        tx, workspace_id, "smart_list.created", row.smart_list_id, after={"smart_list_name": name}
    )
    return SmartListAnswer(smart_list=smart_list_view(row, 0))


async def rename_smart_list(
    tx: Tx, workspace_id: str, smart_list_id: str, name: str | None
) -> SmartListAnswer:
    """A name of None changes nothing."""
    await workspaces.lock_workspace(tx, workspace_id)
    row = await store.lock_list(tx, workspace_id, smart_list_id)
    if row is None:
        raise SmartListNotFound
    if name is not None and name != row.smart_list_name:
        key = name_key(name)
        await _refuse_taken(tx, workspace_id, key, except_id=smart_list_id)
        await store.rename_list(tx, workspace_id, smart_list_id, name=name, name_key=key)
        before, after = {"smart_list_name": row.smart_list_name}, {"smart_list_name": name}
        await audit.record(tx, workspace_id, "smart_list.renamed", smart_list_id, before=before, after=after)
    return await get_smart_list(tx, workspace_id, smart_list_id)


async def delete_smart_list(
    tx: Tx, workspace_id: str, smart_list_id: str, *, force: bool
) -> SmartListDeleted:
    """Raises SmartListInUse with the outcomes that point to it, unless forced."""
    await workspaces.lock_workspace(tx, workspace_id)
    row = await store.lock_list_to_delete(tx, workspace_id, smart_list_id)
    if row is None:
        raise SmartListNotFound
    if not force:
        await _refuse_used(tx, workspace_id, smart_list_id)
    members = await store.empty_list(tx, workspace_id, smart_list_id)
    await store.insert_moves(tx, (_move(tx, row, contact_id, "left") for contact_id in members))
    await store.delete_list(tx, workspace_id, smart_list_id)
    await deleted_names.keep_name(tx, workspace_id, "smart_list", smart_list_id, row.smart_list_name)
    gone = {"smart_list_name": row.smart_list_name, "contact_count": len(members)}
    await audit.record(tx, workspace_id, "smart_list.deleted", smart_list_id, before=gone)
    return SmartListDeleted(smart_list_id=smart_list_id)


async def list_members(tx: Tx, workspace_id: str, smart_list_id: str, page: PageRequest) -> MembersAnswer:
    """Who is on the list, the newest first."""
    if await store.get_list(tx, workspace_id, smart_list_id) is None:
        raise SmartListNotFound
    rows = await store.page_of_members(tx, workspace_id, smart_list_id, page)
    rows, next_cursor = cut_page(rows, page, lambda row: Position(row.since, row.contact_id))
    return MembersAnswer(contacts=[member_view(row) for row in rows], next_cursor=next_cursor)


async def join_smart_list(tx: Tx, workspace_id: str, smart_list_id: str, contact_id: str) -> MembershipAnswer:
    """Put a contact on a list by request; when he is on it already, nothing changes."""
    row = await _require_both(tx, workspace_id, smart_list_id, contact_id)
    membership = MembershipRow(
        workspace_id=workspace_id,
        smart_list_id=smart_list_id,
        contact_id=contact_id,
        since=tx.now_ms,
        source="request",
        applied_id=None,
    )
    if await store.join_lists(tx, [membership]):
        await store.insert_moves(tx, [_move(tx, row, contact_id, "joined")])
        await audit.record(tx, workspace_id, "membership.added", contact_id, after=_named(row))
    now = await store.get_membership(tx, workspace_id, smart_list_id, contact_id)
    return MembershipAnswer(membership=membership_view(now or membership))


async def leave_smart_list(
    tx: Tx, workspace_id: str, smart_list_id: str, contact_id: str
) -> MembershipDeleted:
    """Take a contact off a list; when he is not on it, nothing changes."""
    row = await _require_both(tx, workspace_id, smart_list_id, contact_id)
    if await store.leave_lists(tx, [LeavingRow(workspace_id, smart_list_id, contact_id)]):
        await store.insert_moves(tx, [_move(tx, row, contact_id, "left")])
        await audit.record(tx, workspace_id, "membership.removed", contact_id, before=_named(row))
    return MembershipDeleted(smart_list_id=smart_list_id, contact_id=contact_id)


def _named(row: SmartListRow) -> dict[str, str]:
    return {"smart_list_id": row.smart_list_id, "smart_list_name": row.smart_list_name}


async def _answer(tx: Tx, row: SmartListRow) -> SmartListAnswer:
    counts = await store.member_counts(tx, row.workspace_id, [row.smart_list_id])
    return SmartListAnswer(smart_list=smart_list_view(row, counts.get(row.smart_list_id, 0)))


async def _require_both(tx: Tx, workspace_id: str, smart_list_id: str, contact_id: str) -> SmartListRow:
    row = await store.get_list(tx, workspace_id, smart_list_id)
    if row is None:
        raise SmartListNotFound
    if await contacts.get_contact(tx, workspace_id, contact_id) is None:
        raise ContactNotFound
    return row


async def _refuse_taken(tx: Tx, workspace_id: str, key: str, *, except_id: str | None) -> None:
    other = await store.list_by_name(tx, workspace_id, key)
    if other is not None and other != except_id:
        raise SmartListExists("Another Smart List has this name.", smart_list_id=other)


async def _refuse_used(tx: Tx, workspace_id: str, smart_list_id: str) -> None:
    pointing: Iterable[str] = [
        row.outcome_id
        for row in await outcomes.all_outcomes(tx, workspace_id)
        if outcome_points_to(row, smart_list_id)
    ]
    if pointing:
        raise SmartListInUse("Outcomes point to this Smart List.", outcome_ids=pointing)


def _move(tx: Tx, row: SmartListRow, contact_id: str, direction: str) -> MoveRow:
    return MoveRow(
        workspace_id=row.workspace_id,
        move_id=new_id(),
        contact_id=contact_id,
        smart_list_id=row.smart_list_id,
        smart_list_name=row.smart_list_name,
        direction=direction,
        source="request",
        applied_id=None,
        moved_at=tx.now_ms,
    )
