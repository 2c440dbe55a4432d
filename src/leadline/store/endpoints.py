"""Endpoints: one webhook URL of a workspace, with its limits and its health.

Health is kept in the endpoint's own row and in one row an hour, so that it never has to be counted from history.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from leadline.domain.paging import PageRequest
from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import Row, columns, insertion, listing, page_values, values_of

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
    succeeded_count: int
    failed_count: int
    last_success_at: int | None
    last_failure_at: int | None
    last_failure: str | None
    created_at: int
    updated_at: int


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
    " WHERE workspace_id = :workspace_id AND endpoint_id IN {ids:endpoint_ids}"
)
_NOW = Statement("SELECT {now_ms}")
# Held until the commit and never waited for: two workers do not count the same endpoint's slots at once.
_LOCK_DUE = Statement(
    f"SELECT {columns(EndpointRow, 'e')} FROM endpoints e WHERE e.workspace_id = :workspace_id"
    " AND e.state = 'active' AND (e.probe_at IS NULL OR e.probe_at <= {now_ms})"
    " AND EXISTS (SELECT 1 FROM deliveries d WHERE d.workspace_id = e.workspace_id"
    " AND d.endpoint_id = e.endpoint_id AND d.state = 'pending' AND d.due_at <= {now_ms})"
    " ORDER BY e.endpoint_id {skip_locked}"
)
_IN_FLIGHT = Statement(
    "SELECT endpoint_id, COUNT(*) FROM deliveries WHERE workspace_id = :workspace_id"
    " AND endpoint_id IN {ids:endpoint_ids} AND lease_id IS NOT NULL AND due_at > {now_ms} GROUP BY endpoint_id"
)
_BACKLOG = Statement(
    "SELECT endpoint_id, COUNT(*) FROM deliveries WHERE workspace_id = :workspace_id"
    " AND endpoint_id IN {ids:endpoint_ids} AND state = 'pending' GROUP BY endpoint_id"
)
_UPDATE = Statement(
    "UPDATE endpoints SET state = :state, state_reason = :state_reason, max_concurrency = :max_concurrency,"
    " rate_limit_per_second = :rate_limit_per_second, timeout_seconds = :timeout_seconds,"
    " failures_in_a_row = :failures_in_a_row, probe_at = :probe_at, failing_since = :failing_since,"
    " bucket_tokens = :bucket_tokens, bucket_at = :bucket_at, succeeded_count = :succeeded_count,"
    " failed_count = :failed_count, last_success_at = :last_success_at, last_failure_at = :last_failure_at,"
    " last_failure = :last_failure, updated_at = :updated_at"
    " WHERE workspace_id = :workspace_id AND endpoint_id = :endpoint_id"
)
_ADD_TO_HOUR = Statement(
    "INSERT INTO endpoint_hours (workspace_id, endpoint_id, hour, succeeded_count, failed_count)"
    " VALUES (:workspace_id, :endpoint_id, :hour, :succeeded, :failed)"
    " ON CONFLICT (workspace_id, endpoint_id, hour) DO UPDATE SET"
    " succeeded_count = endpoint_hours.succeeded_count + excluded.succeeded_count,"
    " failed_count = endpoint_hours.failed_count + excluded.failed_count"
)
_HOURS = Statement(
    "SELECT endpoint_id, SUM(succeeded_count), SUM(failed_count) FROM endpoint_hours"
    " WHERE workspace_id = :workspace_id AND endpoint_id IN {ids:endpoint_ids} AND hour >= :since_hour"
    " GROUP BY endpoint_id"
)
_PRUNE_HOURS = Statement(
    "DELETE FROM endpoint_hours WHERE workspace_id = :workspace_id AND hour < :before_hour"
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


async def database_now_ms(tx: Tx) -> int:
    """The database's clock (Unix ms), by which things fall due."""
    row = await tx.first(_NOW)
    assert row is not None
    return int(row[0])


async def lock_due_endpoints(tx: Tx, workspace_id: str) -> list[EndpointRow]:
    """The active endpoints with something due that no other worker is claiming for at this moment."""
    return [EndpointRow(*row) for row in await tx.all(_LOCK_DUE, workspace_id=workspace_id)]


async def in_flight(tx: Tx, workspace_id: str, endpoint_ids: Sequence[str]) -> dict[str, int]:
    """How many attempts are under way to each, in every process."""
    wanted = json.dumps(list(endpoint_ids))
    rows = await tx.all(_IN_FLIGHT, workspace_id=workspace_id, endpoint_ids=wanted)
    return {row[0]: row[1] for row in rows}


async def backlogs(tx: Tx, workspace_id: str, endpoint_ids: Sequence[str]) -> dict[str, int]:
    """How many deliveries wait for each."""
    wanted = json.dumps(list(endpoint_ids))
    rows = await tx.all(_BACKLOG, workspace_id=workspace_id, endpoint_ids=wanted)
    return {row[0]: row[1] for row in rows}


async def update_endpoint(tx: Tx, row: EndpointRow) -> None:
    await tx.run(_UPDATE, **values_of(row))


async def add_to_hour(tx: Tx, row: EndpointRow, *, succeeded: int, failed: int) -> None:
    await tx.run(
        _ADD_TO_HOUR,
        workspace_id=row.workspace_id,
        endpoint_id=row.endpoint_id,
        hour=tx.now_ms // HOUR_MS,
        succeeded=succeeded,
        failed=failed,
    )


async def last_day(tx: Tx, workspace_id: str, endpoint_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Attempts that succeeded and failed in the last 24 hours, by endpoint."""
    rows = await tx.all(
        _HOURS,
        workspace_id=workspace_id,
        endpoint_ids=json.dumps(list(endpoint_ids)),
        since_hour=tx.now_ms // HOUR_MS - 23,
    )
    return {row[0]: (int(row[1]), int(row[2])) for row in rows}


async def prune_hours(tx: Tx, workspace_id: str, kept_since_ms: int) -> None:
    await tx.run(_PRUNE_HOURS, workspace_id=workspace_id, before_hour=kept_since_ms // HOUR_MS)
