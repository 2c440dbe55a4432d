"""The workspace and its settings (contract § 10)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from leadline.wire.common import Answer, Body, Uuid, UuidInput

RequireDispositionName = Literal["answered", "always", "never"]
WrapUpTimeout = Annotated[int, Meta(ge=5, le=86_400)]


class WorkspaceChange(Body, frozen=True, kw_only=True):
    """Only the fields sent change; null takes a wrap-up timeout or its outcome away."""

    name: str | UnsetType = UNSET
    region: (
        Annotated[str, Meta(description="ISO 3166, for national numbers.", examples=["US"])] | UnsetType
    ) = UNSET
    outcomes_enabled: bool | UnsetType = UNSET
    require_disposition: RequireDispositionName | UnsetType = UNSET
    wrap_up_timeout_seconds: WrapUpTimeout | UnsetType | None = UNSET
    wrap_up_timeout_outcome_id: UuidInput | UnsetType | None = UNSET
    retention_days: Annotated[int, Meta(ge=1, le=3650)] | UnsetType = UNSET


class Workspace(Struct, frozen=True, kw_only=True):
    subaccount_id: Uuid
    organization_id: Uuid
    name: str
    region: str
    outcomes_enabled: bool
    require_disposition: RequireDispositionName
    wrap_up_timeout_seconds: WrapUpTimeout | None
    wrap_up_timeout_outcome_id: Uuid | None
    retention_days: int


class WorkspaceAnswer(Answer, frozen=True, kw_only=True):
    workspace: Workspace
