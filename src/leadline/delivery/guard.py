"""The guard of contract § 9: what a host resolves to is judged, and only that is connected to.

Each attempt resolves its host once and hands the judged addresses to `Connections`. That knows no other way to
an address: it has no resolver, so there is no second answer to be rebound between check and connect, and it
opens sockets to `CheckedRoute.addresses` only. A resting connection is used again only when its peer is among
the addresses that this attempt has just judged.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import lru_cache, partial
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

import msgspec

from leadline.clock import monotonic_seconds
from leadline.domain.addresses import Address, AddressPolicy, unmapped

if TYPE_CHECKING:
    from leadline.domain.webhook_urls import Target

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Takes an ASCII host name, answers its addresses as text; raises `OSError` when there are none."""

RESOLVE_SECONDS_MAX = 5.0
LOOKUPS_MAX = 64
# Those that hang for half a minute, 64 in each 5 s, are fewer by far.
THREADS_MAX = 1024
# All addresses are judged, but a hostile name must not make us knock at a thousand doors.
CONNECT_ADDRESSES_MAX = 8
# A judgement is a pure function of an address: each is made once.
_JUDGED_MAX = 4096


class Blocked(Exception):
    """The webhook may not go there. `rule` names why; the address is not told (contract § 9)."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class ResolutionError(Exception):
    """The host has no address, or none was found within 5 s."""


class ConnectError(Exception):
    """No connection to any of the addresses came about."""


class ConnectTimeoutError(Exception):
    """No connection came about in time. Not a `TimeoutError`, which is the whole attempt's."""


class TlsError(Exception):
    """TCP is connected but TLS is not: a certificate that does not fit, or no TLS at all."""


class Phases(msgspec.Struct, gc=False):
    """How far one attempt has come, and how long it took; None for what did not happen."""

    dns_seconds: float | None = None
    connect_seconds: float | None = None
    tls_seconds: float | None = None
    remote_address: str | None = None
    reused: bool = False


class CheckedRoute(msgspec.Struct, frozen=True):
    """Where one attempt may connect. Only `Guard.check` makes one, after judging every address."""

    target: Target
    addresses: tuple[Address, ...]
    connect_timeout_seconds: float
    phases: Phases = msgspec.field(default_factory=Phases)

    @property
    def address_infos(self) -> list[tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]]:
        """The addresses in the form of `getaddrinfo`."""
        return [
            _address_info(address, self.target.port) for address in self.addresses[:CONNECT_ADDRESSES_MAX]
        ]


class _Lookup:
    """The lookup of one host, and how many attempts wait for it."""

    __slots__ = ("task", "waiting")

    def __init__(self, work: Callable[[_Lookup], Coroutine[Any, Any, list[str]]]) -> None:
        self.waiting = 0
        self.task = asyncio.create_task(work(self))
        self.task.add_done_callback(_see)


def _see(task: asyncio.Task[list[str]]) -> None:
    """All who waited may have given up: an error that nobody took is no news."""
    if not task.cancelled():
        task.exception()


class SystemResolver:
    """Asks the system's resolver, in threads of its own.

    A lookup cannot be called off, and a hostile name server can hold one for half a minute. So each host has
    at most one lookup under way, which all attempts to it share; `LOOKUPS_MAX` begin at once, and one that hangs
    gives up its place to others when its attempts give up, but not its thread, of which there are `THREADS_MAX`;
    one that nobody waits for any more is not begun; and the threads are daemons, which hold up no shutdown.
    Nothing is cached.
    """

    def __init__(self, lookup: Callable[[str], list[str]] | None = None) -> None:
        self._lookup = lookup or look_up
        self._slots = asyncio.Semaphore(LOOKUPS_MAX)
        self._running: dict[str, _Lookup] = {}
        self._threads = 0

    async def __call__(self, host: str) -> Sequence[str]:
        """The addresses of `host`, in the system's order of preference; `OSError` when there are none."""
        lookup = self._running.get(host)
        if lookup is None:
            lookup = self._running[host] = _Lookup(partial(self._look_up, host))
        lookup.waiting += 1
        try:
            # One attempt running out of time must not take the answer from the others.
            return await asyncio.shield(lookup.task)
        finally:
            lookup.waiting -= 1

    async def _look_up(self, host: str, lookup: _Lookup) -> list[str]:
        try:
            async with self._slots:
                if not lookup.waiting:
                    return []
                answer = self._begin(host)
                await asyncio.wait([answer], timeout=RESOLVE_SECONDS_MAX)
            return await answer
        finally:
            del self._running[host]

    def _begin(self, host: str) -> asyncio.Future[list[str]]:
        if self._threads >= THREADS_MAX:
            raise socket.gaierror(socket.EAI_AGAIN, "too many lookups hang")
        answer = _in_daemon_thread(lambda: self._lookup(host))
        self._threads += 1
        answer.add_done_callback(self._end)
        return answer

    def _end(self, _answer: asyncio.Future[list[str]]) -> None:
        self._threads -= 1


def look_up(host: str) -> list[str]:
    """All addresses of `host`, blocking. Also those this machine cannot reach, for all are judged."""
    # As bytes, because Python would otherwise apply its old IDNA codec, which rejects what DNS accepts.
    found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def _in_daemon_thread(work: Callable[[], list[str]]) -> asyncio.Future[list[str]]:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def settle(result: list[str] | BaseException) -> None:
        if answer.cancelled():
            return
        if isinstance(result, BaseException):
            answer.set_exception(result)
        else:
            answer.set_result(result)

    def run() -> None:
        result: list[str] | BaseException
        try:
            result = work()
        except Exception as failure:  # noqa: BLE001 - it is raised where the answer is awaited
            result = failure
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=run, name="leadline-resolve", daemon=True).start()
    return answer


class Guard:
    """Resolves a target once and judges every address of the answer (contract § 9)."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve | None = None) -> None:
        self._refusal = lru_cache(maxsize=_JUDGED_MAX)(policy.refusal)
        self._resolve = resolve or SystemResolver()

    async def check(self, target: Target, connect_timeout_seconds: float) -> CheckedRoute:
        """The addresses this attempt may connect to.

        Raises `Blocked` when any address of the answer may not be called, a literal in the URL included, and
        `ResolutionError` when there is no answer within 5 s.
        """
        if target.literal is not None:
            return self.check_literal(target, connect_timeout_seconds)
        started = monotonic_seconds()
        route = self._judge(target, await self._addresses_of(target.ascii_host), connect_timeout_seconds)
        route.phases.dns_seconds = monotonic_seconds() - started
        return route

    def check_literal(self, target: Target, connect_timeout_seconds: float) -> CheckedRoute:
        """As `check`, of a target whose URL spells out its address: there is nothing to wait for."""
        assert target.literal is not None
        return self._judge(target, (target.literal,), connect_timeout_seconds)

    def _judge(
        self, target: Target, addresses: tuple[Address, ...], connect_timeout_seconds: float
    ) -> CheckedRoute:
        for address in addresses:
            rule = self._refusal(address)
            if rule is not None:
                raise Blocked(rule)
        return CheckedRoute(target, tuple(map(unmapped, addresses)), connect_timeout_seconds)

    async def _addresses_of(self, host: str) -> tuple[Address, ...]:
        try:
            async with asyncio.timeout(RESOLVE_SECONDS_MAX):
                answer = await self._resolve(host)
            addresses = tuple(ip_address(text) for text in answer)
        except TimeoutError:
            raise ResolutionError(f"no answer within {RESOLVE_SECONDS_MAX:g} s") from None
        except socket.gaierror as failure:
            raise ResolutionError(failure.strerror or "the name was not found") from None
        except (OSError, ValueError):
            raise ResolutionError("the name could not be resolved") from None
        if not addresses:
            raise ResolutionError("the name has no address")
        return addresses


def _address_info(
    address: Address, port: int
) -> tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]:
    if isinstance(address, IPv6Address):
        return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), port))
