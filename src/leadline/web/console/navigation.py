"""The side navigation: what there is, in its order, for whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leadline.domain.access import Permission
from leadline.operations.sessions import SignedIn
from leadline.web.console.table import Page
from leadline.web.table import Routes


@dataclass(frozen=True, slots=True)
class Entry:
    """One page in the navigation. `key` follows `g` as a shortcut."""

    label: str
    path: str
    permission: Permission
    icon: str
    key: str
    group: str = ""


ENTRIES = (
    Entry("Agent desk", "/desk", Permission.DESK, "desk", "d"),
    Entry("Overview", "/overview", Permission.CALLS, "overview", "h"),
    Entry("Calls", "/calls", Permission.CALLS, "calls", "c"),
    Entry("Contacts", "/contacts", Permission.CONTACTS, "contacts", "p"),
    Entry("Smart Lists", "/smart-lists", Permission.LISTS, "lists", "l"),
    Entry("Deliveries", "/deliveries", Permission.DELIVERIES, "deliveries", "v"),
    Entry("Reports", "/reports", Permission.REPORTS, "reports", "r"),
    Entry("Outcomes", "/outcomes", Permission.OUTCOMES, "outcomes", "o", "Configure"),
    Entry("Webhooks", "/webhooks", Permission.ENDPOINTS, "webhooks", "w", "Configure"),
    Entry("Workspace", "/settings/workspace", Permission.WORKSPACE, "settings", "s", "Configure"),
    Entry("API tokens", "/settings/tokens", Permission.TOKENS, "tokens", "t", "Configure"),
    Entry("Users", "/settings/users", Permission.USERS, "users", "u", "Configure"),
    Entry("Audit log", "/settings/audit", Permission.AUDIT, "audit", "a", "Configure"),
)
HOME = "/settings/profile"


def entries_for(user: SignedIn, paths: Iterable[str]) -> Sequence[Entry]:
    """What a user may go to, of the pages that there are."""
    known = frozenset(paths)
    return [each for each in ENTRIES if each.path in known and user.may(each.permission)]


def home_of(user: SignedIn, paths: Iterable[str]) -> str:
    """Where a user begins: at his desk when he works as an agent, else at the first page after it."""
    entries = entries_for(user, paths)
    if user.agent_id is None and len(entries) > 1:
        entries = [each for each in entries if each.permission is not Permission.DESK]
    return entries[0].path if entries else HOME


def current(entries: Sequence[Entry], path: str) -> str:
    """The path of the entry that a page belongs to; empty when it belongs to none."""
    fits = [each.path for each in entries if path == each.path or path.startswith(f"{each.path}/")]
    return max(fits, key=len, default="")


def page_path(routes: Routes[Page], path: str) -> str:
    """Where a page can be fetched that answered a form at this path: there, or at the nearest path above it."""
    while path and "GET" not in (routes.find(path) or ({},))[0]:
        path = path.rpartition("/")[0]
    return path or "/"
