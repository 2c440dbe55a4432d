from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from delivery.receivers import OK, answering, receiving
from leadline.delivery.guard import (
    LOOKUPS_MAX,
    Blocked,
    Guard,
    ResolutionError,
    Resolve,
    SystemResolver,
    look_up,
)
from leadline.delivery.sender import AttemptError, Sender
from leadline.domain.addresses import AddressPolicy
from leadline.domain.webhook_urls import split_target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PUBLIC_ONLY = AddressPolicy()
LOOPBACK = AddressPolicy.parse("127.0.0.0/8,::1/128")


class Zone:
    """A name server: the answers of one name, one after the other; the last repeats."""

    def __init__(self, *answers: list[str] | Exception) -> None:
        self._answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextlib.asynccontextmanager
async def sending(policy: AddressPolicy, resolve: Resolve | None = None) -> AsyncIterator[Sender]:
    sender = Sender(policy=policy, user_agent="Leadline/test", resolve=resolve)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.close()


async def post(sender: Sender, url: str) -> Any:
    return await sender.send(url=url, headers={}, body=b"{}", timeout_seconds=30)


async def check(url: str, *answer: str, policy: AddressPolicy = PUBLIC_ONLY) -> tuple[str, ...]:
    guard = Guard(policy, Zone(list(answer)))
    route = await guard.check(split_target(url), connect_timeout_seconds=5)
    return tuple(str(address) for address in route.addresses)


async def test_public_addresses_pass() -> None:
    assert await check("https://example.com/", "93.184.216.34", "2606:2800:220:1::1") == (
        "93.184.216.34",
        "2606:2800:220:1::1",
    )


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (["127.0.0.1"], "loopback"),
        (["10.1.2.3"], "private"),
        (["93.184.216.34", "10.1.2.3"], "private"),
        (["2606:2800:220:1::1", "::1"], "loopback"),
        (["::ffff:169.254.169.254"], "metadata"),
        (["::ffff:7f00:1"], "loopback"),
        (["64:ff9b::7f00:1"], "tunnel"),
        (["fe80::1%eth0"], "link_local"),
        (["0.0.0.0"], "unspecified"),
    ],
)
async def test_one_address_that_is_not_public_closes_the_name(answer: list[str], rule: str) -> None:
    with pytest.raises(Blocked) as blocked:
        await check("https://example.com/", *answer)
    assert blocked.value.rule == rule
    assert not any(address in str(blocked.value) for address in answer)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://10.0.0.1/",
        "http://[fe80::1]/",
    ],
)
async def test_literal_addresses_are_judged_without_being_resolved(url: str) -> None:
    zone = Zone(["93.184.216.34"])
    with pytest.raises(Blocked):
        await Guard(PUBLIC_ONLY, zone).check(split_target(url), connect_timeout_seconds=5)
    assert zone.asked == []


@pytest.mark.parametrize(
    "host", ["0x7f000001", "2130706433", "127.1", "0177.0.0.1", "localhost", "localhost."]
)
async def test_spellings_that_only_the_system_reads_as_loopback_are_blocked(host: str) -> None:
    async with receiving(answering(OK)) as receiver, sending(PUBLIC_ONLY) as sender:
        result = await post(sender, f"http://{host}:{receiver.port}/")
    assert result.error in {AttemptError.BLOCKED, AttemptError.DNS}
    assert (result.error, result.error_detail) != (AttemptError.BLOCKED, "url")
    assert receiver.connections == 0


async def test_a_blocked_attempt_connects_to_nothing_and_names_no_address() -> None:
    async with receiving(answering(OK)) as receiver, sending(PUBLIC_ONLY, Zone(["127.0.0.1"])) as sender:
        result = await post(sender, f"http://hooks.example:{receiver.port}/")
    assert (result.error, result.error_detail) == (AttemptError.BLOCKED, "loopback")
    assert (result.status, result.remote_address) == (None, None)
    assert receiver.connections == 0


async def test_a_name_is_asked_once_so_that_nothing_can_change_between_check_and_connect() -> None:
    # The second answer is another loopback address, on which nobody listens.
    zone = Zone(["127.0.0.1"], ["127.0.0.99"])
    async with receiving(answering(OK)) as receiver, sending(LOOPBACK, zone) as sender:
        result = await post(sender, f"http://rebind.example:{receiver.port}/")
    assert (result.status, result.remote_address) == (200, "127.0.0.1")
    assert zone.asked == ["rebind.example"]


async def test_a_resting_connection_is_not_used_once_the_name_is_closed() -> None:
    zone = Zone(["127.0.0.1"], ["10.0.0.1"])
    async with receiving(answering(OK)) as receiver, sending(LOOPBACK, zone) as sender:
        first = await post(sender, f"http://rebind.example:{receiver.port}/")
        second = await post(sender, f"http://rebind.example:{receiver.port}/")
    assert first.error is None
    assert (second.error, second.error_detail) == (AttemptError.BLOCKED, "private")
    assert len(receiver.requests) == 1


async def test_a_resting_connection_is_not_used_once_the_name_has_moved() -> None:
    zone = Zone(["127.0.0.1"], ["127.0.0.2"])
    async with receiving(answering(OK), host="0.0.0.0") as receiver, sending(LOOPBACK, zone) as sender:
        first = await post(sender, f"http://moving.example:{receiver.port}/")
        second = await post(sender, f"http://moving.example:{receiver.port}/")
    assert (first.remote_address, second.remote_address) == ("127.0.0.1", "127.0.0.2")
    assert not second.timings.reused


async def test_a_dead_address_leads_to_the_next_one() -> None:
    zone = Zone(["::1", "127.0.0.2", "127.0.0.1"])
    async with receiving(answering(OK)) as receiver, sending(LOOPBACK, zone) as sender:
        result = await post(sender, f"http://half-dead.example:{receiver.port}/")
    assert (result.status, result.remote_address) == (200, "127.0.0.1")


async def test_a_redirect_to_a_closed_address_is_not_followed() -> None:
    async with receiving(answering(OK)) as inside:
        answer = f"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:{inside.port}/\r\nContent-Length: 0\r\n\r\n"
        async with receiving(answering(answer.encode())) as outside, sending(LOOPBACK) as sender:
            result = await post(sender, f"http://127.0.0.1:{outside.port}/")
    assert (result.status, result.error) == (307, AttemptError.HTTP_STATUS)
    assert inside.connections == 0


async def test_metadata_stays_closed_when_everything_is_allowed() -> None:
    everything = AddressPolicy.parse("0.0.0.0/0,::/0")
    for address in ("169.254.169.254", "::ffff:a9fe:a9fe", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"):
        with pytest.raises(Blocked, match="metadata"):
            await check("http://metadata.example/", address, policy=everything)


@pytest.mark.parametrize(
    "failure",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        OSError("broken"),
        UnicodeError("label too long"),
    ],
)
async def test_a_name_without_an_address_is_dns(failure: Exception) -> None:
    async with sending(LOOPBACK, Zone(failure)) as sender:
        result = await post(sender, "http://missing.example/")
    assert (result.status, result.error) == (None, AttemptError.DNS)


@pytest.mark.parametrize("answer", [[], ["not an address"], ["127.0.0.1", "nonsense"]])
async def test_an_answer_that_cannot_be_judged_is_dns(answer: list[str]) -> None:
    with pytest.raises(ResolutionError):
        await check("http://odd.example/", *answer, policy=LOOPBACK)


async def test_a_name_server_that_never_answers_is_dns_after_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("leadline.delivery.guard.RESOLVE_SECONDS_MAX", 0.1)

    async def never(_host: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    async with sending(LOOPBACK, never) as sender:
        result = await post(sender, "http://slow.example/")
    assert (result.error, result.error_detail) == (AttemptError.DNS, "no answer within 0.1 s")


async def test_the_deadline_of_the_attempt_covers_the_name_server() -> None:
    async def never(_host: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    async with sending(LOOPBACK, never) as sender:
        result = await sender.send(url="http://slow.example/", headers={}, body=b"", timeout_seconds=0.1)
    assert result.error is AttemptError.TIMEOUT


async def test_attempts_at_the_same_time_share_one_lookup() -> None:
    asked = []
    go = threading.Event()

    def lookup(host: str) -> list[str]:
        asked.append(host)
        go.wait(30)
        return ["192.0.2.1"]

    resolver = SystemResolver(lookup)
    waiting = [asyncio.create_task(resolver("same.example")) for _ in range(20)]
    await asyncio.sleep(0)
    waiting.pop().cancel()  # one that gives up takes the answer from nobody
    go.set()
    assert await asyncio.gather(*waiting) == [["192.0.2.1"]] * 19
    assert asked == ["same.example"]
    assert await resolver("same.example") == ["192.0.2.1"]
    assert asked == ["same.example"] * 2  # nothing is cached


async def test_stuck_lookups_do_not_hold_up_other_names() -> None:
    stuck = threading.Event()

    def lookup(host: str) -> list[str]:
        if host.startswith("stuck"):
            stuck.wait(30)
        return ["192.0.2.1"]

    resolver = SystemResolver(lookup)
    held = [asyncio.create_task(resolver(f"stuck{number}.example")) for number in range(LOOKUPS_MAX - 1)]
    await asyncio.sleep(0)
    assert await resolver("quick.example") == ["192.0.2.1"]
    stuck.set()
    await asyncio.gather(*held)


async def begun(asked: list[str], count: int) -> None:
    async with asyncio.timeout(30):
        while len(asked) < count:  # noqa: ASYNC110 - a thread rings no bell
            await asyncio.sleep(0.005)


async def with_every_place_taken() -> tuple[
    SystemResolver, list[str], threading.Event, list[asyncio.Task[Sequence[str]]]
]:
    """A resolver whose places are all taken until the event is set; the names it asked for, and who waits for them."""
    stuck = threading.Event()
    asked: list[str] = []

    def lookup(host: str) -> list[str]:
        asked.append(host)
        if host.startswith("stuck"):
            stuck.wait(30)
        return ["192.0.2.1"]

    resolver = SystemResolver(lookup)
    hosts = [f"stuck{number}.example" for number in range(LOOKUPS_MAX)]
    held = [asyncio.create_task(resolver(host)) for host in hosts]
    await begun(asked, LOOKUPS_MAX)
    return resolver, asked, stuck, held


async def test_lookups_that_hang_for_long_give_their_places_to_other_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("leadline.delivery.guard.RESOLVE_SECONDS_MAX", 0.2)
    resolver, asked, stuck, held = await with_every_place_taken()
    async with asyncio.timeout(10):
        assert await resolver("quick.example") == ["192.0.2.1"]
    # It has its thread still, whose answer is good for those who ask now.
    late = asyncio.create_task(resolver("stuck0.example"))
    await asyncio.sleep(0)
    stuck.set()
    assert await asyncio.gather(late, *held) == [["192.0.2.1"]] * (LOOKUPS_MAX + 1)
    assert asked.count("stuck0.example") == 1


async def test_a_lookup_that_nobody_waits_for_any_more_is_not_begun() -> None:
    resolver, asked, stuck, held = await with_every_place_taken()
    gone, waits = (asyncio.create_task(resolver(host)) for host in ("gone.example", "waits.example"))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    stuck.set()
    assert await waits == ["192.0.2.1"]
    await asyncio.gather(*held)
    assert "gone.example" not in asked
    assert await resolver("gone.example") == ["192.0.2.1"]


async def test_no_more_lookups_are_begun_than_there_may_be_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadline.delivery.guard.THREADS_MAX", 2)
    stuck = threading.Event()

    def lookup(_host: str) -> list[str]:
        stuck.wait(30)
        return ["192.0.2.1"]

    resolver = SystemResolver(lookup)
    held = [asyncio.create_task(resolver(host)) for host in ("a.example", "b.example")]
    await asyncio.sleep(0)
    with pytest.raises(socket.gaierror, match="too many"):
        await resolver("c.example")
    stuck.set()
    await asyncio.gather(*held)
    assert await resolver("c.example") == ["192.0.2.1"]


async def test_the_failure_of_a_lookup_reaches_everybody_who_waits() -> None:
    def lookup(_host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    resolver = SystemResolver(lookup)
    outcomes = await asyncio.gather(resolver("a.example"), resolver("a.example"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [socket.gaierror] * 2


def test_the_system_is_asked_for_all_addresses_of_a_name() -> None:
    assert ip_address("127.0.0.1") in {ip_address(text) for text in look_up("localhost")}


def test_the_system_takes_names_that_pythons_idna_codec_rejects() -> None:
    with pytest.raises(socket.gaierror):
        look_up("a" * 64 + ".invalid")
