"""SQLite's write-ahead log: when it is on the disk, and when its pages move into the database file."""

from __future__ import annotations

import logging
import os
from typing import Any

from leadline.store import sqlite_driver as driver

log = logging.getLogger("leadline.store")

# Changes nothing and is written all the same.
_NOTHING = "UPDATE alembic_version SET version_num = version_num"
# macOS has no fdatasync.
_sync_data = getattr(os, "fdatasync", os.fsync)


class WriteAheadLog:
    """The log of a database that is open, seen from the connection that writes.

    SQLite would sync and move it by itself, but a commit then waits in the thread that makes it, and a failure to
    move is told to nobody.
    """

    def __init__(self, path: str, connection: driver.Connection) -> None:
        self._path = f"{path}-wal"
        self._connection = connection
        self._descriptor: int | None = None
        self.frames = 0
        """How many pages it holds that are not known to be in the database file."""
        self.begins_anew = True
        """The next commit may write it from its start, and syncs its header by itself."""
        connection.set_wal_hook(self._count)

    def _count(self, _connection: driver.Connection, _schema: str, frames: int) -> int:
        self.frames = frames
        return 0

    def sync(self) -> None:
        """Have on disk what was committed. Raises OSError, and then nobody knows what the disk holds."""
        if self._descriptor is None:
            # Closing a file drops all locks of the process on it, and SQLite has none on this one.
            self._descriptor = os.open(self._path, os.O_RDONLY)
        _sync_data(self._descriptor)

    def move(self) -> None:
        """Move it into the database file, as far as nobody reads it. Raises what is of the disk."""
        try:
            rows: Any = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except driver.Error as broken:
            if driver.is_of_the_disk(broken):
                raise
            # The disk is full, say. All of it is safe in the log, and the next commit tries again.
            log.warning("the write-ahead log could not be moved into the database: %s", broken)
            return
        _busy, frames, moved = rows[0]
        self.frames = frames - moved
        self.begins_anew = self.frames == 0
        if self.begins_anew:
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Write it from its start now: whoever does syncs its header, and here nobody waits for that."""
        try:
            for step in ("BEGIN IMMEDIATE", _NOTHING, "COMMIT"):
                self._connection.execute(step)
        except driver.Error as broken:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if driver.is_of_the_disk(broken):
                raise
            return  # another process is writing, or the disk is full: the next commit will see to it
        self.frames = 0
        self.begins_anew = False

    def close(self) -> None:
        """Before its connection is closed."""
        self._connection.set_wal_hook(None)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
