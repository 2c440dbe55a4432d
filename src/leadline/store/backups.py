"""Copies of a SQLite database while it is in use, and putting one back. Every copy is checked before it counts."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leadline.store import sqlite_driver as driver
from leadline.store.revisions import HEAD
from leadline.store.sqlite import DatabaseInUse

# About 4 MB a step: what is written meanwhile waits for no longer than that takes.
STEP_PAGES = 1024
BUSY_TIMEOUT_SECONDS = 30
_COUNTED = ("workspaces", "contacts", "calls", "deliveries")
_READ_BYTES = 1024 * 1024

Progress = Callable[[int, int], None]
"""Told how many pages are done, and how many there are."""


class BadBackup(Exception):
    """The file is no database of Leadline's, is damaged, or is from a newer version."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a checked copy holds."""

    path: str
    size_bytes: int
    revision: str
    rows: dict[str, int]


def back_up(source: Path, target: Path, progress: Progress) -> Copied:
    """Copy a database, also while it is served, to a file that is not there yet.

    The copy is of one moment. It appears under its name only when it is whole, checked and on the disk, and
    only its owner may read it. Raises BadBackup, FileExistsError, OSError.
    """
    with _arriving(target) as partial:
        with (
            contextlib.closing(_open(source, "ro")) as reading,
            contextlib.closing(_open(partial, "rwc")) as writing,
        ):
            _copy_pages(reading, writing, progress)
            # One file, complete without a log beside it.
            writing.execute("PRAGMA journal_mode=DELETE")
        copied = check(partial)
    return Copied(str(target), copied.size_bytes, copied.revision, copied.rows)


def restore(source: Path, target: Path) -> Path | None:
    """Put a checked backup in the place of the database, which no process may be serving.

    The database that was there keeps all its data under another name, which is answered; None when there was
    none. Raises BadBackup, DatabaseInUse, OSError; then nothing has changed.
    """
    check(source)
    with _held(target):
        kept = _free_name(target) if target.exists() else None
        with _arriving(target, replacing=kept) as partial:
            _copy(source, partial)
            check(partial)
        return kept


def check(path: Path) -> Copied:
    """Whether the file is a whole database of this version or an older one. Raises BadBackup."""
    if not path.is_file():
        raise BadBackup(f"there is no file {path}")
    try:
        with contextlib.closing(_open(path, "ro")) as connection:
            return _checked(path, connection)
    except driver.Error as damaged:
        raise BadBackup(f"{path} is not a database, or is damaged: {damaged}") from None


def _checked(path: Path, connection: driver.Connection) -> Copied:
    damage = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(1)").fetchall()]
    if damage != ["ok"]:
        raise BadBackup(f"{path} is damaged: {' '.join(damage[0].split())}")
    if connection.execute("PRAGMA foreign_key_check").fetchall():
        raise BadBackup(f"{path} is damaged: rows point to rows that are not there")
    revision = _revision(path, connection)
    counts = {table: _count(connection, table) for table in _COUNTED}
    return Copied(str(path), path.stat().st_size, revision, counts)


def _count(connection: driver.Connection, table: str) -> int:
    number: Any = connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
    return int(number)


def _revision(path: Path, connection: driver.Connection) -> str:
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"alembic_version", *_COUNTED} <= tables:
        raise BadBackup(f"{path} is no database of Leadline's")
    versions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    revision = str(versions[0][0]) if versions else ""
    # Revisions are numbered, so they are compared as they are written.
    if not revision or revision > HEAD:
        raise BadBackup(f"{path} is at revision {revision or 'none'}; this version knows {HEAD} and older")
    return revision


def _open(path: Path, mode: str) -> driver.Connection:
    return driver.connect(path, mode, timeout_seconds=BUSY_TIMEOUT_SECONDS)


def _copy_pages(reading: driver.Connection, writing: driver.Connection, progress: Progress) -> None:
    with writing.backup("main", reading, "main") as copy:
        while not copy.done:
            copy.step(STEP_PAGES)
            progress(copy.page_count - copy.remaining, copy.page_count)


@contextlib.contextmanager
def _arriving(target: Path, *, replacing: Path | None = None) -> Iterator[Path]:
    """A file beside the target that takes its name at the end, once it is on the disk; nothing is left otherwise.

    What has the name already goes to `replacing`; without it, that is refused.
    """
    if replacing is None and target.exists():
        raise FileExistsError(f"{target} is there already")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.close(descriptor)
    try:
        yield partial
        _sync(partial)
        if replacing is None:
            # Unlike a rename, this replaces nothing that has come meanwhile.
            os.link(partial, target)
        else:
            _move_aside(target, replacing)
            partial.rename(target)
        _sync(target.resolve().parent)
    finally:
        partial.unlink(missing_ok=True)


def _move_aside(target: Path, kept: Path) -> None:
    """Rename a database, with what its log holds moved into it first.

    One that is damaged, perhaps why somebody restores, is not opened for that: it keeps its log beside it.
    """
    with contextlib.suppress(BadBackup):
        check(target)
        with contextlib.closing(_open(target, "rw")) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    target.rename(kept)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{target}{suffix}").rename(f"{kept}{suffix}")


def _free_name(target: Path) -> Path:
    """A name beside the database that nothing has."""
    for number in range(1, 10_000):
        name = target.with_name(f"{target.name}.before-restore-{number}")
        if not name.exists():
            return name
    raise FileExistsError(f"there are too many {target.name}.before-restore-… files")


def _copy(source: Path, target: Path) -> None:
    """Through SQLite, so that a log beside the source is not forgotten."""
    with (
        contextlib.closing(_open(source, "ro")) as reading,
        contextlib.closing(_open(target, "rw")) as writing,
    ):
        _copy_pages(reading, writing, lambda _done, _all: None)
        writing.execute("PRAGMA journal_mode=DELETE")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _held(target: Path) -> Iterator[None]:
    """Hold the lock by which one process serves a file (`sqlite.py`). Raises DatabaseInUse."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{target}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DatabaseInUse(f"{target} is in use: stop `leadline serve` first") from None
        yield
