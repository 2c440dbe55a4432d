"""The overview: what goes on at this moment, and what needs somebody's eye."""

from __future__ import annotations

from leadline.domain.access import Permission
from leadline.domain.contacts import displayed_number
from leadline.operations import reports, supervision
from leadline.operations.supervision import OPEN_CALLS_SHOWN
from leadline.store.database import Tx
from leadline.store.supervision import OpenCallRow
from leadline.web.console.forms import Form
from leadline.web.console.pages.reports import chosen
from leadline.web.console.pages.webhooks import condition, failure_of
from leadline.web.console.table import Reply, Shown, Visit, show

PATH = "/overview"
_TODAY = Form({"period": ["today"], "tz": ["UTC"]})


async def _show(tx: Tx, visit: Visit) -> Reply:
    now = await supervision.load_now(
        tx, visit.workspace_id, timeout_seconds=visit.context.webhook_timeout_seconds
    )
    today = chosen(_TODAY, tx.now_ms).request
    rates = (await reports.rates_report(tx, visit.workspace_id, today)).report
    missing = (await reports.missing_dispositions_report(tx, visit.workspace_id, today)).report
    numbers = (
        ("Calls closed", rates.calls.value, "/reports?period=today"),
        ("Answered", rates.answered.value, "/reports?period=today"),
        ("Conversions", rates.conversions.value, "/reports?period=today"),
        ("Closed without a disposition", missing.missing.value, "/calls?missing=1&period=day"),
    )
    values = {
        "now": now,
        "shown_max": OPEN_CALLS_SHOWN,
        "numbers": numbers,
        "name_of": name_of,
        "condition": condition,
        "failure_of": failure_of,
    }
    return Shown("overview.html", values)


def name_of(call: OpenCallRow) -> str:
    """Whom a call is with."""
    if call.contact_name:
        return call.contact_name
    return "Erased contact" if call.phone_number is None else displayed_number(call.phone_number)


PAGES = (show(PATH, Permission.CALLS, _show),)
