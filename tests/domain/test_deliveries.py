"""The laws of what an attempt makes of its delivery (contract § 8)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leadline.domain.deliveries import DeliveryState, Verdict, after_attempt
from leadline.domain.schedule import next_wait_ms

schedules = st.lists(st.floats(0, 86_400), min_size=1, max_size=9)


def verdict(
    waits: list[float],
    step: int,
    *,
    succeeded: bool = False,
    gone: bool = False,
    jitter: float = 0.0,
    retry_after_seconds: float | None = None,
) -> Verdict:
    return after_attempt(
        waits,
        step,
        succeeded=succeeded,
        gone=gone,
        jitter=jitter,
        retry_after_seconds=retry_after_seconds,
    )


@given(waits=schedules, step=st.integers(1, 20))
def test_a_success_ends_it_at_every_step(waits: list[float], step: int) -> None:
    assert verdict(waits, step, succeeded=True) == Verdict(DeliveryState.SUCCEEDED, step)


@given(waits=schedules, step=st.integers(1, 20), retry_after_seconds=st.none() | st.floats(0, 86_400))
def test_410_is_not_held_against_it_and_plans_nothing(
    waits: list[float], step: int, retry_after_seconds: float | None
) -> None:
    found = verdict(waits, step, gone=True, retry_after_seconds=retry_after_seconds)
    assert found == Verdict(DeliveryState.PENDING, step - 1)


@given(
    waits=schedules,
    step=st.integers(1, 20),
    jitter=st.floats(0, 1),
    retry_after_seconds=st.none() | st.floats(0, 86_400),
)
def test_a_failure_waits_as_the_schedule_says_and_ends_it_after_the_last(
    waits: list[float], step: int, jitter: float, retry_after_seconds: float | None
) -> None:
    found = verdict(waits, step, jitter=jitter, retry_after_seconds=retry_after_seconds)
    wait_ms = next_wait_ms(waits, step, jitter=jitter, retry_after_seconds=retry_after_seconds)
    assert found.wait_ms == wait_ms
    assert found.schedule_step == step
    assert found.state is (DeliveryState.PENDING if step <= len(waits) else DeliveryState.EXHAUSTED)
    assert (wait_ms is None) == (step > len(waits))
