"""Reports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from leadline.clock import iso_from_ms, ms_from_datetime, zone_named
from leadline.domain.access import Scope
from leadline.domain.errors import InvalidRequest, Problem
from leadline.domain.periods import Interval, period_of
from leadline.domain.reports import COUNTING_OUTCOMES_MAX, Counting
from leadline.ids import parse_id
from leadline.operations import reports as operations
from leadline.operations.report_numbers import ReportRequest
from leadline.reporting.tables import csv_of
from leadline.store.database import Tx
from leadline.web.table import Download, Handler, KeyUse, Operation, Reply, Request, optional
from leadline.wire import reports as wire
from leadline.wire.common import Answer

_REPORTS = "/phone-system/reports"


@dataclass(frozen=True, slots=True)
class Kind:
    """A report: its operation, and the row types of its tables, the first the usual one."""

    name: str
    operation: Callable[[Tx, str, ReportRequest], Awaitable[Any]]
    tables: dict[str, type[msgspec.Struct]]

    def file_name(self, table: str, now_ms: int) -> str:
        """Of a table as CSV, made today."""
        return f"leadline-{self.name}-{table.replace('_', '-')}-{iso_from_ms(now_ms)[:10]}.csv"


_ALL = (
    Kind(
        "outcomes",
        operations.outcomes_report,
        {"buckets": wire.OutcomesBucket, "outcomes": wire.OutcomeCount},
    ),
    Kind("dispositions", operations.dispositions_report, {"dispositions": wire.OutcomeCount}),
    Kind("rates", operations.rates_report, {"buckets": wire.RatesBucket}),
    Kind("agents", operations.agents_report, {"agents": wire.AgentNumbers}),
    Kind(
        "smart-lists",
        operations.smart_lists_report,
        {"smart_lists": wire.ListNumbers, "buckets": wire.ListBucket},
    ),
    Kind("wrap-up", operations.wrap_up_report, {"buckets": wire.WrapUpBucket, "agents": wire.WrapUpNumbers}),
    Kind(
        "missing-dispositions",
        operations.missing_dispositions_report,
        {"buckets": wire.MissingBucket, "agents": wire.MissingNumbers},
    ),
    Kind(
        "webhooks",
        operations.webhooks_report,
        {"buckets": wire.WebhooksBucket, "results": wire.ResultCount, "endpoints": wire.EndpointNumbers},
    ),
)
KINDS = {kind.name: kind for kind in _ALL}


def _handler(kind: Kind) -> Handler:
    async def report(tx: Tx, request: Request) -> Reply:
        answer = await kind.operation(tx, request.workspace_id, report_request(request.query, tx.now_ms))
        if request.query.format != "csv":
            return Reply(answer)
        table = request.query.table or next(iter(kind.tables))
        body = csv_of(kind.tables[table], getattr(answer.report, table))
        return Reply(
            answer, download=Download("text/csv; charset=utf-8", kind.file_name(table, tx.now_ms), body)
        )

    return report


def report_request(query: Any, now_ms: int) -> ReportRequest:
    """What the parameters ask for. Raises InvalidRequest."""
    tz = query.tz or "UTC"
    zone = zone_named(tz)
    if zone is None:
        problem = Problem("tz", "is no IANA time zone that this server knows")
        raise InvalidRequest("There is no such time zone.", details=[problem])
    period = period_of(
        None if query.since is None else ms_from_datetime(query.since),
        None if query.until is None else ms_from_datetime(query.until),
        None if query.interval is None else Interval(query.interval),
        zone=zone,
        now_ms=now_ms,
    )
    return ReportRequest(
        period=period,
        tz=tz,
        agent_id=getattr(query, "agent_id", None),
        outcome_id=optional(getattr(query, "outcome_id", None)),
        smart_list_id=optional(getattr(query, "smart_list_id", None)),
        endpoint_id=optional(getattr(query, "endpoint_id", None)),
        counting=Counting(
            _ids("contact_outcome_ids", getattr(query, "contact_outcome_ids", None)),
            _ids("conversion_outcome_ids", getattr(query, "conversion_outcome_ids", None)),
        ),
    )


def _ids(field: str, text: str | None) -> frozenset[str] | None:
    """Ids with commas between. An outcome need not exist any more to count."""
    if text is None:
        return None
    found = [parse_id(each.strip(" ")) for each in text.split(",")]
    if None in found or len(found) > COUNTING_OUTCOMES_MAX:
        problem = Problem(field, f"must be up to {COUNTING_OUTCOMES_MAX} UUIDs with commas between")
        raise InvalidRequest("The outcomes are not valid.", details=[problem])
    return frozenset(each for each in found if each is not None)


def _operation(
    name: str, *, query: type[wire.ReportQuery], answer: type[Answer], summary: str, description: str
) -> Operation:
    kind = KINDS[name]
    return Operation(
        name=f"report_{kind.name.replace('-', '_')}",
        method="GET",
        path=f"{_REPORTS}/{kind.name}",
        scope=Scope.CALLS_READ,
        long=True,
        tag="Reports",
        summary=summary,
        description=description,
        handler=_handler(kind),
        writes=False,
        key_use=KeyUse.NONE,
        query=query,
        answers={200: answer},
        offers_csv=True,
        query_example={"tz": "America/New_York"},
    )


OPERATIONS = (
    _operation(
        "outcomes",
        query=wire.OutcomesReportQuery,
        answer=wire.OutcomesReportAnswer,
        summary="Outcomes over time",
        description="How many outcomes were applied, hour by hour, day by day or week by week, and which.",
    ),
    _operation(
        "dispositions",
        query=wire.DispositionsReportQuery,
        answer=wire.DispositionsReportAnswer,
        summary="Mix of dispositions",
        description="Which dispositions calls were given, and the share of each.",
    ),
    _operation(
        "rates",
        query=wire.RatesReportQuery,
        answer=wire.RatesReportAnswer,
        summary="Contact rate and conversion rate",
        description="Of closed calls. Choose which outcomes make a call a contact or a conversion.",
    ),
    _operation(
        "agents",
        query=wire.AgentsReportQuery,
        answer=wire.AgentsReportAnswer,
        summary="Numbers by agent",
        description="Calls, what they achieved, wrap-up times and missing dispositions of each agent.",
    ),
    _operation(
        "smart-lists",
        query=wire.SmartListsReportQuery,
        answer=wire.SmartListsReportAnswer,
        summary="Growth of Smart Lists",
        description="Who joined and left, and how long each list was at the end of the period.",
    ),
    _operation(
        "wrap-up",
        query=wire.WrapUpReportQuery,
        answer=wire.WrapUpReportAnswer,
        summary="Wrap-up time",
        description="How long calls waited for their dispositions, by the server's clock.",
    ),
    _operation(
        "missing-dispositions",
        query=wire.MissingDispositionsReportQuery,
        answer=wire.MissingDispositionsReportAnswer,
        summary="Missing dispositions",
        description="Calls that owed a disposition and were closed without one, and those that wait for one now.",
    ),
    _operation(
        "webhooks",
        query=wire.WebhooksReportQuery,
        answer=wire.WebhooksReportAnswer,
        summary="Health of webhooks",
        description="Attempts by result, and the time from applying an outcome to its webhook's success.",
    ),
)
