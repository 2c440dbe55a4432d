"""Many workspaces at once on one stage: whatever is done is spread evenly over all of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import bulk
from benchmarks.delivering import Stage, pending_deliveries
from benchmarks.load import TOKEN_MARK, Window, run_load
from benchmarks.scene import Scene


@dataclass
class Crowd:
    """A stage and the workspaces on it."""

    on: Stage
    scenes: Sequence[Scene]

    def apply(self) -> Window:
        """Applies to each workspace in turn, with its own token."""
        on = self.on
        self._want_live_calls(self.on.plan.applies_max)
        lines = [f"{scene.live_call_ids[turn]} {scene.token}" for turn, scene in self._turns()]
        on.hold()
        orders = on.plan.orders(
            on.server,
            on.scene.apply_request(token=TOKEN_MARK.decode()),
            connections=on.plan.headline_connections,
            expected_status=201,
            watched=on.made.watched,
        )
        window = run_load(orders, lines)
        full_turns, rest = divmod(window.requests_sent, len(self.scenes))
        for number, scene in enumerate(self.scenes):
            scene.take(full_turns + (number < rest))
        on.drop_pending()
        return window

    def _want_live_calls(self, count: int) -> None:
        each = -(-count // len(self.scenes))
        contacts, calls = [], []
        for scene in self.scenes:
            more_contacts, more_calls = scene.more_live_calls(each)
            contacts += more_contacts
            calls += more_calls
        bulk.insert(self.on.scene.database_url, [("contacts", contacts), ("calls", calls)])

    def _turns(self) -> list[tuple[int, Scene]]:
        """(number of the call, workspace): every workspace's first, then every one's second, and so on."""
        fewest = min(len(scene.live_call_ids) for scene in self.scenes)
        return list(itertools.product(range(fewest), self.scenes))

    def deliver(self) -> Window:
        """Work off a mountain that all workspaces have a share of."""
        on = self.on
        missing = on.plan.deliveries_max - on.waiting()
        each = -(-missing // len(self.scenes))
        if each > 0:
            rows = (row for scene in self.scenes for row in pending_deliveries(scene, each))
            bulk.insert(on.scene.database_url, [("deliveries", rows)])
        return on.deliver_what_waits()
