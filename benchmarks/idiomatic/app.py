"""The FastAPI application: one route, one transaction per request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

from fastapi import FastAPI, Header, HTTPException, Response
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.idiomatic import schemas
from benchmarks.idiomatic.applying import apply_outcome
from benchmarks.idiomatic.database import SessionDep, make_engine, make_sessions, now_ms
from benchmarks.idiomatic.models import IdempotencyKey
from benchmarks.idiomatic.security import WorkspaceDep

KEPT_MS = 7 * 86_400_000


def make_app(database_url: str) -> FastAPI:
    """The application on a database that Leadline has migrated."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = make_engine(database_url)
        app.state.sessions = make_sessions(engine)
        yield
        await engine.dispose()

    app = FastAPI(title="Outcomes", lifespan=lifespan)
    app.add_api_route(
        "/phone-system/calls/{call_id}/outcomes",
        apply,
        methods=["POST"],
        status_code=201,
        response_model=schemas.AppliedAnswer,
    )
    return app


async def apply(
    call_id: UUID,
    body: schemas.ApplyBody,
    workspace: WorkspaceDep,
    session: SessionDep,
    idempotency_key: Annotated[str, Header(min_length=1, max_length=255)],
) -> Response:
    """Key, effect and answer commit together; the answer leaves after the commit."""
    fingerprint = _fingerprint(f"/phone-system/calls/{call_id}/outcomes", body)
    stored = await session.get(IdempotencyKey, (workspace.workspace_id, idempotency_key))
    if stored is not None and stored.kept_until > now_ms():
        return _replay(stored, fingerprint)
    answer, status = await apply_outcome(session, workspace, str(call_id), body)
    content = answer.model_dump_json().encode()
    if stored is not None:
        await session.delete(stored)
        await session.flush()
    at_ms = now_ms()
    key = IdempotencyKey(
        workspace_id=workspace.workspace_id,
        idempotency_key=idempotency_key,
        fingerprint=fingerprint,
        status=status,
        body=content,
        etag=None,
        created_at=at_ms,
        kept_until=at_ms + KEPT_MS,
    )
    session.add(key)
    await _commit(session)
    return Response(content, status, media_type="application/json")


async def _commit(session: AsyncSession) -> None:
    try:
        await session.commit()
    except IntegrityError:
        raise HTTPException(409, "Somebody else is doing this right now.") from None


def _replay(stored: IdempotencyKey, fingerprint: str) -> Response:
    if stored.fingerprint != fingerprint:
        raise HTTPException(422, "This key was used for another request.")
    return Response(
        stored.body,
        stored.status or 200,
        headers={"Idempotent-Replayed": "true"},
        media_type="application/json",
    )


def _fingerprint(path: str, body: schemas.ApplyBody) -> str:
    request = ["POST", path, "", body.model_dump(mode="json", exclude_unset=True)]
    return hashlib.sha256(json.dumps(request, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
