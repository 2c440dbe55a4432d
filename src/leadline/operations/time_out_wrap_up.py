"""Close wrap-ups that have waited as long as their workspace lets them (contract § 7)."""

from __future__ import annotations

import contextlib

from leadline.domain.calls import CallState
from leadline.domain.errors import CallNotFound, LeadlineError
from leadline.operations.apply_outcome import Application, apply_outcome
from leadline.operations.calls import close_call
from leadline.store import calls as store
from leadline.store import drafts, outcomes, workspaces
from leadline.store.database import Tx


async def timed_out_calls(tx: Tx, *, limit: int) -> list[tuple[str, str]]:
    """(workspace_id, call_id) of those that are due."""
    return await store.timed_out_calls(tx, limit=limit)


async def next_timeout_ms(tx: Tx) -> int | None:
    """When the next is due (Unix ms); None when none waits."""
    return await store.next_timeout_ms(tx)


async def time_out_wrap_up(tx: Tx, workspace_id: str, call_id: str) -> bool:
    """Close one, with the workspace's outcome for this if it has one; False when there was nothing to do.

    Looks again under the call's lock: an agent may have been faster, or another process.
    """
    call = await store.lock_call(tx, workspace_id, call_id)
    workspace = await workspaces.get_workspace(tx, workspace_id)
    if call is None or workspace is None or call.state != CallState.WRAP_UP:
        return False
    timeout_seconds = workspace.wrap_up_timeout_seconds
    assert call.wrap_up_since is not None  # CHECK wrap_up
    if timeout_seconds is None or tx.now_ms < call.wrap_up_since + timeout_seconds * 1000:
        return False
    outcome_id = workspace.wrap_up_timeout_outcome_id
    if outcome_id is not None and await _is_disposition(tx, workspace_id, outcome_id):
        # With outcomes switched off in the meantime it is closed without one.
        with contextlib.suppress(LeadlineError):
            await apply_outcome(tx, workspace_id, Application(call_id=call_id, outcome_id=outcome_id))
            await drafts.forget_drafts_of_call(tx, workspace_id, call_id)
            return True
    again = await store.lock_call(tx, workspace_id, call_id)
    if again is None:
        raise CallNotFound
    await close_call(tx, again)
    return True


async def _is_disposition(tx: Tx, workspace_id: str, outcome_id: str) -> bool:
    outcome = await outcomes.get_outcome(tx, workspace_id, outcome_id)
    return outcome is not None and outcome.outcome_type == "disposition"
