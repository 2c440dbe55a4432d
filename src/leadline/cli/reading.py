"""What people type, as the API takes it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from leadline.cli.failures import UsageError
from leadline.clock import Clock
from leadline.domain.limits import IMPORT_COLUMNS_MAX

_AGE = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Reader:
    """The type of an argument as it is typed, and how it is read. `read` raises UsageError."""

    kind: Any
    read: Callable[[Any], Any]


def read_time(text: str) -> datetime:
    """A time: ISO 8601, by this machine's clock when it names no offset, or an age such as `30m`, `2h`, `7d`."""
    age = _AGE.fullmatch(text.strip())
    if age is not None:
        now = datetime.fromtimestamp(Clock().now_ms() / 1000, UTC)
        return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is no time: give 2026-06-25T12:00:00Z, 2026-06-25 or an age such as 2h"
        ) from None


def read_attributes(pairs: Sequence[str]) -> dict[str, Any]:
    """`name=value` pairs. `true`, `false` and numbers are what they say; with quotes they are text."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--attribute is name=value, not {pair!r}")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str | int | float) else text


def read_removal(lists: Sequence[str]) -> dict[str, Any]:
    """`all`, or the ids of lists."""
    if "all" in lists:
        if len(lists) > 1:
            raise UsageError("--remove-from is all, or ids of Smart Lists")
        return {"all": True}
    return {"list_ids": list(lists)}


def read_columns(pairs: Sequence[str]) -> list[dict[str, Any]]:
    """What columns mean, by their numbers from 1: `2=name`, `3=attribute:seats:number`."""
    found = []
    for pair in pairs:
        number, equals, meaning = pair.partition("=")
        if not equals or not number.isdecimal() or not 1 <= int(number) <= IMPORT_COLUMNS_MAX:
            raise UsageError(f"--column is number=meaning, such as 2=name, not {pair!r}")
        field, *rest = meaning.split(":")
        if len(rest) > 2:
            raise UsageError(f"--column is at most number=attribute:KEY:TYPE, not {pair!r}")
        found.append(
            {"column": int(number) - 1, "field": field} | dict(zip(("key", "type"), rest, strict=False))
        )
    return found


def read_document(name: str) -> Any:
    """The YAML or JSON document of a file; `-` is standard input."""
    from leadline.cli.configuration_file import read_source

    return read_source(name).configuration


_TIME = Reader(str, read_time)
READERS: Mapping[str, Reader] = {
    "since": _TIME,
    "until": _TIME,
    "started_at": _TIME,
    "ended_at": _TIME,
    "columns": Reader(tuple[str, ...], read_columns),
    "configuration": Reader(str, read_document),
    "attributes": Reader(tuple[str, ...], read_attributes),
    "remove_from_smart_lists": Reader(tuple[str, ...], read_removal),
}
