"""Webhooks: how each endpoint does, what it may get, and the secret that signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from leadline.domain.access import Permission
from leadline.domain.endpoints import EndpointState
from leadline.domain.errors import LeadlineError, Problem
from leadline.ids import parse_id
from leadline.operations import endpoints, supervision
from leadline.operations.supervision import Hour, ShownEndpoint
from leadline.operations.workspaces import rotate_secret
from leadline.store.database import Tx
from leadline.web.console.forms import checked, invalid
from leadline.web.console.pages.deliveries import who
from leadline.web.console.pages.delivery_details import detail_of
from leadline.web.console.pages.desk import WENT_WRONG
from leadline.web.console.table import Data, Flash, Gone, Reply, Shown, Visit, act, show
from leadline.wire.deliveries import EndpointChange, EndpointView, RotateBody

PATH = "/webhooks"
_ONE = f"{PATH}/{{endpoint_id}}"
_SLOT, _BAR, _HEIGHT = 5.0, 4.0, 28.0
OVERLAPS = (
    ("86400", "A day (as usual)"),
    ("3600", "An hour"),
    ("604800", "A week"),
    ("2592000", "30 days"),
    ("0", "Not at all: only the new one signs from now on"),
)


@dataclass(frozen=True, slots=True)
class HourBar:
    """One hour of the little chart: what succeeded stands on what failed."""

    x: float
    good_y: float
    good_height: float
    bad_y: float
    bad_height: float


@dataclass(frozen=True, slots=True)
class Card:
    """An endpoint as it is shown: its state in a word, and its last 24 hours as bars."""

    shown: ShownEndpoint
    word: str
    kind: str
    bars: Sequence[HourBar]
    chart_label: str


def card_of(shown: ShownEndpoint) -> Card:
    succeeded = sum(each.succeeded for each in shown.hours)
    failed = sum(each.failed for each in shown.hours)
    label = (
        f"Last 24 hours: {succeeded:,} succeeded, {failed:,} failed"
        if succeeded + failed
        else "No attempt in 24 hours"
    )
    word, kind = condition(shown.view)
    return Card(shown, word, kind, bars_of(shown.hours), label)


def condition(view: EndpointView) -> tuple[str, str]:
    """The state of an endpoint in a word, and how it is coloured."""
    if view.state == "disabled":
        return "Disabled", "bad"
    if view.state == "paused":
        return "Paused", "plain"
    if view.health.next_probe_at is not None:
        return "Probing", "bad"
    return ("Failing", "warn") if view.health.failures_in_a_row else ("Active", "good")


def failure_of(view: EndpointView) -> str:
    """How the last attempt that failed did, in words: `Answered 410`, `No such host`."""
    failure = view.health.last_failure or ""
    name, _, status = failure.partition(" ")
    return f"Answered {status}" if name == "http_status" else WENT_WRONG.get(failure, failure)


def bars_of(hours: Sequence[Hour]) -> list[HourBar]:
    """The highest hour fills the chart; an attempt is never too little to be seen."""
    most = max((each.succeeded + each.failed for each in hours), default=0)
    bars = []
    for at, each in enumerate(hours):
        if not each.succeeded + each.failed:
            continue
        good = max(1.5, _HEIGHT * each.succeeded / most) if each.succeeded else 0.0
        bad = max(1.5, _HEIGHT * each.failed / most) if each.failed else 0.0
        good = min(good, _HEIGHT - bad)
        bars.append(
            HourBar(
                x=round(at * _SLOT + (_SLOT - _BAR) / 2, 2),
                good_y=round(_HEIGHT - bad - good, 2),
                good_height=round(good, 2),
                bad_y=round(_HEIGHT - bad, 2),
                bad_height=round(bad, 2),
            )
        )
    return bars


async def _list(tx: Tx, visit: Visit) -> Reply:
    return await _page(tx, visit)


async def _page(tx: Tx, visit: Visit, *, rotated: str | None = None) -> Shown:
    found, next_cursor = await supervision.list_shown_endpoints(
        tx, visit.workspace_id, visit.page(), timeout_seconds=visit.context.webhook_timeout_seconds
    )
    values = {
        "cards": [card_of(each) for each in found],
        "failure_of": failure_of,
        "next_cursor": next_cursor,
        "secrets": await supervision.list_secrets(tx, visit.workspace_id),
        "overlaps": OVERLAPS,
        "rotated": rotated,
    }
    return Shown("webhooks.html", values)


async def _show(tx: Tx, visit: Visit) -> Reply:
    shown = await supervision.show_endpoint(
        tx,
        visit.workspace_id,
        visit.parameters["endpoint_id"],
        timeout_seconds=visit.context.webhook_timeout_seconds,
    )
    values = {
        "card": card_of(shown),
        "failure_of": failure_of,
        "server_timeout": visit.context.webhook_timeout_seconds,
        "test": await _test_of(tx, visit, shown),
        "who": who,
        "path": f"{PATH}/{shown.view.endpoint_id}",
    }
    return Shown("webhook.html", values)


async def _test_of(tx: Tx, visit: Visit, shown: ShownEndpoint) -> Any:
    """The delivery of the test that the address names, when it is one of this endpoint's."""
    delivery_id = parse_id(visit.query.text("test"))
    if delivery_id is None:
        return None
    try:
        whole = await supervision.show_delivery(tx, visit.workspace_id, delivery_id)
    except LeadlineError:
        return None
    return detail_of(whole) if whole.view.endpoint_id == shown.view.endpoint_id else None


async def _set_state(tx: Tx, visit: Visit) -> Reply:
    state = visit.form.text("state")
    if state not in (EndpointState.ACTIVE, EndpointState.PAUSED):
        raise invalid(Problem("state", "must be active or paused"))
    view = await _change(tx, visit, {"state": state})
    waiting = f" {view.backlog:,} waiting." if view.backlog else ""
    said = (
        "It is paused: deliveries to it wait."
        if state == EndpointState.PAUSED
        else "Deliveries go out to it again."
    )
    return _done(visit, said + waiting)


async def _set_limits(tx: Tx, visit: Visit) -> Reply:
    form = visit.form
    sent = {
        "max_concurrency": form.integer("max_concurrency"),
        "rate_limit_per_second": _number(form.text("rate_limit_per_second")),
        "timeout_seconds": form.integer("timeout_seconds"),
    }
    if sent["max_concurrency"] is None:
        raise invalid(Problem("max_concurrency", "is required"))
    body = checked(EndpointChange, sent)
    fields = msgspec.structs.asdict(body)
    await _change(tx, visit, {name: value for name, value in fields.items() if value is not msgspec.UNSET})
    return _done(visit, "Saved. It holds from the next attempt on.")


def _number(text: str) -> float | str | None:
    """Text that is no number stays text, for the rules to refuse."""
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return number if abs(number) < 1e9 else text


async def _change(tx: Tx, visit: Visit, changes: dict[str, Any]) -> EndpointView:
    answer = await endpoints.change_endpoint(
        tx,
        visit.workspace_id,
        visit.parameters["endpoint_id"],
        changes,
        timeout_seconds=visit.context.webhook_timeout_seconds,
    )
    return answer.endpoint


async def _test(tx: Tx, visit: Visit) -> Reply:
    endpoint_id = visit.parameters["endpoint_id"]
    answer = await endpoints.send_test(tx, visit.workspace_id, endpoint_id)
    return Gone(f"{PATH}/{endpoint_id}?test={answer.delivery.delivery_id}#test")


def _done(visit: Visit, text: str) -> Reply:
    if visit.form.flag("scripted"):
        return Data({"text": text})
    return Gone(f"{PATH}/{visit.parameters['endpoint_id']}", Flash(text))


async def _rotate(tx: Tx, visit: Visit) -> Reply:
    """The secret is on this one page and nowhere else; a reload does not show it again."""
    body = checked(RotateBody, {"overlap_seconds": visit.form.integer("overlap_seconds")})
    answer = await rotate_secret(tx, visit.workspace_id, body.overlap_seconds)
    return await _page(tx, visit, rotated=answer.secret)


async def _after_rotating(_tx: Tx, _visit: Visit) -> Reply:
    """Who reloads what was shown once, or comes back to it."""
    return Gone(PATH)


PAGES = (
    show(PATH, Permission.ENDPOINTS, _list),
    show(f"{PATH}/secret", Permission.ENDPOINTS, _after_rotating),
    show(_ONE, Permission.ENDPOINTS, _show),
    act(f"{PATH}/secret", Permission.ENDPOINTS, _rotate, again=_list),
    act(f"{_ONE}/state", Permission.ENDPOINTS, _set_state, again=_show),
    act(f"{_ONE}/limits", Permission.ENDPOINTS, _set_limits, again=_show),
    act(f"{_ONE}/test", Permission.ENDPOINTS, _test, again=_show),
)
