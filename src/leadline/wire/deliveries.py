"""Deliveries, their attempts, and the secret that signs them (contract § 8)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from leadline.wire.common import Answer, Body, Page, Time, TimeInput, Uuid, UuidInput

DeliveryStateName = Literal["pending", "succeeded", "exhausted", "canceled"]
AttemptErrorName = Literal["dns", "connect", "tls", "timeout", "blocked", "http_status", "protocol"]


class DeliveriesQuery(Page, frozen=True, kw_only=True):
    state: DeliveryStateName | None = None
    outcome_id: UuidInput | None = None
    call_id: UuidInput | None = None
    contact_id: UuidInput | None = None
    endpoint_id: UuidInput | None = None
    since: TimeInput | None = None
    until: TimeInput | None = None


class Timings(Struct, frozen=True, kw_only=True):
    """Where the time of an attempt went, in milliseconds; null for what was not reached."""

    dns_ms: int | None = None
    connect_ms: int | None = None
    tls_ms: int | None = None
    first_byte_ms: int | None = None
    reused: Annotated[bool, Meta(description="On a connection left open by an earlier attempt.")] = False


class Attempt(Struct, frozen=True, kw_only=True):
    number: int
    started_at: Time
    duration_ms: int
    remote_address: str | None
    status: int | None
    response_headers: list[tuple[str, str]]
    response_body: Annotated[str, Meta(description="The first 16 KiB.")]
    error: AttemptErrorName | None
    error_detail: str | None
    timings: Timings
    next_attempt_at: Time | None


class DeliverySummary(Struct, frozen=True, kw_only=True):
    delivery_id: Uuid
    state: DeliveryStateName
    webhook_url: str
    endpoint_id: Uuid
    outcome_id: Uuid | None
    call_id: Uuid | None
    contact_id: Uuid | None
    applied_id: Uuid | None
    attempt_count: int
    last_status: int | None
    last_error: AttemptErrorName | None
    next_attempt_at: Time | None
    created_at: Time
    finished_at: Time | None


class Delivery(DeliverySummary, frozen=True, kw_only=True):
    # Raw, so that its bytes are those that are sent.
    payload: msgspec.Raw | None
    attempts: list[Attempt]


class DeliveryAnswer(Answer, frozen=True, kw_only=True):
    delivery: Delivery


class DeliveriesAnswer(Answer, frozen=True, kw_only=True):
    deliveries: list[DeliverySummary]
    next_cursor: str | None


EndpointStateName = Literal["active", "paused", "disabled"]


class EndpointChange(Body, frozen=True, kw_only=True):
    """Only the fields sent change; null takes a rate limit or a timeout of its own away."""

    state: EndpointStateName | UnsetType = UNSET
    max_concurrency: (
        Annotated[int, Meta(ge=1, le=1000, description="Attempts under way at once, in all processes.")]
        | UnsetType
    ) = UNSET
    rate_limit_per_second: Annotated[float, Meta(gt=0, le=10000)] | UnsetType | None = UNSET
    timeout_seconds: Annotated[int, Meta(ge=1, le=30)] | UnsetType | None = UNSET


class EndpointHealth(Struct, frozen=True, kw_only=True):
    """How the endpoint does, without counting history."""

    success_rate: Annotated[
        float | None,
        Meta(description="Of the attempts of the last 24 hours, 0-1; null when there were none."),
    ]
    succeeded_last_day: int
    failed_last_day: int
    succeeded_total: int
    failed_total: int
    failures_in_a_row: int
    failing_since: Time | None
    last_success_at: Time | None
    last_failure_at: Time | None
    last_failure: str | None
    next_probe_at: Annotated[Time | None, Meta(description="Set while it is probed one request at a time.")]


class EndpointView(Struct, frozen=True, kw_only=True):
    endpoint_id: Uuid
    webhook_url: str
    state: EndpointStateName
    state_reason: str | None
    max_concurrency: int
    rate_limit_per_second: float | None
    timeout_seconds: int
    backlog: Annotated[int, Meta(description="Deliveries that are not finished.")]
    health: EndpointHealth
    created_at: Time
    updated_at: Time


class EndpointAnswer(Answer, frozen=True, kw_only=True):
    endpoint: EndpointView


class EndpointsAnswer(Answer, frozen=True, kw_only=True):
    endpoints: list[EndpointView]
    next_cursor: str | None


class ReplayBody(Body, frozen=True, kw_only=True):
    """Which deliveries to send again: those created in [since, until)."""

    since: TimeInput
    until: TimeInput | None = None
    states: Annotated[list[DeliveryStateName], Meta(description="`exhausted` when left out.")] | None = None
    outcome_id: UuidInput | None = None
    endpoint_id: UuidInput | None = None


class Replay(Struct, frozen=True, kw_only=True):
    replay_id: Uuid
    state: Literal["running", "done", "canceled"]
    since: Time
    until: Time
    states: list[DeliveryStateName]
    outcome_id: Uuid | None
    endpoint_id: Uuid | None
    matched: Annotated[int, Meta(description="Deliveries looked at so far that it is about.")]
    requeued: Annotated[int, Meta(description="Of those, how many were made due again.")]
    created_at: Time
    finished_at: Time | None


class ReplayAnswer(Answer, frozen=True, kw_only=True):
    replay: Replay


class SecretAnswer(Answer, frozen=True, kw_only=True):
    secret: Annotated[str, Meta(description="Masked.")]
    created_at: Time
    signing_with: Annotated[int, Meta(description="How many secrets sign at this moment.")]


class RotateBody(Body, frozen=True, kw_only=True):
    overlap_seconds: (
        Annotated[int, Meta(ge=0, le=2_592_000, description="How long the old secret signs along; 86400.")]
        | None
    ) = None


class RotatedAnswer(Answer, frozen=True, kw_only=True):
    secret: Annotated[str, Meta(description="Shown this once.", examples=["whsec_…"])]
