"""Apply outcomes to calls: the facts, the moves and the deliveries in one commit (contract § 5 and § 7).

Many at a time: what is asked at the same moment is loaded together, decided one after the other in memory, and
written together. A statement costs more than a row, so sixty-four applications cost little more than a few.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from leadline.domain.applying import ApplyFacts, Moves, Plan, plan
from leadline.domain.calls import CallState
from leadline.domain.errors import CallNotFound, FeatureDisabled, LeadlineError, OutcomeNotFound
from leadline.domain.outcomes import Destination, OutcomeType, Stay, lists_named
from leadline.domain.webhooks import Event, EventCall, EventOutcome, Scope, destination_json, payload
from leadline.ids import new_id
from leadline.operations.calls import closed
from leadline.operations.deliveries import NewDelivery, make_deliveries
from leadline.operations.events import EventType, NewEvent, applied_event, call_event, emit
from leadline.operations.views import applied_view, call_view
from leadline.store import calls as store
from leadline.store import outcomes, smart_lists, workspaces
from leadline.store.calls import AppliedRow, CallRow
from leadline.store.database import Conflict, Tx
from leadline.store.outcomes import OutcomeRow, destination_of
from leadline.store.smart_lists import LeavingRow, MembershipRow, MoveRow
from leadline.store.workspaces import WorkspaceRow
from leadline.wire.calls import AppliedAnswer, DryRunAnswer


class Application(msgspec.Struct, frozen=True):
    """What is asked for: this outcome, on this call, by this agent (the call's when None)."""

    call_id: str
    outcome_id: str
    agent_id: str | None = None
    note: str | None = None


Applying = tuple[AppliedAnswer, bool]
_encode = msgspec.json.Encoder().encode


async def apply_outcome(tx: Tx, workspace_id: str, application: Application) -> Applying:
    """Apply it; the answer and whether that happened now.

    The same outcome on the same call again answers with the first application: nothing moves, nothing is sent.
    Raises CallNotFound, OutcomeNotFound, FeatureDisabled, CallNotLive, CallStillLive, DispositionAlreadyApplied.
    """
    (answer,) = await apply_outcomes(tx, workspace_id, [application])
    if isinstance(answer, LeadlineError):
        raise answer
    return answer


async def apply_outcomes(
    tx: Tx, workspace_id: str, applications: Sequence[Application]
) -> list[Applying | LeadlineError]:
    """`apply_outcome` for each, in their order; one that is refused changes nothing and harms no other."""
    scene = await _load(tx, workspace_id, applications)
    answers: list[Applying | LeadlineError] = []
    for application in applications:
        try:
            answers.append(scene.apply(application))
        except LeadlineError as refused:
            answers.append(refused)
    await _write(tx, scene)
    return answers


async def preview_outcome(tx: Tx, workspace_id: str, application: Application) -> DryRunAnswer:
    """What `apply_outcome` would answer, or the refusal that would come; changes nothing."""
    scene = await _load(tx, workspace_id, [application])
    answer, is_new = scene.apply(application)
    if not is_new:
        return DryRunAnswer(applied=answer.applied, call=answer.call)
    applied = msgspec.structs.replace(answer.applied, applied_id=None, delivery_id=None)
    call = msgspec.structs.replace(answer.call, applied=[*answer.call.applied[:-1], applied])
    return DryRunAnswer(applied=applied, call=call)


class _Choice(msgspec.Struct, frozen=True):
    """An outcome, and what every application of it carries on."""

    row: OutcomeRow
    type: OutcomeType
    destination: Destination
    destination_json: dict[str, Any]
    destination_text: str
    about: EventOutcome


def _choice(row: OutcomeRow) -> _Choice:
    destination = destination_of(row)
    carried = destination_json(destination)
    return _Choice(
        row=row,
        type=OutcomeType(row.outcome_type),
        destination=destination,
        destination_json=carried,
        destination_text=_encode(carried).decode(),
        about=EventOutcome(
            outcome_id=row.outcome_id, outcome_name=row.outcome_name, outcome_type=row.outcome_type
        ),
    )


@dataclass(slots=True)
class _Scene:
    """The facts that some applications meet, kept up to date by each for the next, and what is to be written."""

    now_ms: int
    workspace: WorkspaceRow | None
    calls: dict[str, CallRow] = field(default_factory=dict)
    applied: dict[str, list[AppliedRow]] = field(default_factory=dict)
    outcomes: dict[str, _Choice] = field(default_factory=dict)
    # Per contact: the lists he is on now, and those he was on when we began.
    joined: dict[str, set[str]] = field(default_factory=dict)
    joined_before: dict[str, frozenset[str]] = field(default_factory=dict)
    list_names: dict[str, str] = field(default_factory=dict)

    new_applied: list[AppliedRow] = field(default_factory=list)
    memberships: dict[tuple[str, str], MembershipRow] = field(default_factory=dict)
    leavings: dict[tuple[str, str], LeavingRow] = field(default_factory=dict)
    moves: list[MoveRow] = field(default_factory=list)
    deliveries: list[NewDelivery] = field(default_factory=list)
    closed_calls: list[CallRow] = field(default_factory=list)
    events: list[NewEvent] = field(default_factory=list)

    def apply(self, application: Application) -> Applying:
        """Decide one, and take note of all that it changes."""
        if self.workspace is None or not self.workspace.outcomes_enabled:
            raise FeatureDisabled
        call = self.calls.get(application.call_id)
        if call is None:
            raise CallNotFound
        for first in self.applied[call.call_id]:
            if first.outcome_id == application.outcome_id:
                return self._answer(call, first), False
        outcome = self.outcomes.get(application.outcome_id)
        if outcome is None:
            raise OutcomeNotFound
        decided = plan(self._facts(call, outcome))
        applied = self._applied_row(call, outcome, application, decided)
        self._note(call, outcome, applied, decided)
        return self._answer(self.calls[call.call_id], applied), True

    def _facts(self, call: CallRow, outcome: _Choice) -> ApplyFacts:
        moves = destination_moves(outcome.destination) and call.contact_id is not None
        return ApplyFacts(
            call_state=CallState(call.state),
            has_disposition=any(
                each.outcome_type == OutcomeType.DISPOSITION for each in self.applied[call.call_id]
            ),
            outcome_type=outcome.type,
            destination=outcome.destination,
            has_contact=call.contact_id is not None,
            joined=frozenset(self.joined[call.contact_id]) if moves and call.contact_id else frozenset(),
            existing_lists=self.list_names.keys(),
            has_webhook=outcome.row.webhook_url is not None,
        )

    def _applied_row(
        self,
        call: CallRow,
        outcome: _Choice,
        application: Application,
        decided: Plan,
    ) -> AppliedRow:
        return AppliedRow(
            workspace_id=call.workspace_id,
            applied_id=new_id(),
            call_id=call.call_id,
            contact_id=call.contact_id,
            outcome_id=outcome.row.outcome_id,
            outcome_name=outcome.row.outcome_name,
            outcome_type=outcome.row.outcome_type,
            agent_id=application.agent_id or call.agent_id,
            note=application.note,
            destination=outcome.destination_text,
            lists_added=_encode(sorted(decided.moves.join)).decode(),
            lists_removed=_encode(sorted(decided.moves.leave)).decode(),
            error_message=decided.error_message,
            delivery_id=new_id() if decided.sends_webhook else None,
            applied_at=self.now_ms,
        )

    def _note(self, call: CallRow, outcome: _Choice, applied: AppliedRow, decided: Plan) -> None:
        self.applied[call.call_id].append(applied)
        self.new_applied.append(applied)
        self.events.append(applied_event(applied))
        self._move(applied, decided.moves)
        if applied.delivery_id is not None:
            self.deliveries.append(self._delivery(call, outcome, applied, applied.delivery_id))
        if decided.call_state is not CallState(call.state):
            call = closed(call, self.now_ms)
            self.calls[call.call_id] = call
            self.closed_calls.append(call)
            self.events.append(call_event(EventType.CALL_CLOSED, call))

    def _move(self, applied: AppliedRow, moves: Moves) -> None:
        if not moves.join and not moves.leave:
            return
        contact_id = applied.contact_id
        assert contact_id is not None  # without a contact nobody is moved
        for smart_list_id in sorted(moves.join):
            self.memberships[smart_list_id, contact_id] = MembershipRow(
                workspace_id=applied.workspace_id,
                smart_list_id=smart_list_id,
                contact_id=contact_id,
                since=self.now_ms,
                source="applied",
                applied_id=applied.applied_id,
            )
        for smart_list_id in sorted(moves.leave):
            # One that was joined a moment ago and is not written yet simply is not.
            self.memberships.pop((smart_list_id, contact_id), None)
            if smart_list_id in self.joined_before[contact_id]:
                self.leavings[smart_list_id, contact_id] = LeavingRow(
                    applied.workspace_id, smart_list_id, contact_id
                )
        self.joined[contact_id] = (self.joined[contact_id] | moves.join) - moves.leave
        self.moves += _move_rows(applied, contact_id, moves, self.list_names)

    def _delivery(
        self,
        call: CallRow,
        outcome: _Choice,
        applied: AppliedRow,
        delivery_id: str,
    ) -> NewDelivery:
        assert self.workspace is not None
        row = outcome.row
        assert row.webhook_url is not None
        assert row.endpoint_id is not None  # CHECK endpoint
        return NewDelivery(
            delivery_id=delivery_id,
            endpoint_id=row.endpoint_id,
            webhook_url=row.webhook_url,
            payload=_payload(self.workspace, call, outcome, applied),
            applied_id=applied.applied_id,
            outcome_id=row.outcome_id,
            call_id=applied.call_id,
            contact_id=applied.contact_id,
        )

    def _answer(self, call: CallRow, applied: AppliedRow) -> AppliedAnswer:
        views = [applied_view(each) for each in self.applied[call.call_id]]
        own = next(each for each in views if each.applied_id == applied.applied_id)
        return AppliedAnswer(applied=own, call=call_view(call, self.applied[call.call_id], views))


async def _load(tx: Tx, workspace_id: str, applications: Sequence[Application]) -> _Scene:
    """All that these applications meet, under the locks of their calls."""
    workspace = await workspaces.get_workspace(tx, workspace_id)
    scene = _Scene(tx.now_ms, workspace)
    if workspace is None or not workspace.outcomes_enabled:
        return scene
    call_ids = _distinct(each.call_id for each in applications)
    scene.calls = await store.lock_calls(tx, workspace_id, call_ids)
    if not scene.calls:
        return scene
    scene.applied = await store.applied_to(tx, workspace_id, list(scene.calls))
    outcome_ids = _distinct(each.outcome_id for each in applications)
    found = await outcomes.get_outcomes(tx, workspace_id, outcome_ids)
    scene.outcomes = {outcome_id: _choice(row) for outcome_id, row in found.items()}
    await _load_lists(tx, scene, applications)
    return scene


async def _load_lists(tx: Tx, scene: _Scene, applications: Sequence[Application]) -> None:
    """The memberships of everybody who may be moved, and the names of all lists in question."""
    contact_ids: dict[str, None] = {}
    named: set[str] = set()
    for application in applications:
        call = scene.calls.get(application.call_id)
        outcome = scene.outcomes.get(application.outcome_id)
        if call is None or call.contact_id is None or outcome is None:
            continue
        if destination_moves(outcome.destination):
            contact_ids[call.contact_id] = None
            named.update(lists_named(outcome.destination))
    if not contact_ids:
        return
    assert scene.workspace is not None
    workspace_id = scene.workspace.workspace_id
    scene.joined = await smart_lists.joined_lists(tx, workspace_id, list(contact_ids))
    scene.joined_before = {contact_id: frozenset(lists) for contact_id, lists in scene.joined.items()}
    named.update(*scene.joined.values())
    scene.list_names = await smart_lists.names_of_lists(tx, workspace_id, named)


async def _write(tx: Tx, scene: _Scene) -> None:
    if not scene.new_applied:
        return
    assert scene.workspace is not None
    workspace_id = scene.workspace.workspace_id
    await store.insert_applied(tx, scene.new_applied)
    # In one order everywhere, so that two processes never wait for each other.
    left = await smart_lists.leave_lists(tx, [scene.leavings[each] for each in sorted(scene.leavings)])
    joined = await smart_lists.join_lists(tx, [scene.memberships[each] for each in sorted(scene.memberships)])
    if left != len(scene.leavings) or joined != len(scene.memberships):
        # Only on PostgreSQL, where calls are locked and contacts are not. It is decided again on what there is now.
        raise Conflict("somebody else moved the contact at the same moment")
    await smart_lists.insert_moves(tx, scene.moves)
    await make_deliveries(tx, workspace_id, scene.deliveries)
    await store.update_calls(tx, scene.closed_calls)
    await emit(tx, workspace_id, scene.events)


def _distinct(ids: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(ids))


def destination_moves(destination: Destination) -> bool:
    """Whether it can move anybody at all."""
    return not isinstance(destination, Stay)


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


def _payload(workspace: WorkspaceRow, call: CallRow, outcome: _Choice, applied: AppliedRow) -> str:
    return payload(
        Event(
            error_message=applied.error_message,
            timestamp=applied.applied_at,
            scope=Scope(subaccount_id=workspace.workspace_id, organization_id=workspace.organization_id),
            outcome=outcome.about,
            call=EventCall(call_id=call.call_id, phone_number=call.phone_number, contact_id=call.contact_id),
            destination=outcome.destination_json,
        )
    )
