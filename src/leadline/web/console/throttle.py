"""How often somebody may fail to sign in: per account from one address, per account in all, and per address.

Only failures count. Each bucket forgives one failure after another with time, so that an attacker cannot keep the owner
of an account out for longer than the few seconds until the next is forgiven, and a guess costs what it costs.
"""

from __future__ import annotations

from collections import OrderedDict

from leadline.clock import monotonic_seconds
from leadline.domain.errors import RateLimited

BUCKETS_MAX = 20_000
# Failures at once, and the seconds after which one is forgiven.
PAIR = (5, 30.0)
ACCOUNT = (50, 6.0)
ADDRESS = (100, 2.0)


class TooManyFailures(RateLimited):
    """Wait before the next try."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds)
        self.message = f"Too many failed tries. Try again in {retry_after_seconds} seconds."


class Throttle:
    """The failures of one process, within bounds of memory."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, ...], tuple[float, float]] = OrderedDict()

    def check(self, account: str, address: str) -> None:
        """Raises TooManyFailures."""
        now = monotonic_seconds()
        waits = [self._wait(key, now, *bound) for key, bound in _buckets(account, address)]
        if max(waits) > 0:
            raise TooManyFailures(int(max(waits)) + 1)

    def failed(self, account: str, address: str) -> None:
        now = monotonic_seconds()
        for key, (_, forgiven_seconds) in _buckets(account, address):
            self._failures[key] = (now, self._count(key, now, forgiven_seconds) + 1)
            self._failures.move_to_end(key)
        while len(self._failures) > BUCKETS_MAX:
            self._failures.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        """Forget what this address did to this account."""
        self._failures.pop(("pair", account, address), None)

    def _count(self, key: tuple[str, ...], now: float, forgiven_seconds: float) -> float:
        at, count = self._failures.get(key, (now, 0.0))
        return max(0.0, count - (now - at) / forgiven_seconds)

    def _wait(self, key: tuple[str, ...], now: float, failures_max: int, forgiven_seconds: float) -> float:
        over = self._count(key, now, forgiven_seconds) - (failures_max - 1)
        return over * forgiven_seconds if over > 0 else 0.0


def _buckets(account: str, address: str) -> tuple[tuple[tuple[str, ...], tuple[int, float]], ...]:
    return (
        (("pair", account, address), PAIR),
        (("account", account), ACCOUNT),
        (("address", address), ADDRESS),
    )
