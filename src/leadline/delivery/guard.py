"""The guard of contract § 9: what a host resolves to is judged, and only that is connected to.

Each attempt resolves its host once and hands the judged addresses to the connector (`GuardedConnector`). It
knows no other way to an address: it has no resolver, so there is no second answer to be rebound between check
and connect, and it opens sockets to `CheckedRoute.addresses` only. A pooled connection is used again only
when its peer is among the addresses that this attempt has just judged.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

import aiohappyeyeballs
from aiohttp import BaseConnector, ClientPayloadError, ClientTimeout
from aiohttp.client_proto import ResponseHandler

from leadline.clock import monotonic_seconds
from leadline.domain.addresses import Address, AddressPolicy, unmapped

if TYPE_CHECKING:
    from aiohttp import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from leadline.domain.webhook_urls import Target

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Takes an ASCII host name, answers its addresses as text; raises `OSError` when there are none."""

RESOLVE_SECONDS_MAX = 5.0
LOOKUPS_MAX = 64
# All addresses are judged, but a hostile name must not make us knock at a thousand doors.
CONNECT_ADDRESSES_MAX = 8
# RFC 8305: how long the first address has before the next one is tried beside it.
_NEXT_ADDRESS_SECONDS = 0.25
# Everything a receiver sends for one answer, 1xx answers and framing included. What is kept is far less;
# this stops a flood that the parser would swallow until the deadline. Above what one read can bring.
ANSWER_WIRE_BYTES_MAX = 1024 * 1024
# A connection rests this long before it is closed. Receivers commonly close theirs after 2 s and more, so
# that one hardly ever closes in the moment in which we send on it.
IDLE_SECONDS_MAX = 1.0
_HEAD_END = b"\r\n\r\n"


class Blocked(Exception):
    """The webhook may not go there. `rule` names why; the address is not told (contract § 9)."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class ResolutionError(Exception):
    """The host has no address, or none was found within 5 s."""


class ConnectError(Exception):
    """No connection to any of the addresses came about."""


class ConnectTimeoutError(Exception):
    """No connection came about in time. Not a `TimeoutError`, which aiohttp would wrap."""


class TlsError(Exception):
    """TCP is connected but TLS is not: a certificate that does not fit, or no TLS at all."""


@dataclass(slots=True)
class Phases:
    """How far one attempt has come, and how long it took; None for what did not happen."""

    dns_seconds: float | None = None
    connect_seconds: float | None = None
    tls_seconds: float | None = None
    remote_address: str | None = None
    reused: bool = False
    protocol: GuardedProtocol | None = None


@dataclass(frozen=True, slots=True)
class CheckedRoute:
    """Where one attempt may connect. Only `Guard.check` makes one, after judging every address."""

    target: Target
    addresses: tuple[Address, ...]
    connect_timeout_seconds: float
    phases: Phases = field(default_factory=Phases)

    @property
    def address_infos(self) -> list[tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]]:
        """The addresses in the form of `getaddrinfo`."""
        return [
            _address_info(address, self.target.port) for address in self.addresses[:CONNECT_ADDRESSES_MAX]
        ]


# The route of the attempt that this task is making; set by the sender, read by its connector.
current_route: ContextVar[CheckedRoute] = ContextVar("current_route")


class SystemResolver:
    """Asks the system's resolver, in threads of its own.

    A lookup cannot be called off, and a hostile name server can hold one for half a minute. So each host has
    at most one lookup under way, which all attempts to it share; at most `LOOKUPS_MAX` run at once; and the
    threads are daemons, which hold up no shutdown. Nothing is cached.
    """

    def __init__(self, lookup: Callable[[str], list[str]] | None = None) -> None:
        self._lookup = lookup or look_up
        self._slots = asyncio.Semaphore(LOOKUPS_MAX)
        self._running: dict[str, asyncio.Task[list[str]]] = {}

    async def __call__(self, host: str) -> Sequence[str]:
        """The addresses of `host`, in the system's order of preference; `OSError` when there are none."""
        lookup = self._running.get(host)
        if lookup is None:
            lookup = self._running[host] = asyncio.create_task(self._look_up(host))
            lookup.add_done_callback(lambda done: self._forget(host, done))
        # One attempt running out of time must not take the answer from the others.
        return await asyncio.shield(lookup)

    def _forget(self, host: str, lookup: asyncio.Task[list[str]]) -> None:
        del self._running[host]
        if not lookup.cancelled():
            lookup.exception()  # marks it as seen: all who waited may have given up

    async def _look_up(self, host: str) -> list[str]:
        async with self._slots:
            return await _in_daemon_thread(lambda: self._lookup(host))


def look_up(host: str) -> list[str]:
    """All addresses of `host`, blocking. Also those this machine cannot reach, for all are judged."""
    # As bytes, because Python would otherwise apply its old IDNA codec, which rejects what DNS accepts.
    found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


async def _in_daemon_thread(work: Callable[[], list[str]]) -> list[str]:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def settle(result: list[str] | BaseException) -> None:
        if answer.cancelled():
            return
        if isinstance(result, BaseException):
            answer.set_exception(result)
        else:
            answer.set_result(result)

    def run() -> None:
        result: list[str] | BaseException
        try:
            result = work()
        except Exception as failure:  # noqa: BLE001 - it is raised where the answer is awaited
            result = failure
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=run, name="leadline-resolve", daemon=True).start()
    return await answer


class Guard:
    """Resolves a target once and judges every address of the answer (contract § 9)."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve | None = None) -> None:
        self._policy = policy
        self._resolve = resolve or SystemResolver()

    async def check(self, target: Target, *, connect_timeout_seconds: float) -> CheckedRoute:
        """The addresses this attempt may connect to.

        Raises `Blocked` when any address of the answer may not be called, a literal in the URL included, and
        `ResolutionError` when there is no answer within 5 s.
        """
        literal = target.literal
        started = monotonic_seconds()
        addresses = (literal,) if literal is not None else await self._addresses_of(target.ascii_host)
        for address in addresses:
            rule = self._policy.refusal(address)
            if rule is not None:
                raise Blocked(rule)
        route = CheckedRoute(target, tuple(map(unmapped, addresses)), connect_timeout_seconds)
        route.phases.dns_seconds = None if literal is not None else monotonic_seconds() - started
        return route

    async def _addresses_of(self, host: str) -> tuple[Address, ...]:
        try:
            async with asyncio.timeout(RESOLVE_SECONDS_MAX):
                answer = await self._resolve(host)
            addresses = tuple(ip_address(text) for text in answer)
        except TimeoutError:
            raise ResolutionError(f"no answer within {RESOLVE_SECONDS_MAX:g} s") from None
        except socket.gaierror as failure:
            raise ResolutionError(failure.strerror or "the name was not found") from None
        except (OSError, ValueError):
            raise ResolutionError("the name could not be resolved") from None
        if not addresses:
            raise ResolutionError("the name has no address")
        return addresses


class GuardedProtocol(ResponseHandler):
    """One connection; counts what an answer brings, and notes when it began."""

    def begin(self) -> None:
        """A request is about to be sent: count anew."""
        self.received_bytes = 0
        self.first_byte_at: float | None = None
        self.flooded = False
        self._head_end: bytes | None = b""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.begin()

    def data_received(self, data: bytes) -> None:
        """Pass `data` on to the parser; cut the connection when the answer has become a flood."""
        if self.first_byte_at is None:
            self.first_byte_at = monotonic_seconds()
        self.received_bytes += len(data)
        head, rest = self._split_head(data)
        super().data_received(head)
        if rest and self.is_connected():
            super().data_received(rest)
        self._tell_reader_of_failure()
        self.flooded = self.received_bytes > ANSWER_WIRE_BYTES_MAX
        transport = self.transport
        if transport is not None and (self.flooded or transport.is_closing()):
            # Not `self.abort()`, which would leave whoever reads the body waiting. What the parser has given
            # up on is closing already, but politely.
            transport.abort()

    def _tell_reader_of_failure(self) -> None:
        # aiohttp leaves whoever reads a body waiting when its framing turns out to be broken.
        failure, body = self.exception(), self._payload
        if failure is not None and body is not None and not body.is_eof():
            body.set_exception(ClientPayloadError("the framing of the body is broken"), failure)

    def _split_head(self, data: bytes) -> tuple[bytes, bytes]:
        """Cut `data` after the head of the answer, if the head ends in there.

        The parser forgets a head when the body that came with it is broken. Fed one after the other, the
        status is known, however the network has cut them.
        """
        if self._head_end is None:
            return data, b""
        seen = self._head_end + data
        end = seen.find(_HEAD_END)
        if end < 0:
            self._head_end = seen[-len(_HEAD_END) + 1 :]
            return data, b""
        cut = end + len(_HEAD_END) - len(self._head_end)
        self._head_end = None
        return data[:cut], data[cut:]

    def close(self) -> None:
        """Drop the connection at once.

        A polite end would wait for the receiver to take our last bytes, or for its farewell in TLS, half a
        minute long, while it may go on sending.
        """
        self.abort()


class GuardedConnector(BaseConnector):
    """Connects to the judged addresses of `current_route`, and to nothing else: no resolver, no proxy.

    Connections rest for `IDLE_SECONDS_MAX`. Their number is not limited here: the worker limits the attempts.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext) -> None:
        super().__init__(keepalive_timeout=IDLE_SECONDS_MAX, limit=0, limit_per_host=0)
        self._ssl_context = ssl_context

    async def connect(  # the signature is aiohttp's
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109
    ) -> Connection:
        """A connection to a judged address: a resting one, or a new one.

        Raises `ConnectError`, `ConnectTimeoutError` or `TlsError`.
        """
        route = current_route.get()
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            assert isinstance(protocol, GuardedProtocol), "every connection is made by _create_connection"
            route.phases.reused = route.phases.connect_seconds is None
            if not route.phases.reused or _is_fit_for_reuse(protocol, route):
                break
            connection.close()
        protocol.begin()
        route.phases.protocol = protocol
        peer = _peer_of(protocol)
        route.phases.remote_address = None if peer is None else str(peer)
        return connection

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],  # noqa: ARG002 - the signature is aiohttp's
        timeout: ClientTimeout,  # noqa: ARG002, ASYNC109 - as above; the deadlines are the route's
    ) -> ResponseHandler:
        """Open TCP, then TLS. The one method that aiohttp's connectors must define; the rest is theirs."""
        route = current_route.get()
        assert req.proxy is None, "the session knows no proxy"
        started = monotonic_seconds()
        sock = await _open_socket(route)
        route.phases.connect_seconds = monotonic_seconds() - started
        return await self._start_protocol(route, sock, tls=route.target.scheme == "https")

    async def _start_protocol(
        self, route: CheckedRoute, sock: socket.socket, *, tls: bool
    ) -> GuardedProtocol:
        loop = asyncio.get_running_loop()
        started = monotonic_seconds()
        try:
            _, protocol = await loop.create_connection(
                lambda: GuardedProtocol(loop),
                sock=sock,
                ssl=self._ssl_context if tls else None,
                # Certificates are made out without the dot of a fully qualified name.
                server_hostname=route.target.ascii_host.removesuffix(".") if tls else None,
            )
        except ssl.SSLCertVerificationError as failure:
            raise TlsError(f"the certificate is not accepted: {failure.verify_message}") from None
        except (ssl.SSLError, OSError, ValueError) as failure:
            raise TlsError(
                getattr(failure, "reason", None) or "the connection ended during the handshake"
            ) from None
        if tls:
            route.phases.tls_seconds = monotonic_seconds() - started
        return protocol


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


def _is_fit_for_reuse(protocol: GuardedProtocol, route: CheckedRoute) -> bool:
    # `should_close` is true when bytes came while it rested: they would be taken for the next answer.
    return not protocol.should_close and _peer_of(protocol) in route.addresses


def _peer_of(protocol: ResponseHandler) -> Address | None:
    peer = protocol.transport.get_extra_info("peername") if protocol.transport is not None else None
    return None if peer is None else unmapped(ip_address(peer[0]))


def _address_info(
    address: Address, port: int
) -> tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]:
    if isinstance(address, IPv6Address):
        return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), port))
