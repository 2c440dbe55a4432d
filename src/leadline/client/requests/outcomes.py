"""Outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leadline.client.models import OutcomeDeleted, Outcomes, Removal, SavedOutcome, with_etag
from leadline.client.requests.described import Id, Reply, Request, decoded, given, path
from leadline.wire.outcomes import DestinationTypeName, OutcomeTypeName


def list_outcomes(*, known: Outcomes | None = None) -> Request[Outcomes]:
    """All outcomes in display order.

    `known` is an earlier answer: when nothing has changed since, it is answered again without being sent.
    """
    tagged = None if known is None or known.etag is None else (known.etag, known)
    return Request(
        operation="list_outcomes", method="GET", path=path("/outcomes"), read=_outcomes, known=tagged
    )


def create_outcome(
    *,
    outcome_name: str,
    outcome_type: OutcomeTypeName,
    order: int | None = None,
    destination_type: DestinationTypeName | None = None,
    destination_id: Id | None = None,
    remove_from_smart_lists: Mapping[str, Any] | Removal | None = None,
    webhook_url: str | None = None,
    idempotency_key: str | None = None,
) -> Request[SavedOutcome]:
    """Make an outcome."""
    return Request(
        operation="create_outcome",
        method="POST",
        path=path("/outcomes"),
        read=_saved,
        body=given(
            outcome_name=outcome_name,
            outcome_type=outcome_type,
            order=order,
            destination_type=destination_type,
            destination_id=destination_id,
            remove_from_smart_lists=remove_from_smart_lists,
            webhook_url=webhook_url,
        ),
        idempotency_key=idempotency_key,
    )


def replace_outcome(
    outcome_id: Id,
    *,
    outcome_name: str,
    outcome_type: OutcomeTypeName,
    order: int | None = None,
    destination_type: DestinationTypeName | None = None,
    destination_id: Id | None = None,
    remove_from_smart_lists: Mapping[str, Any] | Removal | None = None,
    webhook_url: str | None = None,
    if_match: str | None = None,
    idempotency_key: str | None = None,
) -> Request[SavedOutcome]:
    """Replace the whole configuration of an outcome: what is left out takes its default.

    With `if_match` (the `etag` of an answer) only if nobody has changed it since, else `PreconditionFailed`.
    """
    return Request(
        operation="replace_outcome",
        method="PATCH",
        path=path("/outcomes/{}", outcome_id),
        read=_saved,
        body=given(
            outcome_name=outcome_name,
            outcome_type=outcome_type,
            order=order,
            destination_type=destination_type,
            destination_id=destination_id,
            remove_from_smart_lists=remove_from_smart_lists,
            webhook_url=webhook_url,
        ),
        if_match=if_match,
        idempotency_key=idempotency_key,
    )


def delete_outcome(
    outcome_id: Id, *, if_match: str | None = None, idempotency_key: str | None = None
) -> Request[OutcomeDeleted]:
    """Delete an outcome. What was applied keeps its name and type."""
    return Request(
        operation="delete_outcome",
        method="DELETE",
        path=path("/outcomes/{}", outcome_id),
        read=lambda reply: decoded(reply, OutcomeDeleted),
        if_match=if_match,
        idempotency_key=idempotency_key,
    )


def _outcomes(reply: Reply) -> Outcomes:
    return with_etag(decoded(reply, Outcomes), reply.headers.get("etag"))


def _saved(reply: Reply) -> SavedOutcome:
    return with_etag(decoded(reply, SavedOutcome), reply.headers.get("etag"))
