"""Answers that depend on nothing but a workspace's configuration: kept as bytes until that changes.

Nothing old is ever answered. Before each answer the workspace's `configuration_revision` is read: a number that
every change of outcomes and Smart Lists raises in its own transaction, whichever process makes it. Requests that
come in the same moment share one such read, which begins after the last of them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from leadline.operations.idempotency import EncodedAnswer
from leadline.store.database import Database, Tx
from leadline.store.workspaces import configuration_revision

# Some 800 lists of 50 outcomes. The longest there can be (500 with the longest addresses) is a fifth of it.
KEPT_BYTES_MAX = 16 * 1024 * 1024

Make = Callable[[Tx], Awaitable[EncodedAnswer]]


class KeptAnswers:
    """The answers that were asked for last, `bytes_max` of them. For one event loop."""

    def __init__(self, database: Database, *, bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._database = database
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, str], tuple[int, EncodedAnswer]] = OrderedDict()
        # Reads of workspaces' revisions that have not begun.
        self._about_to_read: dict[str, asyncio.Task[int]] = {}

    async def answer(self, name: str, workspace_id: str, make: Make) -> EncodedAnswer:
        """What `make` answers for this workspace, or what it answered before when nothing has changed since.

        Raises what `make` raises, and Unavailable.
        """
        revision = await self._revision(workspace_id)
        place = (name, workspace_id)
        kept = self._kept.get(place)
        if kept is not None and kept[0] == revision:
            self._kept.move_to_end(place)
            return kept[1]

        async def with_revision(tx: Tx) -> tuple[int, EncodedAnswer]:
            # In this order: with what is committed in between the answer is newer than its number, never older.
            return await configuration_revision(tx, workspace_id), await make(tx)

        revision, answer = await self._database.read(with_revision)
        self._keep(place, revision, answer)
        return answer

    async def _revision(self, workspace_id: str) -> int:
        reading = self._about_to_read.get(workspace_id)
        if reading is None:
            reading = asyncio.create_task(self._read(workspace_id))
            self._about_to_read[workspace_id] = reading
        # One who goes away takes nothing from the others.
        return await asyncio.shield(reading)

    async def _read(self, workspace_id: str) -> int:
        # Whoever comes from now on may have seen a change that this read does not.
        del self._about_to_read[workspace_id]
        return await self._database.read(lambda tx: configuration_revision(tx, workspace_id))

    def _keep(self, place: tuple[str, str], revision: int, answer: EncodedAnswer) -> None:
        replaced = self._kept.pop(place, None)
        if replaced is not None:
            if replaced[0] > revision:  # slower than who read a newer one
                self._kept[place] = replaced
                return
            self._bytes -= len(replaced[1].body)
        self._kept[place] = (revision, answer)
        self._bytes += len(answer.body)
        while self._bytes > self._bytes_max:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._bytes -= len(oldest.body)
