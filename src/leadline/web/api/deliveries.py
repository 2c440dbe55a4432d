"""Deliveries and the secret that signs them."""

from __future__ import annotations

from leadline.clock import ms_from_datetime
from leadline.domain.access import Scope
from leadline.domain.errors import DeliveryNotFound
from leadline.domain.paging import page_request
from leadline.operations import deliveries as operations
from leadline.operations.workspaces import rotate_secret, show_secret
from leadline.store.database import Tx
from leadline.web.table import BodyUse, KeyUse, Operation, Reply, Request, optional
from leadline.wire.calls import Nothing
from leadline.wire.deliveries import (
    DeliveriesAnswer,
    DeliveriesQuery,
    DeliveryAnswer,
    RotateBody,
    RotatedAnswer,
    SecretAnswer,
)

_TAG = "Deliveries"
_DELIVERIES = "/phone-system/webhook-deliveries"
_DELIVERY = "/phone-system/webhook-deliveries/{delivery_id}"
_SECRET = "/phone-system/webhook-secret"  # noqa: S105 - a path


async def _list(tx: Tx, request: Request) -> Reply:
    query = request.query
    filters = {
        "state": query.state,
        "outcome_id": optional(query.outcome_id),
        "call_id": optional(query.call_id),
        "contact_id": optional(query.contact_id),
        "endpoint_id": optional(query.endpoint_id),
        "since": None if query.since is None else ms_from_datetime(query.since),
        "until": None if query.until is None else ms_from_datetime(query.until),
    }
    given = {name: value for name, value in filters.items() if value is not None}
    page = page_request(query.limit, query.cursor)
    return Reply(await operations.list_deliveries(tx, request.workspace_id, page, given))


async def _get(tx: Tx, request: Request) -> Reply:
    return Reply(await operations.get_delivery(tx, request.workspace_id, request.path["delivery_id"]))


async def _retry(tx: Tx, request: Request) -> Reply:
    return Reply(await operations.retry_delivery(tx, request.workspace_id, request.path["delivery_id"]))


async def _cancel(tx: Tx, request: Request) -> Reply:
    return Reply(await operations.cancel_delivery(tx, request.workspace_id, request.path["delivery_id"]))


async def _show_secret(tx: Tx, request: Request) -> Reply:
    return Reply(await show_secret(tx, request.workspace_id))


async def _rotate_secret(tx: Tx, request: Request) -> Reply:
    return Reply(await rotate_secret(tx, request.workspace_id, request.body.overlap_seconds))


OPERATIONS = (
    Operation(
        name="list_deliveries",
        method="GET",
        path=_DELIVERIES,
        scope=Scope.DELIVERIES_READ,
        tag=_TAG,
        summary="List deliveries",
        handler=_list,
        writes=False,
        key_use=KeyUse.NONE,
        query=DeliveriesQuery,
        answers={200: DeliveriesAnswer},
    ),
    Operation(
        name="get_delivery",
        method="GET",
        path=_DELIVERY,
        scope=Scope.DELIVERIES_READ,
        tag=_TAG,
        summary="Get a delivery with its payload and attempts",
        handler=_get,
        writes=False,
        key_use=KeyUse.NONE,
        answers={200: DeliveryAnswer},
        errors=(DeliveryNotFound,),
    ),
    Operation(
        name="retry_delivery",
        method="POST",
        path=f"{_DELIVERY}/retry",
        scope=Scope.DELIVERIES_WRITE,
        tag=_TAG,
        summary="Send a delivery again",
        description="From any state: due now, full schedule again, same `webhook-id`.",
        handler=_retry,
        answers={200: DeliveryAnswer},
        body=Nothing,
        body_use=BodyUse.OPTIONAL,
        errors=(DeliveryNotFound,),
    ),
    Operation(
        name="cancel_delivery",
        method="POST",
        path=f"{_DELIVERY}/cancel",
        scope=Scope.DELIVERIES_WRITE,
        tag=_TAG,
        summary="Cancel a pending delivery",
        handler=_cancel,
        answers={200: DeliveryAnswer},
        body=Nothing,
        body_use=BodyUse.OPTIONAL,
        errors=(DeliveryNotFound,),
    ),
    Operation(
        name="get_webhook_secret",
        method="GET",
        path=_SECRET,
        scope=Scope.DELIVERIES_READ,
        tag=_TAG,
        summary="The webhook secret, masked",
        handler=_show_secret,
        writes=False,
        key_use=KeyUse.NONE,
        answers={200: SecretAnswer},
    ),
    Operation(
        name="rotate_webhook_secret",
        method="POST",
        path=f"{_SECRET}/rotate",
        scope=Scope.DELIVERIES_WRITE,
        tag=_TAG,
        summary="Make a new webhook secret",
        description="The old one signs along for the overlap. The new one is shown this once.",
        handler=_rotate_secret,
        shows_secret=True,
        answers={200: RotatedAnswer},
        body=RotateBody,
        body_use=BodyUse.REQUIRED,
        example={"overlap_seconds": 86400},
    ),
)
