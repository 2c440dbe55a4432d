"""Calls, applying, agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from leadline.clock import ms_from_datetime
from leadline.domain.access import Principal, Scope
from leadline.domain.calls import CallState, LineResult
from leadline.domain.errors import (
    AgentNotFound,
    CallNotFound,
    CallNotLive,
    CallStillLive,
    ContactNotFound,
    DispositionAlreadyApplied,
    DispositionRequired,
    LeadlineError,
    OutcomeNotFound,
    Problem,
)
from leadline.domain.limits import EXTERNAL_ID_CHARACTERS_MAX
from leadline.domain.paging import START_OF_TEXT, page_request
from leadline.domain.text import name_problem, note_problem
from leadline.operations import calls as operations
from leadline.operations.apply_outcome import Application, Applying, apply_outcomes, preview_outcome
from leadline.operations.calls import NewCall
from leadline.store.database import Tx
from leadline.web.api.contacts import number_problems
from leadline.web.table import BodyUse, Context, KeyUse, Operation, Reply, Request, optional
from leadline.wire.calls import (
    AgentAnswer,
    AgentsAnswer,
    AppliedAnswer,
    ApplyBody,
    ApplyQuery,
    CallAnswer,
    CallBody,
    CallEnd,
    CallsAnswer,
    CallsQuery,
    DryRunAnswer,
    Nothing,
)
from leadline.wire.common import Page

_TAG = "Calls"
_AGENTS = "Agents"
_CALLS = "/phone-system/calls"
_CALL = "/phone-system/calls/{call_id}"


def _start_rules(fields: Mapping[str, Any], principal: Principal, _context: Context) -> list[Problem]:
    problems = number_problems(fields, principal)
    if "phone_number" in fields and "contact_id" in fields:
        given = [name for name in ("phone_number", "contact_id") if fields[name] is not None]
        if len(given) != 1:
            problems.append(Problem("phone_number", "give exactly one of phone_number and contact_id"))
    external_id = fields.get("external_id")
    if external_id is not None and (wrong := name_problem(external_id, EXTERNAL_ID_CHARACTERS_MAX)):
        problems.append(Problem("external_id", wrong))
    return problems + _agent_problems(fields)


def apply_rules(fields: Mapping[str, Any], _principal: Principal, _context: Context) -> list[Problem]:
    """What is wrong with an application beyond its types."""
    note = fields.get("note")
    wrong = None if note is None else note_problem(note)
    return ([Problem("note", wrong)] if wrong else []) + _agent_problems(fields)


def _agent_problems(fields: Mapping[str, Any]) -> list[Problem]:
    agent_id = fields.get("agent_id")
    wrong = None if agent_id is None else name_problem(agent_id, 128)
    return [Problem("agent_id", wrong)] if wrong else []


async def _start(tx: Tx, request: Request) -> Reply:
    body = request.body
    new = NewCall(
        phone_number=body.phone_number,
        contact_id=optional(body.contact_id),
        agent_id=body.agent_id,
        direction=body.direction or "outbound",
        external_id=body.external_id,
        state=CallState(body.state or "live"),
        started_at_ms=None if body.started_at is None else ms_from_datetime(body.started_at),
    )
    answer, is_new = await operations.start_call(tx, request.workspace_id, new)
    return Reply(answer, status=201 if is_new else 200)


async def _list(tx: Tx, request: Request) -> Reply:
    query = request.query
    filters = {
        "state": query.state,
        "agent_id": query.agent_id,
        "contact_id": optional(query.contact_id),
        "since": None if query.since is None else ms_from_datetime(query.since),
    }
    given = {name: value for name, value in filters.items() if value is not None}
    page = page_request(query.limit, query.cursor)
    return Reply(await operations.list_calls(tx, request.workspace_id, page, given))


async def _get(tx: Tx, request: Request) -> Reply:
    return Reply(await operations.get_call(tx, request.workspace_id, request.path["call_id"]))


async def _answer(tx: Tx, request: Request) -> Reply:
    return Reply(await operations.answer_call(tx, request.workspace_id, request.path["call_id"]))


async def _end(tx: Tx, request: Request) -> Reply:
    body = request.body
    return Reply(
        await operations.end_call(
            tx,
            request.workspace_id,
            request.path["call_id"],
            line_result=None if body.line_result is None else LineResult(body.line_result),
            ended_at_ms=None if body.ended_at is None else ms_from_datetime(body.ended_at),
        )
    )


async def _apply_together(tx: Tx, requests: Sequence[Request]) -> list[Reply | LeadlineError]:
    previews = [await _preview(tx, each) if each.query.dry_run else None for each in requests]
    asked = [each for each in requests if not each.query.dry_run]
    applications = [_application(each) for each in asked]
    applied = iter(await apply_outcomes(tx, asked[0].workspace_id, applications) if applications else ())
    return [_applied_reply(next(applied)) if preview is None else preview for preview in previews]


def _application(request: Request) -> Application:
    return Application(
        call_id=request.path["call_id"],
        outcome_id=str(request.body.outcome_id),
        agent_id=request.body.agent_id,
        note=request.body.note,
    )


async def _preview(tx: Tx, request: Request) -> Reply | LeadlineError:
    try:
        return Reply(await preview_outcome(tx, request.workspace_id, _application(request)), status=200)
    except LeadlineError as refused:
        return refused


def _applied_reply(applied: Applying | LeadlineError) -> Reply | LeadlineError:
    if isinstance(applied, LeadlineError):
        return applied
    answer, is_new = applied
    return Reply(answer, status=201 if is_new else 200)


async def _list_agents(tx: Tx, request: Request) -> Reply:
    page = page_request(request.query.limit, request.query.cursor, start=START_OF_TEXT)
    return Reply(await operations.list_agents(tx, request.workspace_id, page))


async def _get_agent(tx: Tx, request: Request) -> Reply:
    return Reply(await operations.get_agent(tx, request.workspace_id, request.path["agent_id"]))


OPERATIONS = (
    Operation(
        name="start_call",
        method="POST",
        path=_CALLS,
        scope=Scope.CALLS_WRITE,
        tag=_TAG,
        summary="Start a call",
        description="An unknown number makes a contact. A known `external_id` answers with the call that has it.",
        handler=_start,
        answers={200: CallAnswer, 201: CallAnswer},
        body=CallBody,
        body_use=BodyUse.REQUIRED,
        rules=_start_rules,
        errors=(ContactNotFound, DispositionRequired),
        example={"phone_number": "+15555550100", "agent_id": "ada", "external_id": "pbx-81723"},
    ),
    Operation(
        name="list_calls",
        method="GET",
        path=_CALLS,
        scope=Scope.CALLS_READ,
        tag=_TAG,
        summary="List calls",
        description="By their start, newest first.",
        handler=_list,
        writes=False,
        key_use=KeyUse.NONE,
        query=CallsQuery,
        answers={200: CallsAnswer},
    ),
    Operation(
        name="get_call",
        method="GET",
        path=_CALL,
        scope=Scope.CALLS_READ,
        tag=_TAG,
        summary="Get a call",
        handler=_get,
        writes=False,
        key_use=KeyUse.NONE,
        answers={200: CallAnswer},
        errors=(CallNotFound,),
    ),
    Operation(
        name="answer_call",
        method="POST",
        path=f"{_CALL}/answer",
        scope=Scope.CALLS_WRITE,
        tag=_TAG,
        summary="A call is answered",
        handler=_answer,
        answers={200: CallAnswer},
        body=Nothing,
        body_use=BodyUse.OPTIONAL,
        errors=(CallNotFound, CallNotLive),
    ),
    Operation(
        name="end_call",
        method="POST",
        path=f"{_CALL}/end",
        scope=Scope.CALLS_WRITE,
        tag=_TAG,
        summary="A call has ended",
        description="Goes to `wrap_up` when a disposition is required, else to `closed`.",
        handler=_end,
        answers={200: CallAnswer},
        body=CallEnd,
        body_use=BodyUse.OPTIONAL,
        errors=(CallNotFound,),
        example={"line_result": "completed"},
    ),
    Operation(
        name="apply_outcome",
        method="POST",
        path=f"{_CALL}/outcomes",
        scope=Scope.CALLS_WRITE,
        tag=_TAG,
        summary="Apply an outcome to a call",
        description="The same outcome on the same call again answers 200 with the first application.",
        handler_together=_apply_together,
        answers={200: AppliedAnswer | DryRunAnswer, 201: AppliedAnswer},  # type: ignore[dict-item]
        query=ApplyQuery,
        body=ApplyBody,
        body_use=BodyUse.REQUIRED,
        rules=apply_rules,
        needs_outcomes=True,
        errors=(CallNotFound, OutcomeNotFound, CallNotLive, CallStillLive, DispositionAlreadyApplied),
        example={"outcome_id": "00000000-0000-4000-8000-000000000001", "note": "Wants the blue one."},
    ),
    Operation(
        name="list_agents",
        method="GET",
        path="/phone-system/agents",
        scope=Scope.CALLS_READ,
        tag=_AGENTS,
        summary="List agents",
        handler=_list_agents,
        writes=False,
        key_use=KeyUse.NONE,
        query=Page,
        answers={200: AgentsAnswer},
    ),
    Operation(
        name="get_agent",
        method="GET",
        path="/phone-system/agents/{agent_id}",
        scope=Scope.CALLS_READ,
        tag=_AGENTS,
        summary="Get an agent",
        handler=_get_agent,
        writes=False,
        key_use=KeyUse.NONE,
        answers={200: AgentAnswer},
        errors=(AgentNotFound,),
    ),
)
