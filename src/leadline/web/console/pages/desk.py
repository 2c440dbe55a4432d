"""The agent's desk: the call he is in, what he does with it, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from leadline.clock import iso_from_ms
from leadline.domain.access import Permission
from leadline.domain.calls import CallState, Direction, LineResult
from leadline.domain.contacts import displayed_number
from leadline.domain.deliveries import DeliveryState
from leadline.domain.endpoints import EndpointState
from leadline.domain.errors import Problem
from leadline.domain.limits import NOTE_CHARACTERS_MAX
from leadline.domain.outcomes import AddTo, RemoveFrom, RemoveFromAll
from leadline.domain.text import note_problem
from leadline.ids import new_id, parse_id
from leadline.operations import desk, drafts
from leadline.operations.apply_outcome import Application
from leadline.operations.desk import Desk, Fate, TestCall
from leadline.store.database import Tx
from leadline.store.desk import LineRow, WebhookRow
from leadline.store.outcomes import OutcomeRow, destination_of
from leadline.web.api.calls import apply_rules
from leadline.web.console.forms import checked, invalid
from leadline.web.console.table import Data, Flash, Gone, Reply, Shown, Visit, act, show
from leadline.wire.calls import Applied, ApplyBody

_PATH = "/desk"
_CALL = f"{_PATH}/calls/{{call_id}}"
LINE_RESULTS = {
    LineResult.COMPLETED: "Completed",
    LineResult.NO_ANSWER: "No answer",
    LineResult.BUSY: "Busy",
    LineResult.VOICEMAIL: "Voicemail",
    LineResult.FAILED: "Failed",
    LineResult.CANCELED: "Canceled",
    LineResult.UNKNOWN: "Unknown",
}
STATES = {
    CallState.RINGING: "Ringing",
    CallState.LIVE: "On call",
    CallState.WRAP_UP: "Wrap-up",
    CallState.CLOSED: "Closed",
}
KEYS = "1234567890"


@dataclass(frozen=True, slots=True)
class Choice:
    """An outcome as a button: what it does besides its name, and the key for it, if one is left."""

    outcome_id: str
    name: str
    effects: tuple[str, ...]
    key: str
    empties: bool


@dataclass(frozen=True, slots=True)
class Webhook:
    """How a delivery stands, in a few characters; `retry_at` is when it is tried again."""

    text: str
    kind: str
    retry_at: str | None = None
    about: str = ""


async def _show(tx: Tx, visit: Visit) -> Reply:
    if visit.user.agent_id is None:
        return Shown("desk-nobody.html")
    loaded = await desk.load_desk(tx, visit.user, visit.parameters.get("call_id"))
    found = await desk.find_contacts(tx, visit.user, visit.form.text("whom")) if visit.refusal else []
    values = {
        "desk": loaded,
        "actions": _choices(loaded.actions, loaded),
        "dispositions": _choices(loaded.dispositions, loaded),
        "webhook_of": lambda applied: _webhook(loaded, applied),
        "effects_of": lambda applied: moves_of(applied, loaded.list_names),
        "name_of": name_of,
        "sending": any(row.state == DeliveryState.PENDING for row in _webhook_rows(loaded)),
        "states": STATES,
        "line_results": LINE_RESULTS,
        "found": found,
        "test_key": new_id(),
        "path": _path_of(visit),
        "note_max": NOTE_CHARACTERS_MAX,
    }
    return Shown("desk.html", values)


def _path_of(visit: Visit) -> str:
    """Where the same is shown again: a form's own address cannot be looked at."""
    call_id = visit.parameters.get("call_id")
    return _PATH if call_id is None else f"{_PATH}/calls/{call_id}"


def name_of(line: LineRow) -> str:
    """Whom a call is with: by his name, else his number."""
    if line.contact_name:
        return line.contact_name
    return "Erased contact" if line.phone_number is None else displayed_number(line.phone_number)


def _choices(rows: Sequence[OutcomeRow], loaded: Desk) -> list[Choice]:
    return [
        Choice(
            outcome_id=row.outcome_id,
            name=row.outcome_name,
            effects=_effects(row, loaded),
            key=KEYS[number] if number < len(KEYS) else "",
            empties=isinstance(destination_of(row), RemoveFromAll),
        )
        for number, row in enumerate(rows)
    ]


def _effects(row: OutcomeRow, loaded: Desk) -> tuple[str, ...]:
    """What applying it does: `→ Follow up`, `removes from all lists`, `calls example.com`."""
    found: list[str] = []
    match destination_of(row):
        case AddTo(smart_list_id):
            found.append(f"→ {loaded.list_names.get(smart_list_id, 'a list that is gone')}")
        case RemoveFromAll():
            found.append("removes from all lists")
        case RemoveFrom(smart_list_ids):
            names = [loaded.list_names[each] for each in smart_list_ids if each in loaded.list_names]
            found.append(f"removes from {_few(names) or 'lists that are gone'}")
    if row.webhook_url is not None:
        found.append(f"calls {urlsplit(row.webhook_url).hostname}")
    return tuple(found)


def _few(names: list[str], shown: int = 2) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def moves_of(applied: Applied, list_names: Mapping[str, str]) -> list[str]:
    """What applying it did to the contact's lists."""

    def named(ids: list[str]) -> str:
        return _few([list_names.get(str(each), "a list that is gone") for each in ids], 3)

    found = []
    if applied.destination.lists_added:
        found.append(f"joined {named(applied.destination.lists_added)}")
    if applied.destination.lists_removed:
        found.append(f"left {named(applied.destination.lists_removed)}")
    return found


def _webhook_rows(loaded: Desk) -> Iterable[WebhookRow]:
    return loaded.shown.webhooks.values() if loaded.shown else ()


def _webhook(loaded: Desk, applied: Applied) -> Webhook | None:
    row = loaded.shown.webhooks.get(applied.delivery_id or "") if loaded.shown else None
    return None if row is None else state_of(row)


def state_of(row: WebhookRow) -> Webhook:
    """A delivery in a few words, as every page says it."""
    match row.state:
        case "succeeded":
            took = "" if row.duration_ms is None else f" · {row.duration_ms} ms"
            return Webhook(f"{row.last_status or 'Sent'}{took}", "good")
        case "exhausted":
            return Webhook(f"{_reason(row)} · given up", "bad", about="Every attempt failed.")
        case "canceled":
            return Webhook("Canceled", "plain")
    if row.endpoint_state != EndpointState.ACTIVE:
        return Webhook("Waits", "warn", about=f"The webhook is {row.endpoint_state}.")
    failed = row.last_error is not None or row.last_status is not None
    if not failed or row.lease_id is not None:
        return Webhook("Trying again" if failed else "Pending", "accent")
    return Webhook(
        f"{_reason(row)} · retrying", "warn", None if row.due_at is None else iso_from_ms(row.due_at)
    )


def _reason(row: WebhookRow) -> str:
    """The receiver's status, or what went wrong before there was one."""
    if row.last_status is not None and row.last_error in (None, "http_status"):
        return str(row.last_status)
    return WENT_WRONG.get(row.last_error or "", "Failed")


WENT_WRONG = {
    "dns": "No such host",
    "connect": "No connection",
    "tls": "TLS failed",
    "timeout": "Too slow",
    "blocked": "Blocked",
    "protocol": "Bad answer",
}
"""What ended an attempt before there was a status to show, in words."""


async def _start(tx: Tx, visit: Visit) -> Reply:
    form = visit.form
    wanted = TestCall(
        whom=form.text("whom"),
        contact_id=parse_id(form.text("contact_id")),
        direction=Direction.INBOUND if form.text("direction") == Direction.INBOUND else Direction.OUTBOUND,
        rings=form.flag("rings"),
        key=parse_id(form.text("key")) or new_id(),
    )
    await desk.start_test_call(tx, visit.user, wanted)
    return Gone(_PATH)


async def _find(tx: Tx, visit: Visit) -> Reply:
    """Contacts for the field in which somebody types whom he calls."""
    rows = await desk.find_contacts(tx, visit.user, visit.query.text("q")) if visit.user.agent_id else []
    return Data(
        [
            {
                "contact_id": row.contact_id,
                "name": row.name or displayed_number(row.phone_number),
                "number": displayed_number(row.phone_number) if row.name else "",
            }
            for row in rows
        ]
    )


async def _answer(tx: Tx, visit: Visit) -> Reply:
    await desk.answer_own_call(tx, visit.user, visit.parameters["call_id"])
    return _done(visit, "")


async def _end(tx: Tx, visit: Visit) -> Reply:
    text = visit.form.text("line_result")
    if text and text not in LINE_RESULTS:
        raise invalid(Problem("line_result", "is unknown"))
    call = await desk.end_own_call(
        tx, visit.user, visit.parameters["call_id"], LineResult(text) if text else None
    )
    return _done(visit, "" if call.disposition_required else "The call has ended.")


async def _act(tx: Tx, visit: Visit) -> Reply:
    answer, is_new = await desk.apply_to_own_call(tx, visit.user, _application(visit))
    return _done(visit, _what_happened(answer.applied, is_new))


async def _finish(tx: Tx, visit: Visit) -> Reply:
    if not visit.form.text("outcome_id"):
        raise invalid(Problem("outcome_id", "choose one outcome to finish this call"))
    answer, is_new = await desk.apply_to_own_call(tx, visit.user, _application(visit))
    return _done(visit, _what_happened(answer.applied, is_new))


def _application(visit: Visit) -> Application:
    sent = {"outcome_id": visit.form.text("outcome_id"), "note": visit.form.optional("note")}
    body = checked(ApplyBody, sent, rules=apply_rules, principal=visit.principal, context=visit.context)
    return Application(visit.parameters["call_id"], str(body.outcome_id), note=body.note)


def _what_happened(applied: Applied, is_new: bool) -> str:
    if not is_new:
        return f"“{applied.outcome_name}” was applied to this call before; nothing was done again."
    if applied.error_message:
        return f"“{applied.outcome_name}” was applied, but: {applied.error_message}"
    return f"“{applied.outcome_name}” was applied."


async def _save_draft(tx: Tx, visit: Visit) -> Reply:
    note = visit.form.raw("note").replace("\r\n", "\n")
    wrong = note_problem(note)
    if len(note) > NOTE_CHARACTERS_MAX:
        wrong = f"must be at most {NOTE_CHARACTERS_MAX} characters"
    if wrong:
        raise invalid(Problem("note", wrong))
    await drafts.save_draft(
        tx,
        visit.user,
        visit.parameters["call_id"],
        note=note,
        outcome_id=parse_id(visit.form.text("outcome_id")),
        keep_choice="outcome_id" not in visit.form,
    )
    return Data({"ok": True})


async def _tell_fate(tx: Tx, visit: Visit) -> Reply:
    """For a dialog that has gone: why."""
    fate = await desk.fate_of(tx, visit.user, visit.parameters["call_id"])
    return Data({"state": fate.line.state, "text": _fate_text(fate)})


def _fate_text(fate: Fate) -> str:
    whom, disposition = name_of(fate.line), fate.disposition
    if fate.line.state != CallState.CLOSED:
        return ""
    if fate.timed_out:
        became = "without a disposition" if disposition is None else f"as “{disposition.outcome_name}”"
        return f"The time for wrap-up was over: the call with {whom} was closed {became}."
    if disposition is None:
        return f"The call with {whom} was closed."
    return f"The call with {whom} was finished elsewhere as “{disposition.outcome_name}”."


def _done(visit: Visit, text: str) -> Reply:
    """What happened: to a script as data, else on the desk that is shown next."""
    if visit.form.flag("scripted"):
        return Data({"text": text})
    to = _path_of(visit) if visit.form.flag("late") else _PATH
    return Gone(to, Flash(text) if text else None)


PAGES = (
    show(_PATH, Permission.DESK, _show),
    show(f"{_PATH}/contacts", Permission.DESK, _find, scripted=True, long=True),
    show(_CALL, Permission.DESK, _show),
    show(f"{_CALL}/fate", Permission.DESK, _tell_fate, scripted=True),
    act(f"{_PATH}/calls", Permission.DESK, _start, again=_show),
    act(f"{_CALL}/answer", Permission.DESK, _answer, again=_show),
    act(f"{_CALL}/end", Permission.DESK, _end, again=_show),
    act(f"{_CALL}/actions", Permission.DESK, _act, again=_show),
    act(f"{_CALL}/disposition", Permission.DESK, _finish, again=_show),
    act(f"{_CALL}/draft", Permission.DESK, _save_draft),
)
