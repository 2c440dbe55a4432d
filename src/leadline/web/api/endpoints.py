"""Endpoints and replays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from leadline.clock import ms_from_datetime
from leadline.domain.access import Principal, Scope
from leadline.domain.errors import EndpointNotFound, OutcomeNotFound, Problem, ReplayNotFound
from leadline.domain.paging import page_request
from leadline.operations import endpoints as operations
from leadline.operations import replays
from leadline.operations.replays import ReplayRequest
from leadline.store.database import Tx
from leadline.web.table import BodyUse, Context, KeyUse, Operation, Reply, Request, optional
from leadline.wire.calls import Nothing
from leadline.wire.common import Page
from leadline.wire.deliveries import (
    DeliveryAnswer,
    EndpointAnswer,
    EndpointChange,
    EndpointsAnswer,
    ReplayAnswer,
    ReplayBody,
)

_ENDPOINTS = "/phone-system/webhook-endpoints"
_ENDPOINT = "/phone-system/webhook-endpoints/{endpoint_id}"
_REPLAY = "/phone-system/webhook-replays/{replay_id}"


def _change_rules(fields: Mapping[str, Any], _principal: Principal, _context: Context) -> list[Problem]:
    """`null` takes away what may be missing; the state and the concurrency may not."""
    required = ("state", "max_concurrency")
    return [Problem(name, "must not be null") for name in required if fields.get(name, 0) is None]


def _replay_rules(fields: Mapping[str, Any], _principal: Principal, _context: Context) -> list[Problem]:
    problems = []
    since, until = fields.get("since"), fields.get("until")
    if since is not None and until is not None and until <= since:
        problems.append(Problem("until", "must be after since"))
    if fields.get("states") == []:
        problems.append(Problem("states", "must name a state"))
    return problems


async def _list(tx: Tx, request: Request) -> Reply:
    page = page_request(request.query.limit, request.query.cursor)
    return Reply(
        await operations.list_endpoints(
            tx, request.workspace_id, page, timeout_seconds=request.context.webhook_timeout_seconds
        )
    )


async def _get(tx: Tx, request: Request) -> Reply:
    return Reply(
        await operations.get_endpoint(
            tx,
            request.workspace_id,
            request.path["endpoint_id"],
            timeout_seconds=request.context.webhook_timeout_seconds,
        )
    )


async def _change(tx: Tx, request: Request) -> Reply:
    sent = msgspec.structs.asdict(request.body)
    return Reply(
        await operations.change_endpoint(
            tx,
            request.workspace_id,
            request.path["endpoint_id"],
            {name: value for name, value in sent.items() if value is not msgspec.UNSET},
            timeout_seconds=request.context.webhook_timeout_seconds,
        )
    )


async def _test(tx: Tx, request: Request) -> Reply:
    return Reply(await operations.send_test(tx, request.workspace_id, request.path["endpoint_id"]))


async def _start_replay(tx: Tx, request: Request) -> Reply:
    body = request.body
    wanted = ReplayRequest(
        since_ms=ms_from_datetime(body.since),
        until_ms=None if body.until is None else ms_from_datetime(body.until),
        states=body.states or ("exhausted",),
        outcome_id=optional(body.outcome_id),
        endpoint_id=optional(body.endpoint_id),
    )
    return Reply(await replays.start_replay(tx, request.workspace_id, wanted))


async def _get_replay(tx: Tx, request: Request) -> Reply:
    return Reply(await replays.get_replay(tx, request.workspace_id, request.path["replay_id"]))


async def _cancel_replay(tx: Tx, request: Request) -> Reply:
    return Reply(await replays.cancel_replay(tx, request.workspace_id, request.path["replay_id"]))


OPERATIONS = (
    Operation(
        name="list_endpoints",
        method="GET",
        path=_ENDPOINTS,
        scope=Scope.DELIVERIES_READ,
        tag="Webhooks",
        summary="List webhook endpoints",
        handler=_list,
        writes=False,
        key_use=KeyUse.NONE,
        query=Page,
        answers={200: EndpointsAnswer},
    ),
    Operation(
        name="get_endpoint",
        method="GET",
        path=_ENDPOINT,
        scope=Scope.DELIVERIES_READ,
        tag="Webhooks",
        summary="Get a webhook endpoint",
        handler=_get,
        writes=False,
        key_use=KeyUse.NONE,
        answers={200: EndpointAnswer},
        errors=(EndpointNotFound,),
    ),
    Operation(
        name="change_endpoint",
        method="PATCH",
        path=_ENDPOINT,
        scope=Scope.DELIVERIES_WRITE,
        tag="Webhooks",
        summary="Pause, resume or bound a webhook endpoint",
        description="Deliveries to a paused or disabled endpoint wait; they are not lost.",
        handler=_change,
        answers={200: EndpointAnswer},
        body=EndpointChange,
        body_use=BodyUse.REQUIRED,
        rules=_change_rules,
        errors=(EndpointNotFound,),
        example={"state": "paused"},
    ),
    Operation(
        name="test_endpoint",
        method="POST",
        path=f"{_ENDPOINT}/test",
        scope=Scope.DELIVERIES_WRITE,
        tag="Webhooks",
        summary="Send a signed sample",
        handler=_test,
        answers={202: DeliveryAnswer},
        body=Nothing,
        body_use=BodyUse.OPTIONAL,
        errors=(EndpointNotFound,),
    ),
    Operation(
        name="replay_deliveries",
        method="POST",
        path="/phone-system/webhook-deliveries/replay",
        scope=Scope.DELIVERIES_WRITE,
        tag="Webhooks",
        summary="Send many deliveries again",
        description="A stored job: it survives a restart, can be canceled, and has no cap.",
        handler=_start_replay,
        answers={202: ReplayAnswer},
        body=ReplayBody,
        body_use=BodyUse.REQUIRED,
        rules=_replay_rules,
        errors=(OutcomeNotFound, EndpointNotFound),
        example={"since": "2026-06-25T00:00:00.000Z", "states": ["exhausted"]},
    ),
    Operation(
        name="get_replay",
        method="GET",
        path=_REPLAY,
        scope=Scope.DELIVERIES_READ,
        tag="Webhooks",
        summary="How far a replay is",
        handler=_get_replay,
        writes=False,
        key_use=KeyUse.NONE,
        answers={200: ReplayAnswer},
        errors=(ReplayNotFound,),
    ),
    Operation(
        name="cancel_replay",
        method="POST",
        path=f"{_REPLAY}/cancel",
        scope=Scope.DELIVERIES_WRITE,
        tag="Webhooks",
        summary="Stop a replay",
        handler=_cancel_replay,
        answers={200: ReplayAnswer},
        body=Nothing,
        body_use=BodyUse.OPTIONAL,
        errors=(ReplayNotFound,),
    ),
)
