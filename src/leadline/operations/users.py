"""Users of the console: who they are, and the one-use links that let them in the first time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from leadline.clock import iso_or_none
from leadline.domain.access import Role, format_secret, hash_token, workspace_of_secret
from leadline.domain.errors import (
    InvalidRequest,
    LastAdministrator,
    LimitReached,
    NoSubaccount,
    NotFound,
    UserExists,
    UserNotFound,
)
from leadline.domain.limits import LINK_MS, USERS_PER_WORKSPACE_MAX
from leadline.domain.users import email_key, user_problems
from leadline.ids import NIL_ID, new_id, random_secret
from leadline.operations import audit
from leadline.store import users as store
from leadline.store import workspaces
from leadline.store.database import Signal, Tx
from leadline.store.users import LinkRow, UserRow

ACCOUNTS_MAX = 50


@dataclass(frozen=True, slots=True)
class NewUser:
    """What a user is made of. `agent_id` is the phone system's name of the agent that he works as."""

    email: str
    name: str
    role: str = Role.ADMINISTRATOR
    agent_id: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """One user, with the name of his workspace."""

    user: UserRow
    workspace_name: str


@dataclass(frozen=True, slots=True)
class OpenLink:
    """What a one-use link is good for: a user who sets a password, or (None) the first administrator."""

    workspace_id: str
    link_id: str
    user: UserRow | None


class LinkGone(NotFound):
    """The link was used, is too old, or never was."""

    noun = "link"


async def list_users(tx: Tx, workspace_id: str) -> list[UserRow]:
    """All of them (at most a thousand), the oldest first."""
    return await store.list_users(tx, workspace_id, limit=USERS_PER_WORKSPACE_MAX)


async def get_user(tx: Tx, workspace_id: str, user_id: str) -> UserRow:
    """Raises UserNotFound."""
    row = await store.get_user(tx, workspace_id, user_id)
    if row is None:
        raise UserNotFound
    return row


async def find_user(tx: Tx, workspace_id: str, email: str) -> UserRow | None:
    """The user of a workspace who has this address."""
    return await store.find_user(tx, workspace_id, email_key(email))


async def create_user(tx: Tx, workspace_id: str, new: NewUser) -> UserRow:
    """A user without a password. Raises InvalidRequest, UserExists, LimitReached, NoSubaccount."""
    await _lock_workspace(tx, workspace_id)
    row = UserRow(
        workspace_id=workspace_id,
        user_id=new_id(),
        email=new.email.strip(),
        email_key=email_key(new.email),
        name=new.name.strip(),
        role=new.role,
        agent_id=_agent_id(new.agent_id),
        password_hash=None,
        theme="system",
        shortcuts_enabled=1,
        disabled_at=None,
        signed_in_at=None,
        created_at=tx.now_ms,
        updated_at=tx.now_ms,
    )
    _check(row)
    if len(await list_users(tx, workspace_id)) >= USERS_PER_WORKSPACE_MAX:
        raise LimitReached(f"A workspace has at most {USERS_PER_WORKSPACE_MAX} users.")
    await _refuse_taken(tx, row)
    await store.insert_user(tx, row)
    await audit.record(tx, workspace_id, "user.created", row.user_id, after=user_view(row))
    return row


async def change_user(tx: Tx, workspace_id: str, user_id: str, changes: Mapping[str, Any]) -> UserRow:
    """Merge `email`, `name`, `role`, `agent_id`. Raises UserNotFound, LastAdministrator, UserExists, InvalidRequest."""
    await _lock_workspace(tx, workspace_id)
    before = await _lock_user(tx, workspace_id, user_id)
    row = msgspec.structs.replace(before, **changes, updated_at=max(tx.now_ms, before.updated_at))
    row = msgspec.structs.replace(
        row,
        email=row.email.strip(),
        email_key=email_key(row.email),
        name=row.name.strip(),
        agent_id=_agent_id(row.agent_id),
    )
    _check(row)
    if before.role == Role.ADMINISTRATOR != row.role:
        await _refuse_last(tx, before)
    await _refuse_taken(tx, row)
    return await _update(tx, before, row, "user.changed")


async def set_disabled(tx: Tx, workspace_id: str, user_id: str, *, disabled: bool) -> UserRow:
    """Lock a user out, at once and everywhere, or let him in again. Raises UserNotFound, LastAdministrator."""
    await _lock_workspace(tx, workspace_id)
    before = await _lock_user(tx, workspace_id, user_id)
    if disabled == (before.disabled_at is not None):
        return before
    if disabled:
        await _refuse_last(tx, before)
        await store.end_sessions(tx, workspace_id, user_id, except_id=NIL_ID)
        await store.delete_links_of(tx, workspace_id, user_id)
    row = msgspec.structs.replace(before, disabled_at=tx.now_ms if disabled else None, updated_at=tx.now_ms)
    return await _update(tx, before, row, "user.disabled" if disabled else "user.enabled")


async def set_preferences(
    tx: Tx, workspace_id: str, user_id: str, *, theme: str, shortcuts_enabled: bool
) -> UserRow:
    """How the console looks and whether single keys act. His own affair: not in the audit log."""
    before = await _lock_user(tx, workspace_id, user_id)
    row = msgspec.structs.replace(before, theme=theme, shortcuts_enabled=int(shortcuts_enabled))
    await store.update_user(tx, row)
    return row


async def set_password(
    tx: Tx, workspace_id: str, user_id: str, password_hash: str, *, keep_session_id: str = NIL_ID
) -> None:
    """A new password ends every other session and link of the user. Raises UserNotFound."""
    before = await _lock_user(tx, workspace_id, user_id)
    row = msgspec.structs.replace(before, password_hash=password_hash, updated_at=tx.now_ms)
    await store.end_sessions(tx, workspace_id, user_id, except_id=keep_session_id)
    await store.delete_links_of(tx, workspace_id, user_id)
    await _update(tx, before, row, "user.password_set")


async def accounts_of(tx: Tx, email: str) -> list[Account]:
    """The accounts of an address, over all workspaces: who signs in names none."""
    found = []
    for user in await store.users_by_email(tx, email_key(email), limit=ACCOUNTS_MAX):
        workspace = await workspaces.get_workspace(tx, user.workspace_id)
        if workspace is not None and workspace.deleted_at is None:
            found.append(Account(user, workspace.name))
    return found


async def make_link(tx: Tx, workspace_id: str, user_id: str) -> str:
    """What a link for setting a password holds: one use, 15 minutes; it replaces the one before."""
    user = await get_user(tx, workspace_id, user_id)
    if user.disabled_at is not None:
        raise InvalidRequest("This user is disabled.")
    await store.delete_links_of(tx, workspace_id, user_id)
    await audit.record(tx, workspace_id, "user.link_made", user_id)
    return await _insert_link(tx, workspace_id, user_id)


async def make_first_link(tx: Tx, workspace_id: str) -> str | None:
    """What the link for the first administrator holds; None when the workspace has users already."""
    if await store.has_users(tx, workspace_id):
        return None
    await store.delete_first_links(tx, workspace_id)
    return await _insert_link(tx, workspace_id, None)


async def open_link(tx: Tx, text: str) -> OpenLink:
    """What a link is good for, without using it. Raises LinkGone."""
    workspace_id = workspace_of_secret(text)
    row = None if workspace_id is None else await store.find_link(tx, workspace_id, hash_token(text))
    if row is None or row.expires_at <= tx.now_ms:
        raise LinkGone
    user = None if row.user_id is None else await store.get_user(tx, row.workspace_id, row.user_id)
    spent = user is not None and user.disabled_at is not None
    if spent or (user is None and await store.has_users(tx, row.workspace_id)):
        raise LinkGone
    return OpenLink(row.workspace_id, row.link_id, user)


async def use_link(tx: Tx, text: str, password_hash: str, new: NewUser | None) -> UserRow:
    """Use a link up: set the user's password, or make the first administrator out of `new`. Raises LinkGone."""
    link = await open_link(tx, text)
    await _lock_workspace(tx, link.workspace_id)
    if not await store.delete_link(tx, link.workspace_id, link.link_id):
        raise LinkGone
    user = link.user
    if user is None:
        if new is None or await store.has_users(tx, link.workspace_id):
            raise LinkGone
        user = await create_user(tx, link.workspace_id, new)
    await set_password(tx, user.workspace_id, user.user_id, password_hash)
    return await get_user(tx, user.workspace_id, user.user_id)


def user_view(row: UserRow) -> dict[str, Any]:
    """What may be shown of a user, and what the audit log keeps."""
    return {
        "user_id": row.user_id,
        "email": row.email,
        "name": row.name,
        "role": row.role,
        "agent_id": row.agent_id,
        "has_password": row.password_hash is not None,
        "disabled_at": iso_or_none(row.disabled_at),
        "signed_in_at": iso_or_none(row.signed_in_at),
        "created_at": iso_or_none(row.created_at),
    }


async def _insert_link(tx: Tx, workspace_id: str, user_id: str | None) -> str:
    await store.prune_links(tx, workspace_id)
    text = format_secret(workspace_id, random_secret())
    row = LinkRow(
        workspace_id=workspace_id,
        link_id=new_id(),
        user_id=user_id,
        secret_hash=hash_token(text),
        created_at=tx.now_ms,
        expires_at=tx.now_ms + LINK_MS,
    )
    await store.insert_link(tx, row)
    return text


async def _lock_user(tx: Tx, workspace_id: str, user_id: str) -> UserRow:
    row = await store.lock_user(tx, workspace_id, user_id)
    if row is None:
        raise UserNotFound
    return row


async def _update(tx: Tx, before: UserRow, row: UserRow, action: str) -> UserRow:
    await store.update_user(tx, row)
    await audit.record(
        tx, row.workspace_id, action, row.user_id, before=_audited(before), after=_audited(row)
    )
    tx.signal(Signal.WORKSPACE, row.workspace_id)
    return row


def _audited(row: UserRow) -> dict[str, Any]:
    return {name: value for name, value in user_view(row).items() if name != "signed_in_at"}


async def _lock_workspace(tx: Tx, workspace_id: str) -> None:
    """One change of users at a time: whoever is counted stays."""
    row = await workspaces.lock_workspace(tx, workspace_id)
    if row is None or row.deleted_at is not None:
        raise NoSubaccount("There is no such workspace.")


async def _refuse_last(tx: Tx, row: UserRow) -> None:
    if row.role != Role.ADMINISTRATOR or row.disabled_at is not None:
        return
    others = [
        each
        for each in await list_users(tx, row.workspace_id)
        if each.role == Role.ADMINISTRATOR and each.disabled_at is None and each.user_id != row.user_id
    ]
    if not others:
        raise LastAdministrator


async def _refuse_taken(tx: Tx, row: UserRow) -> None:
    same = await store.find_user(tx, row.workspace_id, row.email_key)
    if same is not None and same.user_id != row.user_id:
        raise UserExists("There is a user with this address.")
    if row.agent_id is None:
        return
    same = await store.find_agents_user(tx, row.workspace_id, row.agent_id)
    if same is not None and same.user_id != row.user_id:
        raise UserExists(f"{same.name} works as this agent.")


def _check(row: UserRow) -> None:
    problems = user_problems(email=row.email, name=row.name, role=row.role, agent_id=row.agent_id)
    if problems:
        first = problems[0]
        raise InvalidRequest(f"The {first.field} {first.message}.", details=problems)


def _agent_id(text: str | None) -> str | None:
    """The agent, or nobody for an empty field."""
    return (text or "").strip() or None
