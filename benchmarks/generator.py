"""The load generator, as a process: `python -m benchmarks.generator ORDERS`, its findings as JSON on standard output.

Requests are encoded before the load begins, answers are read no further than their status and length.

Closed loop (no rate): each connection sends its next request when the last is answered. Open loop (a rate):
requests have the moments at which they are meant to be sent, evenly apart, and their latency counts from those moments
also when they had to wait for a free connection: a server that stalls is charged for everybody who came meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator
from itertools import cycle, islice, repeat
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from benchmarks.histogram import Histogram
from benchmarks.load import ID_MARK, TOKEN_MARK, Orders, Window
from benchmarks.machine import CoreTime, core_time, pin, processor_seconds

WAITING_MAX = 20_000
TICK_SECONDS = 0.001
ANSWER_SECONDS_MAX = 30.0
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class Broken(Exception):
    """A connection that was closed, or an answer that is no HTTP with a length."""


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._missing_bytes = 0
        self._status = 0
        self.meant_for_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def send(self, request: bytes, meant_for_ns: int) -> None:
        assert self._transport is not None
        self.meant_for_ns = meant_for_ns
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._missing_bytes:
            self._missing_bytes -= len(data)
        else:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            self._read_head(data, end)
        if self._missing_bytes < 0:
            self._load.fail(Broken("more was answered than was asked for"))
        elif not self._missing_bytes:
            self._load.answered(self, self._status)

    def _read_head(self, data: bytes, end: int) -> None:
        self._head = b""
        length = _LENGTH.search(data, 0, end)
        if length is None:
            self._load.fail(Broken(f"an answer without a length: {data[:200]!r}"))
            return
        self._status = int(data[9:12])
        self._missing_bytes = end + 4 + int(length[1]) - len(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(exc)

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()


class Meter:
    """Processor time at one moment, of those who are watched, of this process and of its core."""

    def __init__(self, orders: Orders) -> None:
        self.before_ns = time.monotonic_ns()
        self.own_seconds = time.process_time()
        self.core: CoreTime = core_time(frozenset(orders.cores))
        self.used = {name: sum(map(processor_seconds, pids)) for name, pids in orders.watched.items()}
        # Reading takes milliseconds, during which nothing is sent: they belong to no window.
        self.after_ns = time.monotonic_ns()


class Load:
    """All connections together, from warming up to the last answer."""

    def __init__(self, orders: Orders, requests: Iterator[bytes]) -> None:
        self._orders = orders
        self._requests = requests
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._waiting: deque[int] = deque()
        self._under_way = 0
        self.sent = array("Q")
        self._stopping = False
        self._overrun = False
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._begin: Meter | None = None
        self._end: Meter | None = None
        self._answers = 0
        self._statuses: Counter[int] = Counter()
        self._latency = Histogram()

    async def run(self) -> Window:
        """Connect, warm up, measure, and wait for what is under way."""
        ports = islice(cycle(self._orders.ports), self._orders.connections)
        connections = [await self._connect(port) for port in ports]
        now_ns = time.monotonic_ns()
        self._loop.call_later(self._orders.warm_up_seconds, self._begin_window)
        self._loop.call_later(self._orders.warm_up_seconds + self._orders.seconds, self._stop_when_due)
        if self._orders.rate_per_second is None:
            for connection in connections:
                self._send(connection, now_ns)
        else:
            self._idle = connections
            self._next_ns = float(now_ns)
            self._step_ns = 1e9 / self._orders.rate_per_second
            self._tick()
        latest_seconds = self._orders.warm_up_seconds + self._orders.seconds + ANSWER_SECONDS_MAX
        await asyncio.wait_for(self._done, latest_seconds)
        for connection in connections:
            connection.close()
        return self._window()

    async def _connect(self, port: int) -> Connection:
        _, connection = await self._loop.create_connection(lambda: Connection(self), "127.0.0.1", port)
        return connection

    # The window

    def _begin_window(self) -> None:
        if not self._stopping:
            self._begin = Meter(self._orders)

    def _stop_when_due(self) -> None:
        """At the end of the window; when nothing was sent and answered within it, a little later."""
        if self._latency.count:
            self.stop()
        else:
            self._loop.call_later(TICK_SECONDS, self._stop_when_due)

    def stop(self) -> None:
        """Send no more. What is under way is waited for, so that nothing of it falls into the next load."""
        if self._stopping:
            return
        self._stopping = True
        self._end = Meter(self._orders)
        for meant_for_ns in self._waiting:
            # Nobody sent it, and nobody would have been answered sooner than this.
            self._note(meant_for_ns, self._end.before_ns)
        self._waiting.clear()
        self._finish()

    def _finish(self) -> None:
        if self._stopping and not self._under_way and not self._done.done():
            self._done.set_result(None)

    def fail(self, broken: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(broken)

    def lost(self, broken: Exception | None) -> None:
        if not self._done.done():
            self.fail(Broken(f"a connection was closed: {broken}"))

    # Sending

    def _send(self, connection: Connection, meant_for_ns: int) -> None:
        request = next(self._requests, None)
        if request is None:
            self.stop()  # all ids are used up: the window ends here
            return
        self.sent.append(meant_for_ns)
        self._under_way += 1
        connection.send(request, meant_for_ns)

    def _tick(self) -> None:
        """Send what is due by now; one tick late at most, which counts as latency like all else."""
        if self._stopping:
            return
        now_ns = time.monotonic_ns()
        while self._next_ns <= now_ns:
            self._waiting.append(int(self._next_ns))
            self._next_ns += self._step_ns
        while self._waiting and self._idle and not self._stopping:
            self._send(self._idle.pop(), self._waiting.popleft())
        if len(self._waiting) > WAITING_MAX:
            self._overrun = True
            self.stop()
            return
        self._loop.call_later(TICK_SECONDS, self._tick)

    def answered(self, connection: Connection, status: int) -> None:
        now_ns = time.monotonic_ns()
        self._under_way -= 1
        self._statuses[status] += 1
        if self._begin is not None and self._end is None:
            self._answers += 1
        self._note(connection.meant_for_ns, now_ns)
        if self._stopping:
            self._finish()
        elif self._orders.rate_per_second is None:
            self._send(connection, now_ns)
        elif self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _note(self, meant_for_ns: int, now_ns: int) -> None:
        """The latency of a request that was meant for the window, also when its answer comes after it."""
        if self._begin is not None and meant_for_ns >= self._begin.after_ns:
            self._latency.add((now_ns - meant_for_ns) // 1000)

    # Findings

    def _window(self) -> Window:
        begin, end = self._begin, self._end
        if begin is None or end is None:
            raise Broken("the requests were used up while warming up")
        seconds = (end.before_ns - begin.after_ns) / 1e9
        busy = end.core.busy_seconds - begin.core.busy_seconds
        idle = end.core.idle_seconds - begin.core.idle_seconds
        return Window(
            answers=self._answers,
            seconds=seconds,
            requests_sent=len(self.sent),
            began_ns=begin.after_ns,
            statuses=dict(self._statuses),
            buckets=dict(self._latency.buckets),
            used_seconds={name: end.used[name] - begin.used[name] for name in end.used},
            generator_share=(end.own_seconds - begin.own_seconds) / seconds,
            core_share=busy / (busy + idle) if busy + idle else 0.0,
            overrun=self._overrun,
        )


def _requests(orders: Orders) -> Iterator[bytes]:
    """Every request, encoded; without ids the same again and again."""
    if orders.ids_file is None:
        return repeat(orders.template)
    lines = Path(orders.ids_file).read_bytes().splitlines()
    requests = [_filled(orders.template, each) for each in lines]
    return cycle(requests) if orders.again else iter(requests)


def _filled(template: bytes, line: bytes) -> bytes:
    found, _, token = line.partition(b" ")
    return template.replace(ID_MARK, found).replace(TOKEN_MARK, token)


async def _run(orders: Orders) -> tuple[Window, array[int]]:
    requests = _requests(orders)
    gc.collect()
    gc.disable()  # its pauses would be charged to the server; nothing here makes cycles
    load = Load(orders, requests)
    return await load.run(), load.sent


def main(orders_file: str) -> int:
    """Run the load; 0 when it ran to its end."""
    orders = msgspec.json.decode(Path(orders_file).read_bytes(), type=Orders)
    pin([os.getpid()], frozenset(orders.cores))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            window, sent = runner.run(_run(orders))
    except (Broken, OSError, TimeoutError) as broken:
        sys.stderr.write(f"{type(broken).__name__}: {broken}\n")
        return 1
    if orders.sent_file is not None:
        Path(orders.sent_file).write_bytes(sent.tobytes())
    sys.stdout.buffer.write(msgspec.json.encode(window))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
