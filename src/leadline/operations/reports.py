"""Reports: counts of a period, and of the one before it, as numbers with their formulas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leadline.clock import iso_or_none
from leadline.domain.paging import START_OF_TEXT, PageRequest
from leadline.domain.reports import ROWS_MAX, CallCounts, Counting, Measure, call_counts, ratio
from leadline.operations.report_numbers import (
    BEFORE,
    NOW,
    ReportRequest,
    by_subject,
    compared,
    count,
    counted_ever,
    duration,
    durations,
    head,
    histogram_of,
    histograms_of,
    labels_by_span,
    outcome_counts,
    outcome_names,
    over_time,
    percentile,
    rate,
    stretch,
    times,
    totals,
    unmeasured,
    waiting_now,
)
from leadline.store import calls as agents_store
from leadline.store import deleted_names, endpoints, smart_lists
from leadline.store.database import Tx
from leadline.wire.reports import (
    AgentNumbers,
    AgentsReport,
    AgentsReportAnswer,
    DispositionsReport,
    DispositionsReportAnswer,
    EndpointNumbers,
    ListBucket,
    ListNumbers,
    MissingBucket,
    MissingDispositionsReport,
    MissingDispositionsReportAnswer,
    MissingNumbers,
    OutcomesBucket,
    OutcomesReport,
    OutcomesReportAnswer,
    RatesBucket,
    RatesReport,
    RatesReportAnswer,
    ResultCount,
    SmartListsReport,
    SmartListsReportAnswer,
    WebhooksBucket,
    WebhooksReport,
    WebhooksReportAnswer,
    WrapUpBucket,
    WrapUpNumbers,
    WrapUpReport,
    WrapUpReportAnswer,
)

# How many agents a page offers to choose from; any other can be named in its address.
AGENTS_OFFERED_MAX = 200


@dataclass(frozen=True, slots=True)
class ReportChoices:
    """What reports can be narrowed to: agents' names, and (id, name) of outcomes and Smart Lists."""

    agent_ids: Sequence[str]
    outcomes: Sequence[tuple[str, str]]
    smart_lists: Sequence[tuple[str, str]]


async def report_choices(tx: Tx, workspace_id: str) -> ReportChoices:
    """By name; agents those that were seen last."""
    page = PageRequest(AGENTS_OFFERED_MAX - 1, START_OF_TEXT)
    agents = await agents_store.page_of_agents(tx, workspace_id, page)
    lists = await smart_lists.list_names(tx, workspace_id)
    return ReportChoices(
        agent_ids=sorted(row.agent_id for row in agents),
        outcomes=list((await outcome_names(tx, workspace_id)).items()),
        smart_lists=sorted(lists.items(), key=lambda each: each[1].casefold()),
    )


async def outcomes_report(tx: Tx, workspace_id: str, request: ReportRequest) -> OutcomesReportAnswer:
    """Outcomes over time, and which they were."""
    rows = await over_time(tx, workspace_id, Measure.OUTCOMES, request, request.agent_id)
    rows = [row for row in rows if request.outcome_id in (None, row.label[1:])]
    by_span = labels_by_span(rows)
    buckets = [
        OutcomesBucket(**stretch(span), **_outcome_numbers(by_span[number]))
        for number, span in enumerate(request.period.buckets)
    ]
    now, before = totals(rows, request.period)
    named = await outcome_names(tx, workspace_id)
    counts = await outcome_counts(tx, workspace_id, now, before, named)
    now_numbers, before_numbers = _outcome_numbers(now.items()), _outcome_numbers(before.items())
    report = OutcomesReport(
        **head(request, "applied", "actions", "dispositions", "share", "change"),
        applied=count(now_numbers["applied"], before_numbers["applied"]),
        actions=count(now_numbers["actions"], before_numbers["actions"]),
        dispositions=count(now_numbers["dispositions"], before_numbers["dispositions"]),
        buckets=buckets,
        outcomes=counts,
    )
    return OutcomesReportAnswer(report=report)


def _outcome_numbers(labels: Iterable[tuple[str, int]]) -> dict[str, Any]:
    found = Counter[str]()
    for label, counted in labels:
        found["actions" if label[0] == "a" else "dispositions"] += counted
    return {
        "applied": found.total(),
        "actions": found["actions"],
        "dispositions": found["dispositions"],
    }


async def dispositions_report(tx: Tx, workspace_id: str, request: ReportRequest) -> DispositionsReportAnswer:
    """Which dispositions calls were given."""
    rows = await over_time(tx, workspace_id, Measure.OUTCOMES, request, request.agent_id)
    rows = [row for row in rows if row.label[0] == "d"]
    now, before = totals(rows, request.period)
    named = await outcome_names(tx, workspace_id)
    report = DispositionsReport(
        **head(request, "applied", "share", "change"),
        applied=count(now.total(), before.total()),
        dispositions=await outcome_counts(tx, workspace_id, now, before, named),
    )
    return DispositionsReportAnswer(report=report)


async def rates_report(tx: Tx, workspace_id: str, request: ReportRequest) -> RatesReportAnswer:
    """How many calls reached somebody, and how many of those achieved something."""
    counting = request.counting
    rows = await over_time(tx, workspace_id, Measure.CALLS, request, request.agent_id)
    by_span = labels_by_span(rows)
    buckets = [
        RatesBucket(**stretch(span), **_rates(call_counts(by_span[number], counting)))
        for number, span in enumerate(request.period.buckets)
    ]
    now, before = (call_counts(labels.items(), counting) for labels in totals(rows, request.period))
    formulas = ("calls", "answered", *counting.formulas, "contact_rate", "conversion_rate", "change")
    report = RatesReport(
        **head(request, *formulas),
        **_chosen(counting),
        calls=count(now.calls, before.calls),
        answered=count(now.answered, before.answered),
        contacts=count(now.contacts, before.contacts),
        conversions=count(now.conversions, before.conversions),
        contact_rate=rate(now.contacts, now.calls, before.contacts, before.calls),
        conversion_rate=rate(now.conversions, now.contacts, before.conversions, before.contacts),
        buckets=buckets,
    )
    return RatesReportAnswer(report=report)


def _rates(counts: CallCounts) -> dict[str, Any]:
    return {
        "calls": counts.calls,
        "answered": counts.answered,
        "contacts": counts.contacts,
        "conversions": counts.conversions,
        "contact_rate": ratio(counts.contacts, counts.calls),
        "conversion_rate": ratio(counts.conversions, counts.contacts),
    }


def _chosen(counting: Counting) -> dict[str, Any]:
    return {
        "contact_outcome_ids": None if counting.contact_ids is None else sorted(counting.contact_ids),
        "conversion_outcome_ids": None
        if counting.conversion_ids is None
        else sorted(counting.conversion_ids),
    }


async def agents_report(tx: Tx, workspace_id: str, request: ReportRequest) -> AgentsReportAnswer:
    """Each agent's calls, what they achieved, and how long their wrap-ups took."""
    calls = await compared(tx, workspace_id, Measure.CALLS, request, request.agent_id)
    span = request.period.span
    applied = await by_subject(tx, workspace_id, Measure.OUTCOMES, span, request.agent_id)
    waits = await by_subject(tx, workspace_id, Measure.WRAP_UP, span, request.agent_id)
    waiting = {agent: number for agent, number, _ in await waiting_now(tx, workspace_id, request.agent_id)}
    names = {*calls[NOW], *calls[BEFORE], *applied, *waits}
    numbers = [
        AgentNumbers(
            agent_id=name or None,
            previous_calls=sum(counted for _, counted, _ in calls[BEFORE].get(name, ())),
            applied=sum(counted for _, counted, _ in applied.get(name, ())),
            waiting=waiting.get(name, 0),
            **_agent_calls(calls[NOW].get(name, ()), request.counting),
            **{f"wrap_up_{each}": value for each, value in durations(waits.get(name, ()), 90).items()},
        )
        for name in names | set(waiting)
    ]
    numbers.sort(key=lambda each: (-each.calls, -each.applied, each.agent_id or ""))
    formulas = ("calls", "answered", "applied", *request.counting.formulas, "contact_rate", "conversion_rate",
                "owed", "missing", "waiting", "wrap_up", "mean_ms", "percentile")  # fmt: skip
    report = AgentsReport(
        **head(request, *formulas),
        **_chosen(request.counting),
        agents=numbers[:ROWS_MAX],
        agents_total=len(numbers),
    )
    return AgentsReportAnswer(report=report)


def _agent_calls(rows: Iterable[tuple[str, int, int]], counting: Counting) -> dict[str, Any]:
    counts = call_counts(((label, counted) for label, counted, _ in rows), counting)
    return {**_rates(counts), "owed": counts.owed, "missing": counts.missing}


async def smart_lists_report(tx: Tx, workspace_id: str, request: ReportRequest) -> SmartListsReportAnswer:
    """Who joined and left, list by list, and how long the lists were in the end."""
    chosen = request.smart_list_id
    rows = await over_time(tx, workspace_id, Measure.LIST_MOVES, request, chosen)
    by_span = labels_by_span(rows)
    buckets = [
        ListBucket(**stretch(span), **_moves(by_span[number]))
        for number, span in enumerate(request.period.buckets)
    ]
    now, before = (_moves(labels.items()) for labels in totals(rows, request.period))
    numbers = await _list_numbers(tx, workspace_id, request)
    report = SmartListsReport(
        **head(request, "joined", "left", "net", "size", "change"),
        joined=count(now["joined"], before["joined"]),
        left=count(now["left"], before["left"]),
        net=count(now["net"], before["net"]),
        buckets=buckets,
        smart_lists=numbers[:ROWS_MAX],
        smart_lists_total=len(numbers),
    )
    return SmartListsReportAnswer(report=report)


async def _list_numbers(tx: Tx, workspace_id: str, request: ReportRequest) -> list[ListNumbers]:
    moves = await compared(tx, workspace_id, Measure.LIST_MOVES, request, request.smart_list_id)
    ever = await counted_ever(tx, workspace_id, Measure.LIST_MOVES, request, request.smart_list_id)
    existing = await smart_lists.list_names(tx, workspace_id)
    if request.smart_list_id is not None:
        existing = {name: each for name, each in existing.items() if name == request.smart_list_id}
    known = existing.keys() | moves[NOW].keys() | moves[BEFORE].keys()
    gone = await deleted_names.names_of_deleted(tx, workspace_id, known - existing.keys())
    numbers = [
        ListNumbers(
            smart_list_id=name,
            smart_list_name=existing.get(name, gone.get(name)),
            deleted=name not in existing,
            previous_net=_moves(unmeasured(moves[BEFORE].get(name, ())))["net"],
            size=_moves(unmeasured(ever.get(name, ())))["net"],
            **_moves(unmeasured(moves[NOW].get(name, ()))),
        )
        for name in known
    ]
    numbers.sort(
        key=lambda each: (
            -each.joined - each.left,
            each.deleted,
            each.smart_list_name or "",
            each.smart_list_id,
        )
    )
    return numbers


def _moves(labels: Iterable[tuple[str, int]]) -> dict[str, Any]:
    found = Counter[str]()
    for label, counted in labels:
        found[label] += counted
    return {"joined": found["joined"], "left": found["left"], "net": found["joined"] - found["left"]}


async def wrap_up_report(tx: Tx, workspace_id: str, request: ReportRequest) -> WrapUpReportAnswer:
    """How long calls waited for their dispositions."""
    rows = await over_time(tx, workspace_id, Measure.WRAP_UP, request, request.agent_id)
    histograms = histograms_of(rows, request.period)
    buckets = [
        WrapUpBucket(**stretch(span), count=histogram.count, **times(histogram, 90))
        for span, histogram in zip(request.period.buckets, histograms.buckets, strict=True)
    ]
    by_agent = await by_subject(tx, workspace_id, Measure.WRAP_UP, request.period.span, request.agent_id)
    agents = [
        WrapUpNumbers(agent_id=name or None, count=histogram_of(found).count, **durations(found, 90))
        for name, found in by_agent.items()
    ]
    agents.sort(key=lambda each: (-each.count, each.agent_id or ""))
    report = WrapUpReport(
        **head(request, "wrap_up", "mean_ms", "percentile", "change"),
        count=count(histograms.now.count, histograms.before.count),
        mean_ms=duration(histograms.now.mean_ms, histograms.before.mean_ms),
        p50_ms=percentile(histograms, 50),
        p90_ms=percentile(histograms, 90),
        buckets=buckets,
        agents=agents[:ROWS_MAX],
        agents_total=len(agents),
    )
    return WrapUpReportAnswer(report=report)


async def missing_dispositions_report(
    tx: Tx, workspace_id: str, request: ReportRequest
) -> MissingDispositionsReportAnswer:
    """Calls that owed a disposition and have none, and those that wait for one now."""
    rows = await over_time(tx, workspace_id, Measure.CALLS, request, request.agent_id)
    by_span = labels_by_span(rows)
    found = [call_counts(by_span[number], request.counting) for number in range(len(request.period.buckets))]
    buckets = [
        MissingBucket(**stretch(span), owed=counts.owed, missing=counts.missing)
        for span, counts in zip(request.period.buckets, found, strict=True)
    ]
    now, before = (call_counts(each.items(), request.counting) for each in totals(rows, request.period))
    waiting = await waiting_now(tx, workspace_id, request.agent_id)
    agents = await _missing_by_agent(tx, workspace_id, request, {name: number for name, number, _ in waiting})
    report = MissingDispositionsReport(
        **head(request, "owed", "missing", "missing_rate", "waiting", "change"),
        owed=count(now.owed, before.owed),
        missing=count(now.missing, before.missing),
        missing_rate=rate(now.missing, now.owed, before.missing, before.owed),
        waiting=sum(number for _, number, _ in waiting),
        oldest_waiting_since=iso_or_none(min((since for _, _, since in waiting), default=None)),
        buckets=buckets,
        agents=agents[:ROWS_MAX],
        agents_total=len(agents),
    )
    return MissingDispositionsReportAnswer(report=report)


async def _missing_by_agent(
    tx: Tx, workspace_id: str, request: ReportRequest, waiting: Mapping[str, int]
) -> list[MissingNumbers]:
    calls = await by_subject(tx, workspace_id, Measure.CALLS, request.period.span, request.agent_id)
    counts = {
        name: call_counts(unmeasured(calls.get(name, ())), request.counting)
        for name in calls.keys() | waiting
    }
    numbers = [
        MissingNumbers(
            agent_id=name or None,
            owed=each.owed,
            missing=each.missing,
            missing_rate=ratio(each.missing, each.owed),
            waiting=waiting.get(name, 0),
        )
        for name, each in counts.items()
        if each.owed or name in waiting
    ]
    return sorted(numbers, key=lambda each: (-each.missing, -each.waiting, -each.owed, each.agent_id or ""))


async def webhooks_report(tx: Tx, workspace_id: str, request: ReportRequest) -> WebhooksReportAnswer:
    """How webhooks arrive: attempts by result, and the time from applying an outcome to success."""
    chosen, period = request.endpoint_id, request.period
    attempts = await over_time(tx, workspace_id, Measure.ATTEMPTS, request, chosen)
    latencies = await over_time(tx, workspace_id, Measure.LATENCY, request, chosen)
    by_span, histograms = labels_by_span(attempts), histograms_of(latencies, period)
    buckets = [
        WebhooksBucket(
            **stretch(span),
            **_attempt_numbers(by_span[number]),
            latency_p50_ms=histograms.buckets[number].percentile_ms(50),
            latency_p95_ms=histograms.buckets[number].percentile_ms(95),
        )
        for number, span in enumerate(period.buckets)
    ]
    now, before = totals(attempts, period)
    numbers = await _endpoint_numbers(tx, workspace_id, request)
    total, total_before = now.total(), before.total()
    good, good_before = now["succeeded"], before["succeeded"]
    report = WebhooksReport(
        **head(request, "attempts", "success_rate", "latency", "mean_ms", "percentile", "change"),
        attempts=count(total, total_before),
        succeeded=count(good, good_before),
        failed=count(total - good, total_before - good_before),
        success_rate=rate(good, total, good_before, total_before),
        latency_mean_ms=duration(histograms.now.mean_ms, histograms.before.mean_ms),
        latency_p50_ms=percentile(histograms, 50),
        latency_p95_ms=percentile(histograms, 95),
        buckets=buckets,
        results=_results(now, before),
        endpoints=numbers[:ROWS_MAX],
        endpoints_total=len(numbers),
    )
    return WebhooksReportAnswer(report=report)


def _attempt_numbers(labels: Iterable[tuple[str, int]]) -> dict[str, Any]:
    found = Counter[str]()
    for label, counted in labels:
        found[label] += counted
    attempts, succeeded = found.total(), found["succeeded"]
    return {
        "attempts": attempts,
        "succeeded": succeeded,
        "failed": attempts - succeeded,
        "success_rate": ratio(succeeded, attempts),
    }


def _results(now: Counter[str], before: Counter[str]) -> list[ResultCount]:
    found = [
        ResultCount(
            result=name,  # type: ignore[arg-type] # CHECKed by the table of attempts
            count=now[name],
            previous=before[name],
            share=ratio(now[name], now.total()),
        )
        for name in now | before
    ]
    return sorted(found, key=lambda each: (each.result != "succeeded", -each.count, each.result))


async def _endpoint_numbers(tx: Tx, workspace_id: str, request: ReportRequest) -> list[EndpointNumbers]:
    span = request.period.span
    attempts = await by_subject(tx, workspace_id, Measure.ATTEMPTS, span, request.endpoint_id)
    latency = await by_subject(tx, workspace_id, Measure.LATENCY, span, request.endpoint_id)
    known = await endpoints.endpoints_named(tx, workspace_id, attempts)
    numbers = []
    for name, rows in attempts.items():
        found = _attempt_numbers(unmeasured(rows))
        found.pop("failed")
        histogram, row = histogram_of(latency.get(name, ())), known.get(name)
        numbers.append(
            EndpointNumbers(
                endpoint_id=name,
                webhook_url=None if row is None else row.webhook_url,
                state=None if row is None else row.state,  # type: ignore[arg-type] # CHECKed by the table
                latency_p50_ms=histogram.percentile_ms(50),
                latency_p95_ms=histogram.percentile_ms(95),
                **found,
            )
        )
    return sorted(numbers, key=lambda each: (-each.attempts, each.endpoint_id))
