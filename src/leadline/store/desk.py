"""What an agent's desk reads: his own calls with whom they are, and how the webhooks of one call stand."""

from __future__ import annotations

from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import Row


class LineRow(Row, frozen=True, gc=False):
    """A call of an agent, and the contact's name."""

    call_id: str
    state: str
    direction: str
    phone_number: str | None
    contact_id: str | None
    external_id: str | None
    line_result: str | None
    started_at: int
    answered_at: int | None
    ended_at: int | None
    wrap_up_since: int | None
    closed_at: int | None
    contact_name: str | None


class WebhookRow(Row, frozen=True, gc=False):
    """A delivery of one call, its endpoint's state, and how long its last attempt took."""

    delivery_id: str
    state: str
    due_at: int | None
    lease_id: str | None
    attempt_count: int
    last_status: int | None
    last_error: str | None
    endpoint_state: str
    duration_ms: int | None


_LINE = ", ".join(
    "p.name" if name == "contact_name" else f"c.{name}" for name in LineRow.__struct_fields__
)  # fmt: skip
_FROM = (
    f"SELECT {_LINE} FROM calls c"
    " LEFT JOIN contacts p ON p.workspace_id = c.workspace_id AND p.contact_id = c.contact_id"
    " WHERE c.workspace_id = :workspace_id AND c.agent_id = :agent_id"
)
_OPEN = Statement(
    f"{_FROM} AND c.state <> 'closed' ORDER BY COALESCE(c.wrap_up_since, c.started_at), c.call_id LIMIT :limit"
)
_RECENT = Statement(f"{_FROM} AND c.state = 'closed' ORDER BY c.started_at DESC, c.call_id DESC LIMIT :limit")
_ONE = Statement(f"{_FROM} AND c.call_id = :call_id")
_WEBHOOKS = Statement(
    "SELECT d.delivery_id, d.state, d.due_at, d.lease_id, d.attempt_count, d.last_status, d.last_error, e.state,"
    " a.duration_ms FROM deliveries d"
    " JOIN endpoints e ON e.workspace_id = d.workspace_id AND e.endpoint_id = d.endpoint_id"
    " LEFT JOIN attempts a ON a.workspace_id = d.workspace_id AND a.delivery_id = d.delivery_id AND a.number ="
    " (SELECT MAX(b.number) FROM attempts b WHERE b.workspace_id = d.workspace_id"
    " AND b.delivery_id = d.delivery_id)"
    " WHERE d.workspace_id = :workspace_id AND d.call_id = :call_id LIMIT :limit"
)


async def open_lines(tx: Tx, workspace_id: str, agent_id: str, *, limit: int) -> list[LineRow]:
    """The agent's calls that are not closed: those on the line by their start, those in wrap-up by its start."""
    rows = await tx.all(_OPEN, workspace_id=workspace_id, agent_id=agent_id, limit=limit)
    return [LineRow(*row) for row in rows]


async def recent_lines(tx: Tx, workspace_id: str, agent_id: str, *, limit: int) -> list[LineRow]:
    """His closed calls, newest first."""
    rows = await tx.all(_RECENT, workspace_id=workspace_id, agent_id=agent_id, limit=limit)
    return [LineRow(*row) for row in rows]


async def own_line(tx: Tx, workspace_id: str, agent_id: str, call_id: str) -> LineRow | None:
    """A call, when it is this agent's."""
    row = await tx.first(_ONE, workspace_id=workspace_id, agent_id=agent_id, call_id=call_id)
    return LineRow(*row) if row else None


async def webhooks_of_call(tx: Tx, workspace_id: str, call_id: str, *, limit: int) -> dict[str, WebhookRow]:
    """Its deliveries, by their id."""
    rows = await tx.all(_WEBHOOKS, workspace_id=workspace_id, call_id=call_id, limit=limit)
    return {row[0]: WebhookRow(*row) for row in rows}
