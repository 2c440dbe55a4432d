"""Signing in and out, and the one-use links that set a password.

An unknown address answers like a wrong password and takes as long: nobody learns who has an account.
"""

from __future__ import annotations

from dataclasses import dataclass

from leadline.domain.access import Permission, Role, hash_token
from leadline.domain.errors import InvalidRequest, Problem, Unauthorized
from leadline.domain.limits import PASSWORD_CHARACTERS_MAX, SESSION_ABSOLUTE_MS
from leadline.domain.users import email_key, email_problem, password_problem, user_problems
from leadline.operations import sessions, users
from leadline.operations.audit import Actor, ActorKind, acting
from leadline.operations.users import Account, NewUser
from leadline.store.database import Tx
from leadline.store.users import UserRow
from leadline.web.console.cookies import Names, set_cookie
from leadline.web.console.forms import invalid
from leadline.web.console.table import Doors, Flash, Gone, Page, Reply, Shown, Visit, act, show
from leadline.web.console.throttle import Try

HOME = "/"
_WRONG = "That is not the right address and password."


async def _show_sign_in(_tx: Tx, visit: Visit) -> Reply:
    if visit.signed_in is not None:
        return Gone(local_path(visit.query.text("next")))
    after = visit.form.text("next") or visit.query.text("next")
    return Shown("sign-in.html", {"next": local_path(after), "accounts": []})


def local_path(text: str) -> str:
    """A path of this console, whatever somebody put into a link."""
    plain = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if plain and text.isascii() else HOME


async def _sign_in(doors: Doors, visit: Visit) -> Reply:
    email, password = visit.form.text("email"), visit.form.raw("password")
    tried = Try(hash_token(email_key(email)), visit.remote, visit.browser)
    doors.throttle.begin(tried)
    if email_problem(email) or not 1 <= len(password) <= PASSWORD_CHARACTERS_MAX:
        raise InvalidRequest(_WRONG)
    found = await doors.database.read(lambda tx: users.accounts_of(tx, email))
    matching = await _matching(doors, found, password)
    if not matching:
        raise InvalidRequest(_WRONG)
    doors.throttle.succeeded(tried)
    chosen = _chosen(matching, visit.form.text("workspace_id"))
    if chosen is None:
        after = local_path(visit.form.text("next"))
        options = [(each.user.workspace_id, each.workspace_name) for each in matching]
        return Shown("sign-in.html", {"next": after, "accounts": matching, "account_options": options})
    return await _start(doors, visit, chosen.user, local_path(visit.form.text("next")))


async def _matching(doors: Doors, found: list[Account], password: str) -> list[Account]:
    """The accounts that this password opens. One hash is computed at least, and each account's own."""
    able = [each for each in found if each.user.password_hash and each.user.disabled_at is None]
    if not able:
        await doors.passwords.verify(None, password)
    return [each for each in able if await doors.passwords.verify(each.user.password_hash, password)]


def _chosen(matching: list[Account], workspace_id: str) -> Account | None:
    if len(matching) == 1:
        return matching[0]
    return next((each for each in matching if each.user.workspace_id == workspace_id), None)


async def _start(doors: Doors, visit: Visit, user: UserRow, after: str, flash: Flash | None = None) -> Gone:
    async def start(tx: Tx) -> str:
        try:
            return await sessions.start_session(tx, user, user_agent=visit.user_agent)
        except Unauthorized:
            raise InvalidRequest(_WRONG) from None

    text = await doors.database.write(start)
    cookie = set_cookie(
        Names(visit.secure).session, text, secure=visit.secure, seconds=SESSION_ABSOLUTE_MS // 1000
    )
    return Gone(after, flash, cookies=(cookie,))


async def _sign_out(tx: Tx, visit: Visit) -> Reply:
    await sessions.end_session(tx, visit.workspace_id, visit.user.session_id)
    gone = set_cookie(Names(visit.secure).session, "", secure=visit.secure, seconds=0)
    return Gone("/sign-in", Flash("You are signed out."), cookies=(gone,))


async def _show_link(tx: Tx, visit: Visit) -> Reply:
    """What the link is for. Looking at it does not use it up: mail scanners and browsers look too."""
    try:
        link = await users.open_link(tx, visit.parameters["link"])
    except users.LinkGone:
        return Shown("link-gone.html", status=404)
    return Shown("link.html", {"invited": link.user})


@dataclass(frozen=True, slots=True)
class _Choice:
    password: str
    new: NewUser | None


async def _use_link(doors: Doors, visit: Visit) -> Reply:
    text = visit.parameters["link"]
    tried = Try("link", visit.remote)
    doors.throttle.begin(tried)
    link = await doors.database.read(lambda tx: users.open_link(tx, text))
    doors.throttle.succeeded(tried)
    choice = _choice(visit, link.user)
    password_hash = await doors.passwords.hash(choice.password)

    async def use(tx: Tx) -> UserRow:
        with acting(actor_with_link(visit, link.user)):
            return await users.use_link(tx, text, password_hash, choice.new)

    user = await doors.database.write(use)
    return await _start(doors, visit, user, HOME, Flash(f"Welcome, {user.name}."))


def _choice(visit: Visit, invited: UserRow | None) -> _Choice:
    """What was typed. Raises InvalidRequest with every problem."""
    form = visit.form
    password = form.raw("password")
    new = None if invited is not None else NewUser(form.text("email"), form.text("name"), Role.ADMINISTRATOR)
    email, name = (
        (invited.email, invited.name) if invited is not None else (form.text("email"), form.text("name"))
    )
    problems: list[Problem] = []
    if new is not None:
        problems += user_problems(email=new.email, name=new.name, role=new.role, agent_id=None)
    if wrong := password_problem(password, email=email, name=name):
        problems.append(Problem("password", wrong))
    if form.raw("again") != password:
        problems.append(Problem("again", "is not the same"))
    if problems:
        raise invalid(*problems)
    return _Choice(password, new)


def actor_with_link(visit: Visit, invited: UserRow | None) -> Actor:
    """Whoever holds a link is the user it was made for, or the first administrator."""
    if invited is None:
        return Actor(ActorKind.SYSTEM, name="First-run link", request_id=visit.request_id)
    return Actor(ActorKind.USER, invited.user_id, invited.name, visit.request_id)


PAGES = (
    show("/sign-in", None, _show_sign_in),
    Page(method="POST", path="/sign-in", permission=None, flow=_sign_in, again=_show_sign_in),
    act("/sign-out", Permission.PROFILE, _sign_out),
    show("/link/{link}", None, _show_link),
    Page(method="POST", path="/link/{link}", permission=None, flow=_use_link, again=_show_link),
)
