"""`leadline report`: each report as a table, as CSV, or as a chart."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from cyclopts import Parameter

from leadline.charts.values import duration, percent, whole
from leadline.cli.failures import UsageError
from leadline.cli.printing import print_json
from leadline.cli.showing import print_rows
from leadline.cli.verbs import Noun, Verb
from leadline.clock import zone_named
from leadline.reporting import figures
from leadline.reporting.figures import Drawing, Figure
from leadline.reporting.tables import csv_of
from leadline.wire import reports as wire

_CSV = Annotated[bool, Parameter(name="--csv", help="Print the table as CSV.", show_default=False)]
_SVG = Annotated[bool, Parameter(name="--svg", help="Print the chart as SVG.", show_default=False)]
_OF = Annotated[
    str | None, Parameter(name="--of", help="Which table or chart; a name that there is none of lists them.")
]
_EXTRAS = (
    inspect.Parameter("csv", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_CSV),
    inspect.Parameter("svg", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_SVG),
    inspect.Parameter("of", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_OF),
)
_PERIOD_FLAGS = {
    "since": "From this time on, or an age such as 30d; seven days.",
    "until": "Up to this time; now.",
    "tz": "IANA time zone of hours, days and weeks; UTC.",
    "interval": "How wide a row is; what suits the period.",
}
_FLAGS = {
    "agent_id": "--agent: Only of this agent.",
    "outcome_id": "--outcome: Only of the outcome with this id.",
    "smart_list_id": "--list: Only of the Smart List with this id.",
    "endpoint_id": "--endpoint: Only of the endpoint with this id.",
    "contact_outcome_ids": "--contact: Id of an outcome that makes a call a contact; may be given more than once.",
    "conversion_outcome_ids": "--conversion: Id of an outcome that makes a call a conversion; likewise.",
}
Draw = Callable[[Any, Drawing], Figure]


@dataclass(frozen=True, slots=True)
class _Kind:
    """The tables of a report with their rows' types, and its charts; the first of each is the usual one."""

    tables: Mapping[str, type[msgspec.Struct]]
    charts: Mapping[str, Draw]

    def show(self, report: Any, body: bytes, extras: Mapping[str, Any], as_json: bool) -> None:
        """Print what was asked for. Raises UsageError for a table or chart that there is none of."""
        if sum((as_json, extras["csv"], extras["svg"])) > 1:
            raise UsageError("--json, --csv and --svg contradict each other")
        if as_json:
            print_json(json.loads(body))
        elif extras["svg"]:
            draw = _chosen("chart", self.charts, extras["of"])
            zone = zone_named(report.tz)
            if zone is None:
                raise UsageError(f"this machine does not know the time zone {report.tz}")
            print(draw(report, Drawing(zone, standalone=True)).wide)
        elif extras["csv"]:
            name = extras["of"] or next(iter(self.tables))
            found = csv_of(_chosen("table", self.tables, name), getattr(report, name))
            sys.stdout.write(found.decode())
        else:
            name = extras["of"] or next(iter(self.tables))
            _print_report(report, name, _chosen("table", self.tables, name))


T = TypeVar("T")


def _chosen(what: str, choices: Mapping[str, T], name: str | None) -> T:
    if name is None:
        return next(iter(choices.values()))
    if name not in choices:
        raise UsageError(f"--of: there is no {what} {name!r}; there are: {', '.join(choices)}")
    return choices[name]


def _print_report(report: wire.Report, table: str, row_type: type[msgspec.Struct]) -> None:
    """The figures with their changes, then one table."""
    print(f"{report.period.since} - {report.period.until}  {report.tz}")
    for name in report.__struct_fields__:
        figure = getattr(report, name)
        if isinstance(figure, wire.CountFigure | wire.RateFigure | wire.DurationFigure):
            before = _text(figure.previous, type(figure))
            print(f"{name.replace('_', ' '):<20} {_text(figure.value, type(figure)):>12}   before: {before}")
        elif isinstance(figure, int):
            print(f"{name.replace('_', ' '):<20} {figure:>12,}")
    print()
    titles = [each for each in row_type.__struct_fields__ if each != "until" and not each.endswith("_total")]
    rows = [{title: _cell(title, getattr(row, title)) for title in titles} for row in getattr(report, table)]
    print_rows(rows, titles)


def _text(value: float | None, kind: type) -> str:
    if value is None:
        return "-"
    if kind is wire.RateFigure:
        return percent(value)
    return duration(value) if kind is wire.DurationFigure else whole(value)


def _cell(title: str, value: Any) -> Any:
    if isinstance(value, float) or title.endswith(("share", "_rate")):
        return "-" if value is None else percent(value)
    if title.endswith("_ms"):
        return "-" if value is None else duration(value)
    return value


_KINDS: Mapping[str, _Kind] = {
    "outcomes": _Kind(
        {"buckets": wire.OutcomesBucket, "outcomes": wire.OutcomeCount},
        {"over_time": figures.outcomes_over_time, "outcomes": figures.outcomes_by_name},
    ),
    "dispositions": _Kind({"dispositions": wire.OutcomeCount}, {"mix": figures.dispositions}),
    "rates": _Kind({"buckets": wire.RatesBucket}, {"over_time": figures.rates}),
    "agents": _Kind({"agents": wire.AgentNumbers}, {"calls": figures.calls_by_agent}),
    "smart_lists": _Kind(
        {"smart_lists": wire.ListNumbers, "buckets": wire.ListBucket},
        {"moves": figures.list_moves, "sizes": figures.list_sizes},
    ),
    "wrap_up": _Kind(
        {"buckets": wire.WrapUpBucket, "agents": wire.WrapUpNumbers}, {"over_time": figures.wrap_up}
    ),
    "missing_dispositions": _Kind(
        {"agents": wire.MissingNumbers, "buckets": wire.MissingBucket},
        {"over_time": figures.missing_dispositions},
    ),
    "webhooks": _Kind(
        {"buckets": wire.WebhooksBucket, "results": wire.ResultCount, "endpoints": wire.EndpointNumbers},
        {
            "attempts": figures.attempts,
            "latency": figures.latency,
            "results": figures.results,
            "endpoints": figures.by_endpoint,
        },
    ),
}


def _verb(name: str, help_text: str, flags: Sequence[str]) -> Verb:
    return Verb(
        name=name.replace("_", "-"),
        operation=f"report_{name}",
        help=help_text,
        flags={**_PERIOD_FLAGS, **{flag: _FLAGS[flag] for flag in flags}},
        extras=_EXTRAS,
        show=_KINDS[name].show,
    )


_COUNTING = ("agent_id", "contact_outcome_ids", "conversion_outcome_ids")
REPORT = Noun(
    "report",
    "Numbers of a period, as tables, CSV or charts.",
    (
        _verb("outcomes", "Show outcomes over time, and which.", ("agent_id", "outcome_id")),
        _verb("dispositions", "Show which dispositions calls were given.", ("agent_id",)),
        _verb("rates", "Show contact rate and conversion rate over time.", _COUNTING),
        _verb("agents", "Show the numbers of each agent.", _COUNTING),
        _verb("smart_lists", "Show who joined and left each Smart List.", ("smart_list_id",)),
        _verb("wrap_up", "Show how long calls waited for their dispositions.", ("agent_id",)),
        _verb("missing_dispositions", "Show calls that owed a disposition and have none.", ("agent_id",)),
        _verb("webhooks", "Show how webhooks arrive.", ("endpoint_id",)),
    ),
)
