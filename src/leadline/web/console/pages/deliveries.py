"""Deliveries: every webhook that was sent or will be, one of them in the drawer, and what can be done about it."""

from __future__ import annotations

from typing import Any

from leadline.domain.access import Permission
from leadline.domain.contacts import displayed_number
from leadline.domain.deliveries import DeliveryState
from leadline.domain.endpoints import EndpointState
from leadline.domain.errors import LeadlineError
from leadline.ids import parse_id
from leadline.operations import deliveries, supervision
from leadline.operations.supervision import Meant, ShownDelivery
from leadline.store.database import Tx
from leadline.web.console.pages.choosing import (
    PERIODS,
    ids_of,
    local_input,
    since_of,
    state_of,
    until_of,
    url_of,
)
from leadline.web.console.pages.delivery_details import badge_of, detail_of
from leadline.web.console.table import Data, Flash, Gone, Reply, Shown, Visit, act, show

PATH = "/deliveries"
_ONE = f"{PATH}/{{delivery_id}}"
STATES = (
    ("", "Any state"),
    (DeliveryState.PENDING, "Pending"),
    (DeliveryState.SUCCEEDED, "Succeeded"),
    (DeliveryState.EXHAUSTED, "Given up"),
    (DeliveryState.CANCELED, "Canceled"),
)


async def _show(tx: Tx, visit: Visit) -> Reply:
    """The list, with one delivery beside it when the address names one (`open`)."""
    meant = await supervision.find_meant(tx, visit.user, visit.query.text("q"))
    if meant.delivery_id is not None:
        return Gone(f"{PATH}/{meant.delivery_id}")
    rows: list[ShownDelivery] = []
    next_cursor, wrong = None, ""
    try:
        filters = _filters(visit, tx.now_ms, meant)
        if filters is not None:
            rows, next_cursor = await supervision.list_shown(tx, visit.workspace_id, visit.page(), filters)
    except LeadlineError as refused:
        wrong = "; ".join(f"{each.field} {each.message}" for each in refused.details) or refused.message
    opened = parse_id(visit.query.text("open"))
    values = {
        **await choices_for(tx, visit),
        "rows": rows,
        "badge_of": badge_of,
        "who": who,
        "next_cursor": next_cursor,
        "wrong": wrong,
        "meant": meant,
        "url_of": lambda **changes: url_of(visit, **changes),
        "opened": opened,
        "detail": await _opened(tx, visit, opened),
        "is_filtered": any(
            visit.query.text(name) for name in visit.query.names() if name not in ("open", "tail")
        ),
    }
    return Shown("deliveries.html", values)


async def _opened(tx: Tx, visit: Visit, opened: str | None) -> Any:
    if opened is None:
        return None
    try:
        return detail_of(await supervision.show_delivery(tx, visit.workspace_id, opened))
    except LeadlineError:
        return None


def who(shown: ShownDelivery) -> str:
    """Whom a delivery is about."""
    if shown.about.contact_name:
        return shown.about.contact_name
    if shown.about.phone_number:
        return displayed_number(shown.about.phone_number)
    return "Test" if shown.row.applied_id is None else "Erased contact"


async def choices_for(tx: Tx, visit: Visit) -> dict[str, Any]:
    """What the filters and the replay's dialog offer."""
    choices = await supervision.filter_choices(tx, visit.workspace_id)
    source = visit.form if visit.refusal is not None else visit.query
    return {
        "states": STATES,
        "periods": PERIODS,
        "outcome_choices": [("", "All outcomes"), *choices.outcomes],
        "endpoint_choices": [("", "All webhooks"), *choices.endpoints],
        "since_input": local_input(source, "since"),
        "until_input": local_input(source, "until"),
    }


def _filters(visit: Visit, now_ms: int, meant: Meant) -> dict[str, Any] | None:
    """Of the store; None when what was searched for is nobody."""
    query = visit.query
    found: dict[str, Any] = state_of(query, tuple(DeliveryState))
    found |= ids_of(query, "outcome_id", "endpoint_id", "call_id", "contact_id")
    if query.text("q"):
        if meant.call_id is not None:
            found["call_id"] = meant.call_id
        elif len(meant.contacts) == 1:
            found["contact_id"] = meant.contacts[0].contact_id
        else:
            return None
    since, until = since_of(query, now_ms), until_of(query)
    return found | {name: at for name, at in (("since", since), ("until", until)) if at is not None}


async def _show_one(tx: Tx, visit: Visit) -> Reply:
    whole = await supervision.show_delivery(tx, visit.workspace_id, visit.parameters["delivery_id"])
    return Shown("delivery.html", {"detail": detail_of(whole), "who": who})


async def _retry(tx: Tx, visit: Visit) -> Reply:
    delivery_id = visit.parameters["delivery_id"]
    await deliveries.retry_delivery(tx, visit.workspace_id, delivery_id)
    whole = await supervision.show_delivery(tx, visit.workspace_id, delivery_id)
    if whole.shown.about.endpoint_state != EndpointState.ACTIVE:
        return _done(
            visit, f"It is sent as soon as its webhook is no longer {whole.shown.about.endpoint_state}."
        )
    return _done(visit, "It is sent again now.")


async def _cancel(tx: Tx, visit: Visit) -> Reply:
    answer = await deliveries.cancel_delivery(tx, visit.workspace_id, visit.parameters["delivery_id"])
    ended = answer.delivery.state
    return _done(visit, "Canceled." if ended == "canceled" else f"It had already {ended}.")


def _done(visit: Visit, text: str) -> Reply:
    if visit.form.flag("scripted"):
        return Data({"text": text})
    return Gone(f"{PATH}/{visit.parameters['delivery_id']}", Flash(text))


PAGES = (
    show(PATH, Permission.DELIVERIES, _show),
    show(_ONE, Permission.DELIVERIES, _show_one),
    act(f"{_ONE}/retry", Permission.DELIVERIES, _retry, again=_show_one),
    act(f"{_ONE}/cancel", Permission.DELIVERIES, _cancel, again=_show_one),
)
