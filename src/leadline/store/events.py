"""Events of a workspace, kept for those who come back (contract § 7)."""

from __future__ import annotations

from collections.abc import Sequence

from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import Row, insertion_of_many


class EventRow(Row, frozen=True, gc=False):
    commit_order: int
    event_id: str
    type: str
    data: str
    at: int


class NewEventRow(Row, frozen=True, gc=False):
    workspace_id: str
    event_id: str
    type: str
    data: str
    contact_id: str | None
    at: int


_COLUMNS = "commit_order, event_id, type, data, at"
_INSERT = insertion_of_many("events", NewEventRow, expressions={"commit_order": "{commit_order}"})
# By commit, and only what no running transaction can still get in front of: a late commit is never skipped.
_AFTER = Statement(
    f"SELECT {_COLUMNS} FROM events WHERE workspace_id = :workspace_id"
    " AND (commit_order, event_id) > (:commit_order, :event_id) AND commit_order < {commit_horizon}"
    " ORDER BY commit_order, event_id LIMIT :limit"
)
_POSITION = Statement(
    "SELECT commit_order FROM events WHERE workspace_id = :workspace_id AND event_id = :event_id"
)
_NEWEST = Statement(
    "SELECT commit_order, event_id FROM events WHERE workspace_id = :workspace_id"
    " AND commit_order < {commit_horizon} ORDER BY commit_order DESC, event_id DESC LIMIT 1"
)
# Ids rise with time but for what the clocks of two processes differ by: the first commit is among the first ids.
_FIRST_SINCE = Statement(
    "SELECT MIN(commit_order), {commit_horizon} FROM (SELECT commit_order FROM events"
    " WHERE workspace_id = :workspace_id AND event_id >= :event_id ORDER BY event_id LIMIT 500) AS next_ones"
)
# The newest is kept: the numbers of SQLite's commits go on from it. The oldest are looked at in the order of
# commits, which is the order of time but for moments: an index on the time would cost every write. What is asked of
# them is asked within: beside the ids it would have SQLite go through all events by the commit, 20 s for ten million.
_PRUNE = Statement(
    "DELETE FROM events WHERE workspace_id = :workspace_id AND event_id IN (SELECT oldest.event_id FROM"
    " (SELECT workspace_id, commit_order, event_id, at FROM events WHERE workspace_id = :workspace_id"
    " ORDER BY commit_order, event_id LIMIT :limit) AS oldest WHERE oldest.workspace_id = :workspace_id"
    " AND oldest.at < :kept_since AND oldest.commit_order <"
    " (SELECT MAX(commit_order) FROM events WHERE workspace_id = :workspace_id))"
)
_FORGET_CONTACT = Statement(
    "DELETE FROM events WHERE workspace_id = :workspace_id AND contact_id = :contact_id AND commit_order <"
    " (SELECT MAX(commit_order) FROM events WHERE workspace_id = :workspace_id)"
)
_FORGET_NEWEST = Statement(
    "UPDATE events SET data = '{}', contact_id = NULL"
    " WHERE workspace_id = :workspace_id AND contact_id = :contact_id"
)


async def insert_events(tx: Tx, rows: Sequence[NewEventRow]) -> None:
    """In their order, which is theirs in the stream too: their ids rise."""
    await tx.change_many(_INSERT, rows)


async def events_after(tx: Tx, workspace_id: str, position: tuple[int, str], *, limit: int) -> list[EventRow]:
    commit_order, event_id = position
    rows = await tx.all(
        _AFTER, workspace_id=workspace_id, commit_order=commit_order, event_id=event_id, limit=limit
    )
    return [EventRow(*row) for row in rows]


async def event_position(tx: Tx, workspace_id: str, event_id: str) -> tuple[int, str] | None:
    """Where an event stands; None when it is no longer (or was never) kept."""
    row = await tx.first(_POSITION, workspace_id=workspace_id, event_id=event_id)
    return (row[0], event_id) if row else None


async def newest_position(tx: Tx, workspace_id: str) -> tuple[int, str] | None:
    row = await tx.first(_NEWEST, workspace_id=workspace_id)
    return (row[0], row[1]) if row else None


async def commit_since(tx: Tx, workspace_id: str, event_id: str) -> int | None:
    """The first commit that has, or may still get, an event with this id or a greater one; None: there is none."""
    row = await tx.first(_FIRST_SINCE, workspace_id=workspace_id, event_id=event_id)
    assert row is not None
    return None if row[0] is None else min(row[0], row[1])


async def prune_events(tx: Tx, workspace_id: str, kept_since: int, *, limit: int) -> int:
    return await tx.run(_PRUNE, workspace_id=workspace_id, kept_since=kept_since, limit=limit)


async def forget_contact_of_events(tx: Tx, workspace_id: str, contact_id: str) -> None:
    """Events about a person go; the newest stays as an empty one, as the stream's mark."""
    await tx.run(_FORGET_CONTACT, workspace_id=workspace_id, contact_id=contact_id)
    await tx.run(_FORGET_NEWEST, workspace_id=workspace_id, contact_id=contact_id)
