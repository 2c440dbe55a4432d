"""Outcomes and Smart Lists as one document, by name: what a file of outcomes as code holds."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from leadline.wire.common import Answer, Body, Int32, Query, Uuid, UuidInput
from leadline.wire.outcomes import OutcomeTypeName

ListName = Annotated[
    str,
    Meta(description="Unique without regard to case.", extra_json_schema={"minLength": 1, "maxLength": 120}),
]


class DeletedSmartList(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Smart List that was deleted while an outcome still points to it. It has no name any more."""

    deleted: Annotated[UuidInput, Meta(description="The id that the deleted list had.")]


class ConfiguredList(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Smart List. Its contacts are no part of the configuration."""

    name: ListName
    was: Annotated[str, Meta(description="An earlier name: a list that has it is renamed.")] | None = None


class ConfiguredOutcome(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An outcome, known by type and name. What is left out takes its default."""

    name: Annotated[
        str,
        Meta(
            description="What agents see.",
            examples=["Interested"],
            extra_json_schema={"minLength": 1, "maxLength": 120},
        ),
    ]
    type: Annotated[OutcomeTypeName, Meta(description="`action` during the call, `disposition` after it.")]
    was: (
        Annotated[str, Meta(description="An earlier name: an outcome of this type that has it is renamed.")]
        | None
    ) = None
    id: (
        Annotated[
            UuidInput,
            Meta(description="The outcome's id, where type and name do not tell which one is meant."),
        ]
        | None
    ) = None
    order: Annotated[Int32, Meta(description="Lower comes first; 0 when left out.")] | None = None
    add_to: (
        Annotated[str | DeletedSmartList, Meta(description="The Smart List that the contact joins.")] | None
    ) = None
    remove_from: (
        Annotated[
            Literal["all"] | list[str | DeletedSmartList],
            Meta(description="The Smart Lists that the contact leaves: `all`, or a list of names."),
        ]
        | None
    ) = None
    webhook_url: (
        Annotated[
            str,
            Meta(
                description="Absolute http or https URL; required for an `action`.",
                extra_json_schema={"format": "uri", "maxLength": 2048},
            ),
        ]
        | None
    ) = None


class Configuration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Smart Lists and outcomes. A section that is left out (or null) is not managed at all."""

    smart_lists: list[ConfiguredList] | None = None
    outcomes: list[ConfiguredOutcome] | None = None


class ConfigurationFile(Configuration, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of Smart Lists and outcomes by name, for `leadline plan`, `apply` and `LEADLINE_PROVISION_DIR`."""

    workspace: (
        Annotated[
            str, Meta(description="The workspace that it is for, by id or name; checked, never changed.")
        ]
        | None
    ) = None
    prune: Annotated[
        bool, Meta(description="Delete what the workspace has and the file has not, in the sections it has.")
    ] = False


class ConfigurationBody(Body, frozen=True, kw_only=True):
    """The document in one of two forms: a body has 64 KiB, and a workspace may need more."""

    configuration: Configuration | None = None
    configuration_deflated: (
        Annotated[
            str,
            Meta(
                description="Instead: base64 of the document's JSON compressed by zlib (RFC 1950), for large ones.",
                extra_json_schema={"contentEncoding": "base64"},
            ),
        ]
        | None
    ) = None


class PruneQuery(Query, frozen=True, kw_only=True):
    prune: (
        Annotated[
            bool,
            Meta(description="Delete what the workspace has and the document has not, in its sections."),
        ]
        | None
    ) = None


class ConfiguredWorkspace(Struct, frozen=True, kw_only=True):
    """Whose configuration it is."""

    subaccount_id: Uuid
    name: str


class FieldChange(Struct, frozen=True, kw_only=True):
    """One field of an outcome or a Smart List, as the document would say it; null where it says nothing."""

    field: Literal["name", "type", "order", "add_to", "remove_from", "webhook_url"]
    before: str | int | list[str | DeletedSmartList] | DeletedSmartList | None
    after: str | int | list[str | DeletedSmartList] | DeletedSmartList | None


class PlannedChange(Struct, frozen=True, kw_only=True):
    change: Literal["create", "update", "delete"]
    kind: Literal["smart_list", "outcome"]
    id: Annotated[Uuid, Meta(description="Null for what does not exist yet.")] | None
    name: Annotated[str, Meta(description="The name that it has when the change is made.")]
    type: OutcomeTypeName | None
    fields: list[FieldChange]
    notes: Annotated[list[str], Meta(description="What else the change means, for people.")]


class Plan(Struct, frozen=True, kw_only=True):
    """What would change, in the order in which it is carried out."""

    changes: list[PlannedChange]
    created: int
    updated: int
    deleted: int
    unchanged: Annotated[int, Meta(description="What the document names and is as it says.")]
    unmanaged: Annotated[int, Meta(description="What the workspace has, the document has not, and stays.")]


class ConfigurationAnswer(Answer, frozen=True, kw_only=True):
    workspace: ConfiguredWorkspace
    configuration: Configuration


class PlanAnswer(Answer, frozen=True, kw_only=True):
    workspace: ConfiguredWorkspace
    plan: Plan
