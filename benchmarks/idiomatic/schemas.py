"""What comes in and goes out, as pydantic models (contract § 5 and § 7)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


def iso_time(at_ms: int) -> str:
    """As the contract writes times: UTC, milliseconds, `Z`."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


class ApplyBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    outcome_id: UUID
    agent_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    note: Annotated[str, Field(max_length=4000)] | None = None


class Applied(BaseModel):
    applied_id: str
    call_id: str
    outcome_id: str
    outcome_name: str
    outcome_type: str
    agent_id: str | None
    note: str | None
    applied_at: str
    destination: dict[str, Any]
    error_message: str
    delivery_id: str | None


class Disposition(BaseModel):
    outcome_id: str
    outcome_name: str
    applied_at: str


class Call(BaseModel):
    call_id: str
    state: str
    direction: str
    phone_number: str | None
    contact_id: str | None
    agent_id: str | None
    external_id: str | None
    line_result: str | None
    started_at: str
    answered_at: str | None
    ended_at: str | None
    disposition_required: bool
    disposition: Disposition | None
    applied: list[Applied]


class AppliedAnswer(BaseModel):
    ok: Literal[True] = True
    applied: Applied
    call: Call


class WebhookScope(BaseModel):
    subaccount_id: str
    organization_id: str


class WebhookOutcome(BaseModel):
    outcome_id: str
    outcome_name: str
    outcome_type: str


class WebhookCall(BaseModel):
    call_id: str
    phone_number: str | None
    contact_id: str | None


class Webhook(BaseModel):
    """The body that receivers get."""

    error_message: str
    timestamp: int
    scope: WebhookScope
    outcome: WebhookOutcome
    call: WebhookCall
    destination: dict[str, Any]
