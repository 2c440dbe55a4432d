"""The agenda: which workspaces a worker is to look at, and when."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

# Found by itself within this time when every wake-up is lost.
POLL_SECONDS = 1.0
# Where everything is paused, or has no room, each commit would have us look in vain. After a few such looks in a row
# the next wait for each other: 4, 8, then 16 ms.
VAIN_LOOKS_FREE = 3
VAIN_SECONDS_MIN, VAIN_SECONDS_MAX = 0.004, 0.016
# A workspace for which nothing can be claimed, whatever it is about it, is left alone: 1, 2, 4, … up to 60 s.
FAILED_SECONDS_FIRST, FAILED_SECONDS_MAX = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class _Failure:
    """How often in a row a workspace could not be claimed for, and until when it is left alone (the loop's clock)."""

    count: int
    until: float


class Agenda:
    def __init__(self) -> None:
        self._wake = asyncio.Event()
        # In the order in which they are looked at: a dict, for sets have none.
        self._next: dict[str, None] = {}
        self._look_round_at = 0.0
        self._alarms: dict[str, asyncio.TimerHandle] = {}
        # Looks in a row that found nothing to claim.
        self._vain_looks: Counter[str] = Counter()
        self._failures: dict[str, _Failure] = {}

    def close(self) -> None:
        for alarm in self._alarms.values():
            alarm.cancel()

    # What is on it

    def look_at(self, workspace_id: str) -> None:
        """As soon as it is its turn."""
        self._next[workspace_id] = None
        self.wake()

    def look_later(self, workspace_id: str, wait_seconds: float) -> None:
        """Then, not a poll later. What this misses, the poll finds."""
        loop = asyncio.get_running_loop()
        known = self._alarms.get(workspace_id)
        if known is not None:
            if known.when() <= loop.time() + wait_seconds:
                return
            known.cancel()
        # A touch late rather than early: early finds nothing.
        self._alarms[workspace_id] = loop.call_later(wait_seconds + 0.002, self._ring, workspace_id)

    def look_first(self, workspace_ids: Iterable[str]) -> None:
        """Before those that are on it already."""
        self._next = dict.fromkeys([*workspace_ids, *self._next])

    def look_if_it_pays(self, workspace_id: str) -> None:
        """Something was committed there: at once, unless such looks have been in vain."""
        beyond = self._vain_looks[workspace_id] - VAIN_LOOKS_FREE
        if beyond < 0:
            self.look_at(workspace_id)
        else:
            self.look_later(workspace_id, min(VAIN_SECONDS_MAX, VAIN_SECONDS_MIN * 2**beyond))

    def looked(self, workspace_id: str, *, in_vain: bool) -> None:
        if in_vain:
            # No higher than matters.
            self._vain_looks[workspace_id] = min(self._vain_looks[workspace_id] + 1, VAIN_LOOKS_FREE + 8)
        else:
            self._vain_looks.pop(workspace_id, None)

    # Taking from it

    def take(self) -> list[str]:
        """Those that are to be looked at now."""
        self._wake.clear()
        taken, self._next = self._next, {}
        return list(taken)

    def is_to_look_round(self) -> bool:
        """Whether it is time to look for all that have something due; if so, the next time is a poll later."""
        now = asyncio.get_running_loop().time()
        if now < self._look_round_at:
            return False
        self._look_round_at = now + POLL_SECONDS
        return True

    async def wait(self) -> None:
        """Until there is something to look at."""
        wait_seconds = max(0.002, self._look_round_at - asyncio.get_running_loop().time())
        with contextlib.suppress(TimeoutError):
            # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the event.
            async with asyncio.timeout(wait_seconds):
                await self._wake.wait()

    def wake(self) -> None:
        self._wake.set()

    # Who is left alone

    @property
    def left_alone(self) -> int:
        """How many workspaces nothing can be claimed for."""
        return len(self._failures)

    def has_failed(self, workspace_id: str) -> bool:
        """Whether its last claim failed, also when it may be looked at again."""
        return workspace_id in self._failures

    def is_left_alone(self, workspace_id: str) -> bool:
        """Whether it is not to be looked at yet; then it is, when it may be."""
        failure = self._failures.get(workspace_id)
        if failure is None:
            return False
        wait_seconds = failure.until - asyncio.get_running_loop().time()
        if wait_seconds <= 0:
            return False
        self.look_later(workspace_id, wait_seconds)
        return True

    def leave_alone(self, workspace_id: str) -> None:
        """For a while, and look again then: also at one that has nothing due any more, which ends its trouble."""
        known = self._failures.get(workspace_id)
        count = 1 if known is None else known.count + 1
        wait_seconds = min(FAILED_SECONDS_MAX, FAILED_SECONDS_FIRST * 2 ** min(count - 1, 16))
        self._failures[workspace_id] = _Failure(count, asyncio.get_running_loop().time() + wait_seconds)
        self.look_later(workspace_id, wait_seconds)

    def leave_alone_no_more(self, workspace_id: str) -> bool:
        """Whether it was."""
        return self._failures.pop(workspace_id, None) is not None

    def _ring(self, workspace_id: str) -> None:
        self._alarms.pop(workspace_id, None)
        self.look_at(workspace_id)
