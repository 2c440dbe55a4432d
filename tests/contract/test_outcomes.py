"""Contract § 4: the four operations of Part A, their answers, their order and their tags."""

from __future__ import annotations

import pytest

from harness import ABSENT, TIME, Api, Desk, Json, assert_done, assert_refused, unknown_id

ACTION = {
    "outcome_name": "Interested",
    "outcome_type": "action",
    "webhook_url": "https://example.com/sailor/outcomes",
}
DISPOSITION = {"outcome_name": "Not Qualified", "outcome_type": "disposition"}
OUTCOME_KEYS = {
    "outcome_id",
    "outcome_name",
    "outcome_type",
    "order",
    "destination_type",
    "destination",
    "webhook_url",
    "created_at",
    "updated_at",
}
NONE = {"destination_type": "none"}


def names(api: Api) -> list[str]:
    return [outcome["outcome_name"] for outcome in assert_done(api.get("/outcomes"))["outcomes"]]


def popup(api: Api) -> bool:
    enabled: bool = assert_done(api.get("/outcomes"))["disposition_popup_enabled"]
    return enabled


def test_an_empty_workspace_has_no_outcomes(api: Api) -> None:
    body = assert_done(api.get("/outcomes"))
    assert body == {"ok": True, "outcomes": [], "disposition_popup_enabled": False}


def test_the_published_action_example_works(desk: Desk) -> None:
    follow_up = desk.smart_list("Follow up")["smart_list_id"]
    sent = ACTION | {"order": 10, "destination_type": "smart_list", "destination_id": follow_up}
    body = assert_done(desk.api.post("/outcomes", json=sent), 201)
    assert set(body) == {"ok", "outcome", "disposition_popup_enabled"}
    outcome = body["outcome"]
    assert set(outcome) == OUTCOME_KEYS
    assert {key: outcome[key] for key in ("outcome_name", "outcome_type", "order", "destination_type")} == {
        "outcome_name": "Interested",
        "outcome_type": "action",
        "order": 10,
        "destination_type": "smart_list",
    }
    assert outcome["destination"] == {
        "destination_type": "smart_list",
        "destination_id": follow_up,
        "destination_name": "Follow up",
    }
    assert outcome["webhook_url"] == "https://example.com/sailor/outcomes"
    assert outcome["created_at"] == outcome["updated_at"]
    assert TIME.fullmatch(outcome["created_at"])
    assert body["disposition_popup_enabled"] is False
    listed = assert_done(desk.api.get("/outcomes"))
    assert listed == {"ok": True, "outcomes": [outcome], "disposition_popup_enabled": False}


def test_the_published_disposition_example_works(desk: Desk) -> None:
    body = assert_done(
        desk.api.post("/outcomes", json=DISPOSITION | {"order": 20, "destination_type": "none"}), 201
    )
    assert set(body["outcome"]) == OUTCOME_KEYS
    assert body["outcome"]["destination"] == NONE
    assert body["outcome"]["webhook_url"] is None
    assert body["disposition_popup_enabled"] is True


def test_the_published_remove_examples_work(desk: Desk) -> None:
    lists = [desk.smart_list()["smart_list_id"] for _ in range(2)]
    for choice in ({"all": True}, {"list_ids": lists}):
        remove = {"destination_type": "remove_from_smart_list", "remove_from_smart_lists": choice}
        outcome = desk.outcome(**ACTION | {"order": 30} | remove)
        assert outcome["destination_type"] == "remove_from_smart_list"
        assert outcome["destination"] == remove


def test_the_published_patch_and_delete_examples_work(desk: Desk) -> None:
    outcome_id = desk.action()["outcome_id"]
    follow_up = desk.smart_list()["smart_list_id"]
    sent = ACTION | {
        "outcome_name": "Interested - Follow Up",
        "order": 10,
        "destination_type": "smart_list",
        "destination_id": follow_up,
    }
    body = assert_done(desk.api.patch(f"/outcomes/{outcome_id}", json=sent))
    assert set(body) == {"ok", "outcome", "disposition_popup_enabled"}
    assert body["outcome"]["outcome_id"] == outcome_id
    assert body["outcome"]["outcome_name"] == "Interested - Follow Up"
    gone = assert_done(desk.api.delete(f"/outcomes/{outcome_id}"))
    assert gone == {"ok": True, "outcome_id": outcome_id, "disposition_popup_enabled": False}


def test_what_is_left_out_takes_its_default(desk: Desk) -> None:
    outcome = desk.outcome(**ACTION)
    assert outcome["order"] == 0
    assert outcome["destination_type"] == "none"
    assert outcome["destination"] == NONE


def test_null_means_left_out(desk: Desk) -> None:
    nothing: dict[str, Json] = {
        "order": None,
        "destination_type": None,
        "destination_id": None,
        "remove_from_smart_lists": None,
        "webhook_url": None,
    }
    outcome = desk.outcome(**DISPOSITION | nothing)
    assert (outcome["order"], outcome["destination"], outcome["webhook_url"]) == (0, NONE, None)
    refused = desk.api.post("/outcomes", json=ACTION | {"webhook_url": None})
    assert_refused(refused, 400, "invalid_outcome")
    assert refused.fields == {"webhook_url"}


GOOD_NAMES = {
    "x": "x",
    "  padded  ": "padded",
    "\u00a0\u3000wide\u2003": "wide",
    "\t tabs \n": "tabs",
    "a" * 120: "a" * 120,
    " " * 50 + "b" * 120 + " " * 50: "b" * 120,
    "\U0001f99c" * 120: "\U0001f99c" * 120,
    "in  between": "in  between",
    "e\u0301": "e\u0301",
    "<b>&amp;\"'": "<b>&amp;\"'",
}


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_name_is_trimmed_and_counted_in_characters(shared_desk: Desk, name: str) -> None:
    assert shared_desk.outcome(**ACTION | {"outcome_name": name})["outcome_name"] == GOOD_NAMES[name]


BAD_NAMES = [
    "",
    " ",
    "\u3000\u00a0",
    "a" * 121,
    "\U0001f99c" * 121,
    "a\nb",
    "a\tb",
    "a\x1bb",
    "a\x01b",
    "a\x80b",
    "a\x85b",
    "a\x9fb",
    "a\u2028b",
    "a\u2029b",
    None,
    5,
    ABSENT,
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_is_refused(shared_api: Api, name: object) -> None:
    body = {key: value for key, value in (ACTION | {"outcome_name": name}).items() if value is not ABSENT}
    answer = shared_api.post("/outcomes", json=body)
    assert_refused(answer, 400, "invalid_outcome")
    assert answer.fields == {"outcome_name"}


def test_names_need_not_be_unique(desk: Desk) -> None:
    assert desk.outcome(**ACTION)["outcome_id"] != desk.outcome(**ACTION)["outcome_id"]
    assert names(desk.api) == ["Interested", "Interested"]


@pytest.mark.parametrize("outcome_type", ["Action", "ACTION", "", "call", " action", None, 1, ABSENT])
def test_the_type_is_action_or_disposition(shared_api: Api, outcome_type: object) -> None:
    body = {
        key: value for key, value in (ACTION | {"outcome_type": outcome_type}).items() if value is not ABSENT
    }
    answer = shared_api.post("/outcomes", json=body)
    assert_refused(answer, 400, "invalid_outcome")
    assert "outcome_type" in answer.fields


SOME_ID = "00000000-0000-4000-8000-000000000010"
OTHER_ID = "00000000-0000-4000-8000-000000000011"


def remove(choice: object) -> dict[str, object]:
    return {"destination_type": "remove_from_smart_list", "remove_from_smart_lists": choice}


BAD_DESTINATIONS: dict[str, tuple[dict[str, object], str]] = {
    "unknown type": ({"destination_type": "list"}, "destination_type"),
    "type in capitals": ({"destination_type": "NONE"}, "destination_type"),
    "smart_list without id": ({"destination_type": "smart_list"}, "destination_id"),
    "smart_list with null": ({"destination_type": "smart_list", "destination_id": None}, "destination_id"),
    "no uuid": ({"destination_type": "smart_list", "destination_id": "x"}, "destination_id"),
    "uuid in braces": (
        {"destination_type": "smart_list", "destination_id": f"{{{SOME_ID}}}"},
        "destination_id",
    ),
    "uuid as urn": (
        {"destination_type": "smart_list", "destination_id": f"urn:uuid:{SOME_ID}"},
        "destination_id",
    ),
    "uuid with odd dashes": (
        {"destination_type": "smart_list", "destination_id": "0000-0000000040008000-000000000010"},
        "destination_id",
    ),
    "number as id": ({"destination_type": "smart_list", "destination_id": 7}, "destination_id"),
    "id with none": ({"destination_type": "none", "destination_id": SOME_ID}, "destination_id"),
    "id with the default": ({"destination_id": SOME_ID}, "destination_id"),
    "id with remove": (remove({"all": True}) | {"destination_id": SOME_ID}, "destination_id"),
    "remove with none": ({"remove_from_smart_lists": {"all": True}}, "remove_from_smart_lists"),
    "remove with smart_list": (
        {
            "destination_type": "smart_list",
            "destination_id": SOME_ID,
            "remove_from_smart_lists": {"all": True},
        },
        "remove_from_smart_lists",
    ),
    "remove without choice": ({"destination_type": "remove_from_smart_list"}, "remove_from_smart_lists"),
    "remove null": (remove(None), "remove_from_smart_lists"),
    "remove empty": (remove({}), "remove_from_smart_lists"),
    "remove array": (remove([SOME_ID]), "remove_from_smart_lists"),
    "remove true": (remove(True), "remove_from_smart_lists"),
    "both": (remove({"all": True, "list_ids": [SOME_ID]}), "remove_from_smart_lists"),
    "both, all false": (remove({"all": False, "list_ids": [SOME_ID]}), "remove_from_smart_lists"),
    "all false": (remove({"all": False}), "remove_from_smart_lists"),
    "all 1": (remove({"all": 1}), "remove_from_smart_lists"),
    "all string": (remove({"all": "true"}), "remove_from_smart_lists"),
    "no lists": (remove({"list_ids": []}), "remove_from_smart_lists"),
    "lists a string": (remove({"list_ids": SOME_ID}), "remove_from_smart_lists"),
    "lists with a number": (remove({"list_ids": [7]}), "remove_from_smart_lists"),
    "lists with null": (remove({"list_ids": [None]}), "remove_from_smart_lists"),
    "lists with no uuid": (remove({"list_ids": [SOME_ID, "x"]}), "remove_from_smart_lists"),
    "twice the same": (remove({"list_ids": [SOME_ID, SOME_ID]}), "remove_from_smart_lists"),
    "twice the same, spelled otherwise": (
        remove({"list_ids": [SOME_ID, SOME_ID.replace("-", "").upper()]}),
        "remove_from_smart_lists",
    ),
    "101 lists": (
        remove({"list_ids": [f"00000000-0000-4000-8000-{n:012}" for n in range(101)]}),
        "remove_from_smart_lists",
    ),
    "a wrong key": (remove({"all": True, "wat": 1}), "remove_from_smart_lists"),
}


@pytest.mark.parametrize("name", BAD_DESTINATIONS)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_bad_destination_is_refused_and_its_field_named(shared_api: Api, method: str, name: str) -> None:
    fields, blamed = BAD_DESTINATIONS[name]
    path = "/outcomes" if method == "POST" else f"/outcomes/{unknown_id()}"
    answer = shared_api.request(method, path, json=ACTION | fields)
    assert_refused(answer, 400, "invalid_outcome")
    assert any(field.startswith(blamed) for field in answer.fields), answer


def test_an_action_needs_a_webhook_url_and_a_disposition_does_not(desk: Desk) -> None:
    answer = desk.api.post("/outcomes", json={"outcome_name": "A", "outcome_type": "action"})
    assert_refused(answer, 400, "invalid_outcome")
    assert answer.fields == {"webhook_url"}
    assert desk.outcome(**DISPOSITION)["webhook_url"] is None
    assert (
        desk.outcome(**DISPOSITION, webhook_url="https://example.com/d")["webhook_url"]
        == "https://example.com/d"
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"destination_type": "smart_list", "destination_id": SOME_ID},
        remove({"list_ids": [SOME_ID, OTHER_ID]}),
    ],
)
def test_a_destination_that_is_no_list_of_the_workspace_is_not_found(
    shared_desk: Desk, fields: dict[str, object]
) -> None:
    assert_refused(shared_desk.api.post("/outcomes", json=ACTION | fields), 404, "destination_not_found")
    outcome_id = shared_desk.action()["outcome_id"]
    answer = shared_desk.api.patch(f"/outcomes/{outcome_id}", json=ACTION | fields)
    assert_refused(answer, 404, "destination_not_found")


def test_one_unknown_list_among_known_ones_is_enough(desk: Desk) -> None:
    known = desk.smart_list()["smart_list_id"]
    body = ACTION | remove({"list_ids": [known, unknown_id()]})
    assert_refused(desk.api.post("/outcomes", json=body), 404, "destination_not_found")


def test_a_hundred_lists_can_be_left_at_once(desk: Desk) -> None:
    lists = [desk.smart_list()["smart_list_id"] for _ in range(100)]
    outcome = desk.outcome(**ACTION | remove({"list_ids": lists}))
    assert outcome["destination"]["remove_from_smart_lists"] == {"list_ids": lists}


def test_outcomes_come_in_display_order_with_ties_by_creation(desk: Desk) -> None:
    for name, order in (("d", 5), ("b", -1), ("e", 5), ("a", -(2**31)), ("c", 0), ("f", 2**31 - 1)):
        desk.action(outcome_name=name, order=order)
    assert names(desk.api) == ["a", "b", "c", "d", "e", "f"]


def test_ties_keep_their_order_when_outcomes_change(desk: Desk) -> None:
    made = [desk.action(outcome_name=str(n))["outcome_id"] for n in range(4)]
    assert_done(desk.api.patch(f"/outcomes/{made[0]}", json=ACTION | {"outcome_name": "0 again"}))
    assert names(desk.api) == ["0 again", "1", "2", "3"]
    assert_done(desk.api.patch(f"/outcomes/{made[1]}", json=ACTION | {"outcome_name": "1 last", "order": 1}))
    assert names(desk.api) == ["0 again", "2", "3", "1 last"]


def test_patch_replaces_the_whole_configuration(desk: Desk) -> None:
    list_id = desk.smart_list()["smart_list_id"]
    before = desk.disposition(
        order=7, webhook_url="https://example.com/d", destination_type="smart_list", destination_id=list_id
    )
    after = assert_done(desk.api.patch(f"/outcomes/{before['outcome_id']}", json=DISPOSITION))["outcome"]
    assert set(after) == OUTCOME_KEYS
    assert (after["order"], after["destination"], after["webhook_url"]) == (0, NONE, None)
    assert after["created_at"] == before["created_at"]
    assert after["updated_at"] >= before["updated_at"]
    assert assert_done(desk.api.get("/outcomes"))["outcomes"] == [after]


def test_patch_wants_the_required_fields_again(desk: Desk) -> None:
    before = desk.action()
    answer = desk.api.patch(f"/outcomes/{before['outcome_id']}", json={"order": 3})
    assert_refused(answer, 400, "invalid_outcome")
    assert {"outcome_name", "outcome_type"} <= answer.fields
    assert assert_done(desk.api.get("/outcomes"))["outcomes"] == [before]


def test_the_type_may_change_and_the_popup_follows(desk: Desk) -> None:
    outcome_id = desk.action()["outcome_id"]
    assert not popup(desk.api)
    changed = assert_done(desk.api.patch(f"/outcomes/{outcome_id}", json=DISPOSITION))
    assert changed["outcome"]["outcome_type"] == "disposition"
    assert changed["disposition_popup_enabled"] is True
    back = assert_done(desk.api.patch(f"/outcomes/{outcome_id}", json=ACTION))
    assert back["disposition_popup_enabled"] is False
    refused = desk.api.patch(f"/outcomes/{outcome_id}", json=DISPOSITION | {"outcome_type": "action"})
    assert_refused(refused, 400, "invalid_outcome")


def test_the_popup_is_on_while_at_least_one_disposition_is_there(desk: Desk) -> None:
    first, second = desk.disposition()["outcome_id"], desk.disposition()["outcome_id"]
    assert assert_done(desk.api.delete(f"/outcomes/{first}"))["disposition_popup_enabled"] is True
    assert popup(desk.api)
    assert assert_done(desk.api.delete(f"/outcomes/{second}"))["disposition_popup_enabled"] is False
    assert not popup(desk.api)


def test_an_unknown_outcome_is_not_found_and_a_deleted_one_neither(desk: Desk) -> None:
    assert_refused(desk.api.patch(f"/outcomes/{unknown_id()}", json=ACTION), 404, "outcome_not_found")
    assert_refused(desk.api.delete(f"/outcomes/{unknown_id()}"), 404, "outcome_not_found")
    outcome_id = desk.action()["outcome_id"]
    assert_done(desk.api.delete(f"/outcomes/{outcome_id}"))
    assert_refused(desk.api.delete(f"/outcomes/{outcome_id}"), 404, "outcome_not_found")
    assert_refused(desk.api.patch(f"/outcomes/{outcome_id}", json=ACTION), 404, "outcome_not_found")
    assert names(desk.api) == []


def test_the_destination_name_follows_the_list_and_is_null_when_it_is_gone(desk: Desk) -> None:
    list_id = desk.smart_list("Before")["smart_list_id"]
    desk.action(destination_type="smart_list", destination_id=list_id)
    assert_done(desk.api.patch(f"/smart-lists/{list_id}", json={"smart_list_name": "After"}))
    assert desk.api.get("/outcomes").json["outcomes"][0]["destination"]["destination_name"] == "After"
    assert_done(desk.api.delete(f"/smart-lists/{list_id}?force=true"))
    assert desk.api.get("/outcomes").json["outcomes"][0]["destination"] == {
        "destination_type": "smart_list",
        "destination_id": list_id,
        "destination_name": None,
    }


def test_history_keeps_the_name_and_type_as_they_were(desk: Desk) -> None:
    outcome_id = desk.action(outcome_name="Then")["outcome_id"]
    call_id = desk.call()["call_id"]
    desk.applied(call_id, outcome_id)
    assert_done(desk.api.patch(f"/outcomes/{outcome_id}", json=DISPOSITION | {"outcome_name": "Now"}))
    for _ in range(2):
        applied = desk.read_call(call_id)["applied"][0]
        assert (applied["outcome_name"], applied["outcome_type"]) == ("Then", "action")
        desk.api.delete(f"/outcomes/{outcome_id}")
