"""When a failed delivery is tried again (contract § 8). Pure: time and chance come in as arguments."""

from __future__ import annotations

import math
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: ten attempts over 75 h.
DEFAULT_WAITS_SECONDS: tuple[float, ...] = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
JITTER_RATIO_MAX = 0.2
RETRY_AFTER_SECONDS_MAX = 86_400
WAIT_SECONDS_MAX = 7 * 86_400
WAITS_MAX = 100
_WAIT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?|\.[0-9]{1,9}")
_RETRY_AFTER_CHARACTERS_MAX = 100


class InvalidSchedule(ValueError):
    """`LEADLINE_WEBHOOK_RETRY_SCHEDULE` is no list of waits."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the retry schedule must list waits in seconds such as 5,300,1800: {problem}")


def parse_waits(text: str) -> tuple[float, ...]:
    """The waits of a comma-separated list of seconds such as `0.5, 30, 3600`.

    1 to 100 waits, each 0 to 604800 (7 days), decimals allowed; anything else raises `InvalidSchedule`.
    """
    entries = [entry.strip() for entry in text.split(",")]
    if len(entries) > WAITS_MAX:
        raise InvalidSchedule(f"there are {len(entries)} waits, at most {WAITS_MAX} are possible")
    return tuple(_parse_wait(entry) for entry in entries)


def next_wait_ms(
    waits: Sequence[float], failures: int, *, jitter: float, retry_after_seconds: float | None
) -> int | None:
    """Milliseconds from the end of the `failures`-th failed attempt to the next one; None when used up.

    `failures` counts from 1. `waits` are seconds. `jitter` is a random number from 0 to 1 and
    lengthens the wait by up to 20 %.
    `retry_after_seconds` is a floor; it prolongs no schedule that is used up.
    """
    assert failures >= 1, "there is no wait before the first attempt"
    assert 0 <= jitter <= 1, "jitter is a share of the 20 %"
    if failures > len(waits):
        return None
    wait_seconds = waits[failures - 1] * (1 + JITTER_RATIO_MAX * jitter)
    return math.ceil(max(wait_seconds, retry_after_seconds or 0) * 1000)


def parse_retry_after(value: str, *, now_seconds: float) -> float | None:
    """Seconds to wait as a `Retry-After` header says, 0 to 86400; None when it says nothing usable.

    Takes whole seconds or an HTTP date (a past one is 0). More than 24 h counts as 24 h (contract § 8).
    """
    text = value.strip(" \t")
    if len(text) > _RETRY_AFTER_CHARACTERS_MAX:
        return None
    if text.isascii() and text.isdigit():
        return float(min(int(text), RETRY_AFTER_SECONDS_MAX))
    at_seconds = _parse_http_date(text)
    return None if at_seconds is None else min(max(at_seconds - now_seconds, 0.0), RETRY_AFTER_SECONDS_MAX)


def _parse_wait(entry: str) -> float:
    if not _WAIT.fullmatch(entry):
        raise InvalidSchedule(f"{entry!r} is no number of seconds")
    wait_seconds = float(entry)
    if wait_seconds > WAIT_SECONDS_MAX:
        raise InvalidSchedule(f"{entry!r} is longer than {WAIT_SECONDS_MAX} seconds (7 days)")
    return wait_seconds


def _parse_http_date(text: str) -> float | None:
    # The parser of e-mail dates takes all three forms of RFC 9110, and raises these on what is none.
    try:
        at = parsedate_to_datetime(text)
        # An asctime date names no zone; HTTP dates are UTC by definition.
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None
