"""`leadline doctor`: what an installation needs, looked at one by one.

`warn` is what works but should be known; `fail` is what keeps Leadline from running well.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from leadline.cli.failures import FAILED, explain
from leadline.cli.printing import print_json, style
from leadline.clock import Clock, iso_from_ms
from leadline.settings import InvalidSetting, Settings, load_settings
from leadline.store.database import Tx
from leadline.store.engines import Engine, Statement
from leadline.store.migrating import InvalidDatabaseUrl, current_revision, engine_of, sqlite_path
from leadline.store.revisions import HEAD
from leadline.wiring import address_policy, opened, retry_waits

PYTHON_MIN = (3, 11)
# SQLite 3.51.3 mended the WAL-reset bug, by which a checkpoint at the wrong moment loses committed data.
SQLITE_MIN = (3, 51, 3)
DISK_WARN_BYTES = 1024**3
DISK_FAIL_BYTES = 100 * 1024**2
CLOCK_APART_MS_MAX = 5_000
# When this was written: a clock that says less was never set.
CLOCK_MS_MIN = 1_767_225_600_000

_DATABASE_NOW = Statement("SELECT {now_ms}", register=False)


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    level: Level
    text: str


def examine(flags: Mapping[str, Any], config: str | None, *, as_json: bool) -> int:
    """Run every check and print one line for each; 1 when one fails, else 0."""
    try:
        settings = load_settings(flags, file=config)
        engine_of(settings.database_url)
    except (InvalidSetting, InvalidDatabaseUrl) as wrong:
        findings = [_python(), Finding("settings", Level.FAIL, str(wrong))]
        _print(findings, as_json=as_json)
        return FAILED
    findings = [_guarded(name, check) for name, check in _checks(settings)]
    _print(findings, as_json=as_json)
    return int(any(each.level is Level.FAIL for each in findings))


def _checks(settings: Settings) -> Iterator[tuple[str, Callable[[], Finding]]]:
    yield "python", _python
    yield "settings", lambda: _settings(settings)
    yield "sqlite", lambda: _sqlite(settings)
    yield "database", lambda: _database(settings)
    yield "disk", lambda: _disk(settings)
    yield "clock", lambda: _clock(settings)
    yield "port", lambda: _port(settings)


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    """A check that cannot be made has failed, in one line; a bug still shows itself."""
    try:
        return check()
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        return Finding(name, Level.FAIL, explained[0])


def _print(findings: list[Finding], *, as_json: bool) -> None:
    if as_json:
        healthy = all(each.level is not Level.FAIL for each in findings)
        print_json({"ok": healthy, "checks": [asdict(each) for each in findings]})
        return
    for each in findings:
        print(f"{style(f'{each.level:<4}', _COLOURS[each.level])}  {each.check:<8}  {each.text}")


def _python() -> Finding:
    fits = sys.version_info >= PYTHON_MIN
    return Finding("python", Level.OK if fits else Level.FAIL, f"Python {platform.python_version()}")


def _settings(settings: Settings) -> Finding:
    address_policy(settings)
    retry_waits(settings)
    if settings.dev and settings.host not in ("127.0.0.1", "::1", "localhost"):
        return Finding("settings", Level.WARN, f"dev mode opens this machine to webhooks, on {settings.host}")
    return Finding("settings", Level.OK, "valid")


def _is_sqlite(settings: Settings) -> bool:
    return engine_of(settings.database_url) is Engine.SQLITE


def _sqlite(settings: Settings) -> Finding:
    if not _is_sqlite(settings):
        return Finding("sqlite", Level.OK, "not used")
    # By name: only `store` may import the driver, and here it is the patient.
    version = importlib.import_module("apsw").sqlite_lib_version()
    fits = tuple(map(int, version.split("."))) >= SQLITE_MIN
    text = f"SQLite {version} (apsw)"
    if fits:
        return Finding("sqlite", Level.OK, text)
    least = ".".join(map(str, SQLITE_MIN))
    return Finding("sqlite", Level.FAIL, f"{text} can lose data; {least} or newer is needed")


def _database(settings: Settings) -> Finding:
    if _is_sqlite(settings) and not Path(sqlite_path(settings.database_url)).exists():
        return _no_file(Path(sqlite_path(settings.database_url)))
    revision = asyncio.run(current_revision(settings.database_url))
    if revision is None:
        return Finding("database", Level.WARN, "reachable, but empty; `leadline serve` or `migrate` fills it")
    if revision > HEAD:
        return Finding("database", Level.FAIL, f"it is of a newer Leadline: revision {revision}, not {HEAD}")
    if revision != HEAD:
        return Finding(
            "database", Level.WARN, f"at revision {revision}; `leadline migrate` brings it to {HEAD}"
        )
    problem = asyncio.run(_health(settings))
    if problem is not None:
        return Finding("database", Level.FAIL, problem)
    return Finding("database", Level.OK, f"reachable, writable, at revision {HEAD}")


def _no_file(path: Path) -> Finding:
    folder = _nearest_folder(path)
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return Finding("database", Level.FAIL, f"there is no {path}, and nothing can be made in {folder}")
    return Finding("database", Level.WARN, f"there is no {path} yet; `leadline serve` makes it")


def _nearest_folder(path: Path) -> Path:
    """The innermost parent that exists."""
    return next(each for each in path.absolute().parents if each.exists())


async def _health(settings: Settings) -> str | None:
    async with opened(settings, migrated=False) as database:
        return await database.healthy()


def _disk(settings: Settings) -> Finding:
    if not _is_sqlite(settings):
        return Finding("disk", Level.OK, "the database is elsewhere")
    folder = _nearest_folder(Path(sqlite_path(settings.database_url)))
    free_bytes = shutil.disk_usage(folder).free
    text = f"{free_bytes / 1024**3:.1f} GiB free at {folder}"
    if free_bytes < DISK_FAIL_BYTES:
        return Finding("disk", Level.FAIL, text)
    return Finding("disk", Level.WARN if free_bytes < DISK_WARN_BYTES else Level.OK, text)


def _clock(settings: Settings) -> Finding:
    now_ms = Clock().now_ms()
    if now_ms < CLOCK_MS_MIN:
        return Finding("clock", Level.FAIL, f"it says {iso_from_ms(now_ms)}: signatures would be refused")
    if not _is_sqlite(settings):
        if asyncio.run(_health(settings)) is not None:
            return Finding("clock", Level.WARN, "the database's clock cannot be asked")
        apart_ms = abs(asyncio.run(_database_now(settings)) - Clock().now_ms())
        if apart_ms > CLOCK_APART_MS_MAX:
            text = f"the database's clock is {apart_ms / 1000:.0f} s away from this machine's"
            return Finding("clock", Level.WARN, text)
    return Finding("clock", Level.OK, iso_from_ms(now_ms))


async def _database_now(settings: Settings) -> int:
    async def read(tx: Tx) -> int:
        row = await tx.first(_DATABASE_NOW)
        return cast("int", row[0]) if row else 0

    async with opened(settings, migrated=False) as database:
        return await database.read(read)


def _port(settings: Settings) -> Finding:
    """Whether `serve` could listen: tried, not asked, so that the answer is the system's own."""
    where = f"port {settings.port} of {settings.host}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((settings.host, settings.port))
        except OSError as taken:
            return Finding("port", Level.WARN, f"{where} cannot be had: {taken.strerror or taken}")
    return Finding("port", Level.OK, f"{where} is free")
