"""Outcomes: Part A of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from leadline.domain.access import Principal, Scope
from leadline.domain.errors import (
    DestinationNotFound,
    InvalidOutcome,
    LimitReached,
    OutcomeNotFound,
    PreconditionFailed,
    Problem,
)
from leadline.domain.outcomes import definition_from, definition_problems
from leadline.operations import outcomes as operations
from leadline.store.database import Tx
from leadline.web.table import BodyUse, Context, KeyUse, Operation, Reply, Request
from leadline.wire.outcomes import OutcomeAnswer, OutcomeBody, OutcomeDeleted, OutcomesAnswer

_EXAMPLE = {
    "outcome_name": "Interested",
    "outcome_type": "action",
    "order": 10,
    "destination_type": "smart_list",
    "destination_id": "00000000-0000-4000-8000-000000000002",
    "webhook_url": "https://example.com/leadline/outcomes",
}
_OUTCOME_EXAMPLE = {
    "outcome_id": "00000000-0000-4000-8000-000000000001",
    "outcome_name": "Interested",
    "outcome_type": "action",
    "order": 10,
    "destination_type": "smart_list",
    "destination": {
        "destination_type": "smart_list",
        "destination_id": "00000000-0000-4000-8000-000000000002",
        "destination_name": "Follow up",
    },
    "webhook_url": "https://example.com/leadline/outcomes",
    "created_at": "2026-06-25T00:00:00.000Z",
    "updated_at": "2026-06-25T00:00:00.000Z",
}
_ANSWER_EXAMPLE = {"ok": True, "outcome": _OUTCOME_EXAMPLE, "disposition_popup_enabled": False}


def outcome_rules(fields: Mapping[str, Any], _principal: Principal, context: Context) -> list[Problem]:
    return definition_problems(fields, context.url_rules)


def _definition(request: Request) -> Any:
    return definition_from(msgspec.structs.asdict(request.body))


async def _list(tx: Tx, request: Request) -> Reply:
    return Reply(await operations.list_outcomes(tx, request.workspace_id))


async def _create(tx: Tx, request: Request) -> Reply:
    answer, etag = await operations.define_outcome(tx, request.workspace_id, _definition(request))
    return Reply(answer, etag=etag)


async def _replace(tx: Tx, request: Request) -> Reply:
    answer, etag = await operations.replace_outcome(
        tx,
        request.workspace_id,
        request.path["outcome_id"],
        _definition(request),
        if_match=request.if_match,
    )
    return Reply(answer, etag=etag)


async def _delete(tx: Tx, request: Request) -> Reply:
    return Reply(
        await operations.delete_outcome(
            tx, request.workspace_id, request.path["outcome_id"], if_match=request.if_match
        )
    )


OPERATIONS = (
    Operation(
        name="list_outcomes",
        method="GET",
        path="/phone-system/outcomes",
        scope=Scope.OUTCOMES_READ,
        tag="Outcomes",
        summary="List outcomes",
        description="All outcomes of the workspace in display order: lower `order` first.",
        handler=_list,
        writes=False,
        key_use=KeyUse.NONE,
        answers={200: OutcomesAnswer},
        needs_outcomes=True,
        tagged_by_content=True,
        kept=True,
        answer_example={"ok": True, "outcomes": [_OUTCOME_EXAMPLE], "disposition_popup_enabled": False},
    ),
    Operation(
        name="create_outcome",
        method="POST",
        path="/phone-system/outcomes",
        scope=Scope.OUTCOMES_WRITE,
        tag="Outcomes",
        summary="Create an outcome",
        handler=_create,
        answers={201: OutcomeAnswer},
        body=OutcomeBody,
        body_use=BodyUse.REQUIRED,
        body_error=InvalidOutcome,
        rules=outcome_rules,
        key_use=KeyUse.REQUIRED,
        needs_outcomes=True,
        errors=(InvalidOutcome, DestinationNotFound, LimitReached),
        example=_EXAMPLE,
        answer_example=_ANSWER_EXAMPLE,
    ),
    Operation(
        name="replace_outcome",
        method="PATCH",
        path="/phone-system/outcomes/{outcome_id}",
        scope=Scope.OUTCOMES_WRITE,
        tag="Outcomes",
        summary="Replace an outcome",
        description="Replaces the whole configuration: a field left out takes its default.",
        handler=_replace,
        answers={200: OutcomeAnswer},
        body=OutcomeBody,
        body_use=BodyUse.REQUIRED,
        body_error=InvalidOutcome,
        rules=outcome_rules,
        key_use=KeyUse.REQUIRED,
        needs_outcomes=True,
        if_match=True,
        errors=(InvalidOutcome, OutcomeNotFound, DestinationNotFound, PreconditionFailed),
        example=_EXAMPLE,
        answer_example=_ANSWER_EXAMPLE,
    ),
    Operation(
        name="delete_outcome",
        method="DELETE",
        path="/phone-system/outcomes/{outcome_id}",
        scope=Scope.OUTCOMES_WRITE,
        tag="Outcomes",
        summary="Delete an outcome",
        description="What was applied keeps the outcome's name and type.",
        handler=_delete,
        answers={200: OutcomeDeleted},
        needs_outcomes=True,
        if_match=True,
        errors=(OutcomeNotFound, PreconditionFailed),
    ),
)
