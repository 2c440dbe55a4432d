"""The audit log: who changed what, and how it was before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from leadline.clock import ms_from_datetime
from leadline.domain.access import Permission
from leadline.domain.errors import Problem
from leadline.operations import audit, users
from leadline.store.audit import AuditRow
from leadline.store.database import Tx
from leadline.web.console.forms import invalid
from leadline.web.console.table import Reply, Shown, Visit, show

_PATH = "/settings/audit"
_ABSENT = object()
THINGS = (
    "call", "contact", "contact_import", "delivery", "endpoint", "membership", "outcome", "replay", "smart_list",
    "token", "user", "webhook_secret", "workspace",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One field before and after, as JSON; None where it was not there."""

    field: str
    before: str | None
    after: str | None


async def _show(tx: Tx, visit: Visit) -> Reply:
    rows, next_cursor = await audit.list_entries(tx, visit.workspace_id, visit.page(), _filters(visit))
    people = await users.list_users(tx, visit.workspace_id)
    names = {each.user_id: each.name for each in people}
    actors = [("", "Everybody"), *((each.user_id, each.name) for each in people)]
    actors += [(f"kind:{kind}", label) for kind, label in _KINDS]
    values = {
        "entries": [(row, name_of(row, names), changes_of(row)) for row in rows],
        "next_cursor": next_cursor,
        "actors": actors,
        "things": [("", "Everything"), *((each, each.replace("_", " ").capitalize()) for each in THINGS)],
    }
    return Shown("audit.html", values)


_KINDS = (("token", "Any token"), ("command_line", "The command line"), ("system", "Leadline itself"))


def _filters(visit: Visit) -> dict[str, Any]:
    query = visit.query
    found: dict[str, Any] = {}
    for name in ("thing", "action", "thing_id"):
        if text := query.text(name):
            found[name] = text
    actor = query.text("actor")
    if actor.startswith("kind:"):
        found["actor_kind"] = actor.removeprefix("kind:")
    elif actor:
        found["actor_id"] = actor
    if since := query.text("since"):
        found["since"] = _start_of("since", since)
    if until := query.text("until"):
        found["until"] = _start_of("until", until, days=1)
    return found


def _start_of(name: str, text: str, *, days: int = 0) -> int:
    """The start of a day (UTC) in Unix ms, or of one some days later. Raises InvalidRequest."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        raise invalid(Problem(name, "is not a day such as 2026-06-25")) from None
    return ms_from_datetime(datetime.combine(day, time(), UTC))


# The field by which people know a thing.
_NAMED_BY = {
    "contact": ("name", "phone_number"),
    "contact_import": ("file_name",),
    "endpoint": ("webhook_url",),
    "outcome": ("outcome_name",),
    "smart_list": ("smart_list_name",),
    "token": ("name",),
    "user": ("name",),
}


def name_of(row: AuditRow, users: Mapping[str, str]) -> str:
    """What people call the changed thing: as the entry has it, a user else as he is called now; or nothing."""
    said = _fields(row.before) | _fields(row.after)
    for field in _NAMED_BY.get(row.thing, ()):
        if isinstance(name := said.get(field), str) and name:
            return name
    return users.get(row.thing_id or "", "")


def _fields(text: str | None) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(text) if text else {}
    return fields


def changes_of(row: AuditRow) -> list[Change]:
    """The fields that differ, by name; all of them when the thing came or went."""
    before, after = _fields(row.before), _fields(row.after)
    return [
        Change(name, _text(before.get(name, _ABSENT)), _text(after.get(name, _ABSENT)))
        for name in sorted(before.keys() | after.keys())
        if before.get(name, _ABSENT) != after.get(name, _ABSENT) and name != "updated_at"
    ]


def _text(value: Any) -> str | None:
    if value is _ABSENT:
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


PAGES = (show(_PATH, Permission.AUDIT, _show),)
