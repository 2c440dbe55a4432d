"""Put the outcomes of one type into another order, all at once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from leadline.domain.errors import InvalidRequest, OutcomeNotFound, PreconditionFailed
from leadline.domain.outcome_order import reordered
from leadline.domain.outcomes import OutcomeType
from leadline.operations import audit
from leadline.operations.events import EventType, NewEvent, emit
from leadline.store import outcomes as store
from leadline.store import workspaces
from leadline.store.database import Tx
from leadline.store.outcomes import OutcomeRow


async def reorder_outcomes(
    tx: Tx, workspace_id: str, outcome_type: OutcomeType, outcome_ids: Sequence[str]
) -> int:
    """Show them in this order; how many got another `order` value.

    Raises PreconditionFailed when these are not all outcomes of the type: somebody added or deleted one meanwhile.
    """
    # As every change of outcomes: two at once would deal out values from before the other.
    await workspaces.lock_workspace(tx, workspace_id)
    rows = await _of_type(tx, workspace_id, outcome_type)
    return await _put(tx, workspace_id, outcome_type, rows, outcome_ids)


async def move_outcome(tx: Tx, workspace_id: str, outcome_id: str, *, places: int) -> OutcomeRow:
    """Move one within its type, up when `places` is negative; at an end it stays. Raises OutcomeNotFound."""
    if not places:
        raise InvalidRequest("An outcome moves up or down.")
    await workspaces.lock_workspace(tx, workspace_id)
    row = await store.get_outcome(tx, workspace_id, outcome_id)
    if row is None:
        raise OutcomeNotFound
    outcome_type = OutcomeType(row.outcome_type)
    rows = await _of_type(tx, workspace_id, outcome_type)
    wanted = [each.outcome_id for each in rows]
    place = wanted.index(outcome_id)
    wanted.insert(max(0, min(place + places, len(rows) - 1)), wanted.pop(place))
    await _put(tx, workspace_id, outcome_type, rows, wanted)
    return row


async def _of_type(tx: Tx, workspace_id: str, outcome_type: OutcomeType) -> list[OutcomeRow]:
    rows = await store.all_outcomes(tx, workspace_id)
    return [row for row in rows if row.outcome_type == outcome_type]


async def _put(
    tx: Tx, workspace_id: str, outcome_type: OutcomeType, rows: Sequence[OutcomeRow], wanted: Sequence[str]
) -> int:
    by_id = {row.outcome_id: row for row in rows}
    if sorted(wanted) != sorted(by_id):
        raise PreconditionFailed("The outcomes were changed meanwhile; here they are as they are now.")
    if list(wanted) == list(by_id):
        return 0
    orders = reordered([by_id[each].display_order for each in wanted])
    changed = [
        msgspec.structs.replace(
            by_id[each],
            display_order=order,
            revision=by_id[each].revision + 1,
            updated_at=max(tx.now_ms, by_id[each].updated_at),
        )
        for each, order in zip(wanted, orders, strict=True)
        if by_id[each].display_order != order
    ]
    for row in changed:
        await store.replace_outcome(tx, row)
    await _tell(tx, workspace_id, outcome_type, rows, [by_id[each] for each in wanted], changed)
    return len(changed)


async def _tell(
    tx: Tx,
    workspace_id: str,
    outcome_type: OutcomeType,
    before: Sequence[OutcomeRow],
    after: Sequence[OutcomeRow],
    changed: Sequence[OutcomeRow],
) -> None:
    """One entry of the audit log for the whole order, an event for each outcome that is another now."""
    told = [
        NewEvent(EventType.OUTCOMES_CHANGED, {"outcome_id": row.outcome_id, "change": "replaced"})
        for row in changed
    ]
    await emit(tx, workspace_id, told)
    await audit.record(
        tx,
        workspace_id,
        "outcome.reordered",
        None,
        before={f"{outcome_type}s": [row.outcome_name for row in before]},
        after={f"{outcome_type}s": [row.outcome_name for row in after]},
    )
