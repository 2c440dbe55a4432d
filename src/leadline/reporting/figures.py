"""The charts of a report, each with its numbers as a table and the formulas behind them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leadline.charts import Bar, Series, bar_list, column_chart, line_chart, mix_chart, time_labels
from leadline.charts.values import Format, compact, duration, percent, whole
from leadline.wire import reports as wire

NOBODY = "No agent"
WIDE, NARROW = (640.0, 250.0), (330.0, 230.0)
_BARS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Table:
    """Words in rows; the first of each says what the row is about."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart for wide and one for narrow screens, what it shows in numbers, and how they are made.

    `report` and `csv_table` are the path and the table of the API that give the same numbers.
    """

    name: str
    title: str
    wide: str
    narrow: str
    table: Table
    formulas: Sequence[tuple[str, str]]
    report: str
    csv_table: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """How charts are drawn: in this zone, for one page or each for itself."""

    zone: datetime.tzinfo
    standalone: bool = False


def number(value: float | None) -> str:
    return "-" if value is None else whole(value)


def share(value: float | None) -> str:
    return "-" if value is None else percent(value)


def lasting(value: float | None) -> str:
    return "-" if value is None else duration(value)


def name_of(outcome: wire.OutcomeCount) -> str:
    """What an outcome is shown as, also when it is gone."""
    return f"{outcome.outcome_name or outcome.outcome_id}{' (deleted)' if outcome.deleted else ''}"


def list_name(found: wire.ListNumbers) -> str:
    return f"{found.smart_list_name or found.smart_list_id}{' (deleted)' if found.deleted else ''}"


@dataclass(frozen=True, slots=True)
class _Line:
    """One column of a chart over time: its name, its values, and how they are written in the table."""

    name: str
    values: Sequence[float | None]
    form: Callable[[float | None], str] = number
    bad: bool = False


def _over_time(
    name: str,
    title: str,
    report: wire.Report,
    buckets: Sequence[wire.Stretch],
    lines: Sequence[_Line],
    drawing: Drawing,
    *,
    path: str,
    formulas: Sequence[str],
    columns: bool = False,
    form: Format = whole,
    axis_form: Format = compact,
    whole_ticks: bool = True,
    times: bool = False,
    sizes: tuple[tuple[float, float], tuple[float, float]] = (WIDE, NARROW),
) -> Figure:
    starts = [datetime.datetime.fromisoformat(each.since).astimezone(drawing.zone) for each in buckets]
    labels = time_labels(starts, report.interval)
    series = [Series(each.name, each.values, each.bad) for each in lines]
    chart = column_chart if columns else line_chart
    wide, narrow = (
        chart(
            f"{name}-{kind}", title, labels, series, size=size, form=form, axis_form=axis_form,
            whole_ticks=whole_ticks, times=times, interval=report.interval, standalone=drawing.standalone,
        )
        for kind, size in zip(("wide", "narrow"), sizes, strict=True)
    )  # fmt: skip
    rows = [
        [_moment(start, report.interval), *(each.form(each.values[at]) for each in lines)]
        for at, start in enumerate(starts)
    ]
    head = [report.interval.capitalize(), *(each.name for each in lines)]
    return Figure(name, title, wide, narrow, Table(head, rows), _formulas(report, formulas), path, "buckets")


def _moment(start: datetime.datetime, interval: str) -> str:
    return f"{start:%Y-%m-%d %H:%M}" if interval == "hour" else f"{start:%a %Y-%m-%d}"


def _formulas(report: wire.Report, names: Sequence[str]) -> list[tuple[str, str]]:
    return [(_title(name), report.formulas[name].replace("`", "")) for name in names]


def _title(name: str) -> str:
    return name.removesuffix("_ms").replace("_", " ").capitalize()


def _named(
    name: str,
    title: str,
    report: wire.Report,
    bars: Sequence[Bar],
    table: Table,
    drawing: Drawing,
    *,
    path: str,
    csv_table: str,
    formulas: Sequence[str],
    mix: bool = False,
    form: Format = whole,
) -> Figure:
    chart = mix_chart if mix else bar_list
    wide, narrow = (
        chart(f"{name}-{kind}", title, bars, width=width, form=form, standalone=drawing.standalone)
        for kind, width in (("wide", 480.0), ("narrow", NARROW[0]))
    )
    return Figure(name, title, wide, narrow, table, _formulas(report, formulas), path, csv_table)


def outcomes_over_time(report: wire.OutcomesReport, drawing: Drawing) -> Figure:
    buckets = report.buckets
    lines = [
        _Line("Applied", [each.applied for each in buckets]),
        _Line("Actions", [each.actions for each in buckets]),
        _Line("Dispositions", [each.dispositions for each in buckets]),
    ]
    return _over_time(
        "outcomes", "Outcomes over time", report, buckets, lines, drawing,
        path="outcomes", formulas=("applied", "actions", "dispositions"),
    )  # fmt: skip


def outcomes_by_name(report: wire.OutcomesReport, drawing: Drawing) -> Figure:
    bars = [Bar(name_of(each), each.count) for each in report.outcomes[:_BARS_SHOWN]]
    return _named(
        "outcomes-by-name", "Outcomes applied", report, bars, _outcome_table(report.outcomes), drawing,
        path="outcomes", csv_table="outcomes", formulas=("applied", "share"),
    )  # fmt: skip


def dispositions(report: wire.DispositionsReport, drawing: Drawing) -> Figure:
    bars = [Bar(name_of(each), each.count) for each in report.dispositions]
    return _named(
        "dispositions", "Dispositions", report, bars, _outcome_table(report.dispositions), drawing,
        path="dispositions", csv_table="dispositions", formulas=("applied", "share"), mix=True,
    )  # fmt: skip


def _outcome_table(outcomes: Sequence[wire.OutcomeCount]) -> Table:
    rows = [
        [
            name_of(each),
            each.outcome_type.capitalize(),
            number(each.count),
            share(each.share),
            number(each.previous),
        ]
        for each in outcomes
    ]
    return Table(["Outcome", "Type", "Count", "Share", "Period before"], rows)


def rates(report: wire.RatesReport, drawing: Drawing) -> Figure:
    buckets = report.buckets
    lines = [
        _Line("Contact rate", [each.contact_rate for each in buckets], share),
        _Line("Conversion rate", [each.conversion_rate for each in buckets], share),
    ]
    found = _over_time(
        "rates", "Contact and conversion rate", report, buckets, lines, drawing,
        path="rates", formulas=("calls", "contacts", "contact_rate", "conversions", "conversion_rate"),
        form=percent, axis_form=percent, whole_ticks=False,
    )  # fmt: skip
    head = ["Calls", "Contacts", "Conversions"]
    rows = [
        [*row, number(each.calls), number(each.contacts), number(each.conversions)]
        for row, each in zip(found.table.rows, buckets, strict=True)
    ]
    return _with_table(found, Table([*found.table.head, *head], rows))


def _with_table(figure: Figure, table: Table) -> Figure:
    return Figure(
        figure.name, figure.title, figure.wide, figure.narrow, table, figure.formulas, figure.report,
        figure.csv_table,
    )  # fmt: skip


def calls_by_agent(report: wire.AgentsReport, drawing: Drawing) -> Figure:
    bars = [Bar(each.agent_id or NOBODY, each.calls) for each in report.agents[:_BARS_SHOWN]]
    return _named(
        "agents", "Calls by agent", report, bars, _agent_table(report), drawing,
        path="agents", csv_table="agents", formulas=("calls", "answered", "contact_rate", "conversion_rate", "missing"),
    )  # fmt: skip


def _agent_table(report: wire.AgentsReport) -> Table:
    head = ["Agent", "Calls", "Answered", "Outcomes", "Contact rate", "Conversion rate", "Missing", "Waiting",
            "Wrap-up p50", "Wrap-up p90"]  # fmt: skip
    rows = [
        [
            each.agent_id or NOBODY, number(each.calls), number(each.answered), number(each.applied),
            share(each.contact_rate), share(each.conversion_rate), number(each.missing), number(each.waiting),
            lasting(each.wrap_up_p50_ms), lasting(each.wrap_up_p90_ms),
        ]
        for each in report.agents
    ]  # fmt: skip
    return Table(head, rows)


def wrap_up(report: wire.WrapUpReport, drawing: Drawing) -> Figure:
    buckets = report.buckets
    lines = [
        _Line("p90", [each.p90_ms for each in buckets], lasting),
        _Line("p50", [each.p50_ms for each in buckets], lasting),
        _Line("Mean", [each.mean_ms for each in buckets], lasting),
    ]
    return _over_time(
        "wrap-up", "Wrap-up time", report, buckets, lines, drawing,
        path="wrap-up", formulas=("wrap_up", "mean_ms", "percentile"),
        form=duration, axis_form=duration, times=True,
    )  # fmt: skip


def missing_dispositions(report: wire.MissingDispositionsReport, drawing: Drawing) -> Figure:
    buckets = report.buckets
    lines = [
        _Line("Given", [each.owed - each.missing for each in buckets]),
        _Line("Missing", [each.missing for each in buckets], bad=True),
    ]
    return _over_time(
        "missing", "Dispositions that were owed", report, buckets, lines, drawing,
        path="missing-dispositions", formulas=("owed", "missing", "waiting"), columns=True,
    )  # fmt: skip


def list_moves(report: wire.SmartListsReport, drawing: Drawing) -> Figure:
    buckets = report.buckets
    lines = [
        _Line("Joined", [each.joined for each in buckets]),
        _Line("Left", [-each.left for each in buckets], lambda value: number(-(value or 0))),
    ]
    return _over_time(
        "moves", "Joined and left", report, buckets, lines, drawing,
        path="smart-lists", formulas=("joined", "left", "net"), columns=True,
    )  # fmt: skip


def list_sizes(report: wire.SmartListsReport, drawing: Drawing) -> Figure:
    longest = sorted((each for each in report.smart_lists if not each.deleted), key=lambda each: -each.size)
    bars = [Bar(list_name(each), each.size) for each in longest[:_BARS_SHOWN]]
    rows = [
        [list_name(each), number(each.joined), number(each.left), number(each.net), number(each.previous_net),
         number(each.size)]
        for each in report.smart_lists
    ]  # fmt: skip
    table = Table(["Smart List", "Joined", "Left", "Net", "Net before", "Size"], rows)
    return _named(
        "sizes", "Size of lists", report, bars, table, drawing,
        path="smart-lists", csv_table="smart_lists", formulas=("size", "net"),
    )  # fmt: skip


def attempts(report: wire.WebhooksReport, drawing: Drawing) -> Figure:
    buckets = report.buckets
    lines = [
        _Line("Succeeded", [each.succeeded for each in buckets]),
        _Line("Failed", [each.failed for each in buckets], bad=True),
    ]
    return _over_time(
        "attempts", "Webhook attempts", report, buckets, lines, drawing,
        path="webhooks", formulas=("attempts", "success_rate"), columns=True,
    )  # fmt: skip


def latency(report: wire.WebhooksReport, drawing: Drawing) -> Figure:
    buckets = report.buckets
    lines = [
        _Line("p95", [each.latency_p95_ms for each in buckets], lasting),
        _Line("p50", [each.latency_p50_ms for each in buckets], lasting),
    ]
    return _over_time(
        "latency", "Time from applying to success", report, buckets, lines, drawing,
        path="webhooks", formulas=("latency", "percentile"),
        form=duration, axis_form=duration, times=True,
    )  # fmt: skip


_RESULTS = {
    "succeeded": "Succeeded",
    "dns": "Name not found",
    "connect": "No connection",
    "tls": "TLS",
    "timeout": "Timeout",
    "blocked": "Blocked address",
    "http_status": "Not a 2xx status",
    "protocol": "Broken answer",
}


def results(report: wire.WebhooksReport, drawing: Drawing) -> Figure:
    bars = [Bar(_RESULTS.get(each.result, each.result), each.count) for each in report.results]
    rows = [
        [_RESULTS.get(each.result, each.result), number(each.count), share(each.share), number(each.previous)]
        for each in report.results
    ]
    return _named(
        "results", "Attempts by result", report, bars, Table(["Result", "Attempts", "Share", "Period before"], rows),
        drawing, path="webhooks", csv_table="results", formulas=("attempts",), mix=True,
    )  # fmt: skip


def by_endpoint(report: wire.WebhooksReport, drawing: Drawing) -> Figure:
    bars = [
        Bar(each.webhook_url or each.endpoint_id, each.attempts) for each in report.endpoints[:_BARS_SHOWN]
    ]
    rows = [
        [each.webhook_url or each.endpoint_id, (each.state or "gone").capitalize(), number(each.attempts),
         share(each.success_rate), lasting(each.latency_p50_ms), lasting(each.latency_p95_ms)]
        for each in report.endpoints
    ]  # fmt: skip
    table = Table(["Endpoint", "State", "Attempts", "Success", "p50", "p95"], rows)
    return _named(
        "endpoints", "Attempts by endpoint", report, bars, table, drawing,
        path="webhooks", csv_table="endpoints", formulas=("attempts", "success_rate", "latency"),
    )  # fmt: skip
