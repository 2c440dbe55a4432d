"""More workspaces like a scene's own: each with a token, a list, an outcome with a webhook, agents, and calls."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from benchmarks import bulk
from benchmarks.scene import AGENTS, Scene
from leadline.domain.access import format_token, hash_token
from leadline.ids import new_id, random_bytes
from leadline.store import endpoints, outcomes, smart_lists, workspaces
from leadline.store.calls import AgentRow
from leadline.store.database import Tx
from leadline.store.endpoints import EndpointRow
from leadline.store.outcomes import OutcomeRow
from leadline.store.rows import Row
from leadline.store.smart_lists import SmartListRow
from leadline.store.workspaces import SecretRow, TokenRow, WorkspaceRow
from leadline.wiring import write_once

R = TypeVar("R", bound=Row)


class Own(NamedTuple):
    """The rows of the scene's workspace that its neighbours have copies of."""

    workspace: WorkspaceRow
    token: TokenRow
    secret: SecretRow
    smart_list: SmartListRow
    endpoint: EndpointRow
    outcome: OutcomeRow


def add_neighbours(scene: Scene, count: int) -> list[Scene]:
    """So many workspaces more, as scenes. Ids of lists, endpoints and outcomes are the same in each."""
    own = write_once(scene.database_url, lambda tx: _own_rows(tx, scene))
    scenes = [_neighbour(scene) for _ in range(count)]
    bulk.insert(
        scene.database_url,
        [
            ("workspaces", _copies(own.workspace, scenes)),
            ("tokens", list(_tokens(own.token, scenes))),
            ("webhook_secrets", _copies(own.secret, scenes)),
            ("smart_lists", _copies(own.smart_list, scenes)),
            ("endpoints", _copies(own.endpoint, scenes)),
            ("outcomes", _copies(own.outcome, scenes)),
            ("agents", list(_agents(scenes, own.workspace.created_at))),
        ],
    )
    return scenes


async def _own_rows(tx: Tx, scene: Scene) -> Own:
    workspace = await workspaces.get_workspace(tx, scene.workspace_id)
    smart_list = await smart_lists.get_list(tx, scene.workspace_id, scene.smart_list_id)
    endpoint = await endpoints.get_endpoint(tx, scene.workspace_id, scene.endpoint_id)
    outcome = await outcomes.get_outcome(tx, scene.workspace_id, scene.outcome_id)
    assert workspace is not None
    assert smart_list is not None
    assert endpoint is not None
    assert outcome is not None
    (token, *_) = await workspaces.list_tokens(tx, scene.workspace_id)
    (secret, *_) = await workspaces.secrets(tx, scene.workspace_id)
    return Own(workspace, token, secret, smart_list, endpoint, outcome)


def _neighbour(scene: Scene) -> Scene:
    workspace_id = new_id()
    secret = base64.urlsafe_b64encode(random_bytes(32)).decode().rstrip("=")
    return Scene(
        database_url=scene.database_url,
        workspace_id=workspace_id,
        token=format_token(workspace_id, secret),
        smart_list_id=scene.smart_list_id,
        outcome_id=scene.outcome_id,
        endpoint_id=scene.endpoint_id,
        webhook_url=scene.webhook_url,
    )


def _copies(row: R, scenes: Sequence[Scene]) -> list[R]:
    return [msgspec.structs.replace(row, workspace_id=scene.workspace_id) for scene in scenes]


def _agents(scenes: Sequence[Scene], created_at: int) -> Iterator[AgentRow]:
    for scene in scenes:
        for number in range(AGENTS):
            yield AgentRow(scene.workspace_id, f"agent-{number}", created_at)


def _tokens(row: TokenRow, scenes: Sequence[Scene]) -> Iterator[TokenRow]:
    for scene in scenes:
        yield msgspec.structs.replace(
            row,
            workspace_id=scene.workspace_id,
            token_id=new_id(),
            token_hash=hash_token(scene.token),
            token_prefix=scene.token[-12:],
        )
