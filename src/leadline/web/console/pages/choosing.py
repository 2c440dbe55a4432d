"""How lists are chosen from: stretches of time, moments, and whom somebody means. All of it is in the address."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from urllib.parse import urlencode

from leadline.clock import YEAR_MAX, YEAR_MIN, is_within_years, ms_from_datetime
from leadline.domain.errors import LeadlineError, Problem
from leadline.ids import parse_id
from leadline.web.console.forms import Form, invalid
from leadline.web.console.table import Visit

_HOUR_MS = 3_600_000
_LENGTHS_MS = {"hour": _HOUR_MS, "day": 24 * _HOUR_MS, "week": 7 * 24 * _HOUR_MS, "month": 30 * 24 * _HOUR_MS}
PERIODS = (
    ("", "Any time"),
    ("hour", "Last hour"),
    ("day", "Last 24 hours"),
    ("week", "Last 7 days"),
    ("month", "Last 30 days"),
    ("custom", "Between…"),
)


def since_of(query: Form, now_ms: int) -> int | None:
    """Where the chosen stretch begins (Unix ms), None when it has no beginning. Raises InvalidRequest."""
    period = query.text("period")
    if period in _LENGTHS_MS:
        return now_ms - _LENGTHS_MS[period]
    if period not in ("", "custom"):
        raise invalid(Problem("period", "is none of the choices"))
    return moment(query, "since")


def until_of(query: Form) -> int | None:
    """Where the chosen stretch ends (exclusive). Raises InvalidRequest."""
    return None if query.text("period") in _LENGTHS_MS else moment(query, "until")


def state_of(query: Form, states: Collection[str]) -> dict[str, str]:
    """The chosen state as a filter; none when none is chosen. Raises InvalidRequest."""
    state = query.text("state")
    if state and state not in states:
        raise invalid(Problem("state", "is none of the choices"))
    return {"state": state} if state else {}


def ids_of(query: Form, *names: str) -> dict[str, str]:
    """Ids that were chosen, as filters. Raises InvalidRequest for what is none."""
    found: dict[str, str] = {}
    for name in names:
        if text := query.text(name):
            wanted = parse_id(text)
            if wanted is None:
                raise invalid(Problem(name, "is not an id"))
            found[name] = wanted
    return found


def moment(form: Form, name: str) -> int | None:
    """A time such as `2026-06-25T14:30`, UTC unless it says otherwise, in Unix ms. Raises InvalidRequest."""
    text = form.text(name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(Problem(name, "is not a time such as 2026-06-25T14:30")) from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    if not is_within_years(at):
        raise invalid(Problem(name, f"must be between {YEAR_MIN} and {YEAR_MAX}"))
    return ms_from_datetime(at)


def local_input(form: Form, name: str) -> str:
    """A time that was chosen, as `datetime-local` shows it (UTC; a script makes it local)."""
    try:
        at_ms = moment(form, name)
    except LeadlineError:
        return ""
    return "" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M")


def url_of(visit: Visit, path: str | None = None, **changes: str | None) -> str:
    """This page's address with other parameters, on the same page of its list. None takes one away."""
    kept = {name: visit.query.text(name) for name in visit.query.names()}
    wanted = {name: value for name, value in {**kept, **changes}.items() if value}
    base = path or visit.path
    return f"{base}?{urlencode(wanted)}" if wanted else base
