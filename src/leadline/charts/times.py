"""Words for the buckets of a time axis."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

# Every how many buckets a label may stand: what people count time in. When none fits, the first stands alone.
STRIDES: dict[str, tuple[int, ...]] = {
    "hour": (1, 2, 3, 4, 6, 12, 24, 48, 72, 96, 168),
    "day": (1, 2, 3, 7, 14, 28, 56, 84, 112, 168),
    "week": (1, 2, 4, 8, 13, 26, 52, 104, 156),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def time_labels(starts: Sequence[datetime.datetime], interval: str) -> list[str]:
    """One for each bucket, by its local start: `14:00` (or the day, at midnight) for hours, else `Nov 9`.

    Where the buckets are of more than one year, it is said.
    """
    several_years = len({start.year for start in starts}) > 1
    several_days = len({start.date() for start in starts}) > 1
    return [_label(start, interval, several_days, several_years) for start in starts]


def _label(start: datetime.datetime, interval: str, several_days: bool, several_years: bool) -> str:
    if interval == "hour" and not (several_days and start.hour == 0 and start.minute == 0):
        return f"{start:%H:%M}"
    day = f"{_MONTHS[start.month - 1]} {start.day}"
    return f"{day}, {start.year}" if several_years else day
