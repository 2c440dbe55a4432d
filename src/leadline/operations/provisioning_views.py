"""A workspace's configuration and a plan, as the public shapes that show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, assert_never
from uuid import UUID

from leadline.domain.configuration import (
    Change,
    CreateList,
    CreateOutcome,
    DeleteList,
    DeleteOutcome,
    Facts,
    KnownOutcome,
    RenameList,
    ReplaceOutcome,
)
from leadline.domain.configuration import Plan as DomainPlan
from leadline.domain.outcomes import AddTo, OutcomeDefinition, RemoveFrom, RemoveFromAll
from leadline.domain.text import name_key
from leadline.wire.configuration import (
    Configuration,
    ConfiguredList,
    ConfiguredOutcome,
    DeletedSmartList,
    FieldChange,
    Plan,
    PlannedChange,
)

Names = Mapping[str, str]
_FIELDS: tuple[Literal["type", "order", "add_to", "remove_from", "webhook_url"], ...] = (
    "type", "order", "add_to", "remove_from", "webhook_url",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a plan's reader should know beside the configuration itself."""

    contact_counts: Mapping[str, int]
    timeout_outcome_id: str | None


def configuration_view(facts: Facts) -> Configuration:
    """The document of a state: lists by name, outcomes in display order, and `id` only where it is needed."""
    names = {each.smart_list_id: each.name for each in facts.lists}
    keys = Counter(_key(each) for each in facts.outcomes)
    ordered = sorted(names.values(), key=lambda name: (name_key(name), name))
    return Configuration(
        smart_lists=[ConfiguredList(name=name) for name in ordered],
        outcomes=[_configured(each, names, with_id=keys[_key(each)] > 1) for each in facts.outcomes],
    )


def _key(outcome: KnownOutcome) -> tuple[str, str]:
    return outcome.definition.type, outcome.definition.name


def _configured(outcome: KnownOutcome, names: Names, *, with_id: bool) -> ConfiguredOutcome:
    values = _values(outcome.definition, names)
    return ConfiguredOutcome(id=UUID(outcome.outcome_id) if with_id else None, **values)


def _values(definition: OutcomeDefinition, names: Names) -> dict[str, Any]:
    """The fields of an outcome as a document says them."""
    return {
        "name": definition.name,
        "type": definition.type.value,
        "order": definition.order,
        "add_to": _joined(definition, names),
        "remove_from": _left(definition, names),
        "webhook_url": definition.webhook_url,
    }


def _joined(definition: OutcomeDefinition, names: Names) -> str | DeletedSmartList | None:
    destination = definition.destination
    return _list(destination.smart_list_id, names) if isinstance(destination, AddTo) else None


def _left(definition: OutcomeDefinition, names: Names) -> str | list[str | DeletedSmartList] | None:
    match definition.destination:
        case RemoveFromAll():
            return "all"
        case RemoveFrom(smart_list_ids):
            return [_list(each, names) for each in smart_list_ids]
        case _:
            return None


def _list(smart_list_id: str, names: Names) -> str | DeletedSmartList:
    name = names.get(smart_list_id)
    return DeletedSmartList(deleted=UUID(smart_list_id)) if name is None else name


def plan_view(planned: DomainPlan, facts: Facts, circumstances: Circumstances) -> Plan:
    before = {each.smart_list_id: each.name for each in facts.lists}
    after = before | {
        each.smart_list_id: each.name for each in planned.changes if isinstance(each, CreateList | RenameList)
    }
    changes = [_change(each, before, after, circumstances) for each in planned.changes]
    counts = Counter(each.change for each in changes)
    return Plan(
        changes=changes,
        created=counts["create"],
        updated=counts["update"],
        deleted=counts["delete"],
        unchanged=planned.unchanged,
        unmanaged=planned.unmanaged,
    )


def _change(change: Change, before: Names, after: Names, circumstances: Circumstances) -> PlannedChange:
    match change:
        case CreateList(_, name):
            return _list_change("create", None, name)
        case RenameList(smart_list_id, old, name):
            renamed = [FieldChange(field="name", before=old, after=name)]
            return _list_change("update", smart_list_id, old, fields=renamed)
        case DeleteList(smart_list_id, name):
            notes = _contacts_note(circumstances.contact_counts.get(smart_list_id, 0))
            return _list_change("delete", smart_list_id, name, notes=notes)
        case CreateOutcome(definition):
            return _outcome_change("create", None, definition, _differences({}, _values(definition, after)))
        case ReplaceOutcome(outcome_id, old_definition, definition):
            fields = _differences(_values(old_definition, before), _values(definition, after))
            if old_definition.name != definition.name:
                fields.insert(0, FieldChange(field="name", before=old_definition.name, after=definition.name))
            loses = definition.type != "disposition" and outcome_id == circumstances.timeout_outcome_id
            return _outcome_change("update", outcome_id, old_definition, fields, _timeout_note(loses))
        case DeleteOutcome(outcome_id, definition):
            fields = _differences(_values(definition, before), {})
            loses = outcome_id == circumstances.timeout_outcome_id
            return _outcome_change("delete", outcome_id, definition, fields, _timeout_note(loses))
        case _:
            assert_never(change)


def _list_change(
    change: Literal["create", "update", "delete"],
    smart_list_id: str | None,
    name: str,
    *,
    fields: list[FieldChange] | None = None,
    notes: list[str] | None = None,
) -> PlannedChange:
    return PlannedChange(
        change=change,
        kind="smart_list",
        id=smart_list_id,
        name=name,
        type=None,
        fields=fields or [],
        notes=notes or [],
    )


def _outcome_change(
    change: Literal["create", "update", "delete"],
    outcome_id: str | None,
    definition: OutcomeDefinition,
    fields: list[FieldChange],
    notes: list[str] | None = None,
) -> PlannedChange:
    return PlannedChange(
        change=change,
        kind="outcome",
        id=outcome_id,
        name=definition.name,
        type=definition.type.value,
        fields=fields,
        notes=notes or [],
    )


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    """The fields that are said differently; of what is made or goes, those that it has."""
    alone = not before or not after
    return [
        FieldChange(field=field, before=before.get(field), after=after.get(field))
        for field in _FIELDS
        if before.get(field) != after.get(field)
        and not (alone and _goes_without_saying(field, before, after))
    ]


def _goes_without_saying(field: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Of what is made or goes, the type is in its title, and the order that it has without being given one."""
    return field == "type" or (field == "order" and (before or after)[field] == 0)


def _contacts_note(count: int) -> list[str]:
    if not count:
        return []
    return [f"{count} {'contact is' if count == 1 else 'contacts are'} on it, and would be on it no longer"]


def _timeout_note(loses: bool) -> list[str]:
    return ["wrap-ups time out to it, and would then have no outcome to time out to"] if loses else []
