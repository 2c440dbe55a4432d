"""HTTP/1.1 on one connection: uvicorn's httptools protocol, made strict, bounded and patient with answers.

What differs from uvicorn, so that nothing sent gives a 5xx, a hang or a second answer (contract § 1):

- Head and body have deadlines and sizes, connections and pipelines have a bound.
- What httptools refuses is answered once, in our envelope, and nothing after it is parsed. Garbage behind a
  request that is still being answered gets no answer of its own: it may be the tail of that request's body.
- A trailer never becomes a header; an `Upgrade` is ignored, and the body behind it is still read.
- A half-closed caller gets its answer, and closing waits for what the caller is still sending, because
  closing a socket with unread bytes resets it and may destroy the answer on its way.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from leadline.ids import new_id
from leadline.web.cycle import Cycle, LingeringTransport
from leadline.web.edge import BodyBroken, BodyTooSlow, EdgeRefusal, MalformedRequest, problem

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

log = logging.getLogger("leadline.web")

_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"expect"})


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one server. Head and body deadlines are contract § 1; the others are ours."""

    head_seconds: float = 10.0
    body_seconds: float = 10.0
    keep_alive_seconds: float = 65.0
    """How long a connection may rest between requests; over the usual 60 s of load balancers."""
    linger_seconds: float = 2.0
    """How long a closing connection waits for the caller to stop sending."""
    write_seconds: float = 60.0
    """How long a caller may leave an answer unread before the connection is cut."""
    head_bytes_max: int = 32 * 1024
    line_bytes_max: int = 16 * 1024
    headers_max: int = 100
    wire_bytes_max: int = 1024 * 1024
    """Body and its framing (chunk sizes, extensions, trailers) together, also of a body nobody reads."""
    pipeline_max: int = 32
    connections_max: int = 10_000

    @property
    def shortest_seconds(self) -> float:
        """The shortest of the deadlines: they have to be looked at more often than this."""
        ends = (self.head_seconds, self.body_seconds, self.keep_alive_seconds)
        return min(*ends, self.linger_seconds, self.write_seconds)


class Phase(enum.Enum):
    """What the next byte of a connection belongs to."""

    BETWEEN = "between"
    HEAD = "head"
    BODY = "body"
    DEAF = "deaf"
    """To nothing: it is thrown away, and the connection closes when its answers are sent."""


_INCOMPLETE = frozenset({Phase.HEAD, Phase.BODY})


class State(ServerState):
    """What the connections of one server share."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.exiting = asyncio.Event()
        self.all_closed = asyncio.Event()


class _Stop(Exception):
    """Nothing more is parsed on this connection, and there is nothing to answer."""


class Connection(HttpToolsProtocol):
    """One connection.

    Deadlines are kept by `check_deadline`, which the server calls for all connections a few times a second:
    cheaper than a timer for each request.
    """

    server_state: State
    cycle: Cycle | None  # type: ignore[assignment]

    def __init__(
        self,
        config: Config,
        server_state: State,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = server_state.limits
        self.phase = Phase.BETWEEN
        self.closing = False
        self._deadline_seconds: float | None = None
        self._socket: asyncio.Transport | None = None
        self._refusal: EdgeRefusal | None = None
        self._framing: bytes | None = None
        self._headers_count = 0
        self._head_bytes = 0
        self._pending_bytes: int | None = None
        self._body_skipped = False
        self._half_closed = False
        self._flushing = False
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take up the connection, or close it at once when there are too many or the server stops."""
        super().connection_made(transport)
        self._socket = transport
        self.transport = cast("asyncio.Transport", LingeringTransport(transport, self.close))
        self._deadline_seconds = self.loop.time() + self.limits.head_seconds
        if len(self.connections) > self.limits.connections_max or self.server_state.exiting.is_set():
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the running application that its caller has gone."""
        self.closing = True
        self.phase = Phase.DEAF
        self.pipeline.clear()
        if self._running is not None:
            # uvicorn tells only the newest request, which may be one that still waits in the pipeline.
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)
        if not self.connections:
            self.server_state.all_closed.set()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The caller sends nothing more. What is complete is still answered."""
        self._half_closed = True
        if self.phase is Phase.HEAD:
            self._refuse(MalformedRequest("The request ended before its head was complete."))
        elif self.phase is Phase.BODY:
            self._refuse(BodyBroken("The body ended before its announced end."))
        if self.closing or self._all_answered():
            return False
        assert self.cycle is not None
        self.cycle.see_end_of_input()
        return True

    def close(self) -> None:
        """Close once everything written has been sent and the caller has stopped sending, within bounds."""
        if self.closing or self._socket is None:
            return
        self.closing = True
        quiet = self.phase is Phase.BETWEEN and not self.flow.read_paused
        self.phase = Phase.DEAF
        self.pipeline.clear()
        self._pending_bytes = 0
        self._deadline_seconds = None
        if self._socket.is_closing():
            return
        if quiet or self._half_closed:
            self._socket.close()
        else:
            self.flow.resume_reading()
            self._socket.write_eof()

    def abort(self) -> None:
        """Close now, whatever is lost."""
        self.closing = True
        self.phase = Phase.DEAF
        if self._socket is not None:
            self._socket.abort()

    def shutdown(self) -> None:
        """The server stops: close now if idle, else after the answers that are due."""
        if self._all_answered() and self.phase is not Phase.HEAD:
            self.close()
        elif self.cycle is not None:
            self.cycle.keep_alive = False

    def _all_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def check_deadline(self, now_seconds: float) -> None:
        """Act if a deadline has passed; `now_seconds` is the event loop's time."""
        if self._deadline_seconds is None:
            self._deadline_seconds = self._next_deadline(now_seconds)
        elif now_seconds >= self._deadline_seconds:
            self._deadline_seconds = None
            self._be_late(now_seconds)

    def _next_deadline(self, now_seconds: float) -> float | None:
        if self.closing:
            return now_seconds + self.limits.linger_seconds
        if self.flow.write_paused:
            return now_seconds + self.limits.write_seconds
        if self.phase is Phase.BETWEEN and self._all_answered():
            return now_seconds + self.limits.keep_alive_seconds
        return None

    def _be_late(self, now_seconds: float) -> None:
        assert self._socket is not None
        if self.closing:
            self._cut_or_wait(now_seconds)
        elif self.flow.write_paused:
            self.abort()
        elif self.phase is Phase.HEAD:
            self._refuse(MalformedRequest("The head of the request did not arrive in time."))
        elif self.phase is Phase.BODY and self.flow.read_paused:
            # It is we who do not read: the caller's time begins again.
            self._deadline_seconds = now_seconds + self.limits.body_seconds
        elif self.phase is Phase.BODY:
            self._refuse(BodyTooSlow("The body did not arrive in time."))
        elif self._all_answered():
            self.close()  # idle, or nothing ever came: nobody asked, so nobody is answered

    def _cut_or_wait(self, now_seconds: float) -> None:
        """A closing connection that still has an answer to send gets the time to send it, but only once."""
        assert self._socket is not None
        if not self._flushing and self._socket.get_write_buffer_size() > 0:
            self._flushing = True
            self._deadline_seconds = now_seconds + self.limits.write_seconds
        else:
            self.abort()

    def pause_writing(self) -> None:
        """The caller does not read its answer: it has `write_seconds` to go on."""
        super().pause_writing()
        if not self.closing:
            self._deadline_seconds = self.loop.time() + self.limits.write_seconds

    def resume_writing(self) -> None:
        """The caller reads again."""
        super().resume_writing()
        if not self.closing:
            self._deadline_seconds = None
            self._arm_deadline()

    def _arm_deadline(self) -> None:
        if self.phase is Phase.HEAD:
            self._deadline_seconds = self.loop.time() + self.limits.head_seconds
        elif self.phase is Phase.BODY:
            self._deadline_seconds = self.loop.time() + self.limits.body_seconds

    def data_received(self, data: bytes) -> None:
        """Parse what has come, and bound what is still incomplete."""
        if self.phase is Phase.DEAF:
            self._discard(len(data))
            return
        self._feed(data)
        if self.phase in _INCOMPLETE:
            self._bound_incomplete(len(data))

    def _bound_incomplete(self, count: int) -> None:
        if self._deadline_seconds is None:
            self._arm_deadline()
        # The read in which a part began is not counted: most of it may belong to what came before.
        self._pending_bytes = 0 if self._pending_bytes is None else self._pending_bytes + count
        if self.phase is Phase.HEAD and self._pending_bytes > self.limits.head_bytes_max:
            # `_count_head` is exact, but does not see a line before its end.
            self._refuse(MalformedRequest("The head of the request is too large."))
        elif self.phase is Phase.BODY and self._pending_bytes > self.limits.wire_bytes_max:
            self._refuse(BodyBroken("The body and its framing are too large."))

    def _discard(self, count: int) -> None:
        self._pending_bytes = (self._pending_bytes or 0) + count
        if self._pending_bytes > self.limits.wire_bytes_max:
            self.flow.pause_reading()  # the deadline of a closing connection does the rest

    def _feed(self, data: bytes) -> None:
        try:
            while data:
                data = self._feed_until_upgrade(data)
        except httptools.HttpParserError as error:
            refusal, self._refusal = self._refusal, None
            if self.phase is Phase.DEAF:
                return  # `on_message_begin` has seen enough
            if isinstance(error, httptools.HttpParserCallbackError) and refusal is None:
                log.error("a parser callback failed", exc_info=error.__context__)
            broken = BodyBroken if self.phase is Phase.BODY else MalformedRequest
            self._refuse(refusal or broken(f"This is not valid HTTP: {error}."))

    def _feed_until_upgrade(self, data: bytes) -> bytes:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._body_skipped:
                self._resume_skipped_body()
            return data[upgrade.args[0] :]
        return b""

    def _resume_skipped_body(self) -> None:
        """Put a second parser in front of a body that the first one skipped.

        Httptools does that when a request asks for an upgrade, and clients that prefer HTTP/2 ask with every
        request (Java's does).
        """
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        assert self._framing is not None
        name = b"transfer-encoding" if self._framing == b"chunked" else b"content-length"
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b: %b\r\n\r\n" % (name, self._framing))
        self._body_skipped = False

    def _refuse(self, refusal: EdgeRefusal) -> None:
        """Parse nothing more. Exactly one answer is due for the request that is refused."""
        cycle, phase = self.cycle, self.phase
        self.phase = Phase.DEAF
        self._pending_bytes = 0
        if self.closing:
            return
        if cycle is None or (cycle.response_complete and phase is not Phase.BODY):
            self._write_refusal(refusal)
            self.close()
        elif cycle.response_complete:
            self.close()  # answered before its body was complete, and nobody wants the body
        elif phase is Phase.BODY:
            cycle.fail(refusal)
        else:
            cycle.keep_alive = False

    def _write_refusal(self, refusal: EdgeRefusal) -> None:
        request_id = new_id()
        body = problem(refusal.code, refusal.message, request_id)
        head = [STATUS_LINE[refusal.status]]
        head += [b"%b: %b\r\n" % field for field in self.server_state.default_headers]
        head.append(b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body))
        head.append(b"x-request-id: %b\r\nconnection: close\r\n\r\n" % request_id.encode("ascii"))
        self.transport.write(b"".join(head) + body)

    def on_message_begin(self) -> None:
        """Begin a request, unless the one before was the last of this connection."""
        if self._body_skipped:
            return
        cycle = self.cycle
        if cycle is not None and (not cycle.keep_alive or len(self.pipeline) >= self.limits.pipeline_max):
            cycle.keep_alive = False
            self.phase = Phase.DEAF
            raise _Stop
        self.phase = Phase.HEAD
        self._deadline_seconds = None
        self._framing = None
        self._headers_count = self._head_bytes = 0
        self._pending_bytes = None
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take the request target, which may come in pieces."""
        if self.phase is Phase.HEAD:
            self._count_head(len(url), len(self.url) + len(url))
            self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is parsed and dropped."""
        if self.phase is not Phase.HEAD:
            return
        name = name.lower()
        value = value.rstrip(b" \t")
        self._headers_count += 1
        size = len(name) + len(value) + 4
        self._count_head(size, size)
        if name in _FRAMING:
            self._take_framing(name, value)
        self.headers.append((name, value))

    def _count_head(self, more_bytes: int, line_bytes: int) -> None:
        self._head_bytes += more_bytes
        if line_bytes > self.limits.line_bytes_max or self._head_bytes > self.limits.head_bytes_max:
            self._fail("The head of the request is too large.")
        if self._headers_count > self.limits.headers_max:
            self._fail("The request has too many headers.")

    def _take_framing(self, name: bytes, value: bytes) -> None:
        if name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
            return
        if self._framing is not None:
            self._fail("A request has one Content-Length or one Transfer-Encoding, not several.")
        if name == b"content-length" and not value.isdigit():
            self._fail("Content-Length is not a number of bytes.")
        if name == b"transfer-encoding" and value.lower() != b"chunked":
            self._fail("The only Transfer-Encoding understood is chunked.")
        self._framing = value.lower()

    def _fail(self, message: str) -> None:
        self._refusal = MalformedRequest(message)
        raise self._refusal

    def on_headers_complete(self) -> None:
        """Start the application, or queue the request behind the one that is being answered."""
        if self._body_skipped:
            return
        version = self.parser.get_http_version()
        self._fill_scope(version)
        keep_alive = version == "1.1" and self.parser.should_keep_alive()
        previous, cycle = self.cycle, self._new_cycle(keep_alive)
        self.cycle = cycle
        self.phase = Phase.BODY
        self._pending_bytes = None
        # A length of "0" or "00" announces no body.
        self._body_skipped = self.parser.should_upgrade() and bool((self._framing or b"").strip(b"0"))
        if previous is None or previous.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _fill_scope(self, version: str) -> None:
        if version not in ("1.1", "1.0"):
            self._fail("The HTTP versions understood are 1.1 and 1.0.")
        if version == "1.0":
            self.scope["http_version"] = version
            self.expect_100_continue = False
            if self._framing == b"chunked":
                self._fail("HTTP/1.0 has no Transfer-Encoding.")
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._fail("This server is no proxy.")
        raw_path, _, query = self._origin_form().partition(b"?")
        path = raw_path.decode("ascii")
        self.scope["method"] = method.decode("ascii")
        self.scope["path"] = unquote(path) if "%" in path else path
        self.scope["raw_path"] = raw_path
        self.scope["query_string"] = query

    def _origin_form(self) -> bytes:
        """The target as path and query; also taken from the absolute form, which a server must accept."""
        target = self.url
        if not target.startswith(b"/"):
            scheme, found, rest = target.partition(b"://")
            authority = rest.partition(b"?")[0].partition(b"/")[0]
            if not found or scheme.lower() not in (b"http", b"https") or not authority or b"@" in authority:
                self._fail("The target of a request is a path, or an http URL.")
            target = rest[len(authority) :]
            if not target.startswith(b"/"):
                target = b"/" + target
        if b"#" in target or not target.isascii():
            self._fail("The target of a request is ASCII and has no fragment.")
        return target

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _new_cycle(self, keep_alive: bool) -> Cycle:
        return Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive and not self.server_state.exiting.is_set(),
            on_response=self.on_response_complete,
        )

    def on_message_complete(self) -> None:
        """The request is here completely."""
        if self._body_skipped:
            return
        assert self.cycle is not None
        self.phase = Phase.BETWEEN
        self._deadline_seconds = None
        if not self.cycle.response_complete:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Start the next request of the pipeline, or rest."""
        self.server_state.total_requests += 1
        if self.closing or self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        if not self.pipeline:
            self.flow.resume_reading()
