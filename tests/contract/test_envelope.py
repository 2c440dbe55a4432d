"""Contract § 1: the envelope, the request id, what a body and a query may be."""

from __future__ import annotations

import json
import uuid

import pytest

from harness import (
    TIME,
    Answer,
    Api,
    Desk,
    Json,
    assert_done,
    assert_refused,
    fresh_key,
    fresh_phone_number,
    unknown_id,
)

GOOD_OUTCOME = {
    "outcome_name": "Interested",
    "outcome_type": "action",
    "webhook_url": "https://example.com/hook",
}
ZERO = "00000000-0000-4000-8000-000000000000"

BODY_ROUTES = [
    ("POST", "/outcomes", "invalid_outcome"),
    ("PATCH", f"/outcomes/{ZERO}", "invalid_outcome"),
    ("POST", "/smart-lists", "invalid_request"),
    ("PATCH", f"/smart-lists/{ZERO}", "invalid_request"),
    ("POST", "/contacts", "invalid_request"),
    ("PATCH", f"/contacts/{ZERO}", "invalid_request"),
    ("POST", "/calls", "invalid_request"),
    ("POST", f"/calls/{ZERO}/end", "invalid_request"),
    ("POST", f"/calls/{ZERO}/outcomes", "invalid_request"),
    ("POST", "/webhook-deliveries/replay", "invalid_request"),
    ("POST", "/webhook-secret/rotate", "invalid_request"),
    ("PATCH", f"/webhook-endpoints/{ZERO}", "invalid_request"),
    ("PATCH", "/workspace", "invalid_request"),
]

BAD_BODIES = {
    "not json": b"{",
    "trailing text": b'{"a": 1} x',
    "two values": b"{}{}",
    "array": b"[]",
    "null": b"null",
    "string": b'"x"',
    "number": b"1",
    "single quotes": b"{'a': 1}",
    "trailing comma": b'{"a": 1,}',
    "comment": b'{"a": 1 /* no */}',
    "duplicate key": b'{"wat": 1, "wat": 1}',
    "duplicate key spelled otherwise": b'{"wat": 1, "\\u0077at": 1}',
    "duplicate key inside": b'{"wat": {"a": 1, "a": 2}}',
    "NaN": b'{"wat": NaN}',
    "Infinity": b'{"wat": Infinity}',
    "minus Infinity": b'{"wat": -Infinity}',
    "1e999": b'{"wat": 1e999}',
    "lone surrogate": b'{"wat": "\\ud800"}',
    "lone surrogate in a key": b'{"\\udc00": 1}',
    "swapped surrogates": b'{"wat": "\\udc00\\ud800"}',
    "NUL": b'{"wat": "a\\u0000b"}',
    "NUL in a key": b'{"a\\u0000": 1}',
    "raw control character": b'{"wat": "a\x01b"}',
    "not UTF-8": b'{"wat": "\xff"}',
    "overlong UTF-8": b'{"wat": "\xc0\xaf"}',
    "surrogate in UTF-8": b'{"wat": "\xed\xa0\x80"}',
    "UTF-16": '{"wat": 1}'.encode("utf-16"),
    "33 deep": b'{"wat": ' + b"[" * 32 + b"]" * 32 + b"}",
    "30000 deep": b"[" * 30000 + b"]" * 30000,
    "30000 deep and open": b'{"a":' * 10000,
    "5000 digits": b'{"wat": ' + b"9" * 5000 + b"}",
    "unknown field": b'{"wat": 1}',
}


@pytest.mark.parametrize(("method", "path", "code"), BODY_ROUTES)
def test_every_bad_body_is_refused_with_the_code_of_its_route(
    shared_api: Api, method: str, path: str, code: str
) -> None:
    for name, raw in BAD_BODIES.items():
        answer = shared_api.request(method, path, raw=raw)
        assert answer.status == 400, (name, answer)
        assert_refused(answer, 400, code)


def test_success_says_ok_and_failure_has_exactly_the_five_keys(shared_api: Api) -> None:
    assert assert_done(shared_api.get("/outcomes"))["ok"] is True
    refused = shared_api.get(f"/contacts/{unknown_id()}")
    assert_refused(refused, 404, "contact_not_found")
    assert set(refused.json) == {"ok", "error", "message", "details", "request_id"}
    assert refused.json["details"] == []


def test_details_list_all_problems_of_a_body(shared_api: Api) -> None:
    body = {
        "outcome_name": "",
        "outcome_type": "x",
        "order": True,
        "destination_type": "nowhere",
        "webhook_url": "ftp://example.com/",
        "colour": "red",
    }
    answer = shared_api.post("/outcomes", json=body)
    assert_refused(answer, 400, "invalid_outcome")
    assert set(body) <= answer.fields


def test_details_list_all_that_is_missing(shared_api: Api) -> None:
    answer = shared_api.post("/outcomes", json={})
    assert_refused(answer, 400, "invalid_outcome")
    assert {"outcome_name", "outcome_type"} <= answer.fields


def test_details_list_all_problems_in_part_b_too(shared_api: Api) -> None:
    body = {"retention_days": "long", "region": 7, "outcomes_enabled": "yes", "wat": 1}
    answer = shared_api.patch("/workspace", json=body)
    assert_refused(answer, 400, "invalid_request")
    assert set(body) <= answer.fields


@pytest.mark.parametrize("order", [True, False, 10.0, "10", 2**31, -(2**31) - 1, 0.5, [], {}, 10**400])
def test_what_is_no_int32_is_refused_as_order(shared_api: Api, order: object) -> None:
    answer = shared_api.post("/outcomes", json=GOOD_OUTCOME | {"order": order})
    assert_refused(answer, 400, "invalid_outcome")
    assert answer.fields == {"order"}


@pytest.mark.parametrize("order", [2**31 - 1, -(2**31), 0])
def test_the_ends_of_int32_are_orders(shared_api: Api, order: int) -> None:
    answer = shared_api.post("/outcomes", json=GOOD_OUTCOME | {"order": order})
    assert assert_done(answer, 201)["outcome"]["order"] == order


@pytest.mark.parametrize("raw_order", ["1e1", "10.0", "1E1", "0.0"])
def test_a_number_with_fraction_or_exponent_is_no_integer(shared_api: Api, raw_order: str) -> None:
    raw = json.dumps(GOOD_OUTCOME)[:-1] + f', "order": {raw_order}}}'
    assert_refused(shared_api.post("/outcomes", raw=raw.encode()), 400, "invalid_outcome")


@pytest.mark.parametrize("value", [True, 1, 1.5, [], {}, ["Interested"]])
@pytest.mark.parametrize("field", ["outcome_name", "outcome_type", "destination_type", "webhook_url"])
def test_what_is_no_string_is_refused_where_a_string_belongs(
    shared_api: Api, field: str, value: object
) -> None:
    answer = shared_api.post("/outcomes", json=GOOD_OUTCOME | {field: value})
    assert_refused(answer, 400, "invalid_outcome")
    assert field in answer.fields


def test_true_is_no_integer_in_part_b(shared_api: Api) -> None:
    for fields in ({"wrap_up_timeout_seconds": True}, {"retention_days": True}, {"retention_days": 7.0}):
        assert_refused(shared_api.patch("/workspace", json=fields), 400, "invalid_request")


@pytest.mark.parametrize(
    "path",
    [
        "/outcomes",
        "/smart-lists",
        f"/smart-lists/{ZERO}",
        f"/smart-lists/{ZERO}/contacts",
        "/contacts",
        f"/contacts/{ZERO}",
        f"/contacts/{ZERO}/history",
        "/calls",
        f"/calls/{ZERO}",
        "/agents",
        "/agents/somebody",
        "/webhook-deliveries",
        f"/webhook-deliveries/{ZERO}",
        "/webhook-endpoints",
        f"/webhook-endpoints/{ZERO}",
        f"/webhook-replays/{ZERO}",
        "/webhook-secret",
        "/workspace",
    ],
)
def test_an_unknown_query_parameter_is_refused_and_named(shared_api: Api, path: str) -> None:
    answer = shared_api.get(f"{path}?limitt=5")
    assert_refused(answer, 400, "invalid_request")
    assert "limitt" in answer.fields


def test_an_unknown_query_parameter_is_refused_on_writes(api: Api) -> None:
    answer = api.post("/outcomes?dry_run=true", json=GOOD_OUTCOME)
    assert_refused(answer, 400, "invalid_request")
    assert_refused(api.delete(f"/contacts/{unknown_id()}?force=true"), 400, "invalid_request")
    assert api.get("/outcomes").json["outcomes"] == []


def test_the_outcome_list_has_no_query_parameters_at_all(shared_api: Api) -> None:
    for query in ("limit=5", "cursor=x", "since=2026-06-25T00:00:00.000Z"):
        assert_refused(shared_api.get(f"/outcomes?{query}"), 400, "invalid_request")


@pytest.mark.parametrize(
    "content_type",
    [
        "none",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/merge-patch+json",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/jsonx",
        "text/json",
        "*/*",
        "",
    ],
)
def test_a_body_of_another_type_is_unsupported(shared_api: Api, content_type: str) -> None:
    answer = shared_api.post("/outcomes", json=GOOD_OUTCOME, headers=[("Content-Type", content_type)])
    assert_refused(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
        'application/json; charset="utf-8"',
    ],
)
def test_json_with_or_without_utf_8_is_taken(shared_api: Api, content_type: str) -> None:
    answer = shared_api.post("/outcomes", json=GOOD_OUTCOME, headers=[("Content-Type", content_type)])
    assert_done(answer, 201)


def test_a_create_without_body_and_type_is_refused(shared_api: Api) -> None:
    assert shared_api.post("/outcomes").status in {400, 415}


def padded(body_bytes: int) -> bytes:
    body = json.dumps(GOOD_OUTCOME).encode()
    return body + b" " * (body_bytes - len(body))


def test_a_body_of_64_kib_is_taken_and_one_more_byte_is_too_large(shared_api: Api) -> None:
    assert_done(shared_api.post("/outcomes", raw=padded(65536)), 201)
    assert_refused(shared_api.post("/outcomes", raw=padded(65537)), 413, "payload_too_large")


def announce(api: Api, body_bytes: int, token: str | None) -> Answer:
    """Announce a body of this length and send none of it."""
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    return api.exchange_bytes(
        f"POST {api.prefix}/outcomes HTTP/1.1\r\nHost: x\r\n{bearer}Idempotency-Key: {fresh_key()}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {body_bytes}\r\n\r\n".encode()
    )


def test_an_announced_body_that_is_too_large_is_refused_before_it_is_read(shared_api: Api) -> None:
    assert_refused(announce(shared_api, 100_000_000, shared_api.token), 413, "payload_too_large")


def test_size_is_judged_before_the_token_and_the_token_before_the_body(shared_api: Api) -> None:
    assert_refused(announce(shared_api, 100_000_000, None), 413, "payload_too_large")
    assert_refused(announce(shared_api, 1000, None), 401, "unauthorized")


def test_a_chunked_body_over_64_kib_is_too_large(shared_api: Api) -> None:
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    head = (
        f"POST {shared_api.prefix}/smart-lists HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {shared_api.token}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    assert_refused(shared_api.exchange_bytes(head + chunk * 3), 413, "payload_too_large")


def test_a_small_chunked_body_is_taken(shared_api: Api) -> None:
    body = json.dumps({"smart_list_name": f"Chunked {uuid.uuid4()}"}).encode()
    head = (
        f"POST {shared_api.prefix}/smart-lists HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {shared_api.token}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (5, body[:5], len(body) - 5, body[5:])
    assert_done(shared_api.exchange_bytes(head + chunks), 201)


def test_a_sane_request_id_of_the_caller_comes_back(shared_api: Api) -> None:
    for path in ("/outcomes", f"/contacts/{ZERO}", "/nowhere"):
        answer = shared_api.get(path, headers=[("X-Request-Id", "trace-7f.3_A")])
        assert answer.header("X-Request-Id") == "trace-7f.3_A"


@pytest.mark.parametrize("request_id", ["x" * 5000, 'a"b<script>', "a b", "é", ""])
def test_an_insane_request_id_is_replaced(shared_api: Api, request_id: str) -> None:
    answer = shared_api.get("/outcomes", headers=[("X-Request-Id", request_id)])
    assert answer.status == 200
    given = answer.header("X-Request-Id")
    assert given
    assert given != request_id
    assert len(given) < 200


def test_every_answer_has_its_own_request_id(shared_api: Api) -> None:
    answers = [
        shared_api.get("/outcomes"),
        shared_api.get("/nowhere"),
        shared_api.put("/outcomes"),
        shared_api.with_token(None).get("/outcomes"),
        shared_api.post("/outcomes", raw=padded(65537)),
        shared_api.post("/contacts", raw=b"x", headers=[("Content-Type", "text/plain")]),
        shared_api.at_root().get("/healthz"),
        shared_api.at_root().get("/nowhere"),
    ]
    ids = [answer.header("X-Request-Id") for answer in answers]
    assert all(ids)
    assert len(set(ids)) == len(ids)


def test_ids_are_lower_case_uuids_of_version_7_and_times_have_milliseconds(desk: Desk) -> None:
    outcome, smart_list, contact = desk.action(), desk.smart_list(), desk.contact()
    call = desk.call(contact_id=contact["contact_id"])
    ids = [
        outcome["outcome_id"],
        smart_list["smart_list_id"],
        contact["contact_id"],
        call["call_id"],
        desk.applied(call["call_id"], outcome["outcome_id"])["applied_id"],
        desk.subaccount_id,
    ]
    for text in ids:
        assert str(uuid.UUID(text)) == text
        assert uuid.UUID(text).version == 7
    for text in (
        outcome["created_at"],
        outcome["updated_at"],
        smart_list["created_at"],
        contact["created_at"],
    ):
        assert TIME.fullmatch(text), text
    assert TIME.fullmatch(call["started_at"])


def test_an_id_may_come_in_upper_case_or_without_dashes(desk: Desk) -> None:
    smart_list = desk.smart_list()["smart_list_id"]
    contact = desk.contact()["contact_id"]
    for spell in (str.upper, lambda text: text.replace("-", "")):
        read = assert_done(desk.api.get(f"/smart-lists/{spell(smart_list)}"))["smart_list"]
        assert read["smart_list_id"] == smart_list
        call = desk.call(contact_id=spell(contact))
        assert call["contact_id"] == contact
        action = desk.action(destination_type="smart_list", destination_id=spell(smart_list))
        assert action["destination"]["destination_id"] == smart_list


def test_an_id_in_braces_or_as_urn_is_none(desk: Desk) -> None:
    smart_list = desk.smart_list()["smart_list_id"]
    contact = desk.contact()["contact_id"]
    for wrapped in (f"{{{smart_list}}}", f"urn:uuid:{smart_list}", f"{smart_list}%20", f"%20{smart_list}"):
        path = f"/smart-lists/{wrapped}".replace("{", "%7B").replace("}", "%7D")
        assert_refused(desk.api.get(path), 404, "smart_list_not_found")
    for wrapped in (
        f"{{{contact}}}",
        f"urn:uuid:{contact}",
        f" {contact}",
        f"{contact}\n",
        contact[:-1],
        "",
        "x",
    ):
        assert_refused(desk.api.post("/calls", json={"contact_id": wrapped}), 400, "invalid_request")


def test_a_number_is_never_an_id(desk: Desk) -> None:
    wrongs: list[Json] = [1, True, [], {}]
    for wrong in wrongs:
        answer = desk.api.post("/calls", json={"contact_id": wrong})
        assert_refused(answer, 400, "invalid_request")
        assert "contact_id" in answer.fields


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/smart-lists/x", "smart_list_not_found"),
        ("/smart-lists/x/contacts", "smart_list_not_found"),
        ("/contacts/x", "contact_not_found"),
        ("/contacts/x/history", "contact_not_found"),
        ("/calls/x", "call_not_found"),
        ("/agents/nobody-yet", "agent_not_found"),
        ("/webhook-deliveries/x", "delivery_not_found"),
        ("/webhook-endpoints/x", "endpoint_not_found"),
    ],
)
def test_what_is_no_id_in_a_path_is_not_found(shared_api: Api, path: str, code: str) -> None:
    assert_refused(shared_api.get(path), 404, code)


def test_what_is_no_id_in_a_path_of_outcomes_is_not_found(shared_api: Api) -> None:
    assert_refused(shared_api.patch("/outcomes/x", json=GOOD_OUTCOME), 404, "outcome_not_found")
    assert_refused(shared_api.delete("/outcomes/x"), 404, "outcome_not_found")


def test_unicode_travels_whole(desk: Desk) -> None:
    name = "Zoë 🦜 日本 e\u0301 \U0001f469\u200d\U0001f680"
    contact = desk.contact(name=name, phone_number=fresh_phone_number())
    assert desk.api.get(f"/contacts/{contact['contact_id']}").json["contact"]["name"] == name
