"""From bytes to typed input, with every problem named (contract § 1).

JSON is read strictly first; then each field is read by the type that its struct gives it, so that one bad field
does not hide another. Only when nothing at all is wrong is the struct built.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Union, get_args, get_origin
from urllib.parse import unquote_to_bytes

import msgspec

from leadline.clock import YEAR_MAX, YEAR_MIN, is_within_years
from leadline.domain.errors import Problem
from leadline.domain.limits import JSON_DEPTH_MAX
from leadline.ids import parse_id

# Possessive, and a string may lack its end: otherwise 64 KiB of `\"` would keep the server busy for 20 s.
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_SUSPECT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_QUOTED = re.compile(r"`([^`]*)`")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "datetime": "a time such as 2026-06-25T00:00:00Z",
}
_TRUE_FALSE = {"true": True, "false": False}
_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)


class Malformed(ValueError):
    """It is no JSON that we take; the sentence says why."""


def decode_json(body: bytes) -> Any:
    """The value of a JSON text. Raises Malformed for duplicates, NaN, lone surrogates, NUL, depth, and no JSON."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Malformed("The body is not UTF-8.") from None
    _refuse_depth(text)
    try:
        value = _decoder.decode(text)
    except RecursionError:
        raise Malformed(f"The body is nested over {JSON_DEPTH_MAX} deep.") from None
    except Malformed:
        raise
    except ValueError as wrong:
        raise Malformed(f"The body is not JSON: {wrong}.") from None
    if _SUSPECT.search(text):
        _refuse_bad_text(value)
    return value


def _refuse_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= JSON_DEPTH_MAX:
        return
    depth = deepest = 0
    for character in _STRINGS.sub("", text):
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    if deepest > JSON_DEPTH_MAX:
        raise Malformed(f"The body is nested over {JSON_DEPTH_MAX} deep.")


def _refuse_bad_text(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise Malformed("The body contains the character NUL.")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Malformed("The body contains half of a surrogate pair.") from None
    elif isinstance(value, dict):
        for key, each in value.items():
            _refuse_bad_text(key)
            _refuse_bad_text(each)
    elif isinstance(value, list):
        for each in value:
            _refuse_bad_text(each)


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("The body has the same key twice in one object.")
    return found


def _refuse_constant(name: str) -> Any:
    raise Malformed(f"The body contains {name}, which is no JSON.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Malformed("The body contains a number that is too large.")
    return number


_decoder = json.JSONDecoder(
    object_pairs_hook=_object_without_duplicates, parse_constant=_refuse_constant, parse_float=_finite
)


class Fields(typing.NamedTuple):
    """What could be read: well-typed values by name (None for what was left out), and all problems."""

    values: dict[str, Any]
    problems: list[Problem]


def read_fields(struct: type[msgspec.Struct], value: Any, prefix: str = "") -> Fields:
    """Read an object as `struct` says. A field of the wrong type is in the problems and not in the values."""
    if not isinstance(value, dict):
        return Fields({}, [Problem(prefix.rstrip("."), "must be an object")])
    if _is_plain(struct):
        # All at once is the usual case and costs a tenth; what is wrong is told field by field below.
        with contextlib.suppress(msgspec.ValidationError):
            return Fields(msgspec.structs.asdict(msgspec.convert(value, struct, strict=True)), [])
    shape = _shape(struct)
    problems = [Problem(prefix + name, "is not a known field") for name in value if name not in shape]
    values: dict[str, Any] = {}
    for name, (field_type, required, default) in shape.items():
        if name in value:
            _read_into(values, problems, name, field_type, value[name], prefix)
        elif required:
            problems.append(Problem(prefix + name, "is required"))
        else:
            values[name] = default
    return Fields(values, problems)


def _read_into(
    values: dict[str, Any], problems: list[Problem], name: str, field_type: Any, value: Any, prefix: str
) -> None:
    found = _read_value(field_type, value, prefix + name)
    if found.problems:
        problems += found.problems
    else:
        values[name] = found.values["value"]


def _read_value(field_type: Any, value: Any, path: str) -> Fields:
    if value is not None:
        inner = _without_none(field_type)
        if _is_struct(inner):
            fields = read_fields(inner, value, path + ".")
            return Fields({} if fields.problems else {"value": inner(**fields.values)}, fields.problems)
        item_type = _item_type(inner)
        if item_type is not None and isinstance(value, list):
            return _read_items(item_type, value, path)
    try:
        return Fields({"value": _convert(field_type, value)}, [])
    except msgspec.ValidationError as wrong:
        return Fields({}, [Problem(path, _sentence(str(wrong)))])


def _read_items(item_type: Any, items: Sequence[Any], path: str) -> Fields:
    found = [_read_value(item_type, item, f"{path}[{index}]") for index, item in enumerate(items)]
    problems = [problem for each in found for problem in each.problems]
    return Fields({} if problems else {"value": [each.values["value"] for each in found]}, problems)


def _convert(field_type: Any, value: Any) -> Any:
    if isinstance(value, str) and _wants(field_type, "uuid"):
        canonical = parse_id(value)
        if canonical is None:
            raise msgspec.ValidationError("must be a UUID")
        value = canonical
    converted = msgspec.convert(value, field_type, strict=True)
    if isinstance(converted, datetime) and not is_within_years(converted):
        raise msgspec.ValidationError(f"must be between {YEAR_MIN} and {YEAR_MAX}")
    return converted


def _sentence(message: str) -> str:
    """What msgspec says, in the words of people who do not write Python."""
    if "Expected" not in message:
        return message
    told = message.replace("Expected", "must be", 1).partition(" - at ")[0]
    return _QUOTED.sub(lambda found: _in_words(found[1]), told)


def _in_words(type_names: str) -> str:
    return " or ".join(_WORDS.get(name, name) for name in type_names.split(" | "))


@cache
def _shape(struct: type[msgspec.Struct]) -> Mapping[str, tuple[Any, bool, Any]]:
    """Field name → (type, whether it is required, its default)."""
    hints = typing.get_type_hints(struct, include_extras=True)
    return {
        field.name: (
            hints[field.name],
            field.required,
            None if field.required else field.default,
        )
        for field in msgspec.structs.fields(struct)
    }


@cache
def _is_plain(struct: type[msgspec.Struct]) -> bool:
    """Whether msgspec alone judges it as we do: it knows no bounds of time, and takes what it does not know."""
    types = [_without_none(field_type) for field_type, _, _ in _shape(struct).values()]
    return struct.__struct_config__.forbid_unknown_fields and not any(
        each is datetime or _item_type(each) is not None or _is_struct(each) for each in types
    )


def _is_struct(field_type: Any) -> bool:
    return isinstance(field_type, type) and issubclass(field_type, msgspec.Struct)


@cache
def _without_none(field_type: Any) -> Any:
    """The type without its null and unset, and without what only annotates it."""
    if get_origin(field_type) is typing.Annotated:
        return _without_none(get_args(field_type)[0])
    if get_origin(field_type) in (Union, types.UnionType):
        kept = [each for each in get_args(field_type) if each not in (type(None), msgspec.UnsetType)]
        return _without_none(kept[0]) if len(kept) == 1 else field_type
    return field_type


@cache
def _item_type(field_type: Any) -> Any | None:
    return get_args(field_type)[0] if get_origin(field_type) is list else None


@cache
def _wants(field_type: Any, what: str) -> bool:
    inner = _without_none(field_type)
    return what == "uuid" and getattr(inner, "__name__", "") == "UUID"


def read_query(struct: type[msgspec.Struct], query: bytes) -> Fields:
    """Read a query string. Every parameter at most once; one that is not known is a problem."""
    if not query:
        nothing = _nothing_sent(struct)
        return Fields(dict(nothing.values), list(nothing.problems))
    problems: list[Problem] = []
    sent: dict[str, Any] = {}
    shape = _shape(struct)
    for part in query.split(b"&"):
        raw_name, _, raw_value = part.partition(b"=")
        name, value = _unquote(raw_name), _unquote(raw_value)
        if name is None or value is None:
            problems.append(Problem(name or "", "is not valid UTF-8 text"))
        elif name in sent:
            problems.append(Problem(name, "is given twice"))
        elif name not in shape:
            problems.append(Problem(name, "is not a known parameter"))
        else:
            sent[name] = _query_value(shape[name][0], value)
    fields = read_fields(struct, sent)
    return Fields(fields.values, problems + fields.problems)


@cache
def _nothing_sent(struct: type[msgspec.Struct]) -> Fields:
    return read_fields(struct, {})


def _unquote(raw: bytes) -> str | None:
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _query_value(field_type: Any, text: str) -> Any:
    """Text as the type that the parameter wants; what is none stays text and is refused by the type."""
    inner = _without_none(field_type)
    if inner is bool:
        return _TRUE_FALSE.get(text, text)
    if inner is int and _INTEGER.fullmatch(text):
        return int(text)
    return text
