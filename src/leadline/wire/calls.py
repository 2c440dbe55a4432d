"""Calls, what was applied to them, and agents (contract § 7)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from leadline.wire.common import Answer, Body, Page, Query, Time, TimeInput, Uuid, UuidInput
from leadline.wire.outcomes import DestinationTypeName, OutcomeTypeName, RemovalConfigured

CallStateName = Literal["ringing", "live", "wrap_up", "closed"]
DirectionName = Literal["outbound", "inbound"]
LineResultName = Literal["completed", "no_answer", "busy", "voicemail", "failed", "canceled", "unknown"]
AgentId = Annotated[
    str, Meta(min_length=1, max_length=128, description="The phone system's own name of an agent.")
]


class CallBody(Body, frozen=True, kw_only=True):
    """A call begins: with exactly one of `phone_number` and `contact_id`."""

    phone_number: str | None = None
    contact_id: UuidInput | None = None
    agent_id: AgentId | None = None
    direction: DirectionName | None = None
    external_id: (
        Annotated[str, Meta(min_length=1, max_length=200, description="The phone system's own id.")] | None
    ) = None
    state: Literal["ringing", "live"] | None = None
    started_at: TimeInput | None = None


class CallEnd(Body, frozen=True, kw_only=True):
    line_result: LineResultName | None = None
    ended_at: TimeInput | None = None


class Nothing(Body, frozen=True, kw_only=True):
    """No fields."""


class ApplyBody(Body, frozen=True, kw_only=True):
    outcome_id: UuidInput
    agent_id: (
        Annotated[AgentId, Meta(description="Who applies it; the call's agent when left out.")] | None
    ) = None
    note: Annotated[str, Meta(max_length=4000)] | None = None


class ApplyQuery(Query, frozen=True, kw_only=True):
    dry_run: Annotated[bool, Meta(description="Say what would happen and change nothing.")] | None = None


class CallsQuery(Page, frozen=True, kw_only=True):
    state: CallStateName | None = None
    agent_id: AgentId | None = None
    contact_id: UuidInput | None = None
    since: TimeInput | None = None


class AppliedDestination(Struct, frozen=True, kw_only=True):
    """The destination as configured when it was applied, and the lists that were really changed."""

    destination_type: DestinationTypeName
    destination_id: Uuid | UnsetType = UNSET
    remove_from_smart_lists: RemovalConfigured | UnsetType = UNSET
    lists_added: list[Uuid] = []
    lists_removed: list[Uuid] = []


class Applied(Struct, frozen=True, kw_only=True):
    applied_id: Uuid | None
    call_id: Uuid
    outcome_id: Uuid
    outcome_name: str
    outcome_type: OutcomeTypeName
    agent_id: str | None
    note: str | None
    applied_at: Time
    destination: AppliedDestination
    error_message: str
    delivery_id: Uuid | None


class Disposition(Struct, frozen=True, kw_only=True):
    outcome_id: Uuid
    outcome_name: str
    applied_at: Time


class CallSummary(Struct, frozen=True, kw_only=True):
    """A call without what was applied to it."""

    call_id: Uuid
    state: CallStateName
    direction: DirectionName
    phone_number: str | None
    contact_id: Uuid | None
    agent_id: str | None
    external_id: str | None
    line_result: LineResultName | None
    started_at: Time
    answered_at: Time | None
    ended_at: Time | None
    disposition_required: bool
    disposition: Disposition | None


class Call(CallSummary, frozen=True, kw_only=True):
    applied: list[Applied]


class CallAnswer(Answer, frozen=True, kw_only=True):
    call: Call


class CallsAnswer(Answer, frozen=True, kw_only=True):
    calls: list[Call]
    next_cursor: str | None


class AppliedAnswer(Answer, frozen=True, kw_only=True):
    applied: Applied
    call: Call


class DryRunAnswer(Answer, frozen=True, kw_only=True):
    dry_run: bool = True
    applied: Applied
    call: Call


class Agent(Struct, frozen=True, kw_only=True):
    agent_id: str
    status: Literal["available", "on_call", "wrap_up"]
    call_id: Annotated[Uuid, Meta(description="The call that rings or is live.")] | None
    pending: Annotated[list[Uuid], Meta(description="Calls that wait for their disposition, oldest first.")]


class AgentAnswer(Answer, frozen=True, kw_only=True):
    agent: Agent


class AgentsAnswer(Answer, frozen=True, kw_only=True):
    agents: list[Agent]
    next_cursor: str | None


AgentsQuery = Page
