"""Claim what is due in one workspace, as much as each endpoint may have at once (contract § 8).

First a look that writes nothing: most workspaces that somebody tells of have nothing to claim any more, or no
room for it. Then the claim itself, on the endpoints that seemed to have room, which counts again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from leadline.domain.endpoints import Bucket, EndpointState, Health, room, share_out
from leadline.operations.delivering import renew_leases
from leadline.operations.events import EventType, NewEvent, emit
from leadline.operations.workspaces import signing_secrets
from leadline.store import deliveries as store
from leadline.store import endpoints
from leadline.store.database import Tx
from leadline.store.deliveries import ClaimedRow, Room
from leadline.store.endpoints import BucketRow, SlotsRow


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a look at a workspace found.

    `endpoint_ids` have something due and room for it; `waiting` have something due and no room. `wait_ms`: until a rate
    limit lets the next one through, None when none is in the way.
    """

    endpoint_ids: Sequence[str] = ()
    waiting: AbstractSet[str] = frozenset()
    wait_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """How much to claim, and how: one lease for all of it. `attempts_max` is the length of the schedule.

    `held` are the deliveries that the worker itself has under way, each with its lease: they are not claimed again,
    though an outage or a step of the clock ended their leases. Without `takes_over`, what others have under way is left
    to them, though their leases have run out.
    """

    lease_id: str
    lease_ms: int
    attempts_max: int
    limit: int
    held: AbstractSet[tuple[str, str]] = frozenset()
    takes_over: bool = True


@dataclass(frozen=True, slots=True)
class Claim:
    """What was claimed in one workspace, and the `secrets` that sign it.

    `waiting` are endpoints that may have more due, for which there was no room.
    """

    deliveries: Sequence[ClaimedRow] = ()
    secrets: Sequence[str] = ()
    timeouts_seconds: Mapping[str, int | None] = field(default_factory=dict)
    takeovers: int = 0
    waiting: AbstractSet[str] = frozenset()


async def find_claimable(tx: Tx, workspace_id: str) -> Prospect:
    """Look, by reading alone, whether a claim would bring anything."""
    due = await endpoints.endpoints_due(tx, workspace_id)
    wanted = [row.endpoint_id for row, in_flight in due if _room(row, in_flight) > 0]
    buckets = [(_bucket(row), row.now) for row, _ in due]
    waits_ms = [bucket.wait_ms(now) for bucket, now in buckets if bucket is not None]
    return Prospect(
        endpoint_ids=wanted,
        waiting=frozenset(row.endpoint_id for row, _ in due).difference(wanted),
        wait_ms=min((wait_ms for wait_ms in waits_ms if wait_ms > 0), default=None),
    )


async def claim_deliveries(
    tx: Tx, workspace_id: str, endpoint_ids: Sequence[str], request: ClaimRequest
) -> Claim:
    """Take what is due to these endpoints. Those that another worker claims for at this moment are left to it."""
    rows = await endpoints.lock_slots(tx, workspace_id, endpoint_ids)
    if not rows:
        return Claim(waiting=frozenset(endpoint_ids))
    busy = await _busy(tx, workspace_id, [row.endpoint_id for row in rows], request)
    rooms = {row.endpoint_id: _room(row, busy.get(row.endpoint_id, 0)) for row in rows}
    shares = share_out(request.limit, rooms, busy)
    wanted = [Room(endpoint_id, share) for endpoint_id, share in sorted(shares.items())]
    now = max(row.now for row in rows)
    found = await store.due_deliveries(tx, workspace_id, wanted, now)
    # Ours once more: what was being recorded when they were renewed, and then could not be, is among them.
    due = [row for row in found if (row.delivery_id, row.lease_id) not in request.held]
    if not request.takes_over:
        due = [row for row in due if row.lease_id is None]
    await _take_tokens(tx, workspace_id, rows, due)
    fresh = await _without_spent(tx, workspace_id, due, request)
    await store.lease_deliveries(
        tx,
        workspace_id,
        [row.delivery_id for row in fresh],
        lease_id=request.lease_id,
        until=now + request.lease_ms,
    )
    return Claim(
        deliveries=fresh,
        secrets=await signing_secrets(tx, workspace_id) if fresh else (),
        timeouts_seconds={row.endpoint_id: row.timeout_seconds for row in rows},
        takeovers=sum(row.lease_id is not None for row in due),
        waiting=_waiting(endpoint_ids, shares, found),
    )


def _waiting(
    endpoint_ids: Sequence[str], shares: Mapping[str, int], found: Sequence[ClaimedRow]
) -> AbstractSet[str]:
    """Who got all that he had room for, or nothing because another worker claims for him, may have more."""
    counts = Counter(row.endpoint_id for row in found)
    return frozenset(each for each in endpoint_ids if counts[each] >= shares.get(each, 0))


async def _busy(
    tx: Tx, workspace_id: str, endpoint_ids: Sequence[str], request: ClaimRequest
) -> Mapping[str, int]:
    """How many attempts are under way to each. This worker's own are, and their leases are renewed if need be."""
    leases = await endpoints.leases(tx, workspace_id, endpoint_ids)
    busy = Counter({row.endpoint_id: row.running for row in leases})
    if request.held and any(row.expired for row in leases):
        expired = await store.lock_expired(tx, workspace_id, endpoint_ids)
        ours = [row for row in expired if (row.delivery_id, row.lease_id) in request.held]
        by_lease: dict[str, list[str]] = {}
        for row in ours:
            by_lease.setdefault(row.lease_id, []).append(row.delivery_id)
        await renew_leases(tx, workspace_id, by_lease, request.lease_ms)
        busy.update(row.endpoint_id for row in ours)
    return busy


def _room(row: SlotsRow, in_flight: int) -> int:
    return room(
        state=EndpointState(row.state),
        health=Health(row.failures_in_a_row, row.failing_since, row.probe_at),
        in_flight=in_flight,
        max_concurrency=row.max_concurrency,
        bucket=_bucket(row),
        now_ms=row.now,
    )


def _bucket(row: SlotsRow) -> Bucket | None:
    if row.rate_limit_per_second is None:
        return None
    return Bucket(row.rate_limit_per_second, row.bucket_tokens, row.bucket_at)


async def _take_tokens(
    tx: Tx, workspace_id: str, rows: Sequence[SlotsRow], taken: Sequence[ClaimedRow]
) -> None:
    counts = Counter(row.endpoint_id for row in taken)
    left = [
        BucketRow(workspace_id, row.endpoint_id, bucket.filled(row.now) - counts[row.endpoint_id], row.now)
        for row in rows
        if (bucket := _bucket(row)) is not None and counts[row.endpoint_id]
    ]
    await endpoints.update_buckets(tx, left)


async def _without_spent(
    tx: Tx, workspace_id: str, due: Sequence[ClaimedRow], request: ClaimRequest
) -> Sequence[ClaimedRow]:
    """End those whose last attempt was begun and never recorded: they have killed their workers."""
    spent = [row for row in due if row.schedule_step > request.attempts_max]
    if not spent:
        return due
    await store.exhaust_deliveries(tx, workspace_id, [row.delivery_id for row in spent])
    await emit(tx, workspace_id, [await _exhausted(tx, workspace_id, row.delivery_id) for row in spent])
    return [row for row in due if row.schedule_step <= request.attempts_max]


async def _exhausted(tx: Tx, workspace_id: str, delivery_id: str) -> NewEvent:
    row = await store.get_delivery(tx, workspace_id, delivery_id)
    assert row is not None, "it was just locked"
    data = {
        "delivery_id": delivery_id,
        "endpoint_id": row.endpoint_id,
        "outcome_id": row.outcome_id,
        "call_id": row.call_id,
        "state": row.state,
        "attempt": row.attempt_count,
        # Nobody knows what came of it.
        "status": None,
        "error": None,
        "duration_ms": None,
    }
    return NewEvent(EventType.DELIVERY_FAILED, data, contact_id=row.contact_id)
