"""HTTP/1.1 as a sender of webhooks needs it: one POST and its answer, on connections to judged addresses.

Ours, because a general client's sessions, cookies, redirects and proxies took two thirds of a delivery's time and
each had to be switched off (docs/decisions/0004). The parser is llhttp, as for what comes in.

    AnswerError    there is no answer; says why
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from ipaddress import ip_address
from typing import TYPE_CHECKING, cast

import aiohappyeyeballs
import httptools

from leadline.clock import monotonic_seconds
from leadline.delivery.guard import CheckedRoute, ConnectError, ConnectTimeoutError, TlsError
from leadline.domain.addresses import unmapped

if TYPE_CHECKING:
    import socket

    from leadline.domain.addresses import Address

BODY_BYTES_MAX = 16 * 1024
# What is parsed is more than what is kept: a 200 with a long header is still a 200.
HEADERS_MAX = 256
HEADERS_BYTES_MAX = 64 * 1024
# Everything a receiver sends for one answer, 1xx answers and framing included. What is kept is far less; this
# stops a flood long before the deadline. Above what one read can bring.
ANSWER_WIRE_BYTES_MAX = 1024 * 1024
# A connection rests this long before it is closed. Receivers commonly close theirs after 2 s and more, so that one
# hardly ever closes in the moment in which we send on it.
IDLE_SECONDS_MAX = 1.0
RESTING_MAX = 512
# RFC 8305: how long the first address has before the next one is tried beside it.
_NEXT_ADDRESS_SECONDS = 0.25
_SWITCHING_PROTOCOLS = 101
_LENGTH_HEADERS = frozenset({b"content-length", b"transfer-encoding"})

_NOT_HTTP = "the answer is not valid HTTP"
_FLOOD = "the receiver sent far too much"
_ENDED = "the connection ended before the answer"


class AnswerError(Exception):
    """What came, or did not come, is no answer. The text is for people and names no address."""


class Answer:
    """What is known so far of an answer; stays when the attempt is cut short."""

    __slots__ = ("body", "first_byte_at", "is_complete", "raw_headers", "status")

    def __init__(self) -> None:
        self.status: int | None = None
        self.raw_headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        """At most `BODY_BYTES_MAX`, not inflated."""
        self.is_complete = False
        """Whether all of the body came, and was kept."""
        self.first_byte_at: float | None = None
        """Of `monotonic_seconds`."""


class Connection(asyncio.Protocol):
    """One connection, and at most one exchange at a time on it."""

    def __init__(self) -> None:
        self.peer: Address | None = None
        self.peer_text: str | None = None
        self.rested_at = 0.0
        self.is_reusable = True
        """False for good once anything was not as it should be: closed, cut short, or bytes nobody asked for."""
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._answer = Answer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asserted: uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if peer is not None:
            self.peer = unmapped(ip_address(peer[0]))
            self.peer_text = str(self.peer)

    async def post(self, request: bytes, answer: Answer, deadline: float) -> None:
        """Send `request` and fill `answer` as it comes.

        Returns once the answer has a status and its body is complete, cut at its bound, or broken off. Raises
        `AnswerError` when it gets no status, and `TimeoutError` at `deadline` (by the loop's clock). When it raises
        anything it has dropped the connection.
        """
        assert self._waiter is None, "one exchange at a time"
        assert self._transport is not None, "it is connected"
        self._answer = answer
        self._parser = httptools.HttpResponseParser(self)
        self._received_bytes = self._headers_bytes = 0
        self._is_over = False
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        alarm = loop.call_at(deadline, self._time_out)
        try:
            self._transport.write(request)
            await self._waiter
        except BaseException:
            self.abort()
            raise
        finally:
            alarm.cancel()
            self._waiter = None

    def _time_out(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(TimeoutError())

    def abort(self) -> None:
        """Drop the connection at once.

        A polite end would wait for the receiver to take our last bytes, or for its farewell in TLS, half a minute
        long, while it may go on sending.
        """
        self.is_reusable = False
        if self._transport is not None:
            self._transport.abort()

    # What the transport tells

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            self.abort()  # they would be taken for the next answer
            return
        if self._answer.first_byte_at is None:
            self._answer.first_byte_at = monotonic_seconds()
        self._received_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end(_NOT_HTTP)
        except httptools.HttpParserUpgrade:
            self._end(_NOT_HTTP)
        else:
            if self._is_over:
                self._end(None)
            elif self._received_bytes > ANSWER_WIRE_BYTES_MAX:
                self._end(_FLOOD)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_reusable = False
        if self._waiter is not None and not self._waiter.done():
            self._answer.is_complete |= exc is None and self._ends_with_the_connection()
            self._end(_ENDED)

    def _ends_with_the_connection(self) -> bool:
        """Whether the body has no other end."""
        names = {name.lower() for name, _ in self._answer.raw_headers}
        return self._answer.status is not None and not names & _LENGTH_HEADERS

    def _end(self, problem: str | None) -> None:
        """The exchange is over. A problem behind the status is none: the status is the receiver's answer."""
        assert self._waiter is not None
        if problem is not None or not self._answer.is_complete:
            self.abort()
        if self._answer.status is None:
            self._waiter.set_exception(AnswerError(problem or _NOT_HTTP))
        else:
            self._waiter.set_result(None)

    # What the parser tells

    def on_message_begin(self) -> None:
        if self._is_over:
            self.is_reusable = False  # more than was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_over or self._answer.status is not None:
            return  # a trailer, or what nobody asked for
        self._headers_bytes += len(name) + len(value)
        if len(self._answer.raw_headers) >= HEADERS_MAX or self._headers_bytes > HEADERS_BYTES_MAX:
            raise ValueError("too many headers, or too long")
        self._answer.raw_headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._is_over:
            return
        status = self._parser.get_status_code()
        if status < 100:
            raise ValueError("no status of HTTP")
        if status < 200 and status != _SWITCHING_PROTOCOLS:
            self._answer.raw_headers.clear()
            self._headers_bytes = 0
            return
        self._answer.status = status

    def on_body(self, body: bytes) -> None:
        if self._is_over:
            return
        kept = self._answer.body
        kept += body[: BODY_BYTES_MAX - len(kept)]
        if len(kept) >= BODY_BYTES_MAX:
            self._is_over = True

    def on_message_complete(self) -> None:
        if self._answer.status is None or self._answer.is_complete:
            return  # an informational answer; or what nobody asked for
        self._is_over = True
        self._answer.is_complete = True
        self.is_reusable &= self._parser.should_keep_alive()


class Connections:
    """Opens connections to judged addresses, and to nothing else; keeps them for a moment of rest.

    Their number is not limited here: the worker limits the attempts.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext) -> None:
        self._ssl_context = ssl_context
        self._resting: dict[tuple[str, str, int], deque[Connection]] = {}
        self._resting_count = 0
        self._sweeper: asyncio.TimerHandle | None = None

    def take(self, route: CheckedRoute) -> Connection | None:
        """A resting connection to an address that this attempt has just judged; None when there is none."""
        resting = self._resting.get(route.target.origin)
        while resting:
            connection = resting.pop()
            self._resting_count -= 1
            if connection.is_reusable and connection.peer in route.addresses:
                return connection
            connection.abort()
        return None

    def rest(self, route: CheckedRoute, connection: Connection) -> None:
        """Keep a connection for the next attempt, if it may be used again."""
        if not connection.is_reusable or self._resting_count >= RESTING_MAX:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.rested_at = loop.time()
        self._resting.setdefault(route.target.origin, deque()).append(connection)
        self._resting_count += 1
        if self._sweeper is None:
            self._sweeper = loop.call_later(IDLE_SECONDS_MAX, self._sweep)

    def close(self) -> None:
        """Drop all that rest."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for resting in self._resting.values():
            for connection in resting:
                connection.abort()
        self._resting.clear()
        self._resting_count = 0

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for origin, resting in list(self._resting.items()):
            while resting and resting[0].rested_at <= loop.time() - IDLE_SECONDS_MAX:
                resting.popleft().abort()
                self._resting_count -= 1
            if not resting:
                del self._resting[origin]
        self._sweeper = loop.call_later(IDLE_SECONDS_MAX / 4, self._sweep) if self._resting else None

    async def open(self, route: CheckedRoute) -> Connection:
        """A new connection: TCP, then TLS where the URL says so.

        Raises `ConnectError`, `ConnectTimeoutError` or `TlsError`.
        """
        started = monotonic_seconds()
        sock = await _open_socket(route)
        route.phases.connect_seconds = monotonic_seconds() - started
        if route.target.scheme == "https":
            started = monotonic_seconds()
            connection = await self._start(route, sock, self._ssl_context)
            route.phases.tls_seconds = monotonic_seconds() - started
            return connection
        return await self._start(route, sock, None)

    async def _start(
        self, route: CheckedRoute, sock: socket.socket, context: ssl.SSLContext | None
    ) -> Connection:
        # Certificates are made out without the dot of a fully qualified name.
        name = None if context is None else route.target.ascii_host.removesuffix(".")
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                Connection, sock=sock, ssl=context, server_hostname=name
            )
        except ssl.SSLCertVerificationError as failure:
            raise TlsError(f"the certificate is not accepted: {failure.verify_message}") from None
        except (ssl.SSLError, OSError, ValueError) as failure:
            reason = getattr(failure, "reason", None)
            raise TlsError(reason or "the connection ended during the handshake") from None
        return connection


async def _open_socket(route: CheckedRoute) -> socket.socket:
    try:
        async with asyncio.timeout(route.connect_timeout_seconds):
            return await aiohappyeyeballs.start_connection(
                route.address_infos, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS
            )
    except TimeoutError as failure:
        # The system's own ETIMEDOUT is an OSError with a number; ours has none.
        if failure.errno is not None:
            raise ConnectError("the connection timed out") from None
        raise ConnectTimeoutError(f"no connection within {route.connect_timeout_seconds:g} s") from None
    except (OSError, RuntimeError) as failure:  # uvloop raises RuntimeError for some of them
        raise ConnectError(_connect_problem(failure)) from None


def _connect_problem(failure: Exception) -> str:
    """What went wrong, without the address that Python puts into such messages."""
    if isinstance(failure, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(failure, ConnectionResetError):
        return "the connection was reset"
    return "the address cannot be reached"
