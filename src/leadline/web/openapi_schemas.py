"""The schemas of the OpenAPI document: msgspec's, plus the rules that types alone do not say."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from typing import Any, Union, get_args, get_origin

import msgspec

from leadline.domain import limits
from leadline.domain.webhooks import Event
from leadline.web.table import Operation
from leadline.wire.common import Failure

Schema = dict[str, Any]
PREFIX = "#/components/schemas/"
_UUID: Schema = {"type": "string", "format": "uuid"}
_NULL: Schema = {"type": "null"}

_ATTRIBUTES: Schema = {
    "maxProperties": limits.ATTRIBUTES_MAX,
    "propertyNames": {"minLength": 1, "maxLength": limits.ATTRIBUTE_KEY_CHARACTERS_MAX},
}


def _text(characters_max: int) -> Schema:
    return {"minLength": 1, "maxLength": characters_max}


# What web/api checks beyond the types of a body. Nothing here refuses what a client would reasonably send:
# the lengths of names are those after trimming.
_FIELD_RULES: Mapping[str, Schema] = {
    "OutcomeBody.outcome_name": _text(limits.OUTCOME_NAME_CHARACTERS_MAX),
    "OutcomeBody.destination_type": {"description": "`none` when left out."},
    "OutcomeBody.remove_from_smart_lists": {
        "description": "Which lists to leave; with `remove_from_smart_list` only."
    },
    "OutcomeBody.webhook_url": {
        "format": "uri",
        "maxLength": limits.WEBHOOK_URL_CHARACTERS_MAX,
        "examples": ["https://example.com/leadline/outcomes"],
    },
    "RemoveFromSmartLists.list_ids": {
        "minItems": 1,
        "maxItems": limits.REMOVE_LIST_IDS_MAX,
        "uniqueItems": True,
    },
    "SmartListBody.smart_list_name": _text(limits.SMART_LIST_NAME_CHARACTERS_MAX),
    "SmartListChange.smart_list_name": {
        **_text(limits.SMART_LIST_NAME_CHARACTERS_MAX),
        "description": "Unique in the workspace, without regard to case.",
    },
    "ContactBody.phone_number": _text(limits.PHONE_INPUT_CHARACTERS_MAX),
    "ContactBody.name": _text(limits.NAME_CHARACTERS_MAX),
    "ContactBody.external_id": _text(limits.EXTERNAL_ID_CHARACTERS_MAX),
    "ContactBody.attributes": _ATTRIBUTES,
    "ContactChange.phone_number": {
        **_text(limits.PHONE_INPUT_CHARACTERS_MAX),
        "description": "E.164, or national in the workspace's region.",
        "examples": ["+15555550100"],
    },
    "ContactChange.name": _text(limits.NAME_CHARACTERS_MAX),
    "ContactChange.external_id": _text(limits.EXTERNAL_ID_CHARACTERS_MAX),
    "ContactChange.attributes": _ATTRIBUTES,
    "CallBody.phone_number": {
        **_text(limits.PHONE_INPUT_CHARACTERS_MAX),
        "description": "E.164, or national in the workspace's region. An unknown number makes a contact.",
        "examples": ["+15555550100"],
    },
    "CallBody.contact_id": {"description": "Instead of `phone_number`."},
    "CallBody.direction": {"description": "`outbound` when left out."},
    "CallBody.state": {"description": "`live` when left out."},
    "CallBody.started_at": {"description": "When it began; now when left out."},
    "CallEnd.line_result": {
        "description": "How the line ended. Left out: `completed` for a live call, `no_answer` for a ringing one."
    },
    "CallEnd.ended_at": {"description": "When it ended; now when left out."},
    "ApplyBody.note": {"description": "For people; may have line breaks."},
    "WorkspaceChange.name": _text(limits.NAME_CHARACTERS_MAX),
    "WorkspaceChange.region": {"minLength": 2, "maxLength": 2},
    "EventView.type": {
        "description": (
            "`call.started`, `call.answered`, `call.ended`, `call.closed`, `outcome.applied`,"
            " `delivery.succeeded`, `delivery.failed`, `outcomes.changed`, `endpoint.disabled`;"
            " more may come."
        )
    },
    "Scope.subaccount_id": _UUID,
    "Scope.organization_id": _UUID,
    "EventOutcome.outcome_id": _UUID,
    "EventOutcome.outcome_type": {"enum": ["action", "disposition"]},
    "EventCall.call_id": _UUID,
    "EventCall.phone_number": {"description": "E.164; null once the contact is erased."},
    "EventCall.contact_id": {
        "anyOf": [_UUID, _NULL],
        "description": "Null once the contact is erased.",
    },
    "Event.error_message": {"description": "Why the destination failed; empty when it did not."},
    "Event.timestamp": {"description": "When the outcome was applied, Unix milliseconds."},
    "Event.destination": {"$ref": f"{PREFIX}EventDestination"},
    "Delivery.payload": {
        "description": "The body as it is sent; null once its retention is over.",
        "anyOf": [{"$ref": f"{PREFIX}Event"}, _NULL],
    },
    "Failure.error": {"description": "What was refused. A code never changes meaning; codes may be added."},
    "Failure.message": {"description": "For people; may change."},
    "Failure.details": {"description": "All problems found, not only the first; empty when there are none."},
    "ProblemDetail.field": {"description": "Field, parameter or header; dotted within the body."},
}

_ALL_OR_SOME: list[Schema] = [
    {"required": ["all"], "properties": {"all": {"const": True}}},
    {"required": ["list_ids"], "properties": {"list_ids": {"type": "array"}}},
]
_OBJECT_RULES: Mapping[str, Schema] = {
    "RemoveFromSmartLists": {"oneOf": _ALL_OR_SOME},
    "RemovalConfigured": {"oneOf": _ALL_OR_SOME},
    "CallBody": {
        "oneOf": [
            {"required": ["phone_number"], "properties": {"phone_number": {"type": "string"}}},
            {"required": ["contact_id"], "properties": {"contact_id": {"type": "string"}}},
        ]
    },
    "ConfigurationBody": {
        "oneOf": [
            {"required": ["configuration"], "properties": {"configuration": {"type": "object"}}},
            {
                "required": ["configuration_deflated"],
                "properties": {"configuration_deflated": {"type": "string"}},
            },
        ]
    },
    # Receivers may rely on exactly these keys (contract § 5).
    "Event": {"additionalProperties": False, "description": "The body of the webhook `outcome.applied`."},
    "Scope": {"additionalProperties": False, "description": "The workspace that the event belongs to."},
    "EventOutcome": {"additionalProperties": False},
    "EventCall": {"additionalProperties": False},
}

# The id of what an error points at (contract § 1).
_POINTERS: Mapping[str, Schema] = {
    "call_id": {**_UUID, "description": "With `disposition_required`: the call that waits for it."},
    "contact_id": {**_UUID, "description": "With `contact_exists`: the contact that has the number."},
    "smart_list_id": {**_UUID, "description": "With `smart_list_exists`: the list that has the name."},
    "outcome_ids": {
        "type": "array",
        "items": _UUID,
        "description": "With `smart_list_in_use`: the outcomes that point to the list.",
    },
}


class Schemas:
    """The components of the document, and where each type is in them."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        wanted = _types(operations)
        references, components = msgspec.json.schema_components(wanted, ref_template=PREFIX + "{name}")
        self._references = dict(zip(wanted, references, strict=True))
        self.components: dict[str, Schema] = dict(components)
        for name, schema in self.components.items():
            _complete(name, schema)
        self.components["Failure"]["properties"] |= {name: dict(rule) for name, rule in _POINTERS.items()}
        self.components["EventDestination"] = _event_destination()

    def of(self, answer: Any) -> Schema:
        """The schema of a type, or of a union of types."""
        members = members_of(answer)
        if len(members) == 1:
            return dict(self._references[members[0]])
        return {"anyOf": [dict(self._references[member]) for member in members]}

    def resolve(self, schema: Schema) -> Schema:
        """The schema that a reference stands for; any other schema is itself."""
        while "$ref" in schema:
            schema = self.components[schema["$ref"].removeprefix(PREFIX)]
        return schema

    def parameters(self, query: type[msgspec.Struct]) -> dict[str, Schema]:
        """Query parameters by name. None of them can be null: what is left out is not there."""
        _, components = msgspec.json.schema_components([query], ref_template=PREFIX + "{name}")
        properties: dict[str, Schema] = components[query.__name__]["properties"]
        return {name: _without_null(_tidy(schema)) for name, schema in properties.items()}


def members_of(answer: Any) -> tuple[Any, ...]:
    """The types of a union; a type alone is its only member."""
    return get_args(answer) if get_origin(answer) in (Union, types.UnionType) else (answer,)


def _types(operations: Iterable[Operation]) -> list[Any]:
    found: dict[Any, None] = {Failure: None, Event: None}
    for operation in operations:
        if operation.body is not None:
            found[operation.body] = None
        for answer in operation.answers.values():
            found.update(dict.fromkeys(members_of(answer)))
    return list(found)


def _complete(name: str, schema: Schema) -> None:
    """Add what msgspec does not know: that answers always have all their keys, and the rules of fields."""
    properties: dict[str, Schema] = schema.get("properties", {})
    is_input = schema.get("additionalProperties") is False
    for field, plain in properties.items():
        always_there = not is_input and "default" in plain
        if always_there and field not in schema["required"]:
            schema["required"].append(field)
        tidied = _tidy(plain)
        if field in {"ok", "dry_run"} and always_there:
            tidied["const"] = plain["default"]
        properties[field] = _with_rule(tidied, _FIELD_RULES.get(f"{name}.{field}", {}))
    schema.update(_OBJECT_RULES.get(name, {}))


def _with_rule(schema: Schema, rule: Schema) -> Schema:
    return dict(rule) if "$ref" in rule else schema | rule


def _tidy(schema: Schema) -> Schema:
    """Without defaults, and with what describes a field beside its alternatives instead of inside one."""
    tidied = {key: value for key, value in schema.items() if key not in {"default", "example"}}
    if "example" in schema:
        tidied["examples"] = [schema["example"]]
    if "anyOf" in tidied:
        tidied["anyOf"] = [_tidy(each) for each in tidied["anyOf"]]
        for each in tidied["anyOf"]:
            for key in ("description", "examples"):
                if key in each and "$ref" not in each:
                    tidied[key] = each.pop(key)
    if "items" in tidied and isinstance(tidied["items"], dict):
        tidied["items"] = _tidy(tidied["items"])
    return tidied


def _without_null(schema: Schema) -> Schema:
    """The schema of what is not null."""
    if "anyOf" not in schema:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    kept = [each for each in schema["anyOf"] if each != _NULL]
    return rest | (kept[0] if len(kept) == 1 else {"anyOf": kept})


def _event_destination() -> Schema:
    return {
        "title": "EventDestination",
        "description": "Where the outcome sends the contact, as configured.",
        "oneOf": [
            _destination("none", {}),
            _destination("smart_list", {"destination_id": _UUID}),
            _destination(
                "remove_from_smart_list",
                {"remove_from_smart_lists": {"$ref": f"{PREFIX}RemovalConfigured"}},
            ),
        ],
    }


def _destination(name: str, more: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": {"destination_type": {"const": name}, **more},
        "required": ["destination_type", *more],
        "additionalProperties": False,
    }
