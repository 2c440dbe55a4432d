"""Endpoints: one webhook URL of a workspace, with its limits and its health.

Health is never counted from history. What goes well is counted in one row an hour and touches nothing else; the
endpoint's own row knows what goes wrong, and is written when that changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from leadline.domain.endpoints import PROBE_WAIT_MS_MAX
from leadline.domain.paging import PageRequest
from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import (
    Row,
    columns,
    insertion,
    insertion_of_many,
    listing,
    page_values,
    update_of_many,
    values_of,
)

HOUR_MS = 3_600_000


class EndpointRow(Row, frozen=True, gc=False):
    workspace_id: str
    endpoint_id: str
    webhook_url: str
    url_hash: str
    state: str
    state_reason: str | None
    max_concurrency: int
    rate_limit_per_second: float | None
    timeout_seconds: int | None
    failures_in_a_row: int
    probe_at: int | None
    failing_since: int | None
    bucket_tokens: float | None
    bucket_at: int | None
    last_failure_at: int | None
    last_failure: str | None
    created_at: int
    updated_at: int


class SlotsRow(Row, frozen=True, gc=False):
    """What says how many attempts may begin. `now` is the database's clock (Unix ms)."""

    endpoint_id: str
    state: str
    max_concurrency: int
    rate_limit_per_second: float | None
    timeout_seconds: int | None
    failures_in_a_row: int
    probe_at: int | None
    failing_since: int | None
    bucket_tokens: float | None
    bucket_at: int | None
    now: int


class LeasesRow(Row, frozen=True, gc=False):
    """How many of an endpoint's deliveries are leased, and how many more had a lease that ran out."""

    endpoint_id: str
    running: int
    expired: int


class HealthRow(Row, frozen=True, gc=False):
    workspace_id: str
    endpoint_id: str
    state: str
    state_reason: str | None
    failures_in_a_row: int
    probe_at: int | None
    failing_since: int | None
    last_failure_at: int | None
    last_failure: str | None
    updated_at: int


class BucketRow(Row, frozen=True, gc=False):
    workspace_id: str
    endpoint_id: str
    bucket_tokens: float
    bucket_at: int


class HourRow(Row, frozen=True, gc=False):
    workspace_id: str
    endpoint_id: str
    hour: int
    succeeded_count: int
    failed_count: int
    last_success_at: int | None


class Tally(Row, frozen=True, gc=False):
    """Attempts of one endpoint: of the last 24 hours, and of all time."""

    succeeded_last_day: int = 0
    failed_last_day: int = 0
    succeeded_total: int = 0
    failed_total: int = 0
    last_success_at: int | None = None


_ENDPOINT = columns(EndpointRow)
_INSERT = insertion("endpoints", EndpointRow, tail="ON CONFLICT (workspace_id, url_hash) DO NOTHING")
_BY_HASH = Statement(
    "SELECT endpoint_id FROM endpoints WHERE workspace_id = :workspace_id AND url_hash = :url_hash"
)
_GET = Statement(
    f"SELECT {_ENDPOINT} FROM endpoints WHERE workspace_id = :workspace_id AND endpoint_id = :endpoint_id"
)
_LOCK = Statement(
    f"SELECT {_ENDPOINT} FROM endpoints"
    " WHERE workspace_id = :workspace_id AND endpoint_id = :endpoint_id {for_update}"
)
_NAMED = Statement(
    f"SELECT {_ENDPOINT} FROM endpoints"
    " WHERE workspace_id = :workspace_id AND endpoint_id {in_ids:endpoint_ids}"
)
_SLOTS = columns(SlotsRow, "e").replace("e.now", "{now_ms}")
# The first entry of an index for each endpoint `e`, whatever PostgreSQL believes of how many are due: with EXISTS it
# read all of a mountain that was another endpoint's.
FIRST_DUE = (
    "(SELECT MIN(d.due_at) FROM deliveries d WHERE d.workspace_id = e.workspace_id"
    " AND d.endpoint_id = e.endpoint_id AND d.state = 'pending')"
)
# By an open breaker. No probe is further away than a minute, unless the clock was set back meanwhile.
PROBE_DUE = (
    f"(e.probe_at IS NULL OR e.probe_at <= {{now_ms}} OR e.probe_at > {{now_ms}} + {PROBE_WAIT_MS_MAX})"
)
_DUE = Statement(
    f"SELECT {_SLOTS}, (SELECT COUNT(*) FROM deliveries l WHERE l.workspace_id = e.workspace_id"
    " AND l.endpoint_id = e.endpoint_id AND l.lease_id IS NOT NULL AND l.due_at > {now_ms})"
    " FROM endpoints e WHERE e.workspace_id = :workspace_id"
    f" AND e.state = 'active' AND {PROBE_DUE}"
    f" AND {FIRST_DUE} <= {{now_ms}}"
)
# Held until the commit and never waited for: two workers do not count the same endpoint's slots at once.
_LOCK_SLOTS = Statement(
    f"SELECT {_SLOTS} FROM endpoints e WHERE e.workspace_id = :workspace_id"
    " AND e.endpoint_id {in_ids:endpoint_ids} ORDER BY e.endpoint_id {skip_locked}"
)
# Counted after the lock: a count of the same statement would be from before it.
_LEASES = Statement(
    "SELECT endpoint_id, SUM(CASE WHEN due_at > {now_ms} THEN 1 ELSE 0 END),"
    " SUM(CASE WHEN due_at > {now_ms} THEN 0 ELSE 1 END) FROM deliveries WHERE workspace_id = :workspace_id"
    " AND endpoint_id {in_ids:endpoint_ids} AND lease_id IS NOT NULL GROUP BY endpoint_id"
)
_LOCK_HEALTH = Statement(
    f"SELECT {columns(HealthRow)} FROM endpoints WHERE workspace_id = :workspace_id"
    " AND endpoint_id {in_ids:endpoint_ids} ORDER BY endpoint_id {for_update}"
)
_BACKLOG = Statement(
    "SELECT endpoint_id, COUNT(*) FROM deliveries WHERE workspace_id = :workspace_id"
    " AND endpoint_id {in_ids:endpoint_ids} AND state = 'pending' GROUP BY endpoint_id"
)
_UPDATE = Statement(
    "UPDATE endpoints SET state = :state, state_reason = :state_reason, max_concurrency = :max_concurrency,"
    " rate_limit_per_second = :rate_limit_per_second, timeout_seconds = :timeout_seconds,"
    " failures_in_a_row = :failures_in_a_row, probe_at = :probe_at, failing_since = :failing_since,"
    " bucket_tokens = :bucket_tokens, bucket_at = :bucket_at, updated_at = :updated_at"
    " WHERE workspace_id = :workspace_id AND endpoint_id = :endpoint_id"
)
_UPDATE_HEALTH = update_of_many(
    "endpoints",
    "state = :state, state_reason = :state_reason, failures_in_a_row = :failures_in_a_row, probe_at = :probe_at,"
    " failing_since = :failing_since, last_failure_at = :last_failure_at, last_failure = :last_failure,"
    " updated_at = :updated_at",
    ("endpoint_id",),
)
_UPDATE_BUCKET = update_of_many(
    "endpoints",
    "bucket_tokens = :bucket_tokens, bucket_at = :bucket_at",
    ("endpoint_id",),
)
_GREATER = (
    "CASE WHEN endpoint_hours.last_success_at > excluded.last_success_at OR excluded.last_success_at IS NULL"
    " THEN endpoint_hours.last_success_at ELSE excluded.last_success_at END"
)
_ADD = (
    "ON CONFLICT (workspace_id, endpoint_id, hour) DO UPDATE SET"
    " succeeded_count = endpoint_hours.succeeded_count + excluded.succeeded_count,"
    " failed_count = endpoint_hours.failed_count + excluded.failed_count,"
    f" last_success_at = {_GREATER}"
)
_ADD_TO_HOURS = insertion_of_many("endpoint_hours", HourRow, tail=_ADD)
_DAY = "CASE WHEN hour >= :since_hour THEN {0} ELSE 0 END"
_TALLIES = Statement(
    f"SELECT endpoint_id, SUM({_DAY.format('succeeded_count')}), SUM({_DAY.format('failed_count')}),"
    " SUM(succeeded_count), SUM(failed_count), MAX(last_success_at) FROM endpoint_hours"
    " WHERE workspace_id = :workspace_id AND endpoint_id {in_ids:endpoint_ids} GROUP BY endpoint_id"
)
_FOLD_HOURS = Statement(
    "INSERT INTO endpoint_hours (workspace_id, endpoint_id, hour, succeeded_count, failed_count, last_success_at)"
    " SELECT workspace_id, endpoint_id, 0, SUM(succeeded_count), SUM(failed_count), MAX(last_success_at)"
    " FROM endpoint_hours WHERE workspace_id = :workspace_id AND hour > 0 AND hour < :before_hour"
    f" GROUP BY workspace_id, endpoint_id {_ADD}"
)
_PRUNE_HOURS = Statement(
    "DELETE FROM endpoint_hours WHERE workspace_id = :workspace_id AND hour > 0 AND hour < :before_hour"
)
_DISABLED = Statement(
    f"SELECT {_ENDPOINT} FROM endpoints WHERE workspace_id = :workspace_id AND state = 'disabled'"
    " ORDER BY created_at DESC, endpoint_id DESC LIMIT :limit"
)


async def insert_endpoint(tx: Tx, row: EndpointRow) -> bool:
    """False when the URL has its endpoint."""
    return bool(await tx.run(_INSERT, **values_of(row)))


async def disabled_endpoints(tx: Tx, workspace_id: str, *, limit: int) -> list[EndpointRow]:
    """Endpoints that get nothing until somebody looks after them."""
    rows = await tx.all(_DISABLED, workspace_id=workspace_id, limit=limit)
    return [EndpointRow(*row) for row in rows]


async def endpoint_by_hash(tx: Tx, workspace_id: str, url_hash: str) -> str | None:
    row = await tx.first(_BY_HASH, workspace_id=workspace_id, url_hash=url_hash)
    return row[0] if row else None


async def get_endpoint(tx: Tx, workspace_id: str, endpoint_id: str) -> EndpointRow | None:
    row = await tx.first(_GET, workspace_id=workspace_id, endpoint_id=endpoint_id)
    return EndpointRow(*row) if row else None


async def endpoints_named(tx: Tx, workspace_id: str, endpoint_ids: Iterable[str]) -> dict[str, EndpointRow]:
    """By id, those that there are."""
    wanted = json.dumps(list(endpoint_ids))
    rows = await tx.all(_NAMED, workspace_id=workspace_id, endpoint_ids=wanted)
    return {row.endpoint_id: row for row in (EndpointRow(*each) for each in rows)}


async def lock_endpoint(tx: Tx, workspace_id: str, endpoint_id: str) -> EndpointRow | None:
    row = await tx.first(_LOCK, workspace_id=workspace_id, endpoint_id=endpoint_id)
    return EndpointRow(*row) if row else None


async def page_of_endpoints(tx: Tx, workspace_id: str, page: PageRequest) -> list[EndpointRow]:
    statement = listing(EndpointRow, "endpoints", ("created_at", "endpoint_id"))
    rows = await tx.all(statement, workspace_id=workspace_id, **page_values(page))
    return [EndpointRow(*row) for row in rows]


async def endpoints_due(tx: Tx, workspace_id: str) -> list[tuple[SlotsRow, int]]:
    """The active endpoints with something due, and how many attempts are under way to each, in every process."""
    rows = await tx.all(_DUE, workspace_id=workspace_id)
    return [(SlotsRow(*row[:-1]), row[-1]) for row in rows]


async def lock_slots(tx: Tx, workspace_id: str, endpoint_ids: Sequence[str]) -> list[SlotsRow]:
    """Of these endpoints those that no other worker is claiming for at this moment."""
    wanted = json.dumps(list(endpoint_ids))
    rows = await tx.all(_LOCK_SLOTS, workspace_id=workspace_id, endpoint_ids=wanted)
    return [SlotsRow(*row) for row in rows]


async def lock_health(tx: Tx, workspace_id: str, endpoint_ids: Sequence[str]) -> list[HealthRow]:
    """In the order of their ids, so that two workers never wait for each other."""
    wanted = json.dumps(list(endpoint_ids))
    rows = await tx.all(_LOCK_HEALTH, workspace_id=workspace_id, endpoint_ids=wanted)
    return [HealthRow(*row) for row in rows]


async def leases(tx: Tx, workspace_id: str, endpoint_ids: Sequence[str]) -> list[LeasesRow]:
    """How many attempts are under way to each, in every process; those that have none may be left out."""
    wanted = json.dumps(list(endpoint_ids))
    rows = await tx.all(_LEASES, workspace_id=workspace_id, endpoint_ids=wanted)
    return [LeasesRow(*row) for row in rows]


async def backlogs(tx: Tx, workspace_id: str, endpoint_ids: Sequence[str]) -> dict[str, int]:
    """How many deliveries wait for each."""
    wanted = json.dumps(list(endpoint_ids))
    rows = await tx.all(_BACKLOG, workspace_id=workspace_id, endpoint_ids=wanted)
    return {row[0]: row[1] for row in rows}


async def update_endpoint(tx: Tx, row: EndpointRow) -> None:
    await tx.run(_UPDATE, **values_of(row))


async def update_health(tx: Tx, rows: Sequence[HealthRow]) -> None:
    await tx.change_many(_UPDATE_HEALTH, rows)


async def update_buckets(tx: Tx, rows: Sequence[BucketRow]) -> None:
    await tx.change_many(_UPDATE_BUCKET, rows)


async def add_to_hours(tx: Tx, rows: Sequence[HourRow]) -> None:
    """Count on. In the order of their endpoints, so that two workers never wait for each other."""
    await tx.change_many(_ADD_TO_HOURS, rows)


async def tallies(tx: Tx, workspace_id: str, endpoint_ids: Sequence[str]) -> dict[str, Tally]:
    """By endpoint; those that never had an attempt are left out."""
    rows = await tx.all(
        _TALLIES,
        workspace_id=workspace_id,
        endpoint_ids=json.dumps(list(endpoint_ids)),
        since_hour=tx.now_ms // HOUR_MS - 23,
    )
    # PostgreSQL sums to decimals.
    return {row[0]: Tally(int(row[1]), int(row[2]), int(row[3]), int(row[4]), row[5]) for row in rows}


async def fold_hours(tx: Tx, workspace_id: str, before_ms: int) -> None:
    """Keep what is older than `before_ms` as one sum."""
    before_hour = before_ms // HOUR_MS
    await tx.run(_FOLD_HOURS, workspace_id=workspace_id, before_hour=before_hour)
    await tx.run(_PRUNE_HOURS, workspace_id=workspace_id, before_hour=before_hour)
