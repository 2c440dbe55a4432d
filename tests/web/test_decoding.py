from __future__ import annotations

import datetime
import json
import math
from typing import Annotated, Any
from urllib.parse import quote_plus

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Meta

from leadline.domain.limits import JSON_DEPTH_MAX
from leadline.web.decoding import Malformed, decode_json, read_fields, read_query
from leadline.wire.common import Body, Page, Query, TimeInput, UuidInput

text = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_json_means_what_it_means_to_everybody(value: Any, ascii_only: bool, indent: int | None) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert decode_json(body) == json.loads(body) == value


@given(st.binary() | text.map(str.encode))
@example(b"")
@example(b"\xef\xbb\xbf{}")
@example(b"1" * 5000)
@example(b"[" * 65_536)
@example(b'{"a":' * 10_000)
@example(b"[" * 33 + b'"')
@example(b"\xff")
@example(b"[1] [2]")
def test_bytes_are_json_or_are_refused(body: bytes) -> None:
    try:
        value = decode_json(body)
    except Malformed as refused:
        assert str(refused)  # noqa: PT017 - it may as well be accepted
    else:
        assert value == json.loads(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a":1,"a":1}', "same key twice"),
        (b'{"a":1,"\\u0061":2}', "same key twice"),
        (b'[{"b":{"a":1,"a":2}}]', "same key twice"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b'{"a":-Infinity}', "-Infinity"),
        (b"1e999", "too large"),
        (b"[-1e999]", "too large"),
        (b'"\\ud800"', "surrogate"),
        (b'"\\uDfFf"', "surrogate"),
        (b'{"\\udc00":1}', "surrogate"),
        (b'[{"a":["\\ud83d!"]}]', "surrogate"),
        (b'"\\ude00\\ud83d"', "surrogate"),
        (b'"\\u0000"', "NUL"),
        (b'{"a\\u0000":1}', "NUL"),
        (b'"\x00"', "not JSON"),
        (b'"a\nb"', "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b"[1,]", "not JSON"),
        (b"01", "not JSON"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\xc0\x80"', "not UTF-8"),
        ('"é"'.encode("latin-1"), "not UTF-8"),
        (b"[]\x00", "not JSON"),
    ],
)
def test_a_body_that_others_would_read_differently_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        decode_json(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\u0000"', "\\u0000"),
        (b'"\\\\ud800"', "\\ud800"),
        (b"1e308", 1e308),
        (b"-0.0", -0.0),
        (b' {"a" : 1}\n', {"a": 1}),
        (b"12345678901234567890", 12345678901234567890),
    ],
)
def test_what_only_looks_suspicious_is_read(body: bytes, value: object) -> None:
    assert decode_json(body) == value


def nested(depth: int, opening: bytes = b"[", inner: bytes = b"", closing: bytes = b"]") -> bytes:
    return opening * depth + inner + closing * depth


@pytest.mark.parametrize(
    ("opening", "inner", "closing"), [(b"[", b"", b"]"), (b'{"a":', b"1", b"}"), (b'[{"a":', b"1", b"}]")]
)
def test_nesting_is_bounded(opening: bytes, inner: bytes, closing: bytes) -> None:
    each = opening.count(b"[") + opening.count(b"{")
    fitting = JSON_DEPTH_MAX // each
    decode_json(nested(fitting, opening, inner, closing))
    with pytest.raises(Malformed, match="32 deep"):
        decode_json(nested(fitting + 1, opening, inner, closing))


@pytest.mark.parametrize(
    "inner",
    [
        b'"' + b"[{" * 50 + b'"',
        b'"' + b"]" * 50 + b'"',
        b'"\\"' + b"[" * 50 + b'"',
        b'"\\\\","' + b"[" * 50 + b'"',
    ],
)
def test_brackets_in_strings_are_no_nesting(inner: bytes) -> None:
    decode_json(nested(JSON_DEPTH_MAX, inner=inner))
    with pytest.raises(Malformed, match="32 deep"):
        decode_json(nested(JSON_DEPTH_MAX + 1, inner=inner))


def test_brackets_side_by_side_are_no_nesting() -> None:
    body = b"[" + b",".join([b"[]"] * 500) + b"]"
    assert decode_json(body) == [[]] * 500


def test_a_string_without_an_end_is_read_once_and_not_from_each_of_its_quotes() -> None:
    # Read from every quote anew, 64 KiB of this would take half a minute; faulthandler_timeout would tell.
    with pytest.raises(Malformed):
        decode_json(b"[" * 33 + b'\\"' * 32_000)
    with pytest.raises(Malformed, match="not JSON"):
        decode_json(b"[" * 20 + b'"' + b'\\"' * 20 + b"[" * 20)


class Inner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    flag: bool
    numbers: list[int] | None = None


class Sample(Body, frozen=True, kw_only=True):
    name: str
    count: Annotated[int, Meta(ge=0, le=9)] | None = None
    link: UuidInput | None = None
    at: TimeInput | None = None
    inner: Inner | None = None


def problem_fields(body: object) -> list[str]:
    return sorted(problem.field for problem in read_fields(Sample, body).problems)


def test_every_bad_field_is_named_by_its_path() -> None:
    body = {
        "name": 1,
        "count": 10,
        "link": "{0190f3a0-0000-7000-8000-00000000000a}",
        "at": "2026-06-25T00:00:00",
        "inner": {"flag": 1, "numbers": [1, True, "2"], "more": None},
        "nmae": "typo",
    }
    assert problem_fields(body) == [
        "at", "count", "inner.flag", "inner.more", "inner.numbers[1]", "inner.numbers[2]", "link", "name", "nmae",
    ]  # fmt: skip


def test_what_is_left_out_takes_its_default_and_what_is_wrong_has_no_value() -> None:
    fields = read_fields(Sample, {"count": True, "link": None})
    assert fields.values == {"link": None, "at": None, "inner": None}
    assert sorted(problem.field for problem in fields.problems) == ["count", "name"]


@pytest.mark.parametrize("body", [None, [], "x", 1, True])
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    assert read_fields(Sample, body).problems == [("", "must be an object")]


@pytest.mark.parametrize(
    ("at", "fine"),
    [
        ("2026-06-25T00:00:00Z", True),
        ("2026-06-25T02:00:00.123+02:00", True),
        ("2026-06-25", False),
        ("1970-01-01T00:00:00Z", True),
        ("1969-12-31T23:30:00-01:00", True),
        ("9999-12-31T23:59:59.999Z", True),
        ("1969-12-31T23:59:59Z", False),
        ("1970-01-01T00:30:00+01:00", False),
        ("9999-12-31T23:30:00-01:00", False),
        ("0001-01-01T00:00:00+01:00", False),
        ("2026-02-30T00:00:00Z", False),
        (1782345600, False),
    ],
)
def test_a_time_names_its_offset(at: object, fine: bool) -> None:
    found = read_fields(Sample, {"name": "x", "at": at})
    assert (found.problems == []) is fine
    if fine:
        assert isinstance(found.values["at"], datetime.datetime)


@given(values)
def test_any_json_is_read_or_told_what_is_wrong(value: Any) -> None:
    found = read_fields(Sample, value)
    if not found.problems:
        assert isinstance(Sample(**found.values), Sample)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "count", "link", "at", "inner"), values)))
def test_any_values_of_known_fields_are_read_or_told_what_is_wrong(body: dict[str, Any]) -> None:
    found = read_fields(Sample, body)
    named = {problem.field.split(".")[0].split("[")[0] for problem in found.problems}
    assert named | set(found.values) == {"name", "count", "link", "at", "inner"}
    assert named.isdisjoint(found.values)


class Filter(Page, frozen=True, kw_only=True):
    q: str | None = None
    force: bool | None = None
    link: UuidInput | None = None


@pytest.mark.parametrize(
    ("query", "values"),
    [
        (b"", {}),
        (b"limit=7", {"limit": 7}),
        (b"q=a+b%20c%2B", {"q": "a b c+"}),
        (b"q=", {"q": ""}),
        (b"q", {"q": ""}),
        (b"q=a=b", {"q": "a=b"}),
        (b"%71=%C3%A9", {"q": "é"}),
        (b"force=true", {"force": True}),
        (b"q=7&limit=200", {"q": "7", "limit": 200}),
    ],
)
def test_a_query_is_read_by_the_types_of_its_parameters(query: bytes, values: dict[str, Any]) -> None:
    found = read_query(Filter, query)
    assert found.problems == []
    assert {name: value for name, value in found.values.items() if value is not None} == values


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        (b"lmit=1", ["lmit"]),
        (b"limit=1&limit=1", ["limit"]),
        (b"limit=1&%6Cimit=2", ["limit"]),
        (b"limit=0", ["limit"]),
        (b"limit=201", ["limit"]),
        (b"limit=1.0", ["limit"]),
        (b"limit=%D9%A1", ["limit"]),
        (b"limit=+7", ["limit"]),
        (b"limit=", ["limit"]),
        (b"force=True", ["force"]),
        (b"force=1", ["force"]),
        (b"link=x", ["link"]),
        (b"q=%00", ["q"]),
        (b"q=%ff", ["q"]),
        (b"%ff=1", [""]),
        (b"cursor=", ["cursor"]),
        (b"&", ["", ""]),
        (b"limit=x&force=x&nope=x", ["force", "limit", "nope"]),
    ],
)
def test_every_bad_parameter_is_named(query: bytes, fields: list[str]) -> None:
    found = sorted(problem.field for problem in read_query(Filter, query).problems)
    # A second empty name may count as a repetition of the first: what matters is that it is told.
    assert found == fields or (set(found) == set(fields) == {""})


@given(st.binary())
def test_any_bytes_are_a_query_or_told_what_is_wrong(query: bytes) -> None:
    found = read_query(Filter, query)
    if not found.problems:
        assert isinstance(Filter(**found.values), Filter)


@given(text)
def test_text_survives_its_form_in_a_query(value: str) -> None:
    assert read_query(Filter, b"q=" + quote_plus(value).encode()).values["q"] == value


class NumberQuery(Query, frozen=True, kw_only=True):
    number: int


@given(st.integers())
def test_a_number_in_a_query_is_itself_or_too_long(number: int) -> None:
    found = read_query(NumberQuery, f"number={number}".encode())
    if abs(number) < 10**19:
        assert found.values == {"number": number}
    else:
        assert [problem.field for problem in found.problems] == ["number"]


def test_floats_in_bodies_stay_finite() -> None:
    assert math.isfinite(decode_json(b"1.7976931348623157e308"))
