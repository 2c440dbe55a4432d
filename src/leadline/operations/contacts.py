"""Contacts: create, change, look up, erase, and what happened to them (contract § 6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from leadline.domain.contacts import normalised_number, search_text
from leadline.domain.errors import (
    ContactExists,
    ContactNotFound,
    InvalidRequest,
    Problem,
    SmartListNotFound,
)
from leadline.domain.paging import PageRequest, Position, cut_page
from leadline.ids import new_id
from leadline.operations import audit
from leadline.operations.views import (
    contact_view,
    history_of_applied,
    history_of_call,
    history_of_move,
)
from leadline.store import calls, deliveries, drafts, events, smart_lists, workspaces
from leadline.store import contacts as store
from leadline.store.contacts import ContactRow
from leadline.store.database import Tx
from leadline.store.smart_lists import MoveRow
from leadline.wire.contacts import (
    ContactAnswer,
    ContactDeleted,
    ContactsAnswer,
    HistoryAnswer,
    HistoryEntry,
)


async def list_contacts(
    tx: Tx,
    workspace_id: str,
    page: PageRequest,
    *,
    phone_number: str | None,
    smart_list_id: str | None,
    q: str | None,
) -> ContactsAnswer:
    """Filters as `contact_filters` takes them."""
    filters = await contact_filters(
        tx, workspace_id, phone_number=phone_number, smart_list_id=smart_list_id, q=q
    )
    rows = await store.page_of_contacts(tx, workspace_id, page, filters)
    rows, next_cursor = cut_page(rows, page, lambda row: Position(row.created_at, row.contact_id))
    joined = await smart_lists.joined_by(tx, workspace_id, [row.contact_id for row in rows])
    views = [contact_view(row, joined[row.contact_id]) for row in rows]
    return ContactsAnswer(contacts=views, next_cursor=next_cursor)


async def contact_filters(
    tx: Tx, workspace_id: str, *, phone_number: str | None, smart_list_id: str | None, q: str | None
) -> dict[str, Any]:
    """What a listing is filtered by. Raises InvalidRequest, SmartListNotFound.

    `phone_number` in any form that names it; `q` is part of a name, a number or an external id.
    """
    filters: dict[str, Any] = {}
    if phone_number is not None:
        filters["phone_number"] = await require_number(tx, workspace_id, phone_number)
    if smart_list_id is not None:
        if await smart_lists.get_list(tx, workspace_id, smart_list_id) is None:
            raise SmartListNotFound
        filters["smart_list_id"] = smart_list_id
    if q is not None:
        filters["q"] = search_pattern(q)
    return filters


async def get_contact(tx: Tx, workspace_id: str, contact_id: str) -> ContactAnswer:
    row = await store.get_contact(tx, workspace_id, contact_id)
    if row is None:
        raise ContactNotFound
    joined = await smart_lists.joined_by(tx, workspace_id, [contact_id])
    return ContactAnswer(contact=contact_view(row, joined[contact_id]))


async def create_contact(
    tx: Tx,
    workspace_id: str,
    *,
    phone_number: str,
    name: str | None,
    external_id: str | None,
    attributes: Mapping[str, Any] | None,
    contact_id: str | None = None,
) -> ContactAnswer:
    """Raises InvalidRequest for an impossible number, ContactExists with who has it."""
    number = await require_number(tx, workspace_id, phone_number)
    row = _new_row(tx, workspace_id, number, name, external_id, attributes or {}, contact_id)
    if not await store.insert_contact(tx, row):
        await _refuse_taken(tx, workspace_id, number)
    return ContactAnswer(contact=contact_view(row, ()))


async def contact_for_number(tx: Tx, workspace_id: str, number: str) -> ContactRow:
    """Who has this number (E.164); a number nobody has makes a contact."""
    found = await store.contact_by_number(tx, workspace_id, number)
    if found is not None:
        return found
    row = _new_row(tx, workspace_id, number, None, None, {}, None)
    if await store.insert_contact(tx, row):
        return row
    # Somebody made it at the same moment, and has committed by now.
    return await store.contact_by_number(tx, workspace_id, number) or row


async def change_contact(
    tx: Tx, workspace_id: str, contact_id: str, changes: Mapping[str, Any]
) -> ContactAnswer:
    """Merge `changes` (phone_number, name, external_id, attributes) into a contact."""
    old = await store.lock_contact(tx, workspace_id, contact_id)
    if old is None:
        raise ContactNotFound
    number = old.phone_number
    if "phone_number" in changes:
        number = await require_number(tx, workspace_id, changes["phone_number"])
        if number != old.phone_number:
            await _refuse_taken(tx, workspace_id, number)
    name = _changed_text(changes, "name", old.name)
    external_id = _changed_text(changes, "external_id", old.external_id)
    attributes = old.attributes
    if "attributes" in changes:
        attributes = json.dumps(changes["attributes"] or {})
    row = ContactRow(
        workspace_id=workspace_id,
        contact_id=contact_id,
        phone_number=number,
        name=name,
        external_id=external_id,
        attributes=attributes,
        search_text=search_text(number, name, external_id),
        created_at=old.created_at,
        updated_at=max(tx.now_ms, old.updated_at),
    )
    await store.update_contact(tx, row)
    await audit.record(
        tx,
        workspace_id,
        "contact.changed",
        contact_id,
        before=contact_view(old, ()),
        after=contact_view(row, ()),
    )
    return await get_contact(tx, workspace_id, contact_id)


async def erase_contact(tx: Tx, workspace_id: str, contact_id: str) -> ContactDeleted:
    """Erase the person: what happened stays, without who it happened to."""
    if await store.lock_contact(tx, workspace_id, contact_id) is None:
        raise ContactNotFound
    await drafts.forget_contact_of_drafts(tx, workspace_id, contact_id)
    await calls.forget_contact_of_calls(tx, workspace_id, contact_id)
    await deliveries.forget_contact_of_deliveries(tx, workspace_id, contact_id)
    await events.forget_contact_of_events(tx, workspace_id, contact_id)
    await _leave_lists(tx, workspace_id, contact_id)
    await store.delete_contact(tx, workspace_id, contact_id)
    await audit.forget(tx, workspace_id, "contact", contact_id)
    await audit.record(tx, workspace_id, "contact.erased", contact_id)
    return ContactDeleted(contact_id=contact_id)


async def _leave_lists(tx: Tx, workspace_id: str, contact_id: str) -> None:
    """Take a person off every list. The moves stay, of nobody, so that the lists' sizes still add up."""
    joined = (await smart_lists.joined_by(tx, workspace_id, [contact_id]))[contact_id]
    await smart_lists.forget_contact_of_moves(tx, workspace_id, contact_id)
    moves = [
        MoveRow(
            workspace_id=workspace_id,
            move_id=new_id(),
            contact_id=None,
            smart_list_id=each.smart_list_id,
            smart_list_name=each.smart_list_name,
            direction="left",
            source="request",
            applied_id=None,
            moved_at=tx.now_ms,
        )
        for each in joined
    ]
    await smart_lists.insert_moves(tx, moves)


class _Entry(NamedTuple):
    position: Position
    view: HistoryEntry


async def contact_history(tx: Tx, workspace_id: str, contact_id: str, page: PageRequest) -> HistoryAnswer:
    """Calls, applied outcomes and list moves in one line, newest first."""
    if await store.get_contact(tx, workspace_id, contact_id) is None:
        raise ContactNotFound
    entries = [
        *await _call_entries(tx, workspace_id, contact_id, page),
        *await _applied_entries(tx, workspace_id, contact_id, page),
        *await _move_entries(tx, workspace_id, contact_id, page),
    ]
    entries.sort(key=lambda entry: (entry.position.at_ms, entry.position.id), reverse=True)
    shown, next_cursor = cut_page(entries, page, lambda entry: entry.position)
    return HistoryAnswer(history=[entry.view for entry in shown], next_cursor=next_cursor)


async def _call_entries(tx: Tx, workspace_id: str, contact_id: str, page: PageRequest) -> list[_Entry]:
    rows = await calls.page_of_calls(tx, workspace_id, page, {"contact_id": contact_id})
    dispositions = await calls.dispositions_of(tx, workspace_id, [row.call_id for row in rows])
    return [
        _Entry(Position(row.started_at, row.call_id), history_of_call(row, dispositions.get(row.call_id)))
        for row in rows
    ]


async def _applied_entries(tx: Tx, workspace_id: str, contact_id: str, page: PageRequest) -> list[_Entry]:
    rows = await calls.page_of_applied(tx, workspace_id, contact_id, page)
    return [_Entry(Position(row.applied_at, row.applied_id), history_of_applied(row)) for row in rows]


async def _move_entries(tx: Tx, workspace_id: str, contact_id: str, page: PageRequest) -> list[_Entry]:
    rows = await smart_lists.page_of_moves(tx, workspace_id, contact_id, page)
    return [_Entry(Position(row.moved_at, row.move_id), history_of_move(row)) for row in rows]


async def require_number(tx: Tx, workspace_id: str, text: str) -> str:
    """The number in E.164, read in the workspace's region. Raises InvalidRequest."""
    workspace = await workspaces.get_workspace(tx, workspace_id)
    number = normalised_number(text, workspace.region if workspace else "US")
    if number is None:
        raise InvalidRequest(
            "This is no phone number.", details=[Problem("phone_number", "is not a possible phone number")]
        )
    return number


async def _refuse_taken(tx: Tx, workspace_id: str, number: str) -> None:
    other = await store.contact_by_number(tx, workspace_id, number)
    if other is not None:
        raise ContactExists("Another contact has this number.", contact_id=other.contact_id)


def _new_row(
    tx: Tx,
    workspace_id: str,
    number: str,
    name: str | None,
    external_id: str | None,
    attributes: Mapping[str, Any],
    contact_id: str | None,
) -> ContactRow:
    name, external_id = _trimmed(name), _trimmed(external_id)
    return ContactRow(
        workspace_id=workspace_id,
        contact_id=contact_id or new_id(),
        phone_number=number,
        name=name,
        external_id=external_id,
        attributes=json.dumps(attributes),
        search_text=search_text(number, name, external_id),
        created_at=tx.now_ms,
        updated_at=tx.now_ms,
    )


def _changed_text(changes: Mapping[str, Any], field: str, old: str | None) -> str | None:
    return _trimmed(changes[field]) if field in changes else old


def _trimmed(text: str | None) -> str | None:
    return None if text is None else text.strip()


def search_pattern(text: str) -> str:
    """What `?q=` looks for, as the store takes it."""
    escaped = text.strip().casefold().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
