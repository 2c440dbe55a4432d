"""Deliveries, their attempts, and the secret that signs them (contract § 8)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

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
