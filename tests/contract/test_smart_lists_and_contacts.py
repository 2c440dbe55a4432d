"""Contract § 6: Smart Lists, contacts, membership, history, erasing a person."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import TIME, Api, Desk, Json, assert_done, assert_refused, fresh_phone_number, unknown_id
from receiver import Receiver

LIST_KEYS = {"smart_list_id", "smart_list_name", "contact_count", "created_at", "updated_at"}
CONTACT_KEYS = {
    "contact_id",
    "phone_number",
    "name",
    "external_id",
    "attributes",
    "smart_lists",
    "created_at",
    "updated_at",
}


def read_list(api: Api, list_id: str) -> Json:
    return assert_done(api.get(f"/smart-lists/{list_id}"))["smart_list"]


def read_contact(api: Api, contact_id: str) -> Json:
    return assert_done(api.get(f"/contacts/{contact_id}"))["contact"]


# Smart Lists


def test_a_smart_list_has_exactly_its_keys(desk: Desk) -> None:
    made = desk.smart_list("  Follow up ")
    assert set(made) == LIST_KEYS
    assert (made["smart_list_name"], made["contact_count"]) == ("Follow up", 0)
    assert read_list(desk.api, made["smart_list_id"]) == made
    assert assert_done(desk.api.get("/smart-lists"))["smart_lists"] == [made]


@pytest.mark.parametrize("name", ["", " ", "a" * 121, "a\nb", None, 7, "a\u2028b", "a\x9fb"])
def test_a_bad_list_name_is_refused(shared_api: Api, name: object) -> None:
    answer = shared_api.post("/smart-lists", json={"smart_list_name": name})
    assert_refused(answer, 400, "invalid_request")
    assert answer.fields == {"smart_list_name"}


@pytest.mark.parametrize(
    ("name", "same"), [("Follow up", "FOLLOW UP"), ("Ärger", "ärger"), ("ΣΟΦΟΣ", "σοφος"), ("x", " X ")]
)
def test_a_list_name_is_unique_without_regard_to_case(desk: Desk, name: str, same: str) -> None:
    list_id = desk.smart_list(name)["smart_list_id"]
    refused = desk.api.post("/smart-lists", json={"smart_list_name": same})
    assert_refused(refused, 409, "smart_list_exists")
    assert refused.json["smart_list_id"] == list_id
    other = desk.smart_list("Other")["smart_list_id"]
    renamed = desk.api.patch(f"/smart-lists/{other}", json={"smart_list_name": same})
    assert_refused(renamed, 409, "smart_list_exists")
    assert renamed.json["smart_list_id"] == list_id
    assert_done(desk.api.patch(f"/smart-lists/{list_id}", json={"smart_list_name": same}))


def test_racing_creates_of_one_name_make_one_list(desk: Desk) -> None:
    def create(n: int) -> int:
        name = "Racing" if n % 2 else "RACING"
        return desk.api.post("/smart-lists", json={"smart_list_name": name}).status

    with ThreadPoolExecutor(10) as pool:
        statuses = sorted(pool.map(create, range(10)))
    assert statuses == [201] + [409] * 9


def test_a_list_name_is_free_again_after_delete(desk: Desk) -> None:
    list_id = desk.smart_list("Again")["smart_list_id"]
    assert assert_done(desk.api.delete(f"/smart-lists/{list_id}")) == {"ok": True, "smart_list_id": list_id}
    assert_refused(desk.api.get(f"/smart-lists/{list_id}"), 404, "smart_list_not_found")
    assert_refused(desk.api.delete(f"/smart-lists/{list_id}"), 404, "smart_list_not_found")
    desk.smart_list("again")


def test_patch_of_a_list_merges(desk: Desk) -> None:
    made = desk.smart_list("Kept")
    path = f"/smart-lists/{made['smart_list_id']}"
    assert assert_done(desk.api.patch(path, json={}))["smart_list"]["smart_list_name"] == "Kept"
    renamed = assert_done(desk.api.patch(path, json={"smart_list_name": "New"}))["smart_list"]
    assert (renamed["smart_list_name"], renamed["created_at"]) == ("New", made["created_at"])


def test_a_list_that_outcomes_point_to_is_in_use(desk: Desk) -> None:
    list_id = desk.smart_list()["smart_list_id"]
    pointing = [
        desk.action(destination_type="smart_list", destination_id=list_id)["outcome_id"],
        desk.action(
            destination_type="remove_from_smart_list", remove_from_smart_lists={"list_ids": [list_id]}
        )["outcome_id"],
    ]
    desk.action(destination_type="remove_from_smart_list", remove_from_smart_lists={"all": True})
    refused = desk.api.delete(f"/smart-lists/{list_id}")
    assert_refused(refused, 409, "smart_list_in_use")
    assert sorted(refused.json["outcome_ids"]) == sorted(pointing)
    assert_refused(desk.api.delete(f"/smart-lists/{list_id}?force=false"), 409, "smart_list_in_use")
    assert_done(desk.api.delete(f"/smart-lists/{list_id}?force=true"))


@pytest.mark.parametrize("force", ["yes", "1", "TRUE", ""])
def test_force_is_true_or_false(desk: Desk, force: str) -> None:
    list_id = desk.smart_list()["smart_list_id"]
    assert_refused(desk.api.delete(f"/smart-lists/{list_id}?force={force}"), 400, "invalid_request")
    read_list(desk.api, list_id)


def test_a_list_is_free_once_no_outcome_points_to_it(desk: Desk) -> None:
    list_id = desk.smart_list()["smart_list_id"]
    outcome_id = desk.action(destination_type="smart_list", destination_id=list_id)["outcome_id"]
    plain = {"outcome_name": "A", "outcome_type": "disposition"}
    assert_done(desk.api.patch(f"/outcomes/{outcome_id}", json=plain))
    assert_done(desk.api.delete(f"/smart-lists/{list_id}"))


# Membership


def test_joining_and_leaving_are_idempotent(desk: Desk) -> None:
    list_id, contact_id = desk.smart_list()["smart_list_id"], desk.contact()["contact_id"]
    path = f"/smart-lists/{list_id}/contacts/{contact_id}"
    for _ in range(2):
        assert_done(desk.api.put(path))
        assert read_list(desk.api, list_id)["contact_count"] == 1
    for _ in range(2):
        assert_done(desk.api.delete(path))
        assert read_list(desk.api, list_id)["contact_count"] == 0


def test_a_membership_knows_since_when(desk: Desk) -> None:
    smart_list, contact_id = desk.smart_list("Named"), desk.contact()["contact_id"]
    desk.join(smart_list["smart_list_id"], contact_id)
    first = read_contact(desk.api, contact_id)["smart_lists"]
    assert [set(entry) for entry in first] == [{"smart_list_id", "smart_list_name", "since"}]
    assert first[0]["smart_list_name"] == "Named"
    assert TIME.fullmatch(first[0]["since"])
    desk.join(smart_list["smart_list_id"], contact_id)
    assert read_contact(desk.api, contact_id)["smart_lists"] == first


def test_the_members_of_a_list_can_be_paged(desk: Desk) -> None:
    list_id = desk.smart_list()["smart_list_id"]
    contacts = [desk.contact()["contact_id"] for _ in range(5)]
    for contact_id in contacts:
        desk.join(list_id, contact_id)
    members = desk.api.pages(f"/smart-lists/{list_id}/contacts", "contacts", limit=2)
    assert sorted(member["contact_id"] for member in members) == sorted(contacts)
    filtered = desk.api.pages(f"/contacts?smart_list_id={list_id}", "contacts", limit=2)
    assert sorted(member["contact_id"] for member in filtered) == sorted(contacts)


def test_membership_wants_a_list_and_a_contact(desk: Desk) -> None:
    list_id, contact_id = desk.smart_list()["smart_list_id"], desk.contact()["contact_id"]
    put = desk.api.put
    assert_refused(put(f"/smart-lists/{unknown_id()}/contacts/{contact_id}"), 404, "smart_list_not_found")
    assert_refused(put(f"/smart-lists/{list_id}/contacts/{unknown_id()}"), 404, "contact_not_found")
    assert_refused(put(f"/smart-lists/{list_id}/contacts/x"), 404, "contact_not_found")
    assert_refused(put(f"/smart-lists/x/contacts/{contact_id}"), 404, "smart_list_not_found")


def test_deleting_a_list_ends_its_memberships(desk: Desk) -> None:
    list_id, contact_id = desk.smart_list()["smart_list_id"], desk.contact()["contact_id"]
    desk.join(list_id, contact_id)
    assert_done(desk.api.delete(f"/smart-lists/{list_id}"))
    assert desk.lists_of(contact_id) == set()


# Contacts


def test_a_contact_has_its_keys(desk: Desk) -> None:
    attributes = {"city": "Bern", "age": 42, "score": 1.5, "vip": True}
    made = desk.contact(phone_number="+14155552671", name="Zoë", external_id="crm-1", attributes=attributes)
    assert set(made) == CONTACT_KEYS
    assert (made["phone_number"], made["name"], made["external_id"]) == ("+14155552671", "Zoë", "crm-1")
    assert made["attributes"] == attributes
    assert made["attributes"]["vip"] is True
    assert made["smart_lists"] == []
    assert read_contact(desk.api, made["contact_id"]) == made


def test_a_contact_needs_only_a_number(desk: Desk) -> None:
    made = desk.contact()
    assert (made["name"], made["external_id"], made["attributes"]) == (None, None, {})
    refused = desk.api.post("/contacts", json={"name": "Nobody"})
    assert_refused(refused, 400, "invalid_request")
    assert refused.fields == {"phone_number"}


@pytest.mark.parametrize(
    "number", ["(415) 555-2671", "415-555-2671", "+1 415 555 2671", "1 (415) 555 2671", "tel:+1-415-555-2671"]
)
def test_a_number_is_normalised_with_the_region(desk: Desk, number: str) -> None:
    assert desk.contact(phone_number=number)["phone_number"] == "+14155552671"


def test_the_region_of_the_workspace_reads_national_numbers(desk: Desk) -> None:
    desk.set_workspace(region="GB")
    assert desk.contact(phone_number="020 7946 0018")["phone_number"] == "+442079460018"


@pytest.mark.parametrize(
    "number",
    [
        "",
        " ",
        "abc",
        "12",
        "+1",
        "+999123456789",
        "+1415555267100000000",
        4155552671,
        None,
        [],
        "+14155552671" * 50,
    ],
)
def test_an_impossible_number_is_refused(shared_api: Api, number: object) -> None:
    for path in ("/contacts", "/calls"):
        answer = shared_api.post(path, json={"phone_number": number})
        assert_refused(answer, 400, "invalid_request")


def test_a_number_is_unique_in_the_workspace(desk: Desk) -> None:
    made = desk.contact(phone_number="+14155552671")
    for spelled in ("+14155552671", "(415) 555-2671"):
        refused = desk.api.post("/contacts", json={"phone_number": spelled})
        assert_refused(refused, 409, "contact_exists")
        assert refused.json["contact_id"] == made["contact_id"]
    other = desk.contact()["contact_id"]
    refused = desk.api.patch(f"/contacts/{other}", json={"phone_number": "4155552671"})
    assert_refused(refused, 409, "contact_exists")
    assert refused.json["contact_id"] == made["contact_id"]


@pytest.mark.parametrize(
    "attributes",
    [[], "x", 1, {"a": {}}, {"a": []}, {"a": {"b": 1}}, {"a": "x\u0000"}],
)
def test_attributes_are_flat(shared_api: Api, attributes: object) -> None:
    answer = shared_api.post(
        "/contacts", json={"phone_number": fresh_phone_number(), "attributes": attributes}
    )
    assert_refused(answer, 400, "invalid_request")
    assert any(field.startswith("attributes") for field in answer.fields) or "\\u0000" in json.dumps(
        attributes
    )


def test_patch_of_a_contact_merges(desk: Desk) -> None:
    made = desk.contact(name="Anna", external_id="crm-1", attributes={"vip": True})
    path = f"/contacts/{made['contact_id']}"
    changed = assert_done(desk.api.patch(path, json={"name": "Anna B."}))["contact"]
    assert changed["name"] == "Anna B."
    for key in ("phone_number", "external_id", "attributes", "created_at"):
        assert changed[key] == made[key]
    assert_done(desk.api.patch(path, json={"phone_number": "(415) 555-2671"}))
    assert read_contact(desk.api, made["contact_id"])["phone_number"] == "+14155552671"


def test_contacts_are_found_by_number_list_and_words(desk: Desk) -> None:
    anna = desk.contact(name="Anna Muster", phone_number="+14155552671")["contact_id"]
    bert = desk.contact(name="Bert 100%_x")["contact_id"]
    list_id = desk.smart_list()["smart_list_id"]
    desk.join(list_id, bert)

    def found(query: str) -> list[str]:
        return [contact["contact_id"] for contact in desk.api.pages(f"/contacts?{query}", "contacts")]

    assert found("phone_number=%2B14155552671") == [anna]
    assert found("phone_number=%28415%29%20555-2671") == [anna]
    assert found(f"smart_list_id={list_id}") == [bert]
    assert found("q=muster") == [anna]
    assert found("q=100%25_") == [bert]
    assert found("q=%25") == [bert]
    assert found("q=nobody") == []
    assert found(f"smart_list_id={list_id}&q=anna") == []


# History


def test_history_tells_calls_applied_outcomes_and_moves_newest_first(desk: Desk) -> None:
    contact_id, list_id = desk.contact()["contact_id"], desk.smart_list()["smart_list_id"]
    outcome_id = desk.action(destination_type="smart_list", destination_id=list_id)["outcome_id"]
    old_call = desk.call(contact_id=contact_id)["call_id"]
    applied_id = desk.applied(old_call, outcome_id)["applied_id"]
    desk.end(old_call)
    new_call = desk.call(contact_id=contact_id)["call_id"]
    text = desk.api.get(f"/contacts/{contact_id}/history").body.decode()
    for told in (applied_id, list_id, old_call, new_call):
        assert told in text
    assert text.index(new_call) < text.index(applied_id)


def test_history_can_be_paged_without_gaps(desk: Desk) -> None:
    contact_id = desk.contact()["contact_id"]
    calls = [desk.call(contact_id=contact_id)["call_id"] for _ in range(5)]
    whole = assert_done(desk.api.get(f"/contacts/{contact_id}/history"))
    noun = next(key for key, value in whole.items() if isinstance(value, list))
    entries = desk.api.pages(f"/contacts/{contact_id}/history", noun, limit=2)
    assert entries == whole[noun]
    assert all(call_id in json.dumps(entries) for call_id in calls)


# Erasing


def test_erasing_a_person_leaves_nothing_personal(desk: Desk, receiver: Receiver) -> None:
    number, secret_note = "+14155550177", "knows-the-owner-of-the-blue-house"
    contact_id = desk.contact(phone_number=number, name="Very Private", external_id="crm-private")[
        "contact_id"
    ]
    list_id = desk.smart_list()["smart_list_id"]
    desk.join(list_id, contact_id)
    sent, waiting = desk.action(receiver.url)["outcome_id"], desk.action(receiver.another().url)
    desk.set_endpoint(waiting["webhook_url"], state="paused")
    call_id = desk.call(contact_id=contact_id)["call_id"]
    delivered = desk.applied(call_id, sent, note=secret_note)["delivery_id"]
    desk.delivery_in(delivered, "succeeded")
    pending = desk.applied(call_id, waiting["outcome_id"])["delivery_id"]

    assert assert_done(desk.api.delete(f"/contacts/{contact_id}")) == {"ok": True, "contact_id": contact_id}

    assert_refused(desk.api.get(f"/contacts/{contact_id}"), 404, "contact_not_found")
    assert_refused(desk.api.get(f"/contacts/{contact_id}/history"), 404, "contact_not_found")
    assert_refused(desk.api.delete(f"/contacts/{contact_id}"), 404, "contact_not_found")
    call = desk.read_call(call_id)
    assert (call["phone_number"], call["contact_id"]) == (None, None)
    assert read_list(desk.api, list_id)["contact_count"] == 0
    assert desk.read_delivery(pending)["state"] == "canceled"
    json_only = [("Accept", "application/json")]
    traces = [
        desk.api.get(path, headers=json_only).body.decode()
        for path in (
            "/calls",
            f"/calls/{call_id}",
            "/contacts",
            "/webhook-deliveries",
            f"/webhook-deliveries/{delivered}",
            f"/webhook-deliveries/{pending}",
            f"/smart-lists/{list_id}/contacts",
            "/events?limit=200",
        )
    ]
    for personal in (number, secret_note, "Very Private", "crm-private"):
        assert not any(personal in trace for trace in traces), personal
    assert contact_id not in json.dumps(desk.read_delivery(delivered)["payload"])


def test_a_person_who_was_erased_may_come_back_as_a_new_contact(desk: Desk) -> None:
    number = fresh_phone_number()
    first = desk.contact(phone_number=number)["contact_id"]
    assert_done(desk.api.delete(f"/contacts/{first}"))
    assert desk.contact(phone_number=number)["contact_id"] != first
