"""Calls, applying, agents."""

from __future__ import annotations

from typing import Literal

from leadline.client.models import Agent, AppliedOutcome, Call, Page
from leadline.client.requests.described import (
    Id,
    PageRequest,
    Reply,
    Request,
    When,
    decoded,
    given,
    parameters,
    path,
)
from leadline.wire.calls import (
    AgentAnswer,
    AgentsAnswer,
    CallAnswer,
    CallsAnswer,
    CallStateName,
    DirectionName,
    LineResultName,
)


def start_call(
    *,
    phone_number: str | None = None,
    contact_id: Id | None = None,
    agent_id: str | None = None,
    direction: DirectionName | None = None,
    external_id: str | None = None,
    state: Literal["ringing", "live"] | None = None,
    started_at: When | None = None,
    idempotency_key: str | None = None,
) -> Request[Call]:
    """A call begins, with exactly one of `phone_number` and `contact_id`.

    A known `external_id` answers the call that has it. Raises DispositionRequired with the `call_id` that the
    agent must classify first.
    """
    return Request(
        operation="start_call",
        method="POST",
        path=path("/calls"),
        read=_call,
        body=given(
            phone_number=phone_number,
            contact_id=contact_id,
            agent_id=agent_id,
            direction=direction,
            external_id=external_id,
            state=state,
            started_at=started_at,
        ),
        idempotency_key=idempotency_key,
    )


def list_calls(
    *,
    state: CallStateName | None = None,
    agent_id: str | None = None,
    contact_id: Id | None = None,
    since: When | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> PageRequest[Call]:
    """Calls by their start, newest first; `since` is inclusive."""
    return PageRequest(
        operation="list_calls",
        method="GET",
        path=path("/calls"),
        read=_calls,
        query=parameters(
            state=state, agent_id=agent_id, contact_id=contact_id, since=since, limit=limit, cursor=cursor
        ),
    )


def get_call(call_id: Id) -> Request[Call]:
    """One call, with what was applied to it."""
    return Request(operation="get_call", method="GET", path=path("/calls/{}", call_id), read=_call)


def answer_call(call_id: Id, *, idempotency_key: str | None = None) -> Request[Call]:
    """A ringing call is live."""
    return Request(
        operation="answer_call",
        method="POST",
        path=path("/calls/{}/answer", call_id),
        read=_call,
        idempotency_key=idempotency_key,
    )


def end_call(
    call_id: Id,
    *,
    line_result: LineResultName | None = None,
    ended_at: When | None = None,
    idempotency_key: str | None = None,
) -> Request[Call]:
    """The line is down: the call goes to `wrap_up` when a disposition is required, else to `closed`."""
    return Request(
        operation="end_call",
        method="POST",
        path=path("/calls/{}/end", call_id),
        read=_call,
        body=given(line_result=line_result, ended_at=ended_at),
        idempotency_key=idempotency_key,
    )


def apply_outcome(
    call_id: Id,
    *,
    outcome_id: Id,
    agent_id: str | None = None,
    note: str | None = None,
    dry_run: bool | None = None,
    idempotency_key: str | None = None,
) -> Request[AppliedOutcome]:
    """Apply an outcome to a call; the same again answers the first application.

    With `dry_run`, what would happen or the refusal that would come; nothing changes.
    """
    return Request(
        operation="apply_outcome",
        method="POST",
        path=path("/calls/{}/outcomes", call_id),
        read=lambda reply: decoded(reply, AppliedOutcome),
        query=parameters(dry_run=dry_run),
        body=given(outcome_id=outcome_id, agent_id=agent_id, note=note),
        idempotency_key=idempotency_key,
    )


def list_agents(*, limit: int | None = None, cursor: str | None = None) -> PageRequest[Agent]:
    """The agents that calls have named, by their id."""
    return PageRequest(
        operation="list_agents",
        method="GET",
        path=path("/agents"),
        read=_agents,
        query=parameters(limit=limit, cursor=cursor),
    )


def get_agent(agent_id: str) -> Request[Agent]:
    """What an agent does, and which calls wait for a disposition."""
    return Request(
        operation="get_agent",
        method="GET",
        path=path("/agents/{}", agent_id),
        read=lambda reply: decoded(reply, AgentAnswer).agent,
    )


def _call(reply: Reply) -> Call:
    return decoded(reply, CallAnswer).call


def _calls(reply: Reply) -> Page[Call]:
    answer = decoded(reply, CallsAnswer)
    return Page(tuple(answer.calls), answer.next_cursor)


def _agents(reply: Reply) -> Page[Agent]:
    answer = decoded(reply, AgentsAnswer)
    return Page(tuple(answer.agents), answer.next_cursor)
