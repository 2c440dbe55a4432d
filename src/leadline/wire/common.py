"""What every body of the API is made of (contract § 1). Shapes only: server and client share them."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Any

import msgspec
from msgspec import Meta

Uuid = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Time = Annotated[
    str,
    Meta(
        description="ISO 8601, UTC, with milliseconds.",
        extra_json_schema={"format": "date-time", "example": "2026-06-25T00:00:00.000Z"},
    ),
]

# As they come in: any form of a UUID without braces or `urn:`; any time that names its offset.
UuidInput = uuid.UUID
TimeInput = Annotated[datetime.datetime, Meta(tz=True)]

Limit = Annotated[int, Meta(ge=1, le=200, description="How many at most; 50 when left out.")]
Cursor = Annotated[
    str, Meta(min_length=1, max_length=512, description="`next_cursor` of the answer before; opaque.")
]
Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request body."""


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The query parameters of an operation."""


class Page(Query, frozen=True, kw_only=True):
    """The query of a list that can grow."""

    limit: Limit | None = None
    cursor: Cursor | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A success."""

    ok: bool = True


class ProblemDetail(msgspec.Struct, frozen=True):
    field: str
    message: str


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A failure. `error` never changes meaning, `message` may; `details` lists all problems found."""

    ok: bool = False
    error: str
    message: str
    details: list[ProblemDetail] = []
    request_id: str


class Accepted(Answer, frozen=True, kw_only=True):
    """Something was set going."""


JsonObject = dict[str, Any]
