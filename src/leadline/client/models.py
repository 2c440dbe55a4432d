"""What calls answer: the shapes of the API, frozen. Fields that this version does not know are passed over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from leadline.wire.calls import (
    Agent,
    Applied,
    AppliedAnswer,
    AppliedDestination,
    Call,
    CallSummary,
    Disposition,
)
from leadline.wire.common import ProblemDetail
from leadline.wire.configuration import (
    Configuration,
    ConfigurationAnswer,
    ConfiguredList,
    ConfiguredOutcome,
    Plan,
    PlanAnswer,
    PlannedChange,
)
from leadline.wire.contacts import Contact, ContactList, HistoryEntry, ListMove
from leadline.wire.deliveries import (
    Attempt,
    DeliverySummary,
    EndpointHealth,
    EndpointView,
    Replay,
    RotatedAnswer,
    SecretAnswer,
    Timings,
)
from leadline.wire.events import EventView
from leadline.wire.imports import (
    ContactImport,
    ImportColumn,
    ImportPart,
    ImportPreview,
    RowProblem,
    RowProblems,
)
from leadline.wire.outcomes import (
    DestinationView,
    Outcome,
    OutcomeAnswer,
    OutcomeDeleted,
    OutcomesAnswer,
    RemovalConfigured,
)
from leadline.wire.reports import (
    AgentsReport,
    DispositionsReport,
    MissingDispositionsReport,
    OutcomesReport,
    RatesReport,
    SmartListsReport,
    WebhooksReport,
    WrapUpReport,
)
from leadline.wire.smart_lists import Member, Membership, MembershipDeleted, SmartList
from leadline.wire.webhooks import WebhookBody
from leadline.wire.workspaces import Workspace

T = TypeVar("T")

Destination = DestinationView
Endpoint = EndpointView
Event = EventView
MaskedSecret = SecretAnswer
Problem = ProblemDetail
Removal = RemovalConfigured


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list. `next_cursor` is the `cursor` of the next one; None at the end."""

    items: tuple[T, ...]
    next_cursor: str | None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class Outcomes(OutcomesAnswer, frozen=True, kw_only=True):
    """All outcomes in display order. `etag` names this state of the list."""

    etag: str | None = None


class SavedOutcome(OutcomeAnswer, frozen=True, kw_only=True):
    """An outcome as it was stored. `etag` is for `if_match`: it names this state of the outcome."""

    etag: str | None = None


class ConfigurationState(ConfigurationAnswer, frozen=True, kw_only=True):
    """A workspace's configuration. `etag` names the state of all its outcomes and Smart Lists."""

    etag: str | None = None


class PlannedConfiguration(PlanAnswer, frozen=True, kw_only=True):
    """A plan. `etag` names the state that it is for, or that applying it has led to."""

    etag: str | None = None


class AppliedOutcome(AppliedAnswer, frozen=True, kw_only=True):
    """What an application did, and the call after it; with `dry_run`, what it would do."""

    dry_run: bool = False


class Delivery(DeliverySummary, frozen=True, kw_only=True):
    """A delivery with what is sent and how each attempt went. `payload` is None once it is no longer kept."""

    payload: dict[str, Any] | None
    attempts: list[Attempt]


class NewSecret(RotatedAnswer, frozen=True, kw_only=True):
    """A webhook secret, shown this once; its repr keeps it to itself."""

    def __repr__(self) -> str:
        return "NewSecret(secret='whsec_…')"


class WebhookEvent(WebhookBody, frozen=True, kw_only=True):
    """A verified webhook. `webhook_id` is the delivery's id, the same on every attempt and replay."""

    webhook_id: str = ""

    @property
    def deduplication_key(self) -> tuple[str, str]:
        """`(call_id, outcome_id)`: one outcome applied to one call makes one event, ever."""
        return self.call.call_id, self.outcome.outcome_id


@dataclass(frozen=True, slots=True)
class Response(Generic[T]):
    """An answer with what came around it. `body` is the JSON as it was sent."""

    value: T
    status: int
    body: bytes
    request_id: str | None = None
    etag: str | None = None
    # The stored answer of an earlier request with the same Idempotency-Key.
    replayed: bool = False


def with_etag(answer: _Tagged, etag: str | None) -> _Tagged:
    """The answer with its tag."""
    return msgspec.structs.replace(answer, etag=etag)


_Tagged = TypeVar("_Tagged", Outcomes, SavedOutcome, ConfigurationState, PlannedConfiguration)

__all__ = [
    "Agent", "AgentsReport", "Applied", "AppliedDestination", "AppliedOutcome", "Attempt", "Call",
    "CallSummary", "Configuration", "ConfigurationState", "ConfiguredList", "ConfiguredOutcome", "Contact",
    "ContactImport", "ContactList", "Delivery", "DeliverySummary", "Destination", "Disposition",
    "DispositionsReport", "Endpoint", "EndpointHealth", "Event", "HistoryEntry", "ImportColumn", "ImportPart",
    "ImportPreview", "ListMove", "MaskedSecret", "Member", "Membership", "MembershipDeleted",
    "MissingDispositionsReport", "NewSecret", "Outcome", "OutcomeDeleted", "Outcomes", "OutcomesReport", "Page",
    "Plan", "PlannedChange", "PlannedConfiguration", "Problem", "RatesReport", "Removal", "Replay", "Response",
    "RowProblem", "RowProblems", "SavedOutcome", "SmartList", "SmartListsReport", "Timings", "WebhookEvent",
    "WebhooksReport", "Workspace", "WrapUpReport",
]  # fmt: skip
