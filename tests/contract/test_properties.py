"""Laws over HTTP: no body makes a 5xx, and Part A agrees with a small oracle of contract § 4."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import Answer, Api, Desk, assert_done, assert_refused, fresh_key

ZERO = "00000000-0000-4000-8000-000000000000"
BOUNDED = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    database=None,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)

FIELDS = {
    "/outcomes": [
        "outcome_name",
        "outcome_type",
        "order",
        "destination_type",
        "destination_id",
        "webhook_url",
        "remove_from_smart_lists",
    ],
    "/smart-lists": ["smart_list_name"],
    "/contacts": ["phone_number", "name", "external_id", "attributes"],
    "/calls": ["phone_number", "contact_id", "agent_id", "direction", "external_id", "state", "started_at"],
    "/workspace": [
        "name",
        "region",
        "outcomes_enabled",
        "require_disposition",
        "wrap_up_timeout_seconds",
        "wrap_up_timeout_outcome_id",
        "retention_days",
    ],
    "/webhook-deliveries/replay": ["since", "until", "states", "outcome_id", "endpoint_id"],
    "/webhook-secret/rotate": ["overlap_seconds"],
}

WRITES: list[tuple[str, str, str]] = [
    ("POST", "/outcomes", "/outcomes"),
    ("PATCH", f"/outcomes/{ZERO}", "/outcomes"),
    ("POST", "/smart-lists", "/smart-lists"),
    ("PATCH", "/smart-lists/{list}", "/smart-lists"),
    ("POST", "/contacts", "/contacts"),
    ("PATCH", "/contacts/{contact}", "/contacts"),
    ("POST", "/calls", "/calls"),
    ("POST", "/calls/{call}/end", "line_result ended_at"),
    ("POST", "/calls/{call}/answer", ""),
    ("POST", "/calls/{call}/outcomes", "outcome_id agent_id note"),
    ("POST", "/webhook-deliveries/replay", "/webhook-deliveries/replay"),
    ("POST", f"/webhook-deliveries/{ZERO}/retry", ""),
    ("POST", f"/webhook-replays/{ZERO}/cancel", ""),
    ("POST", "/webhook-secret/rotate", "/webhook-secret/rotate"),
    ("PATCH", f"/webhook-endpoints/{ZERO}", "state max_concurrency rate_limit_per_second timeout_seconds"),
    ("PATCH", "/workspace", "/workspace"),
]

plausible = (
    json_values
    | st.sampled_from(
        ["live", "ringing", "+14155552671", ZERO, "2026-06-25T00:00:00.000Z", "US", "always", "active"]
    )
    | st.integers(-(2**70), 2**70)
)


@pytest.fixture(scope="session")
def fuzzed(server: Any) -> tuple[Desk, dict[str, str]]:
    """A workspace of its own for nonsense, and ids in it to aim at."""
    desk = Desk.open(server, "Nonsense")
    ids = {
        "{list}": desk.smart_list()["smart_list_id"],
        "{contact}": desk.contact()["contact_id"],
        "{call}": desk.call()["call_id"],
    }
    return desk, ids


def assert_enveloped(answer: Answer) -> None:
    """Below 500, and either done or refused by the book."""
    assert answer.status < 500, answer
    if answer.status < 300:
        assert_done(answer, answer.status)
    else:
        assert_refused(answer, answer.status, answer.json["error"])


def bodies_for(fields: list[str]) -> st.SearchStrategy[Any]:
    known = st.sampled_from(fields) if fields else st.text(max_size=5)
    return json_values | st.dictionaries(known | st.text(max_size=5), plausible, max_size=6)


@pytest.mark.parametrize(("method", "path", "fields"), WRITES, ids=lambda value: value)
@settings(BOUNDED, max_examples=50)
@given(data=st.data())
def test_no_body_gives_a_server_error_and_every_answer_is_enveloped(
    fuzzed: tuple[Desk, dict[str, str]], method: str, path: str, fields: str, data: st.DataObject
) -> None:
    desk, ids = fuzzed
    body = data.draw(bodies_for(FIELDS.get(fields) or fields.split()))
    for name, value in ids.items():
        path = path.replace(name, value)
    answer = desk.api.request(method, path, raw=json.dumps(body).encode(), key=fresh_key())
    assert_enveloped(answer)
    if path == "/workspace" and answer.status == 200:
        desk.set_workspace(outcomes_enabled=True, require_disposition="answered")


@BOUNDED
@given(raw=st.binary(max_size=200))
def test_no_bytes_give_a_server_error(fuzzed: tuple[Desk, dict[str, str]], raw: bytes) -> None:
    for path in ("/outcomes", "/contacts"):
        answer = fuzzed[0].api.post(path, raw=raw)
        assert_enveloped(answer)


@BOUNDED
@given(
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?"), max_size=40),
    query=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=40),
)
def test_no_path_and_query_give_a_server_error(shared_api: Api, path: str, query: str) -> None:
    for prefix in ("/", "/outcomes/", "/contacts/", "/calls?", "/webhook-deliveries?"):
        target = f"{prefix}{path}" if prefix.endswith("?") else f"{prefix}{path}?{query}"
        answer = shared_api.get(target)
        assert answer.status < 500, (target, answer)
        if answer.status >= 400:
            assert_refused(answer, answer.status, answer.json["error"])


# The oracle: contract § 4, once more, in as few words as possible.

NOT_GIVEN: Any = object()
LIST_ID = "known list"

name_values = st.sampled_from(
    [
        "Interested",
        " padded ",
        "",
        "   ",
        "x" * 120,
        "x" * 121,
        "🦜" * 120,
        "a\x07b",
        "a\u2028b",
        7,
        None,
        NOT_GIVEN,
    ]
)
type_values = st.sampled_from(["action", "disposition", "Action", "", None, 1, NOT_GIVEN])
order_values = st.sampled_from(
    [0, 10, -5, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 1.0, True, "1", None, NOT_GIVEN]
)
destination_values = st.sampled_from(
    ["none", "smart_list", "remove_from_smart_list", "list", None, 3, NOT_GIVEN]
)
id_values = st.sampled_from([LIST_ID, LIST_ID, "x", "", 5, None, NOT_GIVEN, NOT_GIVEN, NOT_GIVEN])
remove_values = st.sampled_from(
    [
        {"all": True},
        {"list_ids": [LIST_ID]},
        {"all": False},
        {"all": True, "list_ids": [LIST_ID]},
        {},
        {"list_ids": []},
        {"list_ids": [LIST_ID, LIST_ID]},
        {"list_ids": ["x"]},
        "all",
        None,
        NOT_GIVEN,
        NOT_GIVEN,
        NOT_GIVEN,
    ]
)
url_values = st.sampled_from(
    [
        "https://example.com/hook",
        "http://example.com",
        "ftp://example.com",
        "https://u@example.com/",
        "https://example.com/#f",
        "",
        7,
        None,
        NOT_GIVEN,
        "https://example.com/" + "x" * 2028,
        "https://example.com/" + "x" * 2029,
        "https://example.com/hook",
    ]
)


def given_in(body: dict[str, Any], field: str) -> Any:
    value = body.get(field)
    return NOT_GIVEN if value is None else value


def bad_name(body: dict[str, Any]) -> bool:
    name = given_in(body, "outcome_name")
    if not isinstance(name, str):
        return True
    trimmed = name.strip()
    forbidden = any(unicodedata.category(letter) in {"Cc", "Zl", "Zp"} for letter in trimmed)
    return not 1 <= len(trimmed) <= 120 or forbidden


def bad_order(body: dict[str, Any]) -> bool:
    order = given_in(body, "order")
    return order is not NOT_GIVEN and (type(order) is not int or not -(2**31) <= order < 2**31)


def bad_url(body: dict[str, Any]) -> bool:
    url = given_in(body, "webhook_url")
    if url is NOT_GIVEN:
        return body.get("outcome_type") == "action"
    if not isinstance(url, str) or len(url) > 2048:
        return True
    return not url.startswith(("http://", "https://")) or "@" in url or "#" in url


def bad_choice(choice: Any) -> bool:
    """Whether this is not exactly one of all and list_ids."""
    if choice == {"all": True}:
        return False
    if not isinstance(choice, dict) or set(choice) != {"list_ids"}:
        return True
    ids = choice["list_ids"]
    return not ids or len(set(ids)) != len(ids) or "x" in ids


def bad_destination(body: dict[str, Any]) -> set[str]:
    kind = given_in(body, "destination_type")
    if kind not in (NOT_GIVEN, "none", "smart_list", "remove_from_smart_list"):
        return {"destination_type"}
    bad = set()
    list_id, choice = given_in(body, "destination_id"), given_in(body, "remove_from_smart_lists")
    if list_id is NOT_GIVEN if kind == "smart_list" else list_id is not NOT_GIVEN:
        bad.add("destination_id")
    if kind == "smart_list" and list_id in ("x", "", 5):
        bad.add("destination_id")
    if choice is NOT_GIVEN if kind == "remove_from_smart_list" else choice is not NOT_GIVEN:
        bad.add("remove_from_smart_lists")
    if kind == "remove_from_smart_list" and choice is not NOT_GIVEN and bad_choice(choice):
        bad.add("remove_from_smart_lists")
    return bad


def breaches(body: dict[str, Any]) -> set[str]:
    """The fields that contract § 4 finds wrong."""
    rules: dict[str, Callable[[dict[str, Any]], bool]] = {
        "outcome_name": bad_name,
        "outcome_type": lambda body: given_in(body, "outcome_type") not in ("action", "disposition"),
        "order": bad_order,
        "webhook_url": bad_url,
    }
    return {field for field, is_bad in rules.items() if is_bad(body)} | bad_destination(body)


def with_list(value: Any, list_id: str) -> Any:
    """The value with the placeholder replaced by a list that exists."""
    return json.loads(json.dumps(value).replace(LIST_ID, list_id))


@settings(BOUNDED, max_examples=150)
@given(
    name=name_values,
    kind=type_values,
    order=order_values,
    destination=destination_values,
    list_id=id_values,
    choice=remove_values,
    url=url_values,
)
def test_part_a_agrees_with_the_oracle(
    fuzzed: tuple[Desk, dict[str, str]],
    name: Any,
    kind: Any,
    order: Any,
    destination: Any,
    list_id: Any,
    choice: Any,
    url: Any,
) -> None:
    desk, ids = fuzzed
    everything = {
        "outcome_name": name,
        "outcome_type": kind,
        "order": order,
        "destination_type": destination,
        "destination_id": list_id,
        "remove_from_smart_lists": choice,
        "webhook_url": url,
    }
    body = {field: value for field, value in everything.items() if value is not NOT_GIVEN}
    expected = breaches(body)
    answer = desk.api.post("/outcomes", json=with_list(body, ids["{list}"]))
    if expected:
        assert_refused(answer, 400, "invalid_outcome")
        named = {field.partition(".")[0].partition("[")[0] for field in answer.fields}
        assert expected <= named, answer
        return
    outcome = assert_done(answer, 201)["outcome"]
    assert outcome["outcome_name"] == str(name).strip()
    assert outcome["order"] == (order if isinstance(order, int) else 0)
    assert outcome["destination_type"] == (destination if isinstance(destination, str) else "none")
    assert_done(desk.api.delete(f"/outcomes/{outcome['outcome_id']}"))
