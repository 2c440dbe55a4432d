"""Count the facts of closed times ahead of the reports that ask for them, in small steps.

What is counted and how far (the mark) commit together, so a step that is killed has not happened, and one that is
done is not done again. Facts are taken up only when no transaction is left that could still add one before them.
"""

from __future__ import annotations

from collections.abc import Sequence

from leadline.domain.reports import Measure
from leadline.store import reports as store
from leadline.store.database import Tx

# Facts of one step: it holds up other writers for some milliseconds at most.
STEP_FACTS = 300
# How far the mark stays behind. A transaction takes its time before it begins, machines' clocks differ, and an
# attempt is written down when it is over.
GRACE_MS = 120_000
# An attempt that began longer ago than this when it is written down may lie behind the mark: no attempt takes so long,
# but the database may have been away. Half of the grace, for the clocks.
LATE_MS = GRACE_MS // 2


async def uncounted(tx: Tx) -> list[tuple[str, Measure]]:
    """(workspace_id, measure) of those that have something to be counted; reads, and writes nothing."""
    return await store.due_measures(tx, await _counted_until_max(tx))


async def count_ahead(tx: Tx, workspace_id: str, measure: Measure, *, step_facts: int = STEP_FACTS) -> bool:
    """Take one step; True when there may be more to do."""
    until_max = await _counted_until_max(tx)
    counted_from = await store.lock_mark(tx, workspace_id, measure)
    if counted_from is None or counted_from >= until_max:
        return False
    beyond = await store.time_of_fact(tx, workspace_id, measure, counted_from, skipped=step_facts)
    # All facts of one moment go together, however many they are.
    counted_until = until_max if beyond is None else min(until_max, max(beyond, counted_from + 1))
    await store.count_facts(tx, workspace_id, measure, counted_from, counted_until)
    return counted_until < until_max


async def count_late_attempts(tx: Tx, workspace_id: str, attempts: Sequence[tuple[str, int]]) -> None:
    """Count attempts that this transaction has written down late, (delivery_id, number), if the mark has passed them.

    The mark is held until the commit, so that they are counted here or by those who move it, and not by both.
    """
    for measure in store.MEASURES_OF_ATTEMPTS:
        counted_until = await store.hold_mark(tx, workspace_id, measure)
        for delivery_id, number in attempts:
            await store.count_attempt(tx, workspace_id, measure, counted_until, delivery_id, number)


async def _counted_until_max(tx: Tx) -> int:
    return max(0, min(tx.now_ms, await store.horizon_ms(tx)) - GRACE_MS)
