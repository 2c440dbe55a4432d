"""The life of an endpoint: how many attempts it may have at once, its breaker, and when it is given up. Pure.

Contract § 8: an endpoint that keeps failing is probed one request at a time, and disabled after five days of
nothing but failure. Waiting costs a delivery no attempt.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Ours: the contract says "keeps failing".
BREAKER_FAILURES = 10
PROBE_WAIT_MS_FIRST = 1_000
PROBE_WAIT_MS_MAX = 60_000
DISABLE_AFTER_MS = 5 * 86_400_000

# A moment that lies further ahead was noted before the clock was set back: nobody knows how long ago that is.
CLOCK_STEP_MS = 1_000

# Who waits longer for a token looks again after an hour.
BUCKET_WAIT_MS_MAX = 3_600_000

MAX_CONCURRENCY_DEFAULT = 10
GONE = 410


class EndpointState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Health:
    """The breaker's memory. `failing_since` and `probe_at` in Unix ms, None while all is well."""

    failures_in_a_row: int = 0
    failing_since: int | None = None
    probe_at: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether only probes go out."""
        return self.failures_in_a_row >= BREAKER_FAILURES


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket of one second's worth (at least one): what was left at a moment."""

    per_second: float
    tokens: float | None = None
    at_ms: int | None = None

    def filled(self, now_ms: int) -> float:
        """What is in it now. A clock that is set back takes nothing away and holds up nothing."""
        burst = max(1.0, self.per_second)
        if self.tokens is None or self.at_ms is None or self.at_ms > now_ms + CLOCK_STEP_MS:
            return burst
        return min(burst, self.tokens + max(0, now_ms - self.at_ms) * self.per_second / 1000)

    def wait_ms(self, now_ms: int) -> int:
        """How long until there is a whole token in it, or until that is to be asked again; 0 when there is one."""
        # Compared before it is rounded: at a rate of next to nothing it is endless.
        wait_ms = (1 - self.filled(now_ms)) * 1000 / self.per_second
        return max(0, math.ceil(min(wait_ms, BUCKET_WAIT_MS_MAX)))


HEALTHY = Health()


def after_attempts(health: Health, *, succeeded: int, failed: int, now_ms: int) -> Health:
    """The health after attempts that ended at about the same time: one success among them proves it is there."""
    if succeeded or not failed:
        return HEALTHY if succeeded else health
    failures = health.failures_in_a_row + failed
    since = now_ms if health.failing_since is None else health.failing_since
    return Health(failures, since, now_ms + probe_wait_ms(failures) if failures >= BREAKER_FAILURES else None)


def probe_wait_ms(failures_in_a_row: int) -> int:
    """How long until the next probe: doubles with each that fails, up to a minute."""
    doublings = min(failures_in_a_row - BREAKER_FAILURES, 16)
    return min(PROBE_WAIT_MS_MAX, PROBE_WAIT_MS_FIRST << max(0, doublings))


def is_hopeless(health: Health, now_ms: int) -> bool:
    """Whether there has been nothing but failure for five days."""
    return health.failing_since is not None and now_ms - health.failing_since >= DISABLE_AFTER_MS


def room(
    *,
    state: EndpointState,
    health: Health,
    in_flight: int,
    max_concurrency: int,
    bucket: Bucket | None,
    now_ms: int,
) -> int:
    """How many more attempts may begin now."""
    if state is not EndpointState.ACTIVE:
        return 0
    if health.is_open:
        free = 1 if in_flight == 0 and _probe_is_due(health.probe_at, now_ms) else 0
    else:
        free = max(0, max_concurrency - in_flight)
    return free if bucket is None else min(free, int(bucket.filled(now_ms)))


def _probe_is_due(probe_at: int | None, now_ms: int) -> bool:
    # No probe is further away than a minute, unless the clock was set back meanwhile.
    return probe_at is None or now_ms >= probe_at or probe_at > now_ms + PROBE_WAIT_MS_MAX


def share_out(places: int, rooms: Mapping[str, int], in_flight: Mapping[str, int]) -> dict[str, int]:
    """How many of so many places each endpoint gets, at most its room; those that get none are left out.

    Each place goes to whoever has the fewest attempts under way, so that slow endpoints, which keep their
    places long, leave some to the others.
    """
    given: dict[str, int] = {}
    queue = [(in_flight.get(endpoint_id, 0), endpoint_id) for endpoint_id, room in rooms.items() if room > 0]
    heapq.heapify(queue)
    while places > 0 and queue:
        busy, endpoint_id = queue[0]
        given[endpoint_id] = given.get(endpoint_id, 0) + 1
        places -= 1
        if given[endpoint_id] < rooms[endpoint_id]:
            heapq.heapreplace(queue, (busy + 1, endpoint_id))
        else:
            heapq.heappop(queue)
    return given
