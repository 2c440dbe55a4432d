"""Bearer tokens, as a dependency."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select

from benchmarks.idiomatic.database import SessionDep, now_ms
from benchmarks.idiomatic.models import Token, Workspace

_bearer = HTTPBearer()


async def get_workspace(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(_bearer)], session: SessionDep
) -> Workspace:
    """The workspace that the caller's token opens, in one query."""
    token_hash = hashlib.sha256(credentials.credentials.encode()).hexdigest()
    workspace_id = _workspace_id(credentials.credentials)
    found = await session.execute(
        select(Workspace, Token)
        .join(Token, Token.workspace_id == Workspace.workspace_id)
        .where(Token.workspace_id == workspace_id, Token.token_hash == token_hash)
    )
    row = found.one_or_none()
    if row is None or row.Token.revoked_at is not None or _is_over(row.Token):
        raise HTTPException(401, "The token is not valid.")
    if not {"calls:write"} & set(row.Token.scopes.split()):
        raise HTTPException(403, "The token lacks the scope calls:write.")
    workspace: Workspace = row.Workspace
    if not workspace.outcomes_enabled:
        raise HTTPException(403, "Outcomes are off for this workspace.")
    return workspace


def _workspace_id(token: str) -> str:
    """A token begins with its workspace, so that the index finds it."""
    digits = token.removeprefix("ll_")[:32]
    if len(digits) != 32 or not digits.isalnum():
        raise HTTPException(401, "The token is not valid.")
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _is_over(token: Token) -> bool:
    return token.expires_at is not None and token.expires_at <= now_ms()


WorkspaceDep = Annotated[Workspace, Depends(get_workspace)]
