"""A webhook receiver for `serve --dev` and `listen`: verifies what arrives, tells it, shows the last 100 at `GET /`.

It stands in for the reader's own program, so it listens on its own port, on loopback only, and knows nothing
of Leadline but the signature. It speaks just enough HTTP for that and bounds all that it reads.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from leadline.clock import Clock, iso_from_ms
from leadline.domain.signing import SignatureError, verify
from leadline.ids import NIL_ID, parse_id
from leadline.operations.sample_data import RECEIVER_PATH

HOST = "127.0.0.1"
KEPT_MAX = 100
HEAD_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 256 * 1024
REQUEST_SECONDS_MAX = 10.0

SecretsOf = Callable[[str], Awaitable[list[str]]]


class BadRequest(Exception):
    """What came is no request that this receiver understands."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One webhook as it came in. `repeated` means its call and outcome were here before (contract § 5)."""

    received_at: str
    verified: bool
    problem: str
    repeated: bool
    webhook_id: str
    outcome_name: str
    phone_number: str
    payload: Any


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class SampleReceiver:
    """Listens on loopback. `secrets_of` answers a workspace's secrets; `tell` is called for each arrival.

    `path` is where webhooks go; None takes them anywhere. What is verified is answered with `status`.
    """

    def __init__(
        self,
        secrets_of: SecretsOf,
        tell: Callable[[Arrival], None],
        clock: Clock,
        *,
        path: str | None = RECEIVER_PATH,
        status: int = 200,
    ) -> None:
        self._path = path
        self._status = status
        self._secrets_of = secrets_of
        self._tell = tell
        self._clock = clock
        self._arrivals: deque[Arrival] = deque(maxlen=KEPT_MAX)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def url(self) -> str:
        """Where its list can be looked at."""
        return f"http://{HOST}:{self.port}/"

    @property
    def webhook_url(self) -> str:
        """What an outcome's `webhook_url` is set to."""
        return f"http://{HOST}:{self.port}{RECEIVER_PATH}"

    async def start(self, port: int) -> None:
        """Listen on this port, or on any free one when it is taken or 0."""
        try:
            self._server = await self._listen(port)
        except OSError:
            self._server = await self._listen(0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _listen(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._serve, HOST, port, limit=HEAD_BYTES_MAX)

    async def stop(self) -> None:
        """Listen no more and drop whoever is still connected."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            async with asyncio.timeout(REQUEST_SECONDS_MAX):
                writer.write(await self._exchange(reader))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the sender has gone or dawdles: there is nobody to tell
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader) -> bytes:
        try:
            request = await _read_request(reader)
            status, answer = await self._answer(request)
        except BadRequest as wrong:
            status, answer = "400 Bad Request", {"ok": False, "message": str(wrong)}
        body = json.dumps(answer, ensure_ascii=False, indent=1).encode("utf-8", "replace") + b"\n"
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: application/json; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode("ascii") + body

    async def _answer(self, request: _Request) -> tuple[str, dict[str, Any]]:
        if request.method == "GET" and request.path == "/":
            return "200 OK", {"arrivals": [asdict(each) for each in reversed(self._arrivals)]}
        if self._path not in (None, request.path):
            raise BadRequest(f"webhooks go to POST {self._path}; GET / lists the last {KEPT_MAX}")
        if request.method != "POST":
            raise BadRequest("a webhook is a POST")
        arrival = await self._receive(request)
        self._arrivals.append(arrival)
        self._tell(arrival)
        if arrival.verified:
            return _status_line(self._status), {"ok": self._status < 300}
        return "401 Unauthorized", {"ok": False, "message": arrival.problem}

    async def _receive(self, request: _Request) -> Arrival:
        try:
            payload = json.loads(request.body)
        except (ValueError, RecursionError):
            raise BadRequest("the body is not JSON") from None
        problem = await self._problem(request, payload)
        return Arrival(
            received_at=iso_from_ms(self._clock.now_ms()),
            verified=not problem,
            problem=problem,
            repeated=not problem and self._was_here(payload),
            webhook_id=request.headers.get("webhook-id", ""),
            outcome_name=_text_at(payload, "outcome", "outcome_name"),
            phone_number=_text_at(payload, "call", "phone_number"),
            payload=payload,
        )

    async def _problem(self, request: _Request, payload: Any) -> str:
        """Why it must not be trusted; empty when it may be."""
        # The body may name the workspace before it is trusted: a false one finds a secret that does not fit.
        workspace_id = parse_id(_text_at(payload, "scope", "subaccount_id"))
        secrets = await self._secrets_of(workspace_id or NIL_ID)
        try:
            verify(
                secrets,
                message_id=request.headers.get("webhook-id", ""),
                timestamp=request.headers.get("webhook-timestamp", ""),
                signature_header=request.headers.get("webhook-signature", ""),
                body=request.body,
                now_seconds=self._clock.now_ms() / 1000,
            )
        except SignatureError as wrong:
            return str(wrong)
        return ""

    def _was_here(self, payload: Any) -> bool:
        event = _event_of(payload)
        return any(each.verified and _event_of(each.payload) == event for each in self._arrivals)


def _status_line(status: int) -> str:
    known = {each.value: each.phrase for each in HTTPStatus}
    return f"{status} {known.get(status, 'Told')}"


def _event_of(payload: Any) -> tuple[str, str]:
    """What receivers deduplicate on (contract § 5)."""
    return _text_at(payload, "call", "call_id"), _text_at(payload, "outcome", "outcome_id")


def _text_at(payload: Any, noun: str, field: str) -> str:
    inner = payload.get(noun) if isinstance(payload, dict) else None
    value = inner.get(field) if isinstance(inner, dict) else None
    return value if isinstance(value, str) else ""


async def _read_request(reader: asyncio.StreamReader) -> _Request:
    """One request with a Content-Length body, or none. Raises BadRequest."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise BadRequest("the head is too long") from None
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3:
        raise BadRequest("this is not HTTP")
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(_length_of(headers))
    return _Request(words[0], words[1], headers, body)


def _length_of(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise BadRequest("a body must have a Content-Length")
    if int(text) > BODY_BYTES_MAX:
        raise BadRequest(f"the body is over {BODY_BYTES_MAX} bytes")
    return int(text)
