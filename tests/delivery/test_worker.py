"""The worker against real receivers, on both engines (contract § 8)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import hashlib
import hmac
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from delivery.receivers import OK, Receiver, read_request, receiving
from leadline.clock import Clock
from leadline.delivery import agenda, results
from leadline.delivery import worker as worker_module
from leadline.delivery.places import IN_FLIGHT_FIRST, WORKSPACE_SHARE
from leadline.delivery.sender import Sender
from leadline.delivery.worker import Observer, Worker, WorkerSettings
from leadline.domain.addresses import AddressPolicy
from leadline.domain.calls import CallState
from leadline.domain.errors import Unavailable
from leadline.domain.outcomes import OutcomeDefinition, OutcomeType, Stay
from leadline.domain.paging import page_request
from leadline.domain.signing import new_secret
from leadline.ids import new_id
from leadline.operations.apply_outcome import Application, apply_outcome
from leadline.operations.calls import NewCall, start_call
from leadline.operations.claim_deliveries import (
    Claim,
    ClaimRequest,
    Prospect,
    claim_deliveries,
    find_claimable,
)
from leadline.operations.contacts import erase_contact
from leadline.operations.deliveries import cancel_delivery, get_delivery, list_deliveries, retry_delivery
from leadline.operations.delivering import renew_leases, workspaces_due
from leadline.operations.endpoints import change_endpoint, list_endpoints
from leadline.operations.outcomes import define_outcome
from leadline.operations.record_attempts import Attempted
from leadline.operations.workspaces import create_workspace, delete_workspace, rotate_secret
from leadline.store import deliveries as store
from leadline.store.database import Database, Tx
from leadline.store.engines import Statement
from leadline.store.migrating import migrate
from leadline.wire.deliveries import DeliverySummary, EndpointView
from postgres import DURABLE, PostgresServer, start_postgres
from store.databases import make_database as database_at

SETTINGS = WorkerSettings(waits_seconds=(0.05, 0.05, 0.05), timeout_seconds=15.0)
PATIENCE_SECONDS = 30.0
EMPTY = Statement("UPDATE deliveries SET payload = NULL WHERE workspace_id = :workspace_id", register=False)
SEAL = Statement(
    "UPDATE webhook_secrets SET secret = :secret WHERE workspace_id = :workspace_id", register=False
)
CANCEL = Statement(
    "UPDATE deliveries SET state = 'canceled', due_at = NULL, finished_at = 1 WHERE workspace_id = :workspace_id",
    register=False,
)
AN_HOUR_AHEAD = Statement(
    "UPDATE endpoints SET failures_in_a_row = 20, failing_since = {now_ms} + 3600000, probe_at = {now_ms} + 3660000,"
    " bucket_tokens = 0, bucket_at = {now_ms} + 3600000 WHERE workspace_id = :workspace_id",
    register=False,
)
END_LEASES_OF = Statement(
    "UPDATE deliveries SET due_at = 1 WHERE workspace_id = :workspace_id AND lease_id IS NOT NULL",
    register=False,
)
GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"


class Hall:
    """A receiver that knows how many requests are in it at once, and lets nobody out while a gate is shut."""

    def __init__(self) -> None:
        self.present = 0
        self.present_max = 0
        self.requests: list[bytes] = []
        self.answers: list[bytes] = []
        self.shut: dict[bytes, asyncio.Event] = {}

    def shut_gate(self, path: bytes = b"/hook") -> asyncio.Event:
        """Set the event to open it again."""
        self.shut[path] = asyncio.Event()
        return self.shut[path]

    def ids(self, path: bytes = b"/hook") -> list[str]:
        """The deliveries that arrived, in their order."""
        mine = [request for request in self.requests if request.split(b" ", 2)[1] == path]
        return [header(request, b"webhook-id") for request in mine]

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await read_request(reader):
            self.requests.append(request)
            self.present += 1
            self.present_max = max(self.present_max, self.present)
            try:
                gate = self.shut.get(request.split(b" ", 2)[1])
                if gate is not None:
                    await gate.wait()
            finally:
                self.present -= 1
            writer.write(self.answers.pop(0) if self.answers else OK)
            await writer.drain()


def header(request: bytes, name: bytes) -> str:
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    values = dict(line.split(b": ", 1) for line in lines)
    return {key.lower(): value for key, value in values.items()}[name].decode()


class Solitude(Observer):
    """How many workspaces are left alone."""

    def __init__(self) -> None:
        self.count = 0

    def leaving_alone(self, count: int) -> None:
        self.count = count


class Takeovers(Observer):
    def __init__(self) -> None:
        self.count = 0

    def taken_over(self, count: int) -> None:
        self.count += count


@dataclass
class Site:
    """A workspace with outcomes that send to the hall, and workers that stop when the test ends."""

    database: Database
    workspace_id: str
    hall: Hall
    receiver: Receiver
    workers: contextlib.AsyncExitStack
    running: list[Worker] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)
    calls: int = 0

    async def fill(self, count: int, path: str = "/hook") -> None:
        """So many deliveries to the endpoint of this path, in one transaction."""
        if path not in self.outcomes:
            self.outcomes[path] = await self.database.write(lambda tx: self._define(tx, path))

        async def apply(tx: Tx) -> None:
            for number in range(self.calls, self.calls + count):
                phone_number = f"+1212555{number:04}"
                new = NewCall(phone_number, None, None, "outbound", None, CallState.LIVE, None)
                call, _ = await start_call(tx, self.workspace_id, new)
                application = Application(call.call.call_id, self.outcomes[path])
                await apply_outcome(tx, self.workspace_id, application)

        await self.database.write(apply)
        self.calls += count

    async def _define(self, tx: Tx, path: str) -> str:
        url = f"http://127.0.0.1:{self.receiver.port}{path}"
        definition = OutcomeDefinition("Done", OutcomeType.ACTION, 0, Stay(), url)
        outcome, _ = await define_outcome(tx, self.workspace_id, definition)
        return outcome.outcome.outcome_id

    async def work(self, database: Database | None = None, observer: Observer | None = None) -> Worker:
        """A worker with a sender of its own, started."""
        sender = Sender(policy=AddressPolicy.parse("127.0.0.0/8"), user_agent="Leadline/test")
        await sender.start()
        self.workers.push_async_callback(sender.close)
        worker = Worker(database or self.database, sender, SETTINGS, Clock(), observer)
        await worker.start()
        self.running.append(worker)
        self.workers.push_async_callback(self.stop, worker, 0)
        return worker

    async def stop(self, worker: Worker, grace_seconds: float) -> None:
        if worker in self.running:
            self.running.remove(worker)
            await worker.stop(grace_seconds)

    async def endpoint(self, path: str = "/hook") -> EndpointView:
        answer = await self.database.read(
            lambda tx: list_endpoints(tx, self.workspace_id, page_request(200, None), timeout_seconds=15)
        )
        return next(each for each in answer.endpoints if each.webhook_url.endswith(path))

    async def change(self, path: str = "/hook", **changes: Any) -> None:
        endpoint_id = (await self.endpoint(path)).endpoint_id
        await self.database.write(
            lambda tx: change_endpoint(tx, self.workspace_id, endpoint_id, changes, timeout_seconds=15)
        )

    async def seal(self, secret: str = "sealed:v1:" + "A" * 64) -> None:
        """The workspace's secret is another; by itself one sealed with a key that nobody here has."""
        await self.run(SEAL, secret=secret)

    async def run(self, statement: Statement, **values: Any) -> None:
        await self.database.write(lambda tx: tx.run(statement, workspace_id=self.workspace_id, **values))

    async def deliveries(self) -> list[DeliverySummary]:
        answer = await self.database.read(
            lambda tx: list_deliveries(tx, self.workspace_id, page_request(200, None), {})
        )
        return list(answer.deliveries)

    async def succeeded(self) -> int:
        return Counter(each.state for each in await self.deliveries())["succeeded"]

    async def until_succeeded(self, count: int) -> None:
        async def enough() -> bool:
            return await self.succeeded() >= count

        await until(enough)


async def until(probe: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await probe():  # noqa: ASYNC110 - a receiver and a database ring no bell
            await asyncio.sleep(0.005)


async def until_present(hall: Hall, count: int) -> None:
    """Until so many requests are inside."""

    async def enough() -> bool:
        return hall.present >= count

    await until(enough)


async def until_polled(worker: Worker, times: int = 2) -> None:
    """Until it has looked for work so many times of its own accord."""
    for _ in range(times):
        last = worker._agenda._look_round_at

        async def looked(last: float = last) -> bool:
            return worker._agenda._look_round_at != last

        await until(looked)


@contextlib.asynccontextmanager
async def site_on(url: str) -> AsyncIterator[Site]:
    await migrate(url)
    database = database_at(url)
    await database.open()
    row = await database.write(lambda tx: create_workspace(tx, "Worker"))
    hall = Hall()
    try:
        async with receiving(hall.script) as receiver, contextlib.AsyncExitStack() as workers:
            yield Site(database, row.workspace_id, hall, receiver, workers)
    finally:
        await database.write(lambda tx: delete_workspace(tx, row.workspace_id))
        await database.close()


@pytest.fixture(scope="module")
def url(engine: str, make_database: Callable[[str], str]) -> str:
    return make_database(engine)


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker has to find by itself is found soon."""
    monkeypatch.setattr(agenda, "POLL_SECONDS", 0.2)


@pytest.fixture
async def site(url: str) -> AsyncIterator[Site]:
    async with site_on(url) as made:
        yield made


@pytest.fixture
async def postgres_site(make_database: Callable[[str], str]) -> AsyncIterator[tuple[Site, Database]]:
    """A site and a second way into its database, as another process would have."""
    url = make_database("postgresql")
    async with site_on(url) as made:
        other = database_at(url)
        await other.open()
        try:
            yield made, other
        finally:
            await made.workers.aclose()
            await other.close()


def test_an_attempt_that_may_outlast_its_lease_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ValueError, match="30 s"):
        WorkerSettings(waits_seconds=(1.0,), timeout_seconds=30.5)
    WorkerSettings(waits_seconds=(1.0,), timeout_seconds=30)
    monkeypatch.setattr(worker_module, "LEASE_SECONDS", 34)
    with pytest.raises(ValueError, match="34 s"):
        WorkerSettings(waits_seconds=(1.0,), timeout_seconds=1)


async def test_places_are_taken_up_again_where_they_are_given_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: Counter[str] = Counter()
    write = site.database.write

    async def counted(work: Any, **how: bool) -> Any:
        if isinstance(work, partial):
            kinds[work.func.__name__] += 1
        return await write(work, **how)

    monkeypatch.setattr(site.database, "write", counted)
    await site.fill(1)
    await site.change(max_concurrency=2)
    await site.fill(39)
    await site.work()
    await site.until_succeeded(40)
    assert site.hall.present_max <= 2
    assert kinds["_record"] >= 20
    assert kinds["_claim"] < kinds["_record"] / 2


async def test_a_receiver_never_has_more_requests_at_once_than_its_endpoint_allows(site: Site) -> None:
    await site.fill(1)
    await site.change(max_concurrency=3)
    await site.fill(20)
    gate = site.hall.shut_gate()
    worker = await site.work()
    await until_present(site.hall, 3)
    await until_polled(worker)
    gate.set()
    await site.until_succeeded(21)
    assert site.hall.present_max == 3


async def test_a_rate_limit_is_kept_over_any_stretch_of_time(site: Site) -> None:
    per_second, count = 40, 70
    await site.fill(1)
    await site.change(rate_limit_per_second=float(per_second), max_concurrency=100)
    await site.fill(count - 1)
    loop = asyncio.get_running_loop()
    start = loop.time()
    await site.work()

    async def all_arrived() -> bool:
        arrived = len(site.hall.requests)
        # Looked at after the count, so a slow machine only widens the bound.
        assert arrived <= per_second * (1 + loop.time() - start) + 1
        return arrived == count

    await until(all_arrived)


async def test_who_stops_waits_for_no_database_to_take_back_what_is_under_way(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, asked = site.database.write, asyncio.Event()

    async def away(work: Any, **how: bool) -> Any:
        if isinstance(work, partial) and work.func.__name__ == "_release":
            asked.set()
            await asyncio.Event().wait()
        return await write(work, **how)

    await site.fill(1)
    site.hall.shut_gate()
    worker = await site.work()
    await until_present(site.hall, 1)
    monkeypatch.setattr(worker_module, "STOP_RELEASING_SECONDS", 0.05)
    monkeypatch.setattr(site.database, "write", away)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await site.stop(worker, 0)
    assert asked.is_set()
    (left,) = await site.deliveries()
    assert left.state == "pending"


async def test_a_paused_endpoint_gets_nothing_and_loses_nothing(site: Site) -> None:
    await site.fill(1)
    await site.change(state="paused")
    await site.fill(4)
    await site.fill(1, "/other")
    worker = await site.work()
    await site.until_succeeded(1)
    await until_polled(worker)
    assert len(site.hall.ids(b"/other")) == 1
    assert not site.hall.ids()
    await site.change(state="active")
    await site.until_succeeded(6)
    assert len(set(site.hall.ids())) == len(site.hall.ids()) == 5


async def test_looks_in_vain_become_few_and_nobody_waits_for_them(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def find(workspace_id: str, tx: Tx) -> Prospect:
        nonlocal looks
        looks += 1
        return await find_claimable(tx, workspace_id)

    monkeypatch.setattr(worker_module, "_find", find)
    for name in ("VAIN_SECONDS_MIN", "VAIN_SECONDS_MAX"):
        monkeypatch.setattr(agenda, name, 60.0)
    await site.fill(1)
    await site.change(state="paused")
    worker = await site.work()
    # What was committed before it began may be told when it has.
    await until_polled(worker)
    worker._agenda._vain_looks.clear()
    looks = 0
    for number in range(1, agenda.VAIN_LOOKS_FREE + 1):
        await site.fill(1)

        async def looked(number: int = number) -> bool:
            # What it read it hears of when that is on the disk, perhaps after the next commit.
            return looks == worker._agenda._vain_looks[site.workspace_id] == number

        await until(looked)
    for _ in range(5):
        await site.fill(1)
    await asyncio.sleep(0.05)
    assert looks == agenda.VAIN_LOOKS_FREE
    # The poll finds what another endpoint has room for, and from then on every commit is looked at again.
    await site.fill(1, "/other")
    await site.until_succeeded(1)
    monkeypatch.setattr(agenda, "POLL_SECONDS", 60.0)
    await site.fill(1, "/other")
    await site.until_succeeded(2)


async def test_a_delivery_with_nothing_to_send_is_canceled_and_not_claimed_for_ever(site: Site) -> None:
    await site.fill(1)

    async def empty(tx: Tx) -> None:
        await tx.run(EMPTY, workspace_id=site.workspace_id)

    await site.database.write(empty)
    await site.fill(1)
    worker = await site.work()
    await site.until_succeeded(1)
    await until_polled(worker)
    states = {each.state: each.attempt_count for each in await site.deliveries()}
    assert states == {"canceled": 0, "succeeded": 1}
    assert len(site.hall.requests) == 1


async def test_a_person_erased_while_his_delivery_is_retried_leaves_nothing_to_be_sent(
    postgres_site: tuple[Site, Database],
) -> None:
    site, other = postgres_site
    await site.fill(1)
    (delivery,) = await site.deliveries()
    contact_id = delivery.contact_id
    assert contact_id is not None
    await site.database.write(lambda tx: cancel_delivery(tx, site.workspace_id, delivery.delivery_id))
    retried, go_on = asyncio.Event(), asyncio.Event()

    async def retry(tx: Tx) -> None:
        await retry_delivery(tx, site.workspace_id, delivery.delivery_id)
        retried.set()
        await go_on.wait()

    retrying = asyncio.create_task(site.database.write(retry))
    await retried.wait()
    erasing = asyncio.create_task(other.write(lambda tx: erase_contact(tx, site.workspace_id, contact_id)))
    await asyncio.sleep(0.3)  # it has come to the row that is held, and waits
    go_on.set()
    await asyncio.gather(retrying, erasing)
    assert [each.state for each in await site.deliveries()] == ["canceled"]


async def test_a_person_erased_while_an_answer_is_written_down_leaves_no_answer(
    postgres_site: tuple[Site, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, other = postgres_site
    record, written, go_on = worker_module._record, asyncio.Event(), asyncio.Event()

    async def record_slowly(*arguments: Any) -> tuple[int | None, Prospect, Claim]:
        answer = await record(*arguments)
        written.set()
        await go_on.wait()
        return answer

    monkeypatch.setattr(worker_module, "_record", record_slowly)
    site.hall.answers.append(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nAda")
    await site.fill(1)
    (delivery,) = await site.deliveries()
    contact_id = delivery.contact_id
    assert contact_id is not None
    await site.work()
    await written.wait()
    erasing = asyncio.create_task(other.write(lambda tx: erase_contact(tx, site.workspace_id, contact_id)))
    await asyncio.sleep(0.3)  # it has come to the row that is held, and waits
    go_on.set()
    await erasing
    answer = await site.database.read(lambda tx: get_delivery(tx, site.workspace_id, delivery.delivery_id))
    assert [(each.status, each.response_body) for each in answer.delivery.attempts] == [(200, "")]


async def test_410_disables_the_endpoint_and_all_of_it_waits_until_it_is_active_again(site: Site) -> None:
    await site.fill(1)
    site.hall.answers.append(GONE)
    worker = await site.work()

    async def disabled() -> bool:
        return (await site.endpoint()).state == "disabled"

    await until(disabled)
    await site.fill(2)
    await until_polled(worker)
    assert len(site.hall.requests) == 1
    assert {each.state for each in await site.deliveries()} == {"pending"}
    await site.change(state="active")
    await site.until_succeeded(3)
    assert sorted(each.attempt_count for each in await site.deliveries()) == [1, 1, 2]


async def test_retry_after_is_a_floor_also_behind_more_headers_than_are_kept(site: Site) -> None:
    cookie = b"Set-Cookie: " + b"v" * 8_168
    site.hall.answers = [
        b"HTTP/1.1 503 Busy\r\n%b\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n" % cookie
    ]
    await site.fill(1)
    await site.work()

    async def tried() -> bool:
        return (await site.deliveries())[0].attempt_count == 1 and (await site.deliveries())[
            0
        ].last_status == 503

    await until(tried)
    (delivery,) = await site.deliveries()
    answer = await site.database.read(lambda tx: get_delivery(tx, site.workspace_id, delivery.delivery_id))
    (attempt,) = answer.delivery.attempts
    assert attempt.next_attempt_at is not None
    waits = datetime.fromisoformat(attempt.next_attempt_at) - datetime.fromisoformat(attempt.started_at)
    assert waits >= timedelta(hours=1)


async def test_a_rate_of_next_to_nothing_holds_up_nothing_else(site: Site) -> None:
    await site.fill(1)
    await site.change(rate_limit_per_second=1e-310)
    await site.fill(2)
    worker = await site.work()
    await site.until_succeeded(1)
    await until_polled(worker)
    await site.fill(1, "/other")
    await site.until_succeeded(2)
    assert worker.trouble is None
    assert len(site.hall.ids()) == 1


async def test_a_clock_that_was_set_back_holds_up_neither_a_probe_nor_a_rate(site: Site) -> None:
    """What the endpoint's row knows is then an hour ahead."""
    await site.fill(1)
    await site.change(rate_limit_per_second=100)
    await site.run(AN_HOUR_AHEAD)
    await site.work()
    await site.until_succeeded(1)


async def test_a_wake_up_that_is_lost_costs_a_poll_and_no_delivery(site: Site) -> None:
    worker = await site.work()
    await until_polled(worker, 1)
    worker._forget_listener()
    worker._forget_listener = lambda: None
    await site.fill(2)
    await site.until_succeeded(2)
    assert len(site.hall.requests) == 2


async def test_a_receiver_that_hangs_does_not_delay_another(site: Site) -> None:
    await site.fill(20, "/slow")
    gate = site.hall.shut_gate(b"/slow")
    await site.work()
    await until_present(site.hall, 10)
    await site.fill(15)
    await site.until_succeeded(15)
    assert len(site.hall.ids()) == 15
    assert site.hall.present == 10
    gate.set()
    await site.until_succeeded(35)


async def test_results_gather_until_a_commit_takes_them_along(
    site: Site, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL another workspace's is not theirs: a slow receiver would cost a commit for each of its own."""
    monkeypatch.setattr(results, "GATHER_SHARE", 1000.0)
    monkeypatch.setattr(results, "GATHER_SECONDS_MAX", 3600.0)
    row = await site.database.write(lambda tx: create_workspace(tx, "Other"))
    other = dataclasses.replace(site, workspace_id=row.workspace_id, outcomes={}, running=[], calls=0)
    await site.fill(2, "/slow")
    gate = site.hall.shut_gate(b"/slow")
    worker = await site.work()
    await until_present(site.hall, 2)
    await asyncio.sleep(0.05)  # so long they took at least
    gate.set()

    async def both_gather() -> bool:
        return len(worker._results) == 2

    await until(both_gather)
    monkeypatch.setattr(results, "GATHER_SHARE", 0.0)
    await other.fill(3)
    await other.until_succeeded(3)
    assert await site.succeeded() == (2 if engine == "sqlite" else 0)
    await site.stop(worker, 5)
    assert await site.succeeded() == 2
    await site.database.write(lambda tx: delete_workspace(tx, row.workspace_id))


async def test_a_worker_begins_small_and_leaves_room_for_other_workspaces(site: Site) -> None:
    first = IN_FLIGHT_FIRST // WORKSPACE_SHARE
    await site.fill(1)
    await site.change(max_concurrency=100)
    await site.fill(first * 3 - 1)
    gate = site.hall.shut_gate()
    worker = await site.work()
    await until_present(site.hall, first)
    await until_polled(worker)
    assert site.hall.present_max == first
    gate.set()
    await site.until_succeeded(first * 3)


async def test_stopping_finishes_what_is_in_flight(site: Site) -> None:
    await site.fill(5)
    gate = site.hall.shut_gate()
    worker = await site.work()
    await until_present(site.hall, 5)
    stopping = asyncio.create_task(site.stop(worker, PATIENCE_SECONDS))
    await site.fill(3)
    gate.set()
    await stopping
    assert await site.succeeded() == 5
    assert len(site.hall.requests) == 5


async def test_stopping_records_what_was_answered_while_the_database_was_away(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has been sent: given back it would be sent again."""
    record = worker_module._record

    async def refuse(*_arguments: Any) -> int | None:
        raise Unavailable

    async def all_wait() -> bool:
        return worker.trouble is not None and len(worker._results) == 3

    monkeypatch.setattr(worker_module, "_record", refuse)
    # So long it waits until it tries again.
    monkeypatch.setattr(worker_module, "TROUBLE_SECONDS", 60.0)
    await site.fill(3)
    worker = await site.work()
    await until(all_wait)
    monkeypatch.setattr(worker_module, "_record", record)
    await site.stop(worker, 0)
    assert [each.state for each in await site.deliveries()] == ["succeeded"] * 3


async def test_what_the_grace_is_too_short_for_is_given_back_and_sent_by_the_next(site: Site) -> None:
    await site.fill(5)
    gate = site.hall.shut_gate()
    worker = await site.work()
    await until_present(site.hall, 5)
    await site.stop(worker, 0)
    waiting = await site.deliveries()
    assert {(each.state, each.attempt_count) for each in waiting} == {("pending", 1)}
    gate.set()
    # Its leases are over: the next one need not wait for them to run out.
    await site.work()
    await site.until_succeeded(5)
    assert Counter(site.hall.ids()) == Counter({each.delivery_id: 2 for each in waiting})


async def test_the_deliveries_of_a_dead_worker_are_taken_over_when_its_lease_is_over(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LEASE_SECONDS", 1)
    await site.fill(3)
    gate = site.hall.shut_gate()
    first = await site.work()
    await until_present(site.hall, 3)
    await die(first)
    site.running.remove(first)
    gate.set()
    observer = Takeovers()
    await site.work(observer=observer)
    await site.until_succeeded(3)
    assert observer.count == 3
    assert {each.attempt_count for each in await site.deliveries()} == {2}


async def test_a_lease_is_held_for_as_long_as_its_attempt_takes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LEASE_SECONDS", 2)
    monkeypatch.setattr(worker_module, "RENEW_SECONDS", 0.3)
    await site.fill(3)
    gate = site.hall.shut_gate()
    observer = Takeovers()
    first = await site.work()
    await until_present(site.hall, 3)
    first._tasks[0].cancel()  # a claim renews what is its own, too
    worker = await site.work(observer=observer)  # which would take over what ran out
    began, loop = asyncio.get_running_loop().time(), asyncio.get_running_loop()
    while loop.time() < began + 1.5 * worker_module.LEASE_SECONDS:
        await until_polled(worker)
    gate.set()
    await site.until_succeeded(3)
    assert observer.count == 0
    assert len(site.hall.requests) == 3


async def test_a_worker_does_not_take_over_its_own_deliveries_when_their_leases_run_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an outage that was longer than a lease, or a step of the clock."""
    monkeypatch.setattr(worker_module, "LEASE_SECONDS", 1)
    monkeypatch.setattr(worker_module, "RENEW_SECONDS", 60)
    await site.fill(1)
    await site.change(max_concurrency=3)
    await site.fill(5)
    gate = site.hall.shut_gate()
    observer = Takeovers()
    await site.work(observer=observer)
    await until_present(site.hall, 3)
    await asyncio.sleep(2.5)
    gate.set()
    await site.until_succeeded(6)
    assert len(site.hall.ids()) == len(set(site.hall.ids())) == 6
    assert site.hall.present_max == 3, "they have their slots all the time"
    assert observer.count == 0
    assert {each.attempt_count for each in await site.deliveries()} == {1}


async def test_leases_of_one_workspace_are_renewed_though_those_of_another_cannot_be(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew, renewed = worker_module._renew, 0

    async def renew_or_refuse(workspace_id: str, *arguments: Any) -> None:
        nonlocal renewed
        if workspace_id == other.workspace_id:
            raise Unavailable
        await renew(workspace_id, *arguments)
        renewed += 1

    async def is_renewed() -> bool:
        return renewed >= 2

    monkeypatch.setattr(worker_module, "RENEW_SECONDS", 0.1)
    monkeypatch.setattr(worker_module, "_renew", renew_or_refuse)
    row = await site.database.write(lambda tx: create_workspace(tx, "First"))
    other = replace(site, workspace_id=row.workspace_id, outcomes={})
    gate = site.hall.shut_gate()
    worker = await site.work()
    await other.fill(1)
    await until_present(site.hall, 1)
    await site.fill(1)
    await until(is_renewed)
    assert worker.trouble is not None
    assert len(site.hall.requests) == 2, "while it was the first attempt of each"
    gate.set()
    await site.until_succeeded(1)
    await other.until_succeeded(1)
    await site.database.write(lambda tx: delete_workspace(tx, other.workspace_id))


async def test_renewing_leases_and_recording_never_wait_for_each_other(
    postgres_site: tuple[Site, Database],
) -> None:
    site, other = postgres_site
    await site.fill(2)
    first, second = sorted(each.delivery_id for each in await site.deliveries())
    runs = Counter[str]()
    is_held = asyncio.Event()

    async def record(tx: Tx) -> None:
        runs["record"] += 1
        await store.lock_attempted(tx, site.workspace_id, [first])
        is_held.set()
        await asyncio.sleep(0.3)  # the other has come to the row that is held, and waits
        await store.lock_attempted(tx, site.workspace_id, [second])

    async def renew(tx: Tx) -> None:
        runs["renew"] += 1
        await renew_leases(tx, site.workspace_id, {leases[second]: [second], leases[first]: [first]}, 1000)

    async def give_leases(tx: Tx) -> None:
        for delivery_id, lease_id in leases.items():
            await store.lease_deliveries(tx, site.workspace_id, [delivery_id], lease_id=lease_id, until=1)

    leases = {second: new_id(), first: new_id()}
    await site.database.write(give_leases)
    recording = asyncio.create_task(site.database.write(record))
    await is_held.wait()
    await asyncio.gather(recording, other.write(renew))
    assert runs == {"record": 1, "renew": 1}


async def test_a_lease_is_held_from_its_claim_however_long_the_answer_to_that_takes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be renewed that much too late."""
    loop, write = asyncio.get_running_loop(), site.database.write
    committed: list[float] = []

    async def answer_late(work: Callable[[Tx], Awaitable[Any]], **how: bool) -> Any:
        answer = await write(work, **how)
        if isinstance(answer, Claim) and answer.deliveries:
            committed.append(loop.time())
            await asyncio.sleep(0.3)
        return answer

    await site.fill(1)
    gate = site.hall.shut_gate()
    monkeypatch.setattr(site.database, "write", answer_late)
    worker = await site.work()
    await until_present(site.hall, 1)
    (flight,) = worker._places.flights()
    assert flight.held_since <= committed[0]
    gate.set()
    await site.until_succeeded(1)


async def die(worker: Worker) -> None:
    """Like SIGKILL: nothing is recorded and nothing is given back."""
    worker._forget_listener()
    tasks = [*worker._tasks, *(flight.task for flight in worker._places.flights() if flight.task)]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_claim_that_fails_leaves_none_beside_it_to_itself(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that stops waits for it: what it takes would wait for its lease to end."""
    began, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def claim_in(_worker: Worker, workspace_id: str, _share: int) -> None:
        if workspace_id == "fails":
            await began.wait()
            raise Unavailable
        began.set()
        await go_on.wait()
        ended.set()

    monkeypatch.setattr(Worker, "_claim_in", claim_in)
    worker = await site.work()
    for workspace_id in ("fails", "takes long"):
        worker._agenda.look_at(workspace_id)
    await began.wait()
    stopping = asyncio.create_task(site.stop(worker, 0))
    await asyncio.wait([stopping], timeout=1)
    assert not stopping.done()
    go_on.set()
    await stopping
    assert ended.is_set()


async def test_workspaces_that_cannot_be_claimed_for_hold_up_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when their secrets are sealed with a key that this process does not have."""
    monkeypatch.setattr(agenda, "FAILED_SECONDS_MAX", 0.2)
    rows = [await site.database.write(lambda tx: create_workspace(tx, "Another")) for _ in range(4)]
    sealed = [site, *(replace(site, workspace_id=row.workspace_id, outcomes={}) for row in rows)]
    well = sealed.pop()
    for each in (*sealed, well):
        await each.fill(1)
    for each in sealed:
        await each.seal()
    alone = Solitude()
    worker = await site.work(observer=alone)
    await well.until_succeeded(1)

    async def are_left_alone() -> bool:
        return alone.count == len(sealed)

    await until(are_left_alone)
    assert worker.trouble is None, "a balancer would take the server away from everybody"
    assert len(site.hall.requests) == 1
    for each in sealed:
        await each.seal(new_secret(b"s" * 32))
        await each.until_succeeded(1)

    async def are_well() -> bool:
        return alone.count == 0

    await until(are_well)
    for row in rows:
        await site.database.write(partial(_delete, row.workspace_id))


async def test_a_workspace_that_was_in_trouble_and_has_nothing_due_any_more_is_in_none(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda, "FAILED_SECONDS_FIRST", 2.0)

    async def in_trouble() -> bool:
        return alone.count == 1

    async def is_well() -> bool:
        return alone.count == 0

    await site.fill(1)
    await site.seal()
    alone = Solitude()
    worker = await site.work(observer=alone)
    await until(in_trouble)
    await site.run(CANCEL)  # by hand, which no signal tells of
    worker._agenda._alarms.pop(site.workspace_id).cancel()
    worker._agenda.look_at(site.workspace_id)  # something told of it while it was left alone
    await until(is_well)
    assert not site.hall.requests


async def _delete(workspace_id: str, tx: Tx) -> None:
    await delete_workspace(tx, workspace_id)


async def test_what_was_answered_is_recorded_though_nothing_can_be_claimed_along_with_it(site: Site) -> None:
    await site.fill(12)
    gate = site.hall.shut_gate()
    await site.work()
    await until_present(site.hall, 10)
    await site.seal()
    gate.set()
    await site.until_succeeded(10)
    await site.seal(new_secret(b"s" * 32))
    await site.until_succeeded(12)
    assert len(site.hall.ids()) == len(set(site.hall.ids())) == 12


async def test_a_result_that_cannot_be_recorded_keeps_none_beside_it_from_being_so(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a bug of ours that a receiver has found: it is sent as often as it has attempts, and the others once."""
    record = worker_module.record_attempts  # type: ignore[attr-defined]
    monkeypatch.setattr(worker_module, "LEASE_SECONDS", 1)

    async def record_or_fail(tx: Tx, workspace_id: str, attempts: Sequence[Attempted], *rest: Any) -> Any:
        if any(each.delivery_id == poison for each in attempts):
            raise ValueError("nobody foresaw this")
        return await record(tx, workspace_id, attempts, *rest)

    monkeypatch.setattr(worker_module, "record_attempts", record_or_fail)
    await site.fill(8)
    poison = (await site.deliveries())[3].delivery_id
    gate = site.hall.shut_gate()
    worker = await site.work()
    await until_present(site.hall, 8)
    gate.set()
    await site.until_succeeded(7)

    async def has_ended() -> bool:
        (one,) = [each for each in await site.deliveries() if each.delivery_id == poison]
        return one.state == "exhausted"

    await until(has_ended)
    assert worker.trouble is None
    assert not worker._places.flights()
    assert Counter(site.hall.ids())[poison] == SETTINGS.attempts_max
    assert len(site.hall.ids()) == 7 + SETTINGS.attempts_max


async def test_a_task_whose_wait_was_called_off_goes_on_and_says_so(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, called_off = site.database.read, True

    async def read_or_call_off(work: Any, **how: bool) -> Any:
        if called_off and work is workspaces_due:
            raise asyncio.CancelledError
        return await read(work, **how)

    async def says_so() -> bool:
        return worker.trouble is not None

    await site.fill(1)
    monkeypatch.setattr(site.database, "read", read_or_call_off)
    worker = await site.work()
    await until(says_so)
    called_off = False
    await site.until_succeeded(1)
    await until_polled(worker)
    assert worker.trouble is None


async def test_every_secret_signs_while_it_is_rotated(site: Site) -> None:
    secrets = [
        (await site.database.write(lambda tx: rotate_secret(tx, site.workspace_id, 3600))).secret
        for _ in range(2)
    ]
    await site.fill(1)
    await site.work()
    await site.until_succeeded(1)
    (request,) = site.hall.requests
    signatures = header(request, b"webhook-signature").split(" ")
    # The third is of the secret that the workspace was born with, which nobody has seen.
    assert len(set(signatures)) == 3
    newest_first = [signature(secret, request) for secret in reversed(secrets)]
    assert signatures[:2] == newest_first


def signature(secret: str, request: bytes) -> str:
    """As a receiver computes it that has only the documents (Standard Webhooks)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    body = request.partition(b"\r\n\r\n")[2]
    signed = f"{header(request, b'webhook-id')}.{header(request, b'webhook-timestamp')}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


async def test_two_workers_never_send_the_same_delivery(postgres_site: tuple[Site, Database]) -> None:
    site, other = postgres_site
    await site.fill(1)
    await site.change(max_concurrency=20)
    await site.fill(80)
    await site.fill(69, "/other")
    gate = site.hall.shut_gate()
    await site.work()
    await site.work(other)
    await until_present(site.hall, 20)
    gate.set()
    await site.until_succeeded(150)
    everything = [*site.hall.ids(), *site.hall.ids(b"/other")]
    assert len(everything) == len(set(everything)) == 150
    assert {each.attempt_count for each in await site.deliveries()} == {1}


async def test_after_an_outage_longer_than_a_lease_who_was_sending_records_before_others_take_over(
    postgres_site: tuple[Site, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, other = postgres_site
    away = {site.database, other}

    def cut_off(database: Database) -> None:
        read, write = database.read, database.write

        async def reading(work: Any, **how: Any) -> Any:
            if database in away and work is workspaces_due:
                raise Unavailable
            return await read(work, **how)

        async def writing(work: Any, **how: Any) -> Any:
            if database in away and isinstance(work, partial) and work.func is worker_module._record:
                raise Unavailable
            return await write(work, **how)

        monkeypatch.setattr(database, "read", reading)
        monkeypatch.setattr(database, "write", writing)

    await site.fill(3)
    gate = site.hall.shut_gate()
    first = await site.work()
    await until_present(site.hall, 3)
    cut_off(site.database)
    cut_off(other)
    observer = Takeovers()
    second = await site.work(other, observer)

    async def both_in_trouble() -> bool:
        return first.trouble is not None and second.trouble is not None

    gate.set()
    await until(both_in_trouble)
    await site.run(END_LEASES_OF)
    away.remove(other)
    await until_polled(second, 3)
    away.clear()
    await site.until_succeeded(3)
    assert len(site.hall.ids()) == 3
    assert observer.count == 0


async def test_a_worker_begins_small_again_after_an_outage(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, away = site.database.read, False

    async def read_or_refuse(work: Any, **how: bool) -> Any:
        if away:
            raise Unavailable
        return await read(work, **how)

    async def in_trouble() -> bool:
        return worker.trouble is not None

    await site.fill(40)
    worker = await site.work()
    await site.until_succeeded(40)
    assert worker._places.max == IN_FLIGHT_FIRST + 40
    monkeypatch.setattr(site.database, "read", read_or_refuse)
    away = True
    await until(in_trouble)
    away = False
    assert worker._places.max == IN_FLIGHT_FIRST


async def test_two_processes_do_not_fill_the_same_slots_of_an_endpoint(
    postgres_site: tuple[Site, Database],
) -> None:
    site, other = postgres_site
    await site.fill(1)
    await site.change(max_concurrency=3)
    await site.fill(9)
    endpoint_id = (await site.endpoint()).endpoint_id
    claimed, commit = asyncio.Event(), asyncio.Event()

    async def claim(tx: Tx) -> Claim:
        request = ClaimRequest(lease_id=new_id(), lease_ms=40_000, attempts_max=4, limit=10)
        return await claim_deliveries(tx, site.workspace_id, [endpoint_id], request)

    async def claim_and_wait(tx: Tx) -> Claim:
        claim_of_first = await claim(tx)
        claimed.set()
        await commit.wait()
        return claim_of_first

    first = asyncio.create_task(site.database.write(claim_and_wait))
    await claimed.wait()
    beside = await other.write(claim)
    commit.set()
    assert len((await first).deliveries) == 3
    behind = await other.write(claim)
    assert (len(beside.deliveries), len(behind.deliveries)) == (0, 0)


async def test_the_rate_of_an_endpoint_holds_across_processes(postgres_site: tuple[Site, Database]) -> None:
    site, other = postgres_site
    per_second, count, loop = 40, 120, asyncio.get_running_loop()
    await site.fill(1)
    await site.change(rate_limit_per_second=float(per_second), max_concurrency=100)
    await site.fill(count - 1)
    start = loop.time()
    await site.work()
    await site.work(other)

    async def all_arrived() -> bool:
        arrived = len(site.hall.requests)
        # Looked at after the count, so a slow machine only widens the bound.
        assert arrived <= per_second * (1 + loop.time() - start) + 1
        return arrived == count

    await until(all_arrived)
    await site.until_succeeded(count)
    assert len(set(site.hall.ids())) == count


@pytest.fixture(scope="module")
def own_cluster() -> Any:
    """A PostgreSQL that may crash, and keeps what it has confirmed."""
    with start_postgres(DURABLE) as server:
        yield server


async def test_a_database_that_is_away_for_a_moment_costs_no_delivery_and_no_second_request(
    own_cluster: PostgresServer,
) -> None:
    async with site_on(own_cluster.create_database("away")) as site:
        await site.fill(12)
        gate = site.hall.shut_gate()
        worker = await site.work()
        await until_present(site.hall, 10)
        await asyncio.to_thread(own_cluster.restart, crash=True)
        gate.set()

        async def all_succeeded() -> bool:
            with contextlib.suppress(Exception):  # it is still on its way back
                return await site.succeeded() == 12
            return False

        await until(all_succeeded)
        assert len(site.hall.ids()) == len(set(site.hall.ids())) == 12
        # When the second look begins the first is over, and with it what it had met.
        await until_polled(worker, 2)
        assert worker.trouble is None
