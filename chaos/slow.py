"""Receivers that take their time, in a process of their own: what they cost must not be charged to who measures.

`python -m chaos.slow` listens on loopback, prints its port and ends with its standard input. `/busy/…` answers
after half a second to one and a half, not all alike: answers that come in step make bursts that no real receivers
make. `/dead` never answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
from collections.abc import AsyncIterator

BUSY_ANSWER_SECONDS = (0.5, 1.5)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_LENGTH = b"content-length:"


class _Receiver(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._seen = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, end, body = self._seen.partition(b"\r\n\r\n")
        if not end or len(body) < _length_of(head):
            return
        self._seen = b""
        if not head.split(b" ", 2)[1].startswith(b"/dead"):
            wait_seconds = self._chance.uniform(*BUSY_ANSWER_SECONDS)
            asyncio.get_running_loop().call_later(wait_seconds, self._answer)

    def _answer(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_ANSWER)


def _length_of(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next((int(line.removeprefix(_LENGTH)) for line in lines if line.startswith(_LENGTH)), 0)


async def _listen() -> None:
    loop = asyncio.get_running_loop()
    chance = random.Random(0)  # noqa: S311 - reproducible on purpose
    server = await loop.create_server(lambda: _Receiver(chance), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextlib.asynccontextmanager
async def slow_receivers() -> AsyncIterator[int]:
    """Their port, for as long as the block runs."""
    command = [sys.executable, "-m", "chaos.slow"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(await asyncio.to_thread(process.stdout.readline))
        finally:
            process.stdin.close()
            await asyncio.to_thread(process.wait)


if __name__ == "__main__":
    asyncio.run(_listen())
