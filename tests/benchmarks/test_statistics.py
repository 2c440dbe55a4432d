"""What the benchmarks' numbers rest on: the histogram, ratios, and the comparison of two runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from benchmarks.comparing import NothingInCommon, Verdict, compare, is_regression
from benchmarks.histogram import Histogram, bucket_of, longest_of
from benchmarks.report import Better, Figure, Part, Report, Unit, Values, from_json, ratio, render, to_json
from hypothesis import given
from hypothesis import strategies as st

durations = st.integers(min_value=0, max_value=10**9)
# Of a size that occurs, so that a hundredth of one is a number.
ratios = st.lists(st.floats(min_value=0.01, max_value=1000), min_size=1, max_size=7)


@given(durations)
def test_a_bucket_is_never_wider_than_a_hundredth_of_what_it_holds(duration_us: int) -> None:
    longest = longest_of(bucket_of(duration_us))
    assert duration_us <= longest <= duration_us * 1.01


@given(durations, durations)
def test_a_longer_duration_never_falls_into_an_earlier_bucket(one: int, other: int) -> None:
    assert (bucket_of(min(one, other))) <= bucket_of(max(one, other))
    assert bucket_of(longest_of(bucket_of(one)) + 1) == bucket_of(one) + 1


@given(st.lists(durations, min_size=1), st.floats(min_value=0.1, max_value=100))
def test_a_percentile_is_the_duration_that_so_many_stayed_within(all_us: list[int], percent: float) -> None:
    exact = sorted(all_us)[math.ceil(len(all_us) * percent / 100) - 1]
    assert exact <= _histogram(all_us).percentile_us(percent) <= exact * 1.01


@given(st.lists(durations), st.lists(durations))
def test_two_histograms_together_are_that_of_all(one: list[int], other: list[int]) -> None:
    together = _histogram(one) + _histogram(other)
    assert together.buckets == _histogram([*one, *other]).buckets
    assert together.count == len(one) + len(other)


def test_an_empty_histogram_has_no_duration() -> None:
    assert Histogram().percentile_us(99) == 0


@given(ratios, st.floats(min_value=0.1, max_value=10))
def test_a_machine_that_is_slow_for_both_changes_no_ratio(speeds: list[float], mood: float) -> None:
    echo = [1000.0] * len(speeds)
    calm = ratio(speeds, echo)
    moody = ratio([speed * mood for speed in speeds], [speed * mood for speed in echo])
    assert moody.runs == pytest.approx(calm.runs)


@given(ratios)
def test_a_run_compared_with_itself_is_the_same(runs: list[float]) -> None:
    for better in Better:
        (found,) = compare(_report(runs, better), _report(runs, better))
        assert found.verdict is Verdict.SAME


@given(ratios, st.floats(min_value=0.01, max_value=0.85))
def test_what_falls_below_every_old_run_by_more_than_the_tolerance_is_worse(
    runs: list[float], share: float
) -> None:
    lower = [min(runs) * share] * len(runs)
    assert _verdict(runs, lower, Better.HIGHER) is Verdict.WORSE
    assert _verdict(runs, lower, Better.LOWER) is Verdict.BETTER
    assert _verdict(lower, runs, Better.LOWER) is Verdict.WORSE


@given(ratios, st.data())
def test_what_the_old_runs_have_seen_is_no_regression(runs: list[float], data: st.DataObject) -> None:
    seen = data.draw(st.sampled_from(runs))
    for better in Better:
        assert _verdict(runs, [seen], better) is not Verdict.WORSE


@given(ratios, ratios)
def test_better_one_way_is_worse_the_other_way_or_noise(one: list[float], other: list[float]) -> None:
    there, back = _verdict(one, other, Better.HIGHER), _verdict(other, one, Better.HIGHER)
    assert {there, back} != {Verdict.WORSE}
    assert {there, back} != {Verdict.BETTER}


def test_a_figure_that_is_no_longer_measured_is_a_regression() -> None:
    with_two = _report([1.0], Better.HIGHER, names=("kept", "dropped"))
    found = compare(with_two, _report([1.0], Better.HIGHER, names=("kept",)))
    assert {each.name: each.verdict for each in found} == {"kept": Verdict.SAME, "dropped": Verdict.GONE}
    assert is_regression(found)


def test_a_part_that_was_not_run_this_time_is_none() -> None:
    both = _report([1.0], Better.HIGHER, parts=("apply", "read"))
    assert not is_regression(compare(both, _report([1.0], Better.HIGHER, parts=("apply",))))


def test_runs_with_nothing_in_common_are_not_called_the_same() -> None:
    with pytest.raises(NothingInCommon):
        compare(
            _report([1.0], Better.HIGHER, parts=("apply",)), _report([1.0], Better.HIGHER, parts=("read",))
        )


def test_times_are_not_compared() -> None:
    with pytest.raises(NothingInCommon):
        compare(_report([1.0], Better.LOWER, unit=Unit.MS), _report([9.0], Better.LOWER, unit=Unit.MS))


@given(ratios)
def test_a_report_survives_its_file(runs: list[float]) -> None:
    report = _report(runs, Better.HIGHER)
    assert to_json(from_json(to_json(report))) == to_json(report)


def test_the_table_says_what_was_missed() -> None:
    shown = render(_report([0.1, 0.3, 0.2], Better.HIGHER, reach=0.4))
    assert "0.20 (0.10-0.30)  ≥ 0.4  MISSED" in shown
    assert "reached" in render(_report([0.5], Better.HIGHER, reach=0.4))
    assert "reached" in render(_report([0.5], Better.LOWER, reach=1))


def _histogram(all_us: Sequence[int]) -> Histogram:
    histogram = Histogram()
    for duration_us in all_us:
        histogram.add(duration_us)
    return histogram


def _verdict(old: list[float], new: list[float], better: Better) -> Verdict:
    (found,) = compare(_report(old, better), _report(new, better))
    return found.verdict


def _report(
    runs: list[float],
    better: Better,
    *,
    names: Sequence[str] = ("apply / echo",),
    parts: Sequence[str] = ("apply",),
    unit: Unit = Unit.RATIO,
    reach: float | None = None,
) -> Report:
    figures = [Figure(name=name, values=Values(unit, runs), better=better, reach=reach) for name in names]
    machine = {"processor": "any", "cores": "2", "system": "any", "python": "any"}
    return Report(
        made_at="2026-01-01T00:00:00+00:00",
        machine=machine,
        places="",
        runs=len(runs),
        seconds=1.0,
        parts=[Part(name, f"python -m benchmarks {name}", (), figures, ()) for name in parts],
    )
