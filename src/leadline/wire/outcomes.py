"""Outcomes: Part A of the contract, compatible to the byte."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from leadline.wire.common import Answer, Body, Int32, Time, Uuid, UuidInput

OutcomeTypeName = Literal["action", "disposition"]
DestinationTypeName = Literal["none", "smart_list", "remove_from_smart_list"]


class RemoveFromSmartLists(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either every list or the named ones, never both."""

    all: Annotated[bool, Meta(description="`true`: every Smart List.")] | None = None
    list_ids: Annotated[list[UuidInput], Meta(description="These Smart Lists, each once.")] | None = None


class OutcomeBody(Body, frozen=True, kw_only=True):
    """The whole configuration of an outcome. A PATCH replaces: what is left out takes its default."""

    outcome_name: Annotated[
        str, Meta(description="What agents see. White space around it is trimmed.", examples=["Interested"])
    ]
    outcome_type: Annotated[
        OutcomeTypeName, Meta(description="`action` during the call, `disposition` after it.")
    ]
    order: Annotated[Int32, Meta(description="Lower comes first; 0 when left out.")] | None = None
    destination_type: DestinationTypeName | None = None
    destination_id: (
        Annotated[UuidInput, Meta(description="The Smart List; with `smart_list` only.")] | None
    ) = None
    remove_from_smart_lists: RemoveFromSmartLists | None = None
    webhook_url: (
        Annotated[str, Meta(description="Absolute http or https URL; required for an `action`.")] | None
    ) = None


class RemovalConfigured(Struct, frozen=True, kw_only=True):
    """The removal as it was configured: one of the two keys."""

    all: bool | UnsetType = UNSET
    list_ids: list[Uuid] | UnsetType = UNSET


class DestinationView(Struct, frozen=True, kw_only=True):
    """Where an outcome sends the contact; only the keys of its type are there."""

    destination_type: DestinationTypeName
    destination_id: Uuid | UnsetType = UNSET
    destination_name: str | UnsetType | None = UNSET
    remove_from_smart_lists: RemovalConfigured | UnsetType = UNSET


class Outcome(Struct, frozen=True, kw_only=True):
    outcome_id: Uuid
    outcome_name: str
    outcome_type: OutcomeTypeName
    order: Int32
    destination_type: DestinationTypeName
    destination: DestinationView
    webhook_url: str | None
    created_at: Time
    updated_at: Time


class OutcomeAnswer(Answer, frozen=True, kw_only=True):
    outcome: Outcome
    disposition_popup_enabled: bool


class OutcomesAnswer(Answer, frozen=True, kw_only=True):
    outcomes: list[Outcome]
    disposition_popup_enabled: bool


class OutcomeDeleted(Answer, frozen=True, kw_only=True):
    outcome_id: Uuid
    disposition_popup_enabled: bool
