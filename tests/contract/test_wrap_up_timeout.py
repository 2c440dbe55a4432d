"""Contract § 7 and § 10: wrap-up that ends by itself; what a restart must not lose; the end of a process."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from harness import Desk, EventStream, Json, Server, assert_done, assert_refused, eventually, fresh_key
from receiver import Receiver

WAIT_SECONDS = 20.0
SHORTEST_SECONDS = 5


def closed(desk: Desk, call_id: str) -> Json:
    """The call once it is closed."""

    def probe() -> Json:
        call = desk.read_call(call_id)
        return call if call["state"] == "closed" else None

    return eventually(probe, WAIT_SECONDS, pause_seconds=0.1)


def test_a_wrap_up_times_out_by_itself_with_and_without_an_outcome(
    server: Server, desk: Desk, receiver: Receiver
) -> None:
    bare = Desk.open(server)
    bare.disposition()
    bare.set_workspace(wrap_up_timeout_seconds=SHORTEST_SECONDS)
    outcome_id = desk.disposition(outcome_name="Timed out", webhook_url=receiver.url)["outcome_id"]
    chosen = desk.disposition()["outcome_id"]
    desk.set_workspace(wrap_up_timeout_seconds=SHORTEST_SECONDS, wrap_up_timeout_outcome_id=outcome_id)
    in_time, bare_call, call = desk.wrapping_call("b"), bare.wrapping_call(), desk.wrapping_call()
    desk.applied(in_time["call_id"], chosen)

    done = closed(desk, call["call_id"])
    assert done["disposition"]["outcome_id"] == outcome_id
    assert done["disposition_required"] is False
    sent = json.loads(receiver.wait_for()[0].body)
    assert (sent["call"]["call_id"], sent["outcome"]["outcome_name"]) == (call["call_id"], "Timed out")

    disposed = desk.read_call(in_time["call_id"])
    assert (disposed["disposition"]["outcome_id"], len(disposed["applied"])) == (chosen, 1)

    done = closed(bare, bare_call["call_id"])
    assert (done["disposition"], done["disposition_required"]) == (None, False)
    assert_done(bare.api.post("/calls", json={"phone_number": "+14155552671", "agent_id": "agent-1"}), 201)
    kinds = [event["type"] for event in events(bare)]
    assert kinds.count("call.closed") == 1


def events(desk: Desk) -> list[Json]:
    found: list[Json] = desk.api.get("/events?limit=200", headers=[("Accept", "application/json")]).json[
        "events"
    ]
    return found


@pytest.mark.long
def test_a_wrap_up_and_its_timeout_survive_a_kill(
    make_server: Callable[..., Server], make_database: Callable[[str], str], engine: str
) -> None:
    server = make_server(make_database(engine))
    desk = Desk.open(server)
    outcome_id = desk.disposition()["outcome_id"]
    waiting = Desk.open(server)
    waiting.disposition()
    patient = waiting.wrapping_call("a")["call_id"]
    desk.set_workspace(wrap_up_timeout_seconds=SHORTEST_SECONDS, wrap_up_timeout_outcome_id=outcome_id)
    call_id = desk.wrapping_call()["call_id"]
    server.kill()
    server.start()
    desk, waiting = desk.on(server), waiting.on(server)
    assert closed(desk, call_id)["disposition"]["outcome_id"] == outcome_id
    assert waiting.read_call(patient)["state"] == "wrap_up"
    refused = waiting.api.post("/calls", json={"phone_number": "+14155552671", "agent_id": "a"})
    assert_refused(refused, 409, "disposition_required")
    assert refused.json["call_id"] == patient


@pytest.mark.parametrize("seconds", [4, 86401, 0, -1, "5", 5.5, True])
def test_a_timeout_is_from_5_seconds_to_a_day(shared_desk: Desk, seconds: object) -> None:
    answer = shared_desk.api.patch("/workspace", json={"wrap_up_timeout_seconds": seconds})
    assert_refused(answer, 400, "invalid_request")
    assert answer.fields == {"wrap_up_timeout_seconds"}


def test_the_ends_of_the_timeout_are_taken_and_null_takes_it_away(desk: Desk) -> None:
    for seconds in (5, 86400, None):
        assert desk.set_workspace(wrap_up_timeout_seconds=seconds)["wrap_up_timeout_seconds"] == seconds


def test_the_outcome_of_the_timeout_is_a_disposition_of_the_workspace(desk: Desk) -> None:
    action, disposition = desk.action()["outcome_id"], desk.disposition()["outcome_id"]
    refused = desk.api.patch("/workspace", json={"wrap_up_timeout_outcome_id": action})
    assert_refused(refused, 400, "invalid_request")
    assert (
        desk.set_workspace(wrap_up_timeout_outcome_id=disposition)["wrap_up_timeout_outcome_id"]
        == disposition
    )
    assert desk.set_workspace(wrap_up_timeout_outcome_id=None)["wrap_up_timeout_outcome_id"] is None


# Restart and end


@pytest.mark.long
def test_keys_replay_and_deliveries_go_on_after_a_restart(
    make_server: Callable[..., Server], make_database: Callable[[str], str], engine: str, receiver: Receiver
) -> None:
    server = make_server(make_database(engine), LEADLINE_WEBHOOK_RETRY_SCHEDULE="2,0.2,0.2")
    desk = Desk.open(server)
    receiver.answer_with(500)
    key, outcome_id, call_id = fresh_key(), desk.action(receiver.url)["outcome_id"], desk.call()["call_id"]
    path, body = f"/calls/{call_id}/outcomes", {"outcome_id": outcome_id}
    first = desk.api.post(path, json=body, key=key)
    delivery_id = assert_done(first, 201)["applied"]["delivery_id"]
    # Killed once the attempt is on record: an attempt in the air would hold its lease for up to 45 s (§ 8).
    eventually(lambda: desk.read_delivery(delivery_id)["attempts"])
    server.kill()
    desk = desk.on(server.start())
    again = desk.api.post(path, json=body, key=key)
    assert (again.status, again.body) == (first.status, first.body)
    assert again.header("Idempotent-Replayed") == "true"
    desk.delivery_in(delivery_id, "succeeded")
    assert len({hit.body for hit in receiver.hits}) == 1


def test_open_event_streams_do_not_hold_up_the_end_and_nothing_is_lost(
    make_server: Callable[..., Server], make_database: Callable[[str], str], engine: str, receiver: Receiver
) -> None:
    server = make_server(make_database(engine))
    desk = Desk.open(server)
    with EventStream(desk.api) as stream:
        call_id = desk.call()["call_id"]
        assert call_id in str(next(stream.events())["data"])
        delivery_id = desk.applied(call_id, desk.action(receiver.url)["outcome_id"])["delivery_id"]
        assert server.stop() == 0, server.log()
    desk = desk.on(server.start())
    desk.delivery_in(delivery_id, "succeeded")
    assert desk.read_call(call_id)["state"] == "live"


def test_a_stream_resumes_across_a_restart(
    make_server: Callable[..., Server], make_database: Callable[[str], str], engine: str
) -> None:
    server = make_server(make_database(engine))
    desk = Desk.open(server)
    first, missed = desk.call()["call_id"], desk.call()["call_id"]
    seen = [event for event in events(desk) if first in str(event["data"])][-1]
    server.kill()
    desk = desk.on(server.start())
    with EventStream(desk.api, str(seen["event_id"])) as stream:
        assert missed in str(next(stream.events())["data"])
