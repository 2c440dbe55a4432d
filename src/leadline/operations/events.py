"""Events: written with the fact they tell of, read by streams and by those who come back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from leadline.clock import iso_from_ms
from leadline.domain.limits import PAGE_DEFAULT
from leadline.ids import NIL_ID, first_id_at, new_id
from leadline.store import events as store
from leadline.store.calls import AppliedRow, CallRow
from leadline.store.database import Signal, Tx
from leadline.store.events import EventRow, NewEventRow
from leadline.wire.events import EventsAnswer, EventView

Position = tuple[int, str]
BEGINNING: Position = (-1, NIL_ID)
_encode = msgspec.json.Encoder().encode


class EventType(StrEnum):
    CALL_STARTED = "call.started"
    CALL_ANSWERED = "call.answered"
    CALL_ENDED = "call.ended"
    CALL_CLOSED = "call.closed"
    OUTCOME_APPLIED = "outcome.applied"
    DELIVERY_SUCCEEDED = "delivery.succeeded"
    DELIVERY_FAILED = "delivery.failed"
    OUTCOMES_CHANGED = "outcomes.changed"
    ENDPOINT_DISABLED = "endpoint.disabled"


class NewEvent(msgspec.Struct, frozen=True):
    """An event to be written.

    `data` names things by their ids: who may not see a contact learns nothing of him here.
    """

    type: EventType
    data: Mapping[str, Any]
    contact_id: str | None = None


async def emit(tx: Tx, workspace_id: str, events: Sequence[NewEvent]) -> None:
    """Write events, in their order."""
    if not events:
        return
    await store.insert_events(
        tx,
        [
            NewEventRow(
                workspace_id=workspace_id,
                event_id=new_id(),
                type=event.type.value,
                data=_encode(event.data).decode(),
                contact_id=event.contact_id,
                at=tx.now_ms,
            )
            for event in events
        ],
    )
    tx.signal(Signal.EVENTS, workspace_id)


def call_event(event: EventType, call: CallRow) -> NewEvent:
    data = {
        "call_id": call.call_id,
        "state": call.state,
        "direction": call.direction,
        "agent_id": call.agent_id,
        "contact_id": call.contact_id,
        "line_result": call.line_result,
        "disposition_required": call.state == "wrap_up",
    }
    return NewEvent(event, data, contact_id=call.contact_id)


def applied_event(applied: AppliedRow) -> NewEvent:
    data = {
        "applied_id": applied.applied_id,
        "call_id": applied.call_id,
        "outcome_id": applied.outcome_id,
        "outcome_name": applied.outcome_name,
        "outcome_type": applied.outcome_type,
        "agent_id": applied.agent_id,
        "contact_id": applied.contact_id,
        "delivery_id": applied.delivery_id,
        "error_message": applied.error_message,
    }
    return NewEvent(EventType.OUTCOME_APPLIED, data, contact_id=applied.contact_id)


async def position_after(tx: Tx, workspace_id: str, event_id: str | None) -> Position:
    """Where to go on after an event. One that is no longer kept (or never was) means: from the oldest kept."""
    if event_id is None:
        return BEGINNING
    return await store.event_position(tx, workspace_id, event_id) or BEGINNING


async def newest_position(tx: Tx, workspace_id: str) -> Position:
    """Where a stream starts that wants only what is new."""
    return await store.newest_position(tx, workspace_id) or BEGINNING


async def position_at(tx: Tx, workspace_id: str, at_ms: int) -> Position:
    """Where a stream starts that wants what happened from then on (Unix ms).

    That is when the events' ids were made, which is a moment before their commit: who wants to miss nothing that he
    cannot have seen goes back a little further.
    """
    first = await store.commit_since(tx, workspace_id, first_id_at(at_ms))
    return await newest_position(tx, workspace_id) if first is None else (first, NIL_ID)


async def events_after(tx: Tx, workspace_id: str, position: Position, limit: int) -> list[EventRow]:
    return await store.events_after(tx, workspace_id, position, limit=limit)


def event_view(row: EventRow) -> EventView:
    return EventView(event_id=row.event_id, type=row.type, at=iso_from_ms(row.at), data=json.loads(row.data))


async def list_events(tx: Tx, workspace_id: str, after: str | None, limit: int | None) -> EventsAnswer:
    """Oldest first. `next_cursor` is the last event's id when there is more."""
    position = await position_after(tx, workspace_id, after)
    size = limit or PAGE_DEFAULT
    rows = await events_after(tx, workspace_id, position, size + 1)
    page = rows[:size]
    more = page[-1].event_id if len(rows) > size else None
    return EventsAnswer(events=[event_view(row) for row in page], next_cursor=more)
