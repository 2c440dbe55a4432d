"""Sets of Smart Lists and outcomes to begin with, made together or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leadline.domain.errors import InvalidRequest, Problem
from leadline.domain.outcome_order import ORDER_STEP
from leadline.domain.outcomes import (
    AddTo,
    Destination,
    OutcomeDefinition,
    OutcomeType,
    RemoveFrom,
    RemoveFromAll,
    Stay,
)
from leadline.operations.outcomes import define_outcome
from leadline.operations.smart_lists import create_smart_list
from leadline.store import outcomes, smart_lists, workspaces
from leadline.store.database import Tx


@dataclass(frozen=True, slots=True)
class Add:
    """The contact joins the Smart List of this name."""

    smart_list: str


@dataclass(frozen=True, slots=True)
class Remove:
    """The contact leaves the Smart Lists of these names."""

    smart_lists: tuple[str, ...]


_STAYS = Stay()


@dataclass(frozen=True, slots=True)
class TemplateOutcome:
    """One outcome; where it sends the contact is said by the names of lists."""

    name: str
    destination: Add | Remove | Stay | RemoveFromAll = _STAYS


@dataclass(frozen=True, slots=True)
class Template:
    """What a kind of work begins with. Actions send to the one webhook that is asked for."""

    key: str
    name: str
    about: str
    actions: tuple[TemplateOutcome, ...]
    dispositions: tuple[TemplateOutcome, ...]

    @property
    def list_names(self) -> Sequence[str]:
        """The Smart Lists it needs, each once, in the order in which they are named."""
        found: dict[str, None] = {}
        for each in (*self.actions, *self.dispositions):
            match each.destination:
                case Add(smart_list):
                    found[smart_list] = None
                case Remove(names):
                    found |= dict.fromkeys(names)
        return list(found)


TEMPLATES = (
    Template(
        "sales",
        "Sales",
        "Outbound calls that qualify, follow up and close.",
        actions=(
            TemplateOutcome("Interested", Add("Follow up")),
            TemplateOutcome("Send pricing", Add("Warm leads")),
            TemplateOutcome("Call back later", Add("Call backs")),
            TemplateOutcome("Do not call", RemoveFromAll()),
        ),
        dispositions=(
            TemplateOutcome("Sale", Add("Customers")),
            TemplateOutcome("Needs time"),
            TemplateOutcome("Voicemail left"),
            TemplateOutcome("Not interested", Remove(("Follow up", "Warm leads", "Call backs"))),
        ),
    ),
    Template(
        "support",
        "Support",
        "Inbound calls that end solved, waiting or escalated.",
        actions=(
            TemplateOutcome("Open a ticket", Add("Open cases")),
            TemplateOutcome("Escalate", Add("Escalated")),
            TemplateOutcome("Send instructions"),
        ),
        dispositions=(
            TemplateOutcome("Solved", Remove(("Open cases", "Escalated", "Waiting for customer"))),
            TemplateOutcome("Waiting for customer", Add("Waiting for customer")),
            TemplateOutcome("Follow-up needed", Add("Open cases")),
            TemplateOutcome("Wrong number"),
        ),
    ),
    Template(
        "appointments",
        "Appointment setting",
        "Calls that book, move and cancel appointments.",
        actions=(
            TemplateOutcome("Appointment booked", Add("Booked")),
            TemplateOutcome("Send a reminder"),
            TemplateOutcome("Call back later", Add("Call backs")),
            TemplateOutcome("Do not call", RemoveFromAll()),
        ),
        dispositions=(
            TemplateOutcome("Booked", Remove(("To call", "Call backs"))),
            TemplateOutcome("Rescheduled", Add("Booked")),
            TemplateOutcome("No answer", Add("To call")),
            TemplateOutcome("Not interested", Remove(("To call", "Call backs"))),
        ),
    ),
)


async def use_template(tx: Tx, workspace_id: str, key: str, *, webhook_url: str) -> Template:
    """Make a template's Smart Lists and outcomes. `webhook_url` is valid; actions are sent there.

    Lists that there are by these names are used. Raises InvalidRequest for an unknown template, or when the
    workspace has outcomes: whoever clicks twice must not get everything twice.
    """
    template = next((each for each in TEMPLATES if each.key == key), None)
    if template is None:
        raise InvalidRequest("Choose a template.", details=[Problem("template", "is none of these")])
    await workspaces.lock_workspace(tx, workspace_id)
    if await outcomes.count_outcomes(tx, workspace_id):
        raise InvalidRequest("This workspace has outcomes already; a template is for an empty one.")
    lists = await _lists(tx, workspace_id, template.list_names)
    named = [(OutcomeType.ACTION, each) for each in template.actions]
    named += [(OutcomeType.DISPOSITION, each) for each in template.dispositions]
    for place, (outcome_type, each) in enumerate(named, start=1):
        definition = OutcomeDefinition(
            name=each.name,
            type=outcome_type,
            order=ORDER_STEP * place,
            destination=_destination(each, lists),
            webhook_url=webhook_url if outcome_type is OutcomeType.ACTION else None,
        )
        await define_outcome(tx, workspace_id, definition)
    return template


async def _lists(tx: Tx, workspace_id: str, names: Sequence[str]) -> dict[str, str]:
    """The ids of lists by their names; those that are not there are made."""
    there = await smart_lists.list_names(tx, workspace_id)
    found = {name.casefold(): smart_list_id for smart_list_id, name in there.items()}
    for name in names:
        if name.casefold() not in found:
            made = await create_smart_list(tx, workspace_id, name)
            found[name.casefold()] = made.smart_list.smart_list_id
    return {name: found[name.casefold()] for name in names}


def _destination(outcome: TemplateOutcome, lists: Mapping[str, str]) -> Destination:
    match outcome.destination:
        case Add(name):
            return AddTo(lists[name])
        case Remove(names):
            return RemoveFrom(tuple(lists[name] for name in names))
        case other:
            return other
