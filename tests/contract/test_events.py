"""Contract § 7: what happened, as server-sent events and as pages of JSON."""

from __future__ import annotations

import pytest

from harness import NOWHERE, TIME, Desk, EventStream, Json, Server, assert_done, assert_refused, eventually
from receiver import Receiver

AS_JSON = [("Accept", "application/json")]


def events(desk: Desk, query: str = "limit=200") -> list[Json]:
    found: list[Json] = assert_done(desk.api.get(f"/events?{query}", headers=AS_JSON))["events"]
    return found


def kinds(found: list[Json]) -> list[str]:
    return [event["type"] for event in found]


def a_whole_call(desk: Desk) -> str:
    """Ringing, answered, an action, ended, disposed of."""
    action, disposition = desk.action()["outcome_id"], desk.disposition()["outcome_id"]
    desk.set_endpoint(NOWHERE, state="paused")
    call_id: str = desk.call(state="ringing", agent_id="a")["call_id"]
    assert_done(desk.api.post(f"/calls/{call_id}/answer"))
    desk.applied(call_id, action)
    desk.end(call_id)
    desk.applied(call_id, disposition)
    return call_id


def test_a_call_tells_its_life_in_order(desk: Desk) -> None:
    call_id = a_whole_call(desk)
    found = events(desk)
    told = [kind for kind in kinds(found) if kind.startswith(("call.", "outcome."))]
    assert told[:4] == ["call.started", "call.answered", "outcome.applied", "call.ended"]
    assert sorted(told[4:]) == ["call.closed", "outcome.applied"]
    assert kinds(found).count("outcomes.changed") == 2
    for event in found:
        assert set(event) == {"event_id", "type", "at", "data"}
        assert TIME.fullmatch(event["at"])
    assert all(call_id in str(event["data"]) for event in found if event["type"].startswith("call."))


def test_after_is_exclusive_and_pages_have_no_gaps(desk: Desk) -> None:
    a_whole_call(desk)
    whole = events(desk)
    assert len({str(event["event_id"]) for event in whole}) == len(whole)
    for place, event in enumerate(whole):
        assert events(desk, f"limit=200&after={event['event_id']}") == whole[place + 1 :]
    paged: list[Json] = []
    while page := events(desk, "limit=2" + (f"&after={paged[-1]['event_id']}" if paged else "")):
        assert len(page) <= 2
        paged += page
    assert paged == whole


@pytest.mark.parametrize("query", ["after=nonsense", "limit=0", "limit=201", "wat=1", "after="])
def test_a_bad_query_for_events_is_refused(shared_desk: Desk, query: str) -> None:
    assert_refused(shared_desk.api.get(f"/events?{query}", headers=AS_JSON), 400, "invalid_request")


def test_a_stream_starts_now(desk: Desk) -> None:
    desk.call()
    with EventStream(desk.api) as stream:
        assert stream.status == 200
        assert stream.content_type.startswith("text/event-stream")
        call_id = desk.call(state="ringing")["call_id"]
        first = next(stream.events())
        assert first["type"] == "call.started"
        assert call_id in str(first["data"])


def test_a_stream_resumes_without_a_gap(desk: Desk) -> None:
    a_whole_call(desk)
    whole = events(desk)
    with EventStream(desk.api, str(whole[1]["event_id"])) as stream:
        resumed = stream.until("call.closed")
        desk.call(state="ringing")
        live = stream.until("call.started")
    end = kinds(whole).index("call.closed") + 1
    assert resumed == whole[2:end]
    assert kinds(live)[-1] == "call.started"


def test_a_stream_and_the_pages_tell_the_same(desk: Desk) -> None:
    with EventStream(desk.api) as stream:
        a_whole_call(desk)
        desk.call(state="ringing", external_id="last")
        streamed = [*stream.until("call.closed"), *stream.until("call.started")]
    assert streamed == events(desk)[: len(streamed)]


def test_deliveries_are_told(desk: Desk, receiver: Receiver) -> None:
    failing = receiver.another()
    failing.answer_with(500, 500, 500, 500)
    for sink in (receiver, failing):
        desk.applied(desk.call()["call_id"], desk.action(sink.url)["outcome_id"])
    eventually(lambda: {"delivery.succeeded", "delivery.failed"} <= set(kinds(events(desk))))


def test_every_change_of_the_outcomes_is_told(desk: Desk) -> None:
    outcome_id = desk.action()["outcome_id"]
    assert_done(
        desk.api.patch(f"/outcomes/{outcome_id}", json={"outcome_name": "B", "outcome_type": "disposition"})
    )
    assert_done(desk.api.delete(f"/outcomes/{outcome_id}"))
    assert kinds(events(desk)).count("outcomes.changed") == 3


def test_a_second_apply_and_a_dry_run_tell_nothing(desk: Desk) -> None:
    call_id, outcome_id = desk.call()["call_id"], desk.action()["outcome_id"]
    desk.set_endpoint(NOWHERE, state="paused")
    path, body = f"/calls/{call_id}/outcomes", {"outcome_id": outcome_id}
    assert_done(desk.api.post(f"{path}?dry_run=true", json=body))
    assert kinds(events(desk)).count("outcome.applied") == 0
    for status in (201, 200):
        assert_done(desk.api.post(path, json=body), status)
    assert kinds(events(desk)).count("outcome.applied") == 1


def test_a_workspace_hears_nothing_of_another(server: Server, desk: Desk) -> None:
    with EventStream(desk.api) as stream:
        Desk.open(server).call()
        own = desk.call()["call_id"]
        assert own in str(next(stream.events())["data"])
    assert len(events(desk)) == len([event for event in events(desk) if own in str(event["data"])])
