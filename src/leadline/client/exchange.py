"""A call from its description to its value, without I/O: a generator that says what to do next.

It yields `Send` (one HTTP request is to be made; it wants the `Reply` or the `Broken` back) and `Wait` (time is
to pass). The two clients carry that out, each in its own way, and decide nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec

from leadline.client.errors import (
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    LeadlineError,
    Refusal,
    UnexpectedAnswer,
    refused,
)
from leadline.client.models import Response
from leadline.client.options import Options
from leadline.client.requests.described import Reply, Request
from leadline.wire.common import ProblemDetail

T = TypeVar("T")
log = logging.getLogger("leadline.client")

_encode = msgspec.json.Encoder().encode
# What may pass by itself: too many requests, and a server or a gateway that is not there for the moment.
PASSING_STATUSES = frozenset({429, 502, 503, 504})
_PASSING_CODES = frozenset({"idempotency_key_in_use"})
_ENVELOPE = frozenset({"ok", "error", "message", "details", "request_id"})


@dataclass(frozen=True, slots=True)
class Send:
    """Make this HTTP request. No silence may be longer than `timeout_seconds`; the whole ends at `deadline`."""

    method: str
    target: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes | None
    timeout_seconds: float
    connect_timeout_seconds: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Let this time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Broken:
    """No whole answer came."""

    reason: str
    timed_out: bool = False


Outcome = Reply | Broken | None
Steps = Generator[Send | Wait, Outcome, Response[T]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a call needs from the world: a clock that never jumps, chance in [0, 1), and fresh keys."""

    now: Callable[[], float]
    fraction: Callable[[], float]
    new_key: Callable[[], str]


def exchange(request: Request[T], options: Options, world: Surroundings) -> Steps[T]:
    """Make a call. Raises a `LeadlineError` when it cannot be answered with a value."""
    began = world.now()
    deadline = began + options.deadline_seconds
    key = request.idempotency_key or (world.new_key() if request.writes else None)
    headers = _headers(request, key)
    content = _content(request)
    attempt = 0
    while True:
        attempt += 1
        left = deadline - world.now()
        send = Send(
            method=request.method,
            target=request.path,
            query=request.query,
            headers=headers,
            content=content,
            timeout_seconds=max(0.001, min(options.timeout_seconds, left)),
            connect_timeout_seconds=max(0.001, min(options.connect_timeout_seconds, left)),
            deadline=deadline,
        )
        came = yield send
        assert isinstance(came, Reply | Broken)
        _tell(request, attempt, came)
        wait_seconds = _wait_seconds(came, attempt, options, world)
        left = deadline - world.now()
        if wait_seconds is None or wait_seconds >= left:
            return _concluded(request, came, key, attempt, out_of_time=left <= 0)
        yield Wait(wait_seconds)


def _content(request: Request[Any]) -> bytes | None:
    if request.body is None:
        return None
    try:
        return _encode(request.body)
    except (TypeError, ValueError) as wrong:
        raise ConfigurationError(f"the body of {request.operation} cannot be sent as JSON: {wrong}") from None


def _visible(name: str, value: str) -> str:
    """A header's value that is one line. Raises ConfigurationError."""
    if not value.isascii() or not value.isprintable() or not value:
        raise ConfigurationError(f"{name} must be visible ASCII characters")
    return value


def _headers(request: Request[Any], key: str | None) -> dict[str, str]:
    headers = {"accept": "application/json"}
    if request.body is not None:
        headers["content-type"] = "application/json"
    if key is not None:
        headers["idempotency-key"] = _visible("idempotency_key", key)
    if request.if_match is not None:
        headers["if-match"] = _visible("if_match", request.if_match)
    if request.known is not None:
        headers["if-none-match"] = request.known[0]
    return headers


def _tell(request: Request[Any], attempt: int, came: Reply | Broken) -> None:
    """One line for an attempt, with nothing in it that was sent: neither query nor body nor token."""
    what = came.reason if isinstance(came, Broken) else came.status
    request_id = None if isinstance(came, Broken) else came.headers.get("x-request-id")
    log.debug("%s attempt=%d answer=%s request_id=%s", request.operation, attempt, what, request_id)


def _wait_seconds(came: Reply | Broken, attempt: int, options: Options, world: Surroundings) -> float | None:
    """How long to wait for the next attempt; None when there is to be none."""
    if attempt >= options.attempts_max or not _may_pass(came):
        return None
    own = options.backoff_seconds(attempt, world.fraction())
    asked = retry_after_seconds(came) if isinstance(came, Reply) else None
    return own if asked is None else max(own, asked)


def _may_pass(came: Reply | Broken) -> bool:
    if isinstance(came, Broken) or came.status in PASSING_STATUSES:
        return True
    if came.status != 409:
        return False
    return _object(came.body).get("error") in _PASSING_CODES


def retry_after_seconds(reply: Reply) -> float | None:
    """`Retry-After` in seconds, also when it is a date; None when there is none, or none that makes sense."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
        sent = parsedate_to_datetime(reply.headers.get("date", ""))
    except ValueError:
        return None
    # By the server's own clock: ours may be wrong.
    return max(0.0, (_aware(at) - _aware(sent)).total_seconds())


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _concluded(
    request: Request[T], came: Reply | Broken, key: str | None, attempt: int, *, out_of_time: bool
) -> Response[T]:
    if isinstance(came, Reply):
        return understood(request, came)
    if came.timed_out and out_of_time:
        message = f"no answer to {request.operation} in time: {came.reason}"
        raise DeadlineExceeded(message, idempotency_key=key, attempts=attempt)
    times = "once" if attempt == 1 else f"{attempt} times"
    message = f"no answer to {request.operation}, asked {times}: {came.reason}"
    raise ConnectionFailed(message, idempotency_key=key, attempts=attempt)


def understood(request: Request[T], reply: Reply) -> Response[T]:
    """The value of a reply. Raises Refused, UnexpectedAnswer."""
    request_id = reply.headers.get("x-request-id")
    if reply.status == 304 and request.known is not None:
        tag, value = request.known
        return Response(value, reply.status, reply.body, request_id=request_id, etag=tag)
    if not 200 <= reply.status < 300:
        raise refusal_of(reply)
    try:
        value = request.read(reply)
    except msgspec.MsgspecError as wrong:
        message = f"the answer to {request.operation} is not what it should be: {wrong}"
        raise UnexpectedAnswer(message, status=reply.status, request_id=request_id) from wrong
    return Response(
        value,
        reply.status,
        reply.body,
        request_id=request_id,
        etag=reply.headers.get("etag"),
        replayed=reply.headers.get("idempotent-replayed") == "true",
    )


def refusal_of(reply: Reply) -> LeadlineError:
    """The error of an answer that is no success."""
    body = _object(reply.body)
    code, message = body.get("error"), body.get("message")
    request_id = reply.headers.get("x-request-id")
    if not isinstance(code, str) or not isinstance(message, str):
        return UnexpectedAnswer(
            f"this is no Leadline, or something stands before it: it answered {reply.status}",
            status=reply.status,
            request_id=request_id,
        )
    return refused(
        Refusal(
            status=reply.status,
            code=code,
            message=message,
            details=_details(body.get("details")),
            request_id=request_id or _text(body.get("request_id")),
            retry_after_seconds=retry_after_seconds(reply),
            pointers={name: value for name, value in body.items() if name not in _ENVELOPE},
        )
    )


def _details(value: Any) -> tuple[ProblemDetail, ...]:
    entries = value if isinstance(value, list) else []
    return tuple(
        ProblemDetail(str(each.get("field", "")), str(each.get("message", "")))
        for each in entries
        if isinstance(each, dict)
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body; an empty one when it holds anything else."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
