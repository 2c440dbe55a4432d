"""Tables as CSV (RFC 4180), harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

# A spreadsheet takes text that begins so for a formula, and runs it.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_of(row_type: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> bytes:
    """The rows under the names of their fields, in UTF-8. Nothing is an empty cell, true is `true`."""
    fields = row_type.__struct_fields__
    return csv_text(fields, ([getattr(row, field) for field in fields] for row in rows))


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return written.getvalue().encode()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return harmless(value) if isinstance(value, str) else value


def harmless(text: str) -> str:
    """Text that a spreadsheet shows as it is: what looks like a formula gets an apostrophe in front.

    A number is never text here, so `-3` stays what it is.
    """
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text
