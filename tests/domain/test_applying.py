from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from leadline.domain.applying import ApplyFacts, Moves, Plan, memberships_after, plan
from leadline.domain.calls import CallState, has_ended
from leadline.domain.errors import (
    CallNotLive,
    CallStillLive,
    DispositionAlreadyApplied,
    LeadlineError,
)
from leadline.domain.outcomes import (
    AddTo,
    Destination,
    OutcomeType,
    RemoveFrom,
    RemoveFromAll,
    Stay,
    lists_named,
)

lists = st.sampled_from([f"list-{number}" for number in range(6)])
list_sets = st.frozensets(lists)
destinations: st.SearchStrategy[Destination] = st.one_of(
    st.just(Stay()),
    st.builds(AddTo, lists),
    st.just(RemoveFromAll()),
    st.builds(RemoveFrom, st.lists(lists, min_size=1, unique=True).map(tuple)),
)
facts = st.builds(
    ApplyFacts,
    call_state=st.sampled_from(CallState),
    has_disposition=st.booleans(),
    outcome_type=st.sampled_from(OutcomeType),
    destination=destinations,
    has_contact=st.booleans(),
    joined=list_sets,
    existing_lists=list_sets,
    has_webhook=st.booleans(),
)


def moved(joined: frozenset[str], moves: Moves) -> frozenset[str]:
    return (joined | moves.join) - moves.leave


def wanted(destination: Destination, joined: frozenset[str]) -> frozenset[str]:
    """The lists a contact is on afterwards, in the words of § 4."""
    if isinstance(destination, AddTo):
        return joined | {destination.smart_list_id}
    if isinstance(destination, RemoveFrom):
        return frozenset(each for each in joined if each not in destination.smart_list_ids)
    return frozenset() if isinstance(destination, RemoveFromAll) else joined


def refusal(given_facts: ApplyFacts) -> type[LeadlineError] | None:
    """The refusals of § 7, in their order."""
    if given_facts.outcome_type is OutcomeType.ACTION:
        return None if given_facts.call_state is CallState.LIVE else CallNotLive
    if given_facts.call_state in (CallState.RINGING, CallState.LIVE):
        return CallStillLive
    return DispositionAlreadyApplied if given_facts.has_disposition else None


def in_turn(given_facts: ApplyFacts) -> ApplyFacts:
    """The same destination, contact and lists, at a moment when the outcome can be applied."""
    action = given_facts.outcome_type is OutcomeType.ACTION
    state = CallState.LIVE if action else CallState.WRAP_UP
    return replace(given_facts, call_state=state, has_disposition=False)


@given(destinations, list_sets)
def test_a_contact_ends_where_the_destination_wants_it(
    destination: Destination, joined: frozenset[str]
) -> None:
    assert moved(joined, memberships_after(destination, joined)) == wanted(destination, joined)


@given(destinations, list_sets)
def test_applying_again_moves_nothing_more(destination: Destination, joined: frozenset[str]) -> None:
    after = moved(joined, memberships_after(destination, joined))
    assert memberships_after(destination, after) == Moves()


@given(destinations, list_sets)
def test_only_real_moves_are_made(destination: Destination, joined: frozenset[str]) -> None:
    moves = memberships_after(destination, joined)
    assert moves.join.isdisjoint(moves.leave)
    assert moves.join.isdisjoint(joined)
    assert moves.leave <= joined


@given(list_sets)
def test_remove_from_all_leaves_no_list(joined: frozenset[str]) -> None:
    assert moved(joined, memberships_after(RemoveFromAll(), joined)) == frozenset()


@given(facts)
def test_every_situation_is_planned_or_refused_as_the_contract_says(given_facts: ApplyFacts) -> None:
    expected = refusal(given_facts)
    if expected is not None:
        with pytest.raises(LeadlineError) as refused:
            plan(given_facts)
        assert type(refused.value) is expected
        return
    planned = plan(given_facts)
    assert planned.sends_webhook is given_facts.has_webhook
    assert planned.moves.join.isdisjoint(planned.moves.leave)


@pytest.mark.parametrize(
    ("call_state", "has_disposition", "outcome_type"),
    list(product(CallState, [False, True], OutcomeType)),
)
def test_whose_turn_it_is_depends_on_state_type_and_disposition_alone(
    call_state: CallState, has_disposition: bool, outcome_type: OutcomeType
) -> None:
    given_facts = ApplyFacts(
        call_state, has_disposition, outcome_type, Stay(), True, frozenset(), frozenset(), False
    )
    expected = refusal(given_facts)
    if expected is None:
        closes = outcome_type is OutcomeType.DISPOSITION
        state = CallState.CLOSED if closes else call_state
        assert plan(given_facts) == Plan(Moves(), "", state, sends_webhook=False)
    else:
        with pytest.raises(expected):
            plan(given_facts)


@given(facts.map(in_turn))
def test_a_disposition_closes_the_call_and_an_action_leaves_it(given_facts: ApplyFacts) -> None:
    state = plan(given_facts).call_state
    if given_facts.outcome_type is OutcomeType.DISPOSITION:
        assert state is CallState.CLOSED
    else:
        assert state is given_facts.call_state
        assert not has_ended(state)


@given(facts.map(in_turn))
def test_a_destination_that_fails_says_so_and_stops_nothing_else(given_facts: ApplyFacts) -> None:
    planned = plan(given_facts)
    missing = [
        each
        for each in lists_named(given_facts.destination)
        if each not in given_facts.existing_lists and not isinstance(given_facts.destination, Stay)
    ]
    no_contact = not given_facts.has_contact and not isinstance(given_facts.destination, Stay)
    assert bool(planned.error_message) == bool(missing or no_contact)
    assert planned.sends_webhook is given_facts.has_webhook
    if no_contact:
        assert planned.moves == Moves()
    elif missing:
        assert all(each in planned.error_message for each in missing)


@given(facts.map(in_turn))
def test_what_of_a_removal_can_be_done_is_done(given_facts: ApplyFacts) -> None:
    destination = given_facts.destination
    if given_facts.has_contact and isinstance(destination, RemoveFrom | RemoveFromAll):
        planned = plan(given_facts)
        assert moved(given_facts.joined, planned.moves) == wanted(destination, given_facts.joined)


@given(facts.map(in_turn))
def test_nobody_joins_a_list_that_does_not_exist(given_facts: ApplyFacts) -> None:
    assert plan(given_facts).moves.join <= given_facts.existing_lists
