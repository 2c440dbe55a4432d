from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.domain.reports import (
    CallCounts,
    Counting,
    Histogram,
    call_counts,
    call_kind,
    change_of_count,
    change_of_rate,
    ratio,
    two_digits,
)

durations = st.lists(st.integers(0, 10**9), min_size=1, max_size=200)
labels = st.builds(
    lambda answered, owed, outcomes: f"{answered}{owed}:{','.join(outcomes)}",
    st.sampled_from(["--", "a-", "ac"]),
    st.sampled_from("-o"),
    st.lists(st.sampled_from(["ax", "ay", "dp", "dq"]), unique=True).map(sorted),
)
counted = st.lists(st.tuples(labels, st.integers(0, 1_000)))
chosen = st.none() | st.frozensets(st.sampled_from("xypq"))


def histogram(milliseconds: list[int]) -> Histogram:
    found = Histogram.empty()
    for each in milliseconds:
        found.add(two_digits(each), 1, each)
    return found


@given(durations, st.integers(1, 100))
def test_a_percentile_is_the_true_one_cut_to_two_digits(milliseconds: list[int], percent: int) -> None:
    rank = math.ceil(len(milliseconds) * percent / 100)
    assert histogram(milliseconds).percentile_ms(percent) == two_digits(sorted(milliseconds)[rank - 1])


@given(st.integers(0, 10**15))
def test_a_duration_is_cut_by_less_than_a_tenth(milliseconds: int) -> None:
    cut = two_digits(milliseconds)
    assert cut <= milliseconds
    assert milliseconds < 100 or milliseconds - cut < milliseconds / 10
    assert two_digits(cut) == cut


@given(durations)
def test_a_mean_is_exact_to_the_millisecond(milliseconds: list[int]) -> None:
    assert histogram(milliseconds).mean_ms == round(sum(milliseconds) / len(milliseconds))


def test_nothing_has_no_mean_and_no_percentile() -> None:
    assert Histogram.empty().mean_ms is None
    assert Histogram.empty().percentile_ms(50) is None


@given(counted, chosen, chosen)
def test_every_count_is_part_of_the_one_it_is_divided_by(
    labels: list[tuple[str, int]], contacts: frozenset[str] | None, conversions: frozenset[str] | None
) -> None:
    found = call_counts(labels, Counting(contacts, conversions))
    assert 0 <= found.conversions <= found.contacts <= found.calls
    assert 0 <= found.missing <= found.owed <= found.calls
    assert found.answered <= found.calls == sum(count for _, count in labels)


@given(counted, counted, chosen)
def test_counts_of_two_halves_add_up(
    one: list[tuple[str, int]], other: list[tuple[str, int]], contacts: frozenset[str] | None
) -> None:
    counting = Counting(contacts)
    together, first, second = (call_counts(each, counting) for each in (one + other, one, other))
    for name in CallCounts.__slots__:
        assert getattr(together, name) == getattr(first, name) + getattr(second, name)


def test_a_label_is_read_as_it_was_written() -> None:
    kind = call_kind("aco:a11,d22")
    assert (kind.answered, kind.completed, kind.owed, kind.missing) == (True, True, True, False)
    assert kind.outcome_ids == {"11", "22"}
    assert call_kind("--o:").missing
    assert not call_kind("---:").missing


def test_what_counts_is_what_was_chosen() -> None:
    labels = [("ac-:a11", 1), ("ac-:", 2), ("a--:d22", 4), ("---:", 8)]
    usual = call_counts(labels, Counting())
    assert (usual.contacts, usual.conversions) == (3, 1)
    chosen = call_counts(labels, Counting(frozenset({"22"}), frozenset({"22"})))
    assert (chosen.contacts, chosen.conversions) == (4, 4)
    nobody = call_counts(labels, Counting(frozenset(), frozenset()))
    assert (nobody.contacts, nobody.conversions) == (0, 0)


@pytest.mark.parametrize(
    ("value", "previous", "change"),
    [(110, 100, 0.1), (0, 4, -1.0), (3, 0, None), (None, 4, None), (4, None, None)],
)
def test_a_change_is_part_of_what_was_before(
    value: int | None, previous: int | None, change: float | None
) -> None:
    assert change_of_count(value, previous) == change


def test_a_rate_of_nothing_is_none_and_its_change_a_difference() -> None:
    assert ratio(0, 0) is None
    assert ratio(1, 3) == 0.3333
    assert change_of_rate(0.25, 0.2) == 0.05
    assert change_of_rate(None, 0.2) is None
