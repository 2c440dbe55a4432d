"""The workspace of the token, its events, and requests of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from leadline.client.errors import ConfigurationError
from leadline.client.models import Event, Page, Workspace
from leadline.client.requests.described import (
    Id,
    PageRequest,
    Reply,
    Request,
    changed,
    decoded,
    parameters,
    path,
)
from leadline.wire.events import EventsAnswer
from leadline.wire.workspaces import RequireDispositionName, WorkspaceAnswer


def get_workspace() -> Request[Workspace]:
    """The workspace that the token belongs to, with its settings."""
    return Request(operation="get_workspace", method="GET", path=path("/workspace"), read=_workspace)


def change_workspace(
    *,
    name: str | UnsetType = UNSET,
    region: str | UnsetType = UNSET,
    outcomes_enabled: bool | UnsetType = UNSET,
    require_disposition: RequireDispositionName | UnsetType = UNSET,
    wrap_up_timeout_seconds: int | UnsetType | None = UNSET,
    wrap_up_timeout_outcome_id: Id | UnsetType | None = UNSET,
    retention_days: int | UnsetType = UNSET,
    idempotency_key: str | None = None,
) -> Request[Workspace]:
    """Change the settings that are given; None takes a wrap-up timeout or its outcome away."""
    return Request(
        operation="change_workspace",
        method="PATCH",
        path=path("/workspace"),
        read=_workspace,
        body=changed(
            name=name,
            region=region,
            outcomes_enabled=outcomes_enabled,
            require_disposition=require_disposition,
            wrap_up_timeout_seconds=wrap_up_timeout_seconds,
            wrap_up_timeout_outcome_id=wrap_up_timeout_outcome_id,
            retention_days=retention_days,
        ),
        idempotency_key=idempotency_key,
    )


def list_events(*, after: Id | None = None, limit: int | None = None) -> PageRequest[Event]:
    """Events, oldest first: after the event `after`, or from the oldest kept.

    `next_cursor` is None when there is nothing more for now.
    """
    return PageRequest(
        operation="list_events",
        method="GET",
        path=path("/events"),
        read=_events,
        query=parameters(after=after, limit=limit),
        cursor_parameter="after",
    )


def any_request(
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    body: Any = None,
    idempotency_key: str | None = None,
) -> Request[bytes]:
    """A request for any path of the server, such as `/healthz`; its value is the body as it came.

    Raises ConfigurationError for what is no method or no path.
    """
    if not (method.isascii() and method.isalpha()):
        raise ConfigurationError(f"{method!r} is no method")
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
        raise ConfigurationError(f"a path begins with a slash, and is escaped: {path!r} is none")
    return Request(
        operation="any_request",
        method=method.upper(),
        path=path,
        read=lambda reply: reply.body,
        query=dict(query or {}),
        body=body,
        idempotency_key=idempotency_key,
    )


def _workspace(reply: Reply) -> Workspace:
    return decoded(reply, WorkspaceAnswer).workspace


def _events(reply: Reply) -> Page[Event]:
    answer = decoded(reply, EventsAnswer)
    return Page(tuple(answer.events), answer.next_cursor)
