"""Calls of everybody: what goes on, what is missing, and a supervisor's way to put it right."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leadline.clock import iso_from_ms
from leadline.domain.access import Permission
from leadline.domain.calls import CallState, LineResult
from leadline.domain.contacts import displayed_number
from leadline.domain.errors import LeadlineError, Problem
from leadline.domain.limits import AGENT_ID_CHARACTERS_MAX, NOTE_CHARACTERS_MAX
from leadline.operations import supervision
from leadline.operations.supervision import Meant, ShownCall, WholeCall
from leadline.store.database import Tx
from leadline.web.api.calls import apply_rules
from leadline.web.console.forms import checked, invalid
from leadline.web.console.pages.choosing import PERIODS, ids_of, since_of, url_of
from leadline.web.console.pages.choosing import state_of as state_named
from leadline.web.console.pages.desk import LINE_RESULTS, STATES, Webhook, moves_of, state_of
from leadline.web.console.table import Flash, Gone, Reply, Shown, Visit, act, show
from leadline.wire.calls import Applied, ApplyBody, Call

PATH = "/calls"
_ONE = f"{PATH}/{{call_id}}"
# Who looks for what is missing looks at this stretch, unless he chooses another: older ones are history.
MISSING_PERIOD, MISSING_MS = "month", 30 * 86_400_000
_PERIODS = tuple(each for each in PERIODS if each[0] != "custom")


async def _list(tx: Tx, visit: Visit) -> Reply:
    meant = await supervision.find_meant(tx, visit.user, visit.query.text("q"))
    if meant.call_id is not None:
        return Gone(f"{PATH}/{meant.call_id}")
    calls: list[ShownCall] = []
    next_cursor, wrong = None, ""
    try:
        filters = _filters(visit, tx.now_ms, meant)
        if filters is not None:
            calls, next_cursor = await supervision.list_calls(tx, visit.workspace_id, visit.page(), filters)
    except LeadlineError as refused:
        wrong = "; ".join(f"{each.field} {each.message}" for each in refused.details) or refused.message
    missing = visit.query.flag("missing")
    values = {
        "calls": calls,
        "next_cursor": next_cursor,
        "wrong": wrong,
        "meant": meant,
        "name_of": name_of,
        "state_options": [("", "Any state"), *((each.value, label) for each, label in STATES.items())],
        "states": STATES,
        "line_results": LINE_RESULTS,
        "periods": _PERIODS,
        "period": visit.query.text("period") or (MISSING_PERIOD if missing else ""),
        "agents": await supervision.agent_ids(tx, visit.workspace_id),
        "missing": missing,
        "url_of": lambda **changes: url_of(visit, **changes),
        "is_filtered": bool(visit.query),
        "talked": _talked_ms,
    }
    return Shown("calls.html", values)


def name_of(view: Call, name: str | None) -> str:
    """Whom a call is with: by his name, else his number."""
    if name:
        return name
    return "Erased contact" if view.phone_number is None else displayed_number(view.phone_number)


def _talked_ms(view: Call) -> int | None:
    """How long the line was up."""
    if view.answered_at is None or view.ended_at is None:
        return None
    took = datetime.fromisoformat(view.ended_at) - datetime.fromisoformat(view.answered_at)
    return round(took.total_seconds() * 1000)


def _filters(visit: Visit, now_ms: int, meant: Meant) -> dict[str, Any] | None:
    """Of the store; None when what was searched for is nobody."""
    query = visit.query
    found: dict[str, Any] = state_named(query, tuple(CallState)) | ids_of(query, "contact_id")
    if agent_id := query.text("agent_id"):
        found["agent_id"] = agent_id[:AGENT_ID_CHARACTERS_MAX]
    if query.text("q"):
        if len(meant.contacts) != 1:
            return None
        found["contact_id"] = meant.contacts[0].contact_id
    since = since_of(query, now_ms)
    if query.flag("missing"):
        found |= {"missing": 1, "since": now_ms - MISSING_MS}
    return found if since is None else found | {"since": since}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to a call."""

    at: str
    what: str
    about: str = ""
    kind: str = "plain"
    applied: Applied | None = None
    webhook: Webhook | None = None
    moves: tuple[str, ...] = ()


async def _show(tx: Tx, visit: Visit) -> Reply:
    whole = await supervision.show_call(tx, visit.workspace_id, visit.parameters["call_id"])
    values = {
        "whole": whole,
        "name": name_of(whole.view, whole.name),
        "moments": moments_of(whole),
        "states": STATES,
        "line_results": LINE_RESULTS,
        "note_max": NOTE_CHARACTERS_MAX,
        "talked": _talked_ms,
        "path": f"{PATH}/{whole.view.call_id}",
    }
    return Shown("call.html", values)


def moments_of(whole: WholeCall) -> list[Moment]:
    """All that happened, in its order."""
    row, view = whole.row, whole.view
    found = [
        Moment(view.started_at, "Began", f"{view.direction}{f', {view.agent_id}' if view.agent_id else ''}")
    ]
    if view.answered_at:
        found.append(Moment(view.answered_at, "Answered", kind="good"))
    if view.ended_at:
        found.append(
            Moment(view.ended_at, "Ended", LINE_RESULTS[LineResult(view.line_result or "unknown")].lower())
        )
    if row.wrap_up_since is not None:
        found.append(
            Moment(
                iso_from_ms(row.wrap_up_since),
                "Waits for its disposition" if row.state == CallState.WRAP_UP else "Wrap-up began",
                kind="warn",
            )
        )
    found += [_applied(whole, each) for each in view.applied]
    if row.closed_at is not None:
        found.append(
            Moment(iso_from_ms(row.closed_at), "Closed", "" if view.disposition else "without a disposition")
        )
    # What comes at the same moment stays as it is here.
    return sorted(found, key=lambda each: each.at)


def _applied(whole: WholeCall, applied: Applied) -> Moment:
    webhook = whole.webhooks.get(applied.delivery_id or "")
    by = f"by {applied.agent_id}" if applied.agent_id else ""
    return Moment(
        at=applied.applied_at,
        what=applied.outcome_name,
        about=" ".join(part for part in (applied.outcome_type, by) if part),
        kind="accent",
        applied=applied,
        webhook=None if webhook is None else state_of(webhook),
        moves=tuple(moves_of(applied, whole.list_names)),
    )


async def _resolve(tx: Tx, visit: Visit) -> Reply:
    if not visit.form.text("outcome_id"):
        raise invalid(Problem("outcome_id", "choose how it ended"))
    sent = {"outcome_id": visit.form.text("outcome_id"), "note": visit.form.optional("note")}
    body = checked(ApplyBody, sent, rules=apply_rules, principal=visit.principal, context=visit.context)
    call_id = visit.parameters["call_id"]
    applied = await supervision.resolve_call(tx, visit.workspace_id, call_id, str(body.outcome_id), body.note)
    wrong = f" But: {applied.error_message}" if applied.error_message else ""
    return Gone(f"{PATH}/{call_id}", Flash(f"Finished as “{applied.outcome_name}”.{wrong}"))


async def _end(tx: Tx, visit: Visit) -> Reply:
    text, call_id = visit.form.text("line_result"), visit.parameters["call_id"]
    if text and text not in tuple(LineResult):
        raise invalid(Problem("line_result", "is none of the choices"))
    call = await supervision.end_stuck_call(
        tx, visit.workspace_id, call_id, LineResult(text) if text else None
    )
    said = (
        "The call has ended; it waits for its disposition."
        if call.disposition_required
        else "The call has ended."
    )
    return Gone(f"{PATH}/{call_id}", Flash(said))


PAGES = (
    show(PATH, Permission.CALLS, _list, long=True),
    show(_ONE, Permission.CALLS, _show),
    act(f"{_ONE}/resolve", Permission.CALLS, _resolve, again=_show),
    act(f"{_ONE}/end", Permission.CALLS, _end, again=_show),
)
