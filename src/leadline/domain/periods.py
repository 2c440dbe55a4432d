"""Periods of reports, and the buckets of local time that they fall into. Pure: the time zone comes in.

All edges lie on quarters of an hour, which is what offsets from UTC have been made of since 1990.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from leadline.domain.errors import InvalidRequest, Problem

QUARTER_MS = 900_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
# The widths in which facts are counted ahead, the widest first (all UTC): those of everybody together, and those of
# one agent, list or endpoint, of whom a quarter of an hour has about as many counts as facts.
WIDTHS_MS = (DAY_MS, HOUR_MS, QUARTER_MS)
WIDTHS_OF_ONE_MS = (DAY_MS, HOUR_MS)
AS_FACTS = 0
BUCKETS_MAX = 400
DAYS_DEFAULT = 7
# 1990-01-01 and 2200-01-01: before, offsets had odd minutes; after, nobody asks.
EARLIEST_MS = 631_152_000_000
LATEST_MS = 7_258_118_400_000
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_HOUR_UP_TO = 3 * DAY_MS
_DAY_UP_TO = 120 * DAY_MS


class Interval(StrEnum):
    """How wide a bucket is, in local time. A week begins on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


@dataclass(frozen=True, slots=True)
class Span:
    """From `starts` (inclusive) to `ends` (exclusive), Unix ms."""

    starts: int
    ends: int

    def __post_init__(self) -> None:
        assert self.starts < self.ends

    @property
    def length_ms(self) -> int:
        return self.ends - self.starts


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of the span with this number, to be read from the counts of this width; from the facts if AS_FACTS."""

    span: int
    width_ms: int
    starts: int
    ends: int


@dataclass(frozen=True, slots=True)
class Period:
    """What a report is about, the period it is compared with, and its buckets."""

    span: Span
    previous: Span
    buckets: Sequence[Span]
    interval: Interval
    zone: datetime.tzinfo


def period_of(
    since_ms: int | None,
    until_ms: int | None,
    interval: Interval | None,
    *,
    zone: datetime.tzinfo,
    now_ms: int,
) -> Period:
    """The period that was asked for, widened to whole quarters of an hour.

    `until` is now when left out, `since` the local midnight that makes it seven days with the last one. The
    interval is the one that suits the length. Raises InvalidRequest.
    """
    ends = _quarter_after(now_ms if until_ms is None else until_ms)
    if since_ms is None and not EARLIEST_MS <= ends <= LATEST_MS:
        since_ms = EARLIEST_MS  # it is refused for its end; there may be no such local day
    if since_ms is None:
        since_ms = _midnight(_local(ends - 1, zone).date() - datetime.timedelta(days=DAYS_DEFAULT - 1), zone)
    starts = since_ms - since_ms % QUARTER_MS
    problems = _problems(starts, ends)
    if problems:
        raise InvalidRequest("The period is not valid.", details=problems)
    span = Span(starts, ends)
    chosen = interval or suitable_interval(span)
    buckets = list(_bounded(buckets_of(span, chosen, zone)))
    if len(buckets) > BUCKETS_MAX:
        problem = f"makes more than {BUCKETS_MAX} buckets of this period"
        raise InvalidRequest("The interval is too short.", details=[Problem("interval", problem)])
    return Period(span, previous_span(span, zone), buckets, chosen, zone)


def _problems(starts: int, ends: int) -> list[Problem]:
    problems = []
    for field, at in (("since", starts), ("until", ends)):
        if not EARLIEST_MS <= at <= LATEST_MS:
            problems.append(Problem(field, "must be between 1990 and 2200"))
    if not problems and starts >= ends:
        problems.append(Problem("since", "must be before until"))
    return problems


def suitable_interval(span: Span) -> Interval:
    """Hours up to three days, days up to 120, else weeks."""
    if span.length_ms <= _HOUR_UP_TO:
        return Interval.HOUR
    return Interval.DAY if span.length_ms <= _DAY_UP_TO else Interval.WEEK


def _bounded(spans: Iterator[Span]) -> Iterator[Span]:
    """One more than there may be tells that there are too many."""
    for number, span in enumerate(spans):
        if number > BUCKETS_MAX:
            return
        yield span


def buckets_of(span: Span, interval: Interval, zone: datetime.tzinfo) -> Iterator[Span]:
    """The span cut at every local hour, midnight or Monday: without gap or overlap, whatever the clocks do."""
    starts = span.starts
    while starts < span.ends:
        ends = min(_next_edge(starts, interval, zone), span.ends)
        yield Span(starts, ends)
        starts = ends


def _next_edge(at_ms: int, interval: Interval, zone: datetime.tzinfo) -> int:
    """The first edge after a moment."""
    if interval is Interval.HOUR:
        return _next_hour(at_ms, zone)
    day = _local(at_ms, zone).date()
    days = 1 if interval is Interval.DAY else 7 - day.weekday()
    edge = _midnight(day + datetime.timedelta(days=days), zone)
    while edge <= at_ms:  # a zone that skipped a day: its midnight is the one before
        days += 1
        edge = _midnight(day + datetime.timedelta(days=days), zone)
    return edge


def _next_hour(at_ms: int, zone: datetime.tzinfo) -> int:
    """In steps of quarters, as some clocks are changed by half an hour."""
    edge = _quarter_after(at_ms + 1)
    while _local(edge, zone).minute:
        edge += QUARTER_MS
    return edge


def previous_span(span: Span, zone: datetime.tzinfo) -> Span:
    """The period before: as long by the local clock, so that seven days are compared with seven days."""
    starts, ends = _local(span.starts, zone), _local(span.ends, zone)
    length = ends.replace(tzinfo=None) - starts.replace(tzinfo=None)
    if length <= datetime.timedelta(0):  # all of it lies in an hour that the clock shows twice
        return Span(span.starts - span.length_ms, span.starts)
    before = _instant((starts.replace(tzinfo=None) - length).replace(tzinfo=zone))
    before -= before % QUARTER_MS
    return Span(min(before, span.starts - QUARTER_MS), span.starts)


def pieces_of(
    spans: Sequence[Span], widths_ms: Sequence[int] = WIDTHS_MS, *, now_ms: int | None = None
) -> Iterator[Piece]:
    """Each span in as few pieces as can be read from counts of these widths, which come widest first.

    What is left at the edges is to be read from the facts. Together a span's pieces are the span, and none
    overlaps another; but the last one that `now_ms` lies in goes on to the end of the widest slot. Nothing has
    happened there yet, and the facts of the hour until now are as many as they are.
    """
    latest = max((span.ends for span in spans), default=0)
    for number, span in enumerate(spans):
        ends = span.ends
        if now_ms is not None and ends == latest and span.starts <= now_ms < ends:
            ends += -ends % widths_ms[0]
        yield from _pieces(number, Span(span.starts, ends), widths_ms)


def _pieces(number: int, span: Span, widths_ms: Sequence[int]) -> Iterator[Piece]:
    if not widths_ms:
        yield Piece(number, AS_FACTS, span.starts, span.ends)
        return
    width, rest = widths_ms[0], widths_ms[1:]
    inner_starts = span.starts + -span.starts % width
    inner_ends = span.ends - span.ends % width
    if inner_starts >= inner_ends:
        yield from _pieces(number, span, rest)
        return
    if span.starts < inner_starts:
        yield from _pieces(number, Span(span.starts, inner_starts), rest)
    yield Piece(number, width, inner_starts, inner_ends)
    if inner_ends < span.ends:
        yield from _pieces(number, Span(inner_ends, span.ends), rest)


def _quarter_after(at_ms: int) -> int:
    """The first edge that is not before a moment."""
    return at_ms + -at_ms % QUARTER_MS


def _local(at_ms: int, zone: datetime.tzinfo) -> datetime.datetime:
    return (_EPOCH + datetime.timedelta(milliseconds=at_ms)).astimezone(zone)


def _instant(at: datetime.datetime) -> int:
    return (at - _EPOCH) // datetime.timedelta(milliseconds=1)


def _midnight(day: datetime.date, zone: datetime.tzinfo) -> int:
    """When a local day begins; at the first of two midnights, or where the clock jumped over it."""
    return _instant(datetime.datetime.combine(day, datetime.time(), tzinfo=zone))
