"""Deliveries and their attempts. The row is the queue entry: its due time lives in it.

A claim moves the due time to the end of the lease and counts the attempt. A worker that dies therefore needs
nobody to clean up behind it: when the lease is over, the delivery is due again, and one that kills its worker
each time runs out of attempts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from leadline.domain.paging import PageRequest
from leadline.store.database import Tx
from leadline.store.endpoints import FIRST_DUE, PROBE_DUE
from leadline.store.engines import ApartStatement, Engine, Statement
from leadline.store.rows import Row, columns, insertion_of_many, listing, page_values, update_of_many


class DeliveryRow(Row, frozen=True, gc=False):
    workspace_id: str
    delivery_id: str
    endpoint_id: str
    applied_id: str | None
    outcome_id: str | None
    call_id: str | None
    contact_id: str | None
    webhook_url: str
    payload: str | None
    state: str
    due_at: int | None
    attempt_count: int
    schedule_step: int
    lease_id: str | None
    last_error: str | None
    last_status: int | None
    created_at: int
    finished_at: int | None


class AttemptRow(Row, frozen=True, gc=False):
    workspace_id: str
    delivery_id: str
    number: int
    started_at: int
    duration_ms: int
    remote_address: str | None
    status: int | None
    response_headers: str
    response_body: str
    error: str | None
    error_detail: str | None
    timings: str
    next_attempt_at: int | None


class ClaimedRow(Row, frozen=True, gc=False):
    """A delivery to be sent; its counts include the attempt that it is claimed for."""

    delivery_id: str
    endpoint_id: str
    webhook_url: str
    payload: str | None
    attempt_count: int
    schedule_step: int
    created_at: int
    lease_id: str | None
    """Of the worker that it is taken over from, None when it was free."""


class ExpiredRow(Row, frozen=True, gc=False):
    """A delivery whose lease has run out."""

    delivery_id: str
    endpoint_id: str
    lease_id: str


class AttemptedRow(Row, frozen=True, gc=False):
    """A delivery whose attempt is over. `now` is the database's clock (Unix ms)."""

    delivery_id: str
    outcome_id: str | None
    call_id: str | None
    contact_id: str | None
    schedule_step: int
    lease_id: str | None
    has_payload: int
    endpoint_is_failing: int
    now: int


class ResultRow(Row, frozen=True, gc=False):
    """What an attempt makes of a delivery, under the lease that it was claimed with."""

    workspace_id: str
    delivery_id: str
    lease_id: str
    state: str
    due_at: int | None
    schedule_step: int
    last_error: str | None
    last_status: int | None
    finished_at: int | None


class Room(Row, frozen=True, gc=False):
    """How many deliveries an endpoint may get."""

    endpoint_id: str
    room: int


_encode = msgspec.json.Encoder().encode
_DELIVERY = columns(DeliveryRow)
_INSERT = insertion_of_many("deliveries", DeliveryRow, expressions={"due_at": "{now_ms}"})
_GET = Statement(
    f"SELECT {_DELIVERY} FROM deliveries WHERE workspace_id = :workspace_id AND delivery_id = :delivery_id"
)
_LOCK = Statement(
    f"SELECT {_DELIVERY} FROM deliveries"
    " WHERE workspace_id = :workspace_id AND delivery_id = :delivery_id {for_update}"
)
_OF_OUTCOME = Statement(
    "SELECT 1 FROM deliveries WHERE workspace_id = :workspace_id AND outcome_id = :outcome_id LIMIT 1"
)
_RETRY = Statement(
    "UPDATE deliveries SET state = 'pending', due_at = {now_ms}, schedule_step = 0, lease_id = NULL,"
    " finished_at = NULL WHERE workspace_id = :workspace_id AND delivery_id = :delivery_id"
)
# The attempt on its way is the first of the new schedule.
_RESTART_SCHEDULE = Statement(
    "UPDATE deliveries SET schedule_step = 1 WHERE workspace_id = :workspace_id"
    " AND delivery_id = :delivery_id AND lease_id IS NOT NULL AND attempt_count > 0"
)
_CANCEL = Statement(
    "UPDATE deliveries SET state = 'canceled', due_at = NULL, lease_id = NULL, finished_at = :now"
    " WHERE workspace_id = :workspace_id AND delivery_id = :delivery_id AND state = 'pending'"
)
# The attempt was never made: it is taken off the count again.
_CANCEL_CLAIMED = Statement(
    "UPDATE deliveries SET state = 'canceled', due_at = NULL, lease_id = NULL, finished_at = :now,"
    " attempt_count = attempt_count - 1, schedule_step = schedule_step - 1 WHERE workspace_id = :workspace_id"
    " AND delivery_id = :delivery_id AND lease_id = :lease_id"
)
# In the order of `_LOCK_ATTEMPTED`; without the CAST, SQLite would read all of the workspace to have it from an index.
_LOCK_OF_CONTACT = Statement(
    "SELECT delivery_id FROM deliveries WHERE workspace_id = :workspace_id AND contact_id = :contact_id"
    " ORDER BY CAST(delivery_id AS {id}) {for_update}"
)
# In one statement: what is retried between two would be pending, with nothing to send. Only what is pending has a
# due time or a lease, and it alone has not finished (CHECKs due, lease and finished).
_FORGET_CONTACT = Statement(
    "UPDATE deliveries SET payload = NULL, contact_id = NULL, due_at = NULL, lease_id = NULL,"
    " state = CASE WHEN state = 'pending' THEN 'canceled' ELSE state END,"
    " finished_at = COALESCE(finished_at, :now)"
    " WHERE workspace_id = :workspace_id AND contact_id = :contact_id"
)
_FORGET_ANSWERS = Statement(
    "UPDATE attempts SET response_headers = '[]', response_body = '' WHERE workspace_id = :workspace_id"
    " AND delivery_id IN (SELECT delivery_id FROM deliveries"
    " WHERE workspace_id = :workspace_id AND contact_id = :contact_id)"
)

_WORKSPACES_DUE = Statement(
    "SELECT w.workspace_id FROM workspaces w WHERE EXISTS (SELECT 1 FROM endpoints e"
    " WHERE e.workspace_id = w.workspace_id AND e.state = 'active'"
    f" AND {PROBE_DUE} AND {FIRST_DUE} <= {{now_ms}})"
)
_CLAIMABLE = columns(ClaimedRow).replace(
    "attempt_count, schedule_step", "attempt_count + 1, schedule_step + 1"
)
_DUE = ApartStatement(
    sqlite=f"SELECT {_CLAIMABLE} FROM deliveries WHERE workspace_id = :workspace_id"
    " AND endpoint_id = json_extract(:rooms, '$[0].endpoint_id') AND state = 'pending' AND due_at <= :now"
    " ORDER BY due_at, delivery_id LIMIT json_extract(:rooms, '$[0].room')",
    postgresql="SELECT due.* FROM json_to_recordset(CAST(:rooms AS json)) AS r (endpoint_id uuid, room bigint)"
    f" CROSS JOIN LATERAL (SELECT {_CLAIMABLE} FROM deliveries WHERE workspace_id = :workspace_id"
    " AND endpoint_id = r.endpoint_id AND state = 'pending' AND due_at <= :now"
    " ORDER BY due_at, delivery_id LIMIT r.room {skip_locked}) due",
)
_LEASE = Statement(
    "UPDATE deliveries SET lease_id = :lease_id, due_at = :until, attempt_count = attempt_count + 1,"
    " schedule_step = schedule_step + 1 WHERE workspace_id = :workspace_id AND delivery_id {in_ids:delivery_ids}"
)
# Never waited for: who claims holds endpoints, which those who record deliveries come to after them.
_LOCK_EXPIRED = Statement(
    f"SELECT {columns(ExpiredRow)} FROM deliveries WHERE workspace_id = :workspace_id"
    " AND endpoint_id {in_ids:endpoint_ids} AND lease_id IS NOT NULL AND due_at <= {now_ms} {skip_locked}"
)
_EXHAUST = Statement(
    "UPDATE deliveries SET state = 'exhausted', due_at = NULL, lease_id = NULL, finished_at = :now"
    " WHERE workspace_id = :workspace_id AND delivery_id {in_ids:delivery_ids}"
)
_LOCK_MANY = Statement(
    "SELECT delivery_id FROM deliveries WHERE workspace_id = :workspace_id"
    " AND delivery_id {in_ids:delivery_ids} ORDER BY delivery_id {for_update}"
)
_RENEW = Statement(
    "UPDATE deliveries SET due_at = {now_ms} + :lease_ms WHERE workspace_id = :workspace_id"
    " AND delivery_id {in_ids:delivery_ids} AND lease_id = :lease_id"
)
# The endpoint is asked for delivery by delivery: joined, PostgreSQL may go through all that each endpoint ever had.
_LOCK_ATTEMPTED = Statement(
    "SELECT delivery_id, outcome_id, call_id, contact_id, schedule_step, lease_id,"
    " CASE WHEN payload IS NULL THEN 0 ELSE 1 END, (SELECT CASE WHEN e.failures_in_a_row > 0 THEN 1 ELSE 0 END"
    " FROM endpoints e WHERE e.workspace_id = deliveries.workspace_id AND e.endpoint_id = deliveries.endpoint_id),"
    " {now_ms} FROM deliveries WHERE workspace_id = :workspace_id AND delivery_id {in_ids:delivery_ids}"
    " ORDER BY delivery_id {for_update}"
)
# With the lease it was claimed under, or not at all: a stale worker writes nothing.
_RECORD = update_of_many(
    "deliveries",
    "state = :state, due_at = :due_at, lease_id = NULL, schedule_step = :schedule_step,"
    " last_error = :last_error, last_status = :last_status, finished_at = :finished_at",
    ("delivery_id",),
    "deliveries.lease_id = :lease_id",
)
_RELEASE = Statement(
    "UPDATE deliveries SET due_at = {now_ms}, lease_id = NULL WHERE workspace_id = :workspace_id"
    " AND delivery_id = :delivery_id AND lease_id = :lease_id"
)
_END_LEASES = Statement(
    "UPDATE deliveries SET due_at = {now_ms}, lease_id = NULL WHERE state = 'pending' AND lease_id IS NOT NULL"
)
_BACKLOGS = Statement(
    "SELECT workspace_id, COUNT(*), MIN(due_at) FROM deliveries WHERE state = 'pending' GROUP BY workspace_id"
)
_PROMISED = Statement(
    "SELECT a.applied_id, a.delivery_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM deliveries d"
    " WHERE d.workspace_id = a.workspace_id AND d.delivery_id = a.delivery_id)"
    " FROM applied_outcomes a WHERE a.workspace_id = :workspace_id AND a.applied_id > :after"
    " ORDER BY a.applied_id LIMIT :limit"
)
_KEPT_TOO_LONG = Statement(
    "SELECT delivery_id FROM deliveries WHERE workspace_id = :workspace_id AND payload IS NOT NULL"
    " AND finished_at IS NOT NULL AND finished_at <= :kept_since ORDER BY finished_at LIMIT :limit"
)
_DELETE_ATTEMPTS = Statement(
    "DELETE FROM attempts WHERE workspace_id = :workspace_id AND delivery_id {in_ids:delivery_ids}"
)
_DROP_PAYLOADS = Statement(
    "UPDATE deliveries SET payload = NULL WHERE workspace_id = :workspace_id"
    # CHECK finished makes this the same as a state other than pending, and SQLite then goes by the key.
    " AND delivery_id {in_ids:delivery_ids} AND finished_at IS NOT NULL"
)

_INSERT_ATTEMPTS = insertion_of_many(
    "attempts", AttemptRow, tail="ON CONFLICT (workspace_id, delivery_id, number) DO NOTHING"
)
_ATTEMPTS = Statement(
    f"SELECT {columns(AttemptRow)} FROM attempts"
    " WHERE workspace_id = :workspace_id AND delivery_id = :delivery_id ORDER BY number"
)

_NUMBERS_OF_ATTEMPTS = Statement(
    "SELECT delivery_id, number FROM attempts"
    " WHERE workspace_id = :workspace_id AND delivery_id {in_ids:delivery_ids}"
)

_CONDITIONS = {
    "state": "state = :state",
    "outcome_id": "outcome_id = :outcome_id",
    "call_id": "call_id = :call_id",
    "contact_id": "contact_id = :contact_id",
    "endpoint_id": "endpoint_id = :endpoint_id",
    "since": "created_at >= :since",
    "until": "created_at < :until",
}


# The index for a filter, the most telling first.
_INDEXES = (
    ("call_id", "ix_deliveries_call_id"),
    ("contact_id", "ix_deliveries_contact_id_created_at"),
    ("state", "ix_deliveries_state_created_at_delivery_id"),
    ("outcome_id", "ix_deliveries_outcome_id_created_at"),
    ("endpoint_id", "ix_deliveries_endpoint_id_created_at"),
)


def listing_of(filters: Mapping[str, Any]) -> Statement:
    """A page of the deliveries that meet these filters."""
    conditions = tuple(_CONDITIONS[name] for name in filters)
    return listing(DeliveryRow, "deliveries", ("created_at", "delivery_id"), conditions, _index_for(filters))


def _index_for(filters: Mapping[str, Any]) -> str:
    # Nearly all have succeeded: that tells less than anything else.
    wanted = {name for name, value in filters.items() if value != "succeeded"} or set(filters)
    return next((index for name, index in _INDEXES if name in wanted), "")


async def insert_deliveries(tx: Tx, rows: Sequence[DeliveryRow]) -> None:
    """Deliveries that are due at once, by the database's clock (the rows' own `due_at` is not read)."""
    await tx.change_many(_INSERT, rows)


async def get_delivery(tx: Tx, workspace_id: str, delivery_id: str) -> DeliveryRow | None:
    row = await tx.first(_GET, workspace_id=workspace_id, delivery_id=delivery_id)
    return DeliveryRow(*row) if row else None


async def lock_delivery(tx: Tx, workspace_id: str, delivery_id: str) -> DeliveryRow | None:
    row = await tx.first(_LOCK, workspace_id=workspace_id, delivery_id=delivery_id)
    return DeliveryRow(*row) if row else None


async def has_delivery_of(tx: Tx, workspace_id: str, outcome_id: str) -> bool:
    """Whether an outcome, perhaps deleted since, ever made a delivery."""
    return await tx.first(_OF_OUTCOME, workspace_id=workspace_id, outcome_id=outcome_id) is not None


async def attempts_of(tx: Tx, workspace_id: str, delivery_id: str) -> list[AttemptRow]:
    rows = await tx.all(_ATTEMPTS, workspace_id=workspace_id, delivery_id=delivery_id)
    return [AttemptRow(*row) for row in rows]


async def page_of_deliveries(
    tx: Tx, workspace_id: str, page: PageRequest, filters: dict[str, Any]
) -> list[DeliveryRow]:
    """`filters`: state, outcome_id, call_id, contact_id, endpoint_id, since, until (by creation)."""
    rows = await tx.all(listing_of(filters), workspace_id=workspace_id, **page_values(page), **filters)
    return [DeliveryRow(*row) for row in rows]


async def retry_delivery(tx: Tx, workspace_id: str, delivery_id: str) -> None:
    await tx.run(_RETRY, workspace_id=workspace_id, delivery_id=delivery_id)


async def restart_schedule(tx: Tx, workspace_id: str, delivery_id: str) -> None:
    """The full schedule again for one whose attempt is under way."""
    await tx.run(_RESTART_SCHEDULE, workspace_id=workspace_id, delivery_id=delivery_id)


async def cancel_delivery(tx: Tx, workspace_id: str, delivery_id: str) -> bool:
    return bool(await tx.run(_CANCEL, workspace_id=workspace_id, delivery_id=delivery_id, now=tx.now_ms))


async def forget_contact_of_deliveries(tx: Tx, workspace_id: str, contact_id: str) -> None:
    """Cancel what is still pending to be sent about a person, and drop what was stored."""
    values = {"workspace_id": workspace_id, "contact_id": contact_id}
    # First: whoever retries one of them, or writes down an answer, has done so or sees that nothing is kept.
    await tx.all(_LOCK_OF_CONTACT, **values)
    await tx.run(_FORGET_ANSWERS, **values)
    await tx.run(_FORGET_CONTACT, **values, now=tx.now_ms)


async def workspaces_due(tx: Tx) -> list[str]:
    """The workspaces that have a delivery to be sent now."""
    return [row[0] for row in await tx.all(_WORKSPACES_DUE)]


async def due_deliveries(tx: Tx, workspace_id: str, rooms: Sequence[Room], now: int) -> list[ClaimedRow]:
    """What has been due longest to each endpoint, as much as there is room for, held until the commit.

    What another worker holds is left out.
    """
    at_once = [rooms] if tx.engine is Engine.POSTGRESQL else [[room] for room in rooms]
    found: list[ClaimedRow] = []
    for some in at_once:
        wanted = _encode(some).decode()
        rows = await tx.all(_DUE, workspace_id=workspace_id, rooms=wanted, now=now)
        found += [ClaimedRow(*row) for row in rows]
    return found


async def lease_deliveries(
    tx: Tx, workspace_id: str, delivery_ids: Sequence[str], *, lease_id: str, until: int
) -> None:
    """Ours until then (Unix ms of the database's clock). The attempt counts from here, whatever becomes of it."""
    wanted = json.dumps(list(delivery_ids))
    await tx.run(_LEASE, workspace_id=workspace_id, delivery_ids=wanted, lease_id=lease_id, until=until)


async def lock_expired(tx: Tx, workspace_id: str, endpoint_ids: Sequence[str]) -> list[ExpiredRow]:
    """What was leased to these endpoints for too long, except what somebody else holds at this moment."""
    wanted = json.dumps(list(endpoint_ids))
    rows = await tx.all(_LOCK_EXPIRED, workspace_id=workspace_id, endpoint_ids=wanted)
    return [ExpiredRow(*row) for row in rows]


async def exhaust_deliveries(tx: Tx, workspace_id: str, delivery_ids: Sequence[str]) -> None:
    """End those whose last attempt was begun and never recorded."""
    wanted = json.dumps(list(delivery_ids))
    await tx.run(_EXHAUST, workspace_id=workspace_id, delivery_ids=wanted, now=tx.now_ms)


async def lock_deliveries(tx: Tx, workspace_id: str, delivery_ids: Sequence[str]) -> None:
    """In the order of their ids, as `lock_attempted`, so that two workers never wait for each other."""
    await tx.all(_LOCK_MANY, workspace_id=workspace_id, delivery_ids=json.dumps(list(delivery_ids)))


async def renew_leases(
    tx: Tx, workspace_id: str, delivery_ids: Sequence[str], lease_id: str, lease_ms: int
) -> None:
    await tx.run(
        _RENEW,
        workspace_id=workspace_id,
        delivery_ids=json.dumps(list(delivery_ids)),
        lease_id=lease_id,
        lease_ms=lease_ms,
    )


async def lock_attempted(tx: Tx, workspace_id: str, delivery_ids: Sequence[str]) -> list[AttemptedRow]:
    """In the order of their ids, so that two workers never wait for each other."""
    wanted = json.dumps(list(delivery_ids))
    rows = await tx.all(_LOCK_ATTEMPTED, workspace_id=workspace_id, delivery_ids=wanted)
    return [AttemptedRow(*row) for row in rows]


async def record_results(tx: Tx, rows: Sequence[ResultRow]) -> None:
    await tx.change_many(_RECORD, rows)


async def release_delivery(tx: Tx, workspace_id: str, delivery_id: str, lease_id: str) -> None:
    """One whose attempt was cut off: due again at once, the attempt counts."""
    await tx.run(_RELEASE, workspace_id=workspace_id, delivery_id=delivery_id, lease_id=lease_id)


async def cancel_claimed(tx: Tx, workspace_id: str, delivery_id: str, lease_id: str) -> None:
    """One that was claimed, and whose attempt is not to be made."""
    values = {"workspace_id": workspace_id, "delivery_id": delivery_id, "lease_id": lease_id}
    await tx.run(_CANCEL_CLAIMED, **values, now=tx.now_ms)


async def end_leases(tx: Tx) -> int:
    """Every lease is over. Only for a database that no other worker has (SQLite, at start)."""
    return await tx.run(_END_LEASES)


async def backlogs(tx: Tx) -> list[tuple[str, int, int]]:
    """(workspace_id, pending deliveries, when the first of them is or was due) of those that have any."""
    return [(row[0], row[1], row[2]) for row in await tx.all(_BACKLOGS)]


async def promised(tx: Tx, workspace_id: str, after: str, *, limit: int) -> list[tuple[str, bool]]:
    """(applied_id, whether it promised a delivery that is not there) of the next outcomes applied, by their ids."""
    rows = await tx.all(_PROMISED, workspace_id=workspace_id, after=after, limit=limit)
    return [(row[0], bool(row[1])) for row in rows]


async def prune_deliveries(tx: Tx, workspace_id: str, kept_since: int, *, limit: int) -> int:
    """Drop payloads and attempts of deliveries that ended at `kept_since` or before; how many deliveries."""
    rows = await tx.all(_KEPT_TOO_LONG, workspace_id=workspace_id, kept_since=kept_since, limit=limit)
    if rows:
        delivery_ids = json.dumps([row[0] for row in rows])
        await tx.run(_DELETE_ATTEMPTS, workspace_id=workspace_id, delivery_ids=delivery_ids)
        await tx.run(_DROP_PAYLOADS, workspace_id=workspace_id, delivery_ids=delivery_ids)
    return len(rows)


async def numbers_of_attempts(
    tx: Tx, workspace_id: str, delivery_ids: Sequence[str]
) -> frozenset[tuple[str, int]]:
    """(delivery_id, number) of every attempt on record at these deliveries."""
    wanted = json.dumps(list(delivery_ids))
    rows = await tx.all(_NUMBERS_OF_ATTEMPTS, workspace_id=workspace_id, delivery_ids=wanted)
    return frozenset((row[0], row[1]) for row in rows)


async def insert_attempts(tx: Tx, rows: Sequence[AttemptRow]) -> None:
    """One that is there already stays as it is: it is recorded again after an answer that was lost."""
    await tx.change_many(_INSERT_ATTEMPTS, rows)
