"""Requests as data, and how their answers are read. Nothing here touches a network or a clock."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote
from uuid import UUID

import msgspec
from msgspec import UNSET

from leadline.client.errors import ConfigurationError
from leadline.client.models import Page

T = TypeVar("T")
A = TypeVar("A", bound=msgspec.Struct)

PREFIX = "/phone-system"

Id = str | UUID
"""An id as text (any form that the API takes) or as a UUID."""

When = str | datetime
"""A time: an aware datetime, or ISO 8601 text that names its offset."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer off the wire. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[T]):
    """One request, described. `read` makes the value of a success; it raises `msgspec.MsgspecError`."""

    operation: str
    method: str
    path: str
    read: Callable[[Reply], T]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    # A key of the caller's own; None lets the client make one for every write.
    idempotency_key: str | None = None
    if_match: str | None = None
    # What the caller has already, with its tag: answered when the server says that nothing has changed.
    known: tuple[str, T] | None = None

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest(Request[Page[T]], Generic[T]):
    """A request for a page, from which the next one follows."""

    cursor_parameter: str = "cursor"

    def after(self, cursor: str) -> PageRequest[T]:
        """The request for the page at this `next_cursor`."""
        return replace(self, query={**self.query, self.cursor_parameter: cursor})

    def sized(self, limit: int) -> PageRequest[T]:
        """The same with at most this many on a page."""
        return replace(self, query={**self.query, "limit": str(limit)})


def path(template: str, *segments: Id) -> str:
    """A path of the API; each `{}` takes a segment, escaped whole. Raises ConfigurationError for an empty one."""
    return PREFIX + template.format(*map(_segment, segments))


def _segment(value: Id) -> str:
    text = str(value)
    if not text:
        raise ConfigurationError("an id must not be empty")
    escaped = quote(text, safe="", errors="replace")
    # A segment of dots alone would be taken for "here" or "one up" on the way.
    return escaped.replace(".", "%2E") if not text.strip(".") else escaped


def parameters(**values: Any) -> dict[str, str]:
    """Query parameters; those that are None are left out."""
    return {name: _as_text(value) for name, value in values.items() if value is not None}


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(plain(value))
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ConfigurationError(f"{text!r} holds what is no Unicode character") from None
    return text


def given(**values: Any) -> dict[str, Any]:
    """The fields of a body; those that are None are left out."""
    return {name: plain(value) for name, value in values.items() if value is not None}


def changed(**values: Any) -> dict[str, Any]:
    """The fields of a change: UNSET is left as it is, None empties."""
    return {name: plain(value) for name, value in values.items() if value is not UNSET}


def plain(value: Any) -> Any:
    """Ids as text and times as the API takes them. Raises ConfigurationError for a time without an offset."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ConfigurationError("a time must name its offset: give an aware datetime")
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


@functools.cache
def _decoder(answer: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(answer)


def decoded(reply: Reply, answer: type[A]) -> A:
    """The body as this struct; unknown fields are passed over. Raises `msgspec.MsgspecError`."""
    value: A = _decoder(answer).decode(reply.body)
    return value
