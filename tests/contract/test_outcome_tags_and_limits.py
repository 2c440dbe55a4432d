"""Contract § 4: tags and preconditions of outcomes, their number, and the switch that closes Part A."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import Api, Desk, Json, assert_done, assert_refused

ACTION = {
    "outcome_name": "Interested",
    "outcome_type": "action",
    "webhook_url": "https://example.com/sailor/outcomes",
}


def names(api: Api) -> list[str]:
    return [outcome["outcome_name"] for outcome in assert_done(api.get("/outcomes"))["outcomes"]]


def list_tag(api: Api) -> str:
    tag = api.get("/outcomes").header("ETag")
    assert tag
    return tag


def test_an_unchanged_list_is_not_sent_again(desk: Desk) -> None:
    desk.action()
    tag = list_tag(desk.api)
    for value in (tag, f"W/{tag.removeprefix('W/')}", f'"x", {tag}', "*"):
        answer = desk.api.get("/outcomes", headers=[("If-None-Match", value)])
        assert (answer.status, answer.body) == (304, b""), value
        assert answer.header("ETag") == tag
    assert desk.api.get("/outcomes", headers=[("If-None-Match", '"x"')]).status == 200


def test_every_change_that_shows_gives_the_list_another_tag(desk: Desk) -> None:
    list_id = desk.smart_list("Before")["smart_list_id"]
    tags = [list_tag(desk.api)]
    outcome_id = desk.action(destination_type="smart_list", destination_id=list_id)["outcome_id"]
    tags.append(list_tag(desk.api))
    desk.api.patch(f"/smart-lists/{list_id}", json={"smart_list_name": "After"})
    tags.append(list_tag(desk.api))
    desk.api.patch(f"/outcomes/{outcome_id}", json=ACTION | {"order": 9})
    tags.append(list_tag(desk.api))
    desk.api.delete(f"/outcomes/{outcome_id}")
    tags.append(list_tag(desk.api))
    assert all(before != after for before, after in itertools.pairwise(tags))


def test_if_match_guards_a_patch(desk: Desk) -> None:
    made = desk.api.post("/outcomes", json=ACTION)
    path, tag = f"/outcomes/{made.json['outcome']['outcome_id']}", made.header("ETag")
    assert tag
    changed = desk.api.patch(path, json=ACTION | {"order": 1}, headers=[("If-Match", tag)])
    assert_done(changed)
    stale = desk.api.patch(path, json=ACTION | {"order": 2}, headers=[("If-Match", tag)])
    assert_refused(stale, 412, "precondition_failed")
    assert desk.api.get("/outcomes").json["outcomes"][0]["order"] == 1
    new_tag = str(changed.header("ETag"))
    assert new_tag != tag
    assert_done(desk.api.patch(path, json=ACTION | {"order": 3}, headers=[("If-Match", f'"x", {new_tag}')]))
    assert_done(desk.api.patch(path, json=ACTION | {"order": 4}, headers=[("If-Match", "*")]))


def test_if_match_guards_a_delete(desk: Desk) -> None:
    made = desk.api.post("/outcomes", json=ACTION)
    path, tag = f"/outcomes/{made.json['outcome']['outcome_id']}", str(made.header("ETag"))
    assert_refused(desk.api.delete(path, headers=[("If-Match", '"stale"')]), 412, "precondition_failed")
    assert names(desk.api) == ["Interested"]
    assert_done(desk.api.delete(path, headers=[("If-Match", tag)]))
    assert_refused(desk.api.delete(path, headers=[("If-Match", "*")]), 404, "outcome_not_found")


@pytest.mark.parametrize("tag", ["x", '"', "", '"a" "b"', "W/", "'a'"])
def test_a_tag_that_is_none_is_never_a_match(desk: Desk, tag: str) -> None:
    outcome_id = desk.action()["outcome_id"]
    assert desk.api.get("/outcomes", headers=[("If-None-Match", tag)]).status in {200, 400}
    answer = desk.api.patch(
        f"/outcomes/{outcome_id}", json=ACTION | {"order": 5}, headers=[("If-Match", tag or "x")]
    )
    assert answer.status in {400, 412}
    assert desk.api.get("/outcomes").json["outcomes"][0]["order"] == 0


def test_two_writers_with_one_tag_cannot_both_win(desk: Desk) -> None:
    made = desk.api.post("/outcomes", json=ACTION)
    path, tag = f"/outcomes/{made.json['outcome']['outcome_id']}", str(made.header("ETag"))

    def write(order: int) -> int:
        return desk.api.patch(path, json=ACTION | {"order": order}, headers=[("If-Match", tag)]).status

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(write, range(1, 9)))
    assert statuses == [200] + [412] * 7


# Limits and the switch


def fill(api: Api, path: str, bodies: list[Json]) -> None:
    with ThreadPoolExecutor(16) as pool:
        for answer in pool.map(lambda body: api.post(path, json=body), bodies):
            assert answer.status == 201, answer


def test_a_workspace_holds_500_outcomes(desk: Desk) -> None:
    fill(desk.api, "/outcomes", [ACTION] * 500)
    assert_refused(desk.api.post("/outcomes", json=ACTION), 409, "limit_reached")
    outcomes = assert_done(desk.api.get("/outcomes"))["outcomes"]
    assert len(outcomes) == 500
    assert_done(desk.api.patch(f"/outcomes/{outcomes[0]['outcome_id']}", json=ACTION))
    assert_done(desk.api.delete(f"/outcomes/{outcomes[0]['outcome_id']}"))
    assert_done(desk.api.post("/outcomes", json=ACTION), 201)


def test_a_workspace_holds_1000_smart_lists(desk: Desk) -> None:
    fill(desk.api, "/smart-lists", [{"smart_list_name": f"List {n}"} for n in range(1000)])
    refused = desk.api.post("/smart-lists", json={"smart_list_name": "One more"})
    assert_refused(refused, 409, "limit_reached")
    lists = desk.api.pages("/smart-lists", "smart_lists")
    assert len({entry["smart_list_id"] for entry in lists}) == 1000


def test_racing_creates_do_not_pass_the_limit(desk: Desk) -> None:
    fill(desk.api, "/outcomes", [ACTION] * 495)
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: desk.api.post("/outcomes", json=ACTION).status, range(16)))
    assert sorted(statuses) == [201] * 5 + [409] * 11


def test_part_a_is_closed_while_outcomes_are_switched_off(desk: Desk) -> None:
    outcome_id = desk.action()["outcome_id"]
    desk.set_workspace(outcomes_enabled=False)
    answers = [
        desk.api.get("/outcomes"),
        desk.api.post("/outcomes", json=ACTION),
        desk.api.patch(f"/outcomes/{outcome_id}", json=ACTION),
        desk.api.delete(f"/outcomes/{outcome_id}"),
    ]
    for answer in answers:
        assert_refused(answer, 403, "feature_disabled")
    desk.set_workspace(outcomes_enabled=True)
    assert names(desk.api) == ["Interested"]
