"""Smart Lists and outcomes as one document: outcomes as code over the API."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

from leadline.domain.access import Principal, Scope
from leadline.domain.errors import InvalidRequest, PreconditionFailed, Problem
from leadline.domain.limits import CONFIGURATION_BYTES_MAX
from leadline.operations import provisioning as operations
from leadline.store.database import Tx
from leadline.web.decoding import Malformed, decode_json, read_fields
from leadline.web.table import BodyUse, Context, KeyUse, Operation, Reply, Request, typed
from leadline.wire.configuration import (
    Configuration,
    ConfigurationAnswer,
    ConfigurationBody,
    PlanAnswer,
    PruneQuery,
)

_TAG = "Configuration"
_PATH = "/phone-system/configuration"
_FORMS = ("configuration", "configuration_deflated")
_CONFIGURATION_EXAMPLE = {
    "smart_lists": [{"name": "Follow up"}, {"name": "Warm leads", "was": "Interested people"}],
    "outcomes": [
        {
            "name": "Interested",
            "type": "action",
            "order": 10,
            "add_to": "Follow up",
            "webhook_url": "https://example.com/leadline/outcomes",
        },
        {"name": "Wrong number", "type": "disposition", "order": 20, "remove_from": "all"},
    ],
}
_EXAMPLE = {"configuration": _CONFIGURATION_EXAMPLE}
_WORKSPACE_EXAMPLE = {"subaccount_id": "00000000-0000-4000-8000-000000000008", "name": "West coast"}
_PLAN_EXAMPLE = {
    "ok": True,
    "workspace": _WORKSPACE_EXAMPLE,
    "plan": {
        "changes": [
            {
                "change": "create",
                "kind": "smart_list",
                "id": None,
                "name": "Follow up",
                "type": None,
                "fields": [],
                "notes": [],
            },
            {
                "change": "update",
                "kind": "outcome",
                "id": "00000000-0000-4000-8000-000000000001",
                "name": "Interested",
                "type": "action",
                "fields": [{"field": "add_to", "before": None, "after": "Follow up"}],
                "notes": [],
            },
        ],
        "created": 1,
        "updated": 1,
        "deleted": 0,
        "unchanged": 2,
        "unmanaged": 0,
    },
}
_ANSWER_EXAMPLE = {
    "ok": True,
    "workspace": _WORKSPACE_EXAMPLE,
    "configuration": {
        "smart_lists": [{"name": "Follow up", "was": None}],
        "outcomes": [
            {
                "name": "Interested",
                "type": "action",
                "was": None,
                "id": None,
                "order": 10,
                "add_to": "Follow up",
                "remove_from": None,
                "webhook_url": "https://example.com/leadline/outcomes",
            }
        ],
    },
}


def body_rules(fields: Mapping[str, Any], _principal: Principal, _context: Context) -> list[Problem]:
    given = [name for name in _FORMS if fields.get(name) is not None]
    if len(given) == 1 or any(name not in fields for name in _FORMS):
        return []
    return [Problem("configuration", "is required" if not given else "comes in one form: plain or deflated")]


def _configuration(request: Request) -> Configuration:
    """The document, whichever form it came in. Raises InvalidRequest."""
    body = typed(request, ConfigurationBody)
    if body.configuration is not None:
        return body.configuration
    try:
        value = decode_json(_inflated(body.configuration_deflated or ""))
    except Malformed as wrong:
        problem = Problem("configuration_deflated", str(wrong))
        raise InvalidRequest("The document cannot be read.", details=[problem]) from None
    fields = read_fields(Configuration, value, f"{operations.FIELD}.")
    if fields.problems:
        raise InvalidRequest("The document is not valid.", details=fields.problems)
    return Configuration(**fields.values)


def _inflated(text: str) -> bytes:
    """At most CONFIGURATION_BYTES_MAX, however much a short text may claim to be. Raises Malformed."""
    reader = zlib.decompressobj()
    try:
        found = reader.decompress(base64.b64decode(text, validate=True), CONFIGURATION_BYTES_MAX)
    except (ValueError, zlib.error):
        raise Malformed("It is not base64 of what zlib compresses.") from None
    if reader.unconsumed_tail:
        raise Malformed(f"It is larger than {CONFIGURATION_BYTES_MAX // 1024 // 1024} MiB.")
    if not reader.eof or reader.unused_data:
        raise Malformed("It is cut short, or something follows it.")
    return found


async def _export(tx: Tx, request: Request) -> Reply:
    answer, etag = await operations.export_configuration(tx, request.workspace_id)
    return Reply(answer, etag=etag)


async def _plan(tx: Tx, request: Request) -> Reply:
    answer, etag = await operations.plan_configuration(
        tx,
        request.workspace_id,
        _configuration(request),
        prune=bool(request.query.prune),
        rules=request.context.url_rules,
    )
    return Reply(answer, etag=etag)


async def _apply(tx: Tx, request: Request) -> Reply:
    answer, etag = await operations.apply_configuration(
        tx,
        request.workspace_id,
        _configuration(request),
        prune=bool(request.query.prune),
        rules=request.context.url_rules,
        if_match=request.if_match,
    )
    return Reply(answer, etag=etag)


OPERATIONS = (
    Operation(
        name="get_configuration",
        method="GET",
        path=_PATH,
        scope=Scope.OUTCOMES_READ,
        more_scopes=(Scope.LISTS_READ,),
        tag=_TAG,
        summary="Get the configuration",
        description=(
            "Smart Lists and outcomes as a document that can be applied: planning it changes nothing. The ETag"
            " stands for the state of all of them."
        ),
        handler=_export,
        writes=False,
        key_use=KeyUse.NONE,
        answers={200: ConfigurationAnswer},
        needs_outcomes=True,
        answer_example=_ANSWER_EXAMPLE,
    ),
    Operation(
        name="plan_configuration",
        method="POST",
        path=f"{_PATH}/plan",
        scope=Scope.OUTCOMES_READ,
        more_scopes=(Scope.LISTS_READ,),
        tag=_TAG,
        summary="Plan a configuration",
        description=(
            "What applying the document would change; nothing is changed. Send the answer's ETag as `If-Match` when"
            " applying, so that what was shown is what is done."
        ),
        handler=_plan,
        query=PruneQuery,
        long=True,
        answers={200: PlanAnswer},
        body=ConfigurationBody,
        body_use=BodyUse.REQUIRED,
        rules=body_rules,
        needs_outcomes=True,
        example=_EXAMPLE,
        answer_example=_PLAN_EXAMPLE,
    ),
    Operation(
        name="apply_configuration",
        method="PUT",
        path=_PATH,
        scope=Scope.OUTCOMES_WRITE,
        more_scopes=(Scope.LISTS_WRITE,),
        tag=_TAG,
        summary="Apply a configuration",
        description=(
            "Make the Smart Lists and outcomes what the document says, all of it or nothing. What it does not name"
            " stays, unless `prune` is true."
        ),
        handler=_apply,
        query=PruneQuery,
        long=True,
        answers={200: PlanAnswer},
        body=ConfigurationBody,
        body_use=BodyUse.REQUIRED,
        rules=body_rules,
        needs_outcomes=True,
        if_match=True,
        errors=(PreconditionFailed,),
        example=_EXAMPLE,
        answer_example=_PLAN_EXAMPLE,
    ),
)
