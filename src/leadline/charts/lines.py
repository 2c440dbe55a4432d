"""Lines over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leadline.charts.plot import (
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
from leadline.charts.svg import document, element, number
from leadline.charts.ticks import axis_for
from leadline.charts.times import STRIDES
from leadline.charts.values import Format, whole

# None of the first six looks like another without its colour.
_DASHES = (None, "6 4", "1.5 4", "10 3 2 3", "14 4", "3 2")
_MARKS_MAX = 62


def line_chart(
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
    area: bool = True,
    empty: str = "Nothing in this period.",
    standalone: bool = False,
) -> str:
    """Series over time; `interval` (hour, day, week) is what a label is one of.

    The first is filled below when `area`. `form` writes values, `axis_form` those of the axis.
    """
    values = [value for each in series for value in each.values if value is not None]
    items = [LegendItem(each.name, _sample(n, bad=each.bad)) for n, each in enumerate(series)]
    above, legend_height = legend(items, size[0])
    description = described(labels, series, form)
    if not labels or not values:
        return document(
            name, size, title, description, [nothing(size, empty)], kind="lines", standalone=standalone
        )
    axis = axis_for(values, whole=whole_ticks, times=times)
    plot = plot_for(size, axis, len(labels), axis_form or form, legend_height)
    parts = [*above, *grid(plot), *labels_below(plot, labels, width=size[0], strides=STRIDES[interval])]
    for place, each in reversed(list(enumerate(series))):
        parts += _line(plot, place, each, area=area and place == 0)
    parts += hits(plot, labels, series, form)
    return document(name, size, title, description, parts, kind="lines", standalone=standalone)


def _line(plot: Plot, place: int, series: Series, *, area: bool) -> Iterator[str]:
    """One series: a path for each stretch without a gap, and its points."""
    drawn: list[str] = []
    for run in _runs(series.values[: plot.count]):
        points = [(plot.x(at), plot.y(value)) for at, value in run]
        path = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)
        if area and len(points) > 1:
            base = number(plot.y(0))
            closed = f"{path}L{number(points[-1][0])} {base}L{number(points[0][0])} {base}Z"
            drawn.append(element("path", class_="area", d=closed))
        if len(points) > 1:
            drawn.append(element("path", class_="line", d=path, stroke_dasharray=_DASHES[place % 6]))
        if plot.count <= _MARKS_MAX or len(points) == 1:
            drawn += [_mark(place, x, y) for x, y in points]
    if drawn:
        yield element("g", "".join(drawn), class_=class_of(place, bad=series.bad))


def _runs(values: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    run: list[tuple[int, float]] = []
    for at, value in enumerate(values):
        if value is not None:
            run.append((at, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _mark(place: int, x: float, y: float) -> str:
    match place % 6:
        case 0:
            return element("circle", class_="mark", cx=x, cy=y, r=2.5)
        case 1:
            return element("rect", class_="mark", x=x - 2.5, y=y - 2.5, width=5, height=5)
        case 2:
            return element("path", class_="mark", d=_path(x, y, ((0, -3.5), (3.5, 2.5), (-3.5, 2.5))))
        case 3:
            return element("path", class_="mark", d=_path(x, y, ((0, -3.5), (3.5, 0), (0, 3.5), (-3.5, 0))))
        case 4:
            return element("circle", class_="hollow", cx=x, cy=y, r=2.5)
        case _:
            return element("rect", class_="hollow", x=x - 2.5, y=y - 2.5, width=5, height=5)


def _path(x: float, y: float, corners: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{number(x + dx)} {number(y + dy)}" for dx, dy in corners) + "Z"


def _sample(place: int, *, bad: bool) -> str:
    line = element("path", class_="line", d="M1 0L21 0", stroke_dasharray=_DASHES[place % 6])
    return element("g", line + _mark(place, 11, 0), class_=class_of(place, bad=bad))
