"""A workspace's Smart Lists and outcomes as one document: what is wanted, what is known, what changes. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from leadline.domain.errors import Problem
from leadline.domain.outcomes import OutcomeDefinition, OutcomeType, RemoveFromAll, Stay


@dataclass(frozen=True, slots=True)
class Named:
    """A Smart List by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """A Smart List that is gone and that an outcome points to all the same."""

    smart_list_id: str


Reference = Named | Deleted


@dataclass(frozen=True, slots=True)
class JoinOne:
    reference: Reference


@dataclass(frozen=True, slots=True)
class LeaveSome:
    references: tuple[Reference, ...]


WantedDestination = Stay | JoinOne | RemoveFromAll | LeaveSome


@dataclass(frozen=True, slots=True)
class WantedList:
    name: str
    was: str | None = None


@dataclass(frozen=True, slots=True)
class WantedOutcome:
    name: str
    type: OutcomeType
    was: str | None = None
    outcome_id: str | None = None
    order: int = 0
    destination: WantedDestination = field(default_factory=Stay)
    webhook_url: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A document. A section that is None is not managed."""

    lists: tuple[WantedList, ...] | None
    outcomes: tuple[WantedOutcome, ...] | None


@dataclass(frozen=True, slots=True)
class KnownList:
    smart_list_id: str
    name: str


@dataclass(frozen=True, slots=True)
class KnownOutcome:
    outcome_id: str
    definition: OutcomeDefinition


@dataclass(frozen=True, slots=True)
class Facts:
    """What a workspace has. Outcomes are in display order."""

    lists: tuple[KnownList, ...]
    outcomes: tuple[KnownOutcome, ...]


@dataclass(frozen=True, slots=True)
class CreateList:
    smart_list_id: str
    name: str


@dataclass(frozen=True, slots=True)
class RenameList:
    smart_list_id: str
    before: str
    name: str


@dataclass(frozen=True, slots=True)
class DeleteList:
    smart_list_id: str
    name: str


@dataclass(frozen=True, slots=True)
class CreateOutcome:
    definition: OutcomeDefinition


@dataclass(frozen=True, slots=True)
class ReplaceOutcome:
    outcome_id: str
    before: OutcomeDefinition
    definition: OutcomeDefinition


@dataclass(frozen=True, slots=True)
class DeleteOutcome:
    outcome_id: str
    definition: OutcomeDefinition


Change = DeleteOutcome | DeleteList | RenameList | CreateList | ReplaceOutcome | CreateOutcome


@dataclass(frozen=True, slots=True)
class Plan:
    """What must change, in an order in which no step breaks a rule; or why it cannot be said (`problems`).

    `unchanged` and `unmanaged` count what is as the document says, and what the document does not name and stays.
    """

    changes: tuple[Change, ...] = ()
    problems: tuple[Problem, ...] = ()
    unchanged: int = 0
    unmanaged: int = 0


def references_of(destination: WantedDestination) -> tuple[Reference, ...]:
    """The lists that it points to, as the document calls them."""
    match destination:
        case JoinOne(reference):
            return (reference,)
        case LeaveSome(references):
            return references
        case _:
            return ()
