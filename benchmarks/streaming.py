"""Open event streams, held by a process: `python -m benchmarks.streaming PORT TOKEN COUNT COUNTER_FILE`.

The shared file counts the events that have arrived on all of them; the process says `open` when all stand.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.counted import Counter

_EVENT = b"\nevent: outcome.applied\n"


class Stream(asyncio.Protocol):
    """One stream. `stands` is done once the first of it has come."""

    def __init__(self, counter: Counter, request: bytes) -> None:
        self.stands: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._counter = counter
        self._request = request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.stands.done():
            if not data.startswith(b"HTTP/1.1 200 "):
                self.stands.set_exception(ConnectionError(f"no stream: {data[:200]!r}"))
                return
            self.stands.set_result(None)
        self._counter.count_up(data.count(_EVENT))


async def _hold(port: int, token: str, count: int, counter: Counter) -> None:
    request = (
        f"GET /phone-system/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        "Accept: text/event-stream\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    for _ in range(count):
        _, stream = await loop.create_connection(lambda: Stream(counter, request), "127.0.0.1", port)
        await stream.stands
    counter.count_up(1)  # they all stand
    await loop.create_future()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_hold(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Counter(Path(sys.argv[4]))))
