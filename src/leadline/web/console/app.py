"""The console as an application: session, CSRF, permission, handler, page. In that order, for every request.

It stands beside the API behind the same edge and adds no rule of its own: handlers call the operations that the
API calls. Every answer carries the policy that lets a page load nothing but our own files.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from leadline.clock import Clock
from leadline.domain.errors import (
    Forbidden,
    LeadlineError,
    MethodNotAllowed,
    NotFound,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from leadline.ids import random_secret
from leadline.operations.audit import acting
from leadline.operations.sessions import SignedIn, find_session, touch_session
from leadline.operations.shell import Surroundings, load_surroundings
from leadline.store.database import Database, Tx
from leadline.web.console import assets as assets_module
from leadline.web.console.actors import actor_of
from leadline.web.console.assets import Assets
from leadline.web.console.cookies import (
    Names,
    comes_from_us,
    csrf_token,
    flash_text,
    is_csrf_token,
    read_cookies,
    read_flash,
    set_cookie,
)
from leadline.web.console.forms import Form
from leadline.web.console.navigation import current, entries_for, page_path
from leadline.web.console.rendering import Renderer
from leadline.web.console.table import Data, Doors, Download, Gone, Page, Reply, Shown, Streamed, Visit
from leadline.web.downloads import DownloadCutShort
from leadline.web.edge import ClientGone, EdgeRefusal, read_body, while_listened_to
from leadline.web.pages import policy_with
from leadline.web.problems import STATUS_OF_CODE, STATUS_OF_CONSOLE_CODE
from leadline.web.table import Context, Routes

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

log = logging.getLogger("leadline.web")

Headers = list[tuple[bytes, bytes]]
Stream = Callable[[SignedIn, str, bytes | None, int | None, "Send"], Awaitable[None]]

VISITOR_SECONDS = 365 * 86_400
LIVE_PATH = "/live"
# No stream begins further back, whatever it is asked for.
SINCE_MS_MAX = 300_000
FRAGMENT_HEADER = b"leadline-fragment"
_SECURITY_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]
_STATUS = STATUS_OF_CODE | STATUS_OF_CONSOLE_CODE
_HTML = b"text/html; charset=utf-8"
_FORM_TYPE = b"application/x-www-form-urlencoded"
_A_YEAR = b"public, max-age=31536000, immutable"


class SignInFirst(Exception):
    """A page that is looked at by somebody who is not signed in."""


@dataclass(slots=True)
class _Request:
    """What the console needs of a request, and what it learns of the caller."""

    scope: Scope
    headers: dict[bytes, bytes]
    cookies: dict[str, str]
    names: Names
    visit: Visit
    # The secret that CSRF tokens are bound to: of the session, or of a visitor.
    secret: str
    new_visitor: bool
    # Before anything was read for it (Unix ms): what happens from then on its page may not show.
    came_at_ms: int

    @property
    def fragment(self) -> str | None:
        sent = self.headers.get(FRAGMENT_HEADER)
        return None if sent is None else sent.decode("latin-1")

    @property
    def is_scripted(self) -> bool:
        """Whether a script of ours asks, which shows refusals by itself."""
        return self.fragment is not None or b"application/json" in self.headers.get(b"accept", b"")


def _since(text: str, now_ms: int) -> int | None:
    """From when on a stream is to tell (Unix ms), as its page says it; None when it says nothing."""
    if not re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
        return None
    return min(now_ms, max(int(text), now_ms - SINCE_MS_MAX))


class Console:
    """ASGI application of everything that is neither the API nor one of its plain pages."""

    def __init__(
        self,
        pages: Sequence[Page],
        *,
        database: Database,
        doors: Doors,
        context: Context,
        public_url: str,
        stream: Stream,
        clock: Clock,
    ) -> None:
        self._pages = pages
        self._routes = Routes(pages)
        self._paths = [page.path for page in pages if page.method == "GET"]
        self._database = database
        self._doors = doors
        self._context = context
        self._public_url = public_url
        self._stream = stream
        self._clock = clock
        self._assets = Assets()
        self._renderer = Renderer(self._assets)
        policy = policy_with(styles=self._assets.sources(".css"), scripts=self._assets.sources("start.js"))
        self._security_headers = [(b"content-security-policy", policy), *_SECURITY_HEADERS]

    def knows(self, path: str, accept: bytes | None) -> bool:
        """Whether a path is the console's; what is nobody's is, when a browser asks."""
        ours = path.startswith(assets_module.PREFIX) or path == LIVE_PATH
        return ours or self._routes.find(path) is not None or b"text/html" in (accept or b"")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith(assets_module.PREFIX):
            await self._send_asset(scope, send)
            return
        request = await self._request(scope)
        try:
            await self._answer(request, receive, send)
        except (EdgeRefusal, ClientGone, DownloadCutShort):
            raise
        except SignInFirst:
            await self._send_to_sign_in(request, send)
        except LeadlineError as refused:
            await self._send_refusal(request, refused, send)
        except Exception:
            log.exception("request %s failed", request.visit.request_id)
            await self._send_refusal(
                request, LeadlineError("Something went wrong on our side. Nothing was changed."), send
            )

    async def _request(self, scope: Scope) -> _Request:
        headers = dict(scope["headers"])
        secure = scope["scheme"] == "https" or self._public_url.startswith("https:")
        names = Names(secure)
        sent = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
        cookies = read_cookies(sent)
        visit = Visit(
            method=scope["method"],
            path=scope["path"],
            parameters={},
            query=Form(),
            form=Form(),
            request_id=scope["state"]["request_id"],
            context=self._context,
            remote=scope["client"][0] if scope.get("client") else "",
            user_agent=headers.get(b"user-agent", b"").decode("latin-1"),
            secure=secure,
            browser=cookies.get(names.visitor, ""),
        )
        visitor = cookies.get(names.visitor, "")
        new_visitor = not 20 <= len(visitor) <= 100
        return _Request(
            scope,
            headers,
            cookies,
            names,
            visit,
            random_secret() if new_visitor else visitor,
            new_visitor,
            self._clock.now_ms(),
        )

    async def _answer(self, request: _Request, receive: Receive, send: Send) -> None:
        await self._know_user(request)
        request.visit = replace(request.visit, query=Form.parse(request.scope["query_string"]))
        if request.visit.path == LIVE_PATH:
            await while_listened_to(receive, self._serve_stream(request, send))
            return
        page = self._find(request)
        if page.method == "POST":
            await self._read_form(request, receive)
        self._permit(page, request)
        reply = await self._perform(page, request)
        await self._send_reply(request, reply, send)

    async def _know_user(self, request: _Request) -> None:
        """Who is behind the session's cookie, if anybody."""
        text = request.cookies.get(request.names.session, "")
        if not text:
            return
        signed_in = await self._database.read(lambda tx: find_session(tx, text))
        if signed_in is None:
            return
        if signed_in.is_stale:
            # A database that cannot be written for a moment still shows pages.
            with contextlib.suppress(Unavailable):
                await self._database.write(lambda tx: touch_session(tx, signed_in))
        request.visit = replace(request.visit, signed_in=signed_in, session_text=text)
        request.secret, request.new_visitor = text, False

    def _find(self, request: _Request) -> Page:
        found = self._routes.find(request.scope["raw_path"].decode("latin-1"))
        if found is None:
            raise NotFound("There is no such page.")
        methods, parameters = found
        method = "GET" if request.visit.method == "HEAD" else request.visit.method
        page = methods.get(method)
        if page is None:
            raise MethodNotAllowed([*methods, *(["HEAD"] if "GET" in methods else [])])
        request.visit = replace(request.visit, parameters=parameters)
        return page

    async def _read_form(self, request: _Request, receive: Receive) -> None:
        """The form, when it comes from a page of ours. Raises Forbidden, UnsupportedMediaType."""
        headers = request.headers
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        ours = comes_from_us(
            origin=None if origin is None else origin.decode("latin-1"),
            fetch_site=None if site is None else site.decode("latin-1"),
            host=headers.get(b"host", b"").decode("latin-1"),
            public_url=self._public_url,
        )
        media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if media_type not in (b"", _FORM_TYPE):
            raise UnsupportedMediaType("A form is sent as application/x-www-form-urlencoded.")
        form = Form.parse(await read_body(receive))
        if not ours or not is_csrf_token(form.text("csrf"), request.secret):
            raise Forbidden("This form is too old, or does not come from this console. Reload the page.")
        request.visit = replace(request.visit, form=form)

    def _permit(self, page: Page, request: _Request) -> None:
        """Raises SignInFirst, Unauthorized, Forbidden."""
        if page.permission is None:
            return
        signed_in = request.visit.signed_in
        if signed_in is None:
            if page.method == "GET" and not page.scripted and not request.is_scripted:
                raise SignInFirst
            raise Unauthorized("The session has ended; sign in again.")
        if not signed_in.may(page.permission):
            raise Forbidden("This is not for your role.")

    async def _perform(self, page: Page, request: _Request) -> Reply:
        visit, scripted = request.visit, request.is_scripted
        try:
            if page.flow is not None:
                return await page.flow(self._doors, visit)
            return await self._handle(page, visit)
        except LeadlineError as refused:
            again, wrong = page.again, visit.refused(refused)
            if again is None or scripted:
                raise
            shown = await self._database.read(lambda tx: again(tx, wrong))
            if not isinstance(shown, Shown):
                raise
            request.visit = wrong
            return replace(shown, status=_STATUS[refused.code])

    async def _handle(self, page: Page, visit: Visit) -> Reply:
        handler = page.handler
        assert handler is not None
        if page.method == "GET":
            return await self._database.read(lambda tx: handler(tx, visit), long=page.long)
        actor = actor_of(visit)

        async def act(tx: Tx) -> Reply:
            with acting(actor):
                return await handler(tx, visit)

        return await self._database.write(act, long=page.long)

    async def _serve_stream(self, request: _Request, send: Send) -> None:
        signed_in = request.visit.signed_in
        if signed_in is None:
            raise Unauthorized("The session has ended; sign in again.")
        last = request.headers.get(b"last-event-id") or request.visit.query.text("after").encode() or None
        since_ms = _since(request.visit.query.text("since"), request.came_at_ms)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._security_headers]}
            await send(message)

        await self._stream(signed_in, request.visit.session_text, last, since_ms, send_guarded)

    async def _send_reply(self, request: _Request, reply: Reply, send: Send) -> None:
        match reply:
            case Shown():
                await self._send_page(request, reply, send)
            case Gone():
                await self._send_gone(request, reply, send)
            case Data():
                body = msgspec.json.encode(reply.value)
                await self._send(request, reply.status, body, b"application/json", send)
            case Streamed():
                await self._send_streamed(request, reply, send)
            case Download():
                name = quote(reply.filename)
                disposition = (b"content-disposition", f"attachment; filename*=UTF-8''{name}".encode())
                await self._send(
                    request, 200, reply.body, reply.media_type.encode(), send, headers=[disposition]
                )

    async def _send_streamed(self, request: _Request, reply: Streamed, send: Send) -> None:
        """A file, piece by piece: a slow reader holds no transaction, and no more than a piece."""
        name = quote(reply.filename)
        headers = [
            (b"content-type", reply.media_type.encode()),
            (b"content-disposition", f"attachment; filename*=UTF-8''{name}".encode()),
            (b"cache-control", b"no-store"),
            *self._security_headers,
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        text, after = reply.text, reply.after
        while after is not None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            text, after = await self._next_piece(request, reply, after)
        await send({"type": "http.response.body", "body": text.encode(), "more_body": False})

    async def _next_piece(self, request: _Request, reply: Streamed, after: Any) -> tuple[str, Any]:
        """Raises DownloadCutShort: half the file is out, so the connection is closed and nothing else said."""
        try:
            # Signed out in between, the rest is for nobody.
            if await self._database.read(lambda tx: find_session(tx, request.visit.session_text)) is None:
                raise Unauthorized("The session has ended.")
            return await self._database.read(lambda tx: reply.piece(tx, after), long=True)
        except LeadlineError as refused:
            raise DownloadCutShort(refused.message) from refused

    async def _send_page(self, request: _Request, shown: Shown, send: Send) -> None:
        signed_in = request.visit.signed_in
        around = None
        if signed_in is not None:
            around = await self._database.read(lambda tx: load_surroundings(tx, signed_in))
        flash = read_flash(request.cookies.get(request.names.flash, ""))
        values = {**self._shell(request, around), "flash": flash, **shown.values}
        headers = refusal_headers(request.visit.refusal)
        body: bytes | None
        if request.fragment is not None and shown.status < 400:
            values["flash"] = None
            body = self._renderer.fragment(shown.template, request.fragment, values)
            if body is None:
                raise NotFound("This page has no such part.")
        else:
            body = self._renderer.page(shown.template, values)
            if flash is not None:
                headers.append(self._cookie(request, request.names.flash, "", 0))
        await self._send(request, shown.status, body, _HTML, send, headers=headers)

    def _shell(self, request: _Request, around: Surroundings | None) -> dict[str, Any]:
        visit = request.visit
        entries = entries_for(visit.signed_in, self._paths) if visit.signed_in is not None else []
        return {
            "visit": visit,
            "user": visit.signed_in,
            "csrf": csrf_token(request.secret),
            "navigation": entries,
            "current": current(entries, visit.path),
            "around": around,
            "came_at_ms": request.came_at_ms,
            "page_path": page_path(self._routes, request.scope["raw_path"].decode("latin-1")),
            "flash": None,
        }

    async def _send_gone(self, request: _Request, gone: Gone, send: Send) -> None:
        headers: Headers = [(b"set-cookie", each) for each in gone.cookies]
        if gone.flash is not None:
            headers.append(self._cookie(request, request.names.flash, flash_text(gone.flash), 60))
        if request.is_scripted:
            # A script goes there by itself, when it has seen that all went well.
            body = msgspec.json.encode({"to": gone.to})
            await self._send(request, 200, body, b"application/json", send, headers=headers)
            return
        headers.append((b"location", gone.to.encode()))
        await self._send(request, 303, b"", _HTML, send, headers=headers)

    async def _send_to_sign_in(self, request: _Request, send: Send) -> None:
        wanted = request.visit.path
        query = request.scope["query_string"].decode("latin-1")
        after = f"{wanted}?{query}" if query else wanted
        to = "/sign-in" if after == "/" else f"/sign-in?next={quote(after, safe='')}"
        await self._send_gone(request, Gone(to), send)

    async def _send_refusal(self, request: _Request, refused: LeadlineError, send: Send) -> None:
        status = _STATUS[refused.code]
        headers = refusal_headers(refused)
        if request.is_scripted:
            body = msgspec.json.encode(refusal_data(refused))
            await self._send(request, status, body, b"application/json", send, headers=headers)
            return
        values = {**self._shell(request, None), "status": status, "refused": refused}
        body = self._renderer.page("error.html", values)
        await self._send(request, status, body, _HTML, send, headers=headers)

    async def _send(
        self,
        request: _Request,
        status: int,
        body: bytes,
        media_type: bytes,
        send: Send,
        *,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        sent = [
            (b"content-type", media_type),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            *self._security_headers,
            *headers,
        ]
        if request.new_visitor and media_type == _HTML:
            sent.append(self._cookie(request, request.names.visitor, request.secret, VISITOR_SECONDS))
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": body})

    def _cookie(self, request: _Request, name: str, value: str, seconds: int | None) -> tuple[bytes, bytes]:
        return b"set-cookie", set_cookie(name, value, secure=request.visit.secure, seconds=seconds)

    async def _send_asset(self, scope: Scope, send: Send) -> None:
        found = self._assets.find(scope["path"])
        if found is None:
            raise NotFound("There is no such file.")
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(("GET", "HEAD"))
        asset, is_current = found
        sent = dict(scope["headers"])
        headers = [
            (b"content-type", asset.media_type),
            (b"etag", asset.etag),
            (b"cache-control", _A_YEAR if is_current else b"no-cache"),
            (b"vary", b"accept-encoding"),
            *self._security_headers,
        ]
        if sent.get(b"if-none-match") == asset.etag:
            await send({"type": "http.response.start", "status": 304, "headers": headers[1:]})
            await send({"type": "http.response.body", "body": b""})
            return
        body = asset.body
        if b"gzip" in sent.get(b"accept-encoding", b""):
            body = asset.compressed
            headers.append((b"content-encoding", b"gzip"))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def refusal_headers(refused: LeadlineError | None) -> Headers:
    """What a refusal says beside its page."""
    headers: Headers = []
    if isinstance(refused, MethodNotAllowed):
        headers.append((b"allow", ", ".join(refused.allowed).encode()))
    if refused is not None and refused.retry_after_seconds is not None:
        headers.append((b"retry-after", str(refused.retry_after_seconds).encode()))
    return headers


def refusal_data(refused: LeadlineError) -> Mapping[str, Any]:
    """A refusal for a script of ours: as the API's, without what only callers need."""
    details = [{"field": each.field, "message": each.message} for each in refused.details]
    return {"ok": False, "error": refused.code, "message": refused.message, "details": details}
