"""Deliveries and their attempts. The row is the queue entry: its due time lives in it.

A claim moves the due time to the end of the lease and counts the attempt. A worker that dies therefore needs
nobody to clean up behind it: when the lease is over, the delivery is due again, and one that kills its worker
each time runs out of attempts.
"""

from __future__ import annotations

from typing import Any

from leadline.domain.paging import PageRequest
from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import Row, columns, insertion, listing, page_values, values_of


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
    delivery_id: str
    webhook_url: str
    payload: str | None
    attempt_count: int
    schedule_step: int
    contact_id: str | None


_DELIVERY = columns(DeliveryRow)
_NEW = tuple(name for name in DeliveryRow.__struct_fields__ if name != "due_at")
_INSERT = Statement(
    f"INSERT INTO deliveries ({', '.join(_NEW)}, due_at)"
    f" VALUES ({', '.join(f':{name}' for name in _NEW)}, {{now_ms}})"
)
_GET = Statement(
    f"SELECT {_DELIVERY} FROM deliveries WHERE workspace_id = :workspace_id AND delivery_id = :delivery_id"
)
_LOCK = Statement(
    f"SELECT {_DELIVERY} FROM deliveries"
    " WHERE workspace_id = :workspace_id AND delivery_id = :delivery_id {for_update}"
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
_CANCEL_OF_CONTACT = Statement(
    "UPDATE deliveries SET state = 'canceled', due_at = NULL, lease_id = NULL, finished_at = :now"
    " WHERE workspace_id = :workspace_id AND contact_id = :contact_id AND state = 'pending'"
)
_FORGET_CONTACT = Statement(
    "UPDATE deliveries SET payload = NULL, contact_id = NULL"
    " WHERE workspace_id = :workspace_id AND contact_id = :contact_id"
)
_FORGET_ANSWERS = Statement(
    "UPDATE attempts SET response_headers = '[]', response_body = '' WHERE workspace_id = :workspace_id"
    " AND delivery_id IN (SELECT delivery_id FROM deliveries"
    " WHERE workspace_id = :workspace_id AND contact_id = :contact_id)"
)

_WORKSPACES_DUE = Statement(
    "SELECT w.workspace_id FROM workspaces w WHERE EXISTS (SELECT 1 FROM deliveries d"
    " WHERE d.workspace_id = w.workspace_id AND d.state = 'pending' AND d.due_at <= {now_ms})"
)
_CLAIM = Statement(
    "UPDATE deliveries SET lease_id = :lease_id, due_at = {now_ms} + :lease_ms,"
    " attempt_count = attempt_count + 1, schedule_step = schedule_step + 1"
    " WHERE workspace_id = :workspace_id AND delivery_id IN (SELECT delivery_id FROM deliveries"
    " WHERE workspace_id = :workspace_id AND state = 'pending' AND due_at <= {now_ms}"
    " AND schedule_step < :attempts_max ORDER BY due_at, delivery_id LIMIT :limit {skip_locked})"
    f" RETURNING {columns(ClaimedRow)}"
)
_EXHAUST = Statement(
    "UPDATE deliveries SET state = 'exhausted', due_at = NULL, lease_id = NULL, finished_at = :now"
    " WHERE workspace_id = :workspace_id AND delivery_id IN (SELECT delivery_id FROM deliveries"
    " WHERE workspace_id = :workspace_id AND state = 'pending' AND due_at <= {now_ms}"
    " AND schedule_step >= :attempts_max ORDER BY due_at LIMIT :limit {skip_locked}) RETURNING delivery_id"
)
# With the lease it was claimed under, or not at all: a stale worker writes nothing.
_FINISH = Statement(
    "UPDATE deliveries SET state = :state, due_at = NULL, lease_id = NULL, last_error = :last_error,"
    " last_status = :last_status, finished_at = :now WHERE workspace_id = :workspace_id"
    " AND delivery_id = :delivery_id AND lease_id = :lease_id"
)
_POSTPONE = Statement(
    "UPDATE deliveries SET due_at = {now_ms} + :wait_ms, lease_id = NULL, last_error = :last_error,"
    " last_status = :last_status WHERE workspace_id = :workspace_id"
    " AND delivery_id = :delivery_id AND lease_id = :lease_id"
)
_GIVE_BACK = Statement(
    "UPDATE deliveries SET due_at = {now_ms}, lease_id = NULL, attempt_count = attempt_count - 1,"
    " schedule_step = schedule_step - 1 WHERE workspace_id = :workspace_id"
    " AND delivery_id = :delivery_id AND lease_id = :lease_id"
)
_END_LEASES = Statement(
    "UPDATE deliveries SET due_at = {now_ms}, lease_id = NULL WHERE state = 'pending' AND lease_id IS NOT NULL"
)
_NEXT_DUE = Statement(
    # One look-up a workspace: over a long backlog, a join would read all of it.
    "SELECT MIN((SELECT MIN(d.due_at) FROM deliveries d"
    " WHERE d.workspace_id = w.workspace_id AND d.state = 'pending')) FROM workspaces w"
)
_OLDEST_DUE = Statement("SELECT COUNT(*), MIN(due_at) FROM deliveries WHERE state = 'pending'")

_INSERT_ATTEMPT = insertion(
    "attempts", AttemptRow, tail="ON CONFLICT (workspace_id, delivery_id, number) DO NOTHING"
)
_ATTEMPTS = Statement(
    f"SELECT {columns(AttemptRow)} FROM attempts"
    " WHERE workspace_id = :workspace_id AND delivery_id = :delivery_id ORDER BY number"
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


async def insert_delivery(tx: Tx, row: DeliveryRow) -> None:
    """A delivery that is due at once, by the database's clock (the row's own `due_at` is not read)."""
    values = values_of(row)
    del values["due_at"]
    await tx.run(_INSERT, **values)


async def get_delivery(tx: Tx, workspace_id: str, delivery_id: str) -> DeliveryRow | None:
    row = await tx.first(_GET, workspace_id=workspace_id, delivery_id=delivery_id)
    return DeliveryRow(*row) if row else None


async def lock_delivery(tx: Tx, workspace_id: str, delivery_id: str) -> DeliveryRow | None:
    row = await tx.first(_LOCK, workspace_id=workspace_id, delivery_id=delivery_id)
    return DeliveryRow(*row) if row else None


async def attempts_of(tx: Tx, workspace_id: str, delivery_id: str) -> list[AttemptRow]:
    rows = await tx.all(_ATTEMPTS, workspace_id=workspace_id, delivery_id=delivery_id)
    return [AttemptRow(*row) for row in rows]


async def page_of_deliveries(
    tx: Tx, workspace_id: str, page: PageRequest, filters: dict[str, Any]
) -> list[DeliveryRow]:
    """`filters`: state, outcome_id, call_id, contact_id, endpoint_id, since, until (by creation)."""
    conditions = tuple(_CONDITIONS[name] for name in filters)
    statement = listing(DeliveryRow, "deliveries", ("created_at", "delivery_id"), conditions)
    rows = await tx.all(statement, workspace_id=workspace_id, **page_values(page), **filters)
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
    await tx.run(_CANCEL_OF_CONTACT, **values, now=tx.now_ms)
    await tx.run(_FORGET_ANSWERS, **values)
    await tx.run(_FORGET_CONTACT, **values)


async def workspaces_due(tx: Tx) -> list[str]:
    """The workspaces that have a delivery to be sent now."""
    return [row[0] for row in await tx.all(_WORKSPACES_DUE)]


async def claim_deliveries(
    tx: Tx, workspace_id: str, *, lease_id: str, lease_ms: int, attempts_max: int, limit: int
) -> list[ClaimedRow]:
    """Take what is due, for `lease_ms`. The attempt counts from here, whatever becomes of it."""
    rows = await tx.all(
        _CLAIM,
        workspace_id=workspace_id,
        lease_id=lease_id,
        lease_ms=lease_ms,
        attempts_max=attempts_max,
        limit=limit,
    )
    return [ClaimedRow(*row) for row in rows]


async def exhaust_deliveries(tx: Tx, workspace_id: str, *, attempts_max: int, limit: int) -> list[str]:
    """End those whose last attempt was begun and never recorded."""
    rows = await tx.all(
        _EXHAUST, workspace_id=workspace_id, attempts_max=attempts_max, limit=limit, now=tx.now_ms
    )
    return [row[0] for row in rows]


async def finish_delivery(
    tx: Tx,
    workspace_id: str,
    delivery_id: str,
    lease_id: str,
    *,
    state: str,
    last_error: str | None,
    last_status: int | None,
) -> bool:
    return bool(
        await tx.run(
            _FINISH,
            workspace_id=workspace_id,
            delivery_id=delivery_id,
            lease_id=lease_id,
            state=state,
            last_error=last_error,
            last_status=last_status,
            now=tx.now_ms,
        )
    )


async def postpone_delivery(
    tx: Tx,
    workspace_id: str,
    delivery_id: str,
    lease_id: str,
    *,
    wait_ms: int,
    last_error: str | None,
    last_status: int | None,
) -> bool:
    return bool(
        await tx.run(
            _POSTPONE,
            workspace_id=workspace_id,
            delivery_id=delivery_id,
            lease_id=lease_id,
            wait_ms=wait_ms,
            last_error=last_error,
            last_status=last_status,
        )
    )


async def give_back_delivery(tx: Tx, workspace_id: str, delivery_id: str, lease_id: str) -> None:
    """One that was claimed and not begun: as if it had not been claimed."""
    await tx.run(_GIVE_BACK, workspace_id=workspace_id, delivery_id=delivery_id, lease_id=lease_id)


async def end_leases(tx: Tx) -> int:
    """Every lease is over. Only for a database that no other worker has (SQLite, at start)."""
    return await tx.run(_END_LEASES)


async def next_due_ms(tx: Tx) -> int | None:
    """When the next pending delivery falls due (Unix ms, database's clock)."""
    row = await tx.first(_NEXT_DUE)
    return row[0] if row else None


async def backlog(tx: Tx) -> tuple[int, int | None]:
    """How many deliveries are pending, and when the first of them is or was due."""
    row = await tx.first(_OLDEST_DUE)
    assert row is not None
    return int(row[0]), row[1]


async def insert_attempt(tx: Tx, row: AttemptRow) -> None:
    await tx.run(_INSERT_ATTEMPT, **values_of(row))
