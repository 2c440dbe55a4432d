"""What only SQLite does: one file, one writer, and a disk that may fail."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import apsw
import pytest

from leadline.clock import Clock
from leadline.domain.errors import Unavailable
from leadline.store import sqlite
from leadline.store import sqlite_driver as driver
from leadline.store.database import Database, Signal, Tx
from leadline.store.migrating import migrate, sqlite_path
from leadline.store.sqlite import DatabaseInUse, SqliteDatabase, SqliteTooOld, connect
from leadline.store.sqlite_batch import Batch, SqliteTx
from leadline.store.sqlite_log import WriteAheadLog
from store.databases import Opened, add_agent, agents, opened_database, statement

T = TypeVar("T")
FULL, NORMAL = 2, 1


@pytest.fixture
async def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    await migrate(url)
    return url


def pragma(connection: driver.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchall()[0][0]


def settings_of(connection: driver.Connection) -> dict[str, object]:
    names = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")
    guarantee = connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1)
    return {**{name: pragma(connection, name) for name in names}, "QPSG": guarantee}


async def on_writer(database: Database, use: Callable[[driver.Connection], T]) -> T:
    """Use the writer's connection in its thread: of two at once the driver refuses one."""

    async def work(tx: Tx) -> T:
        assert isinstance(tx, SqliteTx)
        return use(tx._connection)

    return await database.write(work)


async def test_both_connections_are_durable_and_keep_foreign_keys(url: str) -> None:
    async with opened_database(url) as opened:
        database = opened.database
        assert isinstance(database, SqliteDatabase)
        writer, reader = await on_writer(database, settings_of), settings_of(database._read_connection)
        # The log is synced by ourselves, before anybody is told.
        for settings, synchronous in ((writer, NORMAL), (reader, FULL)):
            assert settings == {
                "journal_mode": "wal",
                "synchronous": synchronous,
                "foreign_keys": 1,
                "trusted_schema": 0,
                # Else the insertion of events, whose subquery asks for what is bound, is planned anew for each row.
                "QPSG": 1,
            }
        assert pragma(database._read_connection, "query_only") == 1


def test_the_sqlite_in_use_is_free_of_the_wal_reset_bug() -> None:
    assert driver.VERSION >= sqlite.VERSION_MIN >= (3, 51, 3)


async def test_an_sqlite_that_can_lose_data_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "VERSION_MIN", (99, 0, 0))
    with pytest.raises(SqliteTooOld, match="can lose data"):
        await SqliteDatabase(sqlite_path(url), clock=Clock()).open()


async def test_a_second_process_cannot_take_the_file_until_the_first_lets_go(url: str) -> None:
    code = (
        "import asyncio, sys\n"
        "from leadline.clock import Clock\n"
        "from leadline.store.sqlite import DatabaseInUse, SqliteDatabase\n"
        "database = SqliteDatabase(sys.argv[1], clock=Clock(), exclusive=True)\n"
        "try:\n"
        "    asyncio.run(database.open())\n"
        "except DatabaseInUse:\n"
        "    sys.exit(7)\n"
    )

    def try_elsewhere() -> int:
        return subprocess.run([sys.executable, "-c", code, sqlite_path(url)], check=False).returncode

    async with opened_database(url, exclusive=True):
        with pytest.raises(DatabaseInUse, match="in use"):
            await SqliteDatabase(sqlite_path(url), clock=Clock(), exclusive=True).open()
        assert await asyncio.to_thread(try_elsewhere) == 7
    assert await asyncio.to_thread(try_elsewhere) == 0


async def test_the_command_line_may_write_beside_the_server(url: str) -> None:
    async with opened_database(url, exclusive=True) as server, opened_database(url) as command:
        await asyncio.gather(
            *(
                each.database.write(lambda tx, e=each, n=n: add_agent(tx, e.workspace_id, f"{n:02}"))  # type: ignore[misc]
                for n in range(40)
                for each in (server, command)
            )
        )
        for each in (server, command):
            assert len(await agents(server.database, each.workspace_id)) == 40


class HeldWriter:
    """The writer's thread, busy with one operation until it is let go."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._go, self._busy = threading.Event(), threading.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._opened.database.write(self._hold, long=True))
        await asyncio.to_thread(self._busy.wait, 20)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._go.set()
        await self._task

    async def _hold(self, tx: Tx) -> None:
        self._busy.set()
        assert self._go.wait(60)


async def test_a_full_queue_answers_unavailable_and_forgets_nothing_it_took(url: str) -> None:
    async with opened_database(url) as opened:
        async with HeldWriter(opened):
            taken = [
                asyncio.create_task(
                    opened.database.write(lambda tx, n=n: add_agent(tx, opened.workspace_id, f"{n:04}"))  # type: ignore[misc]
                )
                for n in range(sqlite.QUEUE_MAX)
            ]
            await asyncio.sleep(0)  # each task runs until it waits
            with pytest.raises(Unavailable) as refused:
                await opened.database.write(lambda tx: add_agent(tx, opened.workspace_id, "one too many"))
            assert refused.value.retry_after_seconds
        await asyncio.gather(*taken)
        names = await agents(opened.database, opened.workspace_id)
        assert names == [f"{n:04}" for n in range(sqlite.QUEUE_MAX)]


async def test_writes_that_wait_together_share_a_commit(url: str) -> None:
    async with opened_database(url) as opened:
        commits: list[str] = []

        def trace(connection: driver.Connection) -> None:
            connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: commits.append(event["sql"]))

        await on_writer(opened.database, trace)
        commits.clear()
        async with HeldWriter(opened):
            writes = [
                asyncio.create_task(
                    opened.database.write(lambda tx, n=n: add_agent(tx, opened.workspace_id, f"{n:03}"))  # type: ignore[misc]
                )
                for n in range(sqlite.BATCH_MAX + 1)
            ]
            await asyncio.sleep(0)
        await asyncio.gather(*writes)
        # The held one, a full batch, and the one that did not fit.
        assert commits.count("COMMIT") == 3


async def test_a_caller_who_goes_away_stops_nobody(url: str) -> None:
    async with opened_database(url) as opened:
        async with HeldWriter(opened):
            gone = asyncio.create_task(
                opened.database.write(lambda tx: add_agent(tx, opened.workspace_id, "gone"))
            )
            stays = asyncio.create_task(
                opened.database.write(lambda tx: add_agent(tx, opened.workspace_id, "stays"))
            )
            await asyncio.sleep(0)
            gone.cancel()
        await stays
        assert "stays" in await agents(opened.database, opened.workspace_id)


FILL = statement(
    "INSERT INTO idempotency_keys (workspace_id, idempotency_key, fingerprint, status, body, created_at, kept_until)"
    " VALUES (:workspace_id, :key, 'f', 200, zeroblob(:body_bytes), :created_at, :created_at)"
)


async def fill(tx: Tx, workspace_id: str, key: str, body_bytes: int) -> None:
    await tx.run(FILL, workspace_id=workspace_id, key=key, body_bytes=body_bytes, created_at=tx.now_ms)


async def test_a_full_disk_makes_writes_unavailable_until_there_is_room(url: str) -> None:
    async with opened_database(url) as opened:
        database = opened.database
        assert isinstance(database, SqliteDatabase)
        pages = await on_writer(database, lambda connection: pragma(connection, "page_count"))
        await on_writer(database, lambda connection: pragma(connection, f"max_page_count={pages + 10}"))
        small = (
            database.write(lambda tx: add_agent(tx, opened.workspace_id, "same batch")) for _ in range(1)
        )
        answers = await asyncio.gather(
            database.write(lambda tx: fill(tx, opened.workspace_id, "large", 1_000_000)),
            *small,
            return_exceptions=True,
        )
        assert isinstance(answers[0], Unavailable)
        assert await agents(database, opened.workspace_id) == (["same batch"] if answers[1] is None else [])
        # What still fits is taken.
        await database.write(lambda tx: add_agent(tx, opened.workspace_id, "small"))
        await on_writer(database, lambda connection: pragma(connection, "max_page_count=1073741823"))
        await database.write(lambda tx: fill(tx, opened.workspace_id, "large", 1_000_000))
        assert await database.healthy() is None


BROKEN_DISK = """
import asyncio, json, resource, signal, sys
from leadline.domain.errors import Unavailable
from store.databases import add_agent, opened_database
from store.test_sqlite import fill

async def main(url):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    acknowledged, refused = [], []
    async with opened_database(url) as opened:
        print(json.dumps(opened.workspace_id), flush=True)
        # From here on no file may grow beyond this: a write fails in the middle, as on a broken disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
        for number in range(60):
            key = f"{number:03}"
            try:
                await opened.database.write(lambda tx: fill(tx, opened.workspace_id, key, 20_000))
            except Unavailable:
                refused.append(key)
            else:
                acknowledged.append(key)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        try:
            await opened.database.write(lambda tx: add_agent(tx, opened.workspace_id, "after"))
        except Unavailable as told:
            after = told.message
        else:
            after = None
        print(json.dumps([acknowledged, refused, after, await opened.database.healthy()]), flush=True)

asyncio.run(main(sys.argv[1]))
"""


async def test_a_disk_that_fails_acknowledges_nothing_it_did_not_keep(url: str) -> None:
    tests = str(Path(__file__).parent.parent)
    code = f"import sys; sys.path.insert(0, {tests!r})\n{BROKEN_DISK}"
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code, url],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    workspace_id, (acknowledged, refused, after, health) = map(json.loads, done.stdout.splitlines())
    assert acknowledged
    assert refused
    # What the disk holds after a failed write is unknown, so the process trusts it no more and says so.
    assert "Restart" in after
    assert "Restart" in health
    connection: Any = connect(sqlite_path(url))
    rows = connection.execute(
        "SELECT idempotency_key FROM idempotency_keys WHERE workspace_id = ?", (workspace_id,)
    )
    stored = {row[0] for row in rows.fetchall()}
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()
    assert stored == set(acknowledged)
    # And a new process goes on.
    async with opened_database(url) as opened:
        await opened.database.write(lambda tx: fill(tx, workspace_id, "again", 20_000))


async def test_an_operation_cannot_wait_for_anything_but_its_transaction(url: str) -> None:
    async def wait(tx: Tx) -> None:
        await add_agent(tx, workspace_id, "waited")
        await asyncio.sleep(0)

    async with opened_database(url) as opened:
        workspace_id = opened.workspace_id
        with pytest.raises(RuntimeError, match="awaited something other"):
            await opened.database.write(wait)
        assert await agents(opened.database, workspace_id) == []


async def test_a_read_cannot_write(url: str) -> None:
    async with opened_database(url) as opened:
        with pytest.raises(Unavailable):
            await opened.database.read(lambda tx: add_agent(tx, opened.workspace_id, "sneaked"))
        assert await agents(opened.database, opened.workspace_id) == []


class HeldSyncs:
    """Syncs of the log that do not end until they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._go, self._begun = threading.Event(), threading.Event()
        sync = WriteAheadLog.sync

        def held(log: WriteAheadLog) -> None:
            self.count += 1
            self._begun.set()
            assert self._go.wait(60)
            sync(log)

        monkeypatch.setattr(WriteAheadLog, "sync", held)

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, 20)

    def let_go(self) -> None:
        self._go.set()


async def test_nobody_is_told_of_a_commit_before_it_is_on_the_disk(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither who wrote it, nor who reads it, though it can be read by then, nor who listens."""
    async with opened_database(url) as opened:
        database = opened.database

        async def write(tx: Tx) -> None:
            await add_agent(tx, opened.workspace_id, "ada")
            tx.signal(Signal.EVENTS, opened.workspace_id)

        await database.write(lambda tx: add_agent(tx, opened.workspace_id, "bob"))
        told: list[Signal] = []
        database.listen(lambda signal, _: told.append(signal))
        syncs = HeldSyncs(monkeypatch)
        writing = asyncio.create_task(database.write(write))
        await syncs.begun()
        reading = asyncio.create_task(agents(database, opened.workspace_id))
        reading_long = asyncio.create_task(database.read(partial(_is_there, agent_id="ada"), long=True))
        gone = asyncio.create_task(agents(database, opened.workspace_id))
        await asyncio.wait([writing, reading, reading_long], timeout=0.2)
        assert not any(each.done() for each in (writing, reading, reading_long))
        assert not told
        gone.cancel()
        syncs.let_go()
        await writing
        assert await reading == ["ada", "bob"]
        assert await reading_long
        assert told == [Signal.EVENTS]


IS_THERE = statement("SELECT 1 FROM agents WHERE agent_id = :agent_id")


async def _is_there(tx: Tx, agent_id: str) -> bool:
    return await tx.first(IS_THERE, agent_id=agent_id) is not None


async def test_only_what_may_be_lost_is_answered_without_a_sync(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_database(url) as opened:
        write = opened.database.write
        await write(lambda tx: add_agent(tx, opened.workspace_id, "first"))
        monkeypatch.setattr(sqlite, "UNSYNCED_SECONDS_MAX", 60)
        syncs = HeldSyncs(monkeypatch)
        await write(lambda tx: add_agent(tx, opened.workspace_id, "may be lost"), durable=False)
        assert await agents(opened.database, opened.workspace_id) == ["first", "may be lost"]
        assert syncs.count == 0
        # Of a batch, one that is to last makes all of them last.
        together = [
            asyncio.create_task(
                write(partial(add_agent, workspace_id=opened.workspace_id, agent_id=f"{n}"), durable=n == 9)
            )
            for n in range(10)
        ]
        await syncs.begun()
        assert not any(each.done() for each in together)
        syncs.let_go()
        await asyncio.gather(*together)
        assert syncs.count == 1


async def test_what_was_not_kept_is_shown_to_nobody(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit whose sync failed can be read, and is not: after a restart it may not be there."""

    def fail(_: WriteAheadLog) -> None:
        raise OSError("the disk is broken")

    async with opened_database(url) as opened:
        await opened.database.write(lambda tx: add_agent(tx, opened.workspace_id, "kept"))
        monkeypatch.setattr(WriteAheadLog, "sync", fail)
        answers = await asyncio.gather(
            opened.database.write(lambda tx: add_agent(tx, opened.workspace_id, "not kept")),
            opened.database.write(lambda tx: add_agent(tx, opened.workspace_id, "neither")),
            agents(opened.database, opened.workspace_id),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers[:2]] == [Unavailable, Unavailable]
        assert answers[2] == ["kept"]
        with pytest.raises(Unavailable, match="Restart"):
            await agents(opened.database, opened.workspace_id)
        with pytest.raises(Unavailable, match="Restart"):
            await opened.database.write(lambda tx: add_agent(tx, opened.workspace_id, "after"))


async def test_a_listener_that_fails_stops_no_writer(url: str) -> None:
    met: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: met.append(context["exception"]))

    def fail(_signal: Signal, _workspace_id: str) -> None:
        raise ZeroDivisionError

    async with opened_database(url) as opened:

        async def write(tx: Tx) -> None:
            tx.signal(Signal.EVENTS, opened.workspace_id)

        opened.database.listen(fail)
        for _ in range(2):
            await opened.database.write(write)
        await asyncio.sleep(0)
    assert [type(each) for each in met] == [ZeroDivisionError] * 2


async def test_when_the_writer_ends_by_a_fault_of_ours_nobody_waits_for_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: SqliteDatabase, _answered: int) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(SqliteDatabase, "_let_come_back", fail)
    async with opened_database(url) as opened:
        writes = [
            asyncio.create_task(
                opened.database.write(
                    partial(add_agent, workspace_id=opened.workspace_id, agent_id=f"{n:03}")
                )
            )
            for n in range(sqlite.BATCH_MAX + 1)
        ]
        async with asyncio.timeout(20):
            *written, left = await asyncio.gather(*writes, return_exceptions=True)
        assert written == [None] * sqlite.BATCH_MAX
        assert isinstance(left, Unavailable)
        with pytest.raises(Unavailable):
            await opened.database.write(
                partial(add_agent, workspace_id=opened.workspace_id, agent_id="after")
            )


async def test_who_waits_for_another_process_keeps_nobody_from_reading(url: str) -> None:
    async with opened_database(url) as opened:
        other: Any = connect(sqlite_path(url))
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(
            opened.database.write(lambda tx: add_agent(tx, opened.workspace_id, "patient"))
        )
        await asyncio.sleep(0)
        assert await agents(opened.database, opened.workspace_id) == []
        assert not writing.done()
        other.execute("COMMIT")
        await writing
        other.close()
        assert await agents(opened.database, opened.workspace_id) == ["patient"]


async def test_a_long_write_holds_up_no_reader(url: str) -> None:
    async with opened_database(url) as opened, HeldWriter(opened):
        assert await agents(opened.database, opened.workspace_id) == []


async def test_those_who_were_answered_together_are_written_together_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first few who are back are a batch, the others the next, and so on: two commits for each round."""
    clients, rounds = 20, 30
    batches: list[int] = []
    write_batch = SqliteDatabase._write_batch

    def counted(self: SqliteDatabase, batch: Batch) -> None:
        batches.append(len(batch))
        write_batch(self, batch)

    monkeypatch.setattr(SqliteDatabase, "_write_batch", counted)
    async with opened_database(url) as opened:

        async def client(number: int) -> None:
            for turn in range(rounds):
                name = f"agent-{number}-{turn}"
                await opened.database.write(
                    partial(add_agent, workspace_id=opened.workspace_id, agent_id=name)
                )
                # As requests that are read come one after the other, and let the writer have a go in between.
                for _ in range(number % 3):
                    await asyncio.sleep(0)
                time.sleep(0.0002)  # noqa: ASYNC251 - work in the event loop

        batches.clear()
        await asyncio.gather(*(client(number) for number in range(clients)))
        assert sum(batches) == clients * rounds
        assert len(batches) < rounds * 1.5


async def test_a_long_log_is_moved_once_nobody_has_written_for_a_moment(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_FRAMES_IDLE", 1)
    async with opened_database(url) as opened:
        await opened.database.write(lambda tx: fill(tx, opened.workspace_id, "large", 100_000))
        connection: Any = connect(sqlite_path(url))
        async with asyncio.timeout(20):
            # All of it was moved, and it was begun anew with a page of no importance.
            while connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()[1] != 1:  # noqa: ASYNC110 - seen in the file
                await asyncio.sleep(0.01)
        connection.close()


async def test_what_takes_long_takes_nobody_along(url: str) -> None:
    """Those who wait behind it are carried out in the event loop, where nobody takes the interpreter from them."""
    async with opened_database(url) as opened:
        threads: list[int] = []

        async def note(_: Tx) -> None:
            threads.append(threading.get_ident())

        write = opened.database.write
        await write(note)
        async with HeldWriter(opened):
            waiting = [asyncio.create_task(write(note, long=number == 2)) for number in range(5)]
            await asyncio.sleep(0)
            threads.clear()
        await asyncio.gather(*waiting)
        here = threading.get_ident()
        assert [thread == here for thread in threads] == [True, True, False, True, True]


COUNT_UP = statement(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT COUNT(*) FROM n"
)


async def test_a_long_read_holds_up_nobody(url: str) -> None:
    async def count(tx: Tx) -> int:
        row = await tx.first(COUNT_UP)
        assert row is not None
        return int(row[0])

    async with opened_database(url) as opened:
        database = opened.database
        counting = asyncio.create_task(database.read(count, long=True))
        await asyncio.sleep(0)
        done_meanwhile = 0
        while not counting.done():
            await database.write(lambda tx: add_agent(tx, opened.workspace_id, f"{done_meanwhile}"))  # noqa: B023
            done_meanwhile += 1
        assert await counting == 3_000_000
        assert done_meanwhile > 5


async def test_a_long_read_writes_nothing(url: str) -> None:
    async with opened_database(url) as opened:
        with pytest.raises(Unavailable):
            await opened.database.read(lambda tx: add_agent(tx, opened.workspace_id, "no"), long=True)
        assert await agents(opened.database, opened.workspace_id) == []
