"""Workspaces, tokens and webhook secrets (contract § 2, § 8 and § 10)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from leadline.clock import iso_from_ms, iso_or_none
from leadline.domain.access import (
    TOKEN_PREFIX_CHARACTERS,
    Principal,
    Scope,
    format_token,
    hash_token,
    workspace_of,
)
from leadline.domain.errors import InvalidRequest, NoSubaccount, OutcomeNotFound, Problem, Unauthorized
from leadline.domain.limits import WEBHOOK_SECRETS_OLD_MAX
from leadline.domain.signing import new_secret
from leadline.ids import new_id, random_bytes
from leadline.operations import audit
from leadline.operations.views import workspace_view
from leadline.store import outcomes
from leadline.store import workspaces as store
from leadline.store.database import Signal, Tx
from leadline.store.workspaces import SecretRow, TokenRow, WorkspaceRow
from leadline.wire.deliveries import RotatedAnswer, SecretAnswer
from leadline.wire.workspaces import WorkspaceAnswer

DEFAULT_OVERLAP_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token as it is shown this once."""

    token_id: str
    token: str


async def create_workspace(
    tx: Tx, name: str, *, organization_id: str | None = None, workspace_id: str | None = None
) -> WorkspaceRow:
    """A workspace with its first webhook secret; without an organization it founds one."""
    row = WorkspaceRow(
        workspace_id=workspace_id or new_id(),
        organization_id=organization_id or new_id(),
        name=name,
        region="US",
        outcomes_enabled=1,
        require_disposition="answered",
        wrap_up_timeout_seconds=None,
        wrap_up_timeout_outcome_id=None,
        retention_days=90,
        created_at=tx.now_ms,
        updated_at=tx.now_ms,
        deleted_at=None,
    )
    await store.insert_workspace(tx, row)
    await _insert_secret(tx, row.workspace_id)
    await audit.record(tx, row.workspace_id, "workspace.created", row.workspace_id, after=workspace_view(row))
    return row


async def get_workspace(tx: Tx, workspace_id: str) -> WorkspaceAnswer:
    row = await store.get_workspace(tx, workspace_id)
    if row is None or row.deleted_at is not None:
        raise NoSubaccount("This token's workspace no longer exists.")
    return WorkspaceAnswer(workspace=workspace_view(row))


async def change_workspace(tx: Tx, workspace_id: str, changes: Mapping[str, Any]) -> WorkspaceAnswer:
    """Merge settings, by their public names. Raises OutcomeNotFound, InvalidRequest."""
    row = await store.lock_workspace(tx, workspace_id)
    if row is None or row.deleted_at is not None:
        raise NoSubaccount("This token's workspace no longer exists.")
    outcome_id = changes.get("wrap_up_timeout_outcome_id")
    if outcome_id is not None:
        await _require_disposition(tx, workspace_id, outcome_id)
    if "outcomes_enabled" in changes:
        changes = {**changes, "outcomes_enabled": int(changes["outcomes_enabled"])}
    before = workspace_view(row)
    row = msgspec.structs.replace(row, **changes, updated_at=max(tx.now_ms, row.updated_at))
    await store.update_workspace(tx, row)
    await audit.record(
        tx, workspace_id, "workspace.changed", workspace_id, before=before, after=workspace_view(row)
    )
    tx.signal(Signal.WORKSPACE, workspace_id)
    return WorkspaceAnswer(workspace=workspace_view(row))


async def _require_disposition(tx: Tx, workspace_id: str, outcome_id: str) -> None:
    outcome = await outcomes.get_outcome(tx, workspace_id, outcome_id)
    if outcome is None:
        raise OutcomeNotFound
    if outcome.outcome_type != "disposition":
        raise InvalidRequest(
            "A wrap-up is closed by a disposition.",
            details=[Problem("wrap_up_timeout_outcome_id", "is not a disposition")],
        )


async def delete_workspace(tx: Tx, workspace_id: str) -> bool:
    """Take everything away; its tokens then resolve to no workspace. False when there was none."""
    tx.signal(Signal.WORKSPACE, workspace_id)
    return await store.delete_workspace(tx, workspace_id)


async def list_workspaces(tx: Tx) -> list[WorkspaceRow]:
    return await store.list_workspaces(tx)


async def has_workspaces(tx: Tx) -> bool:
    return await store.has_workspaces(tx)


async def create_token(
    tx: Tx,
    workspace_id: str,
    scopes: frozenset[Scope],
    *,
    name: str | None = None,
    expires_at: int | None = None,
) -> NewToken:
    """A token with 256 random bits; only its hash is kept. Raises NoSubaccount."""
    workspace = await store.get_workspace(tx, workspace_id)
    if workspace is None or workspace.deleted_at is not None:
        raise NoSubaccount("There is no such workspace.")
    secret = base64.urlsafe_b64encode(random_bytes(32)).decode().rstrip("=")
    token = format_token(workspace_id, secret)
    row = TokenRow(
        workspace_id=workspace_id,
        token_id=new_id(),
        token_hash=hash_token(token),
        # Of the secret part: the workspace's digits would look alike on every one.
        token_prefix=secret[:TOKEN_PREFIX_CHARACTERS],
        name=name,
        scopes=" ".join(sorted(scopes)),
        created_at=tx.now_ms,
        expires_at=expires_at,
        last_used_at=None,
        revoked_at=None,
    )
    await store.insert_token(tx, row)
    await audit.record(tx, workspace_id, "token.created", row.token_id, after=token_view(row))
    return NewToken(token_id=row.token_id, token=token)


async def list_tokens(tx: Tx, workspace_id: str) -> list[TokenRow]:
    return await store.list_tokens(tx, workspace_id)


async def revoke_token(tx: Tx, token_id: str) -> bool:
    """False when there is no such token, or it was revoked before."""
    workspace_id = await store.workspace_of_token(tx, token_id)
    if workspace_id is None:
        return False
    return await revoke_token_of(tx, workspace_id, token_id)


async def revoke_token_of(tx: Tx, workspace_id: str, token_id: str) -> bool:
    """Revoke a token of this workspace; False when there is no such token, or it was revoked before."""
    if not await store.revoke_token(tx, workspace_id, token_id):
        return False
    await audit.record(tx, workspace_id, "token.revoked", token_id)
    tx.signal(Signal.WORKSPACE, workspace_id)
    return True


def token_view(row: TokenRow) -> dict[str, Any]:
    """What may be shown of a token: of its secret only how it begins."""
    return {
        "token_id": row.token_id,
        "prefix": row.token_prefix,
        "name": row.name,
        "scopes": row.scopes.split(),
        "created_at": iso_or_none(row.created_at),
        "last_used_at": iso_or_none(row.last_used_at),
        "expires_at": iso_or_none(row.expires_at),
        "revoked_at": iso_or_none(row.revoked_at),
    }


async def authenticate(tx: Tx, token: str) -> Principal:
    """Who a token is. Raises Unauthorized, or NoSubaccount when its workspace was deleted."""
    workspace_id = workspace_of(token)
    row = None
    if workspace_id is not None:
        row = await store.find_token(tx, workspace_id, hash_token(token))
    if row is None or row.revoked_at is not None or _expired(row, tx.now_ms):
        raise Unauthorized("The token is not valid.")
    workspace = await store.get_workspace(tx, row.workspace_id)
    if workspace is None or workspace.deleted_at is not None:
        raise NoSubaccount("This token's workspace no longer exists.")
    return Principal(
        workspace_id=row.workspace_id,
        token_id=row.token_id,
        scopes=frozenset(Scope(name) for name in row.scopes.split()),
        region=workspace.region,
        outcomes_enabled=bool(workspace.outcomes_enabled),
        token_name=row.name or row.token_prefix,
    )


def _expired(row: TokenRow, now_ms: int) -> bool:
    return row.expires_at is not None and row.expires_at <= now_ms


async def signing_secrets(tx: Tx, workspace_id: str) -> list[str]:
    """The secrets that sign at this moment, the newest first."""
    return [tx.vault.open(row.secret, workspace_id) for row in await store.secrets(tx, workspace_id)]


async def show_secret(tx: Tx, workspace_id: str) -> SecretAnswer:
    """The newest secret, masked."""
    rows = await store.secrets(tx, workspace_id)
    newest = rows[0]
    secret = tx.vault.open(newest.secret, workspace_id)
    masked = f"{secret[:10]}…{secret[-4:]}"
    return SecretAnswer(secret=masked, created_at=iso_from_ms(newest.created_at), signing_with=len(rows))


async def rotate_secret(tx: Tx, workspace_id: str, overlap_seconds: int | None) -> RotatedAnswer:
    """A new secret. The one before signs along for the overlap; older ones until their own ends, five at most."""
    await store.lock_workspace(tx, workspace_id)
    await store.delete_expired_secrets(tx, workspace_id)
    rows = await store.secrets(tx, workspace_id)
    overlap = DEFAULT_OVERLAP_SECONDS if overlap_seconds is None else overlap_seconds
    for row in rows:
        if row.expires_at is None:
            await store.expire_secret(tx, workspace_id, row.secret_id, tx.now_ms + overlap * 1000)
    for row in rows[WEBHOOK_SECRETS_OLD_MAX:]:
        await store.delete_secret(tx, workspace_id, row.secret_id)
    secret = await _insert_secret(tx, workspace_id)
    await audit.record(tx, workspace_id, "webhook_secret.rotated", None, after={"overlap_seconds": overlap})
    tx.signal(Signal.WORKSPACE, workspace_id)
    return RotatedAnswer(secret=secret)


async def _insert_secret(tx: Tx, workspace_id: str) -> str:
    secret = new_secret(random_bytes(32))
    row = SecretRow(
        workspace_id=workspace_id,
        secret_id=new_id(),
        secret=tx.vault.seal(secret, workspace_id),
        created_at=tx.now_ms,
        expires_at=None,
    )
    await store.insert_secret(tx, row)
    return secret
