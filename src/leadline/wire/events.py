"""Events of a workspace, as a stream or as JSON (contract § 7)."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from leadline.wire.common import Answer, Limit, Query, Time, Uuid, UuidInput


class EventsQuery(Query, frozen=True, kw_only=True):
    after: (
        Annotated[UuidInput, Meta(description="The last event seen; from the oldest kept when left out.")]
        | None
    ) = None
    limit: Limit | None = None


class EventView(Struct, frozen=True, kw_only=True):
    event_id: Uuid
    type: str
    at: Time
    data: dict[str, Any]


class EventsAnswer(Answer, frozen=True, kw_only=True):
    events: list[EventView]
    next_cursor: Annotated[
        str | None, Meta(description="`after` of the next request; null when there is nothing more for now.")
    ]
