"""What supervisors look at and put right: deliveries, replays, endpoints by the hour, calls of everybody."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leadline.domain.calls import LineResult
from leadline.domain.errors import CallNotFound, DeliveryNotFound, EndpointNotFound, InvalidRequest, Problem
from leadline.domain.limits import OUTCOMES_PER_WORKSPACE_MAX
from leadline.domain.outcomes import OutcomeType
from leadline.domain.paging import START, PageRequest, Position, cut_page, encode_cursor
from leadline.ids import parse_id
from leadline.operations import audit, drafts
from leadline.operations import calls as call_operations
from leadline.operations.apply_outcome import Application, apply_outcome
from leadline.operations.desk import find_contacts
from leadline.operations.endpoints import get_endpoint, list_endpoints
from leadline.operations.sessions import SignedIn
from leadline.operations.views import call_view, delivery_view, replay_view
from leadline.store import calls, deliveries, desk, endpoints, outcomes, smart_lists, workspaces
from leadline.store import replays as replay_store
from leadline.store import supervision as store
from leadline.store.calls import AppliedRow, CallRow
from leadline.store.contacts import ContactRow
from leadline.store.database import Tx
from leadline.store.deliveries import DeliveryRow
from leadline.store.desk import WebhookRow
from leadline.store.endpoints import HOUR_MS
from leadline.store.outcomes import OutcomeRow
from leadline.store.replays import ReplayRow
from leadline.store.supervision import AboutRow, OpenCallRow, OutcomeNameRow
from leadline.wire.calls import Applied, Call
from leadline.wire.deliveries import Delivery, EndpointView, Replay

HOURS_SHOWN = 24
REPLAYS_SHOWN = 25
ENDPOINTS_CHOSEN_MAX = 200
AGENTS_CHOSEN_MAX = 200
OPEN_CALLS_SHOWN = 50
# A number beyond this tells nobody more, and takes time to count.
COUNTED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class ShownDelivery:
    """A delivery, and whom and what it is about."""

    row: DeliveryRow
    about: AboutRow

    @property
    def webhook(self) -> WebhookRow:
        """The same as the desk knows it."""
        row, about = self.row, self.about
        return WebhookRow(
            delivery_id=row.delivery_id,
            state=row.state,
            due_at=row.due_at,
            lease_id=row.lease_id,
            attempt_count=row.attempt_count,
            last_status=row.last_status,
            last_error=row.last_error,
            endpoint_state=about.endpoint_state,
            duration_ms=about.duration_ms,
        )


@dataclass(frozen=True, slots=True)
class WholeDelivery:
    """A delivery with its payload and attempts. `signatures` is how many secrets sign at this moment."""

    shown: ShownDelivery
    view: Delivery
    signatures: int


async def list_shown(
    tx: Tx, workspace_id: str, page: PageRequest, filters: Mapping[str, Any]
) -> tuple[list[ShownDelivery], str | None]:
    """A page, newest first, and the cursor of the next. `filters` as of `list_deliveries`."""
    rows = await deliveries.page_of_deliveries(tx, workspace_id, page, dict(filters))
    rows, next_cursor = cut_page(rows, page, lambda row: Position(row.created_at, row.delivery_id))
    about = await store.about_deliveries(tx, workspace_id, [row.delivery_id for row in rows])
    return [ShownDelivery(row, about[row.delivery_id]) for row in rows], next_cursor


async def show_delivery(tx: Tx, workspace_id: str, delivery_id: str) -> WholeDelivery:
    """All there is to see of one. Raises DeliveryNotFound."""
    row = await deliveries.get_delivery(tx, workspace_id, delivery_id)
    if row is None:
        raise DeliveryNotFound
    about = await store.about_deliveries(tx, workspace_id, [delivery_id])
    attempts = await deliveries.attempts_of(tx, workspace_id, delivery_id)
    secrets = await workspaces.secrets(tx, workspace_id)
    return WholeDelivery(ShownDelivery(row, about[delivery_id]), delivery_view(row, attempts), len(secrets))


@dataclass(frozen=True, slots=True)
class Meant:
    """What somebody may mean by a text: a delivery or a call by its id, or contacts."""

    delivery_id: str | None = None
    call_id: str | None = None
    contacts: Sequence[ContactRow] = ()


async def find_meant(tx: Tx, user: SignedIn, text: str) -> Meant:
    """An id of either, else contacts by number or part of a name."""
    wanted = parse_id(text)
    if wanted is None:
        return Meant(contacts=await find_contacts(tx, user, text))
    if await deliveries.get_delivery(tx, user.workspace_id, wanted) is not None:
        return Meant(delivery_id=wanted)
    found = await calls.get_call(tx, user.workspace_id, wanted)
    return Meant() if found is None else Meant(call_id=wanted)


@dataclass(frozen=True, slots=True)
class Choices:
    """What lists can be filtered by: (id, name) pairs."""

    outcomes: Sequence[tuple[str, str]]
    endpoints: Sequence[tuple[str, str]]


async def filter_choices(tx: Tx, workspace_id: str) -> Choices:
    rows = await outcomes.all_outcomes(tx, workspace_id)
    page = PageRequest(ENDPOINTS_CHOSEN_MAX, START)
    urls = await endpoints.page_of_endpoints(tx, workspace_id, page)
    return Choices(
        outcomes=[(row.outcome_id, row.outcome_name) for row in rows],
        endpoints=[(row.endpoint_id, row.webhook_url) for row in urls[:ENDPOINTS_CHOSEN_MAX]],
    )


# ── Replays ──────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ShownReplay:
    """A replay and how many deliveries it has still to look at; `more`: there are more than were counted."""

    view: Replay
    left: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """How many deliveries; `more`: there are more than were counted."""

    count: int
    more: bool


async def count_replay(
    tx: Tx,
    workspace_id: str,
    *,
    since_ms: int,
    until_ms: int | None,
    states: Sequence[str],
    outcome_id: str | None,
    endpoint_id: str | None,
) -> Counted:
    """How many deliveries a replay would be about at this moment."""
    start = replay_store.position_before(since_ms)
    until = tx.now_ms + 1 if until_ms is None else min(until_ms, tx.now_ms + 1)
    found = await store.count_matching(
        tx, workspace_id, after=start, until=until, states=states, outcome_id=outcome_id,
        endpoint_id=endpoint_id, limit=COUNTED_MAX + 1,
    )  # fmt: skip
    return Counted(min(found, COUNTED_MAX), found > COUNTED_MAX)


async def list_replays(tx: Tx, workspace_id: str, page: PageRequest) -> tuple[list[ShownReplay], str | None]:
    """Newest first, and the cursor of the next page."""
    rows = await store.page_of_replays(tx, workspace_id, page.after.id, limit=page.limit + 1)
    shown = [await _shown_replay(tx, row) for row in rows[: page.limit]]
    last = rows[page.limit - 1] if len(rows) > page.limit else None
    return shown, None if last is None else encode_cursor(Position(last.created_at, last.replay_id))


async def show_replay(tx: Tx, workspace_id: str, replay_id: str) -> ShownReplay | None:
    row = await replay_store.get_replay(tx, workspace_id, replay_id)
    return None if row is None else await _shown_replay(tx, row)


async def _shown_replay(tx: Tx, row: ReplayRow) -> ShownReplay:
    if row.state != "running":
        return ShownReplay(replay_view(row))
    left = await store.count_matching(
        tx, row.workspace_id, after=Position(row.after_at, row.after_id), until=row.until,
        states=json.loads(row.states), outcome_id=row.outcome_id, endpoint_id=row.endpoint_id,
        limit=COUNTED_MAX + 1,
    )  # fmt: skip
    return ShownReplay(replay_view(row), min(left, COUNTED_MAX), left > COUNTED_MAX)


# ── Endpoints ────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Hour:
    """Attempts within one hour that begins at `at_ms`."""

    at_ms: int
    succeeded: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class ShownEndpoint:
    """An endpoint with its last 24 hours; `own_timeout_seconds` is None when it goes by the server's."""

    view: EndpointView
    hours: Sequence[Hour]
    own_timeout_seconds: int | None = None
    outcomes: Sequence[OutcomeNameRow] = ()


async def list_shown_endpoints(
    tx: Tx, workspace_id: str, page: PageRequest, *, timeout_seconds: int
) -> tuple[list[ShownEndpoint], str | None]:
    """A page of them, newest first, and the cursor of the next."""
    answer = await list_endpoints(tx, workspace_id, page, timeout_seconds=timeout_seconds)
    hours = await _hours(tx, workspace_id, [each.endpoint_id for each in answer.endpoints])
    return [ShownEndpoint(each, hours[each.endpoint_id]) for each in answer.endpoints], answer.next_cursor


async def show_endpoint(
    tx: Tx, workspace_id: str, endpoint_id: str, *, timeout_seconds: int
) -> ShownEndpoint:
    """One of them, with the outcomes that call it. Raises EndpointNotFound."""
    view = (await get_endpoint(tx, workspace_id, endpoint_id, timeout_seconds=timeout_seconds)).endpoint
    row = await endpoints.get_endpoint(tx, workspace_id, endpoint_id)
    if row is None:
        raise EndpointNotFound
    return ShownEndpoint(
        view,
        (await _hours(tx, workspace_id, [endpoint_id]))[endpoint_id],
        row.timeout_seconds,
        await store.outcomes_of_endpoint(tx, workspace_id, endpoint_id),
    )


async def _hours(tx: Tx, workspace_id: str, endpoint_ids: Sequence[str]) -> dict[str, list[Hour]]:
    """The last 24 hours of each, also those without an attempt."""
    first = tx.now_ms // HOUR_MS - HOURS_SHOWN + 1
    found = {
        endpoint_id: [Hour((first + at) * HOUR_MS) for at in range(HOURS_SHOWN)]
        for endpoint_id in endpoint_ids
    }
    for row in await store.hours_of_endpoints(tx, workspace_id, endpoint_ids, first):
        at = row.hour - first
        if at < HOURS_SHOWN:  # a clock that stepped back
            found[row.endpoint_id][at] = Hour(row.hour * HOUR_MS, row.succeeded_count, row.failed_count)
    return found


@dataclass(frozen=True, slots=True)
class ShownSecret:
    """A secret that signs at this moment, masked; `expires_at` (Unix ms) is None for the newest."""

    masked: str
    created_at: int
    expires_at: int | None


async def list_secrets(tx: Tx, workspace_id: str) -> list[ShownSecret]:
    """All that sign, the newest first."""
    found = []
    for row in await workspaces.secrets(tx, workspace_id):
        secret = tx.vault.open(row.secret, workspace_id)
        found.append(ShownSecret(f"{secret[:10]}…{secret[-4:]}", row.created_at, row.expires_at))
    return found


# ── Calls ────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ShownCall:
    """A call in a list. `waits_since_ms`: since when it owes a disposition that it does not have."""

    view: Call
    name: str | None
    waits_since_ms: int | None


@dataclass(frozen=True, slots=True)
class WholeCall:
    """A call with all that happened to it. `webhooks` are by their delivery's id."""

    row: CallRow
    view: Call
    name: str | None
    webhooks: Mapping[str, WebhookRow]
    list_names: Mapping[str, str]
    dispositions: Sequence[OutcomeRow]
    waits_since_ms: int | None
    now_ms: int

    @property
    def may_be_resolved(self) -> bool:
        """Whether somebody may say now what it achieved."""
        return self.view.ended_at is not None and self.view.disposition is None


async def list_calls(
    tx: Tx, workspace_id: str, page: PageRequest, filters: Mapping[str, Any]
) -> tuple[list[ShownCall], str | None]:
    """By their start, newest first. `filters`: state, agent_id, contact_id, since, missing."""
    rows = await calls.page_of_calls(tx, workspace_id, page, dict(filters))
    rows, next_cursor = cut_page(rows, page, lambda row: Position(row.started_at, row.call_id))
    applied = await calls.applied_to(tx, workspace_id, [row.call_id for row in rows])
    names = await store.contact_names(tx, workspace_id, [row.contact_id for row in rows if row.contact_id])
    shown = [
        ShownCall(
            call_view(row, applied[row.call_id]),
            names.get(row.contact_id or ""),
            _waits_since(row, applied[row.call_id]),
        )
        for row in rows
    ]
    return shown, next_cursor


def _waits_since(row: CallRow, applied: Sequence[AppliedRow]) -> int | None:
    has_one = any(each.outcome_type == OutcomeType.DISPOSITION for each in applied)
    return None if has_one else row.wrap_up_since


async def agent_ids(tx: Tx, workspace_id: str) -> list[str]:
    """The agents known last, by name."""
    rows = await calls.page_of_agents(tx, workspace_id, PageRequest(AGENTS_CHOSEN_MAX, START))
    return sorted(row.agent_id for row in rows[:AGENTS_CHOSEN_MAX])


async def show_call(tx: Tx, workspace_id: str, call_id: str) -> WholeCall:
    """Raises CallNotFound."""
    row = await calls.get_call(tx, workspace_id, call_id)
    if row is None:
        raise CallNotFound
    applied = (await calls.applied_to(tx, workspace_id, [call_id]))[call_id]
    names = await store.contact_names(tx, workspace_id, [row.contact_id] if row.contact_id else [])
    choices = await outcomes.all_outcomes(tx, workspace_id)
    return WholeCall(
        row=row,
        view=call_view(row, applied),
        name=names.get(row.contact_id or ""),
        webhooks=await desk.webhooks_of_call(tx, workspace_id, call_id, limit=OUTCOMES_PER_WORKSPACE_MAX),
        list_names=await smart_lists.list_names(tx, workspace_id),
        dispositions=[each for each in choices if each.outcome_type == OutcomeType.DISPOSITION],
        waits_since_ms=_waits_since(row, applied),
        now_ms=tx.now_ms,
    )


async def resolve_call(tx: Tx, workspace_id: str, call_id: str, outcome_id: str, note: str | None) -> Applied:
    """Say in the agent's place what a call achieved: the call's agent stays who it is, the audit log says who.

    Raises CallNotFound, OutcomeNotFound, CallStillLive, DispositionAlreadyApplied; InvalidRequest for an action.
    """
    outcome = await outcomes.get_outcome(tx, workspace_id, outcome_id)
    if outcome is not None and outcome.outcome_type != OutcomeType.DISPOSITION:
        raise InvalidRequest("An action does not say how a call ended.",
                             details=[Problem("outcome_id", "must be a disposition")])  # fmt: skip
    answer, is_new = await apply_outcome(tx, workspace_id, Application(call_id, outcome_id, note=note))
    if is_new:
        await drafts.forget_drafts(tx, workspace_id, call_id)
        # Not the note: it is about a person, and lives with the call.
        after = {"outcome_id": outcome_id, "outcome_name": answer.applied.outcome_name,
                 "agent_id": answer.applied.agent_id}  # fmt: skip
        await audit.record(tx, workspace_id, "call.resolved", call_id, after=after)
    return answer.applied


async def end_stuck_call(tx: Tx, workspace_id: str, call_id: str, line_result: LineResult | None) -> Call:
    """The line is down, and nobody said so. Ending a call that has ended changes nothing. Raises CallNotFound."""
    before = await calls.lock_call(tx, workspace_id, call_id)
    answer = await call_operations.end_call(
        tx, workspace_id, call_id, line_result=line_result, ended_at_ms=None
    )
    call = answer.call
    if before is not None and before.ended_at is None:
        after = {"state": call.state, "line_result": call.line_result}
        await audit.record(
            tx, workspace_id, "call.ended", call_id, before={"state": before.state}, after=after
        )
    return call


# ── Now ──────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Now:
    """What goes on at this moment; lists are cut at OPEN_CALLS_SHOWN."""

    now_ms: int
    on_line: Sequence[OpenCallRow]
    in_wrap_up: Sequence[OpenCallRow]
    troubled: Sequence[EndpointView] = field(default=())


async def load_now(tx: Tx, workspace_id: str, *, timeout_seconds: int) -> Now:
    """Who talks, who owes a disposition, and the webhooks that need somebody's eye."""
    page = PageRequest(ENDPOINTS_CHOSEN_MAX, START)
    answer = await list_endpoints(tx, workspace_id, page, timeout_seconds=timeout_seconds)
    return Now(
        now_ms=tx.now_ms,
        on_line=await store.calls_on_line(tx, workspace_id, limit=OPEN_CALLS_SHOWN),
        in_wrap_up=await store.calls_in_wrap_up(tx, workspace_id, limit=OPEN_CALLS_SHOWN),
        troubled=[each for each in answer.endpoints if _is_troubled(each)],
    )


def _is_troubled(endpoint: EndpointView) -> bool:
    return endpoint.state != "active" or endpoint.health.failures_in_a_row > 0
