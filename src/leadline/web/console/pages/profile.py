"""One's own account: how the console looks, the password, where one is signed in."""

from __future__ import annotations

from leadline.domain.access import Permission
from leadline.domain.errors import InvalidRequest, Problem
from leadline.domain.users import THEMES, password_problem
from leadline.operations import sessions, users
from leadline.operations.audit import acting
from leadline.store.database import Tx
from leadline.web.console.actors import actor_of
from leadline.web.console.forms import invalid
from leadline.web.console.table import Data, Doors, Flash, Gone, Page, Reply, Shown, Visit, act, show
from leadline.web.console.throttle import Try

_PATH = "/settings/profile"


async def _show(tx: Tx, visit: Visit) -> Reply:
    rows = await sessions.list_sessions(tx, visit.workspace_id, visit.user.user_id)
    return Shown("profile.html", {"sessions": rows, "themes": THEMES})


async def _session(_tx: Tx, visit: Visit) -> Reply:
    """For a page whose stream has ended: is it the session that did?"""
    return Data({"name": visit.user.name})


async def _save_preferences(tx: Tx, visit: Visit) -> Reply:
    user = visit.user
    theme = visit.form.text("theme", user.theme)
    if theme not in THEMES:
        raise InvalidRequest("There is no such look.", details=[Problem("theme", "is unknown")])
    shortcuts = visit.form.flag("shortcuts_enabled") if "full" in visit.form else user.shortcuts_enabled
    await users.set_preferences(tx, user.workspace_id, user.user_id, theme=theme, shortcuts_enabled=shortcuts)
    if "full" not in visit.form:
        return Data({"ok": True})
    return Gone(_PATH, Flash("Saved."))


async def _change_password(doors: Doors, visit: Visit) -> Reply:
    user, form = visit.user, visit.form
    tried = Try(user.user_id, visit.remote, visit.browser)
    doors.throttle.begin(tried)
    row = await doors.database.read(lambda tx: users.get_user(tx, user.workspace_id, user.user_id))
    if not await doors.passwords.verify(row.password_hash, form.raw("current")):
        raise invalid(Problem("current", "is not right"))
    doors.throttle.succeeded(tried)
    problems = []
    if wrong := password_problem(form.raw("password"), email=user.email, name=user.name):
        problems.append(Problem("password", wrong))
    if form.raw("again") != form.raw("password"):
        problems.append(Problem("again", "is not the same"))
    if problems:
        raise invalid(*problems)
    password_hash = await doors.passwords.hash(form.raw("password"))

    async def change(tx: Tx) -> None:
        with acting(actor_of(visit)):
            await users.set_password(
                tx, user.workspace_id, user.user_id, password_hash, keep_session_id=user.session_id
            )

    await doors.database.write(change)
    return Gone(_PATH, Flash("The password was changed. You are signed out everywhere else."))


async def _sign_out_elsewhere(tx: Tx, visit: Visit) -> Reply:
    user = visit.user
    ended = await sessions.end_sessions(tx, user.workspace_id, user.user_id, keep_session_id=user.session_id)
    return Gone(_PATH, Flash(f"Signed out in {ended} other place{'' if ended == 1 else 's'}."))


PAGES = (
    show(_PATH, Permission.PROFILE, _show),
    show("/session", Permission.PROFILE, _session, scripted=True),
    act(f"{_PATH}/preferences", Permission.PROFILE, _save_preferences, again=_show),
    Page(
        method="POST",
        path=f"{_PATH}/password",
        permission=Permission.PROFILE,
        flow=_change_password,
        again=_show,
    ),
    act(f"{_PATH}/sign-out-elsewhere", Permission.PROFILE, _sign_out_elsewhere),
)
