"""Deliveries: look, retry, cancel; and what the worker writes (contract § 8)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leadline.domain.deliveries import DeliveryState
from leadline.domain.errors import DeliveryNotFound, InvalidRequest
from leadline.domain.paging import PageRequest, Position, cut_page
from leadline.domain.schedule import next_wait_ms
from leadline.operations.events import EventType, emit
from leadline.operations.views import delivery_summary_view, delivery_view
from leadline.store import deliveries as store
from leadline.store.database import Signal, Tx
from leadline.store.deliveries import AttemptRow, ClaimedRow, DeliveryRow
from leadline.wire.deliveries import DeliveriesAnswer, DeliveryAnswer


async def list_deliveries(
    tx: Tx, workspace_id: str, page: PageRequest, filters: Mapping[str, Any]
) -> DeliveriesAnswer:
    rows = await store.page_of_deliveries(tx, workspace_id, page, dict(filters))
    rows, next_cursor = cut_page(rows, page, lambda row: Position(row.created_at, row.delivery_id))
    return DeliveriesAnswer(deliveries=[delivery_summary_view(row) for row in rows], next_cursor=next_cursor)


async def get_delivery(tx: Tx, workspace_id: str, delivery_id: str) -> DeliveryAnswer:
    row = await store.get_delivery(tx, workspace_id, delivery_id)
    if row is None:
        raise DeliveryNotFound
    attempts = await store.attempts_of(tx, workspace_id, delivery_id)
    return DeliveryAnswer(delivery=delivery_view(row, attempts))


async def retry_delivery(tx: Tx, workspace_id: str, delivery_id: str) -> DeliveryAnswer:
    """Due now, from any state, with the full schedule again and the same `webhook-id`."""
    row = await _require(tx, workspace_id, delivery_id)
    if row.payload is None:
        raise InvalidRequest("What this delivery carried is no longer kept, so it cannot be sent again.")
    if row.lease_id is None:
        await store.retry_delivery(tx, workspace_id, delivery_id)
        tx.signal(Signal.DELIVERIES, workspace_id)
    else:
        # It is on its way this moment: sending it beside itself would make a duplicate.
        await store.restart_schedule(tx, workspace_id, delivery_id)
    return await get_delivery(tx, workspace_id, delivery_id)


async def cancel_delivery(tx: Tx, workspace_id: str, delivery_id: str) -> DeliveryAnswer:
    """End one that is pending; one that has ended stays as it is."""
    await _require(tx, workspace_id, delivery_id)
    await store.cancel_delivery(tx, workspace_id, delivery_id)
    return await get_delivery(tx, workspace_id, delivery_id)


async def _require(tx: Tx, workspace_id: str, delivery_id: str) -> DeliveryRow:
    row = await store.lock_delivery(tx, workspace_id, delivery_id)
    if row is None:
        raise DeliveryNotFound
    return row


@dataclass(frozen=True, slots=True)
class Attempted:
    """What became of one attempt, for the record. Times in Unix ms, durations in ms."""

    workspace_id: str
    delivery_id: str
    lease_id: str
    number: int
    started_at: int
    duration_ms: int
    remote_address: str | None
    status: int | None
    response_headers: Sequence[tuple[str, str]]
    response_body: str
    error: str | None
    error_detail: str | None
    timings: str
    retry_after_seconds: float | None
    jitter: float

    @property
    def succeeded(self) -> bool:
        return self.error is None


async def claim_deliveries(
    tx: Tx, workspace_id: str, *, lease_id: str, lease_ms: int, attempts_max: int, limit: int
) -> list[ClaimedRow]:
    """Take what is due in one workspace; end what has used up its attempts without a record."""
    for delivery_id in await store.exhaust_deliveries(
        tx, workspace_id, attempts_max=attempts_max, limit=limit
    ):
        data = {"delivery_id": delivery_id, "state": "exhausted", "error": None, "status": None}
        await emit(tx, workspace_id, EventType.DELIVERY_FAILED, data)
    return await store.claim_deliveries(
        tx, workspace_id, lease_id=lease_id, lease_ms=lease_ms, attempts_max=attempts_max, limit=limit
    )


async def record_attempt(tx: Tx, attempted: Attempted, waits_seconds: Sequence[float]) -> None:
    """Write down an attempt and what follows from it. With a stale lease only the attempt itself is kept."""
    row = await store.lock_delivery(tx, attempted.workspace_id, attempted.delivery_id)
    if row is None:
        return  # its workspace was deleted meanwhile
    wait_ms = None
    if not attempted.succeeded:
        wait_ms = next_wait_ms(
            waits_seconds,
            row.schedule_step,
            jitter=attempted.jitter,
            retry_after_seconds=attempted.retry_after_seconds,
        )
    current = row.lease_id == attempted.lease_id
    await _insert_attempt(tx, attempted, row, wait_ms if current else None)
    if not current:
        return
    if wait_ms is None:
        state = DeliveryState.SUCCEEDED if attempted.succeeded else DeliveryState.EXHAUSTED
        await store.finish_delivery(tx, *_key(attempted), state=state.value, **_last(attempted))
    else:
        await store.postpone_delivery(tx, *_key(attempted), wait_ms=wait_ms, **_last(attempted))
    await _tell(tx, row, attempted, wait_ms)


async def give_back(tx: Tx, workspace_id: str, delivery_id: str, lease_id: str) -> None:
    """Return one that was claimed and not begun."""
    await store.give_back_delivery(tx, workspace_id, delivery_id, lease_id)
    tx.signal(Signal.DELIVERIES, workspace_id)


async def end_leases(tx: Tx) -> int:
    """Every lease is over: only for a database that no other worker has. How many there were."""
    return await store.end_leases(tx)


def _key(attempted: Attempted) -> tuple[str, str, str]:
    return attempted.workspace_id, attempted.delivery_id, attempted.lease_id


def _last(attempted: Attempted) -> dict[str, Any]:
    return {"last_error": attempted.error, "last_status": attempted.status}


async def _insert_attempt(tx: Tx, attempted: Attempted, row: DeliveryRow, wait_ms: int | None) -> None:
    erased = row.payload is None
    attempt = AttemptRow(
        workspace_id=attempted.workspace_id,
        delivery_id=attempted.delivery_id,
        number=attempted.number,
        started_at=attempted.started_at,
        duration_ms=attempted.duration_ms,
        remote_address=attempted.remote_address,
        status=attempted.status,
        # The person may have been erased while the answer was on its way.
        response_headers="[]" if erased else json.dumps(attempted.response_headers),
        response_body="" if erased else attempted.response_body,
        error=attempted.error,
        error_detail=attempted.error_detail,
        timings=attempted.timings,
        next_attempt_at=None if wait_ms is None else tx.now_ms + wait_ms,
    )
    await store.insert_attempt(tx, attempt)


async def _tell(tx: Tx, row: DeliveryRow, attempted: Attempted, wait_ms: int | None) -> None:
    event = EventType.DELIVERY_SUCCEEDED if attempted.succeeded else EventType.DELIVERY_FAILED
    state = "pending" if wait_ms is not None else ("succeeded" if attempted.succeeded else "exhausted")
    data = {
        "delivery_id": row.delivery_id,
        "endpoint_id": row.endpoint_id,
        "outcome_id": row.outcome_id,
        "call_id": row.call_id,
        "state": state,
        "attempt": attempted.number,
        "status": attempted.status,
        "error": attempted.error,
        "duration_ms": attempted.duration_ms,
    }
    await emit(tx, row.workspace_id, event, data, contact_id=row.contact_id)
