"""Contract § 5 and § 7: one outcome applied to one call makes one event, ever, however many ask at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import (
    Answer,
    Api,
    Desk,
    EventStream,
    Server,
    assert_done,
    fresh_key,
    loopback_settings,
    run_server,
)
from receiver import Receiver

APPLIES = 50


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "two nodes on one postgresql"])
def nodes(
    request: pytest.FixtureRequest,
    make_database: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[Server]]:
    """One server, or two processes that share a database."""
    shared = request.param.startswith("two")
    url = make_database("postgresql" if shared else request.param)
    starts = [
        run_server(url, tmp_path_factory.mktemp("node"), **loopback_settings()) for _ in range(1 + shared)
    ]
    servers = [next(start) for start in starts]
    yield servers
    for start in starts:
        next(start, None)


@pytest.fixture
def shared(nodes: list[Server]) -> Desk:
    return Desk.open(nodes[0])


def together(nodes: list[Server], count: int, ask: Callable[[int, str], Answer]) -> list[Answer]:
    """Ask `count` times at once, going round the nodes."""
    start = threading.Barrier(count)

    def one(n: int) -> Answer:
        start.wait()
        return ask(n, nodes[n % len(nodes)].base_url)

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(one, n) for n in range(count)]]


def test_fifty_applies_at_once_are_one_event(nodes: list[Server], shared: Desk, receiver: Receiver) -> None:
    list_id = shared.smart_list()["smart_list_id"]
    outcome_id = shared.action(receiver.url, destination_type="smart_list", destination_id=list_id)[
        "outcome_id"
    ]
    call = shared.call()
    path, body = f"/calls/{call['call_id']}/outcomes", {"outcome_id": outcome_id}

    answers = together(
        nodes, APPLIES, lambda _, url: shared.api.on(url).post(path, json=body, key=fresh_key())
    )

    assert sorted(answer.status for answer in answers) == [200] * (APPLIES - 1) + [201], answers
    assert len({answer.json["applied"]["applied_id"] for answer in answers}) == 1
    deliveries = assert_done(shared.api.get(f"/webhook-deliveries?call_id={call['call_id']}"))["deliveries"]
    assert len(deliveries) == 1
    assert len(shared.read_call(call["call_id"])["applied"]) == 1
    shared.delivery_in(deliveries[0]["delivery_id"], "succeeded")
    assert [hit.webhook_id for hit in receiver.hits] == [deliveries[0]["delivery_id"]]
    assert shared.lists_of(call["contact_id"]) == {list_id}


def test_fifty_dispositions_at_once_leave_one(nodes: list[Server], shared: Desk) -> None:
    outcomes = [shared.disposition(outcome_name=str(n))["outcome_id"] for n in range(5)]
    call_id = shared.wrapping_call()["call_id"]
    path = f"/calls/{call_id}/outcomes"

    answers = together(
        nodes, APPLIES, lambda n, url: shared.api.on(url).post(path, json={"outcome_id": outcomes[n % 5]})
    )

    assert sorted(answer.status for answer in answers) == [200] * 9 + [201] + [409] * 40
    assert {answer.error for answer in answers if answer.status == 409} == {"disposition_already_applied"}
    assert len(shared.read_call(call_id)["applied"]) == 1


def test_one_key_at_once_on_every_node_runs_once(nodes: list[Server], shared: Desk) -> None:
    key, body = fresh_key(), {"outcome_name": "Once", "outcome_type": "disposition"}
    answers = together(nodes, 20, lambda _, url: shared.api.on(url).post("/outcomes", json=body, key=key))
    done = [answer for answer in answers if answer.status == 201]
    assert {answer.error for answer in answers if answer.status != 201} <= {"idempotency_key_in_use"}
    assert len({answer.body for answer in done}) == 1
    assert len([answer for answer in done if answer.header("Idempotent-Replayed") is None]) == 1
    assert len(assert_done(shared.api.get("/outcomes"))["outcomes"]) == 1


def test_a_key_replays_on_every_node(nodes: list[Server], shared: Desk) -> None:
    key, body = fresh_key(), {"outcome_name": "Once", "outcome_type": "disposition"}
    bodies = {shared.api.on(node.base_url).post("/outcomes", json=body, key=key).body for node in nodes * 2}
    assert len(bodies) == 1


def test_the_gate_lets_no_call_through_beside_a_pending_one(nodes: list[Server], shared: Desk) -> None:
    shared.disposition()
    shared.wrapping_call("a")
    statuses = together(nodes, 20, lambda n, url: start_call(shared.api.on(url), n))
    assert {answer.status for answer in statuses} == {409}


def start_call(api: Api, n: int) -> Answer:
    return api.post("/calls", json={"phone_number": f"+1415555{2000 + n}", "agent_id": "a"})


def test_every_event_of_a_busy_workspace_is_delivered_once(
    nodes: list[Server], shared: Desk, receiver: Receiver
) -> None:
    outcome_id = shared.action(receiver.url)["outcome_id"]
    calls = [shared.call()["call_id"] for _ in range(60)]
    with ThreadPoolExecutor(12) as pool:
        applied = list(pool.map(lambda call_id: shared.applied(call_id, outcome_id), calls))
    expected = sorted(entry["delivery_id"] for entry in applied)
    for delivery_id in expected:
        shared.delivery_in(delivery_id, "succeeded")
    assert sorted(hit.webhook_id for hit in receiver.hits) == expected


def test_a_stream_on_one_node_hears_what_another_did(nodes: list[Server], shared: Desk) -> None:
    with EventStream(shared.api.on(nodes[-1].base_url)) as stream:
        call_id = shared.call()["call_id"]
        assert call_id in str(next(stream.events())["data"])
