"""What a browser's form sends, read within bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar
from urllib.parse import unquote_to_bytes

import msgspec

from leadline.domain.access import Principal
from leadline.domain.errors import InvalidRequest, Problem
from leadline.web.decoding import read_fields
from leadline.web.table import Context, Rules

FIELDS_MAX = 2_000
_INTEGER = re.compile(r"[+-]?[0-9]{1,12}", re.ASCII)
S = TypeVar("S", bound=msgspec.Struct)


class Form:
    """The fields of a form (or of a query), each with all values it was sent with."""

    def __init__(self, fields: Mapping[str, Sequence[str]] | None = None) -> None:
        self._fields = dict(fields or {})

    @classmethod
    def parse(cls, body: bytes) -> Form:
        """Read `application/x-www-form-urlencoded`. Raises InvalidRequest for what is no text."""
        fields: dict[str, list[str]] = {}
        parts = body.split(b"&") if body else []
        if len(parts) > FIELDS_MAX:
            raise InvalidRequest(f"A form has at most {FIELDS_MAX} fields.")
        for part in parts:
            name, _, value = part.partition(b"=")
            fields.setdefault(_text(name), []).append(_text(value))
        return cls(fields)

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __bool__(self) -> bool:
        return bool(self._fields)

    def names(self) -> list[str]:
        return list(self._fields)

    def text(self, name: str, default: str = "") -> str:
        """The last value, with plain line breaks and without white space around it."""
        return self.raw(name, default).replace("\r\n", "\n").strip()

    def raw(self, name: str, default: str = "") -> str:
        """The last value, untouched: for passwords."""
        values = self._fields.get(name)
        return values[-1] if values else default

    def optional(self, name: str) -> str | None:
        """The text, None when it is empty or missing."""
        return self.text(name) or None

    def texts(self, name: str) -> list[str]:
        """Every value: of checkboxes that share a name."""
        return [each.strip() for each in self._fields.get(name, ())]

    def flag(self, name: str) -> bool:
        """Whether a checkbox was ticked."""
        return self.text(name) not in ("", "0", "false")

    def integer(self, name: str) -> int | str | None:
        """A number; None when empty. Text that is none stays text, for the rules to refuse."""
        text = self.text(name)
        return int(text) if _INTEGER.fullmatch(text) else text or None


def checked(
    struct: type[S],
    values: Mapping[str, object],
    *,
    rules: Rules | None = None,
    principal: Principal | None = None,
    context: Context | None = None,
) -> S:
    """Values as a body of the API, by its own rules. Raises InvalidRequest with every problem."""
    fields = read_fields(struct, dict(values))
    if rules is not None:
        assert principal is not None
        assert context is not None
        fields.problems.extend(rules(fields.values, principal, context))
    if fields.problems:
        raise invalid(*fields.problems)
    return struct(**fields.values)


def invalid(*problems: Problem) -> InvalidRequest:
    """A refusal of a form that shows each problem at its field."""
    return InvalidRequest("Some fields need another look.", details=problems)


def _text(raw: bytes) -> str:
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The form is not valid UTF-8 text.") from None
    if "\0" in text:
        raise InvalidRequest("The form contains NUL.")
    return text
