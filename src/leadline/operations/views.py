"""Rows as the public shapes that show them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from leadline.clock import iso_from_ms, iso_or_none
from leadline.domain.calls import CallState, agent_status
from leadline.domain.outcomes import AddTo, RemoveFrom, RemoveFromAll, lists_named
from leadline.store.calls import AppliedRow, CallRow, OpenCallRow
from leadline.store.contacts import ContactRow
from leadline.store.deliveries import AttemptRow, DeliveryRow
from leadline.store.endpoints import EndpointRow, Tally
from leadline.store.outcomes import OutcomeRow, destination_of
from leadline.store.replays import ReplayRow
from leadline.store.smart_lists import JoinedRow, MemberRow, MembershipRow, MoveRow, SmartListRow
from leadline.store.workspaces import WorkspaceRow
from leadline.wire.calls import Agent, Applied, AppliedDestination, Call, CallSummary, Disposition
from leadline.wire.contacts import Contact, ContactList, HistoryEntry, ListMove
from leadline.wire.deliveries import (
    Attempt,
    Delivery,
    DeliverySummary,
    EndpointHealth,
    EndpointView,
    Replay,
    Timings,
)
from leadline.wire.outcomes import DestinationView, Outcome, RemovalConfigured
from leadline.wire.smart_lists import Member, Membership, SmartList
from leadline.wire.workspaces import Workspace

_applied_destination = msgspec.json.Decoder(AppliedDestination).decode
_ids = msgspec.json.Decoder(list[str]).decode
_timings = msgspec.json.Decoder(Timings).decode


def workspace_view(row: WorkspaceRow) -> Workspace:
    return Workspace(
        subaccount_id=row.workspace_id,
        organization_id=row.organization_id,
        name=row.name,
        region=row.region,
        outcomes_enabled=bool(row.outcomes_enabled),
        require_disposition=row.require_disposition,  # type: ignore[arg-type] # CHECKed by the table
        wrap_up_timeout_seconds=row.wrap_up_timeout_seconds,
        wrap_up_timeout_outcome_id=row.wrap_up_timeout_outcome_id,
        retention_days=row.retention_days,
    )


def outcome_view(row: OutcomeRow, list_names: Mapping[str, str]) -> Outcome:
    """`list_names` holds the lists that exist: the name of one that was deleted is null."""
    return Outcome(
        outcome_id=row.outcome_id,
        outcome_name=row.outcome_name,
        outcome_type=row.outcome_type,  # type: ignore[arg-type] # CHECKed by the table
        order=row.display_order,
        destination_type=row.destination_type,  # type: ignore[arg-type] # CHECKed by the table
        destination=_destination_view(row, list_names),
        webhook_url=row.webhook_url,
        created_at=iso_from_ms(row.created_at),
        updated_at=iso_from_ms(row.updated_at),
    )


def _destination_view(row: OutcomeRow, list_names: Mapping[str, str]) -> DestinationView:
    match destination_of(row):
        case AddTo(smart_list_id):
            return DestinationView(
                destination_type="smart_list",
                destination_id=smart_list_id,
                destination_name=list_names.get(smart_list_id),
            )
        case RemoveFromAll():
            removal = RemovalConfigured(all=True)
        case RemoveFrom(smart_list_ids):
            removal = RemovalConfigured(list_ids=list(smart_list_ids))
        case _:
            return DestinationView(destination_type="none")
    return DestinationView(destination_type="remove_from_smart_list", remove_from_smart_lists=removal)


def outcome_points_to(row: OutcomeRow, smart_list_id: str) -> bool:
    return smart_list_id in lists_named(destination_of(row))


def smart_list_view(row: SmartListRow, contact_count: int) -> SmartList:
    return SmartList(
        smart_list_id=row.smart_list_id,
        smart_list_name=row.smart_list_name,
        contact_count=contact_count,
        created_at=iso_from_ms(row.created_at),
        updated_at=iso_from_ms(row.updated_at),
    )


def member_view(row: MemberRow) -> Member:
    return Member(
        contact_id=row.contact_id,
        phone_number=row.phone_number,
        name=row.name,
        since=iso_from_ms(row.since),
        source=row.source,  # type: ignore[arg-type] # CHECKed by the table
        applied_id=row.applied_id,
    )


def membership_view(row: MembershipRow) -> Membership:
    return Membership(
        smart_list_id=row.smart_list_id,
        contact_id=row.contact_id,
        since=iso_from_ms(row.since),
        source=row.source,  # type: ignore[arg-type] # CHECKed by the table
        applied_id=row.applied_id,
    )


def contact_view(row: ContactRow, joined: Iterable[JoinedRow]) -> Contact:
    return Contact(
        contact_id=row.contact_id,
        phone_number=row.phone_number,
        name=row.name,
        external_id=row.external_id,
        attributes=json.loads(row.attributes),
        smart_lists=[
            ContactList(
                smart_list_id=each.smart_list_id,
                smart_list_name=each.smart_list_name,
                since=iso_from_ms(each.since),
            )
            for each in joined
        ],
        created_at=iso_from_ms(row.created_at),
        updated_at=iso_from_ms(row.updated_at),
    )


def applied_view(row: AppliedRow) -> Applied:
    return Applied(
        applied_id=row.applied_id,
        call_id=row.call_id,
        outcome_id=row.outcome_id,
        outcome_name=row.outcome_name,
        outcome_type=row.outcome_type,  # type: ignore[arg-type] # CHECKed by the table
        agent_id=row.agent_id,
        note=row.note,
        applied_at=iso_from_ms(row.applied_at),
        destination=msgspec.structs.replace(
            _applied_destination(row.destination),
            lists_added=_ids(row.lists_added),
            lists_removed=_ids(row.lists_removed),
        ),
        error_message=row.error_message,
        delivery_id=row.delivery_id,
    )


def _call_fields(row: CallRow, disposition: AppliedRow | None) -> dict[str, Any]:
    return {
        "call_id": row.call_id,
        "state": row.state,
        "direction": row.direction,
        "phone_number": row.phone_number,
        "contact_id": row.contact_id,
        "agent_id": row.agent_id,
        "external_id": row.external_id,
        "line_result": row.line_result,
        "started_at": iso_from_ms(row.started_at),
        "answered_at": iso_or_none(row.answered_at),
        "ended_at": iso_or_none(row.ended_at),
        "disposition_required": row.state == CallState.WRAP_UP,
        "disposition": None
        if disposition is None
        else Disposition(
            outcome_id=disposition.outcome_id,
            outcome_name=disposition.outcome_name,
            applied_at=iso_from_ms(disposition.applied_at),
        ),
    }


def call_view(
    row: CallRow, applied: Sequence[AppliedRow], applied_views: Sequence[Applied] | None = None
) -> Call:
    """`applied_views` are those of `applied`, for a caller who has made them already."""
    disposition = next((each for each in applied if each.outcome_type == "disposition"), None)
    views = [applied_view(each) for each in applied] if applied_views is None else list(applied_views)
    return Call(**_call_fields(row, disposition), applied=views)


def call_summary_view(row: CallRow, disposition: AppliedRow | None) -> CallSummary:
    return CallSummary(**_call_fields(row, disposition))


def agent_view(agent_id: str, open_calls: Sequence[OpenCallRow]) -> Agent:
    states = [CallState(call.state) for call in open_calls]
    on_line = [call.call_id for call in open_calls if call.state in (CallState.RINGING, CallState.LIVE)]
    return Agent(
        agent_id=agent_id,
        status=agent_status(open_states=states).value,
        call_id=on_line[0] if on_line else None,
        pending=[call.call_id for call in open_calls if call.state == CallState.WRAP_UP],
    )


def history_of_call(row: CallRow, disposition: AppliedRow | None) -> HistoryEntry:
    return HistoryEntry(type="call", at=iso_from_ms(row.started_at), call=call_summary_view(row, disposition))


def history_of_applied(row: AppliedRow) -> HistoryEntry:
    return HistoryEntry(type="applied", at=iso_from_ms(row.applied_at), applied=applied_view(row))


def history_of_move(row: MoveRow) -> HistoryEntry:
    return HistoryEntry(
        type="list_move",
        at=iso_from_ms(row.moved_at),
        list_move=ListMove(
            smart_list_id=row.smart_list_id,
            smart_list_name=row.smart_list_name,
            direction=row.direction,  # type: ignore[arg-type] # CHECKed by the table
            source=row.source,  # type: ignore[arg-type] # CHECKed by the table
            applied_id=row.applied_id,
        ),
    )


def _delivery_fields(row: DeliveryRow) -> dict[str, Any]:
    return {
        "delivery_id": row.delivery_id,
        "state": row.state,
        "webhook_url": row.webhook_url,
        "endpoint_id": row.endpoint_id,
        "outcome_id": row.outcome_id,
        "call_id": row.call_id,
        "contact_id": row.contact_id,
        "applied_id": row.applied_id,
        "attempt_count": row.attempt_count,
        "last_status": row.last_status,
        "last_error": row.last_error,
        # While an attempt is under way its due time is the end of the lease, which says nothing to people.
        "next_attempt_at": None if row.lease_id else iso_or_none(row.due_at),
        "created_at": iso_from_ms(row.created_at),
        "finished_at": iso_or_none(row.finished_at),
    }


def delivery_summary_view(row: DeliveryRow) -> DeliverySummary:
    return DeliverySummary(**_delivery_fields(row))


def delivery_view(row: DeliveryRow, attempts: Iterable[AttemptRow]) -> Delivery:
    return Delivery(
        **_delivery_fields(row),
        payload=None if row.payload is None else msgspec.Raw(row.payload),
        attempts=[_attempt_view(each) for each in attempts],
    )


def endpoint_view(row: EndpointRow, *, backlog: int, tally: Tally, timeout_seconds: int) -> EndpointView:
    """`timeout_seconds` holds for those that have none of their own."""
    attempts = tally.succeeded_last_day + tally.failed_last_day
    return EndpointView(
        endpoint_id=row.endpoint_id,
        webhook_url=row.webhook_url,
        state=row.state,  # type: ignore[arg-type] # CHECKed by the table
        state_reason=row.state_reason,
        max_concurrency=row.max_concurrency,
        rate_limit_per_second=row.rate_limit_per_second,
        timeout_seconds=row.timeout_seconds or timeout_seconds,
        backlog=backlog,
        health=EndpointHealth(
            success_rate=round(tally.succeeded_last_day / attempts, 4) if attempts else None,
            succeeded_last_day=tally.succeeded_last_day,
            failed_last_day=tally.failed_last_day,
            succeeded_total=tally.succeeded_total,
            failed_total=tally.failed_total,
            failures_in_a_row=row.failures_in_a_row,
            failing_since=iso_or_none(row.failing_since),
            last_success_at=iso_or_none(tally.last_success_at),
            last_failure_at=iso_or_none(row.last_failure_at),
            last_failure=row.last_failure,
            next_probe_at=iso_or_none(row.probe_at),
        ),
        created_at=iso_from_ms(row.created_at),
        updated_at=iso_from_ms(row.updated_at),
    )


def replay_view(row: ReplayRow) -> Replay:
    return Replay(
        replay_id=row.replay_id,
        state=row.state,  # type: ignore[arg-type] # CHECKed by the table
        since=iso_from_ms(row.since),
        until=iso_from_ms(row.until),
        states=json.loads(row.states),
        outcome_id=row.outcome_id,
        endpoint_id=row.endpoint_id,
        matched=row.matched,
        requeued=row.requeued,
        created_at=iso_from_ms(row.created_at),
        finished_at=iso_or_none(row.finished_at),
    )


def _attempt_view(row: AttemptRow) -> Attempt:
    return Attempt(
        number=row.number,
        started_at=iso_from_ms(row.started_at),
        duration_ms=row.duration_ms,
        remote_address=row.remote_address,
        status=row.status,
        response_headers=[(name, value) for name, value in json.loads(row.response_headers)],
        response_body=row.response_body,
        error=row.error,  # type: ignore[arg-type] # CHECKed by the table
        error_detail=row.error_detail,
        timings=_timings(row.timings),
        next_attempt_at=iso_or_none(row.next_attempt_at),
    )
