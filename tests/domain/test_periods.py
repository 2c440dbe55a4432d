"""Buckets are a partition of the period, whatever the clocks of a time zone do."""

from __future__ import annotations

import datetime
import itertools
import zoneinfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leadline.clock import zone_named
from leadline.domain.errors import InvalidRequest
from leadline.domain.periods import (
    AS_FACTS,
    BUCKETS_MAX,
    DAY_MS,
    EARLIEST_MS,
    HOUR_MS,
    QUARTER_MS,
    WIDTHS_MS,
    WIDTHS_OF_ONE_MS,
    Interval,
    Period,
    Span,
    buckets_of,
    period_of,
    pieces_of,
    previous_span,
    suitable_interval,
)

# Half and quarter hours, a day that was left out, clocks changed at midnight and by half an hour.
NAMES = (
    "UTC", "America/New_York", "Europe/London", "Asia/Kathmandu", "Asia/Kolkata", "Australia/Lord_Howe",
    "Pacific/Apia", "America/Sao_Paulo", "America/Havana", "Asia/Beirut", "Africa/Casablanca", "Pacific/Kiritimati",
    "America/St_Johns", "Asia/Pyongyang", "Antarctica/Troll",
)  # fmt: skip
ZONES = {name: zoneinfo.ZoneInfo(name) for name in NAMES}
zones = st.sampled_from(sorted(ZONES)).map(ZONES.__getitem__)
intervals = st.sampled_from(Interval)
LATEST = int(datetime.datetime(2037, 1, 1, tzinfo=datetime.UTC).timestamp()) * 1000


@st.composite
def spans(draw: st.DrawFn, length_max: int = 400) -> Span:
    starts = draw(st.integers(EARLIEST_MS // QUARTER_MS + 40_000, LATEST // QUARTER_MS))
    return Span(starts * QUARTER_MS, (starts + draw(st.integers(1, length_max))) * QUARTER_MS)


def at(text: str, zone: str = "UTC") -> int:
    moment = datetime.datetime.fromisoformat(text).replace(tzinfo=ZONES[zone])
    return int(moment.timestamp()) * 1000


def local(at_ms: int, zone: datetime.tzinfo) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at_ms / 1000, zone)


@given(span=spans(), zone=zones, interval=intervals)
@example(Span(at("2011-12-28T00:00"), at("2012-01-02T00:00")), ZONES["Pacific/Apia"], Interval.DAY)
@example(Span(at("2026-10-03T00:00"), at("2026-10-05T00:00")), ZONES["Australia/Lord_Howe"], Interval.HOUR)
@example(Span(at("2017-10-14T00:00"), at("2017-10-17T00:00")), ZONES["America/Sao_Paulo"], Interval.DAY)
def test_buckets_are_the_period_without_gap_or_overlap(
    span: Span, zone: datetime.tzinfo, interval: Interval
) -> None:
    buckets = list(buckets_of(span, interval, zone))
    assert buckets[0].starts == span.starts
    assert buckets[-1].ends == span.ends
    assert all(one.ends == other.starts for one, other in itertools.pairwise(buckets))
    assert all(bucket.starts % QUARTER_MS == 0 for bucket in buckets)


@given(span=spans(), zone=zones, interval=intervals)
def test_no_bucket_reaches_over_a_local_edge(span: Span, zone: datetime.tzinfo, interval: Interval) -> None:
    """Every moment of a bucket has the same local day (or week); hours begin on the hour."""
    for bucket in buckets_of(span, interval, zone):
        first, last = local(bucket.starts, zone), local(bucket.ends - 1, zone)
        if interval is Interval.HOUR:
            assert bucket.starts == span.starts or first.minute == 0
        elif interval is Interval.DAY:
            assert first.date() == last.date()
        else:
            assert first.isocalendar()[:2] == last.isocalendar()[:2]


def test_days_are_as_long_as_the_clocks_make_them() -> None:
    span = Span(at("2026-03-07T05:00"), at("2026-03-10T04:00"))
    days = buckets_of(span, Interval.DAY, ZONES["America/New_York"])
    assert [day.length_ms // HOUR_MS for day in days] == [24, 23, 24]
    autumn = Span(at("2026-10-31T04:00"), at("2026-11-02T05:00"))
    days = buckets_of(autumn, Interval.DAY, ZONES["America/New_York"])
    assert [day.length_ms // HOUR_MS for day in days] == [24, 25]


@given(span=spans(), zone=zones)
def test_the_period_before_ends_where_the_period_begins(span: Span, zone: datetime.tzinfo) -> None:
    previous = previous_span(span, zone)
    assert previous.ends == span.starts
    assert previous.starts % QUARTER_MS == 0
    assert abs(previous.length_ms - span.length_ms) <= 26 * HOUR_MS


def test_seven_days_are_compared_with_seven_days_over_a_change_of_the_clocks() -> None:
    zone = "America/New_York"
    span = Span(at("2026-03-09T00:00", zone), at("2026-03-16T00:00", zone))
    assert previous_span(span, ZONES[zone]).starts == at("2026-03-02T00:00", zone)
    assert previous_span(span, ZONES[zone]).length_ms == 7 * DAY_MS - HOUR_MS


@given(st.lists(spans(length_max=2_000), max_size=4), st.sampled_from([WIDTHS_MS, WIDTHS_OF_ONE_MS]))
def test_pieces_are_their_spans_and_lie_on_the_widths(some: list[Span], widths: tuple[int, ...]) -> None:
    pieces = list(pieces_of(some, widths))
    for number, span in enumerate(some):
        mine = [piece for piece in pieces if piece.span == number]
        assert mine[0].starts == span.starts
        assert mine[-1].ends == span.ends
        assert all(one.ends == other.starts for one, other in itertools.pairwise(mine))
        assert len(mine) <= 5
    counted = [piece for piece in pieces if piece.width_ms != AS_FACTS]
    assert all(piece.starts % piece.width_ms == piece.ends % piece.width_ms == 0 for piece in counted)
    as_facts = [piece for piece in pieces if piece.width_ms == AS_FACTS]
    # None has a whole hour in it.
    assert all(piece.ends // HOUR_MS <= -(-piece.starts // HOUR_MS) for piece in as_facts)
    assert QUARTER_MS not in widths or counted == pieces


@given(
    st.lists(spans(length_max=2_000), min_size=1, max_size=4),
    st.sampled_from([WIDTHS_MS, WIDTHS_OF_ONE_MS]),
    st.integers(0, 2_000 * QUARTER_MS),
)
def test_what_now_lies_in_is_read_to_the_end_of_its_slot(
    some: list[Span], widths: tuple[int, ...], before_the_end: int
) -> None:
    now = max(span.ends for span in some) - 1 - before_the_end
    pieces, usual = list(pieces_of(some, widths, now_ms=now)), list(pieces_of(some, widths))
    for number, span in enumerate(some):
        mine = [piece for piece in pieces if piece.span == number]
        if span.starts <= now < span.ends == max(each.ends for each in some):
            # Whatever happened until now is in it once, and none of it is read as facts for its end's sake.
            assert mine[0].starts == span.starts
            assert span.ends <= mine[-1].ends < span.ends + DAY_MS
            assert all(one.ends == other.starts for one, other in itertools.pairwise(mine))
            assert not [piece for piece in mine[1:] if piece.width_ms == AS_FACTS]
        else:
            assert mine == [piece for piece in usual if piece.span == number]


NOW = at("2026-11-23T15:07")


def period(since: int | None = None, until: int | None = None, interval: Interval | None = None,
           zone: str = "UTC") -> Period:  # fmt: skip
    return period_of(since, until, interval, zone=ZONES[zone], now_ms=NOW)


def test_left_out_it_is_the_last_seven_local_days() -> None:
    found = period(zone="Asia/Kolkata")
    assert found.span == Span(at("2026-11-17T00:00", "Asia/Kolkata"), at("2026-11-23T15:15"))
    assert found.interval is Interval.DAY
    assert len(found.buckets) == 7


def test_edges_are_moved_out_to_quarters_of_an_hour() -> None:
    found = period(at("2026-11-01T00:14"), at("2026-11-01T09:01"))
    assert found.span == Span(at("2026-11-01T00:00"), at("2026-11-01T09:15"))


@pytest.mark.parametrize(
    ("days", "interval"),
    [(3, Interval.HOUR), (4, Interval.DAY), (120, Interval.DAY), (121, Interval.WEEK)],
)
def test_the_interval_suits_the_length(days: int, interval: Interval) -> None:
    assert suitable_interval(Span(0, days * DAY_MS)) is interval


@pytest.mark.parametrize(
    ("since", "until", "interval", "field"),
    [
        (NOW, NOW - DAY_MS, None, "since"),
        (0, NOW, None, "since"),
        (NOW - DAY_MS, 2**62, None, "until"),
        (NOW - 17 * DAY_MS, NOW, Interval.HOUR, "interval"),
        (NOW - 401 * DAY_MS, NOW, Interval.DAY, "interval"),
        (at("1990-01-01T00:00"), at("2199-12-31T00:00"), Interval.HOUR, "interval"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    since: int, until: int, interval: Interval | None, field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        period(since, until, interval)
    assert [problem.field for problem in refused.value.details] == [field]


def test_four_hundred_buckets_are_not_too_many() -> None:
    assert len(period(at("2025-01-01T00:00"), at("2026-02-05T00:00"), Interval.DAY).buckets) == BUCKETS_MAX


@pytest.mark.parametrize(
    "name", ["", "Nowhere/City", "../../etc/passwd", "/etc/localtime", "America", "utc\0"]
)
def test_only_names_of_the_list_are_zones(name: str) -> None:
    assert zone_named(name) is None


def test_zones_are_found_by_name() -> None:
    assert zone_named("UTC") is datetime.UTC
    assert zone_named("America/New_York") == ZONES["America/New_York"]
