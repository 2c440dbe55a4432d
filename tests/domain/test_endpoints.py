"""The laws of an endpoint's breaker, bucket and room (contract § 8)."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from leadline.domain.endpoints import (
    BREAKER_FAILURES,
    BUCKET_WAIT_MS_MAX,
    CLOCK_STEP_MS,
    DISABLE_AFTER_MS,
    HEALTHY,
    PROBE_WAIT_MS_FIRST,
    PROBE_WAIT_MS_MAX,
    Bucket,
    EndpointState,
    Health,
    after_attempts,
    is_hopeless,
    probe_wait_ms,
    room,
    share_out,
)

NOW = 1_781_935_984_000
times = st.integers(0, 2 * NOW)
counts = st.integers(0, 300)
healths = st.builds(
    Health,
    failures_in_a_row=st.integers(0, 10_000),
    failing_since=st.none() | times,
    probe_at=st.none() | times,
)
rates = st.floats(0.01, 10_000)
buckets = st.builds(Bucket, rates, st.none() | st.floats(-10, 10_000), st.none() | times)


def room_of(**changes: object) -> int:
    usual: dict[str, object] = {
        "state": EndpointState.ACTIVE,
        "health": HEALTHY,
        "in_flight": 0,
        "max_concurrency": 10,
        "bucket": None,
        "now_ms": NOW,
    }
    return room(**usual | changes)  # type: ignore[arg-type]


@given(health=healths, succeeded=st.integers(1, 300), failed=counts, now_ms=times)
def test_one_success_among_them_proves_that_the_endpoint_is_there(
    health: Health, succeeded: int, failed: int, now_ms: int
) -> None:
    assert after_attempts(health, succeeded=succeeded, failed=failed, now_ms=now_ms) == HEALTHY


@given(health=healths, now_ms=times)
def test_no_attempt_says_nothing(health: Health, now_ms: int) -> None:
    assert after_attempts(health, succeeded=0, failed=0, now_ms=now_ms) == health


@given(health=healths, failed=st.integers(1, 300), now_ms=times)
def test_failures_add_up_and_keep_since_when_they_began(health: Health, failed: int, now_ms: int) -> None:
    after = after_attempts(health, succeeded=0, failed=failed, now_ms=now_ms)
    assert after.failures_in_a_row == health.failures_in_a_row + failed
    assert after.failing_since == (now_ms if health.failing_since is None else health.failing_since)
    assert (after.probe_at is not None) == after.is_open


@given(batches=st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_failures_one_by_one_or_together_lead_to_the_same_health(batches: list[int]) -> None:
    one_by_one = HEALTHY
    for failed in batches:
        one_by_one = after_attempts(one_by_one, succeeded=0, failed=failed, now_ms=NOW)
    assert one_by_one == after_attempts(HEALTHY, succeeded=0, failed=sum(batches), now_ms=NOW)


def test_the_breaker_opens_at_its_tenth_failure_and_not_before() -> None:
    nine = after_attempts(HEALTHY, succeeded=0, failed=BREAKER_FAILURES - 1, now_ms=NOW)
    ten = after_attempts(nine, succeeded=0, failed=1, now_ms=NOW)
    assert (nine.is_open, ten.is_open) == (False, True)
    assert nine.probe_at is None
    assert ten.probe_at == NOW + PROBE_WAIT_MS_FIRST


def test_probes_come_at_doubling_distances_up_to_a_minute() -> None:
    waits = [probe_wait_ms(failures) for failures in range(BREAKER_FAILURES, BREAKER_FAILURES + 9)]
    assert waits == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]


@given(failures=st.integers(0, 10**9))
def test_a_probe_is_never_further_away_than_a_minute(failures: int) -> None:
    assert PROBE_WAIT_MS_FIRST <= probe_wait_ms(failures) <= PROBE_WAIT_MS_MAX
    assert probe_wait_ms(failures) <= probe_wait_ms(failures + 1)


@pytest.mark.parametrize(
    ("failing_ms", "hopeless"), [(DISABLE_AFTER_MS - 1, False), (DISABLE_AFTER_MS, True)]
)
def test_it_is_given_up_after_five_days_of_nothing_but_failure(failing_ms: int, hopeless: bool) -> None:
    assert is_hopeless(Health(20, NOW - failing_ms), NOW) is hopeless


@given(now_ms=times)
def test_without_a_failure_nothing_is_hopeless(now_ms: int) -> None:
    assert not is_hopeless(HEALTHY, now_ms)


@given(
    state=st.sampled_from(EndpointState),
    health=healths,
    in_flight=counts,
    max_concurrency=st.integers(1, 100),
    bucket=st.none() | buckets,
    now_ms=times,
)
def test_room_is_bounded_by_everything_that_bounds_it(
    state: EndpointState,
    health: Health,
    in_flight: int,
    max_concurrency: int,
    bucket: Bucket | None,
    now_ms: int,
) -> None:
    free = room(
        state=state,
        health=health,
        in_flight=in_flight,
        max_concurrency=max_concurrency,
        bucket=bucket,
        now_ms=now_ms,
    )
    assert free <= max(0, max_concurrency - in_flight) or health.is_open
    assert free == 0 or state is EndpointState.ACTIVE
    if health.is_open:
        assert free + in_flight <= max(1, in_flight), "one probe at a time"
        waited_for = health.probe_at is not None and now_ms < health.probe_at <= now_ms + PROBE_WAIT_MS_MAX
        assert free == 0 or not waited_for
    if bucket is not None and free > 0:
        assert free <= bucket.filled(now_ms)


def test_a_healthy_endpoint_has_all_its_slots_less_those_in_use() -> None:
    assert [room_of(in_flight=busy) for busy in (0, 3, 10, 12)] == [10, 7, 0, 0]


@pytest.mark.parametrize("state", [EndpointState.PAUSED, EndpointState.DISABLED])
def test_an_endpoint_that_is_not_active_gets_nothing(state: EndpointState) -> None:
    assert room_of(state=state) == 0


def test_an_open_breaker_lets_one_probe_through_when_it_is_due() -> None:
    health = Health(BREAKER_FAILURES, NOW, NOW + 1_000)
    assert room_of(health=health) == 0
    assert room_of(health=health, now_ms=NOW + 1_000) == 1
    assert room_of(health=health, now_ms=NOW + 1_000, in_flight=1) == 0


@given(per_second=rates, now_ms=times)
def test_a_fresh_bucket_holds_a_second_and_at_least_one(per_second: float, now_ms: int) -> None:
    assert Bucket(per_second).filled(now_ms) == max(1.0, per_second)


@given(bucket=buckets, now_ms=times, later_ms=st.integers(0, 10**7))
def test_a_bucket_fills_with_time_up_to_its_brim(bucket: Bucket, now_ms: int, later_ms: int) -> None:
    assume(bucket.at_ms is None or bucket.at_ms <= now_ms + CLOCK_STEP_MS)
    now, later = bucket.filled(now_ms), bucket.filled(now_ms + later_ms)
    assert now <= later <= max(1.0, bucket.per_second)


@given(per_second=rates, tokens=st.floats(0, 1), back_ms=st.integers(0, 10**7))
def test_a_clock_that_steps_back_takes_nothing_out(per_second: float, tokens: float, back_ms: int) -> None:
    left = Bucket(per_second, tokens, NOW).filled(NOW - back_ms)
    assert left == (tokens if back_ms <= CLOCK_STEP_MS else max(1.0, per_second))


@given(bucket=buckets.filter(lambda bucket: (bucket.tokens or 0) >= 0), now_ms=times)
def test_however_the_clock_was_set_a_bucket_has_a_token_as_soon_as_its_rate_says(
    bucket: Bucket, now_ms: int
) -> None:
    soon_ms = now_ms + CLOCK_STEP_MS + math.ceil(1000 / bucket.per_second)
    assert max(bucket.filled(now_ms), bucket.filled(soon_ms)) >= 1 - 1e-6


@given(failures=st.integers(BREAKER_FAILURES, 10_000), failed_at=times, now_ms=times)
def test_however_the_clock_was_set_a_probe_is_due_within_a_minute(
    failures: int, failed_at: int, now_ms: int
) -> None:
    health = Health(failures, failed_at, failed_at + probe_wait_ms(failures))
    later = [now_ms, now_ms + PROBE_WAIT_MS_MAX]
    assert 1 in [room_of(health=health, now_ms=at) for at in later]


@given(per_second=st.floats(0.1, 100), looks=st.lists(st.integers(1, 3_000), max_size=60))
def test_however_often_it_is_asked_a_bucket_gives_no_more_than_its_rate(
    per_second: float, looks: list[int]
) -> None:
    """At every look take all there is room for: over the whole time, one burst and what flowed in."""
    bucket, now_ms, taken = Bucket(per_second), NOW, 0
    for pause_ms in looks:
        now_ms += pause_ms
        free = room_of(bucket=bucket, max_concurrency=1_000, now_ms=now_ms)
        bucket = Bucket(per_second, bucket.filled(now_ms) - free, now_ms)
        taken += free
    flowed = sum(looks) * per_second / 1000
    assert taken <= max(1.0, per_second) + flowed + 1e-6


@given(bucket=buckets, now_ms=times)
def test_the_wait_for_a_token_is_as_long_as_it_takes_and_no_longer(bucket: Bucket, now_ms: int) -> None:
    wait_ms = bucket.wait_ms(now_ms)
    if wait_ms == 0:
        assert bucket.filled(now_ms) >= 1
    elif bucket.at_ms is None or bucket.at_ms <= now_ms:
        assert bucket.filled(now_ms + wait_ms) >= 1 - 1e-6
        assert bucket.filled(now_ms + max(0, wait_ms - 2)) < 1  # what it rounds by


@given(
    per_second=st.floats(5e-324, 10_000),
    tokens=st.none() | st.floats(-1e9, 1e9),
    at_ms=st.none() | times,
    now_ms=times,
)
def test_no_rate_is_too_small_to_wait_for(
    per_second: float, tokens: float | None, at_ms: int | None, now_ms: int
) -> None:
    assert 0 <= Bucket(per_second, tokens, at_ms).wait_ms(now_ms) <= BUCKET_WAIT_MS_MAX


crowds = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(0, 20), max_size=12)


@given(places=st.integers(0, 100), rooms=crowds, in_flight=crowds)
def test_places_are_shared_out_to_the_last_and_to_nobody_beyond_his_room(
    places: int, rooms: dict[str, int], in_flight: dict[str, int]
) -> None:
    given_out = share_out(places, rooms, in_flight)
    assert sum(given_out.values()) == min(places, sum(rooms.values()))
    assert all(1 <= count <= rooms[name] for name, count in given_out.items())


@given(places=st.integers(0, 100), rooms=crowds, in_flight=crowds)
def test_nobody_gets_a_place_while_another_who_wants_it_has_fewer(
    places: int, rooms: dict[str, int], in_flight: dict[str, int]
) -> None:
    given_out = share_out(places, rooms, in_flight)
    after = {name: in_flight.get(name, 0) + given_out.get(name, 0) for name in rooms}
    for name in given_out:
        for other, room_left in rooms.items():
            if room_left > given_out.get(other, 0):
                assert after[name] <= after[other] + 1
