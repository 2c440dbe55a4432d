"""Contacts: phone numbers in E.164, and what may be kept about a person (contract § 6). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import phonenumbers

from leadline.domain.errors import Problem
from leadline.domain.limits import (
    ATTRIBUTE_KEY_CHARACTERS_MAX,
    ATTRIBUTE_TEXT_CHARACTERS_MAX,
    ATTRIBUTES_MAX,
    EXTERNAL_ID_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    PHONE_INPUT_CHARACTERS_MAX,
)
from leadline.domain.text import name_problem

# Larger whole numbers do not survive a JavaScript or SQLite reader unchanged.
_SAFE_INTEGER_MAX = 2**53 - 1
# A plus and fifteen digits (ITU-T E.164).
E164_CHARACTERS_MAX = 16

Attributes = Mapping[str, str | int | float | bool]


@lru_cache(maxsize=4096)
def normalised_number(text: str, region: str) -> str | None:
    """The number in E.164, read as dialled in `region` (ISO 3166); None when no such number can exist."""
    if len(text) > PHONE_INPUT_CHARACTERS_MAX:
        return None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    # An extension has no place in E.164 and would be dropped without a word.
    if number.extension or not phonenumbers.is_possible_number(number):
        return None
    found = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    # Of some countries the library believes in numbers that are longer than any may be.
    return found if len(found) <= E164_CHARACTERS_MAX else None


@lru_cache(maxsize=4096)
def displayed_number(number: str | None) -> str:
    """A number in E.164 as people write it (`+1 555-555-0100`); a dash for none."""
    if number is None:
        return "-"
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def is_region(region: str) -> bool:
    """Whether phone numbers can be read as dialled there: an upper-case ISO 3166 code that the library knows."""
    return region in phonenumbers.SUPPORTED_REGIONS


def regions() -> list[str]:
    """Every region that `is_region` knows, in order."""
    return sorted(phonenumbers.SUPPORTED_REGIONS)


def contact_problems(fields: Mapping[str, Any]) -> list[Problem]:
    """Every rule that a contact's fields break, other than the number's, which needs the workspace."""
    problems = []
    for field, characters_max in (("name", NAME_CHARACTERS_MAX), ("external_id", EXTERNAL_ID_CHARACTERS_MAX)):
        value = fields.get(field)
        if value is not None and (wrong := name_problem(value, characters_max)):
            problems.append(Problem(field, wrong))
    return problems + _attribute_problems(fields.get("attributes") or {})


def _attribute_problems(attributes: Attributes) -> list[Problem]:
    problems = []
    if len(attributes) > ATTRIBUTES_MAX:
        problems.append(Problem("attributes", f"must have at most {ATTRIBUTES_MAX} entries"))
    for key, value in attributes.items():
        if not 1 <= len(key) <= ATTRIBUTE_KEY_CHARACTERS_MAX:
            wrong = f"a key must be 1-{ATTRIBUTE_KEY_CHARACTERS_MAX} characters"
            problems.append(Problem("attributes", wrong))
        field = f"attributes.{key[:ATTRIBUTE_KEY_CHARACTERS_MAX]}"
        if isinstance(value, str) and len(value) > ATTRIBUTE_TEXT_CHARACTERS_MAX:
            problems.append(Problem(field, f"must be at most {ATTRIBUTE_TEXT_CHARACTERS_MAX} characters"))
        if isinstance(value, int) and abs(value) > _SAFE_INTEGER_MAX:
            problems.append(Problem(field, "must be within ±(2^53 - 1)"))
    return problems


def search_text(phone_number: str, name: str | None, external_id: str | None) -> str:
    """What `?q=` looks in: case and the form of a number do not matter."""
    return "\n".join(part.casefold() for part in (phone_number, name, external_id) if part)
