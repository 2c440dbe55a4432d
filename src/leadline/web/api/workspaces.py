"""The workspace that a token belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from leadline.domain.access import Principal, Scope
from leadline.domain.contacts import is_region
from leadline.domain.errors import OutcomeNotFound, Problem
from leadline.domain.limits import NAME_CHARACTERS_MAX
from leadline.domain.text import name_problem
from leadline.operations import workspaces as operations
from leadline.store.database import Tx
from leadline.web.table import BodyUse, Context, KeyUse, Operation, Reply, Request, optional, typed
from leadline.wire.workspaces import WorkspaceAnswer, WorkspaceChange

_WORKSPACE = "/phone-system/workspace"


def workspace_rules(fields: Mapping[str, Any], _principal: Principal, _context: Context) -> list[Problem]:
    """Every rule that the settings break, other than their types."""
    problems = []
    name, region = fields.get("name"), fields.get("region")
    if isinstance(name, str) and (wrong := name_problem(name, NAME_CHARACTERS_MAX)):
        problems.append(Problem("name", wrong))
    if isinstance(region, str) and not is_region(region):
        problems.append(Problem("region", "is not a region with phone numbers, such as US"))
    return problems


async def _get(tx: Tx, request: Request) -> Reply:
    return Reply(await operations.get_workspace(tx, request.workspace_id))


def changes_of(body: WorkspaceChange) -> dict[str, Any]:
    """The settings that were sent, as the operation takes them."""
    sent = msgspec.structs.asdict(body)
    changes = {name: value for name, value in sent.items() if value is not msgspec.UNSET}
    if "wrap_up_timeout_outcome_id" in changes:
        changes["wrap_up_timeout_outcome_id"] = optional(changes["wrap_up_timeout_outcome_id"])
    if "name" in changes:
        changes["name"] = changes["name"].strip()
    return changes


async def _change(tx: Tx, request: Request) -> Reply:
    changes = changes_of(typed(request, WorkspaceChange))
    return Reply(await operations.change_workspace(tx, request.workspace_id, changes))


OPERATIONS = (
    Operation(
        name="get_workspace",
        method="GET",
        path=_WORKSPACE,
        scope=Scope.WORKSPACE_READ,
        tag="Workspace",
        summary="Get the workspace",
        handler=_get,
        writes=False,
        key_use=KeyUse.NONE,
        answers={200: WorkspaceAnswer},
    ),
    Operation(
        name="change_workspace",
        method="PATCH",
        path=_WORKSPACE,
        scope=Scope.WORKSPACE_WRITE,
        tag="Workspace",
        summary="Change the workspace's settings",
        description="Only the fields sent change.",
        handler=_change,
        answers={200: WorkspaceAnswer},
        body=WorkspaceChange,
        body_use=BodyUse.REQUIRED,
        rules=workspace_rules,
        errors=(OutcomeNotFound,),
        example={"wrap_up_timeout_seconds": 120},
    ),
)
