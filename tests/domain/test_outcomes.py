from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leadline.domain.addresses import AddressPolicy
from leadline.domain.errors import Problem
from leadline.domain.outcomes import (
    AddTo,
    Destination,
    OutcomeType,
    RemoveFrom,
    RemoveFromAll,
    Stay,
    UrlRules,
    definition_from,
    definition_problems,
    destination_type,
    lists_named,
)
from leadline.domain.webhooks import destination_json
from leadline.store.outcomes import OutcomeRow, destination_columns, destination_of
from leadline.web.decoding import read_fields
from leadline.wire.outcomes import OutcomeBody

RULES = UrlRules(AddressPolicy())
URL = "https://example.com/hook"
LIST = "0190f3a0-0000-7000-8000-00000000000a"
OTHER = "0190f3a0-0000-7000-8000-00000000000b"
FIELDS = frozenset(
    {
        "outcome_name",
        "outcome_type",
        "order",
        "destination_type",
        "destination_id",
        "remove_from_smart_lists",
        "webhook_url",
    }
)
BAD_URLS = ("", "ftp://example.com/", "https://u@example.com/", "http://10.0.0.1/", "/hook", URL + "#top")
UUID_FORMS = (LIST, OTHER, LIST.upper(), LIST.replace("-", ""))


def problems_of(body: dict[str, Any]) -> list[Problem]:
    """What the API finds wrong with a body."""
    fields = read_fields(OutcomeBody, body)
    return fields.problems + definition_problems(fields.values, RULES)


def fields_named(body: dict[str, Any]) -> set[str]:
    return {re.split(r"[.\[]", problem.field)[0] for problem in problems_of(body)}


# The rules of § 4, told a second time and as plainly as can be: which fields of a body are broken.
def broken(body: dict[str, Any]) -> set[str]:
    wrong = set(body) - FIELDS
    if not name_is_fine(body.get("outcome_name")):
        wrong.add("outcome_name")
    if body.get("outcome_type") not in ("action", "disposition"):
        wrong.add("outcome_type")
    order = body.get("order")
    if order is not None and not (type(order) is int and -(2**31) <= order < 2**31):
        wrong.add("order")
    url = body.get("webhook_url")
    if (
        url in BAD_URLS
        or (url is not None and not isinstance(url, str))
        or (url is None and body.get("outcome_type") == "action")
    ):
        wrong.add("webhook_url")
    return wrong | broken_destination(body)


def name_is_fine(name: object) -> bool:
    if not isinstance(name, str):
        return False
    trimmed = name.strip()
    control = any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029" for c in trimmed)
    return 0 < len(trimmed) <= 120 and not control


def broken_destination(body: dict[str, Any]) -> set[str]:
    kind = body.get("destination_type") or "none"
    list_id, removal = body.get("destination_id"), body.get("remove_from_smart_lists")
    wrong = set()
    known = kind in ("none", "smart_list", "remove_from_smart_list")
    if not known or body.get("destination_type") == "":
        wrong.add("destination_type")
        known = False
    if (known and (kind == "smart_list") != (list_id is not None)) or (
        list_id is not None and list_id not in UUID_FORMS
    ):
        wrong.add("destination_id")
    if (known and (kind == "remove_from_smart_list") != (removal is not None)) or (
        removal is not None and not removal_is_fine(removal)
    ):
        wrong.add("remove_from_smart_lists")
    return wrong


def removal_is_fine(removal: object) -> bool:
    if not isinstance(removal, dict) or set(removal) - {"all", "list_ids"}:
        return False
    everything, list_ids = removal.get("all"), removal.get("list_ids")
    if list_ids is None:
        return everything is True
    if everything is not None or not isinstance(list_ids, list):
        return False
    if not all(isinstance(each, str) and each in UUID_FORMS for each in list_ids):
        return False
    return 1 <= len(list_ids) <= 100 and len({UUID(each) for each in list_ids}) == len(list_ids)


wrong_types = st.sampled_from([True, 0, 1.5, [], {}, "sideways"])
names = st.sampled_from(["Interested", "  Not now ", "x" * 120, "é" * 120, "🙂" * 120]) | st.sampled_from(
    ["", "   ", "x" * 121, "a\x00b", "a\nb", "a\x85b", "a\u2028b", "a\x7fb", None, 7, True, ["a"]]
)
types = st.sampled_from(["action", "disposition"]) | st.sampled_from(["Action", "", None, 1])
orders = st.sampled_from([0, 5, -(2**31), 2**31 - 1, None]) | st.sampled_from(
    [2**31, -(2**31) - 1, 10.0, True, "1", 10**400]
)
kinds = st.sampled_from(["none", "smart_list", "remove_from_smart_list", None]) | st.sampled_from(
    ["", "list", 3]
)
list_ids = st.sampled_from([*UUID_FORMS, None]) | st.sampled_from(
    ["", "x", "{" + LIST + "}", "urn:uuid:" + LIST, 7, True]
)
removals = (
    st.none()
    | st.fixed_dictionaries(
        {},
        optional={
            "all": st.sampled_from([True, None, False, 1, "true"]),
            "list_ids": st.none() | st.lists(list_ids, max_size=3) | wrong_types,
            "some": st.just(True),
        },
    )
    | wrong_types.filter(lambda value: value is not None)
)
urls = st.sampled_from([URL, "http://example.com:8080/?a=1", None]) | st.sampled_from(
    [*BAD_URLS, 5, True, [URL]]
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "outcome_name": names,
        "outcome_type": types,
        "order": orders,
        "destination_type": kinds,
        "destination_id": list_ids,
        "remove_from_smart_lists": removals,
        "webhook_url": urls,
        "webhook_uri": st.just(URL),
    },
)
GOOD_DESTINATIONS: list[dict[str, Any]] = [
    {},
    {"destination_type": None, "destination_id": None, "remove_from_smart_lists": None},
    {"destination_type": "none"},
    {"destination_type": "smart_list", "destination_id": LIST.upper()},
    {"destination_type": "remove_from_smart_list", "remove_from_smart_lists": {"all": True}},
    {"destination_type": "remove_from_smart_list", "remove_from_smart_lists": {"list_ids": [OTHER, LIST]}},
]
good_bodies = st.builds(
    lambda name, kind, order, destination, url: {
        "outcome_name": name,
        "outcome_type": kind,
        **({} if order is None else {"order": order}),
        **destination,
        "webhook_url": URL if kind == "action" else url,
    },
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=120),
    st.sampled_from(["action", "disposition"]),
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.sampled_from(GOOD_DESTINATIONS),
    st.sampled_from([None, URL]),
)


@settings(max_examples=400)
@given(bodies)
@example({})
@example({"destination_type": "sideways", "remove_from_smart_lists": {"all": True, "list_ids": [LIST]}})
@example({"destination_type": "", "destination_id": "x", "remove_from_smart_lists": {}})
@example({"outcome_name": None, "outcome_type": None})
def test_exactly_the_broken_fields_of_a_body_are_named(body: dict[str, Any]) -> None:
    assert fields_named(body) == broken(body)


@given(good_bodies)
def test_a_body_that_keeps_the_rules_is_accepted(body: dict[str, Any]) -> None:
    assert problems_of(body) == []


ONE_FAULT_EACH: dict[str, dict[str, Any]] = {
    "outcome_name": {"outcome_name": " "},
    "outcome_type": {"outcome_type": "verb"},
    "order": {"order": 1.0},
    "webhook_url": {"webhook_url": "http://localhost/"},
    "destination_id": {"destination_id": LIST},
    "remove_from_smart_lists": {"remove_from_smart_lists": {"all": False}},
    "surprise": {"surprise": 1},
}


@given(st.sets(st.sampled_from(sorted(ONE_FAULT_EACH))))
def test_a_body_that_is_wrong_in_many_ways_is_told_all_of_them(faults: set[str]) -> None:
    body: dict[str, Any] = {"outcome_name": "Fine", "outcome_type": "disposition"}
    for fault in faults:
        body |= ONE_FAULT_EACH[fault]
    assert fields_named(body) == faults


@pytest.mark.parametrize("count", [0, 1, 100, 101])
def test_a_removal_names_one_to_a_hundred_lists(count: int) -> None:
    body = {
        "outcome_name": "Out",
        "outcome_type": "disposition",
        "destination_type": "remove_from_smart_list",
        "remove_from_smart_lists": {"list_ids": [str(UUID(int=number + 1)) for number in range(count)]},
    }
    wanted = [] if 1 <= count <= 100 else ["remove_from_smart_lists.list_ids"]
    assert [problem.field for problem in problems_of(body)] == wanted


def test_one_list_in_two_spellings_is_named_twice() -> None:
    removal = {"list_ids": [LIST, LIST.upper().replace("-", "")]}
    body = {"outcome_name": "Out", "outcome_type": "disposition",
            "destination_type": "remove_from_smart_list", "remove_from_smart_lists": removal}  # fmt: skip
    assert [problem.message for problem in problems_of(body)] == ["must not name a list twice"]


def test_each_bad_id_of_a_removal_is_named_by_its_place() -> None:
    body = {"remove_from_smart_lists": {"list_ids": ["x", LIST, 5]}}
    named = {problem.field for problem in problems_of(body)}
    assert {"remove_from_smart_lists.list_ids[0]", "remove_from_smart_lists.list_ids[2]"} <= named


def row_of(body: dict[str, Any]) -> OutcomeRow:
    """The row that an accepted body becomes."""
    definition = definition_from(msgspec.structs.asdict(OutcomeBody(**read_fields(OutcomeBody, body).values)))
    values: dict[str, Any] = {
        "workspace_id": LIST, "outcome_id": OTHER, "outcome_name": definition.name,
        "outcome_type": definition.type.value, "display_order": definition.order,
        "webhook_url": definition.webhook_url, "endpoint_id": None, "revision": 1, "created_at": 0, "updated_at": 0,
        **destination_columns(definition.destination),
    }  # fmt: skip
    return OutcomeRow(**values)


@given(good_bodies)
def test_an_accepted_body_reads_back_from_its_row(body: dict[str, Any]) -> None:
    row = row_of(body)
    assert row.outcome_name == body["outcome_name"].strip()
    assert OutcomeType(row.outcome_type) == body["outcome_type"]
    assert row.display_order == body.get("order", 0)
    assert row.webhook_url == body["webhook_url"]
    # As configured, and in the canonical form of ids.
    configured = {
        "destination_type": body.get("destination_type") or "none",
        "destination_id": LIST if body.get("destination_id") else None,
        "remove_from_smart_lists": body.get("remove_from_smart_lists"),
    }
    assert destination_json(destination_of(row)) == {k: v for k, v in configured.items() if v is not None}


ids = st.uuids().map(str)
destinations: st.SearchStrategy[Destination] = st.one_of(
    st.just(Stay()),
    st.builds(AddTo, ids),
    st.just(RemoveFromAll()),
    st.builds(RemoveFrom, st.lists(ids, min_size=1, max_size=100, unique=True).map(tuple)),
)


@given(destinations)
def test_a_destination_survives_its_columns_in_one_shape(destination: Destination) -> None:
    columns = destination_columns(destination)
    row = msgspec.structs.replace(row_of({"outcome_name": "x", "outcome_type": "disposition"}), **columns)
    assert destination_of(row) == destination
    assert columns["destination_type"] == destination_type(destination).value
    given_columns = [name for name, value in columns.items() if value is not None]
    assert len(given_columns) == (1 if destination == Stay() else 2)
    named = lists_named(destination)
    assert set(named) == set(re.findall(r"[0-9a-f-]{36}", str(columns)))
