"""What supervisors look at: deliveries and calls with the names of whom and what they are about, replays, hours."""

from __future__ import annotations

import json
from collections.abc import Sequence

from leadline.domain.paging import Position
from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.replays import ReplayRow
from leadline.store.rows import Row, columns


class AboutRow(Row, frozen=True, gc=False):
    """What a delivery is about, and how its last attempt went. A test is about nobody."""

    delivery_id: str
    outcome_name: str | None
    contact_name: str | None
    phone_number: str | None
    endpoint_state: str
    duration_ms: int | None


class NamedRow(Row, frozen=True, gc=False):
    """A contact's name, by his id."""

    contact_id: str
    name: str | None


class OpenCallRow(Row, frozen=True, gc=False):
    """A call that is not closed, of anybody."""

    call_id: str
    state: str
    agent_id: str | None
    phone_number: str | None
    contact_name: str | None
    started_at: int
    answered_at: int | None
    wrap_up_since: int | None


class HourCountRow(Row, frozen=True, gc=False):
    """Attempts of an endpoint that ended within an hour (Unix time in hours)."""

    endpoint_id: str
    hour: int
    succeeded_count: int
    failed_count: int


class OutcomeNameRow(Row, frozen=True, gc=False):
    outcome_id: str
    outcome_name: str
    outcome_type: str


_ABOUT = Statement(
    "SELECT d.delivery_id, o.outcome_name, p.name, p.phone_number, e.state, a.duration_ms FROM deliveries d"
    " JOIN endpoints e ON e.workspace_id = d.workspace_id AND e.endpoint_id = d.endpoint_id"
    " LEFT JOIN applied_outcomes o ON o.workspace_id = d.workspace_id AND o.applied_id = d.applied_id"
    " LEFT JOIN contacts p ON p.workspace_id = d.workspace_id AND p.contact_id = d.contact_id"
    " LEFT JOIN attempts a ON a.workspace_id = d.workspace_id AND a.delivery_id = d.delivery_id AND a.number ="
    " (SELECT MAX(b.number) FROM attempts b WHERE b.workspace_id = d.workspace_id"
    " AND b.delivery_id = d.delivery_id)"
    " WHERE d.workspace_id = :workspace_id AND d.delivery_id {in_ids:delivery_ids}"
)
_NAMES = Statement(
    "SELECT contact_id, name FROM contacts"
    " WHERE workspace_id = :workspace_id AND contact_id {in_ids:contact_ids}"
)
_OPEN = (
    "SELECT c.call_id, c.state, c.agent_id, c.phone_number, p.name, c.started_at, c.answered_at, c.wrap_up_since"
    " FROM calls c LEFT JOIN contacts p ON p.workspace_id = c.workspace_id AND p.contact_id = c.contact_id"
    " WHERE c.workspace_id = :workspace_id"
)
_ON_LINE = Statement(
    f"{_OPEN} AND c.state <> 'closed' AND c.state <> 'wrap_up'"
    " ORDER BY COALESCE(c.answered_at, c.started_at), c.call_id LIMIT :limit"
)
_IN_WRAP_UP = Statement(f"{_OPEN} AND c.state = 'wrap_up' ORDER BY c.wrap_up_since, c.call_id LIMIT :limit")
_HOURS = Statement(
    f"SELECT {columns(HourCountRow)} FROM endpoint_hours WHERE workspace_id = :workspace_id"
    " AND endpoint_id {in_ids:endpoint_ids} AND hour >= :since_hour ORDER BY hour"
)
_REPLAYS = Statement(
    f"SELECT {columns(ReplayRow)} FROM replays WHERE workspace_id = :workspace_id"
    " AND replay_id < :before_id ORDER BY replay_id DESC LIMIT :limit"
)
_OUTCOMES_OF_ENDPOINT = Statement(
    f"SELECT {columns(OutcomeNameRow)} FROM outcomes WHERE workspace_id = :workspace_id"
    " AND endpoint_id = :endpoint_id ORDER BY display_order, created_at, outcome_id"
)


def _matching(conditions: str) -> Statement:
    """How many deliveries a replay is about, counted no further than there is a use for."""
    return Statement(
        "SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE workspace_id = :workspace_id"
        " AND state {in_texts:states} AND created_at >= :after_at AND created_at < :until"
        f" AND (created_at > :after_at OR delivery_id > :after_id){conditions} LIMIT :limit) counted"
    )


_OF_OUTCOME = " AND outcome_id = :outcome_id"
_OF_ENDPOINT = " AND endpoint_id = :endpoint_id"
_MATCHING = {
    (False, False): _matching(""),
    (True, False): _matching(_OF_OUTCOME),
    (False, True): _matching(_OF_ENDPOINT),
    (True, True): _matching(_OF_OUTCOME + _OF_ENDPOINT),
}


async def about_deliveries(tx: Tx, workspace_id: str, delivery_ids: Sequence[str]) -> dict[str, AboutRow]:
    """By delivery, those that there are."""
    wanted = json.dumps(list(delivery_ids))
    rows = await tx.all(_ABOUT, workspace_id=workspace_id, delivery_ids=wanted)
    return {row[0]: AboutRow(*row) for row in rows}


async def contact_names(tx: Tx, workspace_id: str, contact_ids: Sequence[str]) -> dict[str, str]:
    """By contact, those that have a name."""
    wanted = json.dumps(list(contact_ids))
    rows = await tx.all(_NAMES, workspace_id=workspace_id, contact_ids=wanted)
    return {named.contact_id: named.name for named in (NamedRow(*row) for row in rows) if named.name}


async def calls_on_line(tx: Tx, workspace_id: str, *, limit: int) -> list[OpenCallRow]:
    """Who rings or talks, the longest first."""
    return [OpenCallRow(*row) for row in await tx.all(_ON_LINE, workspace_id=workspace_id, limit=limit)]


async def calls_in_wrap_up(tx: Tx, workspace_id: str, *, limit: int) -> list[OpenCallRow]:
    """What waits for its disposition, the longest first."""
    return [OpenCallRow(*row) for row in await tx.all(_IN_WRAP_UP, workspace_id=workspace_id, limit=limit)]


async def hours_of_endpoints(
    tx: Tx, workspace_id: str, endpoint_ids: Sequence[str], since_hour: int
) -> list[HourCountRow]:
    """In order of time; hours without an attempt are left out."""
    wanted = json.dumps(list(endpoint_ids))
    rows = await tx.all(_HOURS, workspace_id=workspace_id, endpoint_ids=wanted, since_hour=since_hour)
    return [HourCountRow(*row) for row in rows]


async def page_of_replays(tx: Tx, workspace_id: str, before_id: str, *, limit: int) -> list[ReplayRow]:
    """Newest first: their ids are in the order of their creation."""
    rows = await tx.all(_REPLAYS, workspace_id=workspace_id, before_id=before_id, limit=limit)
    return [ReplayRow(*row) for row in rows]


async def outcomes_of_endpoint(tx: Tx, workspace_id: str, endpoint_id: str) -> list[OutcomeNameRow]:
    """The outcomes that call a webhook, in display order."""
    rows = await tx.all(_OUTCOMES_OF_ENDPOINT, workspace_id=workspace_id, endpoint_id=endpoint_id)
    return [OutcomeNameRow(*row) for row in rows]


async def count_matching(
    tx: Tx,
    workspace_id: str,
    *,
    after: Position,
    until: int,
    states: Sequence[str],
    outcome_id: str | None,
    endpoint_id: str | None,
    limit: int,
) -> int:
    """How many deliveries were created behind a position and before `until` (Unix ms), `limit` at most."""
    row = await tx.first(
        _MATCHING[outcome_id is not None, endpoint_id is not None],
        workspace_id=workspace_id,
        after_at=after.at_ms,
        after_id=after.id,
        until=until,
        states=json.dumps(sorted(set(states))),
        outcome_id=outcome_id,
        endpoint_id=endpoint_id,
        limit=limit,
    )
    return int(row[0]) if row else 0
