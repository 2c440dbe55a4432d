"""What an outcome is: its fields, its rules, its destination (contract § 4). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

from leadline.domain.addresses import AddressPolicy
from leadline.domain.errors import Problem
from leadline.domain.limits import OUTCOME_NAME_CHARACTERS_MAX, REMOVE_LIST_IDS_MAX
from leadline.domain.text import name_problem
from leadline.domain.webhook_urls import url_problems


class OutcomeType(StrEnum):
    ACTION = "action"
    DISPOSITION = "disposition"


class DestinationType(StrEnum):
    NONE = "none"
    SMART_LIST = "smart_list"
    REMOVE = "remove_from_smart_list"


@dataclass(frozen=True, slots=True)
class Stay:
    """The contact stays where it is."""


@dataclass(frozen=True, slots=True)
class AddTo:
    """The contact joins one Smart List."""

    smart_list_id: str


@dataclass(frozen=True, slots=True)
class RemoveFromAll:
    """The contact leaves every Smart List."""


@dataclass(frozen=True, slots=True)
class RemoveFrom:
    """The contact leaves these Smart Lists (kept in the order in which they were configured)."""

    smart_list_ids: tuple[str, ...]


Destination = Stay | AddTo | RemoveFromAll | RemoveFrom


@dataclass(frozen=True, slots=True)
class OutcomeDefinition:
    """The whole configuration of an outcome, valid by itself; whether its lists exist is not known here."""

    name: str
    type: OutcomeType
    order: int
    destination: Destination
    webhook_url: str | None


@dataclass(frozen=True, slots=True)
class UrlRules:
    """Which webhook URLs may be saved here: the operator's settings (contract § 9)."""

    policy: AddressPolicy
    require_https: bool = False


def destination_type(destination: Destination) -> DestinationType:
    """Its public name."""
    match destination:
        case Stay():
            return DestinationType.NONE
        case AddTo():
            return DestinationType.SMART_LIST
        case RemoveFromAll() | RemoveFrom():
            return DestinationType.REMOVE
        case _:
            assert_never(destination)


def lists_named(destination: Destination) -> tuple[str, ...]:
    """The Smart Lists that it points at."""
    match destination:
        case AddTo(smart_list_id):
            return (smart_list_id,)
        case RemoveFrom(smart_list_ids):
            return smart_list_ids
        case _:
            return ()


def definition_problems(fields: Mapping[str, Any], rules: UrlRules) -> list[Problem]:
    """Every rule of § 4 that these fields break. A field of the wrong type is left out by the caller."""
    problems = []
    name = fields.get("outcome_name")
    if name is not None and (wrong := name_problem(name, OUTCOME_NAME_CHARACTERS_MAX)):
        problems.append(Problem("outcome_name", wrong))
    problems += _destination_problems(fields)
    problems += _webhook_problems(fields, rules)
    return problems


def _destination_problems(fields: Mapping[str, Any]) -> list[Problem]:
    removal = fields.get("remove_from_smart_lists")
    if "destination_type" not in fields:
        # Of the wrong type: what it would ask for cannot be said, but what a removal must be can.
        return [] if removal is None else _removal_problems(removal.all, removal.list_ids)
    kind = fields["destination_type"] or DestinationType.NONE
    has_id = fields.get("destination_id") is not None
    problems = []
    if kind == DestinationType.SMART_LIST and not has_id and "destination_id" in fields:
        problems.append(Problem("destination_id", "is required with destination_type smart_list"))
    if kind != DestinationType.SMART_LIST and has_id:
        problems.append(Problem("destination_id", "is only allowed with destination_type smart_list"))
    if kind == DestinationType.REMOVE and removal is None and "remove_from_smart_lists" in fields:
        problems.append(
            Problem("remove_from_smart_lists", "is required with destination_type remove_from_smart_list")
        )
    if removal is not None:
        if kind != DestinationType.REMOVE:
            problems.append(
                Problem(
                    "remove_from_smart_lists",
                    "is only allowed with destination_type remove_from_smart_list",
                )
            )
        problems += _removal_problems(removal.all, removal.list_ids)
    return problems


def _removal_problems(everything: bool | None, list_ids: Sequence[object] | None) -> list[Problem]:
    field = "remove_from_smart_lists"
    if (everything is None) == (list_ids is None):
        return [Problem(field, "must choose either all or list_ids, not both")]
    if everything is False:
        return [Problem(f"{field}.all", "must be true")]
    if list_ids is None:
        return []
    problems = []
    if not 1 <= len(list_ids) <= REMOVE_LIST_IDS_MAX:
        problems.append(Problem(f"{field}.list_ids", f"must name 1-{REMOVE_LIST_IDS_MAX} lists"))
    if len(set(list_ids)) != len(list_ids):
        problems.append(Problem(f"{field}.list_ids", "must not name a list twice"))
    return problems


def _webhook_problems(fields: Mapping[str, Any], rules: UrlRules) -> list[Problem]:
    if fields.get("webhook_url") is None and not {"webhook_url", "outcome_type"} <= set(fields):
        return []  # one of them is of the wrong type, which says enough
    found = webhook_problems(fields.get("webhook_url"), fields.get("outcome_type"), rules)
    return [Problem("webhook_url", wrong) for wrong in found]


def webhook_problems(url: str | None, outcome_type: str | None, rules: UrlRules) -> list[str]:
    """What is wrong with the webhook of an outcome of this type, its absence included."""
    if url is not None:
        return list(url_problems(url, policy=rules.policy, require_https=rules.require_https))
    return ["is required for an action"] if outcome_type == OutcomeType.ACTION else []


def definition_from(fields: Mapping[str, Any]) -> OutcomeDefinition:
    """The definition that fields without problems describe; what is left out takes its default."""
    return OutcomeDefinition(
        name=fields["outcome_name"].strip(),
        type=OutcomeType(fields["outcome_type"]),
        order=fields.get("order") or 0,
        destination=_destination_from(fields),
        webhook_url=fields.get("webhook_url"),
    )


def _destination_from(fields: Mapping[str, Any]) -> Destination:
    match fields.get("destination_type") or DestinationType.NONE:
        case DestinationType.SMART_LIST:
            return AddTo(str(fields["destination_id"]))
        case DestinationType.REMOVE:
            removal = fields["remove_from_smart_lists"]
            return RemoveFromAll() if removal.all else RemoveFrom(tuple(map(str, removal.list_ids)))
        case _:
            return Stay()
