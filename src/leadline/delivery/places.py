"""Room: what a worker has under way, and who waits until some of that is over."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from leadline.delivery.attempt import Leased

# What one claim takes at most.
CLAIM_MAX = 64
IN_FLIGHT_MAX = 256
# After a start there may be a mountain waiting: begin small, and grow with each attempt that ends.
IN_FLIGHT_FIRST = 32
# No workspace takes more than one in so many of what a worker may have in flight, however many endpoints it has.
WORKSPACE_SHARE = 2

FlightKey = tuple[str, str]
"""Delivery and lease: one that was canceled and retried by hand may be on its way twice in one process."""


@dataclass(slots=True)
class Flight:
    """A delivery from its claim until what came of it is on record. Its task ends when it has been answered."""

    leased: Leased
    # Its lease runs from then (the loop's clock).
    held_since: float
    task: asyncio.Task[bool] | None = None

    @property
    def key(self) -> FlightKey:
        return self.leased.row.delivery_id, self.leased.lease_id


class Places:
    """The flights of one worker, by workspace, and for whom there was no room."""

    def __init__(self) -> None:
        self._max = IN_FLIGHT_FIRST
        self._flights: dict[FlightKey, Flight] = {}
        self._of_workspace: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()
        # In the order in which they have waited: a dict, for sets have none.
        self._without_room: dict[str, None] = {}
        # By workspace, the endpoints that have more due than they may have at once: they wait for their own attempts.
        self._endpoints_waiting: dict[str, set[str]] = {}

    @property
    def max(self) -> int:
        """How many flights there may be at this moment."""
        return self._max

    @property
    def free(self) -> int:
        return max(0, self._max - len(self._flights))

    def free_for(self, workspace_id: str, given_up: int = 0) -> int:
        """How many more a workspace may have, once it has given up so many of its own; below 1, none."""
        return given_up + min(
            CLAIM_MAX - given_up,
            self._max - len(self._flights),
            # Of what there may be now: just after a start, too, there is room for the others.
            self._max // WORKSPACE_SHARE - self._of_workspace[workspace_id],
        )

    def begin_anew(self) -> None:
        """With few, as after a start."""
        self._max = IN_FLIGHT_FIRST

    def flights(self) -> list[Flight]:
        return list(self._flights.values())

    def held_by(self, workspace_id: str) -> frozenset[FlightKey]:
        """What it has under way; those of other workspaces among them do no harm."""
        return frozenset(self._flights) if self._of_workspace[workspace_id] else frozenset()

    async def until_empty(self) -> None:
        # The last to land may have taken up places a moment before.
        while self._flights:
            await self._empty.wait()

    def take(self, flight: Flight) -> None:
        self._flights[flight.key] = flight
        self._of_workspace[flight.leased.workspace_id] += 1
        self._empty.clear()

    def give_up(self, key: FlightKey) -> Sequence[str]:
        """It has landed. The workspaces that wait for its place, in their order; nobody for one that is not there."""
        flight = self._flights.pop(key, None)
        if flight is None:
            return ()
        if not self._flights:
            self._empty.set()
        workspace_id = flight.leased.workspace_id
        self._of_workspace[workspace_id] -= 1
        if not self._of_workspace[workspace_id]:
            del self._of_workspace[workspace_id]
        self._max = min(IN_FLIGHT_MAX, self._max + 1)
        called = []
        # First whoever has waited longest: a busy workspace would take its own place again each time.
        if self._without_room and self.free:
            longest_waiting = next(iter(self._without_room))
            if longest_waiting != workspace_id:
                called.append(longest_waiting)
        if self.has_waiting(workspace_id, [flight.leased.row.endpoint_id]):
            called.append(workspace_id)
        return called

    # Who waits

    def wait_for_room(self, workspace_id: str) -> None:
        self._without_room[workspace_id] = None

    def wait_for_endpoints(self, workspace_id: str, endpoint_ids: AbstractSet[str]) -> None:
        if endpoint_ids:
            self._endpoints_waiting.setdefault(workspace_id, set()).update(endpoint_ids)

    def has_waiting(self, workspace_id: str, endpoint_ids: Iterable[str]) -> bool:
        """Whether more is due that these endpoints' places could be for: theirs, or the workspace's own."""
        waiting = self._endpoints_waiting.get(workspace_id)
        return workspace_id in self._without_room or (
            waiting is not None and not waiting.isdisjoint(endpoint_ids)
        )

    def wait_no_more(self, workspace_id: str, endpoint_ids: Iterable[str]) -> None:
        """These endpoints have been claimed for."""
        left = self._endpoints_waiting.pop(workspace_id, set()).difference(endpoint_ids)
        self.wait_for_endpoints(workspace_id, left)

    def forget_waiting(self, workspace_id: str) -> None:
        """It is looked at, which shows who waits."""
        self._without_room.pop(workspace_id, None)
        self._endpoints_waiting.pop(workspace_id, None)
