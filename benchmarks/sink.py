"""Where webhooks arrive: answers 200 at once, and keeps when each came.

`python -m benchmarks.sink PORT RECEIPTS_FILE`. The file is shared memory with whoever measures: how many there
were, then a record for each, the call's id and the moment (monotonic clock, which all processes of a machine share).
"""

from __future__ import annotations

import asyncio
import mmap
import re
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import uvloop

RECEIPTS_MAX = 2_000_000
_COUNT = struct.Struct("=Q")
_RECORD = struct.Struct("=36sQ")
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CALL = b'"call_id":"'


class Receipts:
    """What has arrived: written by the sink, read by others at the same time."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            with path.open("wb") as file:
                file.truncate(_COUNT.size + RECEIPTS_MAX * _RECORD.size)  # sparse: takes what is written
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self._written = self.count

    @property
    def count(self) -> int:
        number: int = _COUNT.unpack_from(self._memory)[0]
        return number

    def add(self, call_id: bytes, at_ns: int) -> None:
        """Later ones than there is room for are counted, but no longer kept."""
        if self._written < RECEIPTS_MAX:
            _RECORD.pack_into(self._memory, _COUNT.size + self._written * _RECORD.size, call_id, at_ns)
        self._written += 1
        _COUNT.pack_into(self._memory, 0, self._written)

    def after(self, number: int) -> Iterator[tuple[str, int]]:
        """(call_id, nanoseconds) of those behind the first so many."""
        for index in range(number, min(self.count, RECEIPTS_MAX)):
            call_id, at_ns = _RECORD.unpack_from(self._memory, _COUNT.size + index * _RECORD.size)
            yield call_id.decode(), at_ns


class Reception(asyncio.Protocol):
    """One connection of a sender, which sends its next request after the answer."""

    def __init__(self, receipts: Receipts) -> None:
        self._receipts = receipts
        self._transport: asyncio.Transport | None = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._data += data
        head = self._data.find(b"\r\n\r\n")
        length = _LENGTH.search(self._data, 0, head) if head >= 0 else None
        if length is None or len(self._data) < head + 4 + int(length[1]):
            return
        self._receipts.add(_call_of(self._data, head), time.monotonic_ns())
        self._data = b""
        self._transport.write(_ANSWER)


def _call_of(data: bytes, head: int) -> bytes:
    at = data.find(_CALL, head)
    return data[at + len(_CALL) : at + len(_CALL) + 36] if at >= 0 else b""


async def _serve(port: int, receipts: Receipts) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Reception(receipts), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1]), Receipts(Path(sys.argv[2]))))
