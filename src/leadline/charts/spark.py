"""A line without words, to stand beside a number."""

from __future__ import annotations

from collections.abc import Sequence

from leadline.charts.plot import Plot, Series, described
from leadline.charts.svg import document, element, number
from leadline.charts.ticks import Axis
from leadline.charts.values import Format, whole


def sparkline(
    name: str,
    title: str,
    values: Sequence[float | None],
    *,
    size: tuple[float, float] = (120, 28),
    form: Format = whole,
    standalone: bool = False,
) -> str:
    """From zero to the highest value; the last point is marked. A gap is left out and not drawn across."""
    known = [(at, value) for at, value in enumerate(values) if value is not None]
    labels = [f"point {at + 1}" for at in range(len(values))]
    description = described(labels, [Series(title, values)], form)
    if not known:
        middle = size[1] / 2
        line = element("line", class_="grid", x1=2, x2=size[0] - 2, y1=middle, y2=middle)
        return document(name, size, title, description, [line], kind="spark", standalone=standalone)
    low, high = min(0.0, *(value for _, value in known), 0.0), max(0.0, *(value for _, value in known), 0.0)
    axis = Axis((low, high if high > low else low + 1.0))
    plot = Plot(2.0, size[0] - 2.0, 3.0, size[1] - 3.0, axis, len(values), form)
    path = "".join(_point(plot, values, at, value) for at, value in known)
    x, y = plot.x(known[-1][0]), plot.y(known[-1][1])
    drawn = element("path", class_="line", d=path) + element("circle", class_="mark", cx=x, cy=y, r=2.5)
    parts = [element("g", drawn, class_="s1")]
    return document(name, size, title, description, parts, kind="spark", standalone=standalone)


def _point(plot: Plot, values: Sequence[float | None], at: int, value: float) -> str:
    goes_on = at > 0 and values[at - 1] is not None
    return f"{'L' if goes_on else 'M'}{number(plot.x(at))} {number(plot.y(value))}"
