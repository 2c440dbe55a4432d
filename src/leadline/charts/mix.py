"""The shares of a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from leadline.charts.bars import Bar
from leadline.charts.plot import GAP, class_of, nothing
from leadline.charts.style import SERIES_MAX
from leadline.charts.svg import document, element, hint, label
from leadline.charts.values import Format, percent, whole
from leadline.charts.words import fitted, one_line, width_of

_THICK = 28.0
_ROW = 20.0


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    value: float
    share: float
    class_: str
    number: str


def mix_chart(
    name: str,
    title: str,
    bars: Sequence[Bar],
    *,
    width: float = 460,
    form: Format = whole,
    empty: str = "Nothing in this period.",
    standalone: bool = False,
) -> str:
    """One bar cut by share, the largest first, and a list that says what is what.

    Parts carry numbers, so that they can be told apart without colours. Beyond five they are one: the others.
    """
    parts = _parts(bars)
    if not parts:
        size = (width, 3 * _ROW)
        drawn = [nothing(size, empty)]
        return document(name, size, title, "There is no data.", drawn, kind="mix", standalone=standalone)
    size = (width, _THICK + GAP + len(parts) * _ROW)
    told = [f"{percent(part.share)} ({form(part.value)})" for part in parts]
    description = " ".join(f"{part.name}: {text}." for part, text in zip(parts, told, strict=True))
    drawn, x = [], 0.0
    for number, part in enumerate(parts):
        length = width * part.share
        drawn.append(_segment(part, told[number], x, length))
        drawn.append(_entry(part, told[number], _THICK + GAP + _ROW * (number + 0.5), width))
        x += length
    return document(name, size, title, description, drawn, kind="mix", standalone=standalone)


def _parts(bars: Sequence[Bar]) -> list[_Part]:
    counted = sorted((each for each in bars if each.value > 0), key=lambda each: -each.value)
    total = sum(each.value for each in counted)
    named = counted if len(counted) <= SERIES_MAX else counted[: SERIES_MAX - 1]
    found = [
        _Part(one_line(each.name), each.value, each.value / total, class_of(place), str(place + 1))
        for place, each in enumerate(named)
    ]
    rest = sum(each.value for each in counted[len(named) :])
    if rest:
        name = f"{len(counted) - len(named)} others"
        found.append(_Part(name, rest, rest / total, "rest", str(len(found) + 1)))
    return found


def _segment(part: _Part, told: str, x: float, length: float) -> str:
    gap = 1.0 if length > 4 else 0.0
    drawn = [
        hint(f"{part.name}: {told}"),
        element("rect", class_="bar", x=x, y=0, width=max(0.2, length - gap), height=_THICK),
    ]
    if width_of(part.number) + 4 <= length:
        drawn.append(label(x + length / 2, _THICK / 2 + 4, part.number, anchor="middle", class_="label on"))
    return element("g", "".join(drawn), class_=part.class_)


def _entry(part: _Part, told: str, middle: float, width: float) -> str:
    behind = width_of(told)
    drawn = [
        element("rect", class_="bar", x=0, y=middle - 8, width=16, height=16, rx=3),
        label(8, middle + 4, part.number, anchor="middle", class_="label on"),
        label(24, middle + 4, fitted(part.name, width - 24 - GAP - behind), class_="label strong"),
        label(width, middle + 4, fitted(told, width - 24), anchor="end"),
    ]
    return element("g", "".join(drawn), class_=part.class_)
