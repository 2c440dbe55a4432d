"""Contacts as CSV, a page at a time: however many there are, a few hundred are in memory."""

from __future__ import annotations

from typing import Any, NamedTuple

from leadline.domain.csv_writing import HEADER, contact_cells, csv_text
from leadline.domain.paging import START, PageRequest, Position, cut_page
from leadline.operations.contacts import contact_filters
from leadline.store import contacts, smart_lists
from leadline.store.database import Tx

PAGE = 500


class CsvPage(NamedTuple):
    """A piece of the file, and where the next begins (None when this is the last)."""

    text: str
    after: Position | None


async def export_page(
    tx: Tx,
    workspace_id: str,
    after: Position | None,
    *,
    phone_number: str | None = None,
    smart_list_id: str | None = None,
    q: str | None = None,
) -> CsvPage:
    """The contacts behind `after`, newest first, with the header when that is None. Filters as of a list."""
    filters: dict[str, Any] = await contact_filters(
        tx, workspace_id, phone_number=phone_number, smart_list_id=smart_list_id, q=q
    )
    page = PageRequest(PAGE, after or START)
    found = await contacts.page_of_contacts(tx, workspace_id, page, filters)
    rows, more = cut_page(found, page, lambda row: Position(row.created_at, row.contact_id))
    joined = await smart_lists.joined_by(tx, workspace_id, [row.contact_id for row in rows])
    cells = [
        contact_cells(
            row.phone_number,
            row.name,
            row.external_id,
            row.attributes,
            [each.smart_list_name for each in joined[row.contact_id]],
        )
        for row in rows
    ]
    text = csv_text([HEADER, *cells] if after is None else cells)
    return CsvPage(text, Position(rows[-1].created_at, rows[-1].contact_id) if more else None)
