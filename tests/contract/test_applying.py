"""Contract § 7: applying outcomes to calls, with what moves and what is refused; dry runs."""

from __future__ import annotations

import pytest

from harness import TIME, Desk, Json, assert_done, assert_refused, unknown_id
from receiver import Receiver

APPLIED_KEYS = {
    "applied_id",
    "call_id",
    "outcome_id",
    "outcome_name",
    "outcome_type",
    "agent_id",
    "note",
    "applied_at",
    "destination",
    "error_message",
    "delivery_id",
}


def remove(choice: Json) -> dict[str, Json]:
    return {"destination_type": "remove_from_smart_list", "remove_from_smart_lists": choice}


def ids_of(lists: list[Json]) -> set[str]:
    """The lists an applied outcome names, as ids or as objects."""
    return {entry["smart_list_id"] if isinstance(entry, dict) else entry for entry in lists}


def test_an_applied_outcome_has_exactly_its_keys(desk: Desk) -> None:
    outcome = desk.action()
    call = desk.call(agent_id="agent-1")
    body = assert_done(desk.apply(call["call_id"], outcome["outcome_id"], note="called back"), 201)
    assert set(body) == {"ok", "applied", "call"}
    applied = body["applied"]
    assert set(applied) == APPLIED_KEYS
    told = {
        key: applied[key]
        for key in ("call_id", "outcome_id", "outcome_name", "outcome_type", "agent_id", "note")
    }
    assert told == {
        "call_id": call["call_id"],
        "outcome_id": outcome["outcome_id"],
        "outcome_name": "Interested",
        "outcome_type": "action",
        "agent_id": "agent-1",
        "note": "called back",
    }
    assert applied["destination"] == {"destination_type": "none", "lists_added": [], "lists_removed": []}
    assert applied["error_message"] == ""
    assert TIME.fullmatch(applied["applied_at"])
    assert body["call"]["applied"] == [applied]
    assert desk.read_call(call["call_id"]) == body["call"]


def test_the_agent_may_be_another_than_the_calls(desk: Desk) -> None:
    outcome_id = desk.action()["outcome_id"]
    call_id = desk.call(agent_id="agent-1")["call_id"]
    assert desk.applied(call_id, outcome_id, agent_id="agent-2")["agent_id"] == "agent-2"


def test_without_agent_and_note_both_are_null(desk: Desk) -> None:
    applied = desk.applied(desk.call()["call_id"], desk.action()["outcome_id"])
    assert (applied["agent_id"], applied["note"]) == (None, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"note": "x" * 4001},
        {"note": 7},
        {"note": "a\u0000b"},
        {"agent_id": "x" * 129},
        {"agent_id": 7},
        {"outcome_id": "x"},
        {"outcome_id": None},
        {"wat": 1},
    ],
)
def test_a_bad_application_is_refused(desk: Desk, fields: dict[str, Json]) -> None:
    call_id, outcome_id = desk.call()["call_id"], desk.action()["outcome_id"]
    body = {"outcome_id": outcome_id} | fields
    assert_refused(desk.api.post(f"/calls/{call_id}/outcomes", json=body), 400, "invalid_request")
    assert desk.read_call(call_id)["applied"] == []


def test_a_note_may_have_4000_characters_and_lines(desk: Desk) -> None:
    note = "Zeile 1\n\tZeile 2 🦜\n" + "x" * (4000 - 20)
    assert len(note) <= 4000
    assert desk.applied(desk.call()["call_id"], desk.action()["outcome_id"], note=note)["note"] == note
    full = "🦜" * 4000
    assert desk.applied(desk.call()["call_id"], desk.action()["outcome_id"], note=full)["note"] == full


def test_an_unknown_outcome_and_an_unknown_call_are_not_found(desk: Desk) -> None:
    call_id, outcome_id = desk.call()["call_id"], desk.action()["outcome_id"]
    assert_refused(desk.apply(call_id, unknown_id()), 404, "outcome_not_found")
    assert_refused(desk.apply(unknown_id(), outcome_id), 404, "call_not_found")
    assert_done(desk.api.delete(f"/outcomes/{outcome_id}"))
    assert_refused(desk.apply(call_id, outcome_id), 404, "outcome_not_found")


# When


def test_an_action_is_for_live_calls_only(desk: Desk) -> None:
    outcome_id = desk.action()["outcome_id"]
    call_id = desk.call(state="ringing")["call_id"]
    assert_refused(desk.apply(call_id, outcome_id), 409, "call_not_live")
    assert_done(desk.api.post(f"/calls/{call_id}/answer"))
    desk.applied(call_id, outcome_id)
    desk.end(call_id)
    assert_refused(desk.apply(call_id, desk.action()["outcome_id"]), 409, "call_not_live")


@pytest.mark.parametrize("state", ["ringing", "live"])
def test_a_disposition_is_for_after_the_end(desk: Desk, state: str) -> None:
    outcome_id = desk.disposition()["outcome_id"]
    call_id = desk.call(state=state)["call_id"]
    assert_refused(desk.apply(call_id, outcome_id), 409, "call_still_live")
    desk.end(call_id)
    assert desk.applied(call_id, outcome_id)["outcome_type"] == "disposition"


def test_a_call_has_one_disposition(desk: Desk) -> None:
    first, second = desk.disposition()["outcome_id"], desk.disposition(outcome_name="Other")["outcome_id"]
    call_id = desk.wrapping_call()["call_id"]
    desk.applied(call_id, first)
    assert_refused(desk.apply(call_id, second), 409, "disposition_already_applied")
    assert desk.read_call(call_id)["disposition"]["outcome_id"] == first


def test_a_closed_call_without_a_disposition_may_still_get_one(desk: Desk) -> None:
    call = desk.end(desk.call()["call_id"])
    assert call["state"] == "closed"
    outcome_id = desk.disposition()["outcome_id"]
    desk.applied(call["call_id"], outcome_id)
    assert desk.read_call(call["call_id"])["disposition"]["outcome_id"] == outcome_id


def test_a_live_call_may_have_several_actions(desk: Desk) -> None:
    outcomes = [desk.action(outcome_name=str(n))["outcome_id"] for n in range(3)]
    call_id = desk.call()["call_id"]
    for outcome_id in outcomes:
        desk.applied(call_id, outcome_id)
    assert {applied["outcome_id"] for applied in desk.read_call(call_id)["applied"]} == set(outcomes)


# Once


def test_second_apply_answers_the_first_application(desk: Desk, receiver: Receiver) -> None:
    outcome_id = desk.action(receiver.url)["outcome_id"]
    call_id = desk.call(agent_id="a")["call_id"]
    first = desk.applied(call_id, outcome_id, note="first")
    again = assert_done(desk.apply(call_id, outcome_id, note="second", agent_id="b"), 200)
    assert again["applied"] == first
    assert again["call"]["applied"] == [first]
    desk.delivery_in(first["delivery_id"], "succeeded")
    assert len(assert_done(desk.api.get("/webhook-deliveries"))["deliveries"]) == 1
    assert len(receiver.hits) == 1


def test_the_first_application_is_answered_after_the_end_and_after_changes(desk: Desk) -> None:
    outcome_id = desk.action()["outcome_id"]
    call_id = desk.call()["call_id"]
    first = desk.applied(call_id, outcome_id)
    desk.end(call_id)
    assert assert_done(desk.apply(call_id, outcome_id), 200)["applied"] == first
    turned = {"outcome_name": "Turned", "outcome_type": "disposition"}
    assert_done(desk.api.patch(f"/outcomes/{outcome_id}", json=turned))
    assert assert_done(desk.apply(call_id, outcome_id), 200)["applied"] == first
    assert_done(desk.api.delete(f"/outcomes/{outcome_id}"))
    assert assert_done(desk.apply(call_id, outcome_id), 200)["applied"] == first


def test_the_same_disposition_again_is_answered_with_the_first(desk: Desk) -> None:
    outcome_id = desk.disposition()["outcome_id"]
    call_id = desk.wrapping_call()["call_id"]
    first = desk.applied(call_id, outcome_id)
    assert assert_done(desk.apply(call_id, outcome_id), 200)["applied"] == first


def test_a_second_apply_moves_nothing(desk: Desk) -> None:
    list_id, contact_id = desk.smart_list()["smart_list_id"], desk.contact()["contact_id"]
    outcome_id = desk.action(destination_type="smart_list", destination_id=list_id)["outcome_id"]
    call_id = desk.call(contact_id=contact_id)["call_id"]
    desk.applied(call_id, outcome_id)
    assert_done(desk.api.delete(f"/smart-lists/{list_id}/contacts/{contact_id}"))
    assert_done(desk.apply(call_id, outcome_id), 200)
    assert desk.lists_of(contact_id) == set()


def test_the_same_outcome_on_another_call_is_another_event(desk: Desk) -> None:
    outcome_id = desk.action()["outcome_id"]
    first, second = (desk.applied(desk.call()["call_id"], outcome_id) for _ in range(2))
    assert first["applied_id"] != second["applied_id"]
    assert first["delivery_id"] != second["delivery_id"]


# What moves


def test_smart_list_adds_the_contact(desk: Desk) -> None:
    list_id, contact_id = desk.smart_list()["smart_list_id"], desk.contact()["contact_id"]
    outcome_id = desk.action(destination_type="smart_list", destination_id=list_id)["outcome_id"]
    destination = desk.applied(desk.call(contact_id=contact_id)["call_id"], outcome_id)["destination"]
    assert destination["destination_type"] == "smart_list"
    assert destination["destination_id"] == list_id
    assert ids_of(destination["lists_added"]) == {list_id}
    assert destination["lists_removed"] == []
    assert desk.lists_of(contact_id) == {list_id}


def test_a_member_already_there_does_not_move(desk: Desk) -> None:
    list_id, contact_id = desk.smart_list()["smart_list_id"], desk.contact()["contact_id"]
    desk.join(list_id, contact_id)
    since = desk.api.get(f"/contacts/{contact_id}").json["contact"]["smart_lists"]
    outcome_id = desk.action(destination_type="smart_list", destination_id=list_id)["outcome_id"]
    applied = desk.applied(desk.call(contact_id=contact_id)["call_id"], outcome_id)
    assert applied["destination"]["lists_added"] == []
    assert applied["error_message"] == ""
    assert desk.api.get(f"/contacts/{contact_id}").json["contact"]["smart_lists"] == since


def test_remove_all_takes_the_contact_off_every_list(desk: Desk) -> None:
    lists, contact_id = {desk.smart_list()["smart_list_id"] for _ in range(3)}, desk.contact()["contact_id"]
    other = desk.contact()["contact_id"]
    for list_id in lists:
        desk.join(list_id, contact_id)
        desk.join(list_id, other)
    outcome_id = desk.action(**remove({"all": True}))["outcome_id"]
    destination = desk.applied(desk.call(contact_id=contact_id)["call_id"], outcome_id)["destination"]
    assert ids_of(destination["lists_removed"]) == lists
    assert destination["remove_from_smart_lists"] == {"all": True}
    assert desk.lists_of(contact_id) == set()
    assert desk.lists_of(other) == lists


def test_remove_some_takes_the_contact_off_those_only(desk: Desk) -> None:
    member, stays, stranger = (desk.smart_list()["smart_list_id"] for _ in range(3))
    contact_id = desk.contact()["contact_id"]
    desk.join(member, contact_id)
    desk.join(stays, contact_id)
    outcome_id = desk.action(**remove({"list_ids": [member, stranger]}))["outcome_id"]
    applied = desk.applied(desk.call(contact_id=contact_id)["call_id"], outcome_id)
    assert ids_of(applied["destination"]["lists_removed"]) == {member}
    assert applied["error_message"] == ""
    assert desk.lists_of(contact_id) == {stays}


def test_a_disposition_moves_too(desk: Desk) -> None:
    list_id, contact_id = desk.smart_list()["smart_list_id"], desk.contact()["contact_id"]
    outcome_id = desk.disposition(destination_type="smart_list", destination_id=list_id)["outcome_id"]
    call_id = desk.end(desk.call(contact_id=contact_id, agent_id="a")["call_id"])["call_id"]
    desk.applied(call_id, outcome_id)
    assert desk.lists_of(contact_id) == {list_id}


def test_a_list_that_is_gone_fails_the_destination_only(desk: Desk) -> None:
    list_id, contact_id = desk.smart_list()["smart_list_id"], desk.contact()["contact_id"]
    outcome_id = desk.action(destination_type="smart_list", destination_id=list_id)["outcome_id"]
    assert_done(desk.api.delete(f"/smart-lists/{list_id}?force=true"))
    applied = desk.applied(desk.call(contact_id=contact_id)["call_id"], outcome_id)
    assert applied["error_message"]
    assert applied["destination"]["lists_added"] == []
    assert applied["delivery_id"]


# Switched off


def test_nothing_is_applied_while_outcomes_are_switched_off(desk: Desk) -> None:
    outcome_id, call_id = desk.action()["outcome_id"], desk.call()["call_id"]
    desk.set_workspace(outcomes_enabled=False)
    assert_refused(desk.apply(call_id, outcome_id), 403, "feature_disabled")
    assert_done(desk.api.post(f"/calls/{call_id}/end"))
    assert desk.read_call(call_id)["applied"] == []


# Dry runs


def dry(desk: Desk, call_id: str, outcome_id: str) -> Json:
    return desk.api.post(f"/calls/{call_id}/outcomes?dry_run=true", json={"outcome_id": outcome_id})


def test_a_dry_run_tells_what_would_be_and_changes_nothing(desk: Desk, receiver: Receiver) -> None:
    list_id, contact_id = desk.smart_list()["smart_list_id"], desk.contact()["contact_id"]
    outcome_id = desk.action(receiver.url, destination_type="smart_list", destination_id=list_id)[
        "outcome_id"
    ]
    before = desk.call(contact_id=contact_id)
    body = assert_done(dry(desk, before["call_id"], outcome_id), 200)
    assert set(body) == {"ok", "dry_run", "applied", "call"}
    assert body["dry_run"] is True
    assert set(body["applied"]) == APPLIED_KEYS
    assert (body["applied"]["applied_id"], body["applied"]["delivery_id"]) == (None, None)
    assert ids_of(body["applied"]["destination"]["lists_added"]) == {list_id}
    assert desk.read_call(before["call_id"]) == before
    assert desk.lists_of(contact_id) == set()
    assert assert_done(desk.api.get("/webhook-deliveries"))["deliveries"] == []
    assert_done(desk.apply(before["call_id"], outcome_id), 201)


def test_a_dry_run_shows_the_call_as_it_would_be(desk: Desk) -> None:
    outcome_id = desk.disposition()["outcome_id"]
    call_id = desk.wrapping_call()["call_id"]
    call = assert_done(dry(desk, call_id, outcome_id))["call"]
    assert (call["state"], call["disposition_required"]) == ("closed", False)
    assert call["disposition"]["outcome_id"] == outcome_id
    assert desk.read_call(call_id)["state"] == "wrap_up"


def test_a_dry_run_refuses_what_would_be_refused(desk: Desk) -> None:
    action, disposition = desk.action()["outcome_id"], desk.disposition()["outcome_id"]
    call_id = desk.call()["call_id"]
    assert_refused(dry(desk, call_id, disposition), 409, "call_still_live")
    assert_refused(dry(desk, call_id, unknown_id()), 404, "outcome_not_found")
    assert_refused(dry(desk, unknown_id(), action), 404, "call_not_found")
    desk.end(call_id)
    assert_refused(dry(desk, call_id, action), 409, "call_not_live")


def test_dry_run_is_true_or_false(desk: Desk) -> None:
    call_id, outcome_id = desk.call()["call_id"], desk.action()["outcome_id"]
    for wrong in ("yes", "1", "", "True"):
        path = f"/calls/{call_id}/outcomes?dry_run={wrong}"
        assert_refused(desk.api.post(path, json={"outcome_id": outcome_id}), 400, "invalid_request")
    assert desk.read_call(call_id)["applied"] == []
    path = f"/calls/{call_id}/outcomes?dry_run=false"
    assert_done(desk.api.post(path, json={"outcome_id": outcome_id}), 201)
