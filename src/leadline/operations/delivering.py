"""What the worker writes: claims, results, and what they say of the endpoint (contract § 8)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from leadline.domain.deliveries import DeliveryState
from leadline.domain.endpoints import (
    GONE,
    Bucket,
    EndpointState,
    Health,
    after_attempts,
    is_hopeless,
    room,
)
from leadline.domain.schedule import next_wait_ms
from leadline.operations.events import EventType, NewEvent, emit
from leadline.operations.workspaces import signing_secrets
from leadline.store import deliveries as store
from leadline.store import endpoints
from leadline.store.database import Signal, Tx
from leadline.store.deliveries import AttemptRow, ClaimedRow, DeliveryRow
from leadline.store.endpoints import EndpointRow


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """How much to claim, and how: one lease for all of it. `attempts_max` is the length of the schedule."""

    lease_id: str
    lease_ms: int
    attempts_max: int
    limit: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What was claimed in one workspace. `more`: something due was left, for want of room."""

    deliveries: Sequence[ClaimedRow]
    timeouts_seconds: dict[str, int | None]
    secrets: Sequence[str]
    takeovers: int
    more: bool


@dataclass(frozen=True, slots=True)
class Attempted:
    """What became of one attempt, for the record. Times in Unix ms, durations in ms."""

    workspace_id: str
    delivery_id: str
    endpoint_id: str
    lease_id: str
    number: int
    started_at: int
    duration_ms: int
    remote_address: str | None
    status: int | None
    response_headers: Sequence[tuple[str, str]]
    response_body: str
    error: str | None
    error_detail: str | None
    timings: str
    retry_after_seconds: float | None
    jitter: float

    @property
    def succeeded(self) -> bool:
        return self.error is None

    @property
    def failure(self) -> str | None:
        """In a few words, for the endpoint's page."""
        return f"{self.error} {self.status}" if self.error == "http_status" else self.error


async def claim_deliveries(tx: Tx, workspace_id: str, request: ClaimRequest) -> Claim:
    """Take what is due in one workspace, as much as each endpoint may have at once."""
    rows = await endpoints.lock_due_endpoints(tx, workspace_id)
    if not rows:
        return Claim((), {}, (), 0, more=False)
    now_ms = await endpoints.database_now_ms(tx)
    wanted = [row.endpoint_id for row in rows]
    busy = await endpoints.in_flight(tx, workspace_id, wanted)
    orphaned = await store.count_orphaned(tx, workspace_id, wanted)
    claimed: list[ClaimedRow] = []
    more = False
    for row in rows:
        free = min(_room(row, busy.get(row.endpoint_id, 0), now_ms), request.limit - len(claimed))
        if free <= 0:
            more = True
            continue
        taken = await _claim_from(tx, row, request, free, now_ms)
        more |= len(taken) == free
        claimed += await _without_spent(tx, workspace_id, taken, request)
    return Claim(
        deliveries=claimed,
        timeouts_seconds={row.endpoint_id: row.timeout_seconds for row in rows},
        secrets=await signing_secrets(tx, workspace_id) if claimed else (),
        takeovers=orphaned - await store.count_orphaned(tx, workspace_id, wanted) if orphaned else 0,
        more=more,
    )


def _room(row: EndpointRow, in_flight: int, now_ms: int) -> int:
    return room(
        state=EndpointState(row.state),
        health=_health(row),
        in_flight=in_flight,
        max_concurrency=row.max_concurrency,
        bucket=_bucket(row),
        now_ms=now_ms,
    )


def _health(row: EndpointRow) -> Health:
    return Health(row.failures_in_a_row, row.failing_since, row.probe_at)


def _bucket(row: EndpointRow) -> Bucket | None:
    if row.rate_limit_per_second is None:
        return None
    return Bucket(row.rate_limit_per_second, row.bucket_tokens, row.bucket_at)


async def _claim_from(
    tx: Tx, row: EndpointRow, request: ClaimRequest, limit: int, now_ms: int
) -> list[ClaimedRow]:
    taken = await store.claim_deliveries(
        tx,
        row.workspace_id,
        row.endpoint_id,
        lease_id=request.lease_id,
        lease_ms=request.lease_ms,
        limit=limit,
    )
    bucket = _bucket(row)
    if bucket is not None and taken:
        left = bucket.filled(now_ms) - len(taken)
        await endpoints.update_endpoint(
            tx, msgspec.structs.replace(row, bucket_tokens=left, bucket_at=now_ms)
        )
    return taken


async def _without_spent(
    tx: Tx, workspace_id: str, taken: Sequence[ClaimedRow], request: ClaimRequest
) -> list[ClaimedRow]:
    """End those whose last attempt was begun and never recorded: they have killed their workers."""
    for row in taken:
        if row.schedule_step > request.attempts_max:
            await store.exhaust_delivery(tx, workspace_id, row.delivery_id, request.lease_id)
            data = {"delivery_id": row.delivery_id, "state": "exhausted", "error": None, "status": None}
            await emit(tx, workspace_id, [NewEvent(EventType.DELIVERY_FAILED, data)])
    return [row for row in taken if row.schedule_step <= request.attempts_max]


async def record_attempts(
    tx: Tx, workspace_id: str, attempts: Sequence[Attempted], waits_seconds: Sequence[float]
) -> int | None:
    """Write down what became of attempts in one workspace, and what it says of their endpoints.

    Answers how long until the first of them is due again (ms), None when none is.
    """
    # In one order everywhere, so that two workers never wait for each other.
    ordered = sorted(attempts, key=lambda each: each.delivery_id)
    waits_ms = [await _record_attempt(tx, attempted, waits_seconds) for attempted in ordered]
    by_endpoint: dict[str, list[Attempted]] = {}
    for attempted in attempts:
        by_endpoint.setdefault(attempted.endpoint_id, []).append(attempted)
    for endpoint_id in sorted(by_endpoint):
        await _record_health(tx, workspace_id, endpoint_id, by_endpoint[endpoint_id])
    return min((wait_ms for wait_ms in waits_ms if wait_ms is not None), default=None)


async def _record_attempt(tx: Tx, attempted: Attempted, waits_seconds: Sequence[float]) -> int | None:
    """With a stale lease only the attempt itself is kept: somebody else answers for the delivery now."""
    row = await store.lock_delivery(tx, attempted.workspace_id, attempted.delivery_id)
    if row is None:
        return None  # its workspace was deleted meanwhile
    current = row.lease_id == attempted.lease_id
    gone = attempted.status == GONE and not attempted.succeeded
    wait_ms = None
    if current and not attempted.succeeded and not gone:
        wait_ms = next_wait_ms(
            waits_seconds,
            row.schedule_step,
            jitter=attempted.jitter,
            retry_after_seconds=attempted.retry_after_seconds,
        )
    await _insert_attempt(tx, attempted, row, wait_ms)
    if not current:
        return None
    if gone:
        await store.wait_delivery(tx, *_key(attempted), **_last(attempted))
    elif wait_ms is not None:
        await store.postpone_delivery(tx, *_key(attempted), wait_ms=wait_ms, **_last(attempted))
    else:
        state = DeliveryState.SUCCEEDED if attempted.succeeded else DeliveryState.EXHAUSTED
        await store.finish_delivery(tx, *_key(attempted), state=state.value, **_last(attempted))
    await _tell(tx, row, attempted, pending=gone or wait_ms is not None)
    return wait_ms


async def _record_health(tx: Tx, workspace_id: str, endpoint_id: str, attempts: Sequence[Attempted]) -> None:
    row = await endpoints.lock_endpoint(tx, workspace_id, endpoint_id)
    if row is None:
        return
    failures = [each for each in attempts if not each.succeeded]
    succeeded = len(attempts) - len(failures)
    # By the database's clock, as the probe that is put off is looked for by it.
    now_ms = await endpoints.database_now_ms(tx) if failures else tx.now_ms
    health = after_attempts(_health(row), succeeded=succeeded, failed=len(failures), now_ms=now_ms)
    changed = msgspec.structs.replace(
        row,
        failures_in_a_row=health.failures_in_a_row,
        failing_since=health.failing_since,
        probe_at=health.probe_at,
        succeeded_count=row.succeeded_count + succeeded,
        failed_count=row.failed_count + len(failures),
        last_success_at=tx.now_ms if succeeded else row.last_success_at,
        last_failure_at=tx.now_ms if failures else row.last_failure_at,
        last_failure=failures[-1].failure if failures else row.last_failure,
    )
    reason = _reason_to_disable(changed, health, failures, now_ms)
    if reason is not None:
        changed = msgspec.structs.replace(
            changed, state=EndpointState.DISABLED.value, state_reason=reason, updated_at=tx.now_ms
        )
        await _tell_disabled(tx, changed)
    await endpoints.update_endpoint(tx, changed)
    await endpoints.add_to_hour(tx, row, succeeded=succeeded, failed=len(failures))


def _reason_to_disable(
    row: EndpointRow, health: Health, failures: Sequence[Attempted], now_ms: int
) -> str | None:
    if row.state == EndpointState.DISABLED:
        return None
    if any(each.status == GONE for each in failures):
        return "The receiver answered 410 Gone."
    return "Nothing but failure for five days." if is_hopeless(health, now_ms) else None


async def _tell_disabled(tx: Tx, row: EndpointRow) -> None:
    data = {"endpoint_id": row.endpoint_id, "reason": row.state_reason}
    await emit(tx, row.workspace_id, [NewEvent(EventType.ENDPOINT_DISABLED, data)])


async def renew_leases(
    tx: Tx, workspace_id: str, delivery_ids: Sequence[str], lease_id: str, lease_ms: int
) -> None:
    """Hold on to deliveries whose results could not be written down yet."""
    await store.renew_leases(tx, workspace_id, delivery_ids, lease_id, lease_ms)


async def give_back(tx: Tx, workspace_id: str, delivery_id: str, lease_id: str) -> None:
    """Return one that was claimed and not begun."""
    await store.give_back_delivery(tx, workspace_id, delivery_id, lease_id)
    tx.signal(Signal.DELIVERIES, workspace_id)


async def release(tx: Tx, workspace_id: str, delivery_id: str, lease_id: str) -> None:
    """Return one whose attempt was cut off half-way: it may have arrived, so the attempt counts."""
    await store.release_delivery(tx, workspace_id, delivery_id, lease_id)
    tx.signal(Signal.DELIVERIES, workspace_id)


async def end_leases(tx: Tx) -> int:
    """Every lease is over: only for a database that no other worker has. How many there were."""
    return await store.end_leases(tx)


async def workspaces_due(tx: Tx) -> list[str]:
    """The workspaces that have something to be sent now."""
    return await store.workspaces_due(tx)


def _key(attempted: Attempted) -> tuple[str, str, str]:
    return attempted.workspace_id, attempted.delivery_id, attempted.lease_id


def _last(attempted: Attempted) -> dict[str, Any]:
    return {"last_error": attempted.error, "last_status": attempted.status}


async def _insert_attempt(tx: Tx, attempted: Attempted, row: DeliveryRow, wait_ms: int | None) -> None:
    erased = row.payload is None
    attempt = AttemptRow(
        workspace_id=attempted.workspace_id,
        delivery_id=attempted.delivery_id,
        number=attempted.number,
        started_at=attempted.started_at,
        duration_ms=attempted.duration_ms,
        remote_address=attempted.remote_address,
        status=attempted.status,
        # The person may have been erased while the answer was on its way.
        response_headers="[]" if erased else json.dumps(attempted.response_headers),
        response_body="" if erased else attempted.response_body,
        error=attempted.error,
        error_detail=attempted.error_detail,
        timings=attempted.timings,
        next_attempt_at=None if wait_ms is None else tx.now_ms + wait_ms,
    )
    await store.insert_attempt(tx, attempt)


async def _tell(tx: Tx, row: DeliveryRow, attempted: Attempted, *, pending: bool) -> None:
    event = EventType.DELIVERY_SUCCEEDED if attempted.succeeded else EventType.DELIVERY_FAILED
    data = {
        "delivery_id": row.delivery_id,
        "endpoint_id": row.endpoint_id,
        "outcome_id": row.outcome_id,
        "call_id": row.call_id,
        "state": "pending" if pending else ("succeeded" if attempted.succeeded else "exhausted"),
        "attempt": attempted.number,
        "status": attempted.status,
        "error": attempted.error,
        "duration_ms": attempted.duration_ms,
    }
    await emit(tx, row.workspace_id, [NewEvent(event, data, contact_id=row.contact_id)])
