"""Identifiers: UUIDv7 as lower-case text, and the forms of a UUID that callers may send."""

from __future__ import annotations

import base64
import os
import re
import threading
import time

# No row ever has it: what is no UUID in a path becomes this one and is not found (contract § 1).
NIL_ID = "00000000-0000-0000-0000-000000000000"

_UUID = re.compile(
    r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{12}", re.ASCII
)

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)

_SEQUENCE_MAX = 0xFFF
_lock = threading.Lock()
_last_ms = 0
_sequence = 0
# The first half of the ids of `_last_ms`, up to their version.
_beginning = ""
# Random hexadecimal digits, sixteen for each id.
_POOL_BYTES = 8 * 512
_pool = ""
_pool_at = 0
# A random digit as the one that begins with the variant's two bits.
_VARIANT = {f"{digit:x}": f"{0b1000 | digit & 0b11:x}" for digit in range(16)}


def new_id() -> str:
    """A fresh UUIDv7 (RFC 9562), rising within this process also when the clock stands or steps back.

    Written digit by digit: an apply makes four, and by way of a number each took a quarter longer.
    """
    with _lock:
        sequence = _next_tick()
        digits = _next_random()
        return f"{_beginning}{sequence:03x}-{_VARIANT[digits[0]]}{digits[1:4]}-{digits[4:]}"


def first_id_at(at_ms: int) -> str:
    """What every UUIDv7 of this millisecond (Unix ms) and later ones is not smaller than."""
    text = f"{at_ms:012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-000000000000"


def _next_tick() -> int:
    """The number of an id within `_last_ms`."""
    global _sequence  # noqa: PLW0603 - the state of one process-wide counter
    at_ms = time.time_ns() // 1_000_000
    if at_ms > _last_ms:
        _begin(at_ms)
        # Start in the lower half, so that a burst within one millisecond has room to count up.
        _sequence = int(_next_random(), 16) & (_SEQUENCE_MAX >> 1)
    elif _sequence < _SEQUENCE_MAX:
        _sequence += 1
    else:
        _begin(_last_ms + 1)
        _sequence = 0
    return _sequence


def _begin(at_ms: int) -> None:
    global _last_ms, _beginning
    text = f"{at_ms:012x}"
    _last_ms, _beginning = at_ms, f"{text[:8]}-{text[8:]}-7"


def _next_random() -> str:
    """Eight bytes of the system's secure source, fetched for many ids at a time: asking costs more than the id."""
    global _pool, _pool_at  # noqa: PLW0603 - as above
    if _pool_at == len(_pool):
        _pool, _pool_at = os.urandom(_POOL_BYTES).hex(), 0
    _pool_at += 16
    return _pool[_pool_at - 16 : _pool_at]


def _forget_pool() -> None:
    """Else a forked process would make its parent's ids."""
    global _pool, _pool_at
    _pool, _pool_at = "", 0


os.register_at_fork(after_in_child=_forget_pool)


def parse_id(text: str) -> str | None:
    """The canonical form of a UUID: upper case and missing dashes are accepted, braces and `urn:` are not."""
    if _CANONICAL.fullmatch(text) is not None:
        return text
    if _UUID.fullmatch(text) is None:
        return None
    digits = text.replace("-", "").lower()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def random_bytes(count: int) -> bytes:
    """Bytes from the system's secure source, for tokens and secrets."""
    return os.urandom(count)


def random_fraction() -> float:
    """A number in [0, 1), for jitter."""
    return int.from_bytes(os.urandom(7), "big") / (1 << 56)


def random_secret() -> str:
    """256 random bits as 43 characters of base64url, for links and cookies."""
    return base64.urlsafe_b64encode(random_bytes(32)).decode().rstrip("=")
