"""Endpoints: look at them, pause them, bound them, try them (contract § 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from leadline.domain.endpoints import EndpointState
from leadline.domain.errors import EndpointNotFound
from leadline.domain.paging import PageRequest, Position, cut_page
from leadline.domain.webhooks import Event, EventCall, EventOutcome, Scope, payload
from leadline.ids import NIL_ID, new_id
from leadline.operations import audit
from leadline.operations.deliveries import NewDelivery, get_delivery, make_deliveries
from leadline.operations.views import endpoint_view
from leadline.store import endpoints as store
from leadline.store import workspaces
from leadline.store.database import Signal, Tx
from leadline.store.endpoints import EndpointRow, Tally
from leadline.wire.deliveries import DeliveryAnswer, EndpointAnswer, EndpointsAnswer, EndpointView

_SAMPLE_NUMBER = "+15555550100"


async def list_endpoints(
    tx: Tx, workspace_id: str, page: PageRequest, *, timeout_seconds: int
) -> EndpointsAnswer:
    """`timeout_seconds` is the server's, for those that have none of their own."""
    rows = await store.page_of_endpoints(tx, workspace_id, page)
    rows, next_cursor = cut_page(rows, page, lambda row: Position(row.created_at, row.endpoint_id))
    views = await _views(tx, workspace_id, rows, timeout_seconds)
    return EndpointsAnswer(endpoints=views, next_cursor=next_cursor)


async def get_endpoint(
    tx: Tx, workspace_id: str, endpoint_id: str, *, timeout_seconds: int
) -> EndpointAnswer:
    row = await store.get_endpoint(tx, workspace_id, endpoint_id)
    if row is None:
        raise EndpointNotFound
    return EndpointAnswer(endpoint=(await _views(tx, workspace_id, [row], timeout_seconds))[0])


async def change_endpoint(
    tx: Tx, workspace_id: str, endpoint_id: str, changes: Mapping[str, Any], *, timeout_seconds: int
) -> EndpointAnswer:
    """Merge `state`, `max_concurrency`, `rate_limit_per_second` and `timeout_seconds`.

    Made active again, an endpoint starts without a past: its failures so far no longer count against it.
    """
    row = await store.lock_endpoint(tx, workspace_id, endpoint_id)
    if row is None:
        raise EndpointNotFound
    before = _settings_of(row)
    state = changes.get("state", row.state)
    if state != row.state:
        row = msgspec.structs.replace(row, state_reason=None if state == "active" else "Set by request.")
    if state == EndpointState.ACTIVE and row.state != EndpointState.ACTIVE:
        row = msgspec.structs.replace(row, failures_in_a_row=0, failing_since=None, probe_at=None)
    if "rate_limit_per_second" in changes:
        row = msgspec.structs.replace(row, bucket_tokens=None, bucket_at=None)
    row = msgspec.structs.replace(row, **changes, updated_at=max(tx.now_ms, row.updated_at))
    await store.update_endpoint(tx, row)
    await audit.record(
        tx, workspace_id, "endpoint.changed", endpoint_id, before=before, after=_settings_of(row)
    )
    tx.signal(Signal.DELIVERIES, workspace_id)
    return EndpointAnswer(endpoint=(await _views(tx, workspace_id, [row], timeout_seconds))[0])


async def send_test(tx: Tx, workspace_id: str, endpoint_id: str) -> DeliveryAnswer:
    """Send a signed sample: a delivery like any other, of an outcome and a call that do not exist."""
    row = await store.get_endpoint(tx, workspace_id, endpoint_id)
    if row is None:
        raise EndpointNotFound
    workspace = await workspaces.get_workspace(tx, workspace_id)
    assert workspace is not None  # foreign key
    sample = NewDelivery(
        delivery_id=new_id(),
        endpoint_id=endpoint_id,
        webhook_url=row.webhook_url,
        payload=_sample(tx, workspace_id, workspace.organization_id),
    )
    await make_deliveries(tx, workspace_id, [sample])
    await audit.record(
        tx, workspace_id, "endpoint.tested", endpoint_id, after={"delivery_id": sample.delivery_id}
    )
    return await get_delivery(tx, workspace_id, sample.delivery_id)


def _settings_of(row: EndpointRow) -> dict[str, Any]:
    """What of an endpoint people set, for the audit log."""
    names = ("webhook_url", "state", "max_concurrency", "rate_limit_per_second", "timeout_seconds")
    return {name: getattr(row, name) for name in names}


def _sample(tx: Tx, workspace_id: str, organization_id: str) -> str:
    event = Event(
        error_message="",
        timestamp=tx.now_ms,
        scope=Scope(subaccount_id=workspace_id, organization_id=organization_id),
        outcome=EventOutcome(outcome_id=NIL_ID, outcome_name="Test", outcome_type="action"),
        # A call of its own each time: a receiver that deduplicates must see every test.
        call=EventCall(call_id=new_id(), phone_number=_SAMPLE_NUMBER, contact_id=NIL_ID),
        destination={"destination_type": "none"},
    )
    return payload(event)


async def _views(
    tx: Tx, workspace_id: str, rows: Sequence[EndpointRow], timeout_seconds: int
) -> list[EndpointView]:
    wanted = [row.endpoint_id for row in rows]
    waiting = await store.backlogs(tx, workspace_id, wanted)
    tallies = await store.tallies(tx, workspace_id, wanted)
    return [
        endpoint_view(
            row,
            backlog=waiting.get(row.endpoint_id, 0),
            tally=tallies.get(row.endpoint_id, Tally()),
            timeout_seconds=timeout_seconds,
        )
        for row in rows
    ]
