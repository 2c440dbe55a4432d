# ruff: noqa: RUF001 - characters that look like others are what these tests are about
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.domain.schedule import (
    DEFAULT_WAITS_SECONDS,
    RETRY_AFTER_SECONDS_MAX,
    InvalidSchedule,
    next_wait_ms,
    parse_retry_after,
    parse_waits,
)

# Sun, 06 Nov 1994 08:49:37 GMT
NOW = 784_111_777.0


def wait_ms(failures: int, *, jitter: float = 0, retry_after_seconds: float | None = None) -> int | None:
    return next_wait_ms(
        DEFAULT_WAITS_SECONDS, failures, jitter=jitter, retry_after_seconds=retry_after_seconds
    )


def test_the_default_schedule_makes_ten_attempts_over_75_hours() -> None:
    waits = [wait_ms(failures) for failures in range(1, 11)]
    assert waits[:2] == [5_000, 300_000]
    assert waits[-1] is None
    assert sum(wait for wait in waits if wait is not None) == 5_000 + 300_000 + 1_800_000 + 270_000_000


def test_a_wait_is_lengthened_by_up_to_a_fifth() -> None:
    assert [wait_ms(1, jitter=jitter) for jitter in (0, 0.5, 1)] == [5_000, 5_500, 6_000]


def test_retry_after_is_a_floor_and_no_ceiling() -> None:
    assert wait_ms(1, retry_after_seconds=60) == 60_000
    assert wait_ms(2, retry_after_seconds=60) == 300_000


def test_retry_after_does_not_prolong_a_schedule_that_is_used_up() -> None:
    assert wait_ms(10, retry_after_seconds=60) is None


@given(st.integers(1, 9), st.floats(0, 1), st.none() | st.floats(0, RETRY_AFTER_SECONDS_MAX))
def test_a_wait_lies_between_its_bounds(
    failures: int, jitter: float, retry_after_seconds: float | None
) -> None:
    wait = wait_ms(failures, jitter=jitter, retry_after_seconds=retry_after_seconds)
    base_ms = DEFAULT_WAITS_SECONDS[failures - 1] * 1000
    floor_ms = (retry_after_seconds or 0) * 1000
    assert wait is not None
    assert max(base_ms, floor_ms) <= wait <= max(base_ms * 1.2, floor_ms) + 1


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ("5", (5.0,)),
        ("0.05, .5 ,30", (0.05, 0.5, 30.0)),
        ("0,604800", (0.0, 604800.0)),
        ("5,300,1800,7200,18000,36000,50400,72000,86400", DEFAULT_WAITS_SECONDS),
    ],
)
def test_waits_are_a_list_of_seconds(text: str, waits: tuple[float, ...]) -> None:
    assert parse_waits(text) == waits


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "5,",
        ",5",
        "5,,6",
        "-1",
        "1e3",
        "nan",
        "inf",
        "5s",
        "5;6",
        "604801",
        "٥",
        "1_000",
        "1,5 6",
        "1," * 100 + "1",
    ],
)
def test_what_is_no_schedule_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidSchedule):
        parse_waits(text)


@given(st.text())
def test_parsing_waits_raises_nothing_else(text: str) -> None:
    try:
        waits = parse_waits(text)
    except InvalidSchedule:
        return
    assert all(0 <= wait <= 604800 for wait in waits)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120\t", 120),
        ("86400", 86400),
        ("86401", 86400),
        ("9" * 99, 86400),
        ("Sun, 06 Nov 1994 08:51:37 GMT", 120),
        ("Sunday, 06-Nov-94 08:51:37 GMT", 120),
        ("Sun Nov  6 08:51:37 1994", 120),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float) -> None:
    assert parse_retry_after(value, now_seconds=NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "٥",
        "5, 6",
        "Sun, 99 Foo 1994 08:51:37 GMT",
        "Sun, 06 Nov 1994 99:99:99 GMT",
        "9" * 101,
    ],
)
def test_garbage_in_retry_after_says_nothing(value: str) -> None:
    assert parse_retry_after(value, now_seconds=NOW) is None


@given(st.text() | st.text("0123456789 :,-+SunMoFriJanGMT", max_size=40), st.floats(0, 1e11))
def test_retry_after_never_raises_and_stays_in_bounds(value: str, now_seconds: float) -> None:
    seconds = parse_retry_after(value, now_seconds=now_seconds)
    assert seconds is None or 0 <= seconds <= RETRY_AFTER_SECONDS_MAX
