"""The outermost layer around the web application: what is judged before any route is looked at.

    EdgeRefusal (a LeadlineError)
    ├── MalformedRequest   400  the head, or the way the body is framed
    ├── BodyBroken         400  the body ended early, or its chunks make no sense
    ├── BodyTooSlow        400  the body did not arrive in time
    └── BodyTooLarge       413
    ClientGone                  nobody is left to answer

`leadline.web.protocol` refuses what is no HTTP at all; this module refuses what is HTTP but breaks
contract § 1. Both answer with the same envelope, written by `problem`; a browser that goes somewhere gets a page.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from leadline.clock import monotonic_seconds
from leadline.domain.errors import InvalidRequest, LeadlineError, PayloadTooLarge
from leadline.ids import new_id
from leadline.web import refusal_page

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES_MAX = 64 * 1024
"""Contract § 1: a body over 64 KiB is refused."""

CLIENT_GONE = 499
"""Told of a request whose caller went away before its answer had begun, as others do; it is never sent."""

log = logging.getLogger("leadline.web")

# Sane: one short line that can be copied into a shell, a URL or a log query without escaping.
_SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
# A registered name or IPv4 address, or an IPv6 address in brackets; then perhaps a port.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?")
_WATCHED = frozenset({b"host", b"content-length", b"transfer-encoding", b"x-request-id"})
_CLOSE = (b"connection", b"close")


class EdgeRefusal(LeadlineError):
    """A request that is refused for its form. The connection is closed after the answer."""

    status: ClassVar[int] = 400


class MalformedRequest(EdgeRefusal, InvalidRequest):
    """The head, or the framing of the body, breaks contract § 1."""


class BodyBroken(EdgeRefusal, InvalidRequest):
    """The body ended before its announced end, or its chunks are malformed."""


class BodyTooSlow(EdgeRefusal, InvalidRequest):
    """The body did not arrive within its deadline."""


class BodyTooLarge(EdgeRefusal, PayloadTooLarge):
    """The body is larger than the limit, whether announced or counted."""

    status = 413

    def __init__(self, body_bytes_max: int) -> None:
        super().__init__(f"The body is larger than {body_bytes_max} bytes.")


class ClientGone(Exception):
    """The caller went away before its body was complete. Nobody reads an answer."""


def problem(
    code: str, message: str, request_id: str, *, details: Iterable[Any] = (), **pointers: object
) -> bytes:
    """The JSON of a failure (contract § 1). `details` are objects with `field` and `message`."""
    return msgspec.json.encode(
        {
            "ok": False,
            "error": code,
            "message": message,
            "details": list(details),
            "request_id": request_id,
            **pointers,
        }
    )


def request_id_from(sent: bytes | None) -> str:
    """The caller's `X-Request-Id` when it is sane (1-128 of `A-Z a-z 0-9 . _ : / + = -`), else a UUIDv7."""
    if sent is not None and _SANE_REQUEST_ID.fullmatch(sent):
        return sent.decode("ascii")
    return new_id()


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request.

    Raises `BodyTooLarge`, `BodyTooSlow` or `BodyBroken`, which the guard answers when they are let
    through, and `ClientGone` when the connection is lost.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return bytes(message.get("body", b""))  # the usual case: all of it in one piece
    parts: list[bytes] = []
    while message["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()
    raise ClientGone


async def while_listened_to(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do `work`, an answer without an end, until it ends or the caller has gone; then it is cancelled."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(_departure(receive))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in (working, gone):
            each.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)
    if not working.cancelled():
        working.result()


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_problem(
    send: Send,
    status: int,
    body: bytes,
    *,
    media_type: bytes = b"application/json",
    headers: Iterable[tuple[bytes, bytes]] = (),
    closing: bool = True,
) -> None:
    """Send one whole answer, as made by `problem`; by default the connection is closed after it."""
    fields = [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *headers]
    if closing:
        fields.append(_CLOSE)
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body, "more_body": False})


Answered = Callable[["Scope", int, float], None]
"""Told when a request is over: its scope, the status that was sent (499: nobody was left), seconds."""


def guarded(
    app: ASGIApp, *, body_bytes_max: int = BODY_BYTES_MAX, answered: Answered | None = None
) -> ASGIApp:
    """Wrap the application so that it only sees requests whose form keeps contract § 1.

    - Exactly one valid Host, one length, and an announced length within `body_bytes_max`; else 400 or 413
      without reading the body, and the connection is closed.
    - A body without announced length raises `BodyTooLarge` out of `receive` once it is over the limit.
    - `scope["state"]["request_id"]` is set, and every answer carries `X-Request-Id`.
    - A refusal or an error that escapes the application is answered (500 `internal_error` for an
      unforeseen one, logged with its traceback), unless an answer has already begun.
    - `answered` is told of every request once it is over, however it ended.
    """

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        started = monotonic_seconds()
        sent_id, body_is_chunked, refusal = _judge_head(scope["headers"], body_bytes_max)
        request_id = request_id_from(sent_id)
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(scope, send, request_id)
        if body_is_chunked:
            receive = _CountedBody(receive, answer, body_bytes_max).receive
        try:
            if refusal is not None:
                await answer.refuse(refusal)
            else:
                await _run(app, scope, receive, answer)
        except asyncio.CancelledError:
            answer.status = answer.status or 503  # what the server answers for us when its grace is over
            raise
        finally:
            if answered is not None:
                answered(scope, answer.status or CLIENT_GONE, monotonic_seconds() - started)

    return guard


async def _run(app: ASGIApp, scope: Scope, receive: Receive, answer: _Answer) -> None:
    """Run the application, and answer what escapes it."""
    try:
        await app(scope, receive, answer.send)
    except EdgeRefusal as raised:
        await answer.refuse(raised)
    except ClientGone:
        pass
    except Exception:
        log.exception("a request failed", extra={"request_id": answer.request_id})
        await answer.fail()


class _Answer:
    """The answer to one request: adds `X-Request-Id`, and knows whether it has begun."""

    __slots__ = ("_id_field", "_scope", "_send", "closing", "request_id", "started", "status")

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self._scope = scope
        self._send = send
        self.request_id = request_id
        self._id_field = (b"x-request-id", request_id.encode("ascii"))
        self.started = False
        self.closing = False
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            headers = [*message.get("headers", ()), self._id_field]
            if self.closing and _CLOSE not in headers:
                headers.append(_CLOSE)
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, refusal: EdgeRefusal) -> None:
        if self.started:
            raise refusal  # half an answer cannot be taken back; the server closes the connection
        await self._tell(refusal.status, refusal.code, refusal.message, _details(refusal))

    async def fail(self) -> None:
        if self.started:
            raise AnswerCutShort
        await self._tell(500, "internal_error", "Something went wrong on our side.", [])

    async def _tell(self, status: int, code: str, message: str, details: list[dict[str, str]]) -> None:
        if refusal_page.wants_page(self._scope["headers"], self._scope["path"]):
            body = refusal_page.refusal_page(status, message, self.request_id)
            media_type, headers = b"text/html; charset=utf-8", refusal_page.HEADERS
        else:
            body = problem(code, message, self.request_id, details=details)
            media_type, headers = b"application/json", ()
        await send_problem(self.send, status, body, media_type=media_type, headers=headers)


class AnswerCutShort(Exception):
    """The application failed in the middle of its answer; all that is left is to close the connection."""


class _CountedBody:
    """`receive` of a body whose length was not announced: raises once it is over the limit."""

    __slots__ = ("_answer", "_body_bytes", "_body_bytes_max", "_receive")

    def __init__(self, receive: Receive, answer: _Answer, body_bytes_max: int) -> None:
        self._receive = receive
        self._answer = answer
        self._body_bytes = 0
        self._body_bytes_max = body_bytes_max

    async def receive(self) -> Message:
        if self._body_bytes <= self._body_bytes_max:
            message = await self._receive()
            self._body_bytes += len(message.get("body", b""))
            if self._body_bytes <= self._body_bytes_max:
                return message
        # Whoever answers, the rest is not read: the connection ends with the answer.
        self._answer.closing = True
        raise BodyTooLarge(self._body_bytes_max)


def _judge_head(
    headers: Iterable[tuple[bytes, bytes]], body_bytes_max: int
) -> tuple[bytes | None, bool, EdgeRefusal | None]:
    """The caller's request id if it sent exactly one, whether the body is chunked, and what is wrong."""
    hosts: list[bytes] = []
    lengths: list[bytes] = []
    encodings: list[bytes] = []
    ids: list[bytes] = []
    for name, value in headers:
        if name in _WATCHED:
            if name == b"host":
                hosts.append(value)
            elif name == b"content-length":
                lengths.append(value)
            elif name == b"x-request-id":
                ids.append(value)
            else:
                encodings.append(value)
    sent_id = ids[0] if len(ids) == 1 else None
    refusal = _judge_host(hosts)
    if refusal is None and (lengths or encodings):
        refusal = _judge_lengths(lengths, encodings, body_bytes_max)
    return sent_id, bool(encodings), refusal


def _judge_host(hosts: list[bytes]) -> EdgeRefusal | None:
    if len(hosts) != 1:
        return MalformedRequest("A request has exactly one Host header.")
    match = _HOST.fullmatch(hosts[0])
    if match is None or (match[1] is not None and int(match[1]) > 65535):
        return MalformedRequest("The Host header is not a host, or a host and a port.")
    return None


def _judge_lengths(lengths: list[bytes], encodings: list[bytes], body_bytes_max: int) -> EdgeRefusal | None:
    if len(lengths) + len(encodings) != 1:
        return MalformedRequest("A request has one Content-Length or one Transfer-Encoding, not several.")
    if encodings:
        if encodings[0].lower() == b"chunked":
            return None
        return MalformedRequest("The only Transfer-Encoding understood is chunked.")
    if not lengths[0].isdigit() or len(lengths[0]) > 20:
        return MalformedRequest("Content-Length is not a number of bytes.")
    return BodyTooLarge(body_bytes_max) if int(lengths[0]) > body_bytes_max else None


def _details(refusal: EdgeRefusal) -> list[dict[str, str]]:
    return [item._asdict() for item in refusal.details]
