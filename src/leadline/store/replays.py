"""Replays: stored jobs that make deliveries due again, a page at a time."""

from __future__ import annotations

from leadline.domain.paging import Position
from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import Row, columns, insertion, values_of


class ReplayRow(Row, frozen=True, gc=False):
    workspace_id: str
    replay_id: str
    state: str
    since: int
    until: int
    states: str
    outcome_id: str | None
    endpoint_id: str | None
    matched: int
    requeued: int
    after_at: int
    after_id: str
    created_at: int
    finished_at: int | None


class CandidateRow(Row, frozen=True, gc=False):
    delivery_id: str
    created_at: int
    state: str
    lease_id: str | None
    has_payload: int


_REPLAY = columns(ReplayRow)
_INSERT = insertion("replays", ReplayRow)
_GET = Statement(
    f"SELECT {_REPLAY} FROM replays WHERE workspace_id = :workspace_id AND replay_id = :replay_id"
)
_LOCK = Statement(
    f"SELECT {_REPLAY} FROM replays"
    " WHERE workspace_id = :workspace_id AND replay_id = :replay_id {for_update}"
)
_RUNNING = Statement(
    "SELECT workspace_id, replay_id FROM replays WHERE state = 'running' ORDER BY created_at"
)
_LOCK_RUNNING = Statement(
    f"SELECT {_REPLAY} FROM replays WHERE workspace_id = :workspace_id AND replay_id = :replay_id"
    " AND state = 'running' {skip_locked}"
)
_UPDATE = Statement(
    "UPDATE replays SET state = :state, matched = :matched, requeued = :requeued, after_at = :after_at,"
    " after_id = :after_id, finished_at = :finished_at"
    " WHERE workspace_id = :workspace_id AND replay_id = :replay_id"
)
_OF_OUTCOME = " AND outcome_id = :outcome_id"
_OF_ENDPOINT = " AND endpoint_id = :endpoint_id"


def _candidates(conditions: str) -> Statement:
    return Statement(
        "SELECT delivery_id, created_at, state, lease_id, CASE WHEN payload IS NULL THEN 0 ELSE 1 END"
        " FROM deliveries WHERE workspace_id = :workspace_id"
        " AND (created_at, delivery_id) > (:after_at, :after_id) AND created_at < :until"
        f" AND state {{in_texts:states}}{conditions} ORDER BY created_at, delivery_id LIMIT :limit {{for_update}}"
    )


_CANDIDATES = {
    (False, False): _candidates(""),
    (True, False): _candidates(_OF_OUTCOME),
    (False, True): _candidates(_OF_ENDPOINT),
    (True, True): _candidates(_OF_OUTCOME + _OF_ENDPOINT),
}


async def insert_replay(tx: Tx, row: ReplayRow) -> None:
    await tx.run(_INSERT, **values_of(row))


async def get_replay(tx: Tx, workspace_id: str, replay_id: str) -> ReplayRow | None:
    row = await tx.first(_GET, workspace_id=workspace_id, replay_id=replay_id)
    return ReplayRow(*row) if row else None


async def lock_replay(tx: Tx, workspace_id: str, replay_id: str) -> ReplayRow | None:
    row = await tx.first(_LOCK, workspace_id=workspace_id, replay_id=replay_id)
    return ReplayRow(*row) if row else None


async def running_replays(tx: Tx) -> list[tuple[str, str]]:
    """(workspace_id, replay_id) of the jobs that are not over, the oldest first."""
    return [(row[0], row[1]) for row in await tx.all(_RUNNING)]


async def lock_running_replay(tx: Tx, workspace_id: str, replay_id: str) -> ReplayRow | None:
    """The job, unless it is over or another process works on it at this moment."""
    row = await tx.first(_LOCK_RUNNING, workspace_id=workspace_id, replay_id=replay_id)
    return ReplayRow(*row) if row else None


async def update_replay(tx: Tx, row: ReplayRow) -> None:
    await tx.run(_UPDATE, **values_of(row))


async def replay_candidates(tx: Tx, row: ReplayRow, *, limit: int) -> list[CandidateRow]:
    """The next deliveries that a job is about, in the order of their creation, held until the commit."""
    statement = _CANDIDATES[row.outcome_id is not None, row.endpoint_id is not None]
    rows = await tx.all(
        statement,
        workspace_id=row.workspace_id,
        after_at=row.after_at,
        after_id=row.after_id,
        until=row.until,
        states=row.states,
        outcome_id=row.outcome_id,
        endpoint_id=row.endpoint_id,
        limit=limit,
    )
    return [CandidateRow(*each) for each in rows]


def position_before(since_ms: int) -> Position:
    """Just in front of the first delivery created at this time or later."""
    return Position(since_ms - 1, "ffffffff-ffff-ffff-ffff-ffffffffffff")
