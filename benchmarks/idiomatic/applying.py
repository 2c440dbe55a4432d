"""Applying an outcome to a call: the rules, through the ORM, inside the request's transaction."""

from __future__ import annotations

import json
from typing import Any

from fastapi import HTTPException
from sqlalchemy import BigInteger, ColumnElement, Text, cast, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.idiomatic import schemas
from benchmarks.idiomatic.database import now_ms
from benchmarks.idiomatic.models import (
    AppliedOutcome,
    Call,
    Delivery,
    Event,
    ListMove,
    Membership,
    Outcome,
    SmartList,
    Workspace,
)
from leadline.ids import new_id

ENDED = ("wrap_up", "closed")


async def apply_outcome(
    session: AsyncSession, workspace: Workspace, call_id: str, body: schemas.ApplyBody
) -> tuple[schemas.AppliedAnswer, int]:
    """Apply it; the answer and its status. The same outcome on the same call again answers the first."""
    call = await session.get(Call, (workspace.workspace_id, call_id), with_for_update={"key_share": True})
    if call is None:
        raise HTTPException(404, "Call not found.")
    before = await _applied_to(session, call)
    first = next((each for each in before if each.outcome_id == str(body.outcome_id)), None)
    if first is not None:
        return _answer(call, first, before), 200
    outcome = await session.get(Outcome, (workspace.workspace_id, str(body.outcome_id)))
    if outcome is None:
        raise HTTPException(404, "Outcome not found.")
    _refuse_out_of_turn(call, outcome, before)
    applied = await _record(session, workspace, call, outcome, body)
    return _answer(call, applied, [*before, applied]), 201


async def _applied_to(session: AsyncSession, call: Call) -> list[AppliedOutcome]:
    found = await session.scalars(
        select(AppliedOutcome)
        .where(AppliedOutcome.workspace_id == call.workspace_id, AppliedOutcome.call_id == call.call_id)
        .order_by(AppliedOutcome.applied_at, AppliedOutcome.applied_id)
    )
    return list(found)


def _refuse_out_of_turn(call: Call, outcome: Outcome, before: list[AppliedOutcome]) -> None:
    if outcome.outcome_type == "action":
        if call.state != "live":
            raise HTTPException(409, "An action is applied while the call is live.")
        return
    if call.state not in ENDED:
        raise HTTPException(409, "A disposition is applied after the call has ended.")
    if any(each.outcome_type == "disposition" for each in before):
        raise HTTPException(409, "This call has its disposition.")


async def _record(
    session: AsyncSession, workspace: Workspace, call: Call, outcome: Outcome, body: schemas.ApplyBody
) -> AppliedOutcome:
    """The fact, the moves, the delivery and the events, all at one time."""
    at_ms = now_ms()
    added, removed, error_message = await _moves(session, call, outcome)
    applied = AppliedOutcome(
        workspace_id=call.workspace_id,
        applied_id=new_id(),
        call_id=call.call_id,
        contact_id=call.contact_id,
        outcome_id=outcome.outcome_id,
        outcome_name=outcome.outcome_name,
        outcome_type=outcome.outcome_type,
        agent_id=body.agent_id or call.agent_id,
        note=body.note,
        destination=_compact(_destination(outcome)),
        lists_added=_compact(sorted(added)),
        lists_removed=_compact(sorted(removed)),
        error_message=error_message,
        delivery_id=new_id() if outcome.webhook_url else None,
        applied_at=at_ms,
    )
    session.add(applied)
    await _move(session, applied, added, removed)
    if outcome.webhook_url:
        session.add(_delivery(workspace, call, outcome, applied))
    session.add(_event(session, applied, "outcome.applied", _applied_data(applied)))
    if outcome.outcome_type == "disposition":
        _close(session, call, applied)
    return applied


async def _moves(
    session: AsyncSession, call: Call, outcome: Outcome
) -> tuple[dict[str, str], dict[str, str], str]:
    """The lists that the contact joins and leaves (id → name), and what is wrong with the destination."""
    if outcome.destination_type == "none":
        return {}, {}, ""
    if call.contact_id is None:
        return {}, {}, "The contact of this call no longer exists."
    joined = await _lists(
        session,
        select(SmartList)
        .join(
            Membership,
            (Membership.workspace_id == SmartList.workspace_id)
            & (Membership.smart_list_id == SmartList.smart_list_id),
        )
        .where(Membership.workspace_id == call.workspace_id, Membership.contact_id == call.contact_id),
    )
    if outcome.destination_type == "smart_list":
        target = await session.get(SmartList, (call.workspace_id, outcome.destination_id))
        if target is None:
            return {}, {}, f"Smart List {outcome.destination_id} no longer exists."
        if target.smart_list_id in joined:
            return {}, {}, ""
        return {target.smart_list_id: target.smart_list_name}, {}, ""
    if outcome.remove_list_ids is None:
        return {}, joined, ""
    named = json.loads(outcome.remove_list_ids)
    existing = await _lists(
        session,
        select(SmartList).where(
            SmartList.workspace_id == call.workspace_id, SmartList.smart_list_id.in_(named)
        ),
    )
    gone = ", ".join(each for each in named if each not in existing)
    leaving = {each: name for each, name in joined.items() if each in named}
    return {}, leaving, f"Smart List {gone} no longer exists." if gone else ""


async def _lists(session: AsyncSession, query: Any) -> dict[str, str]:
    return {each.smart_list_id: each.smart_list_name for each in await session.scalars(query)}


async def _move(
    session: AsyncSession, applied: AppliedOutcome, added: dict[str, str], removed: dict[str, str]
) -> None:
    for smart_list_id in added:
        session.add(
            Membership(
                workspace_id=applied.workspace_id,
                smart_list_id=smart_list_id,
                contact_id=applied.contact_id,
                since=applied.applied_at,
                source="applied",
                applied_id=applied.applied_id,
            )
        )
    if removed:
        await session.execute(
            delete(Membership).where(
                Membership.workspace_id == applied.workspace_id,
                Membership.contact_id == applied.contact_id,
                Membership.smart_list_id.in_(removed),
            )
        )
    for direction, lists in (("joined", added), ("left", removed)):
        for smart_list_id, name in lists.items():
            session.add(_list_move(applied, smart_list_id, name, direction))


def _list_move(applied: AppliedOutcome, smart_list_id: str, name: str, direction: str) -> ListMove:
    return ListMove(
        workspace_id=applied.workspace_id,
        move_id=new_id(),
        contact_id=applied.contact_id,
        smart_list_id=smart_list_id,
        smart_list_name=name,
        direction=direction,
        source="applied",
        applied_id=applied.applied_id,
        moved_at=applied.applied_at,
    )


def _delivery(workspace: Workspace, call: Call, outcome: Outcome, applied: AppliedOutcome) -> Delivery:
    return Delivery(
        workspace_id=call.workspace_id,
        delivery_id=applied.delivery_id,
        endpoint_id=outcome.endpoint_id,
        applied_id=applied.applied_id,
        outcome_id=outcome.outcome_id,
        call_id=call.call_id,
        contact_id=call.contact_id,
        webhook_url=outcome.webhook_url,
        payload=_payload(workspace, call, outcome, applied),
        state="pending",
        due_at=applied.applied_at,
        attempt_count=0,
        schedule_step=0,
        created_at=applied.applied_at,
    )


def _payload(workspace: Workspace, call: Call, outcome: Outcome, applied: AppliedOutcome) -> str:
    return schemas.Webhook(
        error_message=applied.error_message,
        timestamp=applied.applied_at,
        scope=schemas.WebhookScope(
            subaccount_id=workspace.workspace_id, organization_id=workspace.organization_id
        ),
        outcome=schemas.WebhookOutcome(
            outcome_id=outcome.outcome_id,
            outcome_name=outcome.outcome_name,
            outcome_type=outcome.outcome_type,
        ),
        call=schemas.WebhookCall(
            call_id=call.call_id, phone_number=call.phone_number, contact_id=call.contact_id
        ),
        destination=_destination(outcome),
    ).model_dump_json()


def _event(session: AsyncSession, applied: AppliedOutcome, name: str, data: dict[str, Any]) -> Event:
    return Event(
        workspace_id=applied.workspace_id,
        commit_order=_commit_order(session, applied.workspace_id),
        event_id=new_id(),
        type=name,
        data=_compact(data),
        contact_id=applied.contact_id,
        at=applied.applied_at,
    )


def _commit_order(session: AsyncSession, workspace_id: str) -> ColumnElement[int]:
    """What orders events by their commits, as Leadline does it on each engine."""
    if session.get_bind().dialect.name == "postgresql":
        return cast(cast(func.pg_current_xact_id(), Text), BigInteger)
    newest = func.coalesce(func.max(Event.commit_order), 0) + 1
    return select(newest).where(Event.workspace_id == workspace_id).scalar_subquery()


def _applied_data(applied: AppliedOutcome) -> dict[str, Any]:
    names = ("applied_id", "call_id", "outcome_id", "outcome_name", "outcome_type", "agent_id", "contact_id",
             "delivery_id", "error_message")  # fmt: skip
    return {name: getattr(applied, name) for name in names}


def _close(session: AsyncSession, call: Call, applied: AppliedOutcome) -> None:
    """A disposition closes the call, unless that has happened."""
    if call.state == "closed":
        return
    call.state = "closed"
    call.closed_at = applied.applied_at
    data = {
        "call_id": call.call_id,
        "state": call.state,
        "direction": call.direction,
        "agent_id": call.agent_id,
        "contact_id": call.contact_id,
        "line_result": call.line_result,
        "disposition_required": False,
    }
    session.add(_event(session, applied, "call.closed", data))


def _destination(outcome: Outcome) -> dict[str, Any]:
    match outcome.destination_type:
        case "smart_list":
            return {"destination_type": "smart_list", "destination_id": outcome.destination_id}
        case "remove_from_smart_list":
            named = outcome.remove_list_ids
            removal = {"all": True} if named is None else {"list_ids": json.loads(named)}
            return {"destination_type": "remove_from_smart_list", "remove_from_smart_lists": removal}
        case _:
            return {"destination_type": "none"}


def _answer(call: Call, applied: AppliedOutcome, everything: list[AppliedOutcome]) -> schemas.AppliedAnswer:
    disposition = next((each for each in everything if each.outcome_type == "disposition"), None)
    return schemas.AppliedAnswer(
        applied=_applied_view(applied),
        call=schemas.Call(
            call_id=call.call_id,
            state=call.state,
            direction=call.direction,
            phone_number=call.phone_number,
            contact_id=call.contact_id,
            agent_id=call.agent_id,
            external_id=call.external_id,
            line_result=call.line_result,
            started_at=schemas.iso_time(call.started_at),
            answered_at=_iso_or_none(call.answered_at),
            ended_at=_iso_or_none(call.ended_at),
            disposition_required=call.state == "wrap_up",
            disposition=None
            if disposition is None
            else schemas.Disposition(
                outcome_id=disposition.outcome_id,
                outcome_name=disposition.outcome_name,
                applied_at=schemas.iso_time(disposition.applied_at),
            ),
            applied=[_applied_view(each) for each in everything],
        ),
    )


def _applied_view(applied: AppliedOutcome) -> schemas.Applied:
    return schemas.Applied(
        applied_id=applied.applied_id,
        call_id=applied.call_id,
        outcome_id=applied.outcome_id,
        outcome_name=applied.outcome_name,
        outcome_type=applied.outcome_type,
        agent_id=applied.agent_id,
        note=applied.note,
        applied_at=schemas.iso_time(applied.applied_at),
        destination={
            **json.loads(applied.destination),
            "lists_added": json.loads(applied.lists_added),
            "lists_removed": json.loads(applied.lists_removed),
        },
        error_message=applied.error_message,
        delivery_id=applied.delivery_id,
    )


def _iso_or_none(at_ms: int | None) -> str | None:
    return None if at_ms is None else schemas.iso_time(at_ms)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
