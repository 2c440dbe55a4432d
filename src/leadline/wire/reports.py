"""Reports: numbers of a period, beside those of the period before it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from leadline.wire.calls import AgentId
from leadline.wire.common import Answer, Query, Time, TimeInput, Uuid, UuidInput
from leadline.wire.deliveries import AttemptErrorName, EndpointStateName
from leadline.wire.outcomes import OutcomeTypeName

IntervalName = Literal["hour", "day", "week"]
FormatName = Literal["json", "csv"]
_Zone = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="IANA time zone whose hours, days and weeks are meant; `UTC` when left out.",
        examples=["America/New_York"],
    ),
]
_Since = Annotated[
    TimeInput,
    Meta(
        description="Inclusive, moved back to a quarter of an hour; when left out, the local midnight that makes it"
        " seven days."
    ),
]
_Until = Annotated[
    TimeInput, Meta(description="Exclusive, moved on to a quarter of an hour; now when left out.")
]
_Interval = Annotated[
    IntervalName,
    Meta(description="How wide a bucket is, at most 400 of them; what suits the period when left out."),
]
_Format = Annotated[
    FormatName, Meta(description="`csv` for a table of the report instead; `json` when left out.")
]
_OutcomeIds = Annotated[str, Meta(min_length=1, max_length=4000)]


class ReportQuery(Query, frozen=True, kw_only=True):
    """What every report takes."""

    since: _Since | None = None
    until: _Until | None = None
    tz: _Zone | None = None
    interval: _Interval | None = None
    format: _Format | None = None


def _table(*names: str) -> Meta:
    return Meta(description=f"Which table `format=csv` gives; `{names[0]}` when left out.")


class OutcomesReportQuery(ReportQuery, frozen=True, kw_only=True):
    agent_id: AgentId | None = None
    outcome_id: UuidInput | None = None
    table: Annotated[Literal["buckets", "outcomes"], _table("buckets")] | None = None


class DispositionsReportQuery(ReportQuery, frozen=True, kw_only=True):
    agent_id: AgentId | None = None
    table: Annotated[Literal["dispositions"], _table("dispositions")] | None = None


class _CountingQuery(ReportQuery, frozen=True, kw_only=True):
    contact_outcome_ids: (
        Annotated[
            _OutcomeIds,
            Meta(
                description="Which outcomes make a call a contact: up to 100 ids with commas between. Left out: calls"
                " that were answered and ended `completed`."
            ),
        ]
        | None
    ) = None
    conversion_outcome_ids: (
        Annotated[
            _OutcomeIds,
            Meta(
                description="Which outcomes make a call a conversion: up to 100 ids with commas between. Left out:"
                " any action."
            ),
        ]
        | None
    ) = None


class RatesReportQuery(_CountingQuery, frozen=True, kw_only=True):
    agent_id: AgentId | None = None
    table: Annotated[Literal["buckets"], _table("buckets")] | None = None


class AgentsReportQuery(_CountingQuery, frozen=True, kw_only=True):
    agent_id: AgentId | None = None
    table: Annotated[Literal["agents"], _table("agents")] | None = None


class SmartListsReportQuery(ReportQuery, frozen=True, kw_only=True):
    smart_list_id: UuidInput | None = None
    table: Annotated[Literal["smart_lists", "buckets"], _table("smart_lists")] | None = None


class WrapUpReportQuery(ReportQuery, frozen=True, kw_only=True):
    agent_id: AgentId | None = None
    table: Annotated[Literal["buckets", "agents"], _table("buckets")] | None = None


class MissingDispositionsReportQuery(ReportQuery, frozen=True, kw_only=True):
    agent_id: AgentId | None = None
    table: Annotated[Literal["buckets", "agents"], _table("buckets")] | None = None


class WebhooksReportQuery(ReportQuery, frozen=True, kw_only=True):
    endpoint_id: UuidInput | None = None
    table: Annotated[Literal["buckets", "results", "endpoints"], _table("buckets")] | None = None


_Change = Annotated[
    float | None, Meta(description="Against the period before; null when there is nothing to compare with.")
]
_Share = Annotated[float | None, Meta(description="0-1; null of nothing.")]
_Name = Annotated[str | None, Meta(description="The last one it had; null when it is not known.")]
_Deleted = Annotated[bool, Meta(description="It no longer exists.")]
_AgentName = Annotated[str | None, Meta(description="Null for calls without an agent.")]


class CountFigure(Struct, frozen=True, kw_only=True):
    value: int
    previous: int
    change: _Change


class RateFigure(Struct, frozen=True, kw_only=True):
    value: _Share
    previous: float | None
    change: _Change


class DurationFigure(Struct, frozen=True, kw_only=True):
    """Milliseconds; null of nothing."""

    value: int | None
    previous: int | None
    change: _Change


class Stretch(Struct, frozen=True, kw_only=True):
    """From `since`, inclusive, to `until`, exclusive."""

    since: Time
    until: Time


class Report(Struct, frozen=True, kw_only=True):
    """What every report says of itself."""

    period: Stretch
    previous_period: Annotated[Stretch, Meta(description="As long by the local clock, just before it.")]
    tz: str
    interval: IntervalName
    formulas: Annotated[dict[str, str], Meta(description="How each number is made, for people.")]


class OutcomesBucket(Stretch, frozen=True, kw_only=True):
    applied: int
    actions: int
    dispositions: int


class OutcomeCount(Struct, frozen=True, kw_only=True):
    outcome_id: Uuid
    outcome_name: _Name
    outcome_type: Annotated[OutcomeTypeName, Meta(description="As it was when it was applied.")]
    deleted: _Deleted
    count: int
    previous: int
    share: _Share


class OutcomesReport(Report, frozen=True, kw_only=True):
    applied: CountFigure
    actions: CountFigure
    dispositions: CountFigure
    buckets: list[OutcomesBucket]
    outcomes: Annotated[list[OutcomeCount], Meta(description="Most applied first, at most 500.")]


class OutcomesReportAnswer(Answer, frozen=True, kw_only=True):
    report: OutcomesReport


class DispositionsReport(Report, frozen=True, kw_only=True):
    applied: CountFigure
    dispositions: Annotated[list[OutcomeCount], Meta(description="Most applied first, at most 500.")]


class DispositionsReportAnswer(Answer, frozen=True, kw_only=True):
    report: DispositionsReport


class RatesBucket(Stretch, frozen=True, kw_only=True):
    calls: int
    answered: int
    contacts: int
    conversions: int
    contact_rate: _Share
    conversion_rate: _Share


class RatesReport(Report, frozen=True, kw_only=True):
    contact_outcome_ids: list[Uuid] | None
    conversion_outcome_ids: list[Uuid] | None
    calls: CountFigure
    answered: CountFigure
    contacts: CountFigure
    conversions: CountFigure
    contact_rate: RateFigure
    conversion_rate: RateFigure
    buckets: list[RatesBucket]


class RatesReportAnswer(Answer, frozen=True, kw_only=True):
    report: RatesReport


class AgentNumbers(Struct, frozen=True, kw_only=True):
    agent_id: _AgentName
    calls: int
    previous_calls: int
    answered: int
    applied: int
    contacts: int
    conversions: int
    contact_rate: _Share
    conversion_rate: _Share
    owed: int
    missing: int
    waiting: int
    wrap_up_mean_ms: int | None
    wrap_up_p50_ms: int | None
    wrap_up_p90_ms: int | None


class AgentsReport(Report, frozen=True, kw_only=True):
    contact_outcome_ids: list[Uuid] | None
    conversion_outcome_ids: list[Uuid] | None
    agents: Annotated[list[AgentNumbers], Meta(description="Most calls first, at most 500.")]
    agents_total: int


class AgentsReportAnswer(Answer, frozen=True, kw_only=True):
    report: AgentsReport


class ListBucket(Stretch, frozen=True, kw_only=True):
    joined: int
    left: int
    net: int


class ListNumbers(Struct, frozen=True, kw_only=True):
    smart_list_id: Uuid
    smart_list_name: _Name
    deleted: _Deleted
    joined: int
    left: int
    net: int
    previous_net: int
    size: Annotated[int, Meta(description="Contacts on it at the end of the period.")]


class SmartListsReport(Report, frozen=True, kw_only=True):
    joined: CountFigure
    left: CountFigure
    net: CountFigure
    buckets: list[ListBucket]
    smart_lists: Annotated[list[ListNumbers], Meta(description="Most moves first, at most 500.")]
    smart_lists_total: int


class SmartListsReportAnswer(Answer, frozen=True, kw_only=True):
    report: SmartListsReport


class WrapUpBucket(Stretch, frozen=True, kw_only=True):
    count: int
    mean_ms: int | None
    p50_ms: int | None
    p90_ms: int | None


class WrapUpNumbers(Struct, frozen=True, kw_only=True):
    agent_id: _AgentName
    count: int
    mean_ms: int | None
    p50_ms: int | None
    p90_ms: int | None


class WrapUpReport(Report, frozen=True, kw_only=True):
    count: CountFigure
    mean_ms: DurationFigure
    p50_ms: DurationFigure
    p90_ms: DurationFigure
    buckets: list[WrapUpBucket]
    agents: Annotated[list[WrapUpNumbers], Meta(description="Most wrap-ups first, at most 500.")]
    agents_total: int


class WrapUpReportAnswer(Answer, frozen=True, kw_only=True):
    report: WrapUpReport


class MissingBucket(Stretch, frozen=True, kw_only=True):
    owed: int
    missing: int


class MissingNumbers(Struct, frozen=True, kw_only=True):
    agent_id: _AgentName
    owed: int
    missing: int
    missing_rate: _Share
    waiting: int


class MissingDispositionsReport(Report, frozen=True, kw_only=True):
    owed: CountFigure
    missing: CountFigure
    missing_rate: RateFigure
    waiting: Annotated[int, Meta(description="Calls in wrap-up at this moment, whatever the period.")]
    oldest_waiting_since: Time | None
    buckets: list[MissingBucket]
    agents: Annotated[list[MissingNumbers], Meta(description="Most missing first, at most 500.")]
    agents_total: int


class MissingDispositionsReportAnswer(Answer, frozen=True, kw_only=True):
    report: MissingDispositionsReport


class WebhooksBucket(Stretch, frozen=True, kw_only=True):
    attempts: int
    succeeded: int
    failed: int
    success_rate: _Share
    latency_p50_ms: int | None
    latency_p95_ms: int | None


class ResultCount(Struct, frozen=True, kw_only=True):
    result: Annotated[
        Literal["succeeded"] | AttemptErrorName, Meta(description="`succeeded`, or the class of the failure.")
    ]
    count: int
    previous: int
    share: _Share


class EndpointNumbers(Struct, frozen=True, kw_only=True):
    endpoint_id: Uuid
    webhook_url: str | None
    state: EndpointStateName | None
    attempts: int
    succeeded: int
    success_rate: _Share
    latency_p50_ms: int | None
    latency_p95_ms: int | None


class WebhooksReport(Report, frozen=True, kw_only=True):
    attempts: CountFigure
    succeeded: CountFigure
    failed: CountFigure
    success_rate: RateFigure
    latency_mean_ms: DurationFigure
    latency_p50_ms: DurationFigure
    latency_p95_ms: DurationFigure
    buckets: list[WebhooksBucket]
    results: list[ResultCount]
    endpoints: Annotated[list[EndpointNumbers], Meta(description="Most attempts first, at most 500.")]
    endpoints_total: int


class WebhooksReportAnswer(Answer, frozen=True, kw_only=True):
    report: WebhooksReport
