"""What the console's palette finds: contacts, Smart Lists and outcomes by name, calls and deliveries by id."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from leadline.domain.access import Permission
from leadline.domain.contacts import displayed_number, normalised_number
from leadline.domain.limits import SEARCH_CHARACTERS_MAX
from leadline.domain.paging import START, PageRequest
from leadline.ids import parse_id
from leadline.operations.contacts import search_pattern
from leadline.operations.sessions import SignedIn
from leadline.store import calls, contacts, deliveries, outcomes, smart_lists
from leadline.store.database import Tx

FOUND_MAX = 5


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that there is."""

    kind: Permission
    id: str
    title: str
    about: str = ""


async def search(tx: Tx, user: SignedIn, text: str) -> list[Found]:
    """The best of each kind that the user may see; without text, what is new."""
    text = text.strip()[:SEARCH_CHARACTERS_MAX]
    found: list[Found] = []
    for kind, look in _LOOKS.items():
        if user.may(kind):
            found += await look(tx, user, text)
    return found


async def _contacts(tx: Tx, user: SignedIn, text: str) -> Iterable[Found]:
    filters: dict[str, str] = {}
    if text:
        number = normalised_number(text, user.region)
        filters = {"phone_number": number} if number else {"q": search_pattern(text)}
    rows = await contacts.page_of_contacts(tx, user.workspace_id, PageRequest(FOUND_MAX - 1, START), filters)
    return [
        Found(Permission.CONTACTS, row.contact_id, row.name or displayed_number(row.phone_number),
              displayed_number(row.phone_number) if row.name else "")
        for row in rows
    ]  # fmt: skip


async def _lists(tx: Tx, user: SignedIn, text: str) -> Iterable[Found]:
    names = await smart_lists.list_names(tx, user.workspace_id)
    return [
        Found(Permission.LISTS, smart_list_id, name) for smart_list_id, name in _matching(names.items(), text)
    ]


async def _outcomes(tx: Tx, user: SignedIn, text: str) -> Iterable[Found]:
    rows = await outcomes.all_outcomes(tx, user.workspace_id)
    types = {row.outcome_id: row.outcome_type for row in rows}
    matching = _matching(((row.outcome_id, row.outcome_name) for row in rows), text)
    return [
        Found(Permission.OUTCOMES, outcome_id, name, types[outcome_id].capitalize())
        for outcome_id, name in matching
    ]


async def _calls(tx: Tx, user: SignedIn, text: str) -> Iterable[Found]:
    call_id = parse_id(text)
    row = None if call_id is None else await calls.get_call(tx, user.workspace_id, call_id)
    return (
        []
        if row is None
        else [Found(Permission.CALLS, row.call_id, "Call", displayed_number(row.phone_number))]
    )


async def _deliveries(tx: Tx, user: SignedIn, text: str) -> Iterable[Found]:
    delivery_id = parse_id(text)
    row = None if delivery_id is None else await deliveries.get_delivery(tx, user.workspace_id, delivery_id)
    return [] if row is None else [Found(Permission.DELIVERIES, row.delivery_id, "Delivery", row.webhook_url)]


def _matching(named: Iterable[tuple[str, str]], text: str) -> list[tuple[str, str]]:
    """Those whose name holds the text; names that begin with it first."""
    wanted = text.casefold()
    holding = [(each, name) for each, name in named if wanted in name.casefold()]
    holding.sort(key=lambda pair: not pair[1].casefold().startswith(wanted))
    return holding[:FOUND_MAX]


_LOOKS = {
    Permission.CONTACTS: _contacts,
    Permission.LISTS: _lists,
    Permission.OUTCOMES: _outcomes,
    Permission.CALLS: _calls,
    Permission.DELIVERIES: _deliveries,
}
