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
_POOL_BYTES = 8 * 512
_pool = b""
_pool_at = 0


def new_id() -> str:
    """A fresh UUIDv7 (RFC 9562), rising within this process also when the clock stands or steps back."""
    with _lock:
        at_ms, sequence = _next_tick()
        random_bits = int.from_bytes(_next_random(), "big") >> 2
    value = at_ms << 80 | 0x7 << 76 | sequence << 64 | 0b10 << 62 | random_bits
    text = value.to_bytes(16, "big").hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def first_id_at(at_ms: int) -> str:
    """What every UUIDv7 of this millisecond (Unix ms) and later ones is not smaller than."""
    text = f"{at_ms:012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-000000000000"


def _next_tick() -> tuple[int, int]:
    global _last_ms, _sequence  # noqa: PLW0603 - the state of one process-wide counter
    at_ms = time.time_ns() // 1_000_000
    if at_ms > _last_ms:
        # Start in the lower half, so that a burst within one millisecond has room to count up.
        _last_ms, _sequence = at_ms, int.from_bytes(_next_random(), "big") & (_SEQUENCE_MAX >> 1)
    elif _sequence < _SEQUENCE_MAX:
        _sequence += 1
    else:
        _last_ms, _sequence = _last_ms + 1, 0
    return _last_ms, _sequence


def _next_random() -> bytes:
    """Eight bytes of the system's secure source, fetched for many ids at a time: asking costs more than the id."""
    global _pool, _pool_at  # noqa: PLW0603 - as above
    if _pool_at == len(_pool):
        _pool, _pool_at = os.urandom(_POOL_BYTES), 0
    _pool_at += 8
    return _pool[_pool_at - 8 : _pool_at]


def _forget_pool() -> None:
    """Else a forked process would make its parent's ids."""
    global _pool, _pool_at
    _pool, _pool_at = b"", 0


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
