"""What only PostgreSQL does: races between processes, signals between them, and a server that goes away."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from leadline.domain.errors import Unavailable
from leadline.store import postgresql
from leadline.store.database import Database, Signal, Tx
from leadline.store.migrating import migrate
from postgres import PostgresServer
from store.databases import Opened, add_agent, agents, opened_database, statement

PATIENCE_SECONDS = 30
LOCK_AGENT = statement(
    "SELECT agent_id FROM agents WHERE workspace_id = :workspace_id AND agent_id = :agent_id FOR UPDATE"
)
GET_AGENT = statement("SELECT 1 FROM agents WHERE workspace_id = :workspace_id AND agent_id = :agent_id")


@pytest.fixture(scope="module")
def url(make_url: Callable[[str], str]) -> str:
    url = make_url("postgresql")
    asyncio.run(migrate(url))
    return url


@pytest.fixture
async def opened(url: str) -> AsyncIterator[Opened]:
    async with opened_database(url) as database:
        yield database


@pytest.fixture
async def elsewhere(url: str) -> AsyncIterator[Database]:
    """The same database, as another process has it."""
    async with opened_database(url) as database:
        yield database.database


async def eventually(probe: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not probe():  # noqa: ASYNC110 - what is probed may be anything
            await asyncio.sleep(0.02)


async def test_a_lost_unique_race_is_run_again_and_sees_the_winner(
    opened: Opened, elsewhere: Database
) -> None:
    both_looked = asyncio.Barrier(2)
    runs = 0

    async def know(tx: Tx) -> str:
        nonlocal runs
        runs += 1
        if await tx.first(GET_AGENT, workspace_id=opened.workspace_id, agent_id="a"):
            return "found"
        if runs <= 2:
            await both_looked.wait()
        await add_agent(tx, opened.workspace_id, "a")
        return "made"

    answers = await asyncio.gather(opened.database.write(know), elsewhere.write(know))
    assert sorted(answers) == ["found", "made"]
    assert runs == 3
    assert await agents(opened.database, opened.workspace_id) == ["a"]


async def test_a_deadlock_is_run_again_and_both_get_through(opened: Opened, elsewhere: Database) -> None:
    await opened.database.write(lambda tx: add_agent(tx, opened.workspace_id, "a"))
    await opened.database.write(lambda tx: add_agent(tx, opened.workspace_id, "b"))
    both_hold = asyncio.Barrier(2)
    runs = 0

    async def lock_both(tx: Tx, first: str, second: str) -> str:
        nonlocal runs
        runs += 1
        await tx.first(LOCK_AGENT, workspace_id=opened.workspace_id, agent_id=first)
        if runs <= 2:
            await both_hold.wait()
        await tx.first(LOCK_AGENT, workspace_id=opened.workspace_id, agent_id=second)
        await add_agent(tx, opened.workspace_id, first + second)
        return first + second

    answers = await asyncio.gather(
        opened.database.write(lambda tx: lock_both(tx, "a", "b")),
        elsewhere.write(lambda tx: lock_both(tx, "b", "a")),
    )
    assert list(answers) == ["ab", "ba"]
    assert runs >= 3
    assert await agents(opened.database, opened.workspace_id) == ["a", "ab", "b", "ba"]


async def test_a_lock_that_is_never_given_up_ends_in_unavailable(
    opened: Opened, elsewhere: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "ATTEMPTS_MAX", 2)
    await opened.database.write(lambda tx: add_agent(tx, opened.workspace_id, "a"))
    held, go = asyncio.Event(), asyncio.Event()

    async def hold(tx: Tx) -> None:
        await tx.first(LOCK_AGENT, workspace_id=opened.workspace_id, agent_id="a")
        held.set()
        await go.wait()

    async def wait_for_it(tx: Tx) -> None:
        await tx.first(LOCK_AGENT, workspace_id=opened.workspace_id, agent_id="a")

    holder = asyncio.create_task(elsewhere.write(hold))
    await held.wait()
    with pytest.raises(Unavailable):
        await opened.database.write(wait_for_it)
    go.set()
    await holder
    await opened.database.write(wait_for_it)


async def test_signals_reach_another_process_and_are_heard_once_here(
    opened: Opened, elsewhere: Database
) -> None:
    here: list[str] = []
    there: list[tuple[Signal, str]] = []
    opened.database.listen(lambda _, workspace_id: here.append(workspace_id))
    elsewhere.listen(lambda signal, workspace_id: there.append((signal, workspace_id)))

    async def write(tx: Tx, name: str) -> None:
        tx.signal(Signal.WORKSPACE, name)
        await add_agent(tx, opened.workspace_id, name)

    sent = 0
    # Until both talk to the server, what is said is lost, and may be.
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not there:
            sent += 1
            await opened.database.write(functools.partial(write, name=f"try {sent}"))
            await asyncio.sleep(0.02)
    await opened.database.write(lambda tx: write(tx, "last"))
    await eventually(lambda: (Signal.WORKSPACE, "last") in there)
    assert here == [f"try {number}" for number in range(1, sent + 1)] + ["last"]
    assert here.count("last") == there.count((Signal.WORKSPACE, "last")) == 1


async def test_what_waits_for_a_connection_is_bounded(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "WAITING_MAX", 3)
    async with opened_database(url, connections_max=1) as opened:
        busy, go = asyncio.Event(), asyncio.Event()

        async def hold(tx: Tx) -> None:
            busy.set()
            await go.wait()

        holder = asyncio.create_task(opened.database.write(hold))
        await busy.wait()
        waiting = [
            asyncio.create_task(
                opened.database.write(lambda tx, n=n: add_agent(tx, opened.workspace_id, str(n)))  # type: ignore[misc]
            )
            for n in range(3)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await opened.database.write(lambda tx: add_agent(tx, opened.workspace_id, "one too many"))
        go.set()
        await asyncio.gather(holder, *waiting)
        assert await agents(opened.database, opened.workspace_id) == ["0", "1", "2"]


@pytest.mark.parametrize("crash", [False, True])
async def test_a_restart_of_the_server_loses_nothing_and_is_got_over(
    crash: bool, url: str, cluster: PostgresServer
) -> None:
    async with opened_database(url, connections_max=4) as opened:
        acknowledged: list[str] = []
        stopping = asyncio.Event()

        async def write_on(writer: int) -> None:
            number = 0
            while not stopping.is_set():
                number += 1
                name = f"{writer}-{number:05}"
                try:
                    await opened.database.write(
                        functools.partial(add_agent, workspace_id=opened.workspace_id, agent_id=name)
                    )
                except Unavailable:
                    await asyncio.sleep(0.01)
                else:
                    acknowledged.append(name)

        writers = [asyncio.create_task(write_on(number)) for number in range(6)]
        await eventually(lambda: len(acknowledged) >= 20)
        await asyncio.to_thread(cluster.restart, crash=crash)
        before = len(acknowledged)
        await eventually(lambda: len(acknowledged) >= before + 20)
        stopping.set()
        # Whoever failed with anything but Unavailable tells it here.
        await asyncio.gather(*writers)
        stored = await agents(opened.database, opened.workspace_id)
        assert set(acknowledged) <= set(stored)
        assert await opened.database.healthy() is None


async def test_signals_come_back_after_a_restart(
    opened: Opened, elsewhere: Database, cluster: PostgresServer
) -> None:
    there: list[str] = []
    elsewhere.listen(lambda _, workspace_id: there.append(workspace_id))

    async def write(tx: Tx) -> None:
        tx.signal(Signal.DELIVERIES, "after")
        await tx.first(GET_AGENT, workspace_id=opened.workspace_id, agent_id="a")

    await asyncio.to_thread(cluster.restart)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while "after" not in there:
            with contextlib.suppress(Unavailable):
                await opened.database.write(write)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("patience_seconds", [PATIENCE_SECONDS, 0.05], ids=["patient", "no longer"])
async def test_what_nobody_waits_for_gives_way_for_a_while(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, patience_seconds: float
) -> None:
    monkeypatch.setattr(postgresql, "PATIENCE_SECONDS", patience_seconds)
    begun, other_began, go_on, done = (asyncio.Event() for _ in range(4))

    async def patiently(tx: Tx) -> None:
        await tx.first(GET_AGENT, workspace_id=opened.workspace_id, agent_id="a")
        begun.set()
        await other_began.wait()
        await add_agent(tx, opened.workspace_id, "patient")
        done.set()

    async def slowly(tx: Tx) -> None:
        await add_agent(tx, opened.workspace_id, "urgent")
        other_began.set()
        await go_on.wait()

    patient = asyncio.create_task(opened.database.write(patiently, patient=True))
    await begun.wait()
    urgent = asyncio.create_task(opened.database.write(slowly))
    await other_began.wait()
    if patience_seconds < 1:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await done.wait()
    else:
        await asyncio.sleep(0.2)
        assert not done.is_set()
    go_on.set()
    await asyncio.gather(patient, urgent)
    assert await agents(opened.database, opened.workspace_id) == ["patient", "urgent"]
