"""Users of the console, their sessions and their one-use links."""

from __future__ import annotations

from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import Row, columns, insertion, values_of


class UserRow(Row, frozen=True, gc=False):
    workspace_id: str
    user_id: str
    email: str
    email_key: str
    name: str
    role: str
    agent_id: str | None
    password_hash: str | None
    theme: str
    shortcuts_enabled: int
    disabled_at: int | None
    signed_in_at: int | None
    created_at: int
    updated_at: int


class SessionRow(Row, frozen=True, gc=False):
    workspace_id: str
    session_id: str
    user_id: str
    secret_hash: str
    user_agent: str
    created_at: int
    seen_at: int
    expires_at: int


class LinkRow(Row, frozen=True, gc=False):
    workspace_id: str
    link_id: str
    user_id: str | None
    secret_hash: str
    created_at: int
    expires_at: int


_USER = columns(UserRow)
_SESSION = columns(SessionRow)
_LINK = columns(LinkRow)

_INSERT = insertion("users", UserRow)
_GET = Statement(f"SELECT {_USER} FROM users WHERE workspace_id = :workspace_id AND user_id = :user_id")
_LOCK = Statement(
    f"SELECT {_USER} FROM users WHERE workspace_id = :workspace_id AND user_id = :user_id {{for_update}}"
)
_LIST = Statement(
    f"SELECT {_USER} FROM users WHERE workspace_id = :workspace_id ORDER BY created_at, user_id LIMIT :limit"
)
_BY_KEY = Statement(
    f"SELECT {_USER} FROM users WHERE workspace_id = :workspace_id AND email_key = :email_key"
)
_BY_EMAIL = Statement(
    f"SELECT {_USER} FROM users WHERE email_key = :email_key ORDER BY workspace_id LIMIT :limit"
)
_BY_AGENT = Statement(
    f"SELECT {_USER} FROM users WHERE workspace_id = :workspace_id AND agent_id = :agent_id"
)
_ANY = Statement("SELECT 1 FROM users WHERE workspace_id = :workspace_id LIMIT 1")
_UPDATE = Statement(
    "UPDATE users SET email = :email, email_key = :email_key, name = :name, role = :role, agent_id = :agent_id,"
    " password_hash = :password_hash, theme = :theme, shortcuts_enabled = :shortcuts_enabled,"
    " disabled_at = :disabled_at, signed_in_at = :signed_in_at, updated_at = :updated_at"
    " WHERE workspace_id = :workspace_id AND user_id = :user_id"
)

_INSERT_SESSION = insertion("user_sessions", SessionRow)
_FIND_SESSION = Statement(
    f"SELECT {_SESSION} FROM user_sessions WHERE workspace_id = :workspace_id AND secret_hash = :secret_hash"
)
_SESSIONS = Statement(
    f"SELECT {_SESSION} FROM user_sessions WHERE workspace_id = :workspace_id AND user_id = :user_id"
    " ORDER BY seen_at DESC, session_id DESC"
)
_TOUCH_SESSION = Statement(
    "UPDATE user_sessions SET seen_at = :seen_at"
    " WHERE workspace_id = :workspace_id AND session_id = :session_id AND seen_at < :seen_at"
)
_END_SESSION = Statement(
    "DELETE FROM user_sessions WHERE workspace_id = :workspace_id AND session_id = :session_id"
)
_END_SESSIONS = Statement(
    "DELETE FROM user_sessions WHERE workspace_id = :workspace_id AND user_id = :user_id"
    " AND session_id <> :except_id"
)
_PRUNE_SESSIONS = Statement(
    "DELETE FROM user_sessions WHERE workspace_id = :workspace_id AND (expires_at <= :now OR seen_at <= :idle_since)"
)

_INSERT_LINK = insertion("user_links", LinkRow)
_FIND_LINK = Statement(
    f"SELECT {_LINK} FROM user_links WHERE workspace_id = :workspace_id AND secret_hash = :secret_hash"
)
_DELETE_LINK = Statement("DELETE FROM user_links WHERE workspace_id = :workspace_id AND link_id = :link_id")
_DELETE_LINKS_OF = Statement(
    "DELETE FROM user_links WHERE workspace_id = :workspace_id AND user_id = :user_id"
)
_DELETE_FIRST_LINKS = Statement(
    "DELETE FROM user_links WHERE workspace_id = :workspace_id AND user_id IS NULL"
)
_PRUNE_LINKS = Statement("DELETE FROM user_links WHERE workspace_id = :workspace_id AND expires_at <= :now")


def _user(row: object) -> UserRow | None:
    return UserRow(*row) if row else None  # type: ignore[misc] # a row is its columns in their order


async def insert_user(tx: Tx, row: UserRow) -> None:
    await tx.run(_INSERT, **values_of(row))


async def get_user(tx: Tx, workspace_id: str, user_id: str) -> UserRow | None:
    return _user(await tx.first(_GET, workspace_id=workspace_id, user_id=user_id))


async def lock_user(tx: Tx, workspace_id: str, user_id: str) -> UserRow | None:
    """The user, held until the commit: what is written back is written whole."""
    return _user(await tx.first(_LOCK, workspace_id=workspace_id, user_id=user_id))


async def list_users(tx: Tx, workspace_id: str, *, limit: int) -> list[UserRow]:
    """Oldest first."""
    return [UserRow(*row) for row in await tx.all(_LIST, workspace_id=workspace_id, limit=limit)]


async def find_user(tx: Tx, workspace_id: str, email_key: str) -> UserRow | None:
    return _user(await tx.first(_BY_KEY, workspace_id=workspace_id, email_key=email_key))


async def users_by_email(tx: Tx, email_key: str, *, limit: int) -> list[UserRow]:
    """Over all workspaces: who signs in names none."""
    return [UserRow(*row) for row in await tx.all(_BY_EMAIL, email_key=email_key, limit=limit)]


async def find_agents_user(tx: Tx, workspace_id: str, agent_id: str) -> UserRow | None:
    return _user(await tx.first(_BY_AGENT, workspace_id=workspace_id, agent_id=agent_id))


async def has_users(tx: Tx, workspace_id: str) -> bool:
    return await tx.first(_ANY, workspace_id=workspace_id) is not None


async def update_user(tx: Tx, row: UserRow) -> None:
    await tx.run(_UPDATE, **values_of(row))


async def insert_session(tx: Tx, row: SessionRow) -> None:
    await tx.run(_INSERT_SESSION, **values_of(row))


async def find_session(tx: Tx, workspace_id: str, secret_hash: str) -> SessionRow | None:
    row = await tx.first(_FIND_SESSION, workspace_id=workspace_id, secret_hash=secret_hash)
    return SessionRow(*row) if row else None


async def sessions_of(tx: Tx, workspace_id: str, user_id: str) -> list[SessionRow]:
    """The last seen first."""
    return [SessionRow(*row) for row in await tx.all(_SESSIONS, workspace_id=workspace_id, user_id=user_id)]


async def touch_session(tx: Tx, workspace_id: str, session_id: str) -> None:
    await tx.run(_TOUCH_SESSION, workspace_id=workspace_id, session_id=session_id, seen_at=tx.now_ms)


async def end_session(tx: Tx, workspace_id: str, session_id: str) -> bool:
    return bool(await tx.run(_END_SESSION, workspace_id=workspace_id, session_id=session_id))


async def end_sessions(tx: Tx, workspace_id: str, user_id: str, *, except_id: str) -> int:
    """End every session of a user but one; the nil id keeps none."""
    return await tx.run(_END_SESSIONS, workspace_id=workspace_id, user_id=user_id, except_id=except_id)


async def prune_sessions(tx: Tx, workspace_id: str, idle_since: int) -> None:
    await tx.run(_PRUNE_SESSIONS, workspace_id=workspace_id, now=tx.now_ms, idle_since=idle_since)


async def insert_link(tx: Tx, row: LinkRow) -> None:
    await tx.run(_INSERT_LINK, **values_of(row))


async def find_link(tx: Tx, workspace_id: str, secret_hash: str) -> LinkRow | None:
    row = await tx.first(_FIND_LINK, workspace_id=workspace_id, secret_hash=secret_hash)
    return LinkRow(*row) if row else None


async def delete_link(tx: Tx, workspace_id: str, link_id: str) -> bool:
    """False when somebody else was faster."""
    return bool(await tx.run(_DELETE_LINK, workspace_id=workspace_id, link_id=link_id))


async def delete_links_of(tx: Tx, workspace_id: str, user_id: str) -> None:
    await tx.run(_DELETE_LINKS_OF, workspace_id=workspace_id, user_id=user_id)


async def delete_first_links(tx: Tx, workspace_id: str) -> None:
    """The links that would make the first administrator."""
    await tx.run(_DELETE_FIRST_LINKS, workspace_id=workspace_id)


async def prune_links(tx: Tx, workspace_id: str) -> None:
    await tx.run(_PRUNE_LINKS, workspace_id=workspace_id, now=tx.now_ms)
