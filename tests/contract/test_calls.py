"""Contract § 7: calls, their states, wrap-up and its gate."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from harness import TIME, Answer, Api, Desk, Json, assert_done, assert_refused, fresh_phone_number, unknown_id

CALL_KEYS = {
    "call_id",
    "state",
    "direction",
    "phone_number",
    "contact_id",
    "agent_id",
    "external_id",
    "line_result",
    "started_at",
    "answered_at",
    "ended_at",
    "disposition_required",
    "disposition",
    "applied",
}
LINE_RESULTS = ["completed", "no_answer", "busy", "voicemail", "failed", "canceled", "unknown"]


def start(desk: Desk, **fields: Json) -> Answer:
    return desk.api.post("/calls", json={"phone_number": fresh_phone_number()} | fields)


def end(desk: Desk, call_id: str, **fields: Json) -> Answer:
    return desk.api.post(f"/calls/{call_id}/end", json=fields)


# Starting


def test_a_call_has_exactly_its_keys_and_defaults(desk: Desk) -> None:
    number = fresh_phone_number()
    call = desk.call(phone_number=number)
    assert set(call) == CALL_KEYS
    assert (call["state"], call["direction"], call["phone_number"]) == ("live", "outbound", number)
    assert call["disposition_required"] is False
    assert call["applied"] == []
    for key in ("agent_id", "external_id", "line_result", "ended_at", "disposition"):
        assert call[key] is None, key
    assert desk.read_call(call["call_id"]) == call


def test_what_is_given_is_kept(desk: Desk) -> None:
    given = {
        "agent_id": "agent-1",
        "direction": "inbound",
        "external_id": "pbx-9",
        "state": "ringing",
        "started_at": "2026-06-25T10:20:30.456Z",
    }
    call = desk.call(**given)
    assert {key: call[key] for key in given} == given
    assert call["answered_at"] is None


def test_a_time_with_an_offset_is_refused_or_kept_in_utc(desk: Desk) -> None:
    answer = start(desk, started_at="2026-06-25T12:00:00+02:00")
    assert answer.status == 400 or answer.json["call"]["started_at"] == "2026-06-25T10:00:00.000Z"


def test_an_unknown_number_makes_a_contact_and_a_known_one_does_not(desk: Desk) -> None:
    number = fresh_phone_number()
    first, second = desk.call(phone_number=number), desk.call(phone_number=number)
    assert first["contact_id"] == second["contact_id"]
    contacts = assert_done(desk.api.get("/contacts"))["contacts"]
    assert [contact["phone_number"] for contact in contacts] == [number]


def test_racing_calls_to_an_unknown_number_make_one_contact(desk: Desk) -> None:
    number = fresh_phone_number()
    with ThreadPoolExecutor(10) as pool:
        contacts = set(pool.map(lambda _: desk.call(phone_number=number)["contact_id"], range(10)))
    assert len(contacts) == 1


def test_a_call_to_a_contact_has_its_number(desk: Desk) -> None:
    contact = desk.contact()
    call = desk.call(contact_id=contact["contact_id"])
    assert call["phone_number"] == contact["phone_number"]


BAD_CALLS: list[dict[str, object]] = [
    {},
    {"phone_number": "+14155552671", "contact_id": "00000000-0000-4000-8000-000000000001"},
    {"phone_number": None, "contact_id": None},
    {"phone_number": "+14155552671", "state": "closed"},
    {"phone_number": "+14155552671", "state": "wrap_up"},
    {"phone_number": "+14155552671", "direction": "sideways"},
    {"phone_number": "+14155552671", "agent_id": "x" * 129},
    {"phone_number": "+14155552671", "agent_id": 7},
    {"phone_number": "+14155552671", "started_at": "yesterday"},
    {"phone_number": "+14155552671", "started_at": 1781935984000},
    {"phone_number": "+14155552671", "started_at": "2026-02-30T10:20:30Z"},
    {"phone_number": "+14155552671", "external_id": 7},
    {"phone_number": "+14155552671", "call_id": "00000000-0000-4000-8000-000000000001"},
]


@pytest.mark.parametrize("body", BAD_CALLS, ids=json.dumps)
def test_a_bad_call_is_refused(shared_api: Api, body: dict[str, object]) -> None:
    assert_refused(shared_api.post("/calls", json=body), 400, "invalid_request")


def test_a_known_external_id_answers_with_the_existing_call(desk: Desk) -> None:
    first = desk.call(external_id="pbx-1")
    again = start(desk, external_id="pbx-1")
    assert assert_done(again, 200)["call"] == first
    desk.end(first["call_id"])
    assert assert_done(start(desk, external_id="pbx-1"), 200)["call"]["state"] == "closed"
    assert len(assert_done(desk.api.get("/calls"))["calls"]) == 1


def test_racing_starts_of_one_external_id_make_one_call(desk: Desk) -> None:
    number = fresh_phone_number()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: start(desk, phone_number=number, external_id="pbx-1"), range(10)))
    assert sorted(answer.status for answer in answers) == [200] * 9 + [201]
    assert len({answer.json["call"]["call_id"] for answer in answers}) == 1


# Answering and ending


def test_a_ringing_call_goes_live_once(desk: Desk) -> None:
    call_id = desk.call(state="ringing")["call_id"]
    answered = assert_done(desk.api.post(f"/calls/{call_id}/answer"))["call"]
    assert answered["state"] == "live"
    assert TIME.fullmatch(answered["answered_at"])
    again = assert_done(desk.api.post(f"/calls/{call_id}/answer", json={}))["call"]
    assert again == answered


def test_a_call_that_has_ended_cannot_be_answered(desk: Desk) -> None:
    call_id = desk.call(state="ringing")["call_id"]
    desk.end(call_id)
    assert_refused(desk.api.post(f"/calls/{call_id}/answer"), 409, "call_not_live")


def test_ending_is_idempotent_and_the_first_end_counts(desk: Desk) -> None:
    call_id = desk.call(started_at="2026-06-25T10:00:00.000Z")["call_id"]
    ended = assert_done(end(desk, call_id, line_result="voicemail", ended_at="2026-06-25T10:20:30.456Z"))[
        "call"
    ]
    assert (ended["line_result"], ended["ended_at"]) == ("voicemail", "2026-06-25T10:20:30.456Z")
    assert assert_done(end(desk, call_id, line_result="busy"))["call"] == ended
    assert assert_done(desk.api.post(f"/calls/{call_id}/end"))["call"] == ended


@pytest.mark.parametrize(("state", "line_result"), [("live", "completed"), ("ringing", "no_answer")])
def test_without_a_line_result_the_state_tells(desk: Desk, state: str, line_result: str) -> None:
    call_id = desk.call(state=state)["call_id"]
    ended = assert_done(desk.api.post(f"/calls/{call_id}/end"))["call"]
    assert (ended["line_result"], ended["state"]) == (line_result, "closed")
    assert TIME.fullmatch(ended["ended_at"])


def test_every_line_result_is_taken_and_no_other(desk: Desk) -> None:
    for line_result in LINE_RESULTS:
        assert desk.end(desk.call()["call_id"], line_result=line_result)["line_result"] == line_result
    call_id = desk.call()["call_id"]
    for wrong in ("", "COMPLETED", "interested", 1):
        answer = end(desk, call_id, line_result=wrong)
        assert_refused(answer, 400, "invalid_request")
        assert answer.fields == {"line_result"}
    assert desk.read_call(call_id)["state"] == "live"


def test_an_unknown_call_is_not_found(shared_api: Api) -> None:
    call_id = unknown_id()
    assert_refused(shared_api.get(f"/calls/{call_id}"), 404, "call_not_found")
    for verb in ("answer", "end"):
        assert_refused(shared_api.post(f"/calls/{call_id}/{verb}"), 404, "call_not_found")


# Wrap-up


@pytest.mark.parametrize(
    ("require", "state", "agent_id", "ends_in"),
    [
        ("answered", "live", "a", "wrap_up"),
        ("answered", "ringing", "a", "closed"),
        ("answered", "live", None, "closed"),
        ("always", "live", "a", "wrap_up"),
        ("always", "ringing", "a", "wrap_up"),
        ("always", "live", None, "closed"),
        ("never", "live", "a", "closed"),
        ("never", "ringing", "a", "closed"),
    ],
)
def test_when_a_disposition_is_required(
    desk: Desk, require: str, state: str, agent_id: str | None, ends_in: str
) -> None:
    desk.disposition()
    desk.set_workspace(require_disposition=require)
    agent = {"agent_id": agent_id} if agent_id else {}
    call = desk.end(desk.call(state=state, **agent)["call_id"])
    assert call["state"] == ends_in
    assert call["disposition_required"] is (ends_in == "wrap_up")


def test_answered_is_the_default_and_needs_a_disposition_outcome(desk: Desk) -> None:
    assert desk.end(desk.call(agent_id="a")["call_id"])["state"] == "closed"
    desk.action()
    assert desk.end(desk.call(agent_id="a")["call_id"])["state"] == "closed"
    desk.disposition()
    assert desk.end(desk.call(agent_id="a")["call_id"])["state"] == "wrap_up"


def test_a_call_that_was_answered_after_ringing_counts_as_answered(desk: Desk) -> None:
    desk.disposition()
    call_id = desk.call(state="ringing", agent_id="a")["call_id"]
    desk.api.post(f"/calls/{call_id}/answer")
    assert desk.end(call_id)["state"] == "wrap_up"


def test_an_agent_in_wrap_up_cannot_start_an_outbound_call(desk: Desk) -> None:
    disposition = desk.disposition()["outcome_id"]
    pending = desk.wrapping_call("a")["call_id"]
    for _ in range(2):
        refused = start(desk, agent_id="a")
        assert_refused(refused, 409, "disposition_required")
        assert refused.json["call_id"] == pending
    assert_done(start(desk, agent_id="a", direction="inbound"), 201)
    assert_done(start(desk, agent_id="b"), 201)
    assert_done(start(desk), 201)
    desk.applied(pending, disposition)
    assert_done(start(desk, agent_id="a"), 201)


def test_a_refused_start_leaves_no_contact_behind(desk: Desk) -> None:
    desk.disposition()
    desk.wrapping_call("a")
    number = fresh_phone_number()
    assert_refused(start(desk, agent_id="a", phone_number=number), 409, "disposition_required")
    assert assert_done(desk.api.get(f"/contacts?phone_number={quote(number)}"))["contacts"] == []


def test_only_the_disposition_closes_a_wrap_up(desk: Desk) -> None:
    action, disposition = desk.action()["outcome_id"], desk.disposition()["outcome_id"]
    call_id = desk.wrapping_call()["call_id"]
    assert_refused(desk.apply(call_id, action), 409, "call_not_live")
    assert_done(end(desk, call_id))
    assert desk.read_call(call_id)["state"] == "wrap_up"
    body = assert_done(desk.apply(call_id, disposition), 201)
    assert (body["call"]["state"], body["call"]["disposition_required"]) == ("closed", False)
    applied = body["applied"]
    assert body["call"]["disposition"] == {
        "outcome_id": disposition,
        "outcome_name": "Not Qualified",
        "applied_at": applied["applied_at"],
    }


# Reading


def test_calls_are_listed_newest_start_first(desk: Desk) -> None:
    starts = ["2026-06-25T10:00:00.000Z", "2026-06-25T12:00:00.000Z", "2026-06-25T11:00:00.000Z"]
    for started_at in starts:
        desk.call(started_at=started_at)
    listed = desk.api.pages("/calls", "calls", limit=1)
    assert [call["started_at"] for call in listed] == sorted(starts, reverse=True)
    assert set(listed[0]) == CALL_KEYS


def test_calls_are_found_by_state_agent_contact_and_start(desk: Desk) -> None:
    desk.disposition()
    live = desk.call(agent_id="a", started_at="2026-06-25T10:00:00.000Z")
    ringing = desk.call(agent_id="b", state="ringing", started_at="2026-06-25T11:00:00.000Z")
    closed = desk.end(desk.call(started_at="2026-06-25T12:00:00.000Z")["call_id"])
    wrapping = desk.end(desk.call(agent_id="a", started_at="2026-06-25T13:00:00.000Z")["call_id"])

    def found(query: str) -> list[str]:
        return [call["call_id"] for call in desk.api.pages(f"/calls?{query}", "calls")]

    by_state = {"live": live, "ringing": ringing, "closed": closed, "wrap_up": wrapping}
    for state, call in by_state.items():
        assert found(f"state={state}") == [call["call_id"]]
    assert found("agent_id=a") == [wrapping["call_id"], live["call_id"]]
    assert found(f"contact_id={ringing['contact_id']}") == [ringing["call_id"]]
    assert found("agent_id=a&state=live") == [live["call_id"]]
    assert found("agent_id=nobody") == []
    assert len(found("since=2026-06-25T11:00:00.000Z")) == 3
    assert len(found("since=2026-06-25T11:00:00.001Z")) == 2
    assert_refused(desk.api.get("/calls?state=lively"), 400, "invalid_request")
    assert_refused(desk.api.get("/calls?contact_id=x"), 400, "invalid_request")


# Agents


def agent(desk: Desk, agent_id: str) -> Json:
    return assert_done(desk.api.get(f"/agents/{quote(agent_id, safe='')}"))["agent"]


def test_an_agent_is_known_from_the_first_call_and_goes_through_its_states(desk: Desk) -> None:
    disposition = desk.disposition()["outcome_id"]
    assert_refused(desk.api.get("/agents/a"), 404, "agent_not_found")
    call_id = desk.call(agent_id="a")["call_id"]
    on_call = agent(desk, "a")
    assert (on_call["agent_id"], on_call["status"], on_call["call_id"]) == ("a", "on_call", call_id)
    assert on_call["pending"] == []
    desk.end(call_id)
    wrapping = agent(desk, "a")
    assert (wrapping["status"], wrapping["pending"]) == ("wrap_up", [call_id])
    desk.applied(call_id, disposition)
    available = agent(desk, "a")
    assert (available["status"], available["call_id"], available["pending"]) == ("available", None, [])


def test_all_pending_calls_of_an_agent_are_named(desk: Desk) -> None:
    desk.disposition()
    calls = [desk.call(agent_id="a", direction="inbound")["call_id"] for _ in range(3)]
    for call_id in calls:
        desk.end(call_id)
    assert sorted(agent(desk, "a")["pending"]) == sorted(calls)


def test_agents_are_listed(desk: Desk) -> None:
    for agent_id in ("a", "b", "c"):
        desk.call(agent_id=agent_id)
    listed = desk.api.pages("/agents", "agents", limit=2)
    assert [entry["agent_id"] for entry in listed] == ["c", "b", "a"]
    assert listed[0] == agent(desk, "c")


@pytest.mark.parametrize(
    "agent_id", ["sip:alice@example.com", "Zoë 7", "x" * 128, "a?b=c&d#e", "100%", "team/7"]
)
def test_an_agent_id_is_the_phone_systems_own_string(desk: Desk, agent_id: str) -> None:
    call = desk.call(agent_id=agent_id)
    assert call["agent_id"] == agent_id
    assert agent(desk, agent_id)["call_id"] == call["call_id"]
    listed = assert_done(desk.api.get(f"/calls?agent_id={quote(agent_id, safe='')}"))["calls"]
    assert [found["call_id"] for found in listed] == [call["call_id"]]


@pytest.mark.parametrize("agent_id", ["%00", "a%00b", "%ff", "%ED%A0%80", "%2F"])
def test_an_agent_id_that_nobody_can_have_is_not_found(shared_api: Api, agent_id: str) -> None:
    assert_refused(shared_api.get(f"/agents/{agent_id}"), 404, "agent_not_found")
