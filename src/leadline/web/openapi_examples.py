"""Examples of answers, made from their schemas: so they have every key, and cannot fall behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leadline.domain.reports import FORMULAS
from leadline.web.openapi_schemas import PREFIX, Schema

_AT = "2026-06-25T00:00:00.000Z"


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


EVENT_EXAMPLE: Mapping[str, Any] = {
    "error_message": "",
    "timestamp": 1781935984000,
    "scope": {"subaccount_id": _id(8), "organization_id": _id(9)},
    "outcome": {"outcome_id": _id(1), "outcome_name": "Interested", "outcome_type": "action"},
    "call": {"call_id": _id(4), "phone_number": "+15555550100", "contact_id": _id(3)},
    "destination": {"destination_type": "smart_list", "destination_id": _id(2)},
}

# By `Component.field` or, for every component, by `field`.
_VALUES: Mapping[str, Any] = {
    "outcome_id": _id(1),
    "wrap_up_timeout_outcome_id": None,
    "smart_list_id": _id(2),
    "destination_id": _id(2),
    "contact_id": _id(3),
    "call_id": _id(4),
    "applied_id": _id(5),
    "delivery_id": _id(6),
    "endpoint_id": _id(7),
    "subaccount_id": _id(8),
    "organization_id": _id(9),
    "event_id": _id(10),
    "replay_id": _id(11),
    "outcome_name": "Interested",
    "smart_list_name": "Follow up",
    "destination_name": "Follow up",
    "order": 10,
    "webhook_url": "https://example.com/leadline/outcomes",
    "phone_number": "+15555550100",
    "agent_id": "ada",
    "note": "Wants the blue one.",
    "error_message": "",
    "error_detail": None,
    "next_cursor": None,
    "disposition_popup_enabled": True,
    "Call.external_id": "pbx-81723",
    "CallSummary.external_id": "pbx-81723",
    "Contact.external_id": "crm-4417",
    "name": "Dana Whitfield",
    "attributes": {"company": "Northwind Roofing", "seats": 12},
    "Workspace.name": "West coast",
    "region": "US",
    "outcomes_enabled": True,
    "require_disposition": "answered",
    "wrap_up_timeout_seconds": 120,
    "retention_days": 90,
    "contact_count": 128,
    "direction": "outbound",
    "ListMove.direction": "joined",
    "source": "applied",
    "line_result": None,
    "disposition": None,
    "ended_at": None,
    "status": 200,
    "Agent.status": "on_call",
    "pending": [],
    "AppliedDestination": {
        "destination_type": "smart_list",
        "destination_id": _id(2),
        "lists_added": [_id(2)],
        "lists_removed": [],
    },
    "Outcome.destination_type": "smart_list",
    "DestinationView": {
        "destination_type": "smart_list",
        "destination_id": _id(2),
        "destination_name": "Follow up",
    },
    "RemovalConfigured": {"all": True},
    "Call.state": "live",
    "CallSummary.state": "live",
    "Delivery.state": "succeeded",
    "DeliverySummary.state": "succeeded",
    "attempt_count": 1,
    "last_status": 200,
    "last_error": None,
    "next_attempt_at": None,
    "payload": EVENT_EXAMPLE,
    "number": 1,
    "duration_ms": 84,
    "remote_address": "93.184.215.14",
    "response_headers": [["content-type", "application/json"]],
    "response_body": '{"received": true}',
    "Attempt.error": None,
    "Timings": {"dns_ms": 3, "connect_ms": 11, "tls_ms": 24, "first_byte_ms": 45, "reused": False},
    "max_concurrency": 10,
    "rate_limit_per_second": None,
    "timeout_seconds": 15,
    "EventView.type": "outcome.applied",
    "data": {"call_id": _id(4), "outcome_id": _id(1), "applied_id": _id(5)},
    "SecretAnswer.secret": "whsec_••••••••3f9a",
    "RotatedAnswer.secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "signing_with": 1,
    "Endpoint.state": "active",
    "Stretch": {"since": "2026-06-18T04:00:00.000Z", "until": "2026-06-25T04:00:00.000Z"},
    "previous_period": {"since": "2026-06-11T04:00:00.000Z", "until": "2026-06-18T04:00:00.000Z"},
    "tz": "America/New_York",
    "interval": "day",
    "formulas": {"change": FORMULAS["change"]},
    "CountFigure": {"value": 1612, "previous": 1490, "change": 0.0819},
    "RateFigure": {"value": 0.234, "previous": 0.223, "change": 0.011},
    "DurationFigure": {"value": 21_000, "previous": 20_000, "change": 0.05},
    "OutcomeCount": {
        "outcome_id": _id(1),
        "outcome_name": "Interested",
        "outcome_type": "disposition",
        "deleted": False,
        "count": 402,
        "previous": 388,
        "share": 0.2494,
    },
    "DispositionsReport.dispositions": [
        {
            "outcome_id": _id(1),
            "outcome_name": "Voicemail left",
            "outcome_type": "disposition",
            "deleted": False,
            "count": 402,
            "previous": 388,
            "share": 0.2494,
        }
    ],
    "contact_outcome_ids": None,
    "conversion_outcome_ids": None,
    "oldest_waiting_since": None,
    "HistoryEntry": {
        "type": "list_move",
        "at": _AT,
        "list_move": {
            "smart_list_id": _id(2),
            "smart_list_name": "Follow up",
            "direction": "joined",
            "source": "applied",
            "applied_id": _id(5),
        },
    },
}

# What an operation's answer shows that the noun's own example does not: by operation, noun and field.
_AFTER: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "start_call": {"call": {"applied": []}},
    "answer_call": {"call": {"applied": []}},
    "end_call": {
        "call": {
            "state": "wrap_up",
            "line_result": "completed",
            "ended_at": _AT,
            "disposition_required": True,
        }
    },
    "retry_delivery": {"delivery": {"state": "pending", "next_attempt_at": _AT, "finished_at": None}},
    "cancel_delivery": {"delivery": {"state": "canceled", "attempt_count": 0, "attempts": []}},
    "create_contact": {"contact": {"smart_lists": []}},
    "create_smart_list": {"smart_list": {"contact_count": 0}},
    "rename_smart_list": {"smart_list": {"smart_list_name": "Warm leads"}},
    "join_smart_list": {"membership": {"source": "request", "applied_id": None}},
}


def answer_example(operation_name: str, schema: Schema, components: Mapping[str, Schema]) -> Any:
    """An answer of the operation."""
    answer = sample(schema, components)
    for noun, fields in _AFTER.get(operation_name, {}).items():
        answer[noun] = answer[noun] | fields
    return answer


def sample(schema: Schema, components: Mapping[str, Schema], name: str = "") -> Any:
    """A value of the schema. `name` is the `Component.field` that it is for."""
    for known in (name, name.rpartition(".")[2]):
        if known in _VALUES and known not in components:
            return _VALUES[known]
    if "$ref" in schema:
        component = schema["$ref"].removeprefix(PREFIX)
        return _VALUES.get(component) or sample(components[component], components, component)
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], components, name)
    if "const" in schema:
        return schema["const"]
    for several in ("examples", "enum"):
        if several in schema:
            return schema[several][0]
    return _of_type(schema, components, name)


def _of_type(schema: Schema, components: Mapping[str, Schema], name: str) -> Any:
    match schema.get("type"):
        case "object":
            properties, required = schema.get("properties", {}), schema.get("required", ())
            return {
                field: sample(properties[field], components, f"{name}.{field}")
                for field in properties
                if field in required
            }
        case "array":
            return [sample(schema["items"], components, name.removesuffix("s"))]
        case "boolean":
            return False
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "string":
            return _text(schema)
        case _:
            return None


def _text(schema: Schema) -> str:
    return {"uuid": _id(1), "date-time": _AT, "uri": "https://example.com"}.get(
        schema.get("format", ""), "text"
    )
