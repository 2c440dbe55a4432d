from __future__ import annotations

from leadline.operations.list_overview import GROWTH_DAYS, Growth


def days(**at: int) -> list[int]:
    """Zero for each day but those `back` days ago: `days(d0=2)` is two of them today."""
    found = [0] * GROWTH_DAYS
    for name, number in at.items():
        found[GROWTH_DAYS - 1 - int(name[1:])] = number
    return found


def test_the_size_of_each_day_follows_from_the_size_of_today() -> None:
    growth = Growth(joined=days(d0=3, d2=5), left=days(d1=4))
    sizes = growth.sizes(10)
    assert len(sizes) == GROWTH_DAYS
    assert sizes[-4:] == [6, 11, 7, 10]
    assert set(sizes[:-3]) == {6}
    assert (growth.joined_total, growth.left_total) == (8, 4)


def test_a_list_is_never_shorter_than_nothing() -> None:
    """Whoever was erased has left without a move."""
    assert min(Growth(joined=days(d0=9)).sizes(4)) == 0
