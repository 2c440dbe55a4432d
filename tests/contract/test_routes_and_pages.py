"""Contract § 1: routes, methods, pages, and the order in which a request is judged."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from harness import Api, Desk, Json, assert_done, assert_refused, connect, fresh_key, unknown_id

GOOD_OUTCOME = {
    "outcome_name": "Interested",
    "outcome_type": "action",
    "webhook_url": "https://example.com/hook",
}
ZERO = "00000000-0000-4000-8000-000000000000"
TEXT = [("Content-Type", "text/plain")]

METHODS = [
    ("PUT", "/outcomes", {"GET", "POST"}),
    ("DELETE", "/outcomes", {"GET", "POST"}),
    ("PATCH", "/outcomes", {"GET", "POST"}),
    ("GET", f"/outcomes/{ZERO}", {"PATCH", "DELETE"}),
    ("POST", f"/outcomes/{ZERO}", {"PATCH", "DELETE"}),
    ("PUT", f"/outcomes/{ZERO}", {"PATCH", "DELETE"}),
    ("DELETE", "/smart-lists", {"GET", "POST"}),
    ("POST", f"/smart-lists/{ZERO}", {"GET", "PATCH", "DELETE"}),
    ("POST", f"/smart-lists/{ZERO}/contacts", {"GET"}),
    ("GET", f"/smart-lists/{ZERO}/contacts/{ZERO}", {"PUT", "DELETE"}),
    ("PUT", "/contacts", {"GET", "POST"}),
    ("PUT", f"/contacts/{ZERO}", {"GET", "PATCH", "DELETE"}),
    ("POST", f"/contacts/{ZERO}/history", {"GET"}),
    ("PATCH", "/calls", {"GET", "POST"}),
    ("DELETE", f"/calls/{ZERO}", {"GET"}),
    ("GET", f"/calls/{ZERO}/answer", {"POST"}),
    ("PUT", f"/calls/{ZERO}/end", {"POST"}),
    ("GET", f"/calls/{ZERO}/outcomes", {"POST"}),
    ("POST", "/agents", {"GET"}),
    ("POST", "/events", {"GET"}),
    ("POST", "/webhook-deliveries", {"GET"}),
    ("DELETE", f"/webhook-deliveries/{ZERO}", {"GET"}),
    ("GET", f"/webhook-deliveries/{ZERO}/retry", {"POST"}),
    ("POST", "/webhook-endpoints", {"GET"}),
    ("DELETE", f"/webhook-endpoints/{ZERO}", {"GET", "PATCH"}),
    ("POST", "/webhook-secret", {"GET"}),
    ("POST", "/workspace", {"GET", "PATCH"}),
    ("TRACE", "/outcomes", {"GET", "POST"}),
]


@pytest.mark.parametrize(("method", "path", "allowed"), METHODS)
def test_a_method_that_a_path_lacks_is_answered_with_allow(
    shared_api: Api, method: str, path: str, allowed: set[str]
) -> None:
    answer = shared_api.request(method, path)
    assert_refused(answer, 405, "method_not_allowed")
    named = {name.strip() for name in (answer.header("Allow") or "").split(",")}
    assert named - {"HEAD", "OPTIONS"} == allowed


@pytest.mark.parametrize(
    "path", ["/nowhere", "/", "/outcomes/a/b", "/calls/x/y/z", "/webhook-replays", "/outcome"]
)
def test_an_unknown_route_is_not_found(shared_api: Api, path: str) -> None:
    assert_refused(shared_api.get(path), 404, "not_found")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_head_and_options_are_answered_sanely(shared_api: Api, method: str) -> None:
    answer = shared_api.request(method, "/outcomes")
    assert answer.status in {200, 204, 405}
    if answer.status == 405 or method == "OPTIONS":
        assert "GET" in (answer.header("Allow") or "")
    if method == "HEAD":
        assert answer.body == b""


def test_a_connection_goes_on_after_head(shared_api: Api) -> None:
    """A body after HEAD would be taken for the head of the next answer."""
    fields = f"Host: x\r\nAuthorization: Bearer {shared_api.token}\r\n"
    head = f"HEAD {shared_api.prefix}/outcomes HTTP/1.1\r\n{fields}\r\n"
    get = f"GET {shared_api.prefix}/outcomes HTTP/1.1\r\n{fields}Connection: close\r\n\r\n"
    with connect(shared_api.base_url) as wire, wire.makefile("rb") as answers:
        wire.sendall(head.encode() + get.encode())
        text = answers.read()
    first, _, rest = text.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 ")
    assert rest.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "limit", ["0", "201", "-1", "abc", "1.5", "", "1e1", "%EF%BC%91", "+5", "99999999999999999999"]
)
@pytest.mark.parametrize("path", ["/contacts", "/calls", "/webhook-deliveries", "/smart-lists"])
def test_a_limit_is_a_number_from_1_to_200(shared_api: Api, path: str, limit: str) -> None:
    answer = shared_api.get(f"{path}?limit={limit}")
    assert_refused(answer, 400, "invalid_request")
    assert answer.fields == {"limit"}


@pytest.mark.parametrize("limit", [1, 200])
def test_the_ends_of_the_limit_are_taken(shared_api: Api, limit: int) -> None:
    assert_done(shared_api.get(f"/contacts?limit={limit}"))


@pytest.mark.parametrize("cursor", ["x", "%00", "AAAA", "e30", "0", "%F0%9F%A6%9C", "a" * 5000])
@pytest.mark.parametrize("path", ["/contacts", "/calls", "/webhook-deliveries", "/smart-lists"])
def test_a_cursor_that_we_did_not_give_is_refused(shared_api: Api, path: str, cursor: str) -> None:
    answer = shared_api.get(f"{path}?cursor={cursor}")
    assert_refused(answer, 400, "invalid_request")


@pytest.mark.parametrize("path", ["/calls", "/webhook-deliveries"])
@pytest.mark.parametrize(
    "since", ["", "yesterday", "2026-13-01T00:00:00Z", "1781935984000", "2026-06-25T25:00:00.000Z"]
)
def test_a_time_in_a_query_is_iso_8601(shared_api: Api, path: str, since: str) -> None:
    answer = shared_api.get(f"{path}?since={since}")
    assert_refused(answer, 400, "invalid_request")
    assert answer.fields == {"since"}


MAKERS: list[tuple[str, str, str, Callable[[Desk], Json]]] = [
    ("/contacts", "contacts", "contact_id", Desk.contact),
    ("/smart-lists", "smart_lists", "smart_list_id", Desk.smart_list),
    ("/calls", "calls", "call_id", Desk.call),
]


@pytest.mark.parametrize(("path", "noun", "id_key", "make"), MAKERS)
def test_pages_are_newest_first_and_stable_under_inserts(
    desk: Desk, path: str, noun: str, id_key: str, make: Callable[[Desk], Json]
) -> None:
    made = [make(desk)[id_key] for _ in range(5)]
    first = assert_done(desk.api.get(f"{path}?limit=2"))
    make(desk)
    second = assert_done(desk.api.get(f"{path}?limit=2&cursor={first['next_cursor']}"))
    make(desk)
    third = assert_done(desk.api.get(f"{path}?limit=2&cursor={second['next_cursor']}"))
    seen = [entry[id_key] for page in (first, second, third) for entry in page[noun]]
    assert seen == made[::-1]
    assert third["next_cursor"] is None


@pytest.mark.parametrize(("path", "noun"), [(path, noun) for path, noun, _, _ in MAKERS])
def test_an_empty_list_has_no_next_page(api: Api, path: str, noun: str) -> None:
    page = assert_done(api.get(path))
    assert set(page) == {"ok", noun, "next_cursor"}
    assert page[noun] == []
    assert page["next_cursor"] is None


def test_a_page_that_is_exactly_full_ends_the_list(desk: Desk) -> None:
    for _ in range(2):
        desk.contact()
    assert assert_done(desk.api.get("/contacts?limit=2"))["next_cursor"] is None


def test_fifty_is_the_default_limit(desk: Desk) -> None:
    for _ in range(51):
        desk.contact()
    page = assert_done(desk.api.get("/contacts"))
    assert len(page["contacts"]) == 50
    assert page["next_cursor"]


def test_a_cursor_keeps_the_filter_honest(desk: Desk) -> None:
    for n in range(4):
        desk.contact(name=f"Anna {n}")
        desk.contact(name=f"Bert {n}")
    names = [contact["name"] for contact in desk.api.pages("/contacts?q=anna", "contacts", limit=1)]
    assert names == ["Anna 3", "Anna 2", "Anna 1", "Anna 0"]


def test_the_token_is_judged_before_everything_about_the_body(shared_api: Api) -> None:
    nobody = shared_api.with_token("nonsense")
    assert_refused(nobody.post("/outcomes", raw=b"{", headers=TEXT, key=None), 401, "unauthorized")
    assert_refused(nobody.get("/nowhere"), 401, "unauthorized")
    assert_refused(nobody.put("/outcomes"), 401, "unauthorized")
    assert_refused(nobody.get("/outcomes?wat=1"), 401, "unauthorized")


def test_the_scope_is_judged_before_the_media_type(desk: Desk) -> None:
    reader = desk.api_with("outcomes:read", "contacts:read")
    answer = reader.post("/contacts", raw=b"{", headers=TEXT)
    assert_refused(answer, 403, "forbidden")


def test_the_media_type_is_judged_before_the_key(shared_api: Api) -> None:
    answer = shared_api.post("/outcomes", raw=b"{", headers=TEXT, key=None)
    assert_refused(answer, 415, "unsupported_media_type")


def test_the_key_is_judged_before_the_json(shared_api: Api) -> None:
    assert_refused(shared_api.post("/outcomes", raw=b"{", key=None), 400, "missing_idempotency_key")
    assert_refused(shared_api.post("/outcomes", raw=b"{", key="x" * 256), 400, "invalid_request")


def test_the_json_is_judged_before_the_key_is_looked_up(api: Api) -> None:
    key = fresh_key()
    assert_done(api.post("/outcomes", json=GOOD_OUTCOME, key=key), 201)
    assert_refused(api.post("/outcomes", raw=b"{", key=key), 400, "invalid_outcome")


def test_the_key_is_looked_up_before_the_fields_are_judged(api: Api) -> None:
    key = fresh_key()
    assert_done(api.post("/outcomes", json=GOOD_OUTCOME, key=key), 201)
    assert_refused(api.post("/outcomes", json={"outcome_name": ""}, key=key), 422, "idempotency_key_reused")


def test_the_fields_are_judged_before_the_references(shared_api: Api) -> None:
    body = GOOD_OUTCOME | {
        "outcome_name": "",
        "destination_type": "smart_list",
        "destination_id": unknown_id(),
    }
    assert_refused(shared_api.post("/outcomes", json=body), 400, "invalid_outcome")
    assert_refused(shared_api.patch(f"/outcomes/{unknown_id()}", json=body), 400, "invalid_outcome")


def test_messages_are_for_people_and_do_not_show_machinery(shared_api: Api) -> None:
    answers = [
        shared_api.post("/outcomes", raw=b"{"),
        shared_api.post("/contacts", json={"phone_number": "x"}),
    ]
    for answer in answers:
        assert answer.status == 400
        text = json.dumps(answer.json)
        assert "Traceback" not in text
        assert "msgspec" not in text
        assert "sqlalchemy" not in text.lower()
