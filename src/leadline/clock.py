"""The one caller of the system's clock. Times inside Leadline are integers: Unix milliseconds, UTC."""

from __future__ import annotations

import time
import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What `iso_from_ms` can tell, and databases can keep: by UTC, whatever the offset that a time is given with.
YEAR_MIN, YEAR_MAX = 1970, 9999


class Clock:
    """Wall-clock time. Tests give another one to see time pass without waiting for it."""

    def now_ms(self) -> int:
        """Unix milliseconds, now."""
        return time.time_ns() // 1_000_000


def monotonic_seconds() -> float:
    """Seconds that never jump, for deadlines and durations; comparable only within one process."""
    return time.monotonic()


def iso_from_ms(at_ms: int) -> str:
    """ISO 8601 UTC with milliseconds and `Z` (contract § 1), such as `2026-06-25T00:00:00.000Z`."""
    seconds, milliseconds = divmod(at_ms, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(256)
def _second(seconds: int) -> str:
    """Most times that are told together lie in a few seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def iso_or_none(at_ms: int | None) -> str | None:
    """`iso_from_ms` for a time that may be missing."""
    return None if at_ms is None else iso_from_ms(at_ms)


def ms_from_datetime(at: datetime) -> int:
    """Unix milliseconds of an aware datetime; what is finer than a millisecond is cut off."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def is_within_years(at: datetime) -> bool:
    """Whether an aware datetime lies from `YEAR_MIN` to `YEAR_MAX`, in UTC."""
    try:
        return YEAR_MIN <= at.astimezone(UTC).year <= YEAR_MAX
    except OverflowError:
        return False  # before the year 1 or behind 9999


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def zone_named(name: str) -> tzinfo | None:
    """The IANA time zone of this name (`America/New_York`), as this machine knows it; None when it knows none."""
    if name == "UTC":
        return UTC
    # By the list alone: a name is a path to the library that reads zones.
    return zoneinfo.ZoneInfo(name) if name in _zone_names() else None
