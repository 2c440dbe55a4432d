"""Smart Lists and outcomes as one document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leadline.client.models import Configuration, ConfigurationState, PlannedConfiguration, with_etag
from leadline.client.requests.described import Reply, Request, decoded, given, parameters, path

Document = Configuration | Mapping[str, Any]


def get_configuration() -> Request[ConfigurationState]:
    """Smart Lists and outcomes as a document that can be applied, and the tag of their state."""
    return Request(operation="get_configuration", method="GET", path=path("/configuration"), read=_state)


def plan_configuration(
    *,
    configuration: Document | None = None,
    configuration_deflated: str | None = None,
    prune: bool | None = None,
    idempotency_key: str | None = None,
) -> Request[PlannedConfiguration]:
    """What applying a document would change. The answer's `etag` is for `apply_configuration(if_match=…)`."""
    return Request(
        operation="plan_configuration",
        method="POST",
        path=path("/configuration/plan"),
        read=_planned,
        query=parameters(prune=prune),
        body=given(configuration=configuration, configuration_deflated=configuration_deflated),
        idempotency_key=idempotency_key,
    )


def apply_configuration(
    *,
    configuration: Document | None = None,
    configuration_deflated: str | None = None,
    prune: bool | None = None,
    if_match: str | None = None,
    idempotency_key: str | None = None,
) -> Request[PlannedConfiguration]:
    """Make Smart Lists and outcomes what a document says, all of it or nothing; what was changed."""
    return Request(
        operation="apply_configuration",
        method="PUT",
        path=path("/configuration"),
        read=_planned,
        query=parameters(prune=prune),
        body=given(configuration=configuration, configuration_deflated=configuration_deflated),
        if_match=if_match,
        idempotency_key=idempotency_key,
    )


def _state(reply: Reply) -> ConfigurationState:
    return with_etag(decoded(reply, ConfigurationState), reply.headers.get("etag"))


def _planned(reply: Reply) -> PlannedConfiguration:
    return with_etag(decoded(reply, PlannedConfiguration), reply.headers.get("etag"))
