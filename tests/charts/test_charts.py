"""Whatever is drawn is well-formed, within its view box, and harmless."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leadline.charts import (
    Bar,
    Series,
    bar_list,
    column_chart,
    line_chart,
    mix_chart,
    sparkline,
    time_labels,
    values,
)
from leadline.charts.style import STYLE
from leadline.charts.ticks import axis_for
from leadline.charts.words import SIZE, fitted, width_of

Element = ElementTree.Element
HOSTILE = '<img src=x onerror="alert(1)">]]>&amp;\0\x1b\u202e'
texts = st.text(max_size=60) | st.just(HOSTILE) | st.just("W" * 300) | st.just("漢字" * 40) | st.just("")
amounts = st.floats(-1e18, 1e18, allow_nan=False) | st.integers(0, 2_000) | st.just(0)
gaps = st.none() | amounts
names_of_days = [f"Nov {day}" for day in range(1, 31)]
labels = st.lists(texts, max_size=8) | st.integers(0, 400).map(lambda n: [f"Nov {each}" for each in range(n)])
sizes = st.sampled_from([(560.0, 240.0), (350.0, 220.0), (1000.0, 260.0), (120.0, 80.0)])
series = st.lists(st.builds(Series, texts, st.lists(gaps, max_size=40)), max_size=8)
bars = st.lists(st.builds(Bar, texts, amounts, texts), max_size=60)


def read(svg: str) -> Element:
    assert "style=" not in svg
    assert not re.search(r"<script|\son\w+=\"|javascript:", svg)
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own output
    assert root.get("role") == "img"
    ids = [root.get("aria-labelledby"), root.get("aria-describedby")]
    described = {each.get("id"): each.text for each in root if each.get("id")}
    assert (described[ids[1]] or "").strip()
    assert ids[0] in described
    return root


def tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def boxes(root: Element) -> list[tuple[str, float, float, float, float]]:
    """Every shape and text as (what, left, top, right, bottom), in the coordinates of the view box."""
    found: list[tuple[str, float, float, float, float]] = []

    def walk(element: Element, dx: float, dy: float) -> None:
        moved = re.fullmatch(r"translate\((\S+) (\S+)\)", element.get("transform") or "")
        if moved:
            dx, dy = dx + float(moved[1]), dy + float(moved[2])
        box = box_of(element)
        if box is not None:
            what = f"{tag(element)} {element.text or element.get('class')}"
            found.append((what, box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy))
        for child in element:
            walk(child, dx, dy)

    walk(root, 0.0, 0.0)
    return found


def box_of(element: Element) -> tuple[float, float, float, float] | None:
    def at(name: str) -> float:
        return float(element.get(name, "0"))

    match tag(element):
        case "rect":
            return at("x"), at("y"), at("x") + at("width"), at("y") + at("height")
        case "circle":
            return at("cx") - at("r"), at("cy") - at("r"), at("cx") + at("r"), at("cy") + at("r")
        case "line":
            return at("x1"), at("y1"), at("x2"), at("y2")
        case "path":
            numbers = [float(each) for each in re.findall(r"-?[\d.]+", element.get("d", ""))]
            return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])
        case "text":
            width = width_of(element.text or "", 13.0 if "empty" in element.get("class", "") else SIZE)
            left = at("x") - {"middle": width / 2, "end": width}.get(element.get("text-anchor", ""), 0.0)
            return left, at("y") - SIZE * 0.8, left + width, at("y") + SIZE * 0.25
    return None


def assert_it_holds(svg: str) -> Element:
    """Well-formed, within the view box, and no two texts in each other's way."""
    root = read(svg)
    _, _, width, height = (float(each) for each in (root.get("viewBox") or "").split())
    found = boxes(root)
    for what, left, top, right, bottom in found:
        assert all(map(math.isfinite, (left, top, right, bottom))), what
        assert left >= -0.6, what
        assert right <= width + 0.6, what
        assert top >= -1.5, what
        assert bottom <= height + 1.5, what
    written = [each for each in found if each[0].startswith("text ") and each[3] > each[1]]
    for number, one in enumerate(written):
        for other in written[number + 1 :]:
            apart = one[3] <= other[1] + 0.6 or other[3] <= one[1] + 0.6
            assert apart or one[4] <= other[2] + 0.6 or other[4] <= one[2] + 0.6, (one, other)
    return root


Chart = Callable[..., str]


@pytest.mark.parametrize("chart", [line_chart, column_chart])
@settings(max_examples=60)
@given(
    title=texts,
    labels=labels,
    series=series,
    size=sizes,
    form=st.sampled_from([values.whole, values.compact]),
)
@example("T", names_of_days, [Series("One", [1.0] * 30)], (350.0, 220.0), values.whole)
@example("T", ["a"], [Series("One", [5])], (350.0, 220.0), values.whole)
@example("T", [f"Nov {n}" for n in range(239)], [Series("One", [5])], (1000.0, 260.0), values.whole)
@example("T", ["a", "b"], [Series("One", [1e18, -1e18])], (350.0, 220.0), values.whole)
@example(
    "T", ["a", "b", "c"], [Series(HOSTILE, [None, 3, None]), Series("x", [])], (560.0, 240.0), values.compact
)
def test_charts_over_time_hold_whatever_the_data(
    chart: Chart, title: str, labels: list[str], series: list[Series], size: tuple[float, float],
    form: values.Format,
) -> None:  # fmt: skip
    assert_it_holds(chart("c", title, labels, series, size=(size[0], size[1] + 160), form=form))


@pytest.mark.parametrize("chart", [bar_list, mix_chart])
@settings(max_examples=60)
@given(title=texts, bars=bars, width=st.sampled_from([350.0, 460.0, 1000.0]))
@example("T", [Bar(HOSTILE, 1), Bar("漢字" * 40, 1e18), Bar("", 0)], 350.0)
@example("T", [Bar("only", 7)], 350.0)
def test_charts_of_named_things_hold_whatever_the_data(
    chart: Chart, title: str, bars: list[Bar], width: float
) -> None:
    assert_it_holds(chart("c", title, bars, width=width))


@settings(max_examples=60)
@given(title=texts, numbers=st.lists(gaps, max_size=60))
def test_sparklines_hold_whatever_the_data(title: str, numbers: list[float | None]) -> None:
    assert_it_holds(sparkline("c", title, numbers))


def shown(svg: str) -> list[str]:
    return [each.text or "" for each in read(svg).iter() if tag(each) == "text"]


@pytest.mark.parametrize("standalone", [False, True])
def test_a_chart_that_stands_alone_brings_its_style(standalone: bool) -> None:
    svg = line_chart("c", "T", ["a"], [Series("One", [5])], standalone=standalone)
    styles = [each.text for each in read(svg).iter() if tag(each) == "style"]
    assert styles == ([STYLE] if standalone else [])


@pytest.mark.parametrize(
    "svg",
    [
        line_chart("c", "T", [], [], empty="No calls."),
        line_chart("c", "T", ["a"], [Series("One", [None])], empty="No calls."),
        column_chart("c", "T", [], [], empty="No calls."),
        bar_list("c", "T", [], empty="No calls."),
        mix_chart("c", "T", [Bar("a", 0)], empty="No calls."),
    ],
)
def test_no_data_is_said_in_words(svg: str) -> None:
    assert shown(svg) == ["No calls."]
    assert "There is no data." in svg


def test_a_hostile_name_is_shown_as_text() -> None:
    root = read(bar_list("c", HOSTILE, [Bar(HOSTILE, 3)]))
    assert {tag(each) for each in root.iter()} == {"svg", "title", "desc", "g", "text", "rect"}
    assert root[0].text is not None
    assert root[0].text.startswith('<img src=x onerror="alert(1)">]]>&amp;')


def test_series_differ_without_their_colours() -> None:
    svg = line_chart("c", "T", ["a", "b"], [Series(f"S{n}", [n, n]) for n in range(6)])
    lines = [each for each in read(svg).iter() if each.get("class") == "line"]
    assert len({each.get("stroke-dasharray") for each in lines}) == 6


def test_a_gap_is_not_drawn_across() -> None:
    svg = line_chart("c", "T", list("abcde"), [Series("One", [1, 2, None, 4, 5])], area=False)
    assert len([each for each in read(svg).iter() if each.get("class") == "line"]) == 2


def test_the_shares_of_a_mix_are_whole() -> None:
    many = [Bar(f"Outcome {n}", n + 1) for n in range(9)]
    segments = [
        each
        for each in boxes(read(mix_chart("c", "T", many, width=460)))
        if each[2] == 0 and "rect" in each[0]
    ]
    assert len(segments) == 6
    assert segments[-1][3] == pytest.approx(460, abs=1.1)
    assert "4 others" in shown(mix_chart("c", "T", many, width=460))


@settings(max_examples=60)
@given(st.lists(st.floats(-1e15, 1e15), max_size=20), st.booleans(), st.booleans())
def test_an_axis_holds_every_value_and_has_few_ticks(numbers: list[float], whole: bool, times: bool) -> None:
    axis = axis_for(numbers, whole=whole, times=times)
    assert axis.low <= 0 <= axis.high
    assert 0.0 in axis.ticks
    assert all(axis.low <= each <= axis.high for each in numbers)
    assert 2 <= len(axis.ticks) <= 12
    assert list(axis.ticks) == sorted(set(axis.ticks))
    if whole:
        assert all(tick == int(tick) for tick in axis.ticks)


@settings(max_examples=60)
@given(texts, st.floats(0, 400))
def test_fitted_text_fits(text: str, width: float) -> None:
    assert width_of(fitted(text, width)) <= width + 1e-6


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (950, "950"), (999.6, "1k"), (1_500, "1.5k"), (12_345, "12.3k"), (999_600, "1M"), (2_250_000, "2.25M"),
     (-1_500, "-1.5k"), (0.25, "0.25"), (1e18, "1000P")],
)  # fmt: skip
def test_numbers_on_an_axis_are_short(value: float, shown: str) -> None:
    assert values.compact(value) == shown


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(0, "0 ms"), (84, "84 ms"), (999.6, "1 s"), (1_900, "1.9 s"), (59_960, "1 min"), (125_000, "2 min 5 s"),
     (3_600_000, "1 h"), (12_000_000, "3 h 20 min"), (187_200_000, "2 d 4 h")],
)  # fmt: skip
def test_durations_have_two_units_at_most(milliseconds: float, shown: str) -> None:
    assert values.duration(milliseconds) == shown


def times(*starts: str) -> Sequence[datetime.datetime]:
    return [datetime.datetime.fromisoformat(each) for each in starts]


def test_labels_of_time_say_what_tells_them_apart() -> None:
    assert time_labels(times("2026-11-09T22:00", "2026-11-09T23:00"), "hour") == ["22:00", "23:00"]
    assert time_labels(times("2026-11-09T23:00", "2026-11-10T00:00"), "hour") == ["23:00", "Nov 10"]
    assert time_labels(times("2026-11-09T00:00", "2026-11-10T00:00"), "day") == ["Nov 9", "Nov 10"]
    assert time_labels(times("2026-12-28T00:00", "2027-01-04T00:00"), "week") == [
        "Dec 28, 2026",
        "Jan 4, 2027",
    ]
