"""The life of a delivery: the duty to bring one event to one endpoint (contract § 8). Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from leadline.domain.schedule import next_wait_ms

if TYPE_CHECKING:
    from collections.abc import Sequence


class DeliveryState(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    EXHAUSTED = "exhausted"
    CANCELED = "canceled"


# Every legal move. A retry by hand makes any of them pending again; only what is pending can end.
MOVES: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.PENDING: frozenset(DeliveryState),
    DeliveryState.SUCCEEDED: frozenset({DeliveryState.PENDING}),
    DeliveryState.EXHAUSTED: frozenset({DeliveryState.PENDING}),
    DeliveryState.CANCELED: frozenset({DeliveryState.PENDING}),
}


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What an attempt makes of its delivery.

    `wait_ms` is how long until the next attempt. None: there is none to wait for, because the delivery has
    ended, or because it stays due until its endpoint wants it again.
    """

    state: DeliveryState
    schedule_step: int
    wait_ms: int | None = None


def after_attempt(
    waits_seconds: Sequence[float],
    schedule_step: int,
    *,
    succeeded: bool,
    gone: bool,
    jitter: float,
    retry_after_seconds: float | None,
) -> Verdict:
    """The verdict on the `schedule_step`-th attempt of the schedule, counted from 1.

    `gone`: the endpoint wants nothing any more (410), which is not held against the delivery.
    """
    if succeeded:
        return Verdict(DeliveryState.SUCCEEDED, schedule_step)
    if gone:
        return Verdict(DeliveryState.PENDING, schedule_step - 1)
    wait_ms = next_wait_ms(
        waits_seconds, schedule_step, jitter=jitter, retry_after_seconds=retry_after_seconds
    )
    if wait_ms is None:
        return Verdict(DeliveryState.EXHAUSTED, schedule_step)
    return Verdict(DeliveryState.PENDING, schedule_step, wait_ms)
