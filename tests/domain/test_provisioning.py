"""The laws of planning: applying a plan leaves nothing to plan, and nothing is touched that was not asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.domain.addresses import AddressPolicy
from leadline.domain.configuration import (
    CreateList,
    CreateOutcome,
    Deleted,
    DeleteList,
    DeleteOutcome,
    Facts,
    JoinOne,
    KnownList,
    KnownOutcome,
    LeaveSome,
    Named,
    Plan,
    RenameList,
    ReplaceOutcome,
    Wanted,
    WantedDestination,
    WantedList,
    WantedOutcome,
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
)
from leadline.domain.provisioning import plan
from leadline.domain.text import name_key

RULES = UrlRules(AddressPolicy.parse(""))
URL = "https://example.com/hook"
# Few, so that they meet; two that differ by case, and one that folds to more than it is.
NAMES = ("A", "a", "B", "Straße", "STRASSE", "No")
KNOWN_IDS = tuple(f"list-{number}" for number in range(5))
GONE_IDS = ("gone-1", "gone-2")
names = st.sampled_from(NAMES)
types = st.sampled_from(OutcomeType)


def ids() -> Callable[[], str]:
    numbers = itertools.count()
    return lambda: f"new-{next(numbers)}"


def destinations(list_ids: tuple[str, ...]) -> st.SearchStrategy[Destination]:
    some = st.sampled_from((*list_ids, *GONE_IDS))
    return st.one_of(
        st.just(Stay()),
        st.just(RemoveFromAll()),
        st.builds(AddTo, some),
        st.lists(some, min_size=1, max_size=3, unique=True).map(lambda found: RemoveFrom(tuple(found))),
    )


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """Any state of a workspace: names of outcomes may be there twice, lists may be gone under them."""
    chosen = draw(st.lists(names, unique_by=name_key, max_size=4))
    lists = tuple(KnownList(f"list-{number}", name) for number, name in enumerate(chosen))
    definitions = st.builds(
        OutcomeDefinition,
        name=names,
        type=types,
        order=st.integers(-1, 1),
        destination=destinations(tuple(each.smart_list_id for each in lists)),
        webhook_url=st.just(URL),
    )
    outcomes = draw(st.lists(definitions, max_size=5))
    return Facts(lists, tuple(KnownOutcome(f"outcome-{n}", each) for n, each in enumerate(outcomes)))


references = st.one_of(st.builds(Named, names), st.builds(Deleted, st.sampled_from(GONE_IDS + KNOWN_IDS[:1])))
wanted_destinations: st.SearchStrategy[WantedDestination] = st.one_of(
    st.just(Stay()),
    st.just(RemoveFromAll()),
    st.builds(JoinOne, references),
    st.lists(references, min_size=1, max_size=2, unique=True).map(lambda found: LeaveSome(tuple(found))),
)
wanted_lists = st.builds(WantedList, name=names, was=st.none() | names)
wanted_outcomes = st.builds(
    WantedOutcome,
    name=names,
    type=types,
    was=st.none() | names,
    outcome_id=st.none() | st.sampled_from(("outcome-0", "outcome-1")),
    order=st.integers(-1, 1),
    destination=wanted_destinations,
    webhook_url=st.just(URL),
)
documents = st.builds(
    Wanted,
    lists=st.none()
    | st.lists(wanted_lists, max_size=4, unique_by=lambda each: name_key(each.name)).map(tuple),
    outcomes=st.none()
    | st.lists(wanted_outcomes, max_size=3, unique_by=lambda each: (each.type, each.name)).map(tuple),
)


def carried_out(before: Facts, planned: Plan) -> Facts:
    """The state after a plan, step by step; no step may break a rule."""
    lists = {each.smart_list_id: each.name for each in before.lists}
    outcomes = {each.outcome_id: each.definition for each in before.outcomes}
    made = itertools.count()
    for change in planned.changes:
        match change:
            case CreateList(smart_list_id, name) | RenameList(smart_list_id, _, name):
                taken = {name_key(other) for each, other in lists.items() if each != smart_list_id}
                assert name_key(name) not in taken
                lists[smart_list_id] = name
            case DeleteList(smart_list_id, name):
                assert lists.pop(smart_list_id) == name
            case ReplaceOutcome(outcome_id, old, definition):
                assert outcomes[outcome_id] == old
                outcomes[outcome_id] = definition
            case DeleteOutcome(outcome_id, old):
                assert outcomes.pop(outcome_id) == old
            case CreateOutcome(definition):
                outcomes[f"made-{next(made)}"] = definition
    return Facts(
        tuple(KnownList(*each) for each in lists.items()),
        tuple(KnownOutcome(*each) for each in outcomes.items()),
    )


def planned_for(document: Wanted, state: Facts, *, prune: bool = False) -> Plan:
    return plan(document, state, prune=prune, rules=RULES, new_id=ids())


@given(documents, facts(), st.booleans())
def test_after_a_plan_is_carried_out_there_is_nothing_to_plan(
    document: Wanted, before: Facts, prune: bool
) -> None:
    first = planned_for(document, before, prune=prune)
    if first.problems:
        assert first.changes == ()
        return
    after = carried_out(before, first)
    again = planned_for(document, after, prune=prune)
    assert again.problems == ()
    assert again.changes == ()


@given(documents, facts())
def test_without_prune_nothing_is_deleted(document: Wanted, before: Facts) -> None:
    planned = planned_for(document, before)
    assert not any(isinstance(each, DeleteList | DeleteOutcome) for each in planned.changes)


@given(documents, facts())
def test_a_section_that_is_left_out_is_not_touched(document: Wanted, before: Facts) -> None:
    without_lists = planned_for(replace(document, lists=None), before, prune=True)
    assert not any(isinstance(each, CreateList | RenameList | DeleteList) for each in without_lists.changes)
    without_outcomes = planned_for(replace(document, outcomes=None), before, prune=True)
    touched = CreateOutcome | ReplaceOutcome | DeleteOutcome
    assert not any(isinstance(each, touched) for each in without_outcomes.changes)


@given(documents, facts(), st.booleans())
def test_no_outcome_loses_a_list_that_it_had(document: Wanted, before: Facts, prune: bool) -> None:
    planned = planned_for(document, before, prune=prune)
    after = carried_out(before, planned)
    gone_before = set(GONE_IDS)
    there = {each.smart_list_id for each in after.lists}
    for outcome in after.outcomes:
        assert set(lists_named(outcome.definition.destination)) <= there | gone_before


@given(documents, facts(), st.booleans())
def test_every_entry_and_everything_there_is_counted_once(
    document: Wanted, before: Facts, prune: bool
) -> None:
    planned = planned_for(document, before, prune=prune)
    if planned.problems:
        return
    entries = len(document.lists or ()) + len(document.outcomes or ())
    deleted = sum(isinstance(each, DeleteList | DeleteOutcome) for each in planned.changes)
    made = sum(isinstance(each, CreateList | CreateOutcome) for each in planned.changes)
    assert planned.unchanged + len(planned.changes) - deleted == entries
    there = len(before.lists) + len(before.outcomes)
    assert there == entries - made + deleted + planned.unmanaged


def outcome(name: str, kind: OutcomeType = OutcomeType.DISPOSITION, **more: object) -> WantedOutcome:
    return WantedOutcome(name=name, type=kind, **more)  # type: ignore[arg-type]


def known(number: int, name: str, destination: Destination | None = None) -> KnownOutcome:
    definition = OutcomeDefinition(name, OutcomeType.DISPOSITION, 0, destination or Stay(), None)
    return KnownOutcome(f"outcome-{number}", definition)


EMPTY = Facts((), ())


@pytest.mark.parametrize(
    ("document", "state", "field", "says"),
    [
        (Wanted((WantedList("A"), WantedList("a")), None), EMPTY, "smart_lists[1].name", "smart_lists[0]"),
        (Wanted((WantedList(""),), None), EMPTY, "smart_lists[0].name", "1-120"),
        (Wanted((WantedList("A", was="a"),), None), EMPTY, "smart_lists[0].was", "the name itself"),
        (
            Wanted((WantedList("A", was="B"), WantedList("B")), None),
            EMPTY,
            "smart_lists[0].was",
            "under its own name",
        ),
        (
            Wanted((WantedList("A", was="X"), WantedList("B", was="x")), None),
            EMPTY,
            "smart_lists[0].was",
            "several",
        ),
        (Wanted(None, (outcome("A"), outcome("A"))), EMPTY, "outcomes[1].name", "outcomes[0]"),
        (Wanted(None, (outcome("A\x07"),)), EMPTY, "outcomes[0].name", "control"),
        (Wanted(None, (outcome("A", OutcomeType.ACTION),)), EMPTY, "outcomes[0].webhook_url", "required"),
        (
            Wanted(None, (outcome("A", webhook_url="http://localhost/"),)),
            EMPTY,
            "outcomes[0].webhook_url",
            "",
        ),
        (
            Wanted((), (outcome("A", destination=JoinOne(Named("B"))),)),
            EMPTY,
            "outcomes[0].add_to",
            "smart_lists",
        ),
        (
            Wanted(None, (outcome("A", destination=JoinOne(Named("B"))),)),
            EMPTY,
            "outcomes[0].add_to",
            "workspace",
        ),
        (
            Wanted(None, (outcome("A", destination=LeaveSome((Named("B"), Named("b")))),)),
            Facts((KnownList("list-0", "B"),), ()),
            "outcomes[0].remove_from",
            "twice",
        ),
        (Wanted(None, (outcome("A", destination=LeaveSome(())),)), EMPTY, "outcomes[0].remove_from", "1-100"),
        (Wanted(None, (outcome("A", outcome_id="x"),)), EMPTY, "outcomes[0].id", "no outcome"),
        (
            Wanted(None, (outcome("A", outcome_id="x"), outcome("B", outcome_id="x"))),
            EMPTY,
            "outcomes[1].id",
            "twice",
        ),
        (
            Wanted(None, (outcome("A", outcome_id="outcome-0", was="B"),)),
            Facts((), (known(0, "B"),)),
            "outcomes[0].was",
            "not needed",
        ),
        (
            Wanted(None, (outcome("A"),)),
            Facts((), (known(0, "A"), known(1, "A"))),
            "outcomes[0].name",
            "outcome-0, outcome-1",
        ),
        (
            Wanted(None, (outcome("N", was="A"),)),
            Facts((), (known(0, "A"), known(1, "A"))),
            "outcomes[0].was",
            "say id",
        ),
        (
            Wanted(None, (outcome("A", order=1, destination=JoinOne(Deleted("list-0"))),)),
            Facts((KnownList("list-0", "B"),), (known(0, "A", AddTo("list-0")),)),
            "outcomes[0].add_to",
            "no deleted list",
        ),
    ],
)
def test_what_cannot_be_meant_is_said_with_its_place(
    document: Wanted, state: Facts, field: str, says: str
) -> None:
    planned = planned_for(document, state)
    assert [(each.field, says in each.message) for each in planned.problems][:1] == [(field, True)]
    assert planned.changes == ()


def test_all_problems_are_said_at_once() -> None:
    document = Wanted(
        None,
        (
            outcome("A", OutcomeType.ACTION),
            outcome("B", destination=JoinOne(Named("X"))),
            outcome("C", outcome_id="x"),
        ),
    )
    fields = [each.field for each in planned_for(document, EMPTY).problems]
    assert sorted(fields) == ["outcomes[0].webhook_url", "outcomes[1].add_to", "outcomes[2].id"]


def test_a_list_under_an_outcome_that_the_document_does_not_manage_is_not_pruned() -> None:
    state = Facts((KnownList("list-0", "Kept"),), (known(0, "A", AddTo("list-0")),))
    (problem,) = planned_for(Wanted((), None), state, prune=True).problems
    assert problem.field == "smart_lists"
    assert "'Kept'" in problem.message
    assert "'A'" in problem.message


def test_an_outcome_that_keeps_what_is_no_longer_allowed_is_left_alone() -> None:
    definition = OutcomeDefinition("A", OutcomeType.ACTION, 0, Stay(), "http://localhost/")
    state = Facts((), (KnownOutcome("outcome-0", definition),))
    same = Wanted(None, (outcome("A", OutcomeType.ACTION, webhook_url="http://localhost/"),))
    assert planned_for(same, state) == Plan(unchanged=1)


def test_a_rename_keeps_the_list_and_who_points_to_it() -> None:
    state = Facts((KnownList("list-0", "Old"),), (known(0, "A", AddTo("list-0")),))
    document = Wanted((WantedList("New", was="old"),), (outcome("A", destination=JoinOne(Named("NEW"))),))
    assert planned_for(document, state).changes == (RenameList("list-0", "Old", "New"),)


def test_limits_are_those_of_the_state_that_would_be() -> None:
    full = Facts((), tuple(known(number, f"{number}") for number in range(500)))
    one_more = Wanted(None, (outcome("A"),))
    (problem,) = planned_for(one_more, full).problems
    assert problem.field == "outcomes"
    assert planned_for(one_more, full, prune=True).problems == ()
    lists = Facts(tuple(KnownList(f"list-{n}", f"{n}") for n in range(1000)), ())
    (problem,) = planned_for(Wanted((WantedList("A"),), None), lists).problems
    assert problem.field == "smart_lists"
    assert planned_for(Wanted((WantedList("A"),), None), lists, prune=True).problems == ()


def test_the_order_in_which_a_removal_names_its_lists_means_nothing() -> None:
    lists = (KnownList("list-0", "A"), KnownList("list-1", "B"))
    state = Facts(lists, (known(0, "X", RemoveFrom(("list-0", "list-1"))),))
    document = Wanted(None, (outcome("X", destination=LeaveSome((Named("B"), Named("A")))),))
    assert planned_for(document, state).changes == ()


def test_an_outcome_that_is_meant_by_its_id_is_not_meant_by_its_name_as_well() -> None:
    state = Facts((), (known(0, "A"),))
    document = Wanted(None, (outcome("B", outcome_id="outcome-0"), outcome("A")))
    replaced, created = planned_for(document, state).changes
    assert isinstance(replaced, ReplaceOutcome)
    assert (replaced.outcome_id, replaced.definition.name) == ("outcome-0", "B")
    assert isinstance(created, CreateOutcome)
    assert created.definition.name == "A"


def test_a_list_takes_the_documents_spelling() -> None:
    state = Facts((KnownList("list-0", "hot"),), ())
    assert planned_for(Wanted((WantedList("Hot"),), None), state).changes == (
        RenameList("list-0", "hot", "Hot"),
    )
