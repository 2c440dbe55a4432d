"""Sessions of the console: a random secret in a cookie, of which only the hash is kept."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from leadline.domain.access import Permission, Role, format_secret, hash_token, may, workspace_of_secret
from leadline.domain.errors import Unauthorized
from leadline.domain.limits import SESSION_ABSOLUTE_MS, SESSION_IDLE_MS, SESSIONS_PER_USER_MAX
from leadline.ids import NIL_ID, new_id, random_secret
from leadline.operations import audit
from leadline.store import users as store
from leadline.store import workspaces
from leadline.store.database import Signal, Tx
from leadline.store.users import SessionRow, UserRow

USER_AGENT_CHARACTERS_MAX = 200
# How exact "last seen" is, and so how much a session's idle end may come early.
SEEN_MS = 60_000


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is behind a session."""

    workspace_id: str
    workspace_name: str
    region: str
    outcomes_enabled: bool
    session_id: str
    user_id: str
    email: str
    name: str
    role: Role
    agent_id: str | None
    theme: str
    shortcuts_enabled: bool
    expires_at: int
    # A session that was not seen for a while is to be touched.
    is_stale: bool

    def may(self, permission: Permission) -> bool:
        return may(self.role, permission)


async def start_session(tx: Tx, user: UserRow, *, user_agent: str = "") -> str:
    """Sign a user in; what his cookie holds. The oldest of too many sessions ends.

    `user` is whom the password was checked for, which takes its time. Raises Unauthorized when he was disabled, or got
    another password, meanwhile.
    """
    now = await store.lock_user(tx, user.workspace_id, user.user_id)
    if now is None or now.disabled_at is not None or now.password_hash != user.password_hash:
        raise Unauthorized("Sign in again.")
    await store.prune_sessions(tx, user.workspace_id, tx.now_ms - SESSION_IDLE_MS)
    kept = await store.sessions_of(tx, user.workspace_id, user.user_id)
    for session in kept[SESSIONS_PER_USER_MAX - 1 :]:
        await store.end_session(tx, user.workspace_id, session.session_id)
    text = format_secret(user.workspace_id, random_secret())
    row = SessionRow(
        workspace_id=user.workspace_id,
        session_id=new_id(),
        user_id=user.user_id,
        secret_hash=hash_token(text),
        user_agent="".join(each for each in user_agent if each.isprintable())[:USER_AGENT_CHARACTERS_MAX],
        created_at=tx.now_ms,
        seen_at=tx.now_ms,
        expires_at=tx.now_ms + SESSION_ABSOLUTE_MS,
    )
    await store.insert_session(tx, row)
    await store.update_user(tx, msgspec.structs.replace(now, signed_in_at=tx.now_ms))
    return text


async def find_session(tx: Tx, text: str) -> SignedIn | None:
    """Who a cookie is; None when the session has ended, the user was disabled or the workspace is gone."""
    workspace_id = workspace_of_secret(text)
    if workspace_id is None:
        return None
    session = await store.find_session(tx, workspace_id, hash_token(text))
    if session is None or not _is_alive(session, tx.now_ms):
        return None
    user = await store.get_user(tx, workspace_id, session.user_id)
    workspace = await workspaces.get_workspace(tx, workspace_id)
    if user is None or user.disabled_at is not None or workspace is None or workspace.deleted_at is not None:
        return None
    return SignedIn(
        workspace_id=workspace_id,
        workspace_name=workspace.name,
        region=workspace.region,
        outcomes_enabled=bool(workspace.outcomes_enabled),
        session_id=session.session_id,
        user_id=user.user_id,
        email=user.email,
        name=user.name,
        role=Role(user.role),
        agent_id=user.agent_id,
        theme=user.theme,
        shortcuts_enabled=bool(user.shortcuts_enabled),
        expires_at=session.expires_at,
        is_stale=tx.now_ms - session.seen_at >= SEEN_MS,
    )


async def require_session(tx: Tx, text: str) -> SignedIn:
    """As `find_session`. Raises Unauthorized."""
    found = await find_session(tx, text)
    if found is None:
        raise Unauthorized("The session has ended; sign in again.")
    return found


async def touch_session(tx: Tx, signed_in: SignedIn) -> None:
    """It was seen just now."""
    await store.touch_session(tx, signed_in.workspace_id, signed_in.session_id)


async def list_sessions(tx: Tx, workspace_id: str, user_id: str) -> list[SessionRow]:
    """A user's sessions that are alive, the last seen first."""
    rows = await store.sessions_of(tx, workspace_id, user_id)
    return [row for row in rows if _is_alive(row, tx.now_ms)]


async def end_session(tx: Tx, workspace_id: str, session_id: str) -> None:
    """Sign out."""
    await store.end_session(tx, workspace_id, session_id)
    tx.signal(Signal.WORKSPACE, workspace_id)


async def end_sessions(tx: Tx, workspace_id: str, user_id: str, *, keep_session_id: str = NIL_ID) -> int:
    """Sign out everywhere, or everywhere else; how many sessions ended."""
    ended = await store.end_sessions(tx, workspace_id, user_id, except_id=keep_session_id)
    await audit.record(
        tx, workspace_id, "user.signed_out_everywhere", user_id, after={"sessions_ended": ended}
    )
    tx.signal(Signal.WORKSPACE, workspace_id)
    return ended


def _is_alive(session: SessionRow, now_ms: int) -> bool:
    return session.expires_at > now_ms and session.seen_at + SESSION_IDLE_MS > now_ms
