"""What the palette asks for while somebody types."""

from __future__ import annotations

from leadline.domain.access import Permission
from leadline.operations.search import search
from leadline.store.database import Tx
from leadline.web.console.table import Data, Reply, Visit, show

_GROUPS = {
    Permission.CONTACTS: ("Contacts", "/contacts/{}"),
    Permission.LISTS: ("Smart Lists", "/smart-lists/{}"),
    Permission.OUTCOMES: ("Outcomes", "/outcomes/{}"),
    Permission.CALLS: ("Calls", "/calls/{}"),
    Permission.DELIVERIES: ("Deliveries", "/deliveries/{}"),
}


async def _search(tx: Tx, visit: Visit) -> Reply:
    groups: dict[str, list[dict[str, str]]] = {}
    for found in await search(tx, visit.user, visit.query.text("q")):
        name, path = _GROUPS[found.kind]
        entry = {"title": found.title, "about": found.about, "url": path.format(found.id)}
        groups.setdefault(name, []).append(entry)
    return Data({"groups": [{"name": name, "entries": entries} for name, entries in groups.items()]})


PAGES = (show("/search", Permission.PROFILE, _search, scripted=True, long=True),)
