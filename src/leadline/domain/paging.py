"""Pages: a position in a list, newest first, that stays true while the list grows (contract § 1). Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from leadline.domain.errors import InvalidRequest, Problem
from leadline.domain.limits import PAGE_DEFAULT

T = TypeVar("T")

_AT_MAX = 2**63 - 1
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_ID_MAX = "ffffffff-ffff-ffff-ffff-ffffffffffff"


@dataclass(frozen=True, slots=True)
class Position:
    """Just behind the row of this time and id."""

    at_ms: int
    id: str


# Before everything: a list begins here. Text that sorts behind every agent's name would not be an id.
START = Position(_AT_MAX, _ID_MAX)
START_OF_TEXT = Position(_AT_MAX, "\U0010ffff")


@dataclass(frozen=True, slots=True)
class PageRequest:
    limit: int
    after: Position


def page_request(limit: int | None, cursor: str | None, *, start: Position = START) -> PageRequest:
    """What the caller asked for. Raises InvalidRequest for a cursor that is none of ours."""
    return PageRequest(limit or PAGE_DEFAULT, start if cursor is None else _decode(cursor, start))


def _decode(cursor: str, start: Position) -> Position:
    position = _read(cursor)
    if position is None or not (start is START_OF_TEXT or _ID.fullmatch(position.id)):
        raise InvalidRequest("The cursor is not one of ours.", details=[Problem("cursor", "is not valid")])
    return position


def _read(cursor: str) -> Position | None:
    try:
        text = base64.urlsafe_b64decode(cursor.encode("ascii")).decode()
        at, _, row_id = text.partition(".")
        position = Position(int(at), row_id)
    except (ValueError, binascii.Error):
        return None
    # Only what we would write ourselves: other spellings of the same bytes are none of ours.
    sane = 0 <= position.at_ms <= _AT_MAX and row_id and "\0" not in row_id
    return position if sane and encode_cursor(position) == cursor else None


def encode_cursor(position: Position) -> str:
    """The opaque form of a position."""
    return base64.urlsafe_b64encode(f"{position.at_ms}.{position.id}".encode()).decode()


def cut_page(
    rows: list[T], request: PageRequest, position_of: Callable[[T], Position]
) -> tuple[list[T], str | None]:
    """The page out of one row more than it holds, and the cursor of the next (None at the end)."""
    if len(rows) <= request.limit:
        return rows, None
    page = rows[: request.limit]
    return page, encode_cursor(position_of(page[-1]))
