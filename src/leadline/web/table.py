"""The API is a table: one `Operation` a row makes its route, its checks and its place in the documentation."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar, cast
from urllib.parse import unquote

import msgspec

from leadline.domain.access import Principal, Scope
from leadline.domain.errors import InvalidRequest, LeadlineError, NotFound, Problem
from leadline.domain.outcomes import UrlRules
from leadline.ids import NIL_ID, parse_id
from leadline.store.database import Tx
from leadline.web.downloads import StreamedFile
from leadline.wire.common import Answer, Query

T = TypeVar("T")
PREFIX = "/phone-system"


class KeyUse(StrEnum):
    """What an Idempotency-Key means to an operation."""

    REQUIRED = "required"
    HONOURED = "honoured"
    NONE = "none"


class BodyUse(StrEnum):
    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Context:
    """What the rules of input need to know of this server."""

    url_rules: UrlRules
    webhook_timeout_seconds: int = 15


@dataclass(slots=True)
class Request:
    """Typed, authenticated input."""

    principal: Principal
    path: Mapping[str, str]
    query: Any
    body: Any
    if_match: str | None
    context: Context

    @property
    def workspace_id(self) -> str:
        return self.principal.workspace_id


@dataclass(frozen=True, slots=True)
class Download:
    """A success that is no JSON, to be kept under a file name of ASCII letters."""

    media_type: str
    file_name: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A success. `status` None is the operation's usual one; a `download` goes out instead of the answer."""

    answer: Answer
    status: int | None = None
    etag: str | None = None
    download: Download | None = None


Handler = Callable[[Tx, Request], Awaitable[Reply]]
# Many requests of one workspace at once: a reply or a refusal for each, in its place.
HandlerTogether = Callable[[Tx, Sequence[Request]], Awaitable[Sequence["Reply | LeadlineError"]]]
Rules = Callable[[Mapping[str, Any], Principal, Context], list[Problem]]


class NoQuery(Query, frozen=True, kw_only=True):
    """An operation without parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of the API. `name` is its operationId and the client's method."""

    name: str
    method: str
    path: str
    scope: Scope
    summary: str
    handler: Handler | None = None
    # Instead of a handler: what is asked at the same moment is carried out together.
    handler_together: HandlerTogether | None = None
    answers: Mapping[int, type[Answer]]
    tag: str
    description: str = ""
    writes: bool = True
    query: type[Query] = NoQuery
    body: type[msgspec.Struct] | None = None
    body_use: BodyUse = BodyUse.NONE
    rules: Rules | None = None
    key_use: KeyUse = KeyUse.HONOURED
    errors: tuple[type[LeadlineError], ...] = ()
    body_error: type[LeadlineError] = InvalidRequest
    needs_outcomes: bool = False
    # What it needs beside `scope`, when it touches more than one noun.
    more_scopes: tuple[Scope, ...] = ()
    if_match: bool = False
    # The answer is tagged by its bytes, and If-None-Match is answered with 304.
    tagged_by_content: bool = False
    # The answer depends on the workspace's outcomes and Smart Lists alone: its bytes are kept until they change.
    kept: bool = False
    streams: bool = False
    # Its answer has a secret in it, which is kept sealed.
    shows_secret: bool = False
    # It may take more than a moment.
    long: bool = False
    # Answered instead to who accepts its media type and no JSON.
    file: StreamedFile | None = None
    # `format=csv` answers text/csv; only for operations that read.
    offers_csv: bool = False
    example: Any = None
    answer_example: Any = None
    query_example: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert (self.handler is None) != (self.handler_together is None)
        assert not self.kept or not (self.writes or _PARAMETER.search(self.path) or self.query is not NoQuery)

    @property
    def status(self) -> int:
        return min(self.answers)

    @property
    def scopes(self) -> tuple[Scope, ...]:
        return (self.scope, *self.more_scopes)


_PARAMETER = re.compile(r"\{(\w+)\}")
_TEXT_PARAMETERS = frozenset({"agent_id", "link", "report_name"})


class Routed(Protocol):
    """What a route leads to: an operation of the API, or a page of the console."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...


R = TypeVar("R", bound=Routed)


class Routes(Generic[R]):
    """Which operation a request is for."""

    def __init__(self, operations: Sequence[R]) -> None:
        patterns = [_pattern(operation.path) for operation in operations]
        # How many segments are words in every path: with their number, they find a route among its few neighbours.
        self._words = min(([*pattern, None].index(None) for pattern in patterns), default=0)
        self._routes: dict[tuple[Any, ...], list[tuple[list[str | None], list[str], dict[str, R]]]] = {}
        for operation, pattern in zip(operations, patterns, strict=True):
            self._add(operation, pattern)

    def _add(self, operation: R, pattern: list[str | None]) -> None:
        names = _PARAMETER.findall(operation.path)
        neighbours = self._routes.setdefault((len(pattern), *pattern[: self._words]), [])
        for known, _, methods in neighbours:
            if known == pattern:
                methods[operation.method] = operation
                return
        neighbours.append((pattern, names, {operation.method: operation}))
        # A word of ours comes before a parameter that would take it for an id.
        neighbours.sort(key=lambda known: known[0].count(None))

    def find(self, path: str) -> tuple[dict[str, R], dict[str, str]] | None:
        """The operations of a path by method, and its parameters; None when there is no such path.

        `path` is as it was sent: an escaped slash is part of a parameter and does not end it.
        """
        segments = path.split("/")
        if "%" in path:
            segments = [unquote(segment) for segment in segments]
        neighbours = self._routes.get((len(segments), *segments[: self._words]), ())
        for pattern, names, methods in neighbours:
            values = _matched(pattern, segments)
            if values is not None:
                return methods, {
                    name: _parameter(name, value) for name, value in zip(names, values, strict=True)
                }
        return None


def _pattern(path: str) -> list[str | None]:
    return [None if _PARAMETER.fullmatch(part) else part for part in path.split("/")]


def _matched(pattern: list[str | None], segments: list[str]) -> list[str] | None:
    values = []
    for wanted, segment in zip(pattern, segments, strict=True):
        if wanted is None:
            if not segment:
                return None
            values.append(segment)
        elif wanted != segment:
            return None
    return values


def _parameter(name: str, value: str) -> str:
    """A UUID in its canonical form. What is none becomes an id that no row has, and so is not found."""
    if name in _TEXT_PARAMETERS:
        # The phone system's own text. PostgreSQL cannot even be asked for a NUL, and nobody is called "".
        return "" if "\0" in value else value
    return parse_id(value) or NIL_ID


def optional(value: Any) -> Any:
    """A parameter as operations take it: ids as text."""
    return None if value is None or value is msgspec.UNSET else str(value)


def not_found() -> NotFound:
    return NotFound("There is no such path.")


def typed(request: Request, body_type: type[T]) -> T:
    """The body, as the type that the table says it has."""
    assert isinstance(request.body, cast("Any", body_type))
    return cast("T", request.body)
