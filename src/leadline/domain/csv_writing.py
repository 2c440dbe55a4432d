"""Contacts as CSV: safe to open in a spreadsheet, and the same contacts when read again. Pure.

A cell that a spreadsheet would take for a formula gets an apostrophe in front; so does a cell that has one there
already, so that `unguarded` knows which apostrophe is ours. Phone numbers in E.164 are `+` and digits: as a formula
that is the number itself, and other programs want it as it is.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

HEADER = ("phone_number", "name", "external_id", "attributes", "smart_lists")
# What spreadsheets begin a formula with, in their full-width forms too; and what hides such a beginning.
_RISKY = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_GUARD = "'"


def guarded(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return _GUARD + cell if cell[:1] in _RISKY or cell.startswith(_GUARD) else cell


def unguarded(cell: str) -> str:
    """What `guarded` was given. A cell that it would not have made is left as it is."""
    if cell.startswith(_GUARD) and (cell[1:2] in _RISKY or cell[1:2] == _GUARD):
        return cell[1:]
    return cell


def contact_cells(
    phone_number: str, name: str | None, external_id: str | None, attributes: str, list_names: Sequence[str]
) -> tuple[str, ...]:
    """A contact as a row. `attributes` is a JSON object."""
    return (
        phone_number,
        guarded(name or ""),
        guarded(external_id or ""),
        "" if attributes == "{}" else guarded(json.dumps(json.loads(attributes), ensure_ascii=False)),
        guarded(joined_names(list_names)),
    )


def joined_names(names: Sequence[str]) -> str:
    """Names in one cell: separated by semicolons, or as a JSON array where that would not say which they are."""
    if any(";" in name or name.startswith("[") for name in names):
        return json.dumps(list(names), ensure_ascii=False)
    return "; ".join(names)


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as RFC 4180 wants them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
