"""The load generator: it counts what was answered, and charges a stall for everybody who came during it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from benchmarks.histogram import longest_of
from benchmarks.load import LoadFailed, Orders, Window, read_sent, request, run_load
from benchmarks.machine import places

ALL_CORES = sorted(os.sched_getaffinity(0))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
Answering = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answering) -> AsyncIterator[int]:
    """A server whose answers are the test's; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await answer(await reader.readuntil(b"\r\n\r\n"), writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def load(port: int, *ids: str, seconds: float = 0.3, sent_file: Path | None = None,
               rate: float | None = None, connections: int = 3, again: bool = False) -> Window:  # fmt: skip
    orders = Orders(
        ports=[port],
        template=request("GET", "/things/{id}"),
        expected_status=200,
        connections=connections,
        warm_up_seconds=0.0,
        seconds=seconds,
        rate_per_second=rate,
        cores=ALL_CORES,
        watched={"us": [os.getpid()]},
    )
    return await asyncio.to_thread(run_load, orders, ids, sent_file=sent_file, again=again)


async def test_every_id_is_asked_for_once_and_in_order(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(head.split()[1])
        writer.write(OK)

    ids = [str(number) for number in range(200)]
    async with answering(answer) as port:
        window = await load(port, *ids, connections=1, seconds=60, sent_file=tmp_path / "sent")
    assert asked == [f"/things/{each}".encode() for each in ids]
    assert window.requests_sent == sum(window.statuses.values()) == 200
    # Those that were sent before the window began are not in it.
    assert 150 < window.latency.count <= window.answers <= 200
    assert list(read_sent(tmp_path / "sent")) == sorted(read_sent(tmp_path / "sent"))


async def test_ids_may_be_asked_for_again() -> None:
    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)

    async with answering(answer) as port:
        window = await load(port, "a", "b", again=True)
    assert window.requests_sent > 2


async def test_an_answer_in_pieces_is_one_answer() -> None:
    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        for piece in (OK[:10], OK[10:36], OK[36:40], OK[40:]):
            writer.write(piece)
            await asyncio.sleep(0.001)

    async with answering(answer) as port:
        window = await load(port)
    assert window.statuses == {200: window.requests_sent}
    assert window.used_us("us") is not None


async def test_a_wrong_status_is_no_measurement() -> None:
    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n")

    async with answering(answer) as port:
        with pytest.raises(LoadFailed, match="503"):
            await load(port)


async def test_a_closed_connection_is_no_measurement() -> None:
    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with answering(answer) as port:
        with pytest.raises(LoadFailed, match="closed"):
            await load(port)


async def test_a_stall_is_charged_for_everybody_who_was_to_come_during_it() -> None:
    """At 200 a second, 60 were to be sent during a stall of 0.3 s, though one connection could send but one."""
    stalled = False

    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal stalled
        if not stalled:
            stalled = True
            await asyncio.sleep(0.3)
        writer.write(OK)

    async with answering(answer) as port:
        window = await load(port, rate=200, connections=1, seconds=0.6)
    slow = sum(count for bucket, count in window.latency.buckets.items() if _is_slow(bucket))
    assert slow >= 35  # those of its first 0.2 s waited for 0.1 s and more


def _is_slow(bucket: int) -> bool:

    return longest_of(bucket) >= 100_000


def test_each_party_has_a_core_when_there_are_enough() -> None:
    three, two, one = places({0, 1, 2}), places({4, 7}), places({5})
    assert (*three.server, *three.generator, *three.database) == (0, 1, 2)
    assert (*two.server, *two.generator, *two.database) == (4, 7, 7)
    assert two.generator_has_its_own
    assert not one.generator_has_its_own
