"""Replays: stored jobs that send many deliveries again (contract § 8)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from leadline.domain.errors import EndpointNotFound, OutcomeNotFound, ReplayNotFound
from leadline.ids import new_id
from leadline.operations import audit
from leadline.operations.views import replay_view
from leadline.store import deliveries, endpoints, outcomes
from leadline.store import replays as store
from leadline.store.database import Signal, Tx
from leadline.store.replays import CandidateRow, ReplayRow
from leadline.wire.deliveries import ReplayAnswer

# A step holds its rows for a few milliseconds; the pause between steps leaves the rest to everybody else.
STEP = 200
# Where nearly all have another state than is asked for, so many are gone through in one step, for the same reason.
LOOKED_MAX = 5_000


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """Deliveries created in [since, until), in these states. Times in Unix ms; until None is now."""

    since_ms: int
    until_ms: int | None
    states: Sequence[str]
    outcome_id: str | None
    endpoint_id: str | None


async def start_replay(tx: Tx, workspace_id: str, request: ReplayRequest) -> ReplayAnswer:
    """Store the job; the worker goes through it. What is created after this moment is not part of it."""
    if request.outcome_id is not None and not await _outcome_is_known(tx, workspace_id, request.outcome_id):
        raise OutcomeNotFound
    if request.endpoint_id is not None:
        endpoint = await endpoints.get_endpoint(tx, workspace_id, request.endpoint_id)
        if endpoint is None:
            raise EndpointNotFound
    until = tx.now_ms + 1 if request.until_ms is None else min(request.until_ms, tx.now_ms + 1)
    start = store.position_before(request.since_ms)
    row = ReplayRow(
        workspace_id=workspace_id,
        replay_id=new_id(),
        state="running",
        since=request.since_ms,
        until=until,
        states=json.dumps(sorted(set(request.states))),
        outcome_id=request.outcome_id,
        endpoint_id=request.endpoint_id,
        matched=0,
        requeued=0,
        after_at=start.at_ms,
        after_id=start.id,
        created_at=tx.now_ms,
        finished_at=None,
    )
    await store.insert_replay(tx, row)
    tx.signal(Signal.DELIVERIES, workspace_id)
    view = replay_view(row)
    await audit.record(tx, workspace_id, "replay.started", row.replay_id, after=view)
    return ReplayAnswer(replay=view)


async def _outcome_is_known(tx: Tx, workspace_id: str, outcome_id: str) -> bool:
    """Also one that was deleted, as long as a delivery of it is there."""
    if await outcomes.get_outcome(tx, workspace_id, outcome_id) is not None:
        return True
    return await deliveries.has_delivery_of(tx, workspace_id, outcome_id)


async def get_replay(tx: Tx, workspace_id: str, replay_id: str) -> ReplayAnswer:
    row = await store.get_replay(tx, workspace_id, replay_id)
    if row is None:
        raise ReplayNotFound
    return ReplayAnswer(replay=replay_view(row))


async def cancel_replay(tx: Tx, workspace_id: str, replay_id: str) -> ReplayAnswer:
    """Stop the job where it is; what it has made due stays due. One that is over stays as it is."""
    row = await store.lock_replay(tx, workspace_id, replay_id)
    if row is None:
        raise ReplayNotFound
    if row.state == "running":
        row = msgspec.structs.replace(row, state="canceled", finished_at=tx.now_ms)
        await store.update_replay(tx, row)
        await audit.record(tx, workspace_id, "replay.canceled", replay_id, after=replay_view(row))
    return ReplayAnswer(replay=replay_view(row))


async def running_replays(tx: Tx) -> list[tuple[str, str]]:
    """(workspace_id, replay_id) of the jobs that are not over."""
    return await store.running_replays(tx)


async def step_replay(tx: Tx, workspace_id: str, replay_id: str) -> bool:
    """One page of a job, with its counts, in one transaction; False when it is over or somebody else's turn."""
    row = await store.lock_running_replay(tx, workspace_id, replay_id)
    if row is None:
        return False
    end = await store.position_of_nth(tx, row, LOOKED_MAX)
    page = await store.replay_candidates(tx, row, end or store.position_before(row.until), limit=STEP)
    requeued = 0
    for candidate in page:
        requeued += await _requeue(tx, workspace_id, candidate)
    row = msgspec.structs.replace(row, matched=row.matched + len(page), requeued=row.requeued + requeued)
    if len(page) == STEP:
        row = msgspec.structs.replace(row, after_at=page[-1].created_at, after_id=page[-1].delivery_id)
    elif end is not None:
        row = msgspec.structs.replace(row, after_at=end.at_ms, after_id=end.id)
    over = len(page) < STEP and end is None
    if over:
        row = msgspec.structs.replace(row, state="done", finished_at=tx.now_ms)
    await store.update_replay(tx, row)
    if requeued:
        tx.signal(Signal.DELIVERIES, workspace_id)
    return not over


async def _requeue(tx: Tx, workspace_id: str, candidate: CandidateRow) -> int:
    if not candidate.has_payload:
        return 0  # what it carried is no longer kept
    if candidate.lease_id is not None:
        await deliveries.restart_schedule(tx, workspace_id, candidate.delivery_id)
    else:
        await deliveries.retry_delivery(tx, workspace_id, candidate.delivery_id)
    return 1
