"""Drafts: what an agent types for a call is kept as he types it, so that no reload or crash takes it from him."""

from __future__ import annotations

from leadline.domain.calls import CallState
from leadline.domain.errors import CallNotFound, CallNotLive
from leadline.operations.sessions import SignedIn
from leadline.store import desk
from leadline.store import drafts as store
from leadline.store.database import Tx
from leadline.store.drafts import DraftRow


async def save_draft(
    tx: Tx, user: SignedIn, call_id: str, *, note: str, outcome_id: str | None, keep_choice: bool = False
) -> None:
    """Keep what the user has typed and chosen for a call of his own; `keep_choice` leaves the choice as it is.

    Raises CallNotFound, and CallNotLive when the call is closed: nothing will be made of a draft then.
    """
    line = None
    if user.agent_id is not None:
        line = await desk.own_line(tx, user.workspace_id, user.agent_id, call_id)
    if line is None:
        raise CallNotFound
    if line.state == CallState.CLOSED:
        raise CallNotLive("This call is closed; there is nothing left to draft.")
    if keep_choice:
        known = await store.get_draft(tx, user.workspace_id, call_id, user.user_id)
        outcome_id = known.outcome_id if known else None
    row = DraftRow(user.workspace_id, call_id, user.user_id, outcome_id, note, tx.now_ms)
    await store.save_draft(tx, row)


async def find_draft(tx: Tx, user: SignedIn, call_id: str) -> DraftRow | None:
    """What the user has typed for a call; other users' drafts are not his."""
    return await store.get_draft(tx, user.workspace_id, call_id, user.user_id)


async def forget_drafts(tx: Tx, workspace_id: str, call_id: str) -> None:
    """They have been saved for good, or the call is closed."""
    await store.forget_drafts_of_call(tx, workspace_id, call_id)
