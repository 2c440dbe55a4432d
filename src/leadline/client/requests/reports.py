"""Reports: numbers of a period beside those of the period before it.

`since` is inclusive, `until` exclusive; left out, they are the last seven days. `tz` is the IANA name of the time zone
that is meant; UTC when it is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from leadline.client.requests.described import Id, Reply, Request, When, decoded, parameters, path
from leadline.wire import reports as wire
from leadline.wire.reports import IntervalName


def report_outcomes(
    *,
    since: When | None = None,
    until: When | None = None,
    tz: str | None = None,
    interval: IntervalName | None = None,
    agent_id: str | None = None,
    outcome_id: Id | None = None,
) -> Request[wire.OutcomesReport]:
    """Outcomes over time, by type, and which."""
    return Request(
        operation="report_outcomes",
        method="GET",
        path=path("/reports/outcomes"),
        read=_outcomes,
        query=parameters(
            since=since, until=until, tz=tz, interval=interval, agent_id=agent_id, outcome_id=outcome_id
        ),
    )


def report_dispositions(
    *,
    since: When | None = None,
    until: When | None = None,
    tz: str | None = None,
    interval: IntervalName | None = None,
    agent_id: str | None = None,
) -> Request[wire.DispositionsReport]:
    """Which dispositions calls were given, and the share of each."""
    return Request(
        operation="report_dispositions",
        method="GET",
        path=path("/reports/dispositions"),
        read=_dispositions,
        query=parameters(since=since, until=until, tz=tz, interval=interval, agent_id=agent_id),
    )


def report_rates(
    *,
    since: When | None = None,
    until: When | None = None,
    tz: str | None = None,
    interval: IntervalName | None = None,
    agent_id: str | None = None,
    contact_outcome_ids: Sequence[Id] | None = None,
    conversion_outcome_ids: Sequence[Id] | None = None,
) -> Request[wire.RatesReport]:
    """Contact rate and conversion rate. The ids choose what makes a call a contact, a conversion."""
    return Request(
        operation="report_rates",
        method="GET",
        path=path("/reports/rates"),
        read=_rates,
        query=parameters(
            since=since,
            until=until,
            tz=tz,
            interval=interval,
            agent_id=agent_id,
            contact_outcome_ids=_ids(contact_outcome_ids),
            conversion_outcome_ids=_ids(conversion_outcome_ids),
        ),
    )


def report_agents(
    *,
    since: When | None = None,
    until: When | None = None,
    tz: str | None = None,
    interval: IntervalName | None = None,
    agent_id: str | None = None,
    contact_outcome_ids: Sequence[Id] | None = None,
    conversion_outcome_ids: Sequence[Id] | None = None,
) -> Request[wire.AgentsReport]:
    """Calls, what they achieved, wrap-up times and missing dispositions of each agent."""
    return Request(
        operation="report_agents",
        method="GET",
        path=path("/reports/agents"),
        read=_agents,
        query=parameters(
            since=since,
            until=until,
            tz=tz,
            interval=interval,
            agent_id=agent_id,
            contact_outcome_ids=_ids(contact_outcome_ids),
            conversion_outcome_ids=_ids(conversion_outcome_ids),
        ),
    )


def report_smart_lists(
    *,
    since: When | None = None,
    until: When | None = None,
    tz: str | None = None,
    interval: IntervalName | None = None,
    smart_list_id: Id | None = None,
) -> Request[wire.SmartListsReport]:
    """Who joined and left each Smart List, and how long it was in the end."""
    return Request(
        operation="report_smart_lists",
        method="GET",
        path=path("/reports/smart-lists"),
        read=_smart_lists,
        query=parameters(since=since, until=until, tz=tz, interval=interval, smart_list_id=smart_list_id),
    )


def report_wrap_up(
    *,
    since: When | None = None,
    until: When | None = None,
    tz: str | None = None,
    interval: IntervalName | None = None,
    agent_id: str | None = None,
) -> Request[wire.WrapUpReport]:
    """How long calls waited for their dispositions."""
    return Request(
        operation="report_wrap_up",
        method="GET",
        path=path("/reports/wrap-up"),
        read=_wrap_up,
        query=parameters(since=since, until=until, tz=tz, interval=interval, agent_id=agent_id),
    )


def report_missing_dispositions(
    *,
    since: When | None = None,
    until: When | None = None,
    tz: str | None = None,
    interval: IntervalName | None = None,
    agent_id: str | None = None,
) -> Request[wire.MissingDispositionsReport]:
    """Calls that owed a disposition and have none; those that wait for one now."""
    return Request(
        operation="report_missing_dispositions",
        method="GET",
        path=path("/reports/missing-dispositions"),
        read=_missing_dispositions,
        query=parameters(since=since, until=until, tz=tz, interval=interval, agent_id=agent_id),
    )


def report_webhooks(
    *,
    since: When | None = None,
    until: When | None = None,
    tz: str | None = None,
    interval: IntervalName | None = None,
    endpoint_id: Id | None = None,
) -> Request[wire.WebhooksReport]:
    """Webhook attempts by result, and the time from applying an outcome to success."""
    return Request(
        operation="report_webhooks",
        method="GET",
        path=path("/reports/webhooks"),
        read=_webhooks,
        query=parameters(since=since, until=until, tz=tz, interval=interval, endpoint_id=endpoint_id),
    )


def _ids(several: Sequence[Id] | None) -> str | None:
    return None if several is None else ",".join(str(each) for each in several)


def _outcomes(reply: Reply) -> wire.OutcomesReport:
    return decoded(reply, wire.OutcomesReportAnswer).report


def _dispositions(reply: Reply) -> wire.DispositionsReport:
    return decoded(reply, wire.DispositionsReportAnswer).report


def _rates(reply: Reply) -> wire.RatesReport:
    return decoded(reply, wire.RatesReportAnswer).report


def _agents(reply: Reply) -> wire.AgentsReport:
    return decoded(reply, wire.AgentsReportAnswer).report


def _smart_lists(reply: Reply) -> wire.SmartListsReport:
    return decoded(reply, wire.SmartListsReportAnswer).report


def _wrap_up(reply: Reply) -> wire.WrapUpReport:
    return decoded(reply, wire.WrapUpReportAnswer).report


def _missing_dispositions(reply: Reply) -> wire.MissingDispositionsReport:
    return decoded(reply, wire.MissingDispositionsReportAnswer).report


def _webhooks(reply: Reply) -> wire.WebhooksReport:
    return decoded(reply, wire.WebhooksReportAnswer).report
