"""The console's table of pages: which path shows or does what, and who may.

A handler is `async def handler(tx, visit) -> Reply` and runs in one transaction, as the API's do: a GET only reads,
a POST writes. What it refuses (any LeadlineError) changes nothing: the page's `again` is then shown with what was typed
and what is wrong with it, or an error page when it has none. A few pages need more than one transaction (signing
in hashes a password in between); they have a `flow` instead, which gets the doors to database and passwords.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from leadline.domain.access import ALL_SCOPES, Permission, Principal
from leadline.domain.errors import LeadlineError
from leadline.domain.paging import PageRequest, page_request
from leadline.operations.sessions import SignedIn
from leadline.store.database import Database, Tx
from leadline.web.console.forms import Form
from leadline.web.table import Context

if TYPE_CHECKING:
    from leadline.web.console.passwords import Passwords
    from leadline.web.console.throttle import Throttle

ROWS = 25


@dataclass(frozen=True, slots=True)
class Flash:
    """One sentence for the next page that is shown."""

    text: str
    kind: str = "success"


@dataclass(frozen=True, slots=True)
class Shown:
    """A page: a template and its values."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Gone:
    """To another page (303), perhaps with a sentence that is shown there."""

    to: str
    flash: Flash | None = None
    cookies: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Data:
    """JSON, for our own scripts."""

    value: Any
    status: int = 200


@dataclass(frozen=True, slots=True)
class Download:
    """A file."""

    filename: str
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Streamed:
    """A file of any length: `text` is its first piece, and `piece` reads another in a transaction of its own.

    It answers the piece and where the next begins, None behind the last.
    """

    filename: str
    media_type: str
    text: str
    after: Any
    piece: Callable[[Tx, Any], Awaitable[tuple[str, Any]]]


Reply = Shown | Gone | Data | Download | Streamed


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to a page, read and judged."""

    method: str
    path: str
    parameters: Mapping[str, str]
    query: Form
    form: Form
    request_id: str
    context: Context
    signed_in: SignedIn | None = None
    session_text: str = ""
    remote: str = ""
    # The random secret that this browser keeps, signed in or not.
    browser: str = ""
    user_agent: str = ""
    secure: bool = False
    # What was refused, when the page is shown again.
    refusal: LeadlineError | None = None

    @property
    def user(self) -> SignedIn:
        """Who is signed in; only for pages that need it."""
        assert self.signed_in is not None
        return self.signed_in

    @property
    def workspace_id(self) -> str:
        return self.user.workspace_id

    @property
    def principal(self) -> Principal:
        """The user as the API's rules of input know a caller."""
        user = self.user
        return Principal(user.workspace_id, user.user_id, ALL_SCOPES, user.region, user.outcomes_enabled)

    def refused(self, error: LeadlineError) -> Visit:
        """The same visit, to be shown again with what is wrong."""
        return replace(self, refusal=error)

    def page(self, rows: int = ROWS) -> PageRequest:
        """Where `?cursor=` stands. Raises InvalidRequest for one that is none of ours."""
        return page_request(rows, self.query.optional("cursor"))

    def value(self, name: str, default: Any = "") -> Any:
        """What was typed into a field, or what is there when nothing was typed yet."""
        return self.form.text(name) if self.refusal is not None else default

    def ticked(self, name: str, default: bool = False, value: str | None = None) -> bool:
        """Whether a checkbox is to be shown ticked; `value` of several that share a name."""
        if self.refusal is None:
            return default
        return self.form.flag(name) if value is None else value in self.form.texts(name)

    def problem(self, name: str) -> str | None:
        """What is wrong with a field."""
        details = () if self.refusal is None else self.refusal.details
        return next((each.message for each in details if each.field.partition(".")[0] == name), None)

    @property
    def query_string(self) -> str:
        """The parameters of the address, for a form that comes back to it."""
        from urllib.parse import urlencode  # noqa: PLC0415

        return urlencode({name: self.query.text(name) for name in self.query.names()})

    def url_with(self, **changes: str | None) -> str:
        """This page's address with other parameters (None takes one away) and from its first page."""
        from urllib.parse import urlencode  # noqa: PLC0415

        kept = {name: self.query.text(name) for name in self.query.names() if name != "cursor"}
        wanted = {name: value for name, value in {**kept, **changes}.items() if value}
        return f"{self.path}?{urlencode(wanted)}" if wanted else self.path


Handler = Callable[[Tx, Visit], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Doors:
    """What a flow may reach."""

    database: Database
    passwords: Passwords
    throttle: Throttle


Flow = Callable[[Doors, Visit], Awaitable[Reply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One route of the console. Without a permission it is for everybody, also signed out."""

    method: str
    path: str
    permission: Permission | None
    handler: Handler | None = None
    flow: Flow | None = None
    # Shown, with the status of the refusal, when a POST is refused.
    again: Handler | None = None
    # A GET that is for scripts and streams: signed out it is refused, and not sent to sign in.
    scripted: bool = False
    # It may take more than a moment.
    long: bool = False


def show(
    path: str,
    permission: Permission | None,
    handler: Handler,
    *,
    scripted: bool = False,
    long: bool = False,
) -> Page:
    """A page that is looked at."""
    return Page(
        method="GET",
        path=path,
        permission=permission,
        handler=handler,
        scripted=scripted,
        long=long,
    )


def act(
    path: str,
    permission: Permission | None,
    handler: Handler,
    *,
    again: Handler | None = None,
    long: bool = False,
) -> Page:
    """A form that does something."""
    return Page(method="POST", path=path, permission=permission, handler=handler, again=again, long=long)
