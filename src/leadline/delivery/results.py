"""Results: attempts that were answered and are not on record yet."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from leadline.delivery.places import FlightKey
from leadline.operations.record_attempts import Attempted

# What took its time is recorded a tenth of that later, together with others: each delivery of a slow receiver would
# cost a commit and a claim of its own. What came back at once is recorded at once.
GATHER_SHARE, GATHER_SECONDS_MIN, GATHER_SECONDS_MAX = 0.1, 0.005, 0.1
RECORD_MAX = 128


@dataclass(slots=True)
class _Waiting:
    """Those of one workspace, and when they are to be recorded (by the loop's clock)."""

    due: float
    attempts: deque[Attempted] = field(default_factory=deque)


class Results:
    """They gather by workspace, for which they are recorded together.

    `together`: those of all workspaces share a commit, so who has one to make takes everybody along.
    """

    def __init__(self, *, together: bool) -> None:
        self._together = together
        self._gather = True
        self._of_workspace: dict[str, _Waiting] = {}
        self._is_due = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(len(waiting.attempts) for waiting in self._of_workspace.values())

    def keys(self) -> set[FlightKey]:
        return {
            (attempted.delivery_id, attempted.lease_id)
            for waiting in self._of_workspace.values()
            for attempted in waiting.attempts
        }

    def add(self, attempted: Attempted) -> None:
        now = asyncio.get_running_loop().time()
        wait_seconds = min(GATHER_SECONDS_MAX, attempted.duration_ms / 1000 * GATHER_SHARE)
        due = now + wait_seconds if self._gather and wait_seconds >= GATHER_SECONDS_MIN else now
        waiting = self._of_workspace.setdefault(attempted.workspace_id, _Waiting(due))
        waiting.attempts.append(attempted)
        if len(waiting.attempts) >= RECORD_MAX:
            due = now
        waiting.due = min(waiting.due, due)
        self._ring_at(waiting.due, now)

    def put_back(self, batch: list[Attempted]) -> None:
        """It could not be recorded: it is first, and due at once."""
        now = asyncio.get_running_loop().time()
        waiting = self._of_workspace.setdefault(batch[0].workspace_id, _Waiting(now))
        waiting.attempts.extendleft(reversed(batch))
        waiting.due = now
        self._is_due.set()

    def hurry(self) -> None:
        """Nobody gathers any more: all is due at once, and whatever is added."""
        self._gather = False
        self._is_due.set()

    async def due(self) -> list[list[Attempted]]:
        """Batches of one workspace each, once there are any: what is due, taken away."""
        await self._is_due.wait()
        self._is_due.clear()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now = asyncio.get_running_loop().time()
        batches = [self._take(workspace_id) for workspace_id in self._due_at(now)]
        if self._of_workspace:
            self._ring_at(min(waiting.due for waiting in self._of_workspace.values()), now)
        return batches

    def take_all(self) -> list[list[Attempted]]:
        batches = [list(waiting.attempts) for waiting in self._of_workspace.values()]
        self._of_workspace.clear()
        return batches

    def _due_at(self, now: float) -> list[str]:
        if self._together or not self._gather:
            return list(self._of_workspace)
        # A timer may be early by what it is measured in.
        latest = now + 0.001
        return [workspace_id for workspace_id, waiting in self._of_workspace.items() if waiting.due <= latest]

    def _take(self, workspace_id: str) -> list[Attempted]:
        waiting = self._of_workspace[workspace_id].attempts
        batch = [waiting.popleft() for _ in range(min(len(waiting), RECORD_MAX))]
        if not waiting:
            del self._of_workspace[workspace_id]
        return batch

    def _ring_at(self, due: float, now: float) -> None:
        """`due` answers then, if it does not before."""
        if due <= now:
            self._is_due.set()
            return
        if self._alarm is not None:
            if self._alarm.when() <= due:
                return
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_at(due, self._is_due.set)
