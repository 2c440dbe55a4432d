"""How often somebody may fail to sign in: per account from one address, per account in all, and per address.

Every try counts until it has succeeded, so that many at once gain nothing. Each bucket forgives one failure after
another with time. And a browser that has signed in to an account before has a bucket of its own there: whoever
guesses at an account, from however many addresses, keeps strangers' browsers out of it and not its owner's.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from leadline.clock import monotonic_seconds
from leadline.domain.errors import RateLimited

BUCKETS_MAX = 20_000
KNOWN_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Bound:
    """Failures at once, and the seconds after which one is forgiven."""

    failures_max: int
    forgiven_seconds: float


PAIR = Bound(5, 30.0)
ACCOUNT = Bound(50, 6.0)
ADDRESS = Bound(100, 2.0)

_Key = tuple[str, ...]


class TooManyFailures(RateLimited):
    """Wait before the next try."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds)
        self.message = f"Too many failed tries. Try again in {retry_after_seconds} seconds."


@dataclass(frozen=True, slots=True)
class Try:
    """Somebody who tries: an account (or another thing to guess at), from an address, in a browser (its cookie)."""

    account: str
    address: str
    browser: str = ""


class Throttle:
    """The failures of one process, within bounds of memory."""

    def __init__(self) -> None:
        self._failures: OrderedDict[_Key, tuple[float, float]] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def begin(self, tried: Try) -> None:
        """Count a try as failed until `succeeded` takes that back. Raises TooManyFailures, and then counts nothing."""
        now = monotonic_seconds()
        buckets = self._buckets(tried)
        wait = max(self._wait_seconds(key, now, bound) for key, bound in buckets)
        if wait > 0:
            raise TooManyFailures(int(wait) + 1)
        for key, bound in buckets:
            self._failures[key] = (now, self._count(key, now, bound) + 1)
            self._failures.move_to_end(key)
        while len(self._failures) > BUCKETS_MAX:
            self._failures.popitem(last=False)

    def succeeded(self, tried: Try) -> None:
        """The try was none to guess: its failures are forgotten, and its browser is known from now on."""
        now = monotonic_seconds()
        for key, bound in self._buckets(tried):
            count = 0.0 if key[0] in ("pair", "known") else max(0.0, self._count(key, now, bound) - 1)
            self._failures[key] = (now, count)
        if tried.browser:
            self._known[tried.account, tried.browser] = None
            self._known.move_to_end((tried.account, tried.browser))
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    def _buckets(self, tried: Try) -> list[tuple[_Key, Bound]]:
        if (tried.account, tried.browser) in self._known:
            return [(("known", tried.account, tried.browser), PAIR)]
        network = network_of(tried.address)
        return [
            (("pair", tried.account, network), PAIR),
            (("account", tried.account), ACCOUNT),
            (("address", network), ADDRESS),
        ]

    def _count(self, key: _Key, now: float, bound: Bound) -> float:
        at, count = self._failures.get(key, (now, 0.0))
        return max(0.0, count - (now - at) / bound.forgiven_seconds)

    def _wait_seconds(self, key: _Key, now: float, bound: Bound) -> float:
        over = self._count(key, now, bound) - (bound.failures_max - 1)
        return over * bound.forgiven_seconds if over > 0 else 0.0


def network_of(address: str) -> str:
    """What one caller has to himself: an IPv4 address, or the /64 that an IPv6 address is in."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
