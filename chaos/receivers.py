"""The receivers: each hostile in its own way while its spell lasts, and good for the rest of the time."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from chaos.plan import Spell

TRAP_HOST = "127.0.0.66"
REDIRECTED = b"/redirected"
FLOOD_BYTES = 10 * 10**9
_HANG_SECONDS = 60
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_CHUNK = b"x" * 65536


@dataclass(frozen=True, slots=True)
class Receipt:
    """One whole request. `at` in Unix seconds; `accepted`: it was answered with what counts as success."""

    kind: str
    webhook_id: str
    body: bytes
    at: float
    sender: str
    accepted: bool


Rudeness = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


async def _reset(writer: asyncio.StreamWriter, _turn: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    await writer.drain()
    writer.transport.abort()


async def _hang(_writer: asyncio.StreamWriter, _turn: int) -> None:
    await asyncio.sleep(_HANG_SECONDS)


async def _trickle(writer: asyncio.StreamWriter, _turn: int) -> None:
    for byte in _OK * 2:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(1)


async def _flood(writer: asyncio.StreamWriter, _turn: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % FLOOD_BYTES)
    for _ in range(FLOOD_BYTES // len(_CHUNK)):
        writer.write(_CHUNK)
        await writer.drain()


async def _gzip_bomb(writer: asyncio.StreamWriter, _turn: int) -> None:
    bomb = _bomb()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb))
    writer.write(bomb)
    await writer.drain()


_WRONG_LENGTHS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 7\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
    b"HTTP/1.1 500 Broken\r\nContent-Length: 900\r\n\r\nno",
)


async def _wrong_length(writer: asyncio.StreamWriter, turn: int) -> None:
    writer.write(_WRONG_LENGTHS[turn % len(_WRONG_LENGTHS)])
    await writer.drain()


async def _storm(writer: asyncio.StreamWriter, _turn: int) -> None:
    for _ in range(100_000):
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 16)
        await writer.drain()
        await asyncio.sleep(0.001)


async def _redirect(writer: asyncio.StreamWriter, turn: int) -> None:
    status = (301, 302, 303, 307, 308)[turn % 5]
    host, port = writer.get_extra_info("sockname")[:2]
    place = f"http://{host}:{port}{REDIRECTED.decode()}/{turn}"
    writer.write(f"HTTP/1.1 {status} Over there\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())
    await writer.drain()


async def _unavailable(writer: asyncio.StreamWriter, _turn: int) -> None:
    writer.write(b"HTTP/1.1 503 Later\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


RUDE: Mapping[str, Rudeness] = {
    "resets mid-answer": _reset,
    "never answers": _hang,
    "one byte a second": _trickle,
    "answers 10 GB": _flood,
    "gzip bomb": _gzip_bomb,
    "wrong lengths": _wrong_length,
    "1xx storm": _storm,
    "endless redirects": _redirect,
    "answers 503": _unavailable,
}
# Contract § 8: 2xx is success whatever the body, so these are done with at the first attempt.
ACCEPTING = frozenset({"answers 10 GB", "gzip bomb"})
GOOD, OTHER_GOOD, REFUSES, BAD_TLS = "good", "good, too", "refuses", "bad TLS"
# How the resolver inside the processes treats the name of each (`chaos.victim`).
DNS_MODES: Mapping[str, str] = {"DNS fails": "fails", "DNS flaps": "flaps", "DNS rebinds": "rebinds"}
HOSTILE_KINDS = (*RUDE, REFUSES, BAD_TLS, *DNS_MODES)
KINDS = (GOOD, OTHER_GOOD, *HOSTILE_KINDS)


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """A certificate that the processes trust, and one that they do not."""

    trusted: ssl.SSLContext
    untrusted: ssl.SSLContext


def _bomb() -> bytes:
    if not _bombs:
        _bombs.append(gzip.compress(bytes(64 * 1024 * 1024), 9))
    return _bombs[0]


_bombs: list[bytes] = []


class Receivers:
    """All receivers of a run on loopback, in the driver's event loop."""

    def __init__(self, spells: Mapping[str, Spell], tls: TlsContexts) -> None:
        self.receipts: list[Receipt] = []
        self.rudenesses: Counter[str] = Counter()
        self.followed = 0
        self.trapped = 0
        self.ports: dict[str, int] = {}
        self.started_at = 0.0
        self._spells = spells
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._waiting: socket.socket | None = None

    async def start(self) -> None:
        """Listen. The spells count from now."""
        self.started_at = time.time()
        for kind in KINDS:
            if kind == REFUSES:
                self._bind_refusing()
                continue
            server = await asyncio.start_server(self._serving(kind), "127.0.0.1", 0)
            self._servers.append(server)
            self.ports[kind] = server.sockets[0].getsockname()[1]
        trap = await asyncio.start_server(self._spring, TRAP_HOST, self.ports["DNS rebinds"])
        self._servers.append(trap)
        self._connections.add(asyncio.create_task(self._watch_refusing()))

    async def stop(self) -> None:
        """Listen no more and drop all connections."""
        for server in self._servers:
            server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._waiting is not None:
            self._waiting.close()

    def url(self, kind: str) -> str:
        """Where the webhooks of this kind go."""
        port = self.ports[kind]
        if kind in DNS_MODES:
            return f"http://{host_of(kind)}:{port}/hook"
        if kind == BAD_TLS:
            return f"https://receiver.test:{port}/hook"
        return f"http://127.0.0.1:{port}/hook"

    def is_hostile(self, kind: str) -> bool:
        """Whether this kind is in a bad spell right now."""
        spell = self._spells.get(kind)
        return spell is not None and spell.is_hostile(time.time() - self.started_at)

    def _bind_refusing(self) -> None:
        """Take a port and do not listen on it: that is what refuses connections."""
        self._waiting = socket.socket()
        self._waiting.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._waiting.bind(("127.0.0.1", 0))
        self.ports[REFUSES] = self._waiting.getsockname()[1]

    async def _watch_refusing(self) -> None:
        while self.is_hostile(REFUSES):  # noqa: ASYNC110 - time alone changes it
            await asyncio.sleep(0.05)
        assert self._waiting is not None
        self._waiting.setblocking(False)
        self._servers.append(await asyncio.start_server(self._serving(REFUSES), sock=self._waiting))
        self._waiting = None

    def _serving(self, kind: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._connections.add(task)
            try:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                    await self._converse(kind, reader, writer)
            except asyncio.CancelledError:
                pass  # the run is over
            finally:
                self._connections.discard(task)
                writer.transport.abort()

        return serve

    async def _converse(self, kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind == BAD_TLS and not await self._shake_hands(writer):
            return
        while True:
            request = await _read_request(reader)
            hostile = kind in RUDE and self.is_hostile(kind)
            self._note(kind, request, accepted=not hostile or kind in ACCEPTING)
            if hostile:
                self.rudenesses[kind] += 1
                await RUDE[kind](writer, self.rudenesses[kind])
                await writer.drain()
                return
            writer.write(_OK)
            await writer.drain()

    async def _shake_hands(self, writer: asyncio.StreamWriter) -> bool:
        """Three ways to fail in turn: an untrusted certificate, bytes that are no TLS, and hanging up."""
        if not self.is_hostile(BAD_TLS):
            await writer.start_tls(self._tls.trusted)
            return True
        self.rudenesses[BAD_TLS] += 1
        match self.rudenesses[BAD_TLS] % 3:
            case 0:
                with contextlib.suppress(ssl.SSLError):
                    await writer.start_tls(self._tls.untrusted)
            case 1:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
            case _:
                pass
        return False

    def _note(self, kind: str, request: _Request, *, accepted: bool) -> None:
        if request.target.startswith(REDIRECTED):
            self.followed += 1
            return
        self.receipts.append(
            Receipt(
                kind=kind,
                webhook_id=request.headers.get("webhook-id", ""),
                body=request.body,
                at=time.time(),
                sender=request.headers.get("user-agent", ""),
                accepted=accepted,
            )
        )

    async def _spring(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Somebody connected to an address that he may not connect to."""
        self.trapped += 1
        writer.transport.abort()


def host_of(kind: str) -> str:
    """The name whose resolution is hostile."""
    return f"{DNS_MODES[kind]}.dns.test"


@dataclass(frozen=True, slots=True)
class _Request:
    target: bytes
    headers: Mapping[str, str]
    body: bytes


async def _read_request(reader: asyncio.StreamReader) -> _Request:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    pairs = (line.decode("latin-1").partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return _Request(first.split(b" ")[1], headers, body)
