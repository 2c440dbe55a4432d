"""Round numbers for an axis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
# Times are round in other places.
_TIME_STEPS_MS = (
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
    600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 21_600_000, 43_200_000, 86_400_000,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Axis:
    """Ticks in rising order; the first and the last are the ends of the axis."""

    ticks: tuple[float, ...]

    @property
    def low(self) -> float:
        return self.ticks[0]

    @property
    def high(self) -> float:
        return self.ticks[-1]

    def place(self, value: float) -> float:
        """Where a value is between the ends, 0-1."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


def axis_for(values: Iterable[float], *, count: int = 4, whole: bool = True, times: bool = False) -> Axis:
    """An axis with zero on it that holds all values, with about `count` steps.

    `whole`: no tick between two whole numbers. `times`: values are milliseconds.
    """
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(0.0, *finite, 0.0), max(0.0, *finite, 0.0)
    if low == high:
        high = 1.0 if not times else 1_000.0
    step = _step((high - low) / count, whole=whole, times=times)
    first, last = math.floor(low / step), math.ceil(high / step)
    # What is divided and multiplied again may come out a little short.
    first -= first * step > low
    last += last * step < high
    return Axis(tuple(number * step for number in range(first, last + 1)))


def _step(least: float, *, whole: bool, times: bool) -> float:
    if times:
        suitable = next((step for step in _TIME_STEPS_MS if step >= least), None)
        if suitable is not None:
            return float(suitable)
        return 86_400_000.0 * _step(least / 86_400_000.0, whole=True, times=False)
    size = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    for each in _STEPS:
        step = size * each
        if step >= least * (1 - 1e-9) and not (whole and (step < 1 or step != math.floor(step))):
            return step
    return max(1.0, size * 10) if whole else size * 10
