"""Outcomes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from leadline.domain.outcomes import (
    AddTo,
    Destination,
    DestinationType,
    RemoveFrom,
    RemoveFromAll,
    Stay,
    destination_type,
)
from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import Row, columns, insertion, values_of
from leadline.store.workspaces import configuration_changed


class OutcomeRow(Row, frozen=True, gc=False):
    workspace_id: str
    outcome_id: str
    outcome_name: str
    outcome_type: str
    display_order: int
    destination_type: str
    destination_id: str | None
    remove_all: int | None
    remove_list_ids: str | None
    webhook_url: str | None
    endpoint_id: str | None
    revision: int
    created_at: int
    updated_at: int


_OUTCOME = columns(OutcomeRow)
_INSERT = insertion("outcomes", OutcomeRow)
_GET = Statement(
    f"SELECT {_OUTCOME} FROM outcomes WHERE workspace_id = :workspace_id AND outcome_id = :outcome_id"
)
_THESE = Statement(
    f"SELECT {_OUTCOME} FROM outcomes WHERE workspace_id = :workspace_id AND outcome_id {{in_ids:outcome_ids}}"
)
_LOCK = Statement(
    f"SELECT {_OUTCOME} FROM outcomes"
    " WHERE workspace_id = :workspace_id AND outcome_id = :outcome_id {for_update}"
)
_ALL = Statement(
    f"SELECT {_OUTCOME} FROM outcomes WHERE workspace_id = :workspace_id"
    " ORDER BY display_order, created_at, outcome_id"
)
_COUNT = Statement("SELECT COUNT(*) FROM outcomes WHERE workspace_id = :workspace_id")
_HAS_DISPOSITION = Statement(
    "SELECT 1 FROM outcomes WHERE workspace_id = :workspace_id AND outcome_type = 'disposition' LIMIT 1"
)
_REPLACE = Statement(
    "UPDATE outcomes SET outcome_name = :outcome_name, outcome_type = :outcome_type,"
    " display_order = :display_order, destination_type = :destination_type, destination_id = :destination_id,"
    " remove_all = :remove_all, remove_list_ids = :remove_list_ids, webhook_url = :webhook_url,"
    " endpoint_id = :endpoint_id, revision = :revision, updated_at = :updated_at"
    " WHERE workspace_id = :workspace_id AND outcome_id = :outcome_id"
)
_DELETE = Statement("DELETE FROM outcomes WHERE workspace_id = :workspace_id AND outcome_id = :outcome_id")


async def insert_outcome(tx: Tx, row: OutcomeRow) -> None:
    await tx.run(_INSERT, **values_of(row))
    await configuration_changed(tx, row.workspace_id)


async def get_outcome(tx: Tx, workspace_id: str, outcome_id: str) -> OutcomeRow | None:
    row = await tx.first(_GET, workspace_id=workspace_id, outcome_id=outcome_id)
    return OutcomeRow(*row) if row else None


async def get_outcomes(tx: Tx, workspace_id: str, outcome_ids: Sequence[str]) -> dict[str, OutcomeRow]:
    """Those of these outcomes that there are."""
    rows = await tx.all(_THESE, workspace_id=workspace_id, outcome_ids=json.dumps(list(outcome_ids)))
    return {row[1]: OutcomeRow(*row) for row in rows}


async def lock_outcome(tx: Tx, workspace_id: str, outcome_id: str) -> OutcomeRow | None:
    row = await tx.first(_LOCK, workspace_id=workspace_id, outcome_id=outcome_id)
    return OutcomeRow(*row) if row else None


async def all_outcomes(tx: Tx, workspace_id: str) -> list[OutcomeRow]:
    """In display order: lower `order` first, ties by creation, then id."""
    return [OutcomeRow(*row) for row in await tx.all(_ALL, workspace_id=workspace_id)]


async def count_outcomes(tx: Tx, workspace_id: str) -> int:
    row = await tx.first(_COUNT, workspace_id=workspace_id)
    return int(row[0]) if row else 0


async def has_disposition(tx: Tx, workspace_id: str) -> bool:
    return await tx.first(_HAS_DISPOSITION, workspace_id=workspace_id) is not None


async def replace_outcome(tx: Tx, row: OutcomeRow) -> None:
    await tx.run(_REPLACE, **values_of(row))
    await configuration_changed(tx, row.workspace_id)


async def delete_outcome(tx: Tx, workspace_id: str, outcome_id: str) -> None:
    await tx.run(_DELETE, workspace_id=workspace_id, outcome_id=outcome_id)
    await configuration_changed(tx, workspace_id)


def destination_of(row: OutcomeRow) -> Destination:
    """The destination that a row holds."""
    match DestinationType(row.destination_type):
        case DestinationType.SMART_LIST:
            assert row.destination_id is not None  # CHECK one_destination
            return AddTo(row.destination_id)
        case DestinationType.REMOVE:
            if row.remove_list_ids is None:
                return RemoveFromAll()
            return RemoveFrom(tuple(json.loads(row.remove_list_ids)))
        case DestinationType.NONE:
            return Stay()


def destination_columns(destination: Destination) -> dict[str, object]:
    """The four columns of a destination: exactly one shape, as CHECK one_destination wants it."""
    return {
        "destination_type": destination_type(destination).value,
        "destination_id": destination.smart_list_id if isinstance(destination, AddTo) else None,
        "remove_all": 1 if isinstance(destination, RemoveFromAll) else None,
        "remove_list_ids": (
            json.dumps(destination.smart_list_ids) if isinstance(destination, RemoveFrom) else None
        ),
    }
