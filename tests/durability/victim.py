"""A process that writes to a database until the disk, the power or the work ends.

`victim.py DIRECTORY SCENE apply|relaxed|deliver [SYNCHRONOUS]`: what it promises goes to the file `acknowledged`,
through the same log as the disk's own events, so that the order of promise and sync is known.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from durability.disk import ACKNOWLEDGED, read_log
from durability.scene import Scene, apply_once, digest, settings_for
from leadline.domain.errors import Unavailable
from leadline.store import sqlite
from leadline.store.database import Database, Tx
from leadline.store.engines import Statement
from leadline.store.sqlite_log import WriteAheadLog
from leadline.wiring import Runtime, make_database

CLIENTS = 5
_SUCCEEDED = Statement("SELECT COUNT(*) FROM deliveries WHERE state = 'succeeded'", register=False)


class Victim:
    def __init__(self, directory: Path, scene: Scene) -> None:
        self.directory = directory
        self.scene = scene
        self._acknowledged = os.open(directory / ACKNOWLEDGED, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(self, line: str) -> None:
        os.write(self._acknowledged, f"{line}\n".encode())

    async def apply(self) -> None:
        """All calls, by several clients at once: their commits share syncs."""
        database = make_database(settings_for(self.directory), exclusive=True, on_failure=self._failed)
        await database.open()
        await asyncio.gather(*(self._client(database, number) for number in range(CLIENTS)))
        self.say(f"health {await database.healthy()}")
        await database.close()

    async def relaxed(self) -> None:
        """One apply that waits for no disk, and after which nothing comes: the next sync there is makes it last."""
        database = make_database(settings_for(self.directory), exclusive=True, on_failure=self._failed)
        await database.open()
        (call_id,) = self.scene.calls
        answer = await apply_once(database, self.scene, call_id, durable=False)
        while not self._synced():  # noqa: ASYNC110 - seen in the shim's log
            await asyncio.sleep(0.01)
        self.say(f"applied {call_id} {digest(answer.body)}")
        self.say(f"health {await database.healthy()}")
        await database.close()

    def _synced(self) -> bool:
        """Whether the disk was asked to keep all that was written, with or without success."""
        own = os.fstat(self._acknowledged).st_ino
        events = [event for event in read_log(Path(os.environ["POWERCUT_LOG"])) if event.inode != own]
        return events[-1].kind in "SF"

    def _failed(self, reason: str) -> None:
        self.say(f"failed {reason}")

    async def _client(self, database: Database, number: int) -> None:
        for call_id in self.scene.calls[number::CLIENTS]:
            try:
                answer = await apply_once(database, self.scene, call_id)
            except Unavailable:
                self.say(f"unavailable {call_id}")
            else:
                self.say(f"applied {call_id} {digest(answer.body)}")

    async def deliver(self) -> None:
        """One apply and its delivery, by a whole worker."""
        runtime = Runtime(settings_for(self.directory), web=False)
        await runtime.start()
        (call_id,) = self.scene.calls
        answer = await apply_once(runtime.database, self.scene, call_id)
        self.say(f"applied {call_id} {digest(answer.body)}")
        while not await runtime.database.read(_is_delivered):  # noqa: ASYNC110 - seen in the database
            await asyncio.sleep(0.005)
        self.say("delivered")
        await runtime.stop()


async def _is_delivered(tx: Tx) -> bool:
    row = await tx.first(_SUCCEEDED)
    return row is not None and row[0] > 0


def weaken(synchronous: str) -> None:
    """No commit waits for the disk from here on: to see that the tests would notice. With OFF nothing does."""

    def sync_less(self: sqlite.SqliteDatabase, wanted: bool) -> None:
        self._write_connection.execute(f"PRAGMA synchronous={synchronous}")

    def trust(self: WriteAheadLog) -> None: ...

    sqlite.SqliteDatabase._sync_at_commit = sync_less  # type: ignore[method-assign]
    WriteAheadLog.sync = trust  # type: ignore[method-assign]


def main(directory: str, scene: str, role: str, synchronous: str = "FULL") -> None:
    # Small, so that a short run moves the log into the database a few times.
    sqlite.CHECKPOINT_FRAMES = sqlite.CHECKPOINT_FRAMES_IDLE = int(
        os.environ.get("VICTIM_CHECKPOINT_FRAMES", "2000")
    )
    if synchronous != "FULL":
        weaken(synchronous)
    victim = Victim(Path(directory), Scene.read(Path(scene)))
    roles = {"apply": victim.apply, "relaxed": victim.relaxed, "deliver": victim.deliver}
    asyncio.run(roles[role]())


if __name__ == "__main__":
    main(*sys.argv[1:])
