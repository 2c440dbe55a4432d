"""Failing to sign in: who waits, and who does not."""

from __future__ import annotations

import pytest

from leadline.web.console import throttle
from leadline.web.console.throttle import ACCOUNT, ADDRESS, PAIR, Throttle, TooManyFailures, Try, network_of

OWNER = Try("ada", "192.0.2.1", "her browser")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test moves."""
    now = [1000.0]
    monkeypatch.setattr(throttle, "monotonic_seconds", lambda: now[0])
    return now


def tries_until_refused(throttled: Throttle, tried: Try) -> int:
    for count in range(1000):
        try:
            throttled.begin(tried)
        except TooManyFailures:
            return count
    raise AssertionError("was never refused")


def test_an_address_has_a_few_tries_at_an_account_and_then_one_at_a_time(clock: list[float]) -> None:
    throttled = Throttle()
    assert tries_until_refused(throttled, OWNER) == PAIR.failures_max
    clock[0] += PAIR.forgiven_seconds + 0.01
    assert tries_until_refused(throttled, OWNER) == 1


def test_a_refusal_says_how_long_and_does_not_make_it_longer(clock: list[float]) -> None:
    throttled = Throttle()
    tries_until_refused(throttled, OWNER)
    waits = []
    for _ in range(20):
        with pytest.raises(TooManyFailures) as refused:
            throttled.begin(OWNER)
        waits.append(refused.value.retry_after_seconds)
    assert waits == [waits[0]] * 20
    assert waits[0] == int(PAIR.forgiven_seconds) + 1


def test_success_takes_its_own_tries_back(clock: list[float]) -> None:
    throttled = Throttle()
    for _ in range(300):
        throttled.begin(OWNER)
        throttled.succeeded(OWNER)


def test_many_addresses_share_the_tries_at_one_account(clock: list[float]) -> None:
    throttled = Throttle()
    for number in range(ACCOUNT.failures_max):
        throttled.begin(Try("ada", f"198.51.100.{number}"))
    with pytest.raises(TooManyFailures):
        throttled.begin(Try("ada", "203.0.113.1"))


def test_the_owners_own_browser_gets_in_while_others_guess(clock: list[float]) -> None:
    throttled = Throttle()
    throttled.begin(OWNER)
    throttled.succeeded(OWNER)
    for number in range(ACCOUNT.failures_max):
        throttled.begin(Try("ada", f"198.51.100.{number}"))
    throttled.begin(OWNER)
    assert tries_until_refused(throttled, OWNER) == PAIR.failures_max - 1


def test_one_address_has_a_bound_over_all_accounts(clock: list[float]) -> None:
    throttled = Throttle()
    for number in range(ADDRESS.failures_max):
        throttled.begin(Try(f"account {number}", "192.0.2.1"))
    with pytest.raises(TooManyFailures):
        throttled.begin(Try("one more", "192.0.2.1"))
    throttled.begin(Try("one more", "192.0.2.2"))


def test_memory_is_bounded(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "BUCKETS_MAX", 30)
    monkeypatch.setattr(throttle, "KNOWN_MAX", 5)
    throttled = Throttle()
    for number in range(50):
        tried = Try(f"account {number}", f"192.0.2.{number}", "browser")
        throttled.begin(tried)
        throttled.succeeded(tried)
    assert len(throttled._failures) <= 30
    assert len(throttled._known) == 5


def test_an_ipv6_caller_is_his_whole_network() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:2") == "2001:db8::/64"
    assert network_of("192.0.2.7") == "192.0.2.7"
    assert network_of("") == ""
