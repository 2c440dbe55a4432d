"""Text without tokens, secrets and phone numbers. Rather a number too many is hidden than one too few.

Free text, such as a note, has no form to know it by. It is kept out at its source: lines name their fields,
fields that hold people's words are hidden by name, and errors do not tell their text (`failures`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

HIDDEN = "[hidden]"
TEXT_CHARACTERS_MAX = 8_000
# What is cut off in the middle of a token must be beyond what is shown.
_LOOKED_AT_MAX = 2 * TEXT_CHARACTERS_MAX
_DEPTH_MAX = 4
_NUMBERS = frozenset({int, float, bool, type(None)})
_ITEMS_MAX = 50

# Between the digits of a phone number: blanks, brackets, dots, dashes, invisible marks; also percent-encoded.
_BETWEEN = r"(?:[ \t()./\-\u00a0\u00ad\u2000-\u2015\u202a-\u202f\u2060-\u2069\u2212\ufeff]|%2[0-9A-F]|%C2%A0|\\[a-z])"
_WORDS_OF_SECRETS = (
    r"authorization|(?:set-)?cookie|csrf[\w-]*|passw(?:or)?d|pass|pwd|secret(?:_?key)?|token|api[_-]?key|session(?:_?id)?"
    r"|webhook-signature|signature"
)
_WORDS_OF_PEOPLE = r"notes?|phone(?:_?number)?|first_?name|last_?name|full_?name|attributes"
_QUOTED = r"\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?"

# The order is the rule: what stands first decides about its characters.
_PARTS = re.compile(
    r"(?P<kept>(?<![0-9A-Za-z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z])"
    r"|(?<!\d)\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(?:\.\d{1,9})?Z"
    r"|(?<![\d.])(?:(?:10|127)(?:\.\d{1,3}){3}|192\.168(?:\.\d{1,3}){2}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2})"
    r"(?![\d.]))"
    rf"|(?P<people>\b(?:{_WORDS_OF_PEOPLE})[\"']?\s*[:=]\s*)(?:{_QUOTED}|[^\r\n]*)"
    rf"|(?P<secret>\b(?:\w*_)?(?:{_WORDS_OF_SECRETS})[\"']?\s*[:=]\s*)"
    rf"(?:{_QUOTED}|(?:bearer|basic|digest)\s+\S+|[^\s,;&\"'}})\]]+)"
    r"|(?P<scheme>\b(?:bearer|basic)[ \t]+)[^\s,;\"']+"
    r"|(?P<login>://)[^\s/?#]*@"
    r"|(?P<prefix>ll_|whsec_)[0-9A-Za-z+/=_\-.~]+"
    rf"|(?P<number>[+\uff0b(]*\d(?:{_BETWEEN}{{0,3}}\d){{6,}})"
    r"|(?P<opaque>(?<![0-9A-Za-z_\-/.])(?=[0-9A-Za-z_-]*\d)(?=[0-9A-Za-z_-]*[A-Za-z])[0-9A-Za-z_-]{32,})",
    re.IGNORECASE,
)
# Most of what is logged: ids, and single words of ours such as `apply_outcome`.
_HARMLESS = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?!ll_|whsec_)[a-z]{1,20}(?:_[a-z]{1,20}){0,3}", re.ASCII
)
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
# Fields that hold people's words or somebody's keys, whatever they look like.
_HIDDEN_FIELD = re.compile(
    rf"(?:.*_)?(?:{_WORDS_OF_SECRETS}|{_WORDS_OF_PEOPLE}|name|email|body|payload|headers?|query|url|cookies?)",
    re.IGNORECASE,
)
# What we make ourselves; an address of a phone number's length stays one.
_OWN_FIELDS = frozenset(
    {"remote_address", "caller_address", "trace_id", "span_id", "token_id", "listener", "operation"}
)
# A caller's own request id is often long hexadecimal, in which there are runs of digits by chance.
_HEXADECIMAL_ID = re.compile(r"(?=[0-9-]*[a-f])[0-9a-f-]{16,64}", re.ASCII | re.IGNORECASE)


def redact(text: str) -> str:
    """`text` without tokens, secrets and phone numbers, at most 8,000 characters; ids and times stay."""
    if _HARMLESS.fullmatch(text):
        return text
    shown = _PARTS.sub(_replacement, text[:_LOOKED_AT_MAX])
    return shown if len(shown) <= TEXT_CHARACTERS_MAX else shown[:TEXT_CHARACTERS_MAX] + "…"


def _replacement(found: re.Match[str]) -> str:
    kind = found.lastgroup
    if kind == "kept":
        return found[0]
    lead = found[kind] if kind in ("people", "secret", "scheme", "login", "prefix") else ""
    return f"{lead}{HIDDEN}{'@' if kind == 'login' else ''}"


def one_line(text: str) -> str:
    """`text` with every character escaped that ends a line, hides, or turns the writing around."""
    return _UNSEEN.sub(lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character) or f"\\u{ord(character):04x}"


def redact_field(name: str, value: Any, depth: int = 0) -> Any:
    """The value of a field as it may be shown: plain JSON, bounded in depth and number."""
    if name in _OWN_FIELDS:
        return value if isinstance(value, int | float) else str(value)[:200]
    if _is_hidden(name):
        return HIDDEN
    if type(value) in _NUMBERS:
        return value
    if type(value) is str and name != "request_id":
        return redact(value)
    if name == "request_id" and _HEXADECIMAL_ID.fullmatch(str(value)):
        return str(value)
    return _redact_value(name, value, depth)


def _redact_value(name: str, value: Any, depth: int) -> Any:
    if depth >= _DEPTH_MAX:
        return HIDDEN
    if isinstance(value, Mapping):
        pairs = list(value.items())[:_ITEMS_MAX]
        return {redact(str(key)): redact_field(str(key), each, depth + 1) for key, each in pairs}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes | bytearray):
        return [redact_field(name, each, depth + 1) for each in list(value)[:_ITEMS_MAX]]
    return redact(str(value))


@lru_cache(maxsize=1024)
def _is_hidden(name: str) -> bool:
    return name not in _OWN_FIELDS and _HIDDEN_FIELD.fullmatch(name) is not None
