"""Contacts."""

from __future__ import annotations

from typing import Any

from leadline.domain.paging import PageRequest
from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import Row, columns, insertion, listing, page_values, values_of


class ContactRow(Row, frozen=True, gc=False):
    workspace_id: str
    contact_id: str
    phone_number: str
    name: str | None
    external_id: str | None
    attributes: str
    search_text: str
    created_at: int
    updated_at: int


_CONTACT = columns(ContactRow)
_INSERT = insertion("contacts", ContactRow, tail="ON CONFLICT (workspace_id, phone_number) DO NOTHING")
_GET = Statement(
    f"SELECT {_CONTACT} FROM contacts WHERE workspace_id = :workspace_id AND contact_id = :contact_id"
)
_LOCK = Statement(
    f"SELECT {_CONTACT} FROM contacts"
    " WHERE workspace_id = :workspace_id AND contact_id = :contact_id {for_update}"
)
_BY_NUMBER = Statement(
    f"SELECT {_CONTACT} FROM contacts WHERE workspace_id = :workspace_id AND phone_number = :phone_number"
)
_UPDATE = Statement(
    "UPDATE contacts SET phone_number = :phone_number, name = :name, external_id = :external_id,"
    " attributes = :attributes, search_text = :search_text, updated_at = :updated_at"
    " WHERE workspace_id = :workspace_id AND contact_id = :contact_id"
)
_DELETE = Statement("DELETE FROM contacts WHERE workspace_id = :workspace_id AND contact_id = :contact_id")

_CONDITIONS = {
    "phone_number": "phone_number = :phone_number",
    "smart_list_id": (
        "EXISTS (SELECT 1 FROM memberships m WHERE m.workspace_id = contacts.workspace_id"
        " AND m.smart_list_id = :smart_list_id AND m.contact_id = contacts.contact_id)"
    ),
    "q": "search_text LIKE :q ESCAPE '\\'",
}


async def insert_contact(tx: Tx, row: ContactRow) -> bool:
    """False when another contact has the number."""
    return bool(await tx.run(_INSERT, **values_of(row)))


async def get_contact(tx: Tx, workspace_id: str, contact_id: str) -> ContactRow | None:
    row = await tx.first(_GET, workspace_id=workspace_id, contact_id=contact_id)
    return ContactRow(*row) if row else None


async def lock_contact(tx: Tx, workspace_id: str, contact_id: str) -> ContactRow | None:
    row = await tx.first(_LOCK, workspace_id=workspace_id, contact_id=contact_id)
    return ContactRow(*row) if row else None


async def contact_by_number(tx: Tx, workspace_id: str, phone_number: str) -> ContactRow | None:
    row = await tx.first(_BY_NUMBER, workspace_id=workspace_id, phone_number=phone_number)
    return ContactRow(*row) if row else None


async def update_contact(tx: Tx, row: ContactRow) -> None:
    await tx.run(_UPDATE, **values_of(row))


async def delete_contact(tx: Tx, workspace_id: str, contact_id: str) -> None:
    """With its memberships, which go with it."""
    await tx.run(_DELETE, workspace_id=workspace_id, contact_id=contact_id)


async def page_of_contacts(
    tx: Tx, workspace_id: str, page: PageRequest, filters: dict[str, Any]
) -> list[ContactRow]:
    """`filters`: phone_number (E.164), smart_list_id, q (a LIKE pattern, case-folded)."""
    conditions = tuple(_CONDITIONS[name] for name in filters)
    statement = listing(ContactRow, "contacts", ("created_at", "contact_id"), conditions)
    rows = await tx.all(statement, workspace_id=workspace_id, **page_values(page), **filters)
    return [ContactRow(*row) for row in rows]
