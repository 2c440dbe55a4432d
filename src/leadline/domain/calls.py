"""The life of a call: `ringing → live → wrap_up → closed` (contract § 7). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leadline.domain.errors import CallNotLive


class CallState(StrEnum):
    RINGING = "ringing"
    LIVE = "live"
    WRAP_UP = "wrap_up"
    CLOSED = "closed"


class Direction(StrEnum):
    OUTBOUND = "outbound"
    INBOUND = "inbound"


class LineResult(StrEnum):
    """How the line ended. Never mixed with an outcome, which says what the call achieved."""

    COMPLETED = "completed"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    VOICEMAIL = "voicemail"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


class RequireDisposition(StrEnum):
    ANSWERED = "answered"
    ALWAYS = "always"
    NEVER = "never"


class AgentStatus(StrEnum):
    AVAILABLE = "available"
    ON_CALL = "on_call"
    WRAP_UP = "wrap_up"


# Every legal move. Ending a call that rings skips what needs an answer; nothing ever goes back.
MOVES: dict[CallState, frozenset[CallState]] = {
    CallState.RINGING: frozenset({CallState.LIVE, CallState.WRAP_UP, CallState.CLOSED}),
    CallState.LIVE: frozenset({CallState.WRAP_UP, CallState.CLOSED}),
    CallState.WRAP_UP: frozenset({CallState.CLOSED}),
    CallState.CLOSED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class EndingFacts:
    """What decides where an ending call goes."""

    state: CallState
    has_agent: bool
    workspace_has_dispositions: bool
    require: RequireDisposition
    outcomes_enabled: bool = True


@dataclass(frozen=True, slots=True)
class Ending:
    """Where it goes and how the line ended."""

    state: CallState
    line_result: LineResult


def has_ended(state: CallState) -> bool:
    """Whether the line is down."""
    return state in (CallState.WRAP_UP, CallState.CLOSED)


def state_after_answer(state: CallState) -> CallState:
    """Answering twice is answering once; a call that has ended cannot be answered."""
    if has_ended(state):
        raise CallNotLive("The call has ended.")
    return CallState.LIVE


def ending(facts: EndingFacts, line_result: LineResult | None) -> Ending:
    """How a ringing or live call ends. Without a word from the line, a live one ends `completed`."""
    assert not has_ended(facts.state)
    was_live = facts.state is CallState.LIVE
    result = line_result or (LineResult.COMPLETED if was_live else LineResult.NO_ANSWER)
    state = CallState.WRAP_UP if disposition_required(facts) else CallState.CLOSED
    return Ending(state, result)


def disposition_required(facts: EndingFacts) -> bool:
    """Whether somebody must say what the call achieved. Who cannot apply an outcome is not asked for one."""
    if not (facts.has_agent and facts.workspace_has_dispositions and facts.outcomes_enabled):
        return False
    match facts.require:
        case RequireDisposition.NEVER:
            return False
        case RequireDisposition.ALWAYS:
            return True
        case RequireDisposition.ANSWERED:
            return facts.state is CallState.LIVE


def agent_status(*, open_states: list[CallState]) -> AgentStatus:
    """What an agent does, by the states of the calls that are not closed."""
    if CallState.RINGING in open_states or CallState.LIVE in open_states:
        return AgentStatus.ON_CALL
    return AgentStatus.WRAP_UP if CallState.WRAP_UP in open_states else AgentStatus.AVAILABLE
