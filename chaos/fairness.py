"""What 100,000 waiting deliveries cost everybody else: apply to receipt, with and without them.

Three servers with a database each, alike but for the backlog of the third. They are measured in turn, a slice
each, so that whatever else the machine does falls on all; those that are not measured are stopped (SIGSTOP)
meanwhile. The second is the control: nothing tells it from the first, so its ratio says how far such a number
moves by itself. A quantile is that of a slice, a ratio that of a round, in which each had one, and of the rounds
the median counts: a pause of the machine falls into one of them, and what it does all day on all.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import random
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import asyncpg
import msgspec

from chaos.caller import Caller
from chaos.slow import slow_receivers
from harness import Desk, Server
from leadline.clock import Clock
from leadline.ids import new_id
from leadline.settings import Settings
from leadline.store.database import Tx
from leadline.store.deliveries import DeliveryRow, insert_deliveries
from leadline.store.engines import Engine
from leadline.store.migrating import engine_of
from leadline.wiring import opened
from postgres import DURABLE, start_postgres

BACKLOG = 100_000
OTHER_ENDPOINTS = 4
BUSY_ENDPOINTS = 20
SCENARIOS = ("one dead endpoint", "one busy workspace")
SLICE_SECONDS = 8.0
WARM_UP_SECONDS = 1.0
APPLIES_PER_SECOND = 40.0
RECEIPT_SECONDS_MAX = 20.0
_CHUNK = 5_000


class Inbox:
    """Receivers that answer at once and know when what arrived."""

    def __init__(self) -> None:
        self.port = 0
        self._arrivals: dict[str, asyncio.Future[float]] = {}
        self._early: dict[str, float] = {}

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen on loopback for as long as the block runs."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    async def arrival(self, webhook_id: str) -> float:
        """When it arrived, in seconds of the monotonic clock."""
        if webhook_id in self._early:
            return self._early.pop(webhook_id)
        arrived = self._arrivals[webhook_id] = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(arrived, RECEIPT_SECONDS_MAX)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    await self._answer(reader, writer)
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        fields = {name.lower(): value for name, value in headers.items()}
        await reader.readexactly(int(fields["content-length"]))
        self._note(fields["webhook-id"])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    def _note(self, webhook_id: str) -> None:
        waiting = self._arrivals.pop(webhook_id, None)
        if waiting is None:
            self._early[webhook_id] = time.monotonic()
        elif not waiting.done():
            waiting.set_result(time.monotonic())


@dataclass
class Arm:
    """One server with its workspace that is measured; `slices` are the latencies so far, in seconds."""

    name: str
    server: Server
    desk: Desk
    outcome_ids: list[str]
    slices: list[list[float]] = field(default_factory=list)

    def freeze(self) -> None:
        self.server.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.server.process.send_signal(signal.SIGCONT)


def measure(engine: str, seconds: float) -> str:
    """Both questions of fairness on one engine, as a table; `seconds` is how long each is measured."""
    with tempfile.TemporaryDirectory(prefix="leadline-fairness-") as folder, _databases(engine) as make:
        # What is loaded here is not to be searched for garbage while somebody is measured.
        gc.collect()
        gc.freeze()
        lines = [f"engine {engine}, {BACKLOG} deliveries waiting, {APPLIES_PER_SECOND:g} applies a second"]
        for scenario in SCENARIOS:
            place = Path(folder) / scenario.replace(" ", "-")
            place.mkdir()
            lines += asyncio.run(_measure(scenario, make, place, seconds))
        return "\n".join(lines)


@contextlib.contextmanager
def _databases(engine: str) -> Iterator[Callable[[Path, str], str]]:
    numbers = itertools.count()
    if engine == "sqlite":
        yield lambda place, name: f"sqlite:///{place / name}.db"
        return
    with start_postgres(DURABLE) as cluster:
        cluster.wear_in()
        yield lambda _place, _name: cluster.create_database(f"fairness_{next(numbers)}")


async def _measure(scenario: str, make: Callable[[Path, str], str], place: Path, seconds: float) -> list[str]:
    inbox = Inbox()
    async with inbox.listening(), slow_receivers() as slow_port:
        arms = [
            await _make_arm(name, make(place, name), place, inbox) for name in ("without", "again", "with")
        ]
        try:
            await _fill(scenario, arms[2], slow_port)
            await _take_turns(arms, inbox, seconds)
        finally:
            for arm in arms:
                arm.thaw()
                arm.server.kill()
    return _lines(scenario, *arms)


async def _make_arm(name: str, database_url: str, place: Path, inbox: Inbox) -> Arm:
    directory = place / name
    directory.mkdir()
    settings = {"LEADLINE_WEBHOOK_ALLOW_CIDRS": "127.0.0.1/32", "LEADLINE_LOG_LEVEL": "warning"}
    server = await asyncio.to_thread(Server(database_url, directory, **settings).start)
    desk = await asyncio.to_thread(Desk.open, server)
    outcome_ids = []
    for number in range(OTHER_ENDPOINTS):
        outcome = await asyncio.to_thread(desk.action, inbox.url(f"good/{number}"))
        outcome_ids.append(outcome["outcome_id"])
    return Arm(name, server, desk, outcome_ids)


async def _fill(scenario: str, arm: Arm, slow_port: int) -> None:
    """Put the backlog into the database, all of it due now."""
    if scenario == "one dead endpoint":
        desk, paths = arm.desk, ["dead"]
    else:
        desk = await asyncio.to_thread(Desk.open, arm.server, "Busy")
        paths = [f"busy/{number}" for number in range(BUSY_ENDPOINTS)]
    endpoint_ids = {}
    for path in paths:
        url = f"http://127.0.0.1:{slow_port}/{path}"
        await asyncio.to_thread(desk.action, url)
        endpoint = await asyncio.to_thread(desk.endpoint_of, url)
        endpoint_ids[url] = endpoint["endpoint_id"]
    # One process to an SQLite file; and PostgreSQL need not send while it is being filled.
    await asyncio.to_thread(arm.server.stop)
    async with opened(Settings(database_url=arm.server.database_url), migrated=False) as database:
        now_ms = Clock().now_ms()
        every = itertools.cycle(endpoint_ids.items())
        for _ in range(BACKLOG // _CHUNK):
            rows = [_delivery(desk.subaccount_id, *next(every), now_ms) for _ in range(_CHUNK)]
            await database.write(_inserting(rows))
    await _settle(arm.server.database_url)
    await asyncio.to_thread(arm.server.start)
    arm.desk = arm.desk.on(arm.server)


async def _settle(database_url: str) -> None:
    """Have PostgreSQL do now what it would do by itself in the next minutes: they wait here, they did not just come."""
    if engine_of(database_url) is not Engine.POSTGRESQL:
        return
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("VACUUM (ANALYZE) deliveries")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def _inserting(rows: Sequence[DeliveryRow]) -> Callable[[Tx], Awaitable[None]]:
    async def insert(tx: Tx) -> None:
        await insert_deliveries(tx, rows)

    return insert


def _delivery(workspace_id: str, webhook_url: str, endpoint_id: str, now_ms: int) -> DeliveryRow:
    return DeliveryRow(
        workspace_id=workspace_id,
        delivery_id=new_id(),
        endpoint_id=endpoint_id,
        applied_id=None,
        outcome_id=None,
        call_id=None,
        contact_id=None,
        webhook_url=webhook_url,
        payload=msgspec.json.encode({"filler": "x" * 400}).decode(),
        state="pending",
        due_at=now_ms,
        attempt_count=0,
        schedule_step=0,
        lease_id=None,
        last_error=None,
        last_status=None,
        created_at=now_ms,
        finished_at=None,
    )


async def _take_turns(arms: Sequence[Arm], inbox: Inbox, seconds: float) -> None:
    for arm in arms:
        arm.freeze()
    numbers = itertools.count(5_550_000)
    for number in range(max(1, round(seconds / (len(arms) * SLICE_SECONDS)))):
        first = number % len(arms)
        for arm in [*arms[first:], *arms[:first]]:
            arm.thaw()
            await asyncio.sleep(WARM_UP_SECONDS)
            await _measure_slice(arm, inbox, numbers)
            arm.freeze()


async def _measure_slice(arm: Arm, inbox: Inbox, numbers: Iterator[int]) -> None:
    """Apply at a steady rate, whatever the answers take, and wait for every receipt."""
    chance = random.Random(0)  # noqa: S311 - one server, nothing to choose
    token = arm.desk.api.token
    assert token is not None
    samples: list[asyncio.Task[float]] = []
    async with Caller(lambda: [arm.server.base_url], token, chance) as caller:
        for turn in range(round(SLICE_SECONDS * APPLIES_PER_SECOND)):
            outcome_id = arm.outcome_ids[turn % len(arm.outcome_ids)]
            samples.append(asyncio.create_task(_latency(caller, inbox, outcome_id, next(numbers))))
            await asyncio.sleep(1 / APPLIES_PER_SECOND)
        arm.slices.append(await asyncio.gather(*samples))


async def _latency(caller: Caller, inbox: Inbox, outcome_id: str, number: int) -> float:
    """From sending the apply to its webhook's arrival."""
    call = await caller.post("/calls", {"phone_number": f"+1212{number}"}, f"call-{number}")
    started_at = time.monotonic()
    path = f"/calls/{call.json['call']['call_id']}/outcomes"
    answer = await caller.post(path, {"outcome_id": outcome_id}, f"apply-{number}")
    return await inbox.arrival(answer.json["applied"]["delivery_id"]) - started_at


def _lines(scenario: str, without: Arm, again: Arm, loaded: Arm) -> list[str]:
    lines = []
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        calm, alike, with_it = (
            [_quantile(each, share) for each in arm.slices] for arm in (without, again, loaded)
        )
        # Both calm arms together are what the loaded one is measured by.
        both = [(one + other) / 2 for one, other in zip(calm, alike, strict=True)]
        lines.append(
            f"{scenario:20} {name}: {1000 * median(both):7.1f} ms without, {1000 * median(with_it):7.1f} ms with,"
            f" ratio {_ratio(with_it, both):5.2f}; control {_ratio(alike, calm):5.2f}"
            f"  ({len(with_it)} rounds of {len(loaded.slices[0])} each)"
        )
    return lines


def _ratio(values: Sequence[float], others: Sequence[float]) -> float:
    return median(value / other for value, other in zip(values, others, strict=True))


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
