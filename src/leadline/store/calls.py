"""Calls, agents and applied outcomes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

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


class CallRow(Row, frozen=True, gc=False):
    workspace_id: str
    call_id: str
    state: str
    direction: str
    phone_number: str | None
    contact_id: str | None
    agent_id: str | None
    external_id: str | None
    line_result: str | None
    started_at: int
    answered_at: int | None
    ended_at: int | None
    wrap_up_since: int | None
    closed_at: int | None
    created_at: int


class AppliedRow(Row, frozen=True, gc=False):
    workspace_id: str
    applied_id: str
    call_id: str
    contact_id: str | None
    outcome_id: str
    outcome_name: str
    outcome_type: str
    agent_id: str | None
    note: str | None
    destination: str
    lists_added: str
    lists_removed: str
    error_message: str
    delivery_id: str | None
    applied_at: int


class AgentRow(Row, frozen=True, gc=False):
    workspace_id: str
    agent_id: str
    created_at: int


class OpenCallRow(Row, frozen=True, gc=False):
    agent_id: str
    call_id: str
    state: str


_CALL = columns(CallRow)
_APPLIED = columns(AppliedRow)
_INSERT = insertion("calls", CallRow, tail="ON CONFLICT (workspace_id, external_id) DO NOTHING")
_GET = Statement(f"SELECT {_CALL} FROM calls WHERE workspace_id = :workspace_id AND call_id = :call_id")
_LOCK = Statement(
    f"SELECT {_CALL} FROM calls WHERE workspace_id = :workspace_id AND call_id {{in_ids:call_ids}}"
    " ORDER BY call_id {for_update}"
)
_BY_EXTERNAL_ID = Statement(
    f"SELECT {_CALL} FROM calls WHERE workspace_id = :workspace_id AND external_id = :external_id"
)
_UPDATE = update_of_many(
    "calls",
    "state = :state, line_result = :line_result, answered_at = :answered_at,"
    " ended_at = :ended_at, wrap_up_since = :wrap_up_since, closed_at = :closed_at",
    ("call_id",),
)
_FORGET_CONTACT = Statement(
    "UPDATE calls SET contact_id = NULL, phone_number = NULL"
    " WHERE workspace_id = :workspace_id AND contact_id = :contact_id"
)
_TIMED_OUT = Statement(
    "SELECT c.workspace_id, c.call_id FROM calls c JOIN workspaces w ON w.workspace_id = c.workspace_id"
    " WHERE c.state = 'wrap_up' AND w.wrap_up_timeout_seconds IS NOT NULL"
    " AND c.wrap_up_since <= :now - w.wrap_up_timeout_seconds * 1000 ORDER BY c.wrap_up_since LIMIT :limit"
)
_NEXT_TIMEOUT = Statement(
    "SELECT MIN(c.wrap_up_since + w.wrap_up_timeout_seconds * 1000) FROM calls c"
    " JOIN workspaces w ON w.workspace_id = c.workspace_id"
    " WHERE c.state = 'wrap_up' AND w.wrap_up_timeout_seconds IS NOT NULL"
)

_INSERT_AGENT = insertion("agents", AgentRow, tail="ON CONFLICT (workspace_id, agent_id) DO NOTHING")
_LOCK_AGENT = Statement(
    f"SELECT {columns(AgentRow)} FROM agents"
    " WHERE workspace_id = :workspace_id AND agent_id = :agent_id {for_update}"
)
_GET_AGENT = Statement(
    f"SELECT {columns(AgentRow)} FROM agents WHERE workspace_id = :workspace_id AND agent_id = :agent_id"
)
_OPEN_CALLS = Statement(
    "SELECT agent_id, call_id, state FROM calls WHERE workspace_id = :workspace_id AND state <> 'closed'"
    " AND agent_id {in_texts:agent_ids} ORDER BY COALESCE(wrap_up_since, started_at), call_id"
)
_PENDING_CALL = Statement(
    "SELECT call_id FROM calls WHERE workspace_id = :workspace_id AND agent_id = :agent_id"
    " AND state = 'wrap_up' ORDER BY wrap_up_since, call_id LIMIT 1"
)

_INSERT_APPLIED = insertion_of_many("applied_outcomes", AppliedRow)
_APPLIED_TO = Statement(
    f"SELECT {_APPLIED} FROM applied_outcomes WHERE workspace_id = :workspace_id"
    " AND call_id {in_ids:call_ids} ORDER BY applied_at, applied_id"
)
_DISPOSITIONS_OF = Statement(
    f"SELECT {_APPLIED} FROM applied_outcomes WHERE workspace_id = :workspace_id"
    " AND call_id {in_ids:call_ids} AND outcome_type = 'disposition'"
)
_APPLIED_NAMED = Statement(
    f"SELECT {_APPLIED} FROM applied_outcomes WHERE workspace_id = :workspace_id AND applied_id {{in_ids:applied_ids}}"
)
_FORGET_NOTES = Statement(
    "UPDATE applied_outcomes SET note = NULL, contact_id = NULL"
    " WHERE workspace_id = :workspace_id AND contact_id = :contact_id"
)

_CONDITIONS = {
    "state": "state = :state",
    "agent_id": "agent_id = :agent_id",
    "contact_id": "contact_id = :contact_id",
    "since": "started_at >= :since",
    # It owed a disposition and never got one: it still waits, or was closed without.
    "missing": (
        "wrap_up_since IS NOT NULL AND NOT EXISTS (SELECT 1 FROM applied_outcomes a"
        " WHERE a.workspace_id = calls.workspace_id AND a.call_id = calls.call_id"
        " AND a.outcome_type = 'disposition')"
    ),
}


async def insert_call(tx: Tx, row: CallRow) -> bool:
    """False when the phone system has reported this call before."""
    return bool(await tx.run(_INSERT, **values_of(row)))


async def get_call(tx: Tx, workspace_id: str, call_id: str) -> CallRow | None:
    row = await tx.first(_GET, workspace_id=workspace_id, call_id=call_id)
    return CallRow(*row) if row else None


async def lock_call(tx: Tx, workspace_id: str, call_id: str) -> CallRow | None:
    """The call, held until the commit: everything that happens to one call happens in a row."""
    return (await lock_calls(tx, workspace_id, [call_id])).get(call_id)


async def lock_calls(tx: Tx, workspace_id: str, call_ids: Sequence[str]) -> dict[str, CallRow]:
    """Those of these calls that there are, held until the commit."""
    rows = await tx.all(_LOCK, workspace_id=workspace_id, call_ids=json.dumps(list(call_ids)))
    return {call.call_id: call for call in (CallRow(*row) for row in rows)}


async def call_by_external_id(tx: Tx, workspace_id: str, external_id: str) -> CallRow | None:
    row = await tx.first(_BY_EXTERNAL_ID, workspace_id=workspace_id, external_id=external_id)
    return CallRow(*row) if row else None


async def update_calls(tx: Tx, rows: Sequence[CallRow]) -> None:
    await tx.change_many(_UPDATE, rows)


async def forget_contact_of_calls(tx: Tx, workspace_id: str, contact_id: str) -> None:
    """Take a person out of calls, applied outcomes and notes; that they happened stays."""
    await tx.run(_FORGET_CONTACT, workspace_id=workspace_id, contact_id=contact_id)
    await tx.run(_FORGET_NOTES, workspace_id=workspace_id, contact_id=contact_id)


def listing_of(filters: Mapping[str, Any]) -> Statement:
    """A page of the calls that meet these filters."""
    conditions = tuple(_CONDITIONS[name] for name in filters)
    index = ""
    if filters.get("state", "closed") != "closed":
        # There are few, and an index of them alone.
        conditions, index = (*conditions, "state <> 'closed'"), "ix_calls_open"
    return listing(CallRow, "calls", ("started_at", "call_id"), conditions, index)


async def page_of_calls(
    tx: Tx, workspace_id: str, page: PageRequest, filters: dict[str, Any]
) -> list[CallRow]:
    """By their start, newest first. `filters`: state, agent_id, contact_id, since, missing (any value)."""
    rows = await tx.all(listing_of(filters), workspace_id=workspace_id, **page_values(page), **filters)
    return [CallRow(*row) for row in rows]


async def timed_out_calls(tx: Tx, *, limit: int) -> list[tuple[str, str]]:
    """(workspace_id, call_id) of wrap-ups that have waited as long as their workspace lets them."""
    return [(row[0], row[1]) for row in await tx.all(_TIMED_OUT, now=tx.now_ms, limit=limit)]


async def next_timeout_ms(tx: Tx) -> int | None:
    """When the next wrap-up times out (Unix ms)."""
    row = await tx.first(_NEXT_TIMEOUT)
    return row[0] if row else None


async def know_agent(tx: Tx, workspace_id: str, agent_id: str) -> None:
    """An agent is known from the first call, and is held until the commit: the gate must not be raced past."""
    values = {"workspace_id": workspace_id, "agent_id": agent_id}
    if await tx.first(_LOCK_AGENT, **values) is None:
        await tx.run(_INSERT_AGENT, **values, created_at=tx.now_ms)
        await tx.first(_LOCK_AGENT, **values)


async def get_agent(tx: Tx, workspace_id: str, agent_id: str) -> AgentRow | None:
    row = await tx.first(_GET_AGENT, workspace_id=workspace_id, agent_id=agent_id)
    return AgentRow(*row) if row else None


async def page_of_agents(tx: Tx, workspace_id: str, page: PageRequest) -> list[AgentRow]:
    statement = listing(AgentRow, "agents", ("created_at", "agent_id"))
    return [AgentRow(*row) for row in await tx.all(statement, workspace_id=workspace_id, **page_values(page))]


async def open_calls_of(tx: Tx, workspace_id: str, agent_ids: Sequence[str]) -> dict[str, list[OpenCallRow]]:
    """The calls of these agents that are not closed, oldest first."""
    found: dict[str, list[OpenCallRow]] = {agent_id: [] for agent_id in agent_ids}
    rows = await tx.all(_OPEN_CALLS, workspace_id=workspace_id, agent_ids=json.dumps(list(agent_ids)))
    for row in rows:
        found[row[0]].append(OpenCallRow(*row))
    return found


async def pending_call_of(tx: Tx, workspace_id: str, agent_id: str) -> str | None:
    """The agent's oldest call in wrap-up."""
    row = await tx.first(_PENDING_CALL, workspace_id=workspace_id, agent_id=agent_id)
    return row[0] if row else None


async def insert_applied(tx: Tx, rows: Sequence[AppliedRow]) -> None:
    await tx.change_many(_INSERT_APPLIED, rows)


async def applied_to(tx: Tx, workspace_id: str, call_ids: Sequence[str]) -> dict[str, list[AppliedRow]]:
    """What was applied to each of these calls, in order."""
    found: dict[str, list[AppliedRow]] = {call_id: [] for call_id in call_ids}
    rows = await tx.all(_APPLIED_TO, workspace_id=workspace_id, call_ids=json.dumps(list(call_ids)))
    for row in rows:
        applied = AppliedRow(*row)
        found[applied.call_id].append(applied)
    return found


async def dispositions_of(tx: Tx, workspace_id: str, call_ids: Sequence[str]) -> dict[str, AppliedRow]:
    rows = await tx.all(_DISPOSITIONS_OF, workspace_id=workspace_id, call_ids=json.dumps(list(call_ids)))
    return {applied.call_id: applied for applied in (AppliedRow(*row) for row in rows)}


async def applied_named(tx: Tx, workspace_id: str, applied_ids: Sequence[str]) -> list[AppliedRow]:
    """Those of these applied outcomes that there are, in no order."""
    rows = await tx.all(_APPLIED_NAMED, workspace_id=workspace_id, applied_ids=json.dumps(list(applied_ids)))
    return [AppliedRow(*row) for row in rows]


async def page_of_applied(tx: Tx, workspace_id: str, contact_id: str, page: PageRequest) -> list[AppliedRow]:
    statement = listing(
        AppliedRow, "applied_outcomes", ("applied_at", "applied_id"), ("contact_id = :contact_id",)
    )
    rows = await tx.all(statement, workspace_id=workspace_id, contact_id=contact_id, **page_values(page))
    return [AppliedRow(*row) for row in rows]
