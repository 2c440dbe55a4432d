"""Users of the console: invited with a link, given a role, locked out."""

from __future__ import annotations

from leadline.domain.access import Permission, Role
from leadline.domain.errors import InvalidRequest
from leadline.operations import sessions, users
from leadline.operations.users import NewUser
from leadline.store.database import Tx
from leadline.store.users import UserRow
from leadline.web.console.table import Flash, Gone, Reply, Shown, Visit, act, show

_PATH = "/settings/users"
_ONE = f"{_PATH}/{{user_id}}"
ROLES = (
    (Role.AGENT, "Agent", "His own desk and calls."),
    (Role.SUPERVISOR, "Supervisor", "Also calls, contacts, Smart Lists, deliveries, reports."),
    (Role.ADMINISTRATOR, "Administrator", "Everything."),
)


async def _show(tx: Tx, visit: Visit) -> Reply:
    return await _page(tx, visit)


async def _page(tx: Tx, visit: Visit, *, link: str = "", invited: UserRow | None = None) -> Shown:
    rows = await users.list_users(tx, visit.workspace_id)
    return Shown("users.html", {"users": rows, "roles": ROLES, "link": link, "invited": invited})


async def _invite(tx: Tx, visit: Visit) -> Reply:
    form = visit.form
    new = NewUser(
        form.text("email"), form.text("name"), form.text("role") or Role.AGENT, form.optional("agent_id")
    )
    row = await users.create_user(tx, visit.workspace_id, new)
    return await _with_link(tx, visit, row)


async def _make_link(tx: Tx, visit: Visit) -> Reply:
    row = await users.get_user(tx, visit.workspace_id, visit.parameters["user_id"])
    return await _with_link(tx, visit, row)


async def _with_link(tx: Tx, visit: Visit, row: UserRow) -> Shown:
    """The link is on this one page and nowhere else."""
    text = await users.make_link(tx, visit.workspace_id, row.user_id)
    return await _page(tx, visit, link=f"/link/{text}", invited=row)


async def _edit(tx: Tx, visit: Visit) -> Reply:
    row = await users.get_user(tx, visit.workspace_id, visit.parameters["user_id"])
    alive = await sessions.list_sessions(tx, visit.workspace_id, row.user_id)
    return Shown("user.html", {"edited": row, "sessions": alive, "roles": ROLES})


async def _save(tx: Tx, visit: Visit) -> Reply:
    form = visit.form
    changes = {
        "email": form.text("email"),
        "name": form.text("name"),
        "role": form.text("role"),
        "agent_id": form.optional("agent_id"),
    }
    row = await users.change_user(tx, visit.workspace_id, visit.parameters["user_id"], changes)
    return Gone(_PATH, Flash(f"{row.name} was saved."))


async def _disable(tx: Tx, visit: Visit) -> Reply:
    user_id = visit.parameters["user_id"]
    if user_id == visit.user.user_id:
        raise InvalidRequest("You cannot lock yourself out.")
    row = await users.set_disabled(tx, visit.workspace_id, user_id, disabled=True)
    return Gone(_PATH, Flash(f"{row.name} is locked out."))


async def _enable(tx: Tx, visit: Visit) -> Reply:
    row = await users.set_disabled(tx, visit.workspace_id, visit.parameters["user_id"], disabled=False)
    return Gone(_PATH, Flash(f"{row.name} may sign in again."))


async def _sign_out(tx: Tx, visit: Visit) -> Reply:
    row = await users.get_user(tx, visit.workspace_id, visit.parameters["user_id"])
    keep = visit.user.session_id if row.user_id == visit.user.user_id else None
    if keep is None:
        await sessions.end_sessions(tx, visit.workspace_id, row.user_id)
    else:
        await sessions.end_sessions(tx, visit.workspace_id, row.user_id, keep_session_id=keep)
    return Gone(_PATH, Flash(f"{row.name} was signed out everywhere."))


PAGES = (
    show(_PATH, Permission.USERS, _show),
    act(_PATH, Permission.USERS, _invite, again=_show),
    show(_ONE, Permission.USERS, _edit),
    act(_ONE, Permission.USERS, _save, again=_edit),
    act(f"{_ONE}/link", Permission.USERS, _make_link, again=_edit),
    act(f"{_ONE}/disable", Permission.USERS, _disable, again=_edit),
    act(f"{_ONE}/enable", Permission.USERS, _enable, again=_edit),
    act(f"{_ONE}/sign-out", Permission.USERS, _sign_out),
)
