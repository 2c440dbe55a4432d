"""The body of a webhook as its receiver reads it (contract § 5)."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from leadline.wire.common import Uuid
from leadline.wire.outcomes import DestinationTypeName, OutcomeTypeName, RemovalConfigured


class WebhookScope(Struct, frozen=True, kw_only=True):
    subaccount_id: Annotated[Uuid, Meta(description="The workspace.")]
    organization_id: Uuid


class WebhookOutcome(Struct, frozen=True, kw_only=True):
    outcome_id: Uuid
    outcome_name: str
    outcome_type: OutcomeTypeName


class WebhookCall(Struct, frozen=True, kw_only=True):
    """The call; without number and contact once the person was erased."""

    call_id: Uuid
    phone_number: str | None
    contact_id: Uuid | None


class WebhookDestination(Struct, frozen=True, kw_only=True):
    """The destination as configured; only the keys of its type are there."""

    destination_type: DestinationTypeName
    destination_id: Uuid | UnsetType = UNSET
    remove_from_smart_lists: RemovalConfigured | UnsetType = UNSET


class WebhookBody(Struct, frozen=True, kw_only=True):
    error_message: Annotated[str, Meta(description="Why the destination failed; empty when it did not.")]
    timestamp: Annotated[int, Meta(description="Unix milliseconds of the application.")]
    scope: WebhookScope
    outcome: WebhookOutcome
    call: WebhookCall
    destination: WebhookDestination
