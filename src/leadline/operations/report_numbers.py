"""What all reports are made of: counts read by span and subject, figures beside those of the period before."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leadline.clock import iso_from_ms
from leadline.domain.periods import DAY_MS, EARLIEST_MS, Period, Span
from leadline.domain.reports import (
    FORMULAS,
    ROWS_MAX,
    Counting,
    Histogram,
    Measure,
    change_of_count,
    change_of_rate,
    ratio,
)
from leadline.store import deleted_names, outcomes
from leadline.store import reports as store
from leadline.store.database import Tx
from leadline.store.reports import CountRow
from leadline.wire.reports import CountFigure, DurationFigure, OutcomeCount, RateFigure, Stretch

Labels = list[tuple[str, int]]
Rows = dict[str, list[tuple[str, int, int]]]
COUNTING_DEFAULT = Counting()
# The two of `compared`.
NOW, BEFORE = 0, 1


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """What a report is about. `tz` is the name of the period's zone."""

    period: Period
    tz: str
    agent_id: str | None = None
    outcome_id: str | None = None
    smart_list_id: str | None = None
    endpoint_id: str | None = None
    counting: Counting = COUNTING_DEFAULT


async def over_time(
    tx: Tx, workspace_id: str, measure: Measure, request: ReportRequest, subject: str | None
) -> Sequence[CountRow]:
    """Counts of every bucket, then of the period before (the last span), of one subject or of all together."""
    spans = [*request.period.buckets, request.period.previous]
    name = store.EVERYBODY if subject is None else store.subject_of(subject)
    return await store.counts_of(tx, workspace_id, measure, spans, name)


async def compared(
    tx: Tx, workspace_id: str, measure: Measure, request: ReportRequest, subject: str | None
) -> tuple[Rows, Rows]:
    """Counts of the period and of the one before, by subject: (label, count, ms)."""
    spans = [request.period.span, request.period.previous]
    return (
        await by_subject(tx, workspace_id, measure, spans[NOW], subject),
        await by_subject(tx, workspace_id, measure, spans[BEFORE], subject),
    )


async def counted_ever(
    tx: Tx, workspace_id: str, measure: Measure, request: ReportRequest, subject: str | None
) -> Rows:
    span = Span(EARLIEST_MS - EARLIEST_MS % DAY_MS, request.period.span.ends)
    return await by_subject(tx, workspace_id, measure, span, subject)


async def by_subject(tx: Tx, workspace_id: str, measure: Measure, span: Span, subject: str | None) -> Rows:
    """Counts of a span, by subject (empty: nobody): (label, count, ms)."""
    if subject is None:
        rows = await store.counts_by_subject(tx, workspace_id, measure, [span])
    else:
        name = store.subject_of(subject)
        rows = await store.counts_of(tx, workspace_id, measure, [span], name)
    found: Rows = defaultdict(list)
    for row in rows:
        found[row.subject[1:]].append((row.label, row.counted, row.total_ms))
    return dict(found)


async def waiting_now(tx: Tx, workspace_id: str, agent_id: str | None) -> list[tuple[str, int, int]]:
    found = await store.waiting_calls(tx, workspace_id)
    return [each for each in found if agent_id in (None, each[0])]


def labels_by_span(rows: Iterable[CountRow]) -> dict[int, Labels]:
    found: dict[int, Labels] = defaultdict(list)
    for row in rows:
        found[row.span].append((row.label, row.counted))
    return found


def totals(rows: Iterable[CountRow], period: Period) -> tuple[Counter[str], Counter[str]]:
    """By label, of all buckets together and of the period before."""
    now, before = Counter[str](), Counter[str]()
    for row in rows:
        (before if row.span == len(period.buckets) else now)[row.label] += row.counted
    # A late disposition takes a call out of its label; nothing is left of some.
    return +now, +before


def unmeasured(rows: Iterable[tuple[str, int, int]]) -> Iterable[tuple[str, int]]:
    return ((label, counted) for label, counted, _ in rows)


@dataclass(frozen=True, slots=True)
class Histograms:
    buckets: Sequence[Histogram]
    now: Histogram
    before: Histogram


def histograms_of(rows: Iterable[CountRow], period: Period) -> Histograms:
    buckets = [Histogram.empty() for _ in period.buckets]
    now, before = Histogram.empty(), Histogram.empty()
    for row in rows:
        fact = (int(row.label), row.counted, row.total_ms)
        if row.span == len(buckets):
            before.add(*fact)
        else:
            buckets[row.span].add(*fact)
            now.add(*fact)
    return Histograms(buckets, now, before)


def histogram_of(rows: Iterable[tuple[str, int, int]]) -> Histogram:
    found = Histogram.empty()
    for label, counted, total_ms in rows:
        found.add(int(label), counted, total_ms)
    return found


def times(histogram: Histogram, high_percent: int) -> dict[str, Any]:
    return {
        "mean_ms": histogram.mean_ms,
        "p50_ms": histogram.percentile_ms(50),
        f"p{high_percent}_ms": histogram.percentile_ms(high_percent),
    }


def durations(rows: Iterable[tuple[str, int, int]], high_percent: int) -> dict[str, Any]:
    return times(histogram_of(rows), high_percent)


def count(value: int, previous: int) -> CountFigure:
    return CountFigure(value=value, previous=previous, change=change_of_count(value, previous))


def rate(part: int, whole: int, part_before: int, whole_before: int) -> RateFigure:
    value, previous = ratio(part, whole), ratio(part_before, whole_before)
    return RateFigure(value=value, previous=previous, change=change_of_rate(value, previous))


def duration(value: int | None, previous: int | None) -> DurationFigure:
    return DurationFigure(value=value, previous=previous, change=change_of_count(value, previous))


def percentile(histograms: Histograms, percent: int) -> DurationFigure:
    return duration(histograms.now.percentile_ms(percent), histograms.before.percentile_ms(percent))


def stretch(span: Span) -> dict[str, Any]:
    return {"since": iso_from_ms(span.starts), "until": iso_from_ms(span.ends)}


def head(request: ReportRequest, *formulas: str) -> dict[str, Any]:
    period = request.period
    return {
        "period": Stretch(**stretch(period.span)),
        "previous_period": Stretch(**stretch(period.previous)),
        "tz": request.tz,
        "interval": period.interval.value,
        "formulas": {name.removesuffix("_chosen"): FORMULAS[name] for name in formulas},
    }


async def outcome_names(tx: Tx, workspace_id: str) -> dict[str, str]:
    return {row.outcome_id: row.outcome_name for row in await outcomes.all_outcomes(tx, workspace_id)}


async def outcome_counts(
    tx: Tx, workspace_id: str, now: Counter[str], before: Counter[str], named: Mapping[str, str]
) -> list[OutcomeCount]:
    """By what was applied, most first; what was deleted has the name that it had last."""
    labels = now | before
    gone = await deleted_names.names_of_deleted(
        tx, workspace_id, {label[1:] for label in labels} - named.keys()
    )
    found = [
        OutcomeCount(
            outcome_id=label[1:],
            outcome_name=named.get(label[1:], gone.get(label[1:])),
            outcome_type="action" if label[0] == "a" else "disposition",
            deleted=label[1:] not in named,
            count=now[label],
            previous=before[label],
            share=ratio(now[label], now.total()),
        )
        for label in labels
    ]
    found.sort(key=lambda each: (-each.count, -each.previous, each.outcome_name or "", each.outcome_id))
    return found[:ROWS_MAX]
