"""The order of outcomes in a column, as numbers. Pure."""

from __future__ import annotations

from collections.abc import Sequence

ORDER_STEP = 10


def reordered(orders: Sequence[int]) -> list[int]:
    """New `order` values for outcomes in the sequence that they shall have, given those that they have now.

    The same values dealt out anew, when no two are equal, so that only what moved is changed and the places among
    the outcomes of the other type are kept; else 10, 20, 30 and so on, which leaves room in between.
    """
    if len(set(orders)) == len(orders):
        return sorted(orders)
    return [ORDER_STEP * place for place in range(1, len(orders) + 1)]


def order_behind(orders: Sequence[int], order_max: int) -> int:
    """The `order` of one that comes last."""
    return min(max(orders, default=0) + ORDER_STEP, order_max)
