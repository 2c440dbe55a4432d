"""How patient a client is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

from leadline.client.errors import ConfigurationError

ANSWER_BYTES_MAX = 64 * 1024 * 1024


class OptionFields(TypedDict, total=False):
    """The options by name, as clients and `with_options` take them."""

    deadline_seconds: float
    timeout_seconds: float
    connect_timeout_seconds: float
    attempts_max: int
    backoff_first_seconds: float
    backoff_max_seconds: float
    reconnect_seconds_max: float


@dataclass(frozen=True, slots=True)
class Options:
    """The bounds of a call.

    `deadline_seconds` bounds all attempts of a call together, `timeout_seconds` every silence of one attempt and
    `connect_timeout_seconds` its beginning. There are at most `attempts_max` attempts; before the second one
    waits `backoff_first_seconds`, and twice as long before each one after it, up to `backoff_max_seconds`,
    shortened by up to a half at random. What the server asks for in `Retry-After` is waited for.
    `reconnect_seconds_max` is how long an event stream tries to come back before it gives up.
    """

    deadline_seconds: float = 60.0
    timeout_seconds: float = 20.0
    connect_timeout_seconds: float = 5.0
    attempts_max: int = 5
    backoff_first_seconds: float = 0.2
    backoff_max_seconds: float = 10.0
    reconnect_seconds_max: float = 300.0

    def __post_init__(self) -> None:
        for name in ("deadline_seconds", "timeout_seconds", "connect_timeout_seconds"):
            _check(name, getattr(self, name) > 0, "must be above 0")
        for name in ("backoff_first_seconds", "backoff_max_seconds", "reconnect_seconds_max"):
            _check(name, getattr(self, name) >= 0, "must not be negative")
        for name in ("deadline_seconds", "timeout_seconds", "connect_timeout_seconds", "backoff_max_seconds"):
            _check(name, math.isfinite(getattr(self, name)), "must be finite")
        _check("attempts_max", self.attempts_max >= 1, "must be at least 1")

    def backoff_seconds(self, failures: int, fraction: float) -> float:
        """How long to wait after this many failures; `fraction` is chance in [0, 1)."""
        doubled = self.backoff_first_seconds * 2.0 ** min(failures - 1, 32)
        return min(self.backoff_max_seconds, doubled) * (1 - fraction / 2)

    def with_fields(self, **changes: Unpack[OptionFields]) -> Options:
        """These options with some of them changed. Raises ConfigurationError."""
        try:
            return replace(self, **changes)
        except TypeError as wrong:
            raise ConfigurationError(str(wrong)) from None


def _check(name: str, holds: bool, problem: str) -> None:
    if not holds:
        raise ConfigurationError(f"{name} {problem}")
