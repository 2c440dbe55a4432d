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
import re
import ssl
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from leadline.clock import monotonic_seconds
from leadline.delivery.connections import Answer, AnswerError, Connections
from leadline.delivery.guard import (
    Blocked,
    ConnectError,
    ConnectTimeoutError,
    Guard,
    Phases,
    ResolutionError,
    Resolve,
    TlsError,
)
from leadline.domain.webhook_urls import Target, UnusableUrl, split_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadline.domain.addresses import AddressPolicy

# Whose `Retry-After` counts (contract § 8).
RETRY_AFTER_STATUSES = frozenset({429, 502, 503, 504})
RESPONSE_HEADERS_MAX = 100
RESPONSE_HEADERS_BYTES_MAX = 8 * 1024
CONNECT_TIMEOUT_SECONDS = 5.0
# What would end a header line, and begin another.
_UNSENDABLE = re.compile(r"[^\t\x20-\x7e]")
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
    retry_after: str | None
    """The whole `Retry-After`, also when it is not among the headers that are kept."""
    duration_ms: int
    timings: Timings


class UnsendableHeaderError(Exception):
    """A header is no line of printable ASCII."""


class _Exchange:
    """What is known so far of one attempt; stays when the attempt is cut short."""

    __slots__ = ("answer", "phases", "started_at")

    def __init__(self) -> None:
        self.started_at = monotonic_seconds()
        self.phases = Phases()
        self.answer = Answer()

    def result(self, error: AttemptError | None, detail: str | None) -> AttemptResult:
        """The attempt as it stands, ended by `error`, or well."""
        answer = self.answer
        return AttemptResult(
            status=answer.status,
            error=error,
            error_detail=detail,
            remote_address=self.phases.remote_address,
            response_headers=_readable_headers(answer.raw_headers),
            response_body=_readable_body(answer.body, complete=answer.is_complete),
            retry_after=_retry_after(answer),
            duration_ms=_milliseconds(monotonic_seconds() - self.started_at),
            timings=self._timings(),
        )

    def _timings(self) -> Timings:
        first_byte_at = self.answer.first_byte_at
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
        require_https: bool = False,
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """`resolve` and `ssl_context` default to the system's resolver and its trusted certificates."""
        self._policy = policy
        self._require_https = require_https
        self._resolve = resolve
        self._ssl_context = ssl_context
        # Compressed answers are not inflated, so they are not asked for.
        base_headers = {"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "identity"}
        self._base_head = _head_lines(base_headers)
        self._guard: Guard | None = None
        self._connections: Connections | None = None

    async def start(self) -> None:
        """Get ready to send."""
        assert self._connections is None, "a sender is started once"
        self._guard = Guard(self._policy, self._resolve)
        self._connections = Connections(ssl_context=self._ssl_context or _trusting_context())

    async def close(self) -> None:
        """Drop the connections that rest."""
        if self._connections is not None:
            self._connections.close()
            self._connections = None

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
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        try:
            await self._post(exchange, url, headers, body, connect_timeout_seconds, deadline)
        except Exception as failure:  # noqa: BLE001 - the promise; what nobody expects is logged
            return exchange.result(*_classify(failure, timeout_seconds))
        status = exchange.answer.status
        if status is not None and 200 <= status < 300:
            return exchange.result(None, None)
        return exchange.result(AttemptError.HTTP_STATUS, f"the receiver answered {status}")

    async def _post(
        self,
        exchange: _Exchange,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        connect_timeout_seconds: float,
        deadline: float,
    ) -> None:
        """`deadline` by the loop's clock."""
        guard, connections = self._guard, self._connections
        assert guard is not None and connections is not None, "start() comes first"  # noqa: PT018
        target, request_line = _request_line(url)
        if self._require_https and target.scheme != "https":
            # It was saved before that was asked for.
            raise Blocked("https_required")
        request = b"%b%b%bContent-Length: %d\r\n\r\n%b" % (
            request_line, self._base_head, _head_lines(headers), len(body), body,
        )  # fmt: skip
        if target.literal is not None:
            route = guard.check_literal(target, connect_timeout_seconds)
        else:
            async with asyncio.timeout_at(deadline):
                route = await guard.check(target, connect_timeout_seconds)
        exchange.phases = route.phases
        connection = connections.take(route)
        if connection is not None:
            route.phases.reused = True
        else:
            async with asyncio.timeout_at(deadline):
                connection = await connections.open(route)
        route.phases.remote_address = connection.peer_text
        await connection.post(request, exchange.answer, deadline)
        connections.rest(route, connection)


def _head_lines(headers: Mapping[str, str]) -> bytes:
    lines = [f"{name}: {value}" for name, value in headers.items()]
    together = "".join(lines)
    # The first two say nearly always yes, and cost least.
    if not (together.isascii() and together.isprintable()) and _UNSENDABLE.search(together):
        raise UnsendableHeaderError
    return "\r\n".join([*lines, ""]).encode("ascii")


@lru_cache(maxsize=1024)
def _request_line(url: str) -> tuple[Target, bytes]:
    """The target of `url`, and the beginning of the request, which sends its path and query byte for byte."""
    target = split_target(url)
    return target, b"POST %b HTTP/1.1\r\nHost: %b\r\n" % (
        target.request_target, target.host_header.encode("ascii"),
    )  # fmt: skip


def _trusting_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


_KNOWN: tuple[tuple[type[Exception], AttemptError], ...] = (
    (Blocked, AttemptError.BLOCKED),
    (ResolutionError, AttemptError.DNS),
    (ConnectError, AttemptError.CONNECT),
    (ConnectTimeoutError, AttemptError.TIMEOUT),
    (TlsError, AttemptError.TLS),
    (AnswerError, AttemptError.PROTOCOL),
)


def _classify(failure: Exception, timeout_seconds: float) -> tuple[AttemptError, str]:
    """The kind of failure and a sentence for people, without addresses."""
    for kind, error in _KNOWN:
        if isinstance(failure, kind):
            return error, str(failure)
    if isinstance(failure, TimeoutError):
        return AttemptError.TIMEOUT, f"no complete answer within {timeout_seconds:g} s"
    if isinstance(failure, UnusableUrl):
        return AttemptError.BLOCKED, "url"
    if isinstance(failure, UnsendableHeaderError):
        return AttemptError.PROTOCOL, "a header cannot be sent"
    _log.error("an attempt failed in an unforeseen way", exc_info=failure)
    return AttemptError.PROTOCOL, "the attempt failed inside Leadline"


def _retry_after(answer: Answer) -> str | None:
    if answer.status not in RETRY_AFTER_STATUSES:
        return None
    found = [value for name, value in answer.raw_headers if name.lower() == b"retry-after"]
    return _readable(found[0]) if found else None


def _readable_headers(raw_headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    if len(raw_headers) <= RESPONSE_HEADERS_MAX and _size(raw_headers) <= RESPONSE_HEADERS_BYTES_MAX:
        return [(_readable(name), _readable(value)) for name, value in raw_headers]
    headers: list[tuple[str, str]] = []
    room_bytes = RESPONSE_HEADERS_BYTES_MAX
    for name, value in raw_headers[:RESPONSE_HEADERS_MAX]:
        if len(name) > room_bytes:
            break
        kept = value[: room_bytes - len(name)]
        room_bytes -= len(name) + len(kept)
        headers.append((_readable(name), _readable(kept)))
    return headers


def _size(raw_headers: Sequence[tuple[bytes, bytes]]) -> int:
    return sum([len(name) + len(value) for name, value in raw_headers])


def _readable_body(body: bytearray, *, complete: bool) -> str:
    # A character cut in two at the end of what was read is no fault of the receiver's: it is left off.
    return codecs.utf_8_decode(body, "replace", complete)[0].replace("\x00", "")


def _readable(text: bytes) -> str:
    return text.decode("utf-8", "replace").replace("\x00", "")


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _optional_milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else _milliseconds(seconds)
