"""What every page of the console shows around itself: the user's own state, and what needs somebody's eye."""

from __future__ import annotations

from dataclasses import dataclass

from leadline.domain.access import Permission
from leadline.domain.calls import AgentStatus, CallState, agent_status
from leadline.operations.sessions import SignedIn
from leadline.store import calls, endpoints, outcomes
from leadline.store.database import Tx

DISABLED_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`status` is None for who is no agent. `disabled_urls` are webhook URLs that get nothing any more."""

    status: AgentStatus | None
    disabled_urls: tuple[str, ...]
    lacks_disposition: bool


async def load_surroundings(tx: Tx, user: SignedIn) -> Surroundings:
    """Three short reads."""
    disabled: tuple[str, ...] = ()
    if user.may(Permission.ENDPOINTS):
        rows = await endpoints.disabled_endpoints(tx, user.workspace_id, limit=DISABLED_SHOWN_MAX)
        disabled = tuple(row.webhook_url for row in rows)
    lacks = user.may(Permission.OUTCOMES) and not await outcomes.has_disposition(tx, user.workspace_id)
    return Surroundings(await _status(tx, user), disabled, lacks)


async def _status(tx: Tx, user: SignedIn) -> AgentStatus | None:
    if user.agent_id is None:
        return None
    rows = await calls.open_calls_of(tx, user.workspace_id, [user.agent_id])
    states = [CallState(row.state) for row in rows.get(user.agent_id, [])]
    return agent_status(open_states=states)
