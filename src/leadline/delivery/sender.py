"""One POST of one webhook, bounded in every direction (contract § 5, § 8, § 9).

What counts as what:

- Success is a 2xx status, whatever the body: also one that is compressed, too long, or breaks off. A body
  that is still coming at the deadline is a `timeout`, because the deadline covers the body (contract § 8).
- `dns`, `connect`, `tls` name the phase that failed; `blocked` the rule of § 9; `http_status` any other
  status, redirects included; `protocol` an answer that is not HTTP, or a connection that ends before it.
- `timeout` is the total deadline, or the one for connecting. No answer from DNS within 5 s is `dns`.

A POST is never repeated here, not even when a resting connection turns out to be closed: whether the receiver
got it cannot be known, so that is an attempt like any other (`Timings.reused` tells it). Resting connections
are therefore kept for a second only.
"""

from __future__ import annotations

import asyncio
import codecs
import logging
import ssl
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import aiohttp
import msgspec
from yarl import URL

from leadline.clock import monotonic_seconds
from leadline.delivery.guard import (
    Blocked,
    ConnectError,
    ConnectTimeoutError,
    Guard,
    GuardedConnector,
    Phases,
    ResolutionError,
    Resolve,
    TlsError,
    current_route,
)
from leadline.domain.webhook_urls import Target, UnusableUrl, split_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leadline.domain.addresses import AddressPolicy

RESPONSE_BODY_BYTES_MAX = 16 * 1024
RESPONSE_HEADERS_MAX = 100
RESPONSE_HEADERS_BYTES_MAX = 8 * 1024
CONNECT_TIMEOUT_SECONDS = 5.0
# What is parsed is more than what is kept: a 200 with a long header is still a 200.
_PARSED_HEADERS_MAX = 256
_PARSED_FIELD_BYTES_MAX = 64 * 1024
_log = logging.getLogger(__name__)


class AttemptError(StrEnum):
    """Why an attempt failed (contract § 8)."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    BLOCKED = "blocked"
    HTTP_STATUS = "http_status"
    PROTOCOL = "protocol"


class Timings(msgspec.Struct, frozen=True):
    """Where the time of an attempt went, in milliseconds; None for what did not happen."""

    dns_ms: int | None = None
    connect_ms: int | None = None
    tls_ms: int | None = None
    first_byte_ms: int | None = None
    """From the start of the attempt to the first byte of the answer."""
    reused: bool = False
    """The connection was a resting one of an earlier attempt."""


class AttemptResult(msgspec.Struct, frozen=True):
    """What came of one attempt. All text can be stored: no NUL, no lone surrogates."""

    status: int | None
    """Also when the attempt failed after the status had come."""
    error: AttemptError | None
    """None exactly when the attempt succeeded."""
    error_detail: str | None
    """For people; for `blocked` the rule. Never an address."""
    remote_address: str | None
    response_headers: list[tuple[str, str]]
    """At most 100, and 8 KiB together."""
    response_body: str
    """The first 16 KiB, not inflated, read as UTF-8 with U+FFFD for what is none."""
    duration_ms: int
    timings: Timings


class InvalidStatusError(Exception):
    """The answer has a status below 100, which HTTP does not know."""


class _Exchange:
    """What is known so far of one attempt; stays when the attempt is cut short."""

    def __init__(self) -> None:
        self.started_at = monotonic_seconds()
        self.phases = Phases()
        self.status: int | None = None
        self.raw_headers: tuple[tuple[bytes, bytes], ...] = ()
        self.body = bytearray()
        self.complete = False

    def result(self, error: AttemptError | None, detail: str | None) -> AttemptResult:
        """The attempt as it stands, ended by `error`, or well."""
        return AttemptResult(
            status=self.status,
            error=error,
            error_detail=detail,
            remote_address=self.phases.remote_address,
            response_headers=_readable_headers(self.raw_headers),
            response_body=_readable_body(bytes(self.body), complete=self.complete),
            duration_ms=_milliseconds(monotonic_seconds() - self.started_at),
            timings=self._timings(),
        )

    def _timings(self) -> Timings:
        protocol = self.phases.protocol
        first_byte_at = None if protocol is None else protocol.first_byte_at
        return Timings(
            dns_ms=_optional_milliseconds(self.phases.dns_seconds),
            connect_ms=_optional_milliseconds(self.phases.connect_seconds),
            tls_ms=_optional_milliseconds(self.phases.tls_seconds),
            first_byte_ms=None if first_byte_at is None else _milliseconds(first_byte_at - self.started_at),
            reused=self.phases.reused,
        )


class Sender:
    """Posts webhooks over one shared pool of guarded connections. Start it in the loop that uses it."""

    def __init__(
        self,
        *,
        policy: AddressPolicy,
        user_agent: str,
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """`resolve` and `ssl_context` default to the system's resolver and its trusted certificates."""
        self._policy = policy
        self._resolve = resolve
        self._ssl_context = ssl_context
        # Compressed answers are not inflated, so they are not asked for.
        self._base_headers = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        self._guard: Guard | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Get ready to send."""
        assert self._session is None, "a sender is started once"
        self._guard = Guard(self._policy, self._resolve)
        self._session = _open_session(self._ssl_context or _trusting_context())

    async def close(self) -> None:
        """Drop all connections. Attempts under way fail."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(
        self,
        *,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_seconds: float,
        connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
    ) -> AttemptResult:
        """Make one attempt: resolve, judge, connect, POST `body`, read the answer.

        `timeout_seconds` covers all of it. Never raises, but for `CancelledError`: every failure is in the
        result.
        """
        exchange = _Exchange()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._post(exchange, url, headers, body, connect_timeout_seconds)
        except Exception as failure:  # noqa: BLE001 - the promise; what nobody expects is logged
            return exchange.result(*_classify(failure, exchange, timeout_seconds))
        if exchange.status is not None and 200 <= exchange.status < 300:
            return exchange.result(None, None)
        return exchange.result(AttemptError.HTTP_STATUS, f"the receiver answered {exchange.status}")

    async def _post(
        self,
        exchange: _Exchange,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        connect_timeout_seconds: float,
    ) -> None:
        assert self._guard is not None and self._session is not None, "start() comes first"  # noqa: PT018
        target, request_url = _request_url(url)
        route = await self._guard.check(target, connect_timeout_seconds=connect_timeout_seconds)
        exchange.phases = route.phases
        current_route.set(route)
        async with self._session.post(
            request_url,
            headers={"Host": target.host_header, **self._base_headers, **headers},
            data=body,
            allow_redirects=False,
        ) as response:
            await _read_answer(exchange, response)


@lru_cache(maxsize=1024)
def _request_url(url: str) -> tuple[Target, URL]:
    """The target of `url`, and the URL that makes aiohttp send it byte for byte.

    yarl would drop a lone `?`, so the request target stands whole in its path, which it leaves as it is.
    """
    target = split_target(url)
    authority = f"[{target.ascii_host}]" if ":" in target.ascii_host else target.ascii_host
    return target, URL.build(
        scheme=target.scheme,
        authority=f"{authority}:{target.port}",
        path=target.request_target.decode("ascii"),
        encoded=True,
    )


def _open_session(ssl_context: ssl.SSLContext) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=GuardedConnector(ssl_context=ssl_context),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        # Deadlines are ours: one for everything, one for connecting.
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        read_bufsize=RESPONSE_BODY_BYTES_MAX,
        max_headers=_PARSED_HEADERS_MAX,
        max_field_size=_PARSED_FIELD_BYTES_MAX,
    )


def _trusting_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _read_answer(exchange: _Exchange, response: aiohttp.ClientResponse) -> None:
    """Note status, headers and at most 16 KiB of the body, then drop the connection unless all was read."""
    if response.status < 100:
        raise InvalidStatusError("the answer is not valid HTTP")
    exchange.status = response.status
    exchange.raw_headers = response.raw_headers
    content = response.content
    try:
        while len(exchange.body) < RESPONSE_BODY_BYTES_MAX:
            chunk = await content.read(RESPONSE_BODY_BYTES_MAX - len(exchange.body))
            if not chunk:
                exchange.complete = True
                return
            exchange.body += chunk
    except (aiohttp.ClientError, OSError) as broken_off:
        # The status is the receiver's answer; a body that breaks off does not take it back.
        _log.debug("the body of an answer broke off: %r", broken_off)
    response.close()


_KNOWN: tuple[tuple[type[Exception], AttemptError], ...] = (
    (Blocked, AttemptError.BLOCKED),
    (ResolutionError, AttemptError.DNS),
    (ConnectError, AttemptError.CONNECT),
    (ConnectTimeoutError, AttemptError.TIMEOUT),
    (TlsError, AttemptError.TLS),
    (InvalidStatusError, AttemptError.PROTOCOL),
)


def _classify(failure: Exception, exchange: _Exchange, timeout_seconds: float) -> tuple[AttemptError, str]:
    """The kind of failure and a sentence for people, without addresses."""
    for kind, error in _KNOWN:
        if isinstance(failure, kind):
            return error, str(failure)
    if isinstance(failure, TimeoutError):
        return AttemptError.TIMEOUT, f"no complete answer within {timeout_seconds:g} s"
    if isinstance(failure, UnusableUrl):
        return AttemptError.BLOCKED, "url"
    if exchange.phases.protocol is not None and exchange.phases.protocol.flooded:
        return AttemptError.PROTOCOL, "the receiver sent far too much"
    if isinstance(failure, aiohttp.ClientResponseError):
        return AttemptError.PROTOCOL, "the answer is not valid HTTP"
    if isinstance(failure, aiohttp.ClientError | OSError):
        return AttemptError.PROTOCOL, "the connection ended before the answer"
    _log.error("an attempt failed in an unforeseen way", exc_info=failure)
    return AttemptError.PROTOCOL, "the attempt failed inside Leadline"


def _readable_headers(raw_headers: tuple[tuple[bytes, bytes], ...]) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    room_bytes = RESPONSE_HEADERS_BYTES_MAX
    for name, value in raw_headers[:RESPONSE_HEADERS_MAX]:
        if len(name) > room_bytes:
            break
        kept = value[: room_bytes - len(name)]
        room_bytes -= len(name) + len(kept)
        headers.append((_readable(name), _readable(kept)))
    return headers


def _readable_body(body: bytes, *, complete: bool) -> str:
    # A character cut in two at the end of what was read is no fault of the receiver's: it is left off.
    return codecs.utf_8_decode(body, "replace", complete)[0].replace("\x00", "")


def _readable(text: bytes) -> str:
    return text.decode("utf-8", "replace").replace("\x00", "")


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _optional_milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else _milliseconds(seconds)
