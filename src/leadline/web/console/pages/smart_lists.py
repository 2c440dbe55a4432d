"""Smart Lists: who is on them, which outcomes feed and empty them, how they grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from leadline.charts import Series, column_chart, sparkline
from leadline.clock import iso_from_ms
from leadline.domain.access import Permission
from leadline.domain.errors import InvalidRequest, Problem
from leadline.domain.limits import SEARCH_CHARACTERS_MAX, SMART_LIST_NAME_CHARACTERS_MAX
from leadline.domain.periods import DAY_MS
from leadline.ids import NIL_ID, parse_id
from leadline.operations import contacts, smart_lists
from leadline.operations.list_overview import (
    GROWTH_DAYS,
    Growth,
    ListLine,
    ListSort,
    load_line,
    load_overview,
    outcomes_behind,
    outcomes_emptying_all,
)
from leadline.store.database import Tx
from leadline.web.api.smart_lists import smart_list_rules
from leadline.web.console.forms import checked
from leadline.web.console.pages.contacts import found_contacts, search_filters
from leadline.web.console.table import Flash, Gone, Reply, Shown, Visit, act, show
from leadline.wire.contacts import Contact
from leadline.wire.smart_lists import Member, SmartListBody

_PATH = "/smart-lists"
_ONE = f"{_PATH}/{{smart_list_id}}"
FOUND_MAX = 6


@dataclass(frozen=True, slots=True)
class MemberLine:
    """Somebody on a list: by which outcome of which call he came, when one put him there."""

    contact_id: str
    name: str | None
    phone_number: str
    since: str
    outcome_name: str | None = None
    call_id: str | None = None
    source_known: bool = True


async def _show(tx: Tx, visit: Visit) -> Reply:
    text = visit.query.text("sort") or ListSort.NAME
    sort = text.removeprefix("-")
    if sort not in tuple(ListSort):
        raise InvalidRequest("Lists cannot be sorted by that.", details=[Problem("sort", "is unknown")])
    number = visit.query.integer("page")
    overview = await load_overview(
        tx,
        visit.workspace_id,
        q=visit.query.text("q")[:SEARCH_CHARACTERS_MAX],
        sort=ListSort(sort),
        descending=text.startswith("-"),
        page=number if isinstance(number, int) else 1,
    )
    values = {
        "overview": overview,
        "sparks": {each.smart_list.smart_list_id: spark_of(each) for each in overview.lines},
        "emptying_all": await outcomes_emptying_all(tx, visit.workspace_id),
        "days": GROWTH_DAYS,
        "name_max": SMART_LIST_NAME_CHARACTERS_MAX,
    }
    return Shown("smart-lists.html", values)


def spark_of(line: ListLine) -> Markup:
    """How long a list was on each of the last days."""
    name = f"spark-{line.smart_list.smart_list_id}"
    title = f"Members of {line.smart_list.smart_list_name}, last {GROWTH_DAYS} days"
    sizes = line.growth.sizes(line.smart_list.contact_count)
    return Markup(sparkline(name, title, sizes, size=(110, 26)))  # noqa: S704 - our own, escaped there


async def _create(tx: Tx, visit: Visit) -> Reply:
    name = _name(visit)
    made = await smart_lists.create_smart_list(tx, visit.workspace_id, name)
    return Gone(f"{_PATH}/{made.smart_list.smart_list_id}", Flash(f"“{name}” is there."))


def _name(visit: Visit) -> str:
    sent = {"smart_list_name": visit.form.text("smart_list_name")}
    body = checked(
        SmartListBody, sent, rules=smart_list_rules, principal=visit.principal, context=visit.context
    )
    return body.smart_list_name.strip()


async def _look(tx: Tx, visit: Visit) -> Reply:
    smart_list_id = visit.parameters["smart_list_id"]
    line = await load_line(tx, visit.workspace_id, smart_list_id)
    members, next_cursor = await _members(tx, visit, smart_list_id)
    found = await found_contacts(tx, visit, visit.query.text("find"), FOUND_MAX)
    values = {
        "line": line,
        "members": members,
        "next_cursor": next_cursor,
        "found": found,
        "on_it": {each.contact_id for each in found if _is_on(each, smart_list_id)},
        "chart": _chart(line.growth, tx.now_ms),
        "days": _days(line.growth, tx.now_ms),
        "emptying_all": await outcomes_emptying_all(tx, visit.workspace_id),
        "name_max": SMART_LIST_NAME_CHARACTERS_MAX,
    }
    return Shown("smart-list.html", values)


def _is_on(contact: Contact, smart_list_id: str) -> bool:
    return any(each.smart_list_id == smart_list_id for each in contact.smart_lists)


async def _members(tx: Tx, visit: Visit, smart_list_id: str) -> tuple[list[MemberLine], str | None]:
    """Who is on it, the newest first; with `q`, those who fit, the newest contact first."""
    q = visit.query.text("q")
    if not q:
        answer = await smart_lists.list_members(tx, visit.workspace_id, smart_list_id, visit.page())
        return await _lines(tx, visit, answer.contacts), answer.next_cursor
    filters = search_filters(visit, q)
    page = await contacts.list_contacts(
        tx, visit.workspace_id, visit.page(), smart_list_id=smart_list_id, **filters
    )
    return [_line(each, smart_list_id) for each in page.contacts], page.next_cursor


async def _lines(tx: Tx, visit: Visit, members: Sequence[Member]) -> list[MemberLine]:
    behind = await outcomes_behind(tx, visit.workspace_id, (each.applied_id for each in members))
    return [
        MemberLine(
            each.contact_id,
            each.name,
            each.phone_number,
            each.since,
            *behind.get(each.applied_id or "", (None, None)),
        )
        for each in members
    ]


def _line(contact: Contact, smart_list_id: str) -> MemberLine:
    since = next(each.since for each in contact.smart_lists if each.smart_list_id == smart_list_id)
    return MemberLine(contact.contact_id, contact.name, contact.phone_number, since, source_known=False)


def _days(growth: Growth, now_ms: int) -> list[tuple[str, int, int]]:
    """(day, joined, left), the newest first."""
    today = now_ms - now_ms % DAY_MS
    starts = [today - DAY_MS * back for back in range(GROWTH_DAYS - 1, -1, -1)]
    days = [iso_from_ms(each)[:10] for each in starts]
    return list(zip(days, growth.joined, growth.left, strict=True))[::-1]


def _chart(growth: Growth, now_ms: int) -> Markup:
    labels = [
        datetime.fromtimestamp((now_ms - DAY_MS * back) / 1000, UTC).strftime("%b %-d")
        for back in range(GROWTH_DAYS - 1, -1, -1)
    ]
    series = [Series("Joined", growth.joined), Series("Left", [-each for each in growth.left], bad=True)]
    title = f"Joined and left, last {GROWTH_DAYS} days"
    drawn = column_chart(
        "growth", title, labels, series, size=(400, 170), form=lambda value: f"{abs(value or 0):,.0f}"
    )
    return Markup(drawn)  # noqa: S704 - our own, escaped there


async def _rename(tx: Tx, visit: Visit) -> Reply:
    smart_list_id, name = visit.parameters["smart_list_id"], _name(visit)
    await smart_lists.rename_smart_list(tx, visit.workspace_id, smart_list_id, name)
    return Gone(f"{_PATH}/{smart_list_id}", Flash(f"The list is called “{name}” now."))


async def _add(tx: Tx, visit: Visit) -> Reply:
    smart_list_id = visit.parameters["smart_list_id"]
    contact_id = parse_id(visit.form.text("contact_id")) or NIL_ID
    await smart_lists.join_smart_list(tx, visit.workspace_id, smart_list_id, contact_id)
    return Gone(f"{_PATH}/{smart_list_id}", Flash("The contact is on the list."))


async def _take_off(tx: Tx, visit: Visit) -> Reply:
    smart_list_id = visit.parameters["smart_list_id"]
    await smart_lists.leave_smart_list(tx, visit.workspace_id, smart_list_id, visit.parameters["contact_id"])
    return Gone(f"{_PATH}/{smart_list_id}", Flash("The contact is off the list."))


async def _ask_deletion(tx: Tx, visit: Visit) -> Reply:
    line = await load_line(tx, visit.workspace_id, visit.parameters["smart_list_id"])
    return Shown("smart-list-delete.html", {"line": line})


async def _delete(tx: Tx, visit: Visit) -> Reply:
    await smart_lists.delete_smart_list(
        tx, visit.workspace_id, visit.parameters["smart_list_id"], force=visit.form.flag("force")
    )
    return Gone(_PATH, Flash("The list was deleted. Its contacts are still there."))


PAGES = (
    show(_PATH, Permission.LISTS, _show),
    act(_PATH, Permission.LISTS, _create, again=_show),
    show(_ONE, Permission.LISTS, _look),
    act(_ONE, Permission.LISTS, _rename, again=_look),
    act(f"{_ONE}/members", Permission.LISTS, _add),
    act(f"{_ONE}/members/{{contact_id}}/remove", Permission.LISTS, _take_off),
    show(f"{_ONE}/delete", Permission.LISTS, _ask_deletion),
    act(f"{_ONE}/delete", Permission.LISTS, _delete, again=_ask_deletion, long=True),
)
