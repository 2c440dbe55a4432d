"""Smart Lists, memberships and the moves between lists."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from leadline.domain.paging import PageRequest
from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import (
    Row,
    columns,
    deletion_of_many,
    insertion,
    insertion_of_many,
    listing,
    page_values,
    values_of,
)
from leadline.store.workspaces import configuration_changed


class SmartListRow(Row, frozen=True, gc=False):
    workspace_id: str
    smart_list_id: str
    smart_list_name: str
    name_key: str
    created_at: int
    updated_at: int


class MembershipRow(Row, frozen=True, gc=False):
    workspace_id: str
    smart_list_id: str
    contact_id: str
    since: int
    source: str
    applied_id: str | None


class LeavingRow(Row, frozen=True, gc=False):
    workspace_id: str
    smart_list_id: str
    contact_id: str


class MoveRow(Row, frozen=True, gc=False):
    workspace_id: str
    move_id: str
    contact_id: str | None
    smart_list_id: str
    smart_list_name: str
    direction: str
    source: str
    applied_id: str | None
    moved_at: int


class MemberRow(Row, frozen=True, gc=False):
    contact_id: str
    phone_number: str
    name: str | None
    since: int
    source: str
    applied_id: str | None


class JoinedRow(Row, frozen=True, gc=False):
    contact_id: str
    smart_list_id: str
    smart_list_name: str
    since: int


_LIST = columns(SmartListRow)
_INSERT = insertion("smart_lists", SmartListRow, tail="ON CONFLICT (workspace_id, name_key) DO NOTHING")
_GET = Statement(
    f"SELECT {_LIST} FROM smart_lists WHERE workspace_id = :workspace_id AND smart_list_id = :smart_list_id"
)
_LOCK = Statement(
    f"SELECT {_LIST} FROM smart_lists"
    " WHERE workspace_id = :workspace_id AND smart_list_id = :smart_list_id {for_update}"
)
_LOCK_TO_DELETE = Statement(
    f"SELECT {_LIST} FROM smart_lists"
    " WHERE workspace_id = :workspace_id AND smart_list_id = :smart_list_id {for_delete}"
)
_THESE = Statement(
    f"SELECT {_LIST} FROM smart_lists WHERE workspace_id = :workspace_id AND smart_list_id {{in_ids:smart_list_ids}}"
)
_BY_NAME = Statement(
    "SELECT smart_list_id FROM smart_lists WHERE workspace_id = :workspace_id AND name_key = :name_key"
)
_RENAME = Statement(
    "UPDATE smart_lists SET smart_list_name = :smart_list_name, name_key = :name_key, updated_at = :updated_at"
    " WHERE workspace_id = :workspace_id AND smart_list_id = :smart_list_id"
)
_DELETE = Statement(
    "DELETE FROM smart_lists WHERE workspace_id = :workspace_id AND smart_list_id = :smart_list_id"
)
_COUNT = Statement("SELECT COUNT(*) FROM smart_lists WHERE workspace_id = :workspace_id")
_NAMES = Statement(
    "SELECT smart_list_id, smart_list_name FROM smart_lists WHERE workspace_id = :workspace_id"
)
_NAMES_OF = Statement(
    "SELECT smart_list_id, smart_list_name FROM smart_lists"
    " WHERE workspace_id = :workspace_id AND smart_list_id {in_ids:smart_list_ids}"
)
_MEMBER_COUNTS = Statement(
    "SELECT smart_list_id, COUNT(*) FROM memberships"
    " WHERE workspace_id = :workspace_id AND smart_list_id {in_ids:smart_list_ids} GROUP BY smart_list_id"
)

_JOIN = insertion_of_many(
    "memberships", MembershipRow, tail="ON CONFLICT (workspace_id, smart_list_id, contact_id) DO NOTHING"
)
_LEAVE = deletion_of_many("memberships", ("smart_list_id", "contact_id"))
_MEMBERSHIP = Statement(
    f"SELECT {columns(MembershipRow)} FROM memberships WHERE workspace_id = :workspace_id"
    " AND smart_list_id = :smart_list_id AND contact_id = :contact_id"
)
_JOINED = Statement(
    "SELECT contact_id, smart_list_id FROM memberships"
    " WHERE workspace_id = :workspace_id AND contact_id {in_ids:contact_ids}"
)
_JOINED_BY = Statement(
    "SELECT m.contact_id, m.smart_list_id, l.smart_list_name, m.since FROM memberships m"
    " JOIN smart_lists l ON l.workspace_id = m.workspace_id AND l.smart_list_id = m.smart_list_id"
    " WHERE m.workspace_id = :workspace_id AND m.contact_id {in_ids:contact_ids} ORDER BY m.since, m.smart_list_id"
)
_MEMBERS = Statement(
    "SELECT m.contact_id, c.phone_number, c.name, m.since, m.source, m.applied_id FROM memberships m"
    " JOIN contacts c ON c.workspace_id = m.workspace_id AND c.contact_id = m.contact_id"
    " WHERE m.workspace_id = :workspace_id AND m.smart_list_id = :smart_list_id"
    " AND (m.since, m.contact_id) < (:after_at, :after_id) ORDER BY m.since DESC, m.contact_id DESC LIMIT :limit"
)
_EMPTY = Statement(
    "DELETE FROM memberships WHERE workspace_id = :workspace_id AND smart_list_id = :smart_list_id"
    " RETURNING contact_id"
)
_INSERT_MOVES = insertion_of_many("list_moves", MoveRow)
_FORGET_CONTACT = Statement(
    "UPDATE list_moves SET contact_id = NULL WHERE workspace_id = :workspace_id AND contact_id = :contact_id"
)


async def insert_list(tx: Tx, row: SmartListRow) -> bool:
    """False when another list has the name."""
    if not await tx.run(_INSERT, **values_of(row)):
        return False
    await configuration_changed(tx, row.workspace_id)
    return True


async def get_list(tx: Tx, workspace_id: str, smart_list_id: str) -> SmartListRow | None:
    row = await tx.first(_GET, workspace_id=workspace_id, smart_list_id=smart_list_id)
    return SmartListRow(*row) if row else None


async def get_lists(tx: Tx, workspace_id: str, smart_list_ids: Sequence[str]) -> list[SmartListRow]:
    """Those of these lists that there are, in no order."""
    wanted = json.dumps(list(smart_list_ids))
    return [
        SmartListRow(*row) for row in await tx.all(_THESE, workspace_id=workspace_id, smart_list_ids=wanted)
    ]


async def lock_list(tx: Tx, workspace_id: str, smart_list_id: str) -> SmartListRow | None:
    row = await tx.first(_LOCK, workspace_id=workspace_id, smart_list_id=smart_list_id)
    return SmartListRow(*row) if row else None


async def lock_list_to_delete(tx: Tx, workspace_id: str, smart_list_id: str) -> SmartListRow | None:
    """The list; until the commit nobody can be put on it."""
    row = await tx.first(_LOCK_TO_DELETE, workspace_id=workspace_id, smart_list_id=smart_list_id)
    return SmartListRow(*row) if row else None


async def list_by_name(tx: Tx, workspace_id: str, name_key: str) -> str | None:
    row = await tx.first(_BY_NAME, workspace_id=workspace_id, name_key=name_key)
    return row[0] if row else None


async def rename_list(tx: Tx, workspace_id: str, smart_list_id: str, *, name: str, name_key: str) -> None:
    await tx.run(
        _RENAME,
        workspace_id=workspace_id,
        smart_list_id=smart_list_id,
        smart_list_name=name,
        name_key=name_key,
        updated_at=tx.now_ms,
    )
    await configuration_changed(tx, workspace_id)


async def delete_list(tx: Tx, workspace_id: str, smart_list_id: str) -> None:
    await tx.run(_DELETE, workspace_id=workspace_id, smart_list_id=smart_list_id)
    await configuration_changed(tx, workspace_id)


async def count_lists(tx: Tx, workspace_id: str) -> int:
    row = await tx.first(_COUNT, workspace_id=workspace_id)
    return int(row[0]) if row else 0


async def page_of_lists(tx: Tx, workspace_id: str, page: PageRequest) -> list[SmartListRow]:
    statement = listing(SmartListRow, "smart_lists", ("created_at", "smart_list_id"))
    return [
        SmartListRow(*row) for row in await tx.all(statement, workspace_id=workspace_id, **page_values(page))
    ]


async def list_names(tx: Tx, workspace_id: str) -> dict[str, str]:
    """The names of every list of the workspace (at most 1,000)."""
    return {row[0]: row[1] for row in await tx.all(_NAMES, workspace_id=workspace_id)}


async def names_of_lists(tx: Tx, workspace_id: str, smart_list_ids: Iterable[str]) -> dict[str, str]:
    """The names of those of these lists that exist."""
    wanted = json.dumps(list(smart_list_ids))
    return {
        row[0]: row[1] for row in await tx.all(_NAMES_OF, workspace_id=workspace_id, smart_list_ids=wanted)
    }


async def member_counts(tx: Tx, workspace_id: str, smart_list_ids: Sequence[str]) -> dict[str, int]:
    wanted = json.dumps(list(smart_list_ids))
    rows = await tx.all(_MEMBER_COUNTS, workspace_id=workspace_id, smart_list_ids=wanted)
    return {row[0]: row[1] for row in rows}


async def join_lists(tx: Tx, rows: Sequence[MembershipRow]) -> int:
    """How many are new: of who is on the list already, since when and by what stays as it was."""
    return await tx.change_many(_JOIN, rows)


async def leave_lists(tx: Tx, rows: Sequence[LeavingRow]) -> int:
    """How many of them there were."""
    return await tx.change_many(_LEAVE, rows)


async def get_membership(
    tx: Tx, workspace_id: str, smart_list_id: str, contact_id: str
) -> MembershipRow | None:
    row = await tx.first(
        _MEMBERSHIP, workspace_id=workspace_id, smart_list_id=smart_list_id, contact_id=contact_id
    )
    return MembershipRow(*row) if row else None


async def joined_lists(tx: Tx, workspace_id: str, contact_ids: Sequence[str]) -> dict[str, set[str]]:
    """The lists that each of these contacts is on."""
    found: dict[str, set[str]] = {contact_id: set() for contact_id in contact_ids}
    for row in await tx.all(_JOINED, workspace_id=workspace_id, contact_ids=json.dumps(list(contact_ids))):
        found[row[0]].add(row[1])
    return found


async def joined_by(tx: Tx, workspace_id: str, contact_ids: Sequence[str]) -> dict[str, list[JoinedRow]]:
    """Which lists each of these contacts is on, the longest-standing first."""
    wanted = json.dumps(list(contact_ids))
    found: dict[str, list[JoinedRow]] = {contact_id: [] for contact_id in contact_ids}
    for row in await tx.all(_JOINED_BY, workspace_id=workspace_id, contact_ids=wanted):
        found[row[0]].append(JoinedRow(*row))
    return found


async def page_of_members(
    tx: Tx, workspace_id: str, smart_list_id: str, page: PageRequest
) -> list[MemberRow]:
    rows = await tx.all(_MEMBERS, workspace_id=workspace_id, smart_list_id=smart_list_id, **page_values(page))
    return [MemberRow(*row) for row in rows]


async def empty_list(tx: Tx, workspace_id: str, smart_list_id: str) -> list[str]:
    """Take everybody off; whom."""
    rows = await tx.all(_EMPTY, workspace_id=workspace_id, smart_list_id=smart_list_id)
    return [row[0] for row in rows]


async def forget_contact_of_moves(tx: Tx, workspace_id: str, contact_id: str) -> None:
    """Take a person out of the moves between lists; that somebody moved stays."""
    await tx.run(_FORGET_CONTACT, workspace_id=workspace_id, contact_id=contact_id)


async def insert_moves(tx: Tx, moves: Iterable[MoveRow]) -> None:
    await tx.change_many(_INSERT_MOVES, list(moves))


async def page_of_moves(tx: Tx, workspace_id: str, contact_id: str, page: PageRequest) -> list[MoveRow]:
    statement = listing(MoveRow, "list_moves", ("moved_at", "move_id"), ("contact_id = :contact_id",))
    rows = await tx.all(statement, workspace_id=workspace_id, contact_id=contact_id, **page_values(page))
    return [MoveRow(*row) for row in rows]
