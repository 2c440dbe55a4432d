"""Reports: what came of the calls, in charts and numbers. Everything that is chosen is in the address."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from leadline.charts import sparkline
from leadline.charts.values import duration, percent, whole
from leadline.clock import ms_from_datetime, zone_named
from leadline.domain.access import Permission
from leadline.domain.errors import InvalidRequest, NotFound, Problem
from leadline.domain.periods import Interval, Period, period_of
from leadline.domain.reports import COUNTING_OUTCOMES_MAX, Counting
from leadline.ids import parse_id
from leadline.operations import reports as operations
from leadline.operations.report_numbers import ReportRequest
from leadline.reporting import figures
from leadline.reporting.figures import Drawing, Figure
from leadline.reporting.tables import csv_of
from leadline.store.database import Tx
from leadline.web.api.reports import KINDS
from leadline.web.console.forms import Form
from leadline.web.console.table import Download, Reply, Shown, Visit, show
from leadline.wire import reports as wire

_PATH = "/reports"
TABS = (
    ("", "Overview"),
    ("/agents", "Agents"),
    ("/smart-lists", "Smart Lists"),
    ("/webhooks", "Webhooks"),
)
PERIODS = (
    ("today", "Today"),
    ("7", "Last 7 days"),
    ("14", "Last 14 days"),
    ("30", "Last 30 days"),
    ("90", "Last 90 days"),
    ("custom", "From … to …"),
)
_PERIOD_DEFAULT = "14"
INTERVALS = (("", "Automatic"), ("hour", "By hour"), ("day", "By day"), ("week", "By week"))
# Those that are offered; any other IANA name works in the address.
ZONES = (
    "UTC", "America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles",
    "America/Anchorage", "Pacific/Honolulu", "America/Toronto", "America/Mexico_City", "America/Bogota",
    "America/Sao_Paulo", "America/Argentina/Buenos_Aires", "Europe/London", "Europe/Dublin", "Europe/Lisbon",
    "Europe/Madrid", "Europe/Paris", "Europe/Berlin", "Europe/Warsaw", "Europe/Athens", "Europe/Istanbul",
    "Africa/Lagos", "Africa/Cairo", "Africa/Johannesburg", "Africa/Nairobi", "Asia/Dubai", "Asia/Karachi",
    "Asia/Kolkata", "Asia/Kathmandu", "Asia/Dhaka", "Asia/Bangkok", "Asia/Manila", "Asia/Singapore",
    "Asia/Shanghai", "Asia/Tokyo", "Australia/Perth", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip
_Draw = Callable[[Tx, Visit, "Chosen"], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the address asks for."""

    request: ReportRequest
    zone: datetime.tzinfo

    @property
    def drawing(self) -> Drawing:
        return Drawing(self.zone)


@dataclass(frozen=True, slots=True)
class Tile:
    """A number with what it was before. `tone` is good, bad or quiet."""

    label: str
    value: str
    change: str
    tone: str
    formula: str
    spark: Markup


def chosen(query: Form, now_ms: int) -> Chosen:
    """Read the address. Raises InvalidRequest."""
    tz = query.text("tz") or "UTC"
    zone = zone_named(tz)
    if zone is None:
        raise _wrong("tz", "There is no such time zone.")
    interval = query.text("interval")
    if interval not in ("", *Interval):
        raise _wrong("interval", "An interval is hour, day or week.")
    request = ReportRequest(
        period=_period(query, zone, Interval(interval) if interval else None, now_ms),
        tz=tz,
        agent_id=query.optional("agent_id"),
        outcome_id=_id(query, "outcome_id"),
        smart_list_id=_id(query, "smart_list_id"),
        counting=Counting(_ids(query, "contact"), _ids(query, "conversion")),
    )
    return Chosen(request, zone)


def _period(query: Form, zone: datetime.tzinfo, interval: Interval | None, now_ms: int) -> Period:
    name = query.text("period") or (
        "custom" if query.text("since") or query.text("until") else _PERIOD_DEFAULT
    )
    today = datetime.datetime.fromtimestamp(now_ms / 1000, zone).date()
    if name == "custom":
        since = _day(query, "since") or today
        until = _day(query, "until")
        ends = None if until is None else _midnight(until + datetime.timedelta(days=1), zone)
    else:
        if name not in dict(PERIODS):
            raise _wrong("period", "There is no such period.")
        days = 1 if name == "today" else int(name)
        since, ends = today - datetime.timedelta(days=days - 1), None
    return period_of(_midnight(since, zone), ends, interval, zone=zone, now_ms=now_ms)


def _day(query: Form, name: str) -> datetime.date | None:
    text = query.text(name)
    if not text:
        return None
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        raise _wrong(name, "A day is written as 2026-06-25.") from None
    if not 1990 <= day.year < 2200:
        raise _wrong(name, "A day is between 1990 and 2200.")
    return day


def _midnight(day: datetime.date, zone: datetime.tzinfo) -> int:
    return ms_from_datetime(datetime.datetime.combine(day, datetime.time(), zone))


def _id(query: Form, name: str) -> str | None:
    text = query.text(name)
    found = parse_id(text) if text else None
    if text and found is None:
        raise _wrong(name, "That is no id.")
    return found


def _ids(query: Form, name: str) -> frozenset[str] | None:
    found = [parse_id(each) for each in query.texts(name) if each]
    if None in found or len(found) > COUNTING_OUTCOMES_MAX:
        raise _wrong(name, "Those are no outcomes.")
    return frozenset(each for each in found if each is not None) if found else None


def _wrong(field: str, sentence: str) -> InvalidRequest:
    return InvalidRequest(sentence, details=[Problem(field, sentence)])


async def _overview(tx: Tx, visit: Visit, found: Chosen) -> Mapping[str, Any]:
    request, drawing = found.request, found.drawing
    outcomes = (await operations.outcomes_report(tx, visit.workspace_id, request)).report
    dispositions = (await operations.dispositions_report(tx, visit.workspace_id, request)).report
    rates = (await operations.rates_report(tx, visit.workspace_id, request)).report
    missing = (await operations.missing_dispositions_report(tx, visit.workspace_id, request)).report
    drawn = [
        figures.outcomes_over_time(outcomes, drawing),
        figures.dispositions(dispositions, drawing),
        figures.rates(rates, drawing),
        figures.outcomes_by_name(outcomes, drawing),
    ]
    tiles = [
        _count_tile(
            "Outcomes applied", outcomes.applied, outcomes, [each.applied for each in outcomes.buckets]
        ),
        _rate_tile("Contact rate", rates.contact_rate, rates, [each.contact_rate for each in rates.buckets]),
        _rate_tile(
            "Conversion rate", rates.conversion_rate, rates, [each.conversion_rate for each in rates.buckets]
        ),
        _missing_tile(missing),
    ]
    return {"tiles": tiles, "figures": drawn, "nothing": not outcomes.applied.value and not rates.calls.value}


async def _agents(tx: Tx, visit: Visit, found: Chosen) -> Mapping[str, Any]:
    request, drawing = found.request, found.drawing
    agents = (await operations.agents_report(tx, visit.workspace_id, request)).report
    wrap_up = (await operations.wrap_up_report(tx, visit.workspace_id, request)).report
    missing = (await operations.missing_dispositions_report(tx, visit.workspace_id, request)).report
    p50, p90 = ([getattr(each, name) for each in wrap_up.buckets] for name in ("p50_ms", "p90_ms"))
    calls = figures.calls_by_agent(agents, drawing)
    return {
        "tiles": [
            _duration_tile("Wrap-up time, p50", wrap_up.p50_ms, wrap_up.formulas["wrap_up"], p50),
            _duration_tile("Wrap-up time, p90", wrap_up.p90_ms, wrap_up.formulas["wrap_up"], p90),
            _missing_tile(missing),
        ],
        "figures": [
            figures.wrap_up(wrap_up, drawing),
            calls,
            figures.missing_dispositions(missing, drawing),
        ],
        "open_table": calls,
        "nothing": not agents.agents,
    }


async def _smart_lists(tx: Tx, visit: Visit, found: Chosen) -> Mapping[str, Any]:
    report = (await operations.smart_lists_report(tx, visit.workspace_id, found.request)).report
    sizes = figures.list_sizes(report, found.drawing)
    buckets = report.buckets
    return {
        "tiles": [
            _count_tile("Joined", report.joined, report, [each.joined for each in buckets]),
            _count_tile("Left", report.left, report, [each.left for each in buckets], more_is_better=False),
            _count_tile("Net growth", report.net, report, [each.net for each in buckets]),
        ],
        "figures": [figures.list_moves(report, found.drawing), sizes],
        "open_table": sizes,
        "nothing": not report.smart_lists,
    }


async def _webhooks(tx: Tx, visit: Visit, found: Chosen) -> Mapping[str, Any]:
    report = (await operations.webhooks_report(tx, visit.workspace_id, found.request)).report
    drawing, buckets = found.drawing, report.buckets
    endpoints = figures.by_endpoint(report, drawing)
    latency = [each.latency_p95_ms for each in buckets]
    return {
        "tiles": [
            _count_tile(
                "Attempts", report.attempts, report, [each.attempts for each in buckets], more_is_better=None
            ),
            _rate_tile(
                "Webhook success", report.success_rate, report, [each.success_rate for each in buckets]
            ),
            _duration_tile(
                "Time to success, p95", report.latency_p95_ms, report.formulas["latency"], latency
            ),
        ],
        "figures": [
            figures.attempts(report, drawing),
            figures.results(report, drawing),
            figures.latency(report, drawing),
            endpoints,
        ],
        "open_table": endpoints,
        "nothing": not report.attempts.value,
    }


def _count_tile(
    label: str,
    figure: wire.CountFigure,
    report: wire.Report,
    spark: Sequence[float | None],
    *,
    more_is_better: bool | None = True,
) -> Tile:
    change = figure.change
    text = "Nothing to compare with" if change is None else f"{change:+.1%} on the period before"
    formula = report.formulas.get({"Net growth": "net"}.get(label, label.rsplit(maxsplit=1)[-1].lower()), "")
    return Tile(
        label, whole(figure.value), text, _tone(change, more_is_better), formula, _spark(label, spark)
    )


def _rate_tile(
    label: str, figure: wire.RateFigure, report: wire.Report, spark: Sequence[float | None]
) -> Tile:
    change = figure.change
    text = "Nothing to compare with" if change is None else f"{change * 100:+.1f} points"
    value = "-" if figure.value is None else percent(figure.value)
    name = {"Webhook success": "success_rate"}.get(label, label.lower().replace(" ", "_"))
    return Tile(
        label, value, text, _tone(change, True), report.formulas[name].replace("`", ""), _spark(label, spark)
    )


def _duration_tile(
    label: str, figure: wire.DurationFigure, formula: str, spark: Sequence[float | None]
) -> Tile:
    change = figure.change
    text = "Nothing to compare with" if change is None else f"{change:+.1%} on the period before"
    value = "-" if figure.value is None else duration(figure.value)
    return Tile(label, value, text, _tone(change, False), formula.replace("`", ""), _spark(label, spark))


def _missing_tile(report: wire.MissingDispositionsReport) -> Tile:
    waiting = f"{whole(report.waiting)} waiting now"
    tone = "bad" if report.missing.value or report.waiting else "quiet"
    spark = _spark("Missing dispositions", [each.missing for each in report.buckets])
    value = whole(report.missing.value)
    return Tile("Missing dispositions", value, waiting, tone, report.formulas["missing"], spark)


def _tone(change: float | None, more_is_better: bool | None) -> str:
    if not change or more_is_better is None:
        return "quiet"
    return "good" if (change > 0) is more_is_better else "bad"


def _spark(label: str, values: Sequence[float | None]) -> Markup:
    name = f"spark-{label.lower().replace(' ', '-').replace(',', '')}"
    return Markup(sparkline(name, f"{label} over time", values))  # noqa: S704 - our own, escaped there


@dataclass(frozen=True, slots=True)
class _Card:
    """A figure as the page shows it."""

    figure: Figure
    wide: Markup
    narrow: Markup
    csv_path: str


def _card(figure: Figure, query: Form) -> _Card:
    kept = [(name, text) for name in query.names() for text in query.texts(name) if text]
    asked = urlencode([*kept, ("table", figure.csv_table)])
    return _Card(
        figure,
        Markup(figure.wide),  # noqa: S704 - our own, escaped there
        Markup(figure.narrow),  # noqa: S704 - likewise
        f"{_PATH}/csv/{figure.report}?{asked}",
    )


def _page(tab: str, draw: _Draw) -> Callable[[Tx, Visit], Awaitable[Reply]]:
    async def page(tx: Tx, visit: Visit) -> Reply:
        values = await _choices(tx, visit, tab)
        try:
            found = chosen(visit.query, tx.now_ms)
        except InvalidRequest as wrong:
            return Shown("reports.html", {**values, "wrong": _sentence(wrong)}, 400)
        drawn = await draw(tx, visit, found)
        open_table = drawn.get("open_table")
        cards = [_card(each, visit.query) for each in drawn["figures"]]
        return Shown(
            "reports.html",
            {
                **values,
                "wrong": None,
                "about": _about(found),
                "period": found.request.period,
                "tiles": drawn["tiles"],
                "cards": cards,
                "open_table": next((each for each in cards if each.figure is open_table), None),
                "nothing": drawn["nothing"],
            },
        )

    return page


def _sentence(wrong: InvalidRequest) -> str:
    told = "; ".join(f"{each.field} {each.message}" for each in wrong.details)
    return wrong.message if wrong.message in told else f"{wrong.message} {told[:1].upper()}{told[1:]}."


def _about(found: Chosen) -> str:
    span = found.request.period.span
    first, last = (
        datetime.datetime.fromtimestamp(at / 1000, found.zone) for at in (span.starts, span.ends - 1)
    )
    days = f"{first:%b} {first.day}" + ("" if first.date() == last.date() else f" - {last:%b} {last.day}")
    whose = f"agent {found.request.agent_id}" if found.request.agent_id else "all agents"
    return f"{days}, {last.year} · {whose} · {found.request.tz}"


async def _choices(tx: Tx, visit: Visit, tab: str) -> dict[str, Any]:
    """What the filters offer."""
    known = await operations.report_choices(tx, visit.workspace_id)
    zones = list(ZONES)
    if (tz := visit.query.text("tz")) and tz not in zones and zone_named(tz) is not None:
        zones.insert(0, tz)
    query = visit.query
    kept = {name: query.texts(name) for name in query.names() if name != "smart_list_id"}
    asked = urlencode(kept, doseq=True)
    return {
        "path": _PATH + tab,
        "tab": tab,
        "tabs": [(_PATH + path + (f"?{asked}" if asked else ""), label, path == tab) for path, label in TABS],
        "periods": PERIODS,
        "period_now": query.text("period")
        or ("custom" if query.text("since") or query.text("until") else _PERIOD_DEFAULT),
        "intervals": INTERVALS,
        "zones": [(each, each.replace("_", " ")) for each in zones],
        "agents": [("", "All agents"), *((each, each) for each in known.agent_ids)],
        "outcomes": known.outcomes,
        "lists": known.smart_lists,
        "contact": set(query.texts("contact")),
        "conversion": set(query.texts("conversion")),
    }


async def _csv(tx: Tx, visit: Visit) -> Reply:
    """One table of a report, by the same address as the page's."""
    kind = KINDS.get(visit.parameters["report_name"])
    if kind is None:
        raise NotFound("There is no such report.")
    table = visit.query.text("table") or next(iter(kind.tables))
    if table not in kind.tables:
        raise _wrong("table", "There is no such table.")
    answer = await kind.operation(tx, visit.workspace_id, chosen(visit.query, tx.now_ms).request)
    body = csv_of(kind.tables[table], getattr(answer.report, table))
    return Download(kind.file_name(table, tx.now_ms), "text/csv; charset=utf-8", body)


PAGES = (
    *(
        show(_PATH + path, Permission.REPORTS, _page(path, draw), long=True)
        for (path, _), draw in zip(TABS, (_overview, _agents, _smart_lists, _webhooks), strict=True)
    ),
    show(f"{_PATH}/csv/{{report_name}}", Permission.REPORTS, _csv, long=True),
)
