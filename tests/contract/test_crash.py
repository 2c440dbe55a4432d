"""Contract § 3, § 5, § 8: kill -9 in the middle of a stream of applies loses nothing and repeats nothing."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException

import pytest

from harness import Answer, Desk, Json, Server, assert_done, eventually
from receiver import Receiver, Reply

APPLIES_PER_ROUND = 24
CLIENTS = 4


@dataclass
class Stream:
    """One round's applies, each under a key of its own, and what was answered before the kill."""

    desk: Desk
    outcome_id: str
    calls: list[str]
    answered: dict[str, Answer] = field(default_factory=dict)
    _enough: threading.Event = field(default_factory=threading.Event)

    def apply(self, call_id: str) -> Answer:
        path = f"/calls/{call_id}/outcomes"
        return self.desk.api.post(path, json={"outcome_id": self.outcome_id}, key=f"apply-{call_id}")

    def _try(self, call_id: str, kill_after: int) -> None:
        try:
            answer = self.apply(call_id)
        except (OSError, HTTPException):
            return
        if answer.status < 300:
            self.answered[call_id] = answer
        if len(self.answered) >= kill_after:
            self._enough.set()

    def run_until_killed(self, server: Server, kill_after: int) -> None:
        """Apply from several clients at once; kill the server when so many have been answered."""
        if kill_after == 0:
            self._enough.set()
        with ThreadPoolExecutor(CLIENTS) as pool:
            asked = [pool.submit(self._try, call_id, kill_after) for call_id in self.calls]
            assert self._enough.wait(timeout=30), server.log()
            server.kill()
            for future in asked:
                future.result()

    def finish(self) -> None:
        """Ask again for everything: what was answered replays byte for byte, the rest is done now."""
        for call_id in self.calls:
            again = self.apply(call_id)
            assert_done(again, 201)
            first = self.answered.get(call_id)
            if first is not None:
                assert again.body == first.body
                assert again.header("Idempotent-Replayed") == "true"


def assert_exactly_once(desk: Desk, calls: list[str], receiver: Receiver) -> None:
    """One applied outcome and one delivered delivery for each call, and a webhook for each delivery."""

    def all_delivered() -> list[Json]:
        deliveries = desk.api.pages("/webhook-deliveries", "deliveries")
        return deliveries if {entry["state"] for entry in deliveries} == {"succeeded"} else []

    deliveries = eventually(all_delivered, timeout_seconds=60.0, pause_seconds=0.2)
    applied = [entry for call in desk.api.pages("/calls", "calls") for entry in call["applied"]]
    assert sorted(entry["call_id"] for entry in applied) == sorted(calls)
    assert sorted(entry["delivery_id"] for entry in applied) == sorted(
        entry["delivery_id"] for entry in deliveries
    )
    assert {hit.webhook_id for hit in receiver.hits} == {entry["delivery_id"] for entry in deliveries}
    bodies: dict[str, set[bytes]] = {}
    for hit in receiver.hits:
        bodies.setdefault(hit.webhook_id, set()).add(hit.body)
    assert all(len(same) == 1 for same in bodies.values())


@pytest.mark.long
@pytest.mark.parametrize(("engine_name", "kills"), [("sqlite", 20), ("postgresql", 5)])
def test_nothing_answered_is_lost_and_nothing_runs_twice(
    make_server: Callable[..., Server],
    make_database: Callable[[str], str],
    receiver: Receiver,
    engine_name: str,
    kills: int,
) -> None:
    chance = random.Random(20260625)
    server = make_server(make_database(engine_name))
    desk = Desk.open(server)
    outcome_id = desk.action(receiver.url)["outcome_id"]
    with ThreadPoolExecutor(CLIENTS) as pool:
        calls = list(pool.map(lambda _: desk.call()["call_id"], range(kills * APPLIES_PER_ROUND)))
    killed_midway = 0
    for start in range(0, len(calls), APPLIES_PER_ROUND):
        stream = Stream(desk, outcome_id, calls[start : start + APPLIES_PER_ROUND])
        stream.run_until_killed(server, kill_after=chance.randrange(APPLIES_PER_ROUND - CLIENTS))
        killed_midway += len(stream.answered) < APPLIES_PER_ROUND
        stream.desk = desk = desk.on(server.start())
        stream.finish()
    assert killed_midway
    assert_exactly_once(desk, calls, receiver)


def test_what_was_under_way_when_a_single_process_was_killed_goes_on_at_once(
    make_server: Callable[..., Server], make_database: Callable[[str], str], receiver: Receiver
) -> None:
    """Its lease would last for 40 s, which is longer than this waits."""
    server = make_server(make_database("sqlite"))
    desk = Desk.open(server)
    gate = threading.Event()
    receiver.answer_with(Reply(gate=gate), 200)
    delivery_id = desk.applied(desk.call()["call_id"], desk.action(receiver.url)["outcome_id"])["delivery_id"]
    receiver.wait_for(1)
    server.kill()
    desk = desk.on(server.start())
    delivery = desk.delivery_in(delivery_id, "succeeded")
    gate.set()
    assert delivery["attempt_count"] == 2
    assert {hit.webhook_id for hit in receiver.hits} == {delivery_id}
