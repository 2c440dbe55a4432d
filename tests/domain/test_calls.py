from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.domain.calls import (
    MOVES,
    AgentStatus,
    CallState,
    Ending,
    EndingFacts,
    LineResult,
    RequireDisposition,
    agent_status,
    disposition_required,
    ending,
    has_ended,
    state_after_answer,
)
from leadline.domain.errors import CallNotLive

RUNNING = (CallState.RINGING, CallState.LIVE)
flags = st.booleans()
endings = st.builds(
    EndingFacts,
    state=st.sampled_from(RUNNING),
    has_agent=flags,
    workspace_has_dispositions=flags,
    require=st.sampled_from(RequireDisposition),
    outcomes_enabled=flags,
)


def after_end(state: CallState, facts: EndingFacts) -> CallState:
    """What the operation does: ending twice is ending once."""
    if has_ended(state):
        return state
    running = EndingFacts(
        state, facts.has_agent, facts.workspace_has_dispositions, facts.require, facts.outcomes_enabled
    )
    return ending(running, None).state


@given(st.lists(st.sampled_from(["answer", "end", "dispose"]), max_size=8), endings)
def test_no_sequence_of_events_leaves_the_legal_moves(events: list[str], facts: EndingFacts) -> None:
    state = facts.state
    for event in events:
        before = state
        if event == "answer" and not has_ended(state):
            state = state_after_answer(state)
        elif event == "end":
            state = after_end(state, facts)
        elif event == "dispose" and has_ended(state):
            state = CallState.CLOSED
        assert state == before or state in MOVES[before]


def test_the_moves_name_every_state_and_lead_back_to_none() -> None:
    rank = {state: number for number, state in enumerate(CallState)}
    assert set(MOVES) == set(CallState)
    assert all(rank[after] > rank[before] for before, afters in MOVES.items() for after in afters)
    assert MOVES[CallState.CLOSED] == frozenset()


@pytest.mark.parametrize("state", RUNNING)
def test_answering_twice_is_answering_once(state: CallState) -> None:
    assert state_after_answer(state_after_answer(state)) is state_after_answer(state) is CallState.LIVE


@pytest.mark.parametrize("state", [CallState.WRAP_UP, CallState.CLOSED])
def test_a_call_that_has_ended_is_not_answered(state: CallState) -> None:
    with pytest.raises(CallNotLive):
        state_after_answer(state)


@given(endings)
def test_ending_twice_is_ending_once(facts: EndingFacts) -> None:
    once = after_end(facts.state, facts)
    assert after_end(once, facts) is once


@given(endings, st.none() | st.sampled_from(LineResult))
def test_an_ended_call_is_in_wrap_up_exactly_when_a_disposition_is_required(
    facts: EndingFacts, line_result: LineResult | None
) -> None:
    ended = ending(facts, line_result)
    assert has_ended(ended.state)
    assert (ended.state is CallState.WRAP_UP) == disposition_required(facts)


@given(endings, st.sampled_from(LineResult))
def test_what_the_line_says_is_kept(facts: EndingFacts, line_result: LineResult) -> None:
    assert ending(facts, line_result).line_result is line_result


@pytest.mark.parametrize(
    ("state", "line_result"),
    [(CallState.LIVE, LineResult.COMPLETED), (CallState.RINGING, LineResult.NO_ANSWER)],
)
def test_without_a_word_from_the_line_the_state_says_how_it_ended(
    state: CallState, line_result: LineResult
) -> None:
    facts = EndingFacts(state, has_agent=False, workspace_has_dispositions=False, require=NEVER)
    assert ending(facts, None) == Ending(CallState.CLOSED, line_result)


NEVER = RequireDisposition.NEVER
# § 7, written out: with a disposition outcome and an agent, and outcomes switched on.
REQUIRED = {
    (RequireDisposition.ANSWERED, CallState.LIVE),
    (RequireDisposition.ALWAYS, CallState.LIVE),
    (RequireDisposition.ALWAYS, CallState.RINGING),
}


@pytest.mark.parametrize(
    ("require", "state", "has_agent", "has_dispositions", "enabled"),
    list(product(RequireDisposition, RUNNING, [False, True], [False, True], [False, True])),
)
def test_a_disposition_is_required_exactly_as_the_table_says(
    require: RequireDisposition, state: CallState, has_agent: bool, has_dispositions: bool, enabled: bool
) -> None:
    facts = EndingFacts(state, has_agent, has_dispositions, require, enabled)
    wanted = has_agent and has_dispositions and enabled and (require, state) in REQUIRED
    assert disposition_required(facts) is wanted


@given(st.lists(st.sampled_from(CallState)))
def test_a_line_that_is_up_outweighs_a_wrap_up(states: list[CallState]) -> None:
    open_states: list[CallState] = [state for state in states if state is not CallState.CLOSED]
    if any(state in RUNNING for state in open_states):
        wanted = AgentStatus.ON_CALL
    else:
        wanted = AgentStatus.WRAP_UP if open_states else AgentStatus.AVAILABLE
    assert agent_status(open_states=open_states) is wanted
