"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Callable

Format = Callable[[float], str]

_UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def whole(value: float) -> str:
    """`1,612`."""
    return f"{value:,.0f}"


def compact(value: float) -> str:
    """Three digits at most, for axes: `950`, `1.5k`, `12k`, `2.25M`."""
    for size, unit in _UNITS:
        # What would be rounded up to a thousand of a unit is one of the next.
        if abs(value) >= size * 0.9995:
            return f"{_three_digits(value / size)}{unit}"
    return _three_digits(value)


def _three_digits(value: float) -> str:
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def percent(value: float) -> str:
    """Of a share: 0.234 is `23.4%`."""
    return f"{_one_decimal(value * 100)}%"


def _one_decimal(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")


def duration(milliseconds: float) -> str:
    """Two units at most: `84 ms`, `1.9 s`, `2 min 5 s`, `3 h 20 min`, `2 d 4 h`."""
    if abs(milliseconds) < 999.5:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if abs(seconds) < 59.95:
        return f"{_one_decimal(seconds)} s"
    total = round(seconds)
    for size, unit, small_size, small in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min")):
        if total >= size:
            return _two(total // size, unit, total % size // small_size, small)
    return _two(total // 60, "min", total % 60, "s")


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large:,} {unit} {small} {small_unit}" if small else f"{large:,} {unit}"
