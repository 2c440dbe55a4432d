"""Contract § 3: the Idempotency-Key."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import (
    Answer,
    Api,
    Desk,
    Pairs,
    Server,
    assert_done,
    assert_refused,
    fresh_key,
    fresh_phone_number,
)

GOOD_OUTCOME = {
    "outcome_name": "Interested",
    "outcome_type": "action",
    "webhook_url": "https://example.com/hook",
}
OTHER_OUTCOME = GOOD_OUTCOME | {"outcome_name": "Another"}


def is_replay(answer: Answer) -> bool:
    return answer.header("Idempotent-Replayed") == "true"


def assert_replays(first: Answer, again: Answer) -> None:
    assert not is_replay(first)
    assert is_replay(again), again
    assert (again.status, again.body) == (first.status, first.body)
    assert again.header("Content-Type") == first.header("Content-Type")


def outcome_count(api: Api) -> int:
    return len(assert_done(api.get("/outcomes"))["outcomes"])


@pytest.mark.parametrize("headers", [[], [("Idempotency-Key", "")], [("Idempotency-Key", "   ")]])
def test_a_key_is_required_on_post_and_patch_of_outcomes(api: Api, headers: Pairs) -> None:
    created = api.post("/outcomes", json=GOOD_OUTCOME, key=None, headers=headers)
    assert_refused(created, 400, "missing_idempotency_key")
    assert outcome_count(api) == 0
    outcome_id = assert_done(api.post("/outcomes", json=GOOD_OUTCOME), 201)["outcome"]["outcome_id"]
    changed = api.patch(f"/outcomes/{outcome_id}", json=OTHER_OUTCOME, key=None, headers=headers)
    assert_refused(changed, 400, "missing_idempotency_key")
    assert api.get("/outcomes").json["outcomes"][0]["outcome_name"] == "Interested"


def test_no_key_is_needed_elsewhere(desk: Desk) -> None:
    outcome_id = desk.action()["outcome_id"]
    assert_done(desk.api.delete(f"/outcomes/{outcome_id}", key=None))
    assert_done(desk.api.post("/smart-lists", json={"smart_list_name": "A"}, key=None), 201)


MALFORMED = [
    [("Idempotency-Key", "x" * 256)],
    [("Idempotency-Key", "a b")],
    [("Idempotency-Key", "a\tb")],
    [("Idempotency-Key", "caf\xe9")],
    [("Idempotency-Key", "a\x7fb")],
    [("Idempotency-Key", "one"), ("Idempotency-Key", "two")],
    [("Idempotency-Key", "one"), ("Idempotency-Key", "one")],
    [("Idempotency-Key", "one"), ("idempotency-key", "")],
]


@pytest.mark.parametrize("headers", MALFORMED)
def test_a_malformed_key_is_refused_where_it_is_required(shared_api: Api, headers: Pairs) -> None:
    answer = shared_api.post("/outcomes", json=GOOD_OUTCOME, key=None, headers=headers)
    assert_refused(answer, 400, "invalid_request")


@pytest.mark.parametrize("headers", MALFORMED)
def test_a_malformed_key_is_refused_where_it_is_honoured(shared_api: Api, headers: Pairs) -> None:
    answer = shared_api.post("/calls", json={"phone_number": fresh_phone_number()}, headers=headers)
    assert_refused(answer, 400, "invalid_request")


@pytest.mark.parametrize("key", ["k", "x" * 255, "a,b;c=d", "!~'*", "9f8e7d6c-5b4a-4c3d-8e9f-0a1b2c3d4e5f"])
def test_every_visible_ascii_key_up_to_255_characters_is_taken(api: Api, key: str) -> None:
    first = api.post("/outcomes", json=GOOD_OUTCOME, key=key)
    assert_done(first, 201)
    assert_replays(first, api.post("/outcomes", json=GOOD_OUTCOME, key=key))


def test_the_quoted_form_is_the_same_key(api: Api) -> None:
    first = api.post("/outcomes", json=GOOD_OUTCOME, key='"abc"')
    assert_done(first, 201)
    assert_replays(first, api.post("/outcomes", json=GOOD_OUTCOME, key="abc"))
    assert_replays(first, api.post("/outcomes", json=GOOD_OUTCOME, key=' "abc" '))


def test_keys_differ_by_case(api: Api) -> None:
    for key in ("abc", "ABC"):
        assert_done(api.post("/outcomes", json=GOOD_OUTCOME, key=key), 201)
    assert outcome_count(api) == 2


def test_the_same_request_replays_byte_for_byte(api: Api) -> None:
    key = fresh_key()
    first = api.post("/outcomes", json=GOOD_OUTCOME, key=key)
    assert_done(first, 201)
    for _ in range(3):
        assert_replays(first, api.post("/outcomes", json=GOOD_OUTCOME, key=key))
    assert outcome_count(api) == 1


def test_spaces_and_key_order_do_not_matter(api: Api) -> None:
    key = fresh_key()
    first = api.post("/outcomes", json=GOOD_OUTCOME, key=key)
    shuffled = json.dumps(dict(reversed(GOOD_OUTCOME.items())), indent=3).encode()
    assert_replays(first, api.post("/outcomes", raw=shuffled, key=key))


def test_the_spelling_of_a_string_does_not_matter(api: Api) -> None:
    key = fresh_key()
    first = api.post("/outcomes", json=GOOD_OUTCOME, key=key)
    spelled = json.dumps(GOOD_OUTCOME).replace("Interested", "\\u0049nterested").encode()
    assert_replays(first, api.post("/outcomes", raw=spelled, key=key))


def test_another_body_under_the_same_key_is_refused_and_changes_nothing(api: Api) -> None:
    key = fresh_key()
    first = api.post("/outcomes", json=GOOD_OUTCOME, key=key)
    assert_refused(api.post("/outcomes", json=OTHER_OUTCOME, key=key), 422, "idempotency_key_reused")
    assert outcome_count(api) == 1
    assert_replays(first, api.post("/outcomes", json=GOOD_OUTCOME, key=key))


def test_true_and_1_are_different_bodies(desk: Desk) -> None:
    key = fresh_key()
    person = {"phone_number": fresh_phone_number(), "attributes": {"vip": True}}
    assert_done(desk.api.post("/contacts", json=person, key=key), 201)
    other = person | {"attributes": {"vip": 1}}
    assert_refused(desk.api.post("/contacts", json=other, key=key), 422, "idempotency_key_reused")


def test_another_path_or_method_under_the_same_key_is_refused(desk: Desk) -> None:
    key, api = fresh_key(), desk.api
    outcome_id = assert_done(api.post("/outcomes", json=GOOD_OUTCOME, key=key), 201)["outcome"]["outcome_id"]
    elsewhere = [
        api.patch(f"/outcomes/{outcome_id}", json=GOOD_OUTCOME, key=key),
        api.delete(f"/outcomes/{outcome_id}", key=key),
        api.post("/smart-lists", json={"smart_list_name": "A"}, key=key),
        api.post("/calls", json={"phone_number": fresh_phone_number()}, key=key),
    ]
    for answer in elsewhere:
        assert_refused(answer, 422, "idempotency_key_reused")
    assert outcome_count(api) == 1
    assert api.get("/smart-lists").json["smart_lists"] == []


def test_a_refused_request_leaves_its_key_free(desk: Desk) -> None:
    key, api = fresh_key(), desk.api
    missing = GOOD_OUTCOME | {"destination_type": "smart_list", "destination_id": desk.subaccount_id}
    assert_refused(api.post("/outcomes", json={"outcome_name": ""}, key=key), 400, "invalid_outcome")
    assert_refused(api.post("/outcomes", json=missing, key=key), 404, "destination_not_found")
    done = api.post("/outcomes", json=GOOD_OUTCOME, key=key)
    assert_done(done, 201)
    assert not is_replay(done)


def test_a_conflict_leaves_its_key_free(desk: Desk) -> None:
    key = fresh_key()
    disposition = desk.disposition()["outcome_id"]
    call_id = desk.call()["call_id"]
    body = {"outcome_id": disposition}
    refused = desk.api.post(f"/calls/{call_id}/outcomes", json=body, key=key)
    assert_refused(refused, 409, "call_still_live")
    desk.end(call_id)
    done = desk.api.post(f"/calls/{call_id}/outcomes", json=body, key=key)
    assert_done(done, 201)
    assert_replays(done, desk.api.post(f"/calls/{call_id}/outcomes", json=body, key=key))


def test_a_replay_is_the_same_after_the_outcome_changed_and_after_it_is_gone(api: Api) -> None:
    key = fresh_key()
    first = api.post("/outcomes", json=GOOD_OUTCOME, key=key)
    outcome_id = assert_done(first, 201)["outcome"]["outcome_id"]
    assert_done(api.patch(f"/outcomes/{outcome_id}", json=OTHER_OUTCOME))
    assert_replays(first, api.post("/outcomes", json=GOOD_OUTCOME, key=key))
    assert_done(api.delete(f"/outcomes/{outcome_id}"))
    assert_replays(first, api.post("/outcomes", json=GOOD_OUTCOME, key=key))
    assert outcome_count(api) == 0


def test_a_replayed_patch_does_not_run_again(api: Api) -> None:
    key = fresh_key()
    outcome_id = assert_done(api.post("/outcomes", json=GOOD_OUTCOME), 201)["outcome"]["outcome_id"]
    first = api.patch(f"/outcomes/{outcome_id}", json=OTHER_OUTCOME, key=key)
    assert_done(first)
    assert_done(api.patch(f"/outcomes/{outcome_id}", json=GOOD_OUTCOME))
    assert_replays(first, api.patch(f"/outcomes/{outcome_id}", json=OTHER_OUTCOME, key=key))
    assert api.get("/outcomes").json["outcomes"][0]["outcome_name"] == "Interested"


def test_delete_honours_the_key(desk: Desk) -> None:
    key = fresh_key()
    path = f"/outcomes/{desk.action()['outcome_id']}"
    first = desk.api.delete(path, key=key)
    assert_done(first)
    assert_replays(first, desk.api.delete(path, key=key))
    assert_refused(desk.api.delete(path), 404, "outcome_not_found")


def test_put_honours_the_key(desk: Desk) -> None:
    key = fresh_key()
    contact_id, list_id = desk.contact()["contact_id"], desk.smart_list()["smart_list_id"]
    path = f"/smart-lists/{list_id}/contacts/{contact_id}"
    first = desk.api.put(path, key=key)
    assert_done(first)
    assert_done(desk.api.delete(path))
    assert_replays(first, desk.api.put(path, key=key))
    assert desk.lists_of(contact_id) == set()
    assert_refused(desk.api.delete(path, key=key), 422, "idempotency_key_reused")


def test_part_b_honours_the_key_on_post_and_patch(desk: Desk) -> None:
    person = {"phone_number": fresh_phone_number()}
    call = {"phone_number": fresh_phone_number()}
    requests = [
        ("POST", "/smart-lists", {"smart_list_name": "Once"}),
        ("POST", "/contacts", person),
        ("POST", "/calls", call),
        ("PATCH", "/workspace", {"name": "Renamed"}),
        ("POST", "/webhook-secret/rotate", {}),
    ]
    for method, path, body in requests:
        key = fresh_key()
        first = desk.api.request(method, path, json=body, key=key)
        assert first.status < 300, first
        assert_replays(first, desk.api.request(method, path, json=body, key=key))
    assert len(desk.api.get("/calls").json["calls"]) == 1


def test_a_post_without_body_honours_the_key(desk: Desk) -> None:
    key = fresh_key()
    call_id = desk.call(state="ringing")["call_id"]
    first = desk.api.post(f"/calls/{call_id}/answer", key=key)
    assert_done(first)
    desk.end(call_id)
    assert_replays(first, desk.api.post(f"/calls/{call_id}/answer", key=key))


def test_a_replayed_apply_answers_201_again_and_a_new_key_answers_200(desk: Desk) -> None:
    key = fresh_key()
    call_id, outcome_id = desk.call()["call_id"], desk.action()["outcome_id"]
    path, body = f"/calls/{call_id}/outcomes", {"outcome_id": outcome_id}
    first = desk.api.post(path, json=body, key=key)
    assert_done(first, 201)
    assert_replays(first, desk.api.post(path, json=body, key=key))
    assert_done(desk.api.post(path, json=body, key=fresh_key()), 200)


def test_a_key_belongs_to_the_workspace_and_not_to_the_token(desk: Desk) -> None:
    key = fresh_key()
    first = desk.api.post("/outcomes", json=GOOD_OUTCOME, key=key)
    rotated = desk.api_with("outcomes:write")
    assert_replays(first, rotated.post("/outcomes", json=GOOD_OUTCOME, key=key))
    assert outcome_count(desk.api) == 1


def test_the_same_key_in_another_workspace_is_another_key(server: Server, api: Api) -> None:
    key = fresh_key()
    other = Desk.open(server).api
    for one in (api, other):
        answer = one.post("/outcomes", json=GOOD_OUTCOME, key=key)
        assert_done(answer, 201)
        assert not is_replay(answer)
    assert outcome_count(other) == 1


def test_many_at_once_under_one_key_have_one_effect(api: Api) -> None:
    key, together = fresh_key(), threading.Barrier(20)

    def post() -> Answer:
        together.wait()
        return api.post("/outcomes", json=GOOD_OUTCOME, key=key)

    with ThreadPoolExecutor(20) as pool:
        answers = [future.result() for future in [pool.submit(post) for _ in range(20)]]
    done = [answer for answer in answers if answer.status == 201]
    waiting = [answer for answer in answers if answer.status != 201]
    assert len({answer.body for answer in done}) == 1
    assert sum(not is_replay(answer) for answer in done) == 1
    for answer in waiting:
        assert_refused(answer, 409, "idempotency_key_in_use")
        assert answer.header("Retry-After") == "1"
    assert outcome_count(api) == 1


def test_two_bodies_at_once_under_one_key_have_one_effect(api: Api) -> None:
    key, together = fresh_key(), threading.Barrier(12)

    def post(n: int) -> Answer:
        together.wait()
        return api.post("/outcomes", json=GOOD_OUTCOME | {"order": n % 2}, key=key)

    with ThreadPoolExecutor(12) as pool:
        answers = [future.result() for future in [pool.submit(post, n) for n in range(12)]]
    assert sum(answer.status == 201 and not is_replay(answer) for answer in answers) == 1
    assert {answer.status for answer in answers} <= {201, 409, 422}
    assert outcome_count(api) == 1
