"""Replays: stored jobs that make deliveries due again, a page at a time."""

from __future__ import annotations

from typing import Any

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
# By outcome and endpoint: an index that has deliveries in the order of their creation, what it finds them by, and
# what else is asked of them.
_LOOKS = {
    (False, False): ("ix_deliveries_created_at_delivery_id", "", ""),
    (True, False): ("ix_deliveries_outcome_id_created_at", _OF_OUTCOME, ""),
    (False, True): ("ix_deliveries_endpoint_id_created_at", _OF_ENDPOINT, ""),
    (True, True): ("ix_deliveries_outcome_id_created_at", _OF_OUTCOME, _OF_ENDPOINT),
}


def _from(index: str, conditions: str) -> str:
    return (
        f" FROM deliveries {{by:{index}}} WHERE workspace_id = :workspace_id"
        " AND (created_at, delivery_id) > (:after_at, :after_id)"
        f" AND (created_at, delivery_id) <= (:upto_at, :upto_id){conditions}"
    )


_NTH = {
    of: Statement(
        f"SELECT created_at, delivery_id{_from(index, found_by)}"
        " ORDER BY created_at, delivery_id LIMIT 1 OFFSET :skipped"
    )
    for of, (index, found_by, _) in _LOOKS.items()
}
_CANDIDATES = {
    of: Statement(
        "SELECT delivery_id, created_at, state, lease_id, CASE WHEN payload IS NULL THEN 0 ELSE 1 END"
        f"{_from(index, found_by + asked)} AND state {{in_texts:states}}"
        " ORDER BY created_at, delivery_id LIMIT :limit {for_update}"
    )
    for of, (index, found_by, asked) in _LOOKS.items()
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


async def position_of_nth(tx: Tx, row: ReplayRow, nth: int) -> Position | None:
    """Where the nth delivery lies that a job has to look at from where it is; None when there are not so many."""
    last = position_before(row.until)
    values = _values(row, last)
    found = await tx.first(_NTH[_asked(row)], **values, skipped=nth - 1)
    return None if found is None else Position(found[0], found[1])


async def replay_candidates(tx: Tx, row: ReplayRow, upto: Position, *, limit: int) -> list[CandidateRow]:
    """The next deliveries that a job is about, in the order of their creation, held until the commit."""
    values = _values(row, upto)
    rows = await tx.all(_CANDIDATES[_asked(row)], **values, states=row.states, limit=limit)
    return [CandidateRow(*each) for each in rows]


def _asked(row: ReplayRow) -> tuple[bool, bool]:
    return row.outcome_id is not None, row.endpoint_id is not None


def _values(row: ReplayRow, upto: Position) -> dict[str, Any]:
    return {
        "workspace_id": row.workspace_id,
        "after_at": row.after_at,
        "after_id": row.after_id,
        "upto_at": upto.at_ms,
        "upto_id": upto.id,
        "outcome_id": row.outcome_id,
        "endpoint_id": row.endpoint_id,
    }


def position_before(since_ms: int) -> Position:
    """Just in front of the first delivery created at this time or later."""
    return Position(since_ms - 1, "ffffffff-ffff-ffff-ffff-ffffffffffff")
