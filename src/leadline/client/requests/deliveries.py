"""Deliveries, replays, endpoints, and the secret that signs."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from leadline.client.models import (
    Delivery,
    DeliverySummary,
    Endpoint,
    MaskedSecret,
    NewSecret,
    Page,
    Replay,
)
from leadline.client.requests.described import (
    Id,
    PageRequest,
    Reply,
    Request,
    When,
    changed,
    decoded,
    given,
    parameters,
    path,
)
from leadline.wire.common import Answer
from leadline.wire.deliveries import (
    DeliveriesAnswer,
    DeliveryStateName,
    EndpointAnswer,
    EndpointsAnswer,
    EndpointStateName,
    ReplayAnswer,
)


class DeliveryAnswer(Answer, frozen=True, kw_only=True):
    delivery: Delivery


def list_deliveries(
    *,
    state: DeliveryStateName | None = None,
    outcome_id: Id | None = None,
    call_id: Id | None = None,
    contact_id: Id | None = None,
    endpoint_id: Id | None = None,
    since: When | None = None,
    until: When | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> PageRequest[DeliverySummary]:
    """Deliveries, newest first; `since` is inclusive, `until` exclusive."""
    return PageRequest(
        operation="list_deliveries",
        method="GET",
        path=path("/webhook-deliveries"),
        read=_deliveries,
        query=parameters(
            state=state,
            outcome_id=outcome_id,
            call_id=call_id,
            contact_id=contact_id,
            endpoint_id=endpoint_id,
            since=since,
            until=until,
            limit=limit,
            cursor=cursor,
        ),
    )


def get_delivery(delivery_id: Id) -> Request[Delivery]:
    """One delivery with what is sent and its attempts."""
    return Request(
        operation="get_delivery",
        method="GET",
        path=path("/webhook-deliveries/{}", delivery_id),
        read=_delivery,
    )


def retry_delivery(delivery_id: Id, *, idempotency_key: str | None = None) -> Request[Delivery]:
    """Send again, from any state: due now, with the full schedule and the same `webhook-id`."""
    return Request(
        operation="retry_delivery",
        method="POST",
        path=path("/webhook-deliveries/{}/retry", delivery_id),
        read=_delivery,
        idempotency_key=idempotency_key,
    )


def cancel_delivery(delivery_id: Id, *, idempotency_key: str | None = None) -> Request[Delivery]:
    """Give a pending delivery up."""
    return Request(
        operation="cancel_delivery",
        method="POST",
        path=path("/webhook-deliveries/{}/cancel", delivery_id),
        read=_delivery,
        idempotency_key=idempotency_key,
    )


def replay_deliveries(
    *,
    since: When,
    until: When | None = None,
    states: Sequence[DeliveryStateName] | None = None,
    outcome_id: Id | None = None,
    endpoint_id: Id | None = None,
    idempotency_key: str | None = None,
) -> Request[Replay]:
    """Send all deliveries of a time again, as a stored job; `states` is `exhausted` when left out."""
    return Request(
        operation="replay_deliveries",
        method="POST",
        path=path("/webhook-deliveries/replay"),
        read=_replay,
        body=given(
            since=since,
            until=until,
            states=None if states is None else list(states),
            outcome_id=outcome_id,
            endpoint_id=endpoint_id,
        ),
        idempotency_key=idempotency_key,
    )


def get_replay(replay_id: Id) -> Request[Replay]:
    """How far a replay is."""
    return Request(
        operation="get_replay", method="GET", path=path("/webhook-replays/{}", replay_id), read=_replay
    )


def cancel_replay(replay_id: Id, *, idempotency_key: str | None = None) -> Request[Replay]:
    """Stop a replay; what it has made due stays due."""
    return Request(
        operation="cancel_replay",
        method="POST",
        path=path("/webhook-replays/{}/cancel", replay_id),
        read=_replay,
        idempotency_key=idempotency_key,
    )


def list_endpoints(*, limit: int | None = None, cursor: str | None = None) -> PageRequest[Endpoint]:
    """Webhook endpoints: one for each webhook URL of the workspace."""
    return PageRequest(
        operation="list_endpoints",
        method="GET",
        path=path("/webhook-endpoints"),
        read=_endpoints,
        query=parameters(limit=limit, cursor=cursor),
    )


def get_endpoint(endpoint_id: Id) -> Request[Endpoint]:
    """One endpoint and how it does."""
    return Request(
        operation="get_endpoint",
        method="GET",
        path=path("/webhook-endpoints/{}", endpoint_id),
        read=_endpoint,
    )


def change_endpoint(
    endpoint_id: Id,
    *,
    state: EndpointStateName | UnsetType = UNSET,
    max_concurrency: int | UnsetType = UNSET,
    rate_limit_per_second: float | UnsetType | None = UNSET,
    timeout_seconds: int | UnsetType | None = UNSET,
    idempotency_key: str | None = None,
) -> Request[Endpoint]:
    """Pause, resume or bound an endpoint; None takes a rate limit or a timeout of its own away."""
    return Request(
        operation="change_endpoint",
        method="PATCH",
        path=path("/webhook-endpoints/{}", endpoint_id),
        read=_endpoint,
        body=changed(
            state=state,
            max_concurrency=max_concurrency,
            rate_limit_per_second=rate_limit_per_second,
            timeout_seconds=timeout_seconds,
        ),
        idempotency_key=idempotency_key,
    )


def test_endpoint(
    endpoint_id: Id,
    *,
    idempotency_key: str | None = None,  # noqa: PT028 - an operation's name, and no test
) -> Request[Delivery]:
    """Send a signed sample; answers its delivery."""
    return Request(
        operation="test_endpoint",
        method="POST",
        path=path("/webhook-endpoints/{}/test", endpoint_id),
        read=_delivery,
        idempotency_key=idempotency_key,
    )


def get_webhook_secret() -> Request[MaskedSecret]:
    """The secret that signs webhooks, masked."""
    return Request(
        operation="get_webhook_secret",
        method="GET",
        path=path("/webhook-secret"),
        read=lambda reply: decoded(reply, MaskedSecret),
    )


def rotate_webhook_secret(
    *, overlap_seconds: int | None = None, idempotency_key: str | None = None
) -> Request[NewSecret]:
    """Make a new secret, shown this once; the old one signs along for the overlap (a day when left out)."""
    return Request(
        operation="rotate_webhook_secret",
        method="POST",
        path=path("/webhook-secret/rotate"),
        read=lambda reply: decoded(reply, NewSecret),
        body=given(overlap_seconds=overlap_seconds),
        idempotency_key=idempotency_key,
    )


def _delivery(reply: Reply) -> Delivery:
    return decoded(reply, DeliveryAnswer).delivery


def _deliveries(reply: Reply) -> Page[DeliverySummary]:
    answer = decoded(reply, DeliveriesAnswer)
    return Page(tuple(answer.deliveries), answer.next_cursor)


def _replay(reply: Reply) -> Replay:
    return decoded(reply, ReplayAnswer).replay


def _endpoint(reply: Reply) -> Endpoint:
    return decoded(reply, EndpointAnswer).endpoint


def _endpoints(reply: Reply) -> Page[Endpoint]:
    answer = decoded(reply, EndpointsAnswer)
    return Page(tuple(answer.endpoints), answer.next_cursor)
