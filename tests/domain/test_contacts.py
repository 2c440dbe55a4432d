from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leadline.domain.contacts import contact_problems, is_region, normalised_number, search_text
from leadline.domain.limits import (
    ATTRIBUTE_KEY_CHARACTERS_MAX,
    ATTRIBUTE_TEXT_CHARACTERS_MAX,
    ATTRIBUTES_MAX,
    NAME_CHARACTERS_MAX,
)


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("(415) 555-0100", "US", "+14155550100"),
        ("+1 415 555 0100", "DE", "+14155550100"),
        ("001 415 555 0100", "DE", "+14155550100"),
        ("030 123456", "DE", "+4930123456"),
        ("+49 (0) 30 123456", "US", "+4930123456"),
        ("＋１４１５５５５０１００", "US", "+14155550100"),  # noqa: RUF001 - full-width input is usual in Japan
    ],
)
def test_a_number_is_read_as_dialled_in_the_region(text: str, region: str, number: str) -> None:
    assert normalised_number(text, region) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "abc",
        "+",
        "12",
        "+999123456789",
        "+1415555010012345",
        "4155550100 ext. 7",
        "1" * 41,
        "+49" + "1" * 15,
    ],
)
def test_what_can_be_no_number_is_refused(text: str) -> None:
    assert normalised_number(text, "US") is None


@given(st.text(max_size=50), st.sampled_from(["US", "DE", "JP", "BR"]))
@example("\ud800", "US")
@example("\0" * 41, "US")
@example("030 1234567890123", "DE")
def test_a_number_is_e164_or_nothing_and_reads_as_itself(text: str, region: str) -> None:
    number = normalised_number(text, region)
    if number is not None:
        assert number[0] == "+"
        assert number[1:].isascii()
        assert number[1:].isdigit()
        # CHECK phone_number of the table believes the same.
        assert 3 <= len(number) <= 16
        assert normalised_number(number, "US") == number


@pytest.mark.parametrize(
    ("region", "known"), [("US", True), ("us", False), ("ZZ", False), ("001", False), ("", False)]
)
def test_a_region_is_an_upper_case_country(region: str, known: bool) -> None:
    assert is_region(region) is known


def test_a_contact_may_leave_everything_out() -> None:
    assert contact_problems({}) == []
    assert contact_problems({"name": None, "external_id": None, "attributes": None}) == []


def test_every_bad_field_of_a_contact_is_named() -> None:
    attributes = {
        "": "short",
        "k" * (ATTRIBUTE_KEY_CHARACTERS_MAX + 1): 1,
        "long": "x" * (ATTRIBUTE_TEXT_CHARACTERS_MAX + 1),
        "large": 2**53,
    }
    fields = {"name": " ", "external_id": "a\nb", "attributes": attributes}
    named = [problem.field for problem in contact_problems(fields)]
    wanted = ["name", "external_id", "attributes", "attributes", "attributes.large", "attributes.long"]
    assert sorted(named) == sorted(wanted)


def test_the_bounds_of_a_contact_are_inclusive() -> None:
    attributes: dict[str, object] = {f"key {number}": True for number in range(ATTRIBUTES_MAX - 2)}
    attributes["k" * ATTRIBUTE_KEY_CHARACTERS_MAX] = "x" * ATTRIBUTE_TEXT_CHARACTERS_MAX
    attributes["largest"] = 2**53 - 1
    assert contact_problems({"name": "n" * NAME_CHARACTERS_MAX, "attributes": attributes}) == []
    attributes["one more"] = 1
    assert [problem.field for problem in contact_problems({"attributes": attributes})] == ["attributes"]


def test_a_search_looks_into_number_name_and_external_id_without_case() -> None:
    text = search_text("+14155550100", "Straße", None)
    assert "strasse" in text
    assert "+1415" in text
    assert "EXT-7".casefold() in search_text("+1", None, "Ext-7")
