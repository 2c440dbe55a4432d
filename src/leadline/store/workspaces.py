"""Workspaces, their tokens and their webhook secrets."""

from __future__ import annotations

from collections.abc import Sequence

from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import Row, columns, insertion, update_of_many, values_of


class WorkspaceRow(Row, frozen=True, gc=False):
    workspace_id: str
    organization_id: str
    name: str
    region: str
    outcomes_enabled: int
    require_disposition: str
    wrap_up_timeout_seconds: int | None
    wrap_up_timeout_outcome_id: str | None
    retention_days: int
    created_at: int
    updated_at: int
    deleted_at: int | None
    configuration_revision: int = 0


class TokenRow(Row, frozen=True, gc=False):
    workspace_id: str
    token_id: str
    token_hash: str
    token_prefix: str
    name: str | None
    scopes: str
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None


class TokenUse(Row, frozen=True, gc=False):
    workspace_id: str
    token_id: str
    last_used_at: int


class SecretRow(Row, frozen=True, gc=False):
    workspace_id: str
    secret_id: str
    secret: str
    created_at: int
    expires_at: int | None


_WORKSPACE = columns(WorkspaceRow)
_TOKEN = columns(TokenRow)
_SECRET = columns(SecretRow)

_INSERT = insertion("workspaces", WorkspaceRow)
_GET = Statement(f"SELECT {_WORKSPACE} FROM workspaces WHERE workspace_id = :workspace_id")
_LOCK = Statement(f"SELECT {_WORKSPACE} FROM workspaces WHERE workspace_id = :workspace_id {{for_update}}")
_LIST = Statement(f"SELECT {_WORKSPACE} FROM workspaces WHERE deleted_at IS NULL ORDER BY workspace_id")
# Any row that there is once: who holds it decides alone whether this is the first run.
_LOCK_SCHEMA = Statement("SELECT version_num FROM alembic_version {for_update}")
_ANY = Statement("SELECT 1 FROM workspaces LIMIT 1")
_UPDATE = Statement(
    "UPDATE workspaces SET name = :name, region = :region, outcomes_enabled = :outcomes_enabled,"
    " require_disposition = :require_disposition, wrap_up_timeout_seconds = :wrap_up_timeout_seconds,"
    " wrap_up_timeout_outcome_id = :wrap_up_timeout_outcome_id, retention_days = :retention_days,"
    " updated_at = :updated_at WHERE workspace_id = :workspace_id"
)
_CLEAR_TIMEOUT_OUTCOME = Statement(
    "UPDATE workspaces SET wrap_up_timeout_outcome_id = NULL"
    " WHERE workspace_id = :workspace_id AND wrap_up_timeout_outcome_id = :outcome_id"
)
_REVISION = Statement("SELECT configuration_revision FROM workspaces WHERE workspace_id = :workspace_id")
_CONFIGURATION_CHANGED = Statement(
    "UPDATE workspaces SET configuration_revision = configuration_revision + 1 WHERE workspace_id = :workspace_id"
)
_MARK_DELETED = Statement(
    "UPDATE workspaces SET deleted_at = :deleted_at WHERE workspace_id = :workspace_id AND deleted_at IS NULL"
)
# Children first: calls and outcomes do not let go of what they point at.
_EMPTY = tuple(
    Statement(f"DELETE FROM {table} WHERE workspace_id = :workspace_id")
    for table in (
        "contact_import_problems", "contact_import_numbers", "contact_import_parts", "contact_imports",
        "drafts", "events", "idempotency_keys", "attempts", "deliveries", "replays", "endpoint_hours",
        "applied_outcomes", "list_moves", "memberships", "calls", "agents", "contacts", "outcomes", "endpoints",
        "smart_lists", "webhook_secrets", "user_links", "user_sessions", "users", "audit_entries",
        "report_counts", "report_marks", "deleted_names",
    )
)  # fmt: skip

_INSERT_TOKEN = insertion("tokens", TokenRow)
_FIND_TOKEN = Statement(
    f"SELECT {_TOKEN} FROM tokens WHERE workspace_id = :workspace_id AND token_hash = :token_hash"
)
_LIST_TOKENS = Statement(
    f"SELECT {_TOKEN} FROM tokens WHERE workspace_id = :workspace_id ORDER BY created_at, token_id"
)
_TOKEN_WORKSPACE = Statement("SELECT workspace_id FROM tokens WHERE token_id = :token_id")
_REVOKE_TOKEN = Statement(
    "UPDATE tokens SET revoked_at = :revoked_at"
    " WHERE workspace_id = :workspace_id AND token_id = :token_id AND revoked_at IS NULL"
)
_TOUCH_TOKENS = update_of_many("tokens", "last_used_at = :last_used_at", ("token_id",))

_INSERT_SECRET = insertion("webhook_secrets", SecretRow)
_SECRETS = Statement(
    f"SELECT {_SECRET} FROM webhook_secrets WHERE workspace_id = :workspace_id"
    " AND (expires_at IS NULL OR expires_at > :now) ORDER BY created_at DESC, secret_id DESC"
)
_EXPIRE_SECRET = Statement(
    "UPDATE webhook_secrets SET expires_at = :expires_at"
    " WHERE workspace_id = :workspace_id AND secret_id = :secret_id"
)
_DELETE_SECRET = Statement(
    "DELETE FROM webhook_secrets WHERE workspace_id = :workspace_id AND secret_id = :secret_id"
)
_DELETE_EXPIRED_SECRETS = Statement(
    "DELETE FROM webhook_secrets WHERE workspace_id = :workspace_id AND expires_at <= :now"
)


async def insert_workspace(tx: Tx, row: WorkspaceRow) -> None:
    await tx.run(_INSERT, **values_of(row))


async def get_workspace(tx: Tx, workspace_id: str) -> WorkspaceRow | None:
    """The workspace, also when it has been deleted: then its tokens resolve to nothing."""
    row = await tx.first(_GET, workspace_id=workspace_id)
    return WorkspaceRow(*row) if row else None


async def lock_workspace(tx: Tx, workspace_id: str) -> WorkspaceRow | None:
    """The workspace, held until the commit: for what must be counted and for settings that merge."""
    row = await tx.first(_LOCK, workspace_id=workspace_id)
    return WorkspaceRow(*row) if row else None


async def configuration_revision(tx: Tx, workspace_id: str) -> int:
    """Another number after every change of the workspace's outcomes and Smart Lists."""
    row = await tx.first(_REVISION, workspace_id=workspace_id)
    return int(row[0]) if row else 0


async def configuration_changed(tx: Tx, workspace_id: str) -> None:
    """Whoever writes a row of `outcomes` or `smart_lists` says so, in the same transaction."""
    await tx.run(_CONFIGURATION_CHANGED, workspace_id=workspace_id)


async def list_workspaces(tx: Tx) -> list[WorkspaceRow]:
    return [WorkspaceRow(*row) for row in await tx.all(_LIST)]


async def has_workspaces(tx: Tx) -> bool:
    """Whether there ever was one. Nobody makes the first at the same time: the answer holds until the commit."""
    await tx.first(_LOCK_SCHEMA)
    return await tx.first(_ANY) is not None


async def update_workspace(tx: Tx, row: WorkspaceRow) -> None:
    await tx.run(_UPDATE, **values_of(row))


async def clear_timeout_outcome(tx: Tx, workspace_id: str, outcome_id: str) -> None:
    """The timeout of a wrap-up no longer applies this outcome: it is gone, or no disposition any more."""
    await tx.run(_CLEAR_TIMEOUT_OUTCOME, workspace_id=workspace_id, outcome_id=outcome_id)


async def delete_workspace(tx: Tx, workspace_id: str) -> bool:
    """Empty it and leave a tombstone; False when there was none."""
    if not await tx.run(_MARK_DELETED, workspace_id=workspace_id, deleted_at=tx.now_ms):
        return False
    for statement in _EMPTY:
        await tx.run(statement, workspace_id=workspace_id)
    return True


async def insert_token(tx: Tx, row: TokenRow) -> None:
    await tx.run(_INSERT_TOKEN, **values_of(row))


async def find_token(tx: Tx, workspace_id: str, token_hash: str) -> TokenRow | None:
    row = await tx.first(_FIND_TOKEN, workspace_id=workspace_id, token_hash=token_hash)
    return TokenRow(*row) if row else None


async def list_tokens(tx: Tx, workspace_id: str) -> list[TokenRow]:
    return [TokenRow(*row) for row in await tx.all(_LIST_TOKENS, workspace_id=workspace_id)]


async def workspace_of_token(tx: Tx, token_id: str) -> str | None:
    """For the command line, which revokes by the token's id alone."""
    row = await tx.first(_TOKEN_WORKSPACE, token_id=token_id)
    return row[0] if row else None


async def revoke_token(tx: Tx, workspace_id: str, token_id: str) -> bool:
    return bool(
        await tx.run(_REVOKE_TOKEN, workspace_id=workspace_id, token_id=token_id, revoked_at=tx.now_ms)
    )


async def touch_tokens(tx: Tx, used: Sequence[tuple[str, str, int]]) -> None:
    """Record when tokens were last used: (workspace_id, token_id, at)."""
    by_workspace: dict[str, list[TokenUse]] = {}
    for workspace_id, token_id, at in used:
        by_workspace.setdefault(workspace_id, []).append(TokenUse(workspace_id, token_id, at))
    for uses in by_workspace.values():
        await tx.change_many(_TOUCH_TOKENS, uses)


async def insert_secret(tx: Tx, row: SecretRow) -> None:
    await tx.run(_INSERT_SECRET, **values_of(row))


async def secrets(tx: Tx, workspace_id: str) -> list[SecretRow]:
    """The secrets that sign at this moment, the newest (which has no end) first."""
    return [SecretRow(*row) for row in await tx.all(_SECRETS, workspace_id=workspace_id, now=tx.now_ms)]


async def expire_secret(tx: Tx, workspace_id: str, secret_id: str, expires_at: int) -> None:
    await tx.run(_EXPIRE_SECRET, workspace_id=workspace_id, secret_id=secret_id, expires_at=expires_at)


async def delete_secret(tx: Tx, workspace_id: str, secret_id: str) -> None:
    await tx.run(_DELETE_SECRET, workspace_id=workspace_id, secret_id=secret_id)


async def delete_expired_secrets(tx: Tx, workspace_id: str) -> None:
    await tx.run(_DELETE_EXPIRED_SECRETS, workspace_id=workspace_id, now=tx.now_ms)
