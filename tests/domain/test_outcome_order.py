from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from leadline.domain.limits import INT32_MAX, INT32_MIN
from leadline.domain.outcome_order import order_behind, reordered

orders = st.lists(st.integers(INT32_MIN, INT32_MAX), max_size=50)


@given(orders)
def test_the_new_orders_rise_and_stay_within_int32(given_orders: list[int]) -> None:
    found = reordered(given_orders)
    assert len(found) == len(given_orders)
    assert all(before < after for before, after in pairwise(found))
    assert all(INT32_MIN <= each <= INT32_MAX for each in found)


@given(st.sets(st.integers(INT32_MIN, INT32_MAX), max_size=50).map(list))
def test_orders_that_differ_are_only_dealt_out_anew(given_orders: list[int]) -> None:
    assert set(reordered(given_orders)) == set(given_orders)


def test_equal_orders_are_numbered_with_room_between() -> None:
    assert reordered([0, 0, 7]) == [10, 20, 30]


def test_the_last_comes_behind_all_and_never_beyond_what_an_order_may_be() -> None:
    assert order_behind([], INT32_MAX) == 10
    assert order_behind([40, -3], INT32_MAX) == 50
    assert order_behind([INT32_MAX], INT32_MAX) == INT32_MAX
