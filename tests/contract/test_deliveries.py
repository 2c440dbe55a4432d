"""Contract § 8: deliveries, their attempts, retry, cancel, replay, endpoints and the secret."""

from __future__ import annotations

import json
import socket
from urllib.parse import quote

import pytest

from harness import (
    ATTEMPTS_MAX,
    TIME,
    Answer,
    Desk,
    Json,
    assert_done,
    assert_refused,
    eventually,
    unknown_id,
)
from receiver import Receiver, Reply, signature_of

ATTEMPT_KEYS = {
    "number",
    "started_at",
    "duration_ms",
    "remote_address",
    "status",
    "response_headers",
    "response_body",
    "error",
    "next_attempt_at",
}
LONG_AGO = "2020-01-01T00:00:00.000Z"


def deliver(desk: Desk, receiver: Receiver) -> str:
    """Apply an action that calls `receiver`; the delivery's id."""
    outcome_id = desk.action(receiver.url)["outcome_id"]
    delivery_id: str = desk.applied(desk.call()["call_id"], outcome_id)["delivery_id"]
    return delivery_id


def parked(desk: Desk, receiver: Receiver) -> str:
    """A delivery that waits, because its endpoint is paused."""
    outcome_id = desk.action(receiver.url)["outcome_id"]
    desk.set_endpoint(receiver.url, state="paused")
    delivery_id: str = desk.applied(desk.call()["call_id"], outcome_id)["delivery_id"]
    return delivery_id


def verb(desk: Desk, delivery_id: str, name: str) -> Answer:
    return desk.api.post(f"/webhook-deliveries/{delivery_id}/{name}")


# Reading


def test_a_delivery_that_succeeded_tells_its_payload_and_attempt(desk: Desk, receiver: Receiver) -> None:
    receiver.answer_with(Reply(201, [("X-Sink", "yes")], b"thank you"))
    delivery_id = deliver(desk, receiver)
    delivery = desk.delivery_in(delivery_id, "succeeded")
    assert delivery["delivery_id"] == delivery_id
    assert delivery["payload"] == json.loads(receiver.hits[0].body)
    assert len(delivery["attempts"]) == 1
    attempt = delivery["attempts"][0]
    assert set(attempt) >= ATTEMPT_KEYS
    assert (attempt["number"], attempt["status"], attempt["error"]) == (1, 201, None)
    assert attempt["response_body"] == "thank you"
    assert "yes" in str(attempt["response_headers"])
    assert "127.0.0.1" in attempt["remote_address"]
    assert attempt["next_attempt_at"] is None
    assert TIME.fullmatch(attempt["started_at"])
    assert attempt["duration_ms"] >= 0


def test_a_delivery_is_exhausted_when_the_schedule_is_used_up(desk: Desk, receiver: Receiver) -> None:
    receiver.answer_with(*[503] * ATTEMPTS_MAX)
    delivery = desk.delivery_in(deliver(desk, receiver), "exhausted")
    attempts = delivery["attempts"]
    assert [attempt["number"] for attempt in attempts] == list(range(1, ATTEMPTS_MAX + 1))
    assert {(attempt["status"], attempt["error"]) for attempt in attempts} == {(503, "http_status")}
    assert all(attempt["next_attempt_at"] for attempt in attempts[:-1])
    assert attempts[-1]["next_attempt_at"] is None
    assert len(receiver.hits) == ATTEMPTS_MAX


def test_a_delivery_recovers_when_its_receiver_does(desk: Desk, receiver: Receiver) -> None:
    receiver.answer_with(500, 429)
    delivery = desk.delivery_in(deliver(desk, receiver), "succeeded")
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 429, 200]


def test_a_closed_port_is_a_connect_error(desk: Desk) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        delivery_id = desk.applied(desk.call()["call_id"], desk.action(url)["outcome_id"])["delivery_id"]
        delivery = desk.delivery_in(delivery_id, "exhausted")
    assert {(attempt["status"], attempt["error"]) for attempt in delivery["attempts"]} == {(None, "connect")}


def test_only_the_first_16_kib_of_an_answer_are_kept(desk: Desk, receiver: Receiver) -> None:
    receiver.answer_with(Reply(200, body=b"x" * 100_000))
    delivery = desk.delivery_in(deliver(desk, receiver), "succeeded")
    assert delivery["attempts"][0]["response_body"] == "x" * 16384


def test_deliveries_are_found_by_what_they_are_about(desk: Desk, receiver: Receiver) -> None:
    other = receiver.another()
    sent, waiting = deliver(desk, receiver), parked(desk, other)
    done = desk.delivery_in(sent, "succeeded")
    body, held = done["payload"], desk.read_delivery(waiting)

    def found(query: str) -> list[str]:
        return [
            entry["delivery_id"]
            for entry in desk.api.pages(f"/webhook-deliveries?{query}", "deliveries", limit=1)
        ]

    assert found("since=" + LONG_AGO) == [waiting, sent]
    assert found("state=succeeded") == [sent]
    assert found("state=pending") == [waiting]
    assert found("state=canceled") == []
    assert found(f"outcome_id={body['outcome']['outcome_id']}") == [sent]
    assert found(f"call_id={body['call']['call_id']}") == [sent]
    assert found(f"contact_id={body['call']['contact_id']}") == [sent]
    assert found(f"endpoint_id={desk.endpoint_of(other.url)['endpoint_id']}") == [waiting]
    assert found(f"since={held['created_at']}") == [waiting]
    assert found(f"until={held['created_at']}") == [sent]
    assert found("state=pending&until=" + LONG_AGO) == []
    for wrong in ("state=lost", "call_id=x", "since=now", f"until={quote('1 day')}"):
        assert_refused(desk.api.get(f"/webhook-deliveries?{wrong}"), 400, "invalid_request")


# Retry and cancel


def test_retry_sends_the_same_event_again(desk: Desk, receiver: Receiver) -> None:
    delivery_id = deliver(desk, receiver)
    desk.delivery_in(delivery_id, "succeeded")
    receiver.answer_with(500)
    assert assert_done(verb(desk, delivery_id, "retry"))["delivery"]["delivery_id"] == delivery_id
    hits = receiver.wait_for(3)
    assert {hit.webhook_id for hit in hits} == {delivery_id}
    assert len({hit.body for hit in hits}) == 1
    delivery = desk.delivery_in(delivery_id, "succeeded")
    assert [attempt["number"] for attempt in delivery["attempts"]] == [1, 2, 3]


def test_retry_of_an_exhausted_delivery_has_the_full_schedule_again(desk: Desk, receiver: Receiver) -> None:
    receiver.answer_with(*[500] * (2 * ATTEMPTS_MAX))
    delivery_id = deliver(desk, receiver)
    desk.delivery_in(delivery_id, "exhausted")
    assert_done(verb(desk, delivery_id, "retry"))
    receiver.wait_for(2 * ATTEMPTS_MAX)
    assert len(desk.delivery_in(delivery_id, "exhausted")["attempts"]) == 2 * ATTEMPTS_MAX


def test_a_canceled_delivery_is_not_sent_until_it_is_retried(desk: Desk, receiver: Receiver) -> None:
    delivery_id = parked(desk, receiver)
    assert assert_done(verb(desk, delivery_id, "cancel"))["delivery"]["state"] == "canceled"
    desk.set_endpoint(receiver.url, state="active")
    later = desk.applied(desk.call()["call_id"], desk.action(receiver.url)["outcome_id"])["delivery_id"]
    desk.delivery_in(later, "succeeded")
    assert [hit.webhook_id for hit in receiver.hits] == [later]
    assert_done(verb(desk, delivery_id, "retry"))
    desk.delivery_in(delivery_id, "succeeded")


def test_an_unknown_delivery_is_not_found(shared_desk: Desk) -> None:
    for name in ("retry", "cancel"):
        assert_refused(verb(shared_desk, unknown_id(), name), 404, "delivery_not_found")
        assert_refused(verb(shared_desk, "x", name), 404, "delivery_not_found")


# Replay


def finished_replay(desk: Desk, **fields: Json) -> Json:
    started = assert_done(desk.api.post("/webhook-deliveries/replay", json=fields), 202)["replay"]
    path = f"/webhook-replays/{started['replay_id']}"

    def probe() -> Json:
        replay = assert_done(desk.api.get(path))["replay"]
        return replay if replay["state"] == "done" else None

    return eventually(probe)


def test_a_replay_requeues_what_was_exhausted_and_counts_truly(desk: Desk, receiver: Receiver) -> None:
    receiver.answer_with(*[500] * ATTEMPTS_MAX)
    lost = deliver(desk, receiver)
    desk.delivery_in(lost, "exhausted")
    fine = deliver(desk, receiver.another())
    desk.delivery_in(fine, "succeeded")
    replay = finished_replay(desk, since=LONG_AGO)
    assert (replay["matched"], replay["requeued"]) == (1, 1)
    desk.delivery_in(lost, "succeeded")
    assert receiver.hits[-1].webhook_id == lost
    assert len(desk.read_delivery(fine)["attempts"]) == 1


def test_a_replay_may_name_states_outcome_and_endpoint(desk: Desk, receiver: Receiver) -> None:
    other = receiver.another()
    first, second = deliver(desk, receiver), deliver(desk, other)
    for delivery_id in (first, second):
        desk.delivery_in(delivery_id, "succeeded")
    endpoint_id = desk.endpoint_of(other.url)["endpoint_id"]
    assert (
        finished_replay(desk, since=LONG_AGO, states=["succeeded"], endpoint_id=endpoint_id)["matched"] == 1
    )
    other.wait_for(2)
    outcome_id = desk.delivery_in(first, "succeeded")["payload"]["outcome"]["outcome_id"]
    assert finished_replay(desk, since=LONG_AGO, states=["succeeded"], outcome_id=outcome_id)["requeued"] == 1
    receiver.wait_for(2)
    assert len(other.hits) == 2


def test_a_replay_of_nothing_is_done_with_zero(desk: Desk) -> None:
    replay = finished_replay(desk, since=LONG_AGO, until="2021-01-01T00:00:00.000Z")
    assert (replay["matched"], replay["requeued"]) == (0, 0)
    assert set(replay) >= {"replay_id", "state", "matched", "requeued"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"since": None},
        {"since": "now"},
        {"since": 1},
        {"since": LONG_AGO, "until": "x"},
        {"since": LONG_AGO, "states": ["lost"]},
        {"since": LONG_AGO, "states": "exhausted"},
        {"since": LONG_AGO, "outcome_id": "x"},
        {"since": LONG_AGO, "wat": 1},
    ],
)
def test_a_bad_replay_is_refused(shared_desk: Desk, body: dict[str, Json]) -> None:
    assert_refused(shared_desk.api.post("/webhook-deliveries/replay", json=body), 400, "invalid_request")


# Endpoints


def test_an_endpoint_is_there_from_the_moment_an_outcome_with_it_is_saved(
    desk: Desk, receiver: Receiver
) -> None:
    assert assert_done(desk.api.get("/webhook-endpoints"))["endpoints"] == []
    for _ in range(2):
        desk.action(receiver.url)
    endpoints = assert_done(desk.api.get("/webhook-endpoints"))["endpoints"]
    assert [endpoint["webhook_url"] for endpoint in endpoints] == [receiver.url]
    endpoint = assert_done(desk.api.get(f"/webhook-endpoints/{endpoints[0]['endpoint_id']}"))["endpoint"]
    settings = ("state", "max_concurrency", "rate_limit_per_second", "timeout_seconds")
    assert [endpoint[key] for key in settings] == ["active", 10, None, 15]


def test_deliveries_to_a_paused_endpoint_wait_and_are_not_lost(desk: Desk, receiver: Receiver) -> None:
    other = receiver.another()
    delivery_id = parked(desk, receiver)
    desk.delivery_in(deliver(desk, other), "succeeded")
    assert desk.read_delivery(delivery_id)["state"] == "pending"
    assert receiver.hits == []
    desk.set_endpoint(receiver.url, state="active")
    desk.delivery_in(delivery_id, "succeeded")


def test_410_disables_the_endpoint_and_its_deliveries_wait(desk: Desk, receiver: Receiver) -> None:
    receiver.answer_with(410)
    delivery_id = deliver(desk, receiver)
    eventually(lambda: desk.endpoint_of(receiver.url)["state"] == "disabled")
    assert desk.read_delivery(delivery_id)["state"] == "pending"
    desk.set_endpoint(receiver.url, state="active")
    desk.delivery_in(delivery_id, "succeeded")


def test_patch_of_an_endpoint_merges(desk: Desk, receiver: Receiver) -> None:
    desk.action(receiver.url)
    desk.set_endpoint(receiver.url, max_concurrency=3)
    endpoint = desk.set_endpoint(receiver.url, timeout_seconds=30, rate_limit_per_second=5)
    assert [endpoint[key] for key in ("max_concurrency", "timeout_seconds", "state")] == [3, 30, "active"]
    assert desk.set_endpoint(receiver.url, rate_limit_per_second=None)["rate_limit_per_second"] is None


@pytest.mark.parametrize(
    "fields",
    [
        {"timeout_seconds": 0},
        {"timeout_seconds": 31},
        {"timeout_seconds": "5"},
        {"max_concurrency": 0},
        {"max_concurrency": True},
        {"rate_limit_per_second": 0},
        {"rate_limit_per_second": -1},
        {"state": "broken"},
        {"webhook_url": "https://example.com/"},
        {"wat": 1},
    ],
)
def test_a_bad_endpoint_setting_is_refused(shared_desk: Desk, fields: dict[str, Json]) -> None:
    shared_desk.action("https://hooks.example.com/settings")
    endpoint_id = shared_desk.endpoint_of("https://hooks.example.com/settings")["endpoint_id"]
    answer = shared_desk.api.patch(f"/webhook-endpoints/{endpoint_id}", json=fields)
    assert_refused(answer, 400, "invalid_request")
    assert answer.fields == set(fields)


def test_a_test_send_is_a_signed_sample(desk: Desk, receiver: Receiver) -> None:
    secret = desk.rotate_secret(overlap_seconds=0)
    desk.action(receiver.url)
    path = f"/webhook-endpoints/{desk.endpoint_of(receiver.url)['endpoint_id']}/test"
    assert_done(desk.api.post(path), 202)
    hit = receiver.wait_for()[0]
    assert hit.headers["webhook-signature"] == signature_of(secret, hit)
    sample = json.loads(hit.body)
    assert {"error_message", "timestamp", "scope", "outcome", "call", "destination"} <= set(sample)


# The secret


def test_the_secret_is_shown_once(desk: Desk) -> None:
    secret = desk.rotate_secret()
    masked = desk.api.get("/webhook-secret")
    assert_done(masked)
    assert secret not in masked.body.decode()
    assert secret.removeprefix("whsec_") not in masked.body.decode()


@pytest.mark.parametrize("overlap", [-1, "1", True, 1.5, 10**12])
def test_a_bad_overlap_is_refused(shared_desk: Desk, overlap: Json) -> None:
    answer = shared_desk.api.post("/webhook-secret/rotate", json={"overlap_seconds": overlap})
    assert_refused(answer, 400, "invalid_request")
    assert answer.fields == {"overlap_seconds"}
