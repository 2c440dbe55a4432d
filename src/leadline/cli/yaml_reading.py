"""YAML as a configuration needs it, and no more: plain data, each value with the line where it stands.

Scalars are read by the core schema of YAML 1.2, so `No`, `on` and `yes` are words and not truth values. Tags, anchors,
aliases, several documents and duplicate keys are refused, and so is what is too large or too deep: a file that is
copied around must mean what it seems to mean, and no short text may stand for a long one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from leadline.domain.limits import CONFIGURATION_BYTES_MAX

FILE_BYTES_MAX = CONFIGURATION_BYTES_MAX
DEPTH_MAX = 32

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}", re.ASCII)
_BASED = re.compile(r"0o[0-7]{1,100}|0x[0-9a-fA-F]{1,100}", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)

# libyaml where the package was built with it; both give the same events.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Place(NamedTuple):
    """Where something stands; both count from 1."""

    line: int
    column: int


class BadYaml(ValueError):
    """It is no YAML that we take; the sentence says why, `place` where."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document: its value, and the place of each value by path, as in `outcomes[3].webhook_url`."""

    value: Any
    places: dict[str, Place]

    def place_of(self, path: str) -> Place | None:
        """Where a path stands, or what is nearest around it when the file does not have it."""
        while path and path not in self.places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.places.get(path)


def read_yaml(text: bytes) -> Document:
    """The document of a file. Raises BadYaml."""
    if len(text) > FILE_BYTES_MAX:
        raise BadYaml(f"it is larger than {FILE_BYTES_MAX // 1024 // 1024} MiB")
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        place = Place(text[: wrong.start].count(b"\n") + 1, 1)
        raise BadYaml("it is not UTF-8", place) from None
    try:
        return _Reader(yaml.parse(decoded, Loader=_LOADER)).document()
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        problem = " ".join(str(part) for part in (wrong.context, wrong.problem) if part)
        raise BadYaml(f"it is no YAML: {problem}", None if mark is None else _place(mark)) from None
    except yaml.YAMLError as wrong:
        raise BadYaml(f"it is no YAML: {' '.join(str(wrong).split())}") from None


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


class _Reader:
    """Builds the value of one document out of the parser's events."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._places: dict[str, Place] = {}

    def document(self) -> Document:
        self._next()  # the stream begins
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            raise BadYaml("it is empty")
        value = self._value(self._next(), "", 0)
        self._next()  # the document ends
        another = self._next()
        if not isinstance(another, yaml.StreamEndEvent):
            raise BadYaml("it holds more than one document", _place(another.start_mark))
        return Document(value, self._places)

    def _next(self) -> yaml.Event:
        return next(self._events)

    def _value(self, event: yaml.Event, path: str, depth: int) -> Any:
        place = _place(event.start_mark)
        _refuse_magic(event, place)
        if depth > DEPTH_MAX:
            raise BadYaml(f"it is nested over {DEPTH_MAX} deep", place)
        self._places[path] = place
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event, place)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, depth)
        return self._mapping(path, depth)

    def _sequence(self, path: str, depth: int) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            found.append(self._value(event, f"{path}[{len(found)}]", depth + 1))
        return found

    def _mapping(self, path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = _key(event)
            where = f"{path}.{key}" if path else key
            if key in found:
                first = self._places[where].line
                raise BadYaml(
                    f"the key {key!r} is there twice, first in line {first}", _place(event.start_mark)
                )
            value = self._value(self._next(), where, depth + 1)
            # A problem of a value is shown where its key is: that is the line people look for.
            self._places[where] = _place(event.start_mark)
            found[key] = value
        return found


def _refuse_magic(event: yaml.Event, place: Place) -> None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
        raise BadYaml("anchors and aliases (& and *) are not taken: write it out, or put it in quotes", place)
    tag = getattr(event, "tag", None)
    # "!" alone is what the parser says of some quoted scalars.
    if tag is not None and tag != "!":
        raise BadYaml(f"tags ({tag}) are not taken: write plain values, or put it in quotes", place)


def _key(event: yaml.Event) -> str:
    place = _place(event.start_mark)
    _refuse_magic(event, place)
    if not isinstance(event, yaml.ScalarEvent):
        raise BadYaml("a key must be a word", place)
    return str(event.value)


def _scalar(event: yaml.ScalarEvent, place: Place) -> Any:
    """A scalar by the core schema of YAML 1.2 (§ 10.3.2); what is in quotes is text."""
    text: str = event.value
    if "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
        raise BadYaml("it has a character that no text may have", place)
    if not event.implicit[0] or text in _WORDS:
        return _WORDS[text] if event.implicit[0] else text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    return _number_or_text(text, place)


def _number_or_text(text: str, place: Place) -> float | str:
    if not _NUMBER.fullmatch(text) and not _NOT_FINITE.fullmatch(text):
        return text
    number = float(text.replace(".i", "i").replace(".I", "I").replace(".n", "n").replace(".N", "N"))
    if not math.isfinite(number):
        raise BadYaml(f"{text} is no number that can be meant here; in quotes it is text", place)
    return number
