"""Deliveries: look, retry, cancel (contract § 8). What the worker does to them is in `delivering.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from leadline.domain.deliveries import DeliveryState
from leadline.domain.errors import DeliveryNotFound, InvalidRequest
from leadline.domain.paging import PageRequest, Position, cut_page
from leadline.operations import audit
from leadline.operations.views import delivery_summary_view, delivery_view
from leadline.store import deliveries as store
from leadline.store.database import Signal, Tx
from leadline.store.deliveries import DeliveryRow
from leadline.wire.deliveries import DeliveriesAnswer, DeliveryAnswer


class NewDelivery(msgspec.Struct, frozen=True):
    """The duty to bring `payload` to an endpoint, and what it tells of (nothing, for a test)."""

    delivery_id: str
    endpoint_id: str
    webhook_url: str
    payload: str
    applied_id: str | None = None
    outcome_id: str | None = None
    call_id: str | None = None
    contact_id: str | None = None


async def make_deliveries(tx: Tx, workspace_id: str, new: Sequence[NewDelivery]) -> None:
    """Due at once; they go out after the commit."""
    if new:
        await store.insert_deliveries(tx, [_row(tx, workspace_id, each) for each in new])
        tx.signal(Signal.DELIVERIES, workspace_id)


def _row(tx: Tx, workspace_id: str, new: NewDelivery) -> DeliveryRow:
    return DeliveryRow(
        workspace_id=workspace_id,
        delivery_id=new.delivery_id,
        endpoint_id=new.endpoint_id,
        applied_id=new.applied_id,
        outcome_id=new.outcome_id,
        call_id=new.call_id,
        contact_id=new.contact_id,
        webhook_url=new.webhook_url,
        payload=new.payload,
        state=DeliveryState.PENDING.value,
        due_at=None,
        attempt_count=0,
        schedule_step=0,
        lease_id=None,
        last_error=None,
        last_status=None,
        created_at=tx.now_ms,
        finished_at=None,
    )


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
    await audit.record(
        tx,
        workspace_id,
        "delivery.retried",
        delivery_id,
        before={"state": row.state, "error": row.last_error},
    )
    return await get_delivery(tx, workspace_id, delivery_id)


async def cancel_delivery(tx: Tx, workspace_id: str, delivery_id: str) -> DeliveryAnswer:
    """End one that is pending; one that has ended stays as it is."""
    row = await _require(tx, workspace_id, delivery_id)
    if await store.cancel_delivery(tx, workspace_id, delivery_id):
        before = {"state": row.state, "error": row.last_error}
        await audit.record(tx, workspace_id, "delivery.canceled", delivery_id, before=before)
    return await get_delivery(tx, workspace_id, delivery_id)


async def _require(tx: Tx, workspace_id: str, delivery_id: str) -> DeliveryRow:
    row = await store.lock_delivery(tx, workspace_id, delivery_id)
    if row is None:
        raise DeliveryNotFound
    return row
