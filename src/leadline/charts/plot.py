"""What charts with two axes share: where things are, the grid, the labels below, the legend above."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leadline.charts.style import SERIES_MAX
from leadline.charts.svg import element, hint, label
from leadline.charts.ticks import Axis
from leadline.charts.values import Format, compact, whole
from leadline.charts.words import SIZE, fitted, one_line, width_of

GAP = 8.0
LINE_HEIGHT = 18.0
_SAMPLE_WIDTH = 22.0
_BELOW = 20.0
_ABOVE = 10.0


@dataclass(frozen=True, slots=True)
class Series:
    """Values in the order of the labels; None where there is nothing to say. `bad` ones are drawn in red."""

    name: str
    values: Sequence[float | None]
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """The area between the axes, in pixels."""

    left: float
    right: float
    top: float
    bottom: float
    axis: Axis
    count: int
    # How the numbers of the axis are written.
    form: Format

    def y(self, value: float) -> float:
        return self.bottom - self.axis.place(value) * (self.bottom - self.top)

    @property
    def step(self) -> float:
        """How much room each label has."""
        return (self.right - self.left) / max(1, self.count)

    def x(self, number: int) -> float:
        """The middle of a label's room."""
        return self.left + self.step * (number + 0.5)


def class_of(number: int, *, bad: bool = False) -> str:
    """The class that colours a series."""
    return "bad" if bad else f"s{number % SERIES_MAX + 1}"


def plot_for(size: tuple[float, float], axis: Axis, count: int, form: Format, legend_height: float) -> Plot:
    """Room for the longest number at the left and for the labels below."""
    width, height = size
    if _longest(axis, form) > width * 0.25:
        form = compact
    left = _longest(axis, form) + GAP
    return Plot(left, width - GAP, _ABOVE + legend_height, height - _BELOW, axis, count, form)


def _longest(axis: Axis, form: Format) -> float:
    return max(width_of(form(tick)) for tick in axis.ticks)


def grid(plot: Plot) -> Iterator[str]:
    for tick in plot.axis.ticks:
        y = plot.y(tick)
        kind = "axis" if tick == 0 else "grid"
        yield element("line", class_=kind, x1=plot.left, x2=plot.right, y1=y, y2=y)
    for tick in _spread(plot):
        yield label(plot.left - GAP + 2, plot.y(tick) + 4, plot.form(tick), anchor="end")


def _spread(plot: Plot) -> Iterator[float]:
    """Ticks whose numbers do not touch."""
    lowest = float("inf")
    for tick in plot.axis.ticks:
        if lowest - plot.y(tick) >= SIZE + 2:
            lowest = plot.y(tick)
            yield tick


def labels_below(plot: Plot, labels: Sequence[str], *, width: float, strides: Sequence[int]) -> Iterator[str]:
    """Every n-th label, n being the smallest at which none touches another; all of them within the chart."""
    longest = max((width_of(text) for text in labels), default=0.0)
    wide_enough = (n for n in strides if n < len(labels) and plot.step * n >= longest + GAP)
    stride = next(wide_enough, len(labels) or 1)
    baseline = plot.bottom + _BELOW - 5
    taken = 0.0
    for number in range(0, len(labels), stride):
        text = fitted(labels[number], width)
        half = width_of(text) / 2
        # One that is moved in from the edge may meet the one before, and is left out then.
        x = min(max(plot.x(number), half), width - half)
        if x - half >= taken:
            taken = x + half + GAP / 2
            yield label(x, baseline, text, anchor="middle")


def hits(plot: Plot, labels: Sequence[str], series: Sequence[Series], form: Format) -> Iterator[str]:
    """Over each label's room an invisible rectangle, which tells the numbers when pointed at."""
    for number, text in enumerate(labels):
        told = [
            f"{one_line(each.name)}: {'-' if (value := _at(each, number)) is None else form(value)}"
            for each in series
        ]
        yield element(
            "rect",
            hint("\n".join([one_line(text), *told])),
            class_="hit",
            x=plot.left + plot.step * number,
            y=plot.top,
            width=plot.step,
            height=plot.bottom - plot.top,
        )


def _at(series: Series, number: int) -> float | None:
    return series.values[number] if number < len(series.values) else None


@dataclass(frozen=True, slots=True)
class LegendItem:
    """A name behind a sample of `_SAMPLE_WIDTH` that is drawn at the origin."""

    name: str
    sample: str


def legend(items: Sequence[LegendItem], width: float) -> tuple[list[str], float]:
    """The legend in as many rows as it takes, and its height; nothing for a single series."""
    if len(items) < 2:
        return [], 0.0
    parts, x, y = [], 0.0, LINE_HEIGHT / 2
    for item in items:
        room = width - _SAMPLE_WIDTH - 6
        text = fitted(item.name, room)
        needed = _SAMPLE_WIDTH + 6 + width_of(text)
        if x and x + needed > width:
            x, y = 0.0, y + LINE_HEIGHT
        parts.append(element("g", item.sample, transform=f"translate({x:.1f} {y:.1f})"))
        parts.append(label(x + _SAMPLE_WIDTH + 6, y + 4, text, class_="label strong"))
        x += needed + 2 * GAP
    return parts, y + LINE_HEIGHT / 2


def nothing(size: tuple[float, float], text: str) -> str:
    """What a chart shows when there is nothing to show."""
    width, height = size
    return label(width / 2, height / 2, fitted(text, width, 13.0), anchor="middle", class_="label empty")


def described(labels: Sequence[str], series: Sequence[Series], form: Format = whole) -> str:
    """What somebody is told who cannot see the chart: from when to when, and each series' range."""
    if not labels or not any(value is not None for each in series for value in each.values):
        return "There is no data."
    first, last = one_line(labels[0]), one_line(labels[-1])
    told = [f"From {first} to {last}."] if len(labels) > 1 else [f"{first}."]
    for each in series:
        known = [value for value in each.values if value is not None]
        if known:
            told.append(f"{one_line(each.name)}: lowest {form(min(known))}, highest {form(max(known))}.")
    return " ".join(told)
