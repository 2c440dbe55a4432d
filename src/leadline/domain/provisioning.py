"""Outcomes as code: what a workspace is to look like and what it looks like → what must change. Pure.

How things are known: a Smart List by its name without regard to case, an outcome by its type and name, or by its
id where a workspace has several of one type and name. `was` names an earlier name: whoever has it is renamed,
unless somebody has the new name already, so that the same file can be applied again and again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from leadline.domain.configuration import (
    CreateList,
    CreateOutcome,
    Deleted,
    DeleteList,
    DeleteOutcome,
    Facts,
    JoinOne,
    KnownOutcome,
    LeaveSome,
    Named,
    Plan,
    Reference,
    RenameList,
    ReplaceOutcome,
    Wanted,
    WantedDestination,
    WantedList,
    WantedOutcome,
    references_of,
)
from leadline.domain.errors import Problem
from leadline.domain.limits import (
    OUTCOME_NAME_CHARACTERS_MAX,
    OUTCOMES_PER_WORKSPACE_MAX,
    REMOVE_LIST_IDS_MAX,
    SMART_LIST_NAME_CHARACTERS_MAX,
    SMART_LISTS_PER_WORKSPACE_MAX,
)
from leadline.domain.outcomes import (
    AddTo,
    Destination,
    OutcomeDefinition,
    OutcomeType,
    RemoveFrom,
    RemoveFromAll,
    Stay,
    UrlRules,
    lists_named,
    webhook_problems,
)
from leadline.domain.text import name_key, name_problem


def document_problems(wanted: Wanted) -> list[Problem]:
    """What is wrong with a document by itself, whichever workspace it is for."""
    return [
        *_list_problems(wanted.lists or ()),
        *_outcome_problems(wanted.outcomes or ()),
        *_reference_problems(wanted),
    ]


def plan(wanted: Wanted, facts: Facts, *, prune: bool, rules: UrlRules, new_id: Callable[[], str]) -> Plan:
    """The changes that make the workspace what the document says; all problems when there are any.

    With `prune` what the document's sections do not name is deleted. `new_id` gives the ids of lists to be made.
    """
    problems = document_problems(wanted)
    if problems:
        return Plan(problems=tuple(problems))
    lists = _plan_lists(wanted, facts, prune=prune, new_id=new_id)
    outcomes = _plan_outcomes(wanted, facts, lists, prune=prune, rules=rules)
    problems = [*lists.problems, *outcomes.problems, *_stranded(lists, outcomes)]
    if problems:
        return Plan(problems=tuple(problems))
    return Plan(
        # What goes, goes first: so no limit is met on the way, and every list is there before who points to it.
        changes=(*outcomes.deletes, *lists.deletes, *lists.renames, *lists.creates, *outcomes.upserts),
        unchanged=lists.unchanged + outcomes.unchanged,
        unmanaged=lists.unmanaged + outcomes.unmanaged,
    )


# What the document says by itself


def _list_problems(lists: Sequence[WantedList]) -> list[Problem]:
    problems = []
    for index, each in enumerate(lists):
        if wrong := name_problem(each.name, SMART_LIST_NAME_CHARACTERS_MAX):
            problems.append(Problem(f"smart_lists[{index}].name", wrong))
    names = [name_key(each.name) for each in lists]
    earlier = [None if each.was is None else name_key(each.was) for each in lists]
    problems += _name_clashes("smart_lists", names, "Smart List", [each.name for each in lists])
    return problems + _was_problems("smart_lists", names, earlier, [each.was for each in lists])


def _outcome_problems(outcomes: Sequence[WantedOutcome]) -> list[Problem]:
    problems = []
    for index, each in enumerate(outcomes):
        if wrong := name_problem(each.name, OUTCOME_NAME_CHARACTERS_MAX):
            problems.append(Problem(f"outcomes[{index}].name", wrong))
    # Who has an id is known by that, and may share type and name with others.
    names = [None if each.outcome_id else (each.type, each.name) for each in outcomes]
    earlier = [None if each.was is None else (each.type, each.was) for each in outcomes]
    titles = [f"{each.type} {each.name!r}" for each in outcomes]
    problems += _name_clashes("outcomes", names, "outcome", titles)
    problems += _was_problems("outcomes", names, earlier, [each.was for each in outcomes])
    problems += _id_problems(outcomes)
    return problems


def _name_clashes(section: str, keys: Sequence[Any], noun: str, titles: Sequence[str]) -> list[Problem]:
    first: dict[Any, int] = {}
    problems = []
    for index, key in enumerate(keys):
        if key is None:
            continue
        if key in first:
            message = f"is the {noun} of {section}[{first[key]}] again ({titles[index]})"
            problems.append(Problem(f"{section}[{index}].name", message))
        first.setdefault(key, index)
    return problems


def _was_problems(
    section: str, keys: Sequence[Any], earlier: Sequence[Any], shown: Sequence[str | None]
) -> list[Problem]:
    problems = []
    counts = Counter(key for key in earlier if key is not None)
    for index, key in enumerate(earlier):
        if key is None:
            continue
        where = f"{section}[{index}].was"
        if key == keys[index]:
            problems.append(Problem(where, "is the name itself"))
        elif key in keys:
            message = (
                f"{shown[index]!r} is in the document under its own name: rename first, then add it anew"
            )
            problems.append(Problem(where, message))
        elif counts[key] > 1:
            problems.append(Problem(where, f"{shown[index]!r} cannot become several"))
    return problems


def _id_problems(outcomes: Sequence[WantedOutcome]) -> list[Problem]:
    problems = []
    seen: set[str] = set()
    for index, each in enumerate(outcomes):
        if each.outcome_id is None:
            continue
        if each.outcome_id in seen:
            problems.append(Problem(f"outcomes[{index}].id", "is in the document twice"))
        if each.was is not None:
            problems.append(
                Problem(f"outcomes[{index}].was", "is not needed beside id, which is never renamed")
            )
        seen.add(each.outcome_id)
    return problems


def _reference_problems(wanted: Wanted) -> list[Problem]:
    """Of a document with both sections: every list that it points to is in it."""
    problems = []
    known = None if wanted.lists is None else {name_key(each.name) for each in wanted.lists}
    for index, outcome in enumerate(wanted.outcomes or ()):
        references = references_of(outcome.destination)
        where = f"outcomes[{index}].{_destination_field(outcome.destination)}"
        if isinstance(outcome.destination, LeaveSome) and not 1 <= len(references) <= REMOVE_LIST_IDS_MAX:
            problems.append(Problem(where, f"must name 1-{REMOVE_LIST_IDS_MAX} lists"))
        if len({_reference_key(each) for each in references}) != len(references):
            problems.append(Problem(where, "must not name a list twice"))
        problems += [
            Problem(where, f"{each.name!r} is not among the document's smart_lists")
            for each in references
            if isinstance(each, Named) and known is not None and name_key(each.name) not in known
        ]
    return problems


def _reference_key(reference: Reference) -> tuple[str, str]:
    if isinstance(reference, Named):
        return "name", name_key(reference.name)
    return "id", reference.smart_list_id


def _destination_field(destination: WantedDestination) -> str:
    return "add_to" if isinstance(destination, JoinOne) else "remove_from"


# Smart Lists


@dataclass(frozen=True, slots=True)
class _Lists:
    """What becomes of the lists, and which id each name has afterwards."""

    ids: Mapping[str, str]
    creates: tuple[CreateList, ...] = ()
    renames: tuple[RenameList, ...] = ()
    deletes: tuple[DeleteList, ...] = ()
    problems: tuple[Problem, ...] = ()
    unchanged: int = 0
    unmanaged: int = 0


def _plan_lists(wanted: Wanted, facts: Facts, *, prune: bool, new_id: Callable[[], str]) -> _Lists:
    known = {name_key(each.name): each for each in facts.lists}
    if wanted.lists is None:
        ids = {key: each.smart_list_id for key, each in known.items()}
        return _Lists(ids, unmanaged=len(facts.lists))
    creates: list[CreateList] = []
    renames: list[RenameList] = []
    ids = {}
    for each in wanted.lists:
        key = name_key(each.name)
        match = known.get(key) or (known.get(name_key(each.was)) if each.was is not None else None)
        if match is None:
            creates.append(CreateList(new_id(), each.name))
        elif match.name != each.name:
            renames.append(RenameList(match.smart_list_id, match.name, each.name))
        ids[key] = creates[-1].smart_list_id if match is None else match.smart_list_id
    matched = set(ids.values())
    rest = [each for each in facts.lists if each.smart_list_id not in matched]
    deletes = [DeleteList(each.smart_list_id, each.name) for each in rest] if prune else []
    kept = len(facts.lists) - len(deletes)
    return _Lists(
        ids,
        tuple(creates),
        tuple(renames),
        tuple(deletes),
        _over("smart_lists", kept + len(creates), SMART_LISTS_PER_WORKSPACE_MAX, "Smart Lists"),
        unchanged=len(wanted.lists) - len(creates) - len(renames),
        unmanaged=len(rest) - len(deletes),
    )


def _over(section: str, count: int, count_max: int, nouns: str) -> tuple[Problem, ...]:
    if count <= count_max:
        return ()
    return (Problem(section, f"the workspace would have {count} {nouns}, and may have {count_max}"),)


# Outcomes


@dataclass(frozen=True, slots=True)
class _Outcomes:
    upserts: tuple[CreateOutcome | ReplaceOutcome, ...] = ()
    deletes: tuple[DeleteOutcome, ...] = ()
    problems: tuple[Problem, ...] = ()
    # The configuration of those that stay and are not touched, for who looks whether they lose their list.
    untouched: tuple[KnownOutcome, ...] = ()
    unchanged: int = 0
    unmanaged: int = 0


def _plan_outcomes(wanted: Wanted, facts: Facts, lists: _Lists, *, prune: bool, rules: UrlRules) -> _Outcomes:
    if wanted.outcomes is None:
        return _Outcomes(untouched=facts.outcomes, unmanaged=len(facts.outcomes))
    found = _Matches(wanted.outcomes, facts.outcomes)
    existing = {each.smart_list_id for each in facts.lists}
    problems = list(found.problems)
    upserts: list[CreateOutcome | ReplaceOutcome] = []
    for index, each in enumerate(wanted.outcomes):
        if index in found.failed:
            continue
        match = found.matches.get(index)
        definition, wrong = _defined(index, each, match, lists.ids, existing)
        if match is not None and _same(match.definition, definition):
            continue
        problems += wrong
        problems += _webhook_problems(index, definition, rules)
        if match is None:
            upserts.append(CreateOutcome(definition))
        else:
            upserts.append(ReplaceOutcome(match.outcome_id, match.definition, definition))
    matched = {each.outcome_id for each in found.matches.values()}
    rest = tuple(each for each in facts.outcomes if each.outcome_id not in matched)
    deletes = tuple(DeleteOutcome(each.outcome_id, each.definition) for each in rest) if prune else ()
    creates = sum(isinstance(each, CreateOutcome) for each in upserts)
    count = len(facts.outcomes) - len(deletes) + creates
    problems += _over("outcomes", count, OUTCOMES_PER_WORKSPACE_MAX, "outcomes")
    return _Outcomes(
        tuple(upserts),
        deletes,
        tuple(problems),
        untouched=() if prune else rest,
        unchanged=len(wanted.outcomes) - len(upserts),
        unmanaged=len(rest) - len(deletes),
    )


class _Matches:
    """Which outcome of the workspace each entry of the document is, by its place in the document."""

    def __init__(self, wanted: Sequence[WantedOutcome], known: Sequence[KnownOutcome]) -> None:
        self.matches: dict[int, KnownOutcome] = {}
        self.problems: list[Problem] = []
        self.failed: set[int] = set()
        self._by_id = {each.outcome_id: each for each in known}
        self._by_key: dict[tuple[OutcomeType, str], list[KnownOutcome]] = {}
        for each in known:
            key = (each.definition.type, each.definition.name)
            self._by_key.setdefault(key, []).append(each)
        for index, entry in enumerate(wanted):
            if entry.outcome_id is not None:
                self._match_by_id(index, entry.outcome_id)
        self._taken = {each.outcome_id for each in self.matches.values()}
        for index, entry in enumerate(wanted):
            if entry.outcome_id is None:
                self._match_by_name(index, entry)

    def _match_by_id(self, index: int, outcome_id: str) -> None:
        found = self._by_id.get(outcome_id)
        if found is None:
            message = "is no outcome of this workspace: without id it is known by type and name"
            self._fail(index, "id", message)
        else:
            self.matches[index] = found

    def _match_by_name(self, index: int, entry: WantedOutcome) -> None:
        for where, name in (("name", entry.name), ("was", entry.was)):
            if name is None:
                continue
            found = [
                each
                for each in self._by_key.get((entry.type, name), ())
                if each.outcome_id not in self._taken
            ]
            if len(found) > 1:
                ids = ", ".join(each.outcome_id for each in found)
                self._fail(
                    index, where, f"the workspace has {len(found)} of this type and name: say id, {ids}"
                )
                return
            if found:
                self.matches[index] = found[0]
                return

    def _fail(self, index: int, where: str, message: str) -> None:
        self.failed.add(index)
        self.problems.append(Problem(f"outcomes[{index}].{where}", message))


def _defined(
    index: int,
    entry: WantedOutcome,
    match: KnownOutcome | None,
    ids: Mapping[str, str],
    existing: Iterable[str],
) -> tuple[OutcomeDefinition, list[Problem]]:
    """The definition that an entry stands for, its lists by their ids; and what it points to in vain."""
    known = frozenset(lists_named(match.definition.destination)) if match else frozenset()
    gone = known.difference(existing)
    where = f"outcomes[{index}].{_destination_field(entry.destination)}"
    problems = []
    targets = []
    for each in references_of(entry.destination):
        if isinstance(each, Deleted):
            targets.append(each.smart_list_id)
            if each.smart_list_id not in gone:
                problems.append(Problem(where, f"{each.smart_list_id} is no deleted list of this outcome"))
            continue
        targets.append(ids.get(name_key(each.name), ""))
        if name_key(each.name) not in ids:
            problems.append(Problem(where, f"{each.name!r} is not a Smart List of this workspace"))
    definition = OutcomeDefinition(
        name=entry.name,
        type=entry.type,
        order=entry.order,
        destination=_resolved(entry.destination, targets),
        webhook_url=entry.webhook_url,
    )
    return definition, problems


def _resolved(destination: WantedDestination, targets: Sequence[str]) -> Destination:
    match destination:
        case JoinOne():
            return AddTo(targets[0])
        case LeaveSome():
            return RemoveFrom(tuple(targets))
        case Stay() | RemoveFromAll():
            return destination
        case _:
            assert_never(destination)


def _same(before: OutcomeDefinition, after: OutcomeDefinition) -> bool:
    """Whether they do the same; the order in which a removal names its lists means nothing."""
    return _comparable(before) == _comparable(after)


def _comparable(definition: OutcomeDefinition) -> tuple[Any, ...]:
    destination = definition.destination
    where = frozenset(destination.smart_list_ids) if isinstance(destination, RemoveFrom) else destination
    return definition.name, definition.type, definition.order, where, definition.webhook_url


def _webhook_problems(index: int, definition: OutcomeDefinition, rules: UrlRules) -> list[Problem]:
    return [
        Problem(f"outcomes[{index}].webhook_url", wrong)
        for wrong in webhook_problems(definition.webhook_url, definition.type, rules)
    ]


def _stranded(lists: _Lists, outcomes: _Outcomes) -> list[Problem]:
    """Lists that would be deleted under outcomes that the document does not manage."""
    going = {each.smart_list_id: each.name for each in lists.deletes}
    return [
        Problem(
            "smart_lists",
            f"{going[smart_list_id]!r} is not among them and would be deleted, but {each.definition.type}"
            f" {each.definition.name!r}, which the document does not name, points to it",
        )
        for each in outcomes.untouched
        for smart_list_id in lists_named(each.definition.destination)
        if smart_list_id in going
    ]
