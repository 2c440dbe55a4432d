"""How often each duration happened, in buckets that are never wider than 1 % of what they hold.

Like an HDR histogram: up to 256 µs every microsecond has a bucket of its own, above that each power of two
has 128. Two of them can be added, so that percentiles of several runs are those of all their requests.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

_EXACT_BITS = 8
_STEPS = 1 << (_EXACT_BITS - 1)


def bucket_of(duration_us: int) -> int:
    """The number of the bucket that a duration falls into; greater durations, greater numbers."""
    shift = max(0, duration_us.bit_length() - _EXACT_BITS)
    return shift * _STEPS + (duration_us >> shift)


def longest_of(bucket: int) -> int:
    """The longest duration (µs) that falls into a bucket."""
    shift = max(0, bucket // _STEPS - 1)
    return ((bucket - shift * _STEPS + 1) << shift) - 1


class Histogram:
    """Durations in microseconds. `buckets` is what it is made of, and enough to make it again."""

    __slots__ = ("buckets",)

    def __init__(self, buckets: Mapping[int, int] | None = None) -> None:
        self.buckets: Counter[int] = Counter(buckets or {})

    def add(self, duration_us: int) -> None:
        self.buckets[bucket_of(duration_us)] += 1

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(self.buckets + other.buckets)

    @property
    def count(self) -> int:
        return self.buckets.total()

    def percentile_us(self, percent: float) -> int:
        """The duration that so many percent stayed within; never below it, at most 1 % above. 0 when empty."""
        assert 0 < percent <= 100
        wanted = math.ceil(self.count * percent / 100)
        for bucket in sorted(self.buckets):
            wanted -= self.buckets[bucket]
            if wanted <= 0:
                return longest_of(bucket)
        return 0

    def percentile_ms(self, percent: float) -> float:
        return self.percentile_us(percent) / 1000
