"""Apply an outcome to a call: the fact, the moves and the delivery in one commit (contract § 5 and § 7)."""

from __future__ import annotations

import json
from dataclasses import dataclass

import msgspec

from leadline.domain.applying import ApplyFacts, Moves, Plan, plan
from leadline.domain.calls import CallState
from leadline.domain.errors import CallNotFound, FeatureDisabled, OutcomeNotFound
from leadline.domain.outcomes import Destination, OutcomeType, Stay, lists_named
from leadline.domain.webhooks import Event, EventCall, EventOutcome, Scope, destination_json, payload
from leadline.ids import new_id
from leadline.operations.calls import close_call
from leadline.operations.deliveries import NewDelivery, make_delivery
from leadline.operations.events import emit_applied
from leadline.operations.views import applied_view, call_view
from leadline.store import calls as store
from leadline.store import outcomes, smart_lists, workspaces
from leadline.store.calls import AppliedRow, CallRow
from leadline.store.database import Tx
from leadline.store.outcomes import OutcomeRow, destination_of
from leadline.store.smart_lists import MembershipRow, MoveRow
from leadline.store.workspaces import WorkspaceRow
from leadline.wire.calls import AppliedAnswer, DryRunAnswer


@dataclass(frozen=True, slots=True)
class Application:
    """What is asked for: this outcome, on this call, by this agent (the call's when None)."""

    call_id: str
    outcome_id: str
    agent_id: str | None = None
    note: str | None = None


async def apply_outcome(tx: Tx, workspace_id: str, application: Application) -> tuple[AppliedAnswer, bool]:
    """Apply it; the answer and whether that happened now.

    The same outcome on the same call again answers with the first application: nothing moves, nothing is sent.
    Raises CallNotFound, OutcomeNotFound, FeatureDisabled, CallNotLive, CallStillLive, DispositionAlreadyApplied.
    """
    scene = await _scene(tx, workspace_id, application)
    if scene.first is not None:
        return await _answer(tx, scene.call, scene.first), False
    assert scene.outcome is not None
    decided = plan(await _facts(tx, scene.call, scene.outcome))
    applied = _applied_row(tx, scene.call, scene.outcome, application, decided)
    await store.insert_applied(tx, applied)
    await _move(tx, applied, decided.moves)
    if applied.delivery_id is not None:
        await _insert_delivery(tx, scene, applied, applied.delivery_id)
    call = scene.call
    await emit_applied(tx, applied)
    if decided.call_state is not CallState(call.state):
        call = await close_call(tx, call)
    return await _answer(tx, call, applied), True


async def preview_outcome(tx: Tx, workspace_id: str, application: Application) -> DryRunAnswer:
    """What `apply_outcome` would answer, or the refusal that would come; changes nothing."""
    scene = await _scene(tx, workspace_id, application)
    if scene.first is not None:
        answer = await _answer(tx, scene.call, scene.first)
        return DryRunAnswer(applied=answer.applied, call=answer.call)
    assert scene.outcome is not None
    decided = plan(await _facts(tx, scene.call, scene.outcome))
    applied = _applied_row(tx, scene.call, scene.outcome, application, decided)
    call = msgspec.structs.replace(scene.call, state=decided.call_state.value)
    shown = (await store.applied_to(tx, workspace_id, [call.call_id]))[call.call_id]
    view = msgspec.structs.replace(applied_view(applied), applied_id=None, delivery_id=None)
    would_be = call_view(call, [*shown, applied])
    would_be = msgspec.structs.replace(would_be, applied=[*would_be.applied[:-1], view])
    return DryRunAnswer(applied=view, call=would_be)


@dataclass(frozen=True, slots=True)
class _Scene:
    workspace: WorkspaceRow
    call: CallRow
    first: AppliedRow | None
    outcome: OutcomeRow | None


async def _scene(tx: Tx, workspace_id: str, application: Application) -> _Scene:
    workspace = await workspaces.get_workspace(tx, workspace_id)
    if workspace is None or not workspace.outcomes_enabled:
        raise FeatureDisabled
    call = await store.lock_call(tx, workspace_id, application.call_id)
    if call is None:
        raise CallNotFound
    first = await store.find_applied(tx, workspace_id, application.call_id, application.outcome_id)
    if first is not None:
        return _Scene(workspace, call, first, None)
    outcome = await outcomes.get_outcome(tx, workspace_id, application.outcome_id)
    if outcome is None:
        raise OutcomeNotFound
    return _Scene(workspace, call, None, outcome)


async def _facts(tx: Tx, call: CallRow, outcome: OutcomeRow) -> ApplyFacts:
    destination = destination_of(outcome)
    joined: frozenset[str] = frozenset()
    existing: frozenset[str] = frozenset()
    if destination_moves(destination) and call.contact_id is not None:
        joined = await smart_lists.joined_lists(tx, call.workspace_id, call.contact_id)
        named = lists_named(destination)
        if named:
            existing = frozenset(await smart_lists.names_of_lists(tx, call.workspace_id, named))
    return ApplyFacts(
        call_state=CallState(call.state),
        has_disposition=bool(await store.dispositions_of(tx, call.workspace_id, [call.call_id]))
        if outcome.outcome_type == OutcomeType.DISPOSITION
        else False,
        outcome_type=OutcomeType(outcome.outcome_type),
        destination=destination,
        has_contact=call.contact_id is not None,
        joined=joined,
        existing_lists=existing,
        has_webhook=outcome.webhook_url is not None,
    )


def destination_moves(destination: Destination) -> bool:
    """Whether it can move anybody at all."""
    return not isinstance(destination, Stay)


def _applied_row(
    tx: Tx, call: CallRow, outcome: OutcomeRow, application: Application, decided: Plan
) -> AppliedRow:
    return AppliedRow(
        workspace_id=call.workspace_id,
        applied_id=new_id(),
        call_id=call.call_id,
        contact_id=call.contact_id,
        outcome_id=outcome.outcome_id,
        outcome_name=outcome.outcome_name,
        outcome_type=outcome.outcome_type,
        agent_id=application.agent_id or call.agent_id,
        note=application.note,
        destination=json.dumps(destination_json(destination_of(outcome))),
        lists_added=json.dumps(sorted(decided.moves.join)),
        lists_removed=json.dumps(sorted(decided.moves.leave)),
        error_message=decided.error_message,
        delivery_id=new_id() if decided.sends_webhook else None,
        applied_at=tx.now_ms,
    )


async def _move(tx: Tx, applied: AppliedRow, moves: Moves) -> None:
    if not moves.join and not moves.leave:
        return
    assert applied.contact_id is not None  # without a contact nobody is moved
    for smart_list_id in sorted(moves.join):
        membership = MembershipRow(
            workspace_id=applied.workspace_id,
            smart_list_id=smart_list_id,
            contact_id=applied.contact_id,
            since=tx.now_ms,
            source="applied",
            applied_id=applied.applied_id,
        )
        await smart_lists.join_list(tx, membership)
    for smart_list_id in sorted(moves.leave):
        await smart_lists.leave_list(tx, applied.workspace_id, smart_list_id, applied.contact_id)
    names = await smart_lists.names_of_lists(tx, applied.workspace_id, moves.join | moves.leave)
    await smart_lists.insert_moves(tx, _move_rows(applied, applied.contact_id, moves, names))


def _move_rows(applied: AppliedRow, contact_id: str, moves: Moves, names: dict[str, str]) -> list[MoveRow]:
    return [
        MoveRow(
            workspace_id=applied.workspace_id,
            move_id=new_id(),
            contact_id=contact_id,
            smart_list_id=smart_list_id,
            smart_list_name=names.get(smart_list_id, ""),
            direction=direction,
            source="applied",
            applied_id=applied.applied_id,
            moved_at=applied.applied_at,
        )
        for direction, lists in (("joined", moves.join), ("left", moves.leave))
        for smart_list_id in sorted(lists)
    ]


async def _insert_delivery(tx: Tx, scene: _Scene, applied: AppliedRow, delivery_id: str) -> None:
    outcome = scene.outcome
    assert outcome is not None
    assert outcome.webhook_url is not None
    assert outcome.endpoint_id is not None  # CHECK endpoint
    await make_delivery(
        tx,
        applied.workspace_id,
        NewDelivery(
            delivery_id=delivery_id,
            endpoint_id=outcome.endpoint_id,
            webhook_url=outcome.webhook_url,
            payload=_payload(scene, outcome, applied),
            applied_id=applied.applied_id,
            outcome_id=outcome.outcome_id,
            call_id=applied.call_id,
            contact_id=applied.contact_id,
        ),
    )


def _payload(scene: _Scene, outcome: OutcomeRow, applied: AppliedRow) -> str:
    return payload(
        Event(
            error_message=applied.error_message,
            timestamp=applied.applied_at,
            scope=Scope(
                subaccount_id=scene.workspace.workspace_id,
                organization_id=scene.workspace.organization_id,
            ),
            outcome=EventOutcome(
                outcome_id=outcome.outcome_id,
                outcome_name=outcome.outcome_name,
                outcome_type=outcome.outcome_type,
            ),
            call=EventCall(
                call_id=scene.call.call_id,
                phone_number=scene.call.phone_number,
                contact_id=scene.call.contact_id,
            ),
            destination=destination_json(destination_of(outcome)),
        )
    )


async def _answer(tx: Tx, call: CallRow, applied: AppliedRow) -> AppliedAnswer:
    everything = await store.applied_to(tx, call.workspace_id, [call.call_id])
    return AppliedAnswer(applied=applied_view(applied), call=call_view(call, everything[call.call_id]))
