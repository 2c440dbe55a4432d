"""Configure outcomes: Part A of the contract."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from leadline.domain.endpoints import MAX_CONCURRENCY_DEFAULT, EndpointState
from leadline.domain.errors import (
    DestinationNotFound,
    LimitReached,
    OutcomeNotFound,
    PreconditionFailed,
    Problem,
)
from leadline.domain.limits import OUTCOMES_PER_WORKSPACE_MAX
from leadline.domain.outcomes import AddTo, Destination, OutcomeDefinition, OutcomeType, lists_named
from leadline.ids import new_id
from leadline.operations import audit
from leadline.operations.events import EventType, NewEvent, emit
from leadline.operations.views import outcome_view
from leadline.store import deleted_names, endpoints, smart_lists, workspaces
from leadline.store import outcomes as store
from leadline.store.database import Tx
from leadline.store.endpoints import EndpointRow
from leadline.store.outcomes import OutcomeRow, destination_columns, destination_of
from leadline.wire.outcomes import Outcome, OutcomeAnswer, OutcomeDeleted, OutcomesAnswer


async def list_outcomes(tx: Tx, workspace_id: str) -> OutcomesAnswer:
    """All of them, in display order."""
    rows = await store.all_outcomes(tx, workspace_id)
    names = await smart_lists.list_names(tx, workspace_id)
    return OutcomesAnswer(
        outcomes=[outcome_view(row, names) for row in rows],
        disposition_popup_enabled=any(row.outcome_type == "disposition" for row in rows),
    )


async def define_outcome(
    tx: Tx, workspace_id: str, definition: OutcomeDefinition, *, outcome_id: str | None = None
) -> tuple[OutcomeAnswer, str]:
    """Create an outcome; the answer and its ETag. Raises DestinationNotFound, LimitReached."""
    # Held until the commit, so that counting is true and no list goes away in between.
    await workspaces.lock_workspace(tx, workspace_id)
    await _require_lists(tx, workspace_id, definition.destination)
    if await store.count_outcomes(tx, workspace_id) >= OUTCOMES_PER_WORKSPACE_MAX:
        raise LimitReached(f"A workspace has at most {OUTCOMES_PER_WORKSPACE_MAX} outcomes.")
    row = OutcomeRow(
        workspace_id=workspace_id,
        outcome_id=outcome_id or new_id(),
        revision=1,
        created_at=tx.now_ms,
        updated_at=tx.now_ms,
        **await _definition_columns(tx, workspace_id, definition),
    )
    await store.insert_outcome(tx, row)
    return await _changed(tx, row, "created", before=None), etag_of(row)


async def replace_outcome(
    tx: Tx,
    workspace_id: str,
    outcome_id: str,
    definition: OutcomeDefinition,
    *,
    if_match: str | None,
    may_be_gone: Sequence[str] = (),
) -> tuple[OutcomeAnswer, str]:
    """Put a whole new configuration in place of the old. Raises OutcomeNotFound, PreconditionFailed.

    Of its lists those in `may_be_gone` need not exist: who changes something else leaves them as they are.
    """
    await workspaces.lock_workspace(tx, workspace_id)
    old = await _require_outcome(tx, workspace_id, outcome_id, if_match)
    await _require_lists(tx, workspace_id, definition.destination, may_be_gone)
    row = OutcomeRow(
        workspace_id=workspace_id,
        outcome_id=outcome_id,
        revision=old.revision + 1,
        created_at=old.created_at,
        updated_at=max(tx.now_ms, old.updated_at),
        **await _definition_columns(tx, workspace_id, definition),
    )
    await store.replace_outcome(tx, row)
    if row.outcome_type != "disposition":
        await workspaces.clear_timeout_outcome(tx, workspace_id, outcome_id)
    return await _changed(tx, row, "replaced", before=old), etag_of(row)


async def delete_outcome(
    tx: Tx, workspace_id: str, outcome_id: str, *, if_match: str | None
) -> OutcomeDeleted:
    """Take an outcome away; what was applied keeps its name and type."""
    await workspaces.lock_workspace(tx, workspace_id)
    old = await _require_outcome(tx, workspace_id, outcome_id, if_match)
    await audit.record(tx, workspace_id, "outcome.deleted", outcome_id, before=await _view(tx, old))
    await store.delete_outcome(tx, workspace_id, outcome_id)
    await deleted_names.keep_name(tx, workspace_id, "outcome", outcome_id, old.outcome_name)
    await workspaces.clear_timeout_outcome(tx, workspace_id, outcome_id)
    await _tell(tx, workspace_id, outcome_id, "deleted")
    return OutcomeDeleted(
        outcome_id=outcome_id, disposition_popup_enabled=await store.has_disposition(tx, workspace_id)
    )


def etag_of(row: OutcomeRow) -> str:
    """The tag of one configuration of one outcome."""
    return f'"{row.outcome_id}.{row.revision}"'


def definition_of(row: OutcomeRow) -> OutcomeDefinition:
    """The configuration that a row holds."""
    return OutcomeDefinition(
        name=row.outcome_name,
        type=OutcomeType(row.outcome_type),
        order=row.display_order,
        destination=destination_of(row),
        webhook_url=row.webhook_url,
    )


async def _require_outcome(tx: Tx, workspace_id: str, outcome_id: str, if_match: str | None) -> OutcomeRow:
    row = await store.lock_outcome(tx, workspace_id, outcome_id)
    if row is None:
        raise OutcomeNotFound
    if if_match is not None and not tag_matches(if_match, etag_of(row)):
        raise PreconditionFailed("The outcome has changed since it was read.")
    return row


def tag_matches(if_match: str, etag: str) -> bool:
    """Whether an If-Match names this tag, by strong comparison: a weak tag never matches (RFC 9110 § 13.1.1)."""
    return if_match.strip() == "*" or etag in (tag.strip() for tag in if_match.split(","))


async def _require_lists(
    tx: Tx, workspace_id: str, destination: Destination, may_be_gone: Sequence[str] = ()
) -> None:
    wanted = [each for each in lists_named(destination) if each not in may_be_gone]
    if not wanted:
        return
    found = await smart_lists.names_of_lists(tx, workspace_id, wanted)
    if isinstance(destination, AddTo):
        field, missing = "destination_id", [each for each in wanted if each not in found]
    else:
        field = "remove_from_smart_lists.list_ids"
        missing = [each for each in wanted if each not in found]
    if missing:
        details = [Problem(field, f"{each} is not a Smart List of this workspace") for each in missing]
        raise DestinationNotFound(details=details)


async def _definition_columns(tx: Tx, workspace_id: str, definition: OutcomeDefinition) -> dict[str, Any]:
    url = definition.webhook_url
    return {
        "outcome_name": definition.name,
        "outcome_type": definition.type.value,
        "display_order": definition.order,
        "webhook_url": url,
        "endpoint_id": None if url is None else await endpoint_for(tx, workspace_id, url),
        **destination_columns(definition.destination),
    }


async def endpoint_for(tx: Tx, workspace_id: str, url: str) -> str:
    """The endpoint of a URL, there from the moment an outcome with it is saved."""
    # By hash: a URL may be longer than an index entry can be.
    url_hash = hashlib.sha256(url.encode()).hexdigest()
    found = await endpoints.endpoint_by_hash(tx, workspace_id, url_hash)
    if found is not None:
        return found
    row = _new_endpoint(tx, workspace_id, url, url_hash)
    await endpoints.insert_endpoint(tx, row)
    return await endpoints.endpoint_by_hash(tx, workspace_id, url_hash) or row.endpoint_id


def _new_endpoint(tx: Tx, workspace_id: str, url: str, url_hash: str) -> EndpointRow:
    return EndpointRow(
        workspace_id=workspace_id,
        endpoint_id=new_id(),
        webhook_url=url,
        url_hash=url_hash,
        state=EndpointState.ACTIVE.value,
        state_reason=None,
        max_concurrency=MAX_CONCURRENCY_DEFAULT,
        rate_limit_per_second=None,
        timeout_seconds=None,
        failures_in_a_row=0,
        probe_at=None,
        failing_since=None,
        bucket_tokens=None,
        bucket_at=None,
        last_failure_at=None,
        last_failure=None,
        created_at=tx.now_ms,
        updated_at=tx.now_ms,
    )


async def _changed(tx: Tx, row: OutcomeRow, change: str, *, before: OutcomeRow | None) -> OutcomeAnswer:
    await _tell(tx, row.workspace_id, row.outcome_id, change)
    view = await _view(tx, row)
    old = None if before is None else await _view(tx, before)
    await audit.record(tx, row.workspace_id, f"outcome.{change}", row.outcome_id, before=old, after=view)
    return OutcomeAnswer(
        outcome=view,
        disposition_popup_enabled=await store.has_disposition(tx, row.workspace_id),
    )


async def _view(tx: Tx, row: OutcomeRow) -> Outcome:
    names = await smart_lists.names_of_lists(tx, row.workspace_id, lists_named(destination_of(row)))
    return outcome_view(row, names)


async def _tell(tx: Tx, workspace_id: str, outcome_id: str, change: str) -> None:
    data = {"outcome_id": outcome_id, "change": change}
    await emit(tx, workspace_id, [NewEvent(EventType.OUTCOMES_CHANGED, data)])
