"""Deliveries: look, retry, cancel (contract § 8). What the worker does to them is in `delivering.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leadline.domain.errors import DeliveryNotFound, InvalidRequest
from leadline.domain.paging import PageRequest, Position, cut_page
from leadline.operations.views import delivery_summary_view, delivery_view
from leadline.store import deliveries as store
from leadline.store.database import Signal, Tx
from leadline.store.deliveries import DeliveryRow
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
