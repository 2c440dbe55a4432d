"""Vertical bars over time, and horizontal bars of named things."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leadline.charts.plot import (
    GAP,
    LegendItem,
    Plot,
    Series,
    class_of,
    described,
    grid,
    hits,
    labels_below,
    legend,
    nothing,
    plot_for,
)
from leadline.charts.svg import document, element, hint, label
from leadline.charts.ticks import axis_for
from leadline.charts.times import STRIDES
from leadline.charts.values import Format, whole
from leadline.charts.words import fitted, one_line, width_of

_ROW = 24.0
_THICK = 14.0
_BARS_MAX = 50


def column_chart(
    name: str,
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    size: tuple[float, float] = (560, 240),
    form: Format = whole,
    axis_form: Format | None = None,
    whole_ticks: bool = True,
    times: bool = False,
    interval: str = "day",
    empty: str = "Nothing in this period.",
    standalone: bool = False,
) -> str:
    """A column for each label; several series are stacked, those below zero downwards."""
    description = described(labels, series, form)
    items = [LegendItem(each.name, _sample(class_of(n, bad=each.bad))) for n, each in enumerate(series)]
    above, legend_height = legend(items, size[0])
    stacks = [[_value(each, at) for each in series] for at in range(len(labels))]
    ends = [end for stack in stacks for end in _ends(stack)]
    if not any(stack != [0.0] * len(series) for stack in stacks) and not _any_value(series):
        parts = [nothing(size, empty)]
        return document(name, size, title, description, parts, kind="columns", standalone=standalone)
    axis = axis_for(ends, whole=whole_ticks, times=times)
    plot = plot_for(size, axis, len(labels), axis_form or form, legend_height)
    parts = [*above, *grid(plot), *labels_below(plot, labels, width=size[0], strides=STRIDES[interval])]
    classes = [class_of(n, bad=each.bad) for n, each in enumerate(series)]
    for at, stack in enumerate(stacks):
        parts += _column(plot, at, stack, classes)
    parts += hits(plot, labels, series, form)
    return document(name, size, title, description, parts, kind="columns", standalone=standalone)


def _any_value(series: Sequence[Series]) -> bool:
    return any(value is not None for each in series for value in each.values)


def _value(series: Series, at: int) -> float:
    value = series.values[at] if at < len(series.values) else None
    return value or 0.0


def _ends(stack: Sequence[float]) -> tuple[float, float]:
    """How far down and how far up a stack reaches."""
    return sum(value for value in stack if value < 0), sum(value for value in stack if value > 0)


def _column(plot: Plot, at: int, stack: Sequence[float], classes: Sequence[str]) -> Iterator[str]:
    thick = min(46.0, max(1.0, plot.step * 0.62))
    up = down = 0.0
    for place, value in enumerate(stack):
        if not value:
            continue
        base = up if value > 0 else down
        up, down = (up + value, down) if value > 0 else (up, down + value)
        high, low = plot.y(max(base, base + value)), plot.y(min(base, base + value))
        rectangle = element(
            "rect",
            class_="bar",
            x=plot.x(at) - thick / 2,
            y=high,
            width=thick,
            height=max(0.5, low - high),
            rx=min(2.0, thick / 4),
        )
        yield element("g", rectangle, class_=classes[place])


def _sample(class_: str) -> str:
    square = element("rect", class_="bar", x=5, y=-6, width=12, height=12, rx=2)
    return element("g", square, class_=class_)


@dataclass(frozen=True, slots=True)
class Bar:
    """A named value; `note` stands behind the number."""

    name: str
    value: float
    note: str = ""


def bar_list(
    name: str,
    title: str,
    bars: Sequence[Bar],
    *,
    width: float = 460,
    form: Format = whole,
    empty: str = "Nothing in this period.",
    standalone: bool = False,
) -> str:
    """A bar for each, in the order given, with its number behind it. At most 50; values are not negative."""
    bars = [Bar(each.name, max(0.0, each.value), each.note) for each in bars[:_BARS_MAX]]
    height = max(3, len(bars)) * _ROW
    if not bars:
        parts = [nothing((width, height), empty)]
        return document(
            name, (width, height), title, "There is no data.", parts, kind="bars", standalone=standalone
        )
    told = [f"{form(each.value)} {each.note}".strip() for each in bars]
    description = " ".join(f"{one_line(each.name)}: {text}." for each, text in zip(bars, told, strict=True))
    # Names take what they need up to four tenths, numbers what they need; bars have the rest.
    behind = min(max(width_of(text) for text in told) + GAP, width * 0.35)
    left = min(max(width_of(one_line(each.name)) for each in bars), width * 0.4) + GAP
    room = max(1.0, width - left - behind)
    highest = max(each.value for each in bars) or 1.0
    parts = [
        _row(number, each, text, left, room * each.value / highest, behind)
        for number, (each, text) in enumerate(zip(bars, told, strict=True))
    ]
    return document(name, (width, height), title, description, parts, kind="bars", standalone=standalone)


def _row(number: int, bar: Bar, told: str, left: float, length: float, behind: float) -> str:
    middle = _ROW * (number + 0.5)
    rectangle = element(
        "rect",
        class_="bar",
        x=left,
        y=middle - _THICK / 2,
        width=max(1.0, length),
        height=_THICK,
        rx=2,
    )
    parts = [
        hint(f"{one_line(bar.name)}: {told}"),
        label(left - GAP, middle + 4, fitted(bar.name, left - GAP), anchor="end"),
        rectangle,
        label(left + max(1.0, length) + 6, middle + 4, fitted(told, behind - 6), class_="label strong"),
    ]
    return element("g", "".join(parts), class_=class_of(0))
