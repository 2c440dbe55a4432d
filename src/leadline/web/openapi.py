"""The OpenAPI 3.1 document, made from the table of operations (contract § 10)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from leadline.domain.limits import AGENT_ID_CHARACTERS_MAX
from leadline.web.openapi_errors import (
    ERRORS,
    RETRIED_CODES,
    by_status,
    error_codes,
    example_of,
    in_order,
)
from leadline.web.openapi_examples import EVENT_EXAMPLE, answer_example
from leadline.web.openapi_schemas import PREFIX, Schema, Schemas, members_of
from leadline.web.openapi_texts import HEADERS, INTRODUCTION, PARAMETERS, SERVICE, STREAM_EXAMPLE, TAGS
from leadline.web.problems import STATUS_OF_CODE
from leadline.web.table import BodyUse, KeyUse, Operation
from leadline.wire.configuration import ConfigurationAnswer, PlanAnswer
from leadline.wire.outcomes import OutcomeAnswer

_PATH_PARAMETER = re.compile(r"\{(\w+)\}")


def document(
    operations: Iterable[Operation], *, version: str, server_url: str | None = None
) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these operations, of the pages that need no token, and of the webhook.

    `server_url` is where the API is found from outside; without it clients take the place that the document came
    from. The document holds nothing but JSON values.
    """
    rows = tuple(operations)
    schemas = Schemas(rows)
    errors = _ErrorResponses()
    return {
        "openapi": "3.1.0",
        "info": _info(version),
        "servers": [{"url": (server_url or "").rstrip("/") or "/"}],
        "tags": _tags(rows),
        "security": [{"bearer": []}],
        "paths": _paths(rows, schemas, errors),
        "webhooks": {"outcome.applied": {"post": _webhook(version)}},
        "components": {
            "securitySchemes": _security_schemes(),
            "parameters": dict(PARAMETERS),
            "headers": dict(HEADERS),
            "responses": errors.components,
            "examples": {code: _error_example(code) for code in ERRORS},
            "schemas": schemas.components,
        },
    }


def _info(version: str) -> Schema:
    return {
        "title": "Leadline API",
        "version": version,
        "summary": "Call outcomes: one disposition moves the contact, ends the wrap-up and notifies your systems.",
        "description": INTRODUCTION,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }


def _tags(operations: Iterable[Operation]) -> list[Schema]:
    names = dict.fromkeys([*(operation.tag for operation in operations), SERVICE])
    return [{"name": name, "description": TAGS.get(name, name)} for name in names]


def _security_schemes() -> Schema:
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of the workspace, made with `leadline token create`. The roles are its scopes.",
        },
        "metrics_token": {
            "type": "http",
            "scheme": "bearer",
            "description": "`LEADLINE_METRICS_TOKEN`, when the server has one.",
        },
    }


class _ErrorResponses:
    """The failures of the document: one component for each set of codes with one status."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def of(self, codes: Iterable[str]) -> Schema:
        """Responses by status, as references."""
        found = {}
        for status, same_status in by_status(in_order(codes)).items():
            name = f"Error{status}_{'_or_'.join(same_status)}"
            self.components.setdefault(name, _error_response(status, same_status))
            found[str(status)] = {"$ref": f"#/components/responses/{name}"}
        return found


def _error_response(status: int, codes: Sequence[str]) -> Schema:
    headers = ["X-Request-Id"]
    if status == 401:
        headers.append("WWW-Authenticate")
    if status == 405:
        headers.append("Allow")
    if RETRIED_CODES & set(codes):
        headers.append("Retry-After")
    only_these = {"properties": {"error": {"enum": list(codes)}}}
    return {
        "description": "\n".join(f"`{code}`: {ERRORS[code].meaning}" for code in codes),
        "headers": _header_references(headers),
        "content": {
            "application/json": {
                "schema": {"allOf": [{"$ref": f"{PREFIX}Failure"}, only_these]},
                "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
            }
        },
    }


def _error_example(code: str) -> Schema:
    # The status is for readers of all codes together; each operation lists the code under it.
    return {"summary": ERRORS[code].meaning, "value": example_of(code), "x-status": STATUS_OF_CODE[code]}


def _header_references(names: Iterable[str]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _paths(rows: Iterable[Operation], schemas: Schemas, errors: _ErrorResponses) -> Schema:
    paths: dict[str, Schema] = {}
    for operation in rows:
        item = paths.setdefault(operation.path, {})
        item[operation.method.lower()] = _operation(operation, schemas, errors)
    for path, page in _pages(errors).items():
        paths[path] = {"get": page}
    return paths


def _operation(operation: Operation, schemas: Schemas, errors: _ErrorResponses) -> Schema:
    described: Schema = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": f"{operation.description}\n\nNeeds {_scopes_in_words(operation)}.".strip(),
        "security": [{"bearer": [str(scope) for scope in operation.scopes]}],
        "parameters": _parameters(operation, schemas),
    }
    if operation.body is not None:
        described["requestBody"] = _request_body(operation, schemas)
    described["responses"] = _successes(operation, schemas) | errors.of(error_codes(operation))
    return described


def _scopes_in_words(operation: Operation) -> str:
    named = " and ".join(f"`{scope}`" for scope in operation.scopes)
    return f"the scope {named}" if len(operation.scopes) == 1 else f"the scopes {named}"


def _parameters(operation: Operation, schemas: Schemas) -> list[Schema]:
    in_path = [_path_parameter(name) for name in _PATH_PARAMETER.findall(operation.path)]
    in_query = [
        _query_parameter(operation, name, schema)
        for name, schema in schemas.parameters(operation.query).items()
    ]
    in_header = [{"$ref": f"#/components/parameters/{name}"} for name in _header_parameters(operation)]
    return in_path + in_query + in_header


def _path_parameter(name: str) -> Schema:
    if name == "agent_id":
        schema: Schema = {"type": "string", "minLength": 1, "maxLength": AGENT_ID_CHARACTERS_MAX}
        description = "The phone system's own name of the agent."
    else:
        schema = {"type": "string", "format": "uuid"}
        description = f"Of the {_noun(name)}. What is no UUID is not found."
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _noun(name: str) -> str:
    noun = name.removesuffix("_id").replace("_", " ")
    return {"smart list": "Smart List"}.get(noun, noun)


def _query_parameter(operation: Operation, name: str, schema: Schema) -> Schema:
    parameter: Schema = {"name": name, "in": "query", "required": False}
    rest = dict(schema)
    parameter["description"] = rest.pop("description", None) or _query_description(name)
    parameter["schema"] = rest
    if name in operation.query_example:
        parameter["example"] = operation.query_example[name]
    return parameter


def _query_description(name: str) -> str:
    """What a filter without a description of its own does."""
    match name:
        case "since":
            return "Only from this time on, inclusive."
        case "until":
            return "Only before this time."
        case _:
            return f"Only with this {_noun(name)}."


def _header_parameters(operation: Operation) -> Iterable[str]:
    if operation.key_use is KeyUse.REQUIRED:
        yield "IdempotencyKeyRequired"
    if operation.key_use is KeyUse.HONOURED:
        yield "IdempotencyKey"
    if operation.if_match:
        yield "IfMatch"
    if operation.tagged_by_content:
        yield "IfNoneMatch"
    if operation.streams:
        yield "LastEventId"
    yield "RequestId"


def _request_body(operation: Operation, schemas: Schemas) -> Schema:
    example = {} if operation.example is None else operation.example
    return {
        "required": operation.body_use is BodyUse.REQUIRED,
        "content": {"application/json": {"schema": schemas.of(operation.body), "example": example}},
    }


def _successes(operation: Operation, schemas: Schemas) -> Schema:
    found: Schema = {}
    for status, answer in operation.answers.items():
        found[str(status)] = {
            "description": _success_description(operation, status),
            "headers": _header_references(_success_headers(operation, answer)),
            "content": _success_content(operation, schemas, answer),
        }
    if operation.tagged_by_content:
        found["304"] = {
            "description": "Nothing has changed since the `ETag` that was sent.",
            "headers": _header_references(["X-Request-Id", "ETag"]),
        }
    return found


def _success_description(operation: Operation, status: int) -> str:
    if status == 200 and 201 in operation.answers:
        what = "It was there already, and is answered as it is."
        is_also_dry_run = len(members_of(operation.answers[200])) > 1
        return f"{what} Or, with `dry_run`, what would happen." if is_also_dry_run else what
    return {200: "Done.", 201: "Made.", 202: "Taken on; it happens soon."}[status]


def _success_headers(operation: Operation, answer: Any) -> Iterable[str]:
    yield "X-Request-Id"
    if operation.tagged_by_content or answer in (OutcomeAnswer, ConfigurationAnswer, PlanAnswer):
        yield "ETag"
    if operation.key_use is not KeyUse.NONE:
        yield "Idempotent-Replayed"


def _success_content(operation: Operation, schemas: Schemas, answer: Any) -> Schema:
    schema = schemas.of(answer)
    example = operation.answer_example
    if example is None:
        first = schema["anyOf"][0] if "anyOf" in schema else schema
        example = answer_example(operation.name, first, schemas.components)
    content: Schema = {"application/json": {"schema": schema, "example": example}}
    if operation.offers_csv:
        content["text/csv"] = {"schema": {"type": "string"}}
    if operation.streams:
        content["text/event-stream"] = {"schema": {"type": "string"}, "example": STREAM_EXAMPLE}
    if operation.file is not None:
        content[operation.file.media_type] = {
            "schema": {"type": "string"},
            "example": operation.file.example,
        }
    return content


def _pages(errors: _ErrorResponses) -> dict[str, Schema]:
    """What needs no token."""
    metrics = _page("metrics", "Metrics for Prometheus", "text/plain", {"type": "string"})
    metrics["security"] = [{}, {"metrics_token": []}]
    metrics["responses"] |= errors.of(["unauthorized"])
    spec: Schema = {"type": "object", "required": ["openapi", "info", "paths"]}
    return {
        "/healthz": _page("health", "Whether the process lives", "application/json", _health(), {"ok": True}),
        "/readyz": _readiness(),
        "/metrics": metrics,
        "/openapi.json": _page("openapi_document", "This document", "application/json", spec),
        "/docs": _page("reference", "This document, for people", "text/html", {"type": "string"}),
    }


def _health() -> Schema:
    return {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


def _readiness() -> Schema:
    schema = _health()
    schema["properties"]["problem"] = {
        "type": ["string", "null"],
        "description": "What is wrong, for people; null when nothing is.",
    }
    ready = {"ok": True, "problem": None}
    page = _page("readiness", "Whether the server can work", "application/json", schema, ready)
    page["description"] = "Ready when the database can be written to and its migrations are current."
    page["responses"]["503"] = {
        "description": "Not ready, or stopping.",
        "headers": _header_references(["X-Request-Id"]),
        "content": {
            "application/json": {
                "schema": schema,
                "example": {"ok": False, "problem": "The database cannot be written to."},
            }
        },
    }
    return page


def _page(name: str, summary: str, media_type: str, schema: Schema, example: Any = None) -> Schema:
    content: Schema = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {
        "operationId": name,
        "tags": [SERVICE],
        "summary": summary,
        "security": [],
        "responses": {
            "200": {
                "description": "Done.",
                "headers": _header_references(["X-Request-Id"]),
                "content": {media_type: content},
            }
        },
    }


def _webhook(version: str) -> Schema:
    return {
        "operationId": "outcome_applied",
        "summary": "An outcome was applied",
        "description": (
            "Sent to the `webhook_url` of an outcome when it is applied to a call: always for an action, for a"
            " disposition that has one. At least once: deduplicate on `call_id` and `outcome_id`, or on `webhook-id`."
            " The bytes are the same on every attempt. Verify `webhook-signature` before you trust it."
        ),
        "security": [],
        "parameters": _webhook_headers(version),
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": f"{PREFIX}Event"}, "example": dict(EVENT_EXAMPLE)}
            },
        },
        "responses": {
            "2XX": {"description": "Received. The body is not looked at."},
            "410": {
                "description": "No longer wanted: the endpoint is disabled, and what is due to it waits there."
            },
            "429": {"description": "Tried again on schedule, not before `Retry-After`."},
            "503": {"description": "Tried again on schedule, not before `Retry-After`; so are 502 and 504."},
            "default": {
                "description": "Tried again on schedule, 10 attempts over 75 hours. No redirect is followed."
            },
        },
    }


def _webhook_headers(version: str) -> list[Schema]:
    described = (
        (
            "webhook-id",
            "The delivery's id, the same on every attempt and replay.",
            "00000000-0000-4000-8000-000000000006",
        ),
        ("webhook-timestamp", "When this attempt was made, Unix seconds.", "1781935984"),
        (
            "webhook-signature",
            "`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; several while a secret is rotated.",
            "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        ),
        ("User-Agent", "Leadline and its version.", f"Leadline/{version}"),
    )
    return [
        {
            "name": name,
            "in": "header",
            "required": True,
            "description": description,
            "schema": {"type": "string"},
            "example": example,
        }
        for name, description, example in described
    ]
