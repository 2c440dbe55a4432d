"""`leadline backup` and `leadline restore`: of SQLite; PostgreSQL has tools of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from leadline.cli.failures import Failed, UsageError
from leadline.cli.printing import print_json
from leadline.settings import Settings
from leadline.store.backups import BadBackup, Copied, back_up, check, restore
from leadline.store.engines import Engine
from leadline.store.migrating import engine_of, sqlite_path


def back_up_database(settings: Settings, file: str, *, as_json: bool) -> None:
    """Copy the database to a file that is not there yet, checked. Raises Failed, UsageError."""
    source = _sqlite_file(settings, "backup: use `pg_dump --format=custom --file FILE DATABASE_URL`")
    if not source.exists():
        raise Failed(f"there is no database at {source}")
    try:
        copied = back_up(source, Path(file), _progress)
    except FileExistsError:
        raise Failed(f"{file} is there already; nothing was written") from None
    except BadBackup as damaged:
        raise Failed(f"the copy is not whole, and was not kept: {damaged}") from None
    if as_json:
        print_json(_shown(copied))
        return
    held = ", ".join(f"{count} {table}" for table, count in copied.rows.items())
    print(f"{file}: {copied.size_bytes} bytes, checked; revision {copied.revision}, {held}.")


def restore_database(settings: Settings, file: str, *, confirmed: bool, as_json: bool) -> None:
    """Put a backup in the database's place. Raises Failed, UsageError."""
    target = _sqlite_file(
        settings, "restore: use `pg_restore --clean --if-exists --dbname DATABASE_URL FILE`"
    )
    try:
        found = check(Path(file))
        if target.exists() and not confirmed:
            _ask(target, found)
        kept = restore(Path(file), target)
    except BadBackup as damaged:
        raise Failed(str(damaged)) from None
    if as_json:
        print_json({"database": str(target), "kept": None if kept is None else str(kept), **_shown(found)})
        return
    print(f"{target} is now what {file} holds.")
    if kept is not None:
        print(f"What was there before is kept in {kept}.")
    print(
        "Webhooks that were delivered after the backup was made may go out again: receivers know them by their ids."
    )


def _sqlite_file(settings: Settings, instead: str) -> Path:
    if engine_of(settings.database_url) is not Engine.SQLITE:
        raise UsageError(f"PostgreSQL has its own {instead}")
    return Path(sqlite_path(settings.database_url))


def _ask(target: Path, found: Copied) -> None:
    """Go on only when a person at a terminal says yes. Raises UsageError, Failed."""
    if not sys.stdin.isatty():
        raise UsageError("restoring over a database needs --yes when nobody can be asked")
    rows = ", ".join(f"{count} {table}" for table, count in found.rows.items())
    print(f"This replaces {target} by a backup with {rows}.", file=sys.stderr)
    print("Restore it? [y/N] ", end="", file=sys.stderr, flush=True)
    if input().strip().lower() not in ("y", "yes"):
        raise Failed("nothing was changed")


def _progress(done_pages: int, all_pages: int) -> None:
    """Where it stands, on a terminal that is looked at."""
    if sys.stderr.isatty() and all_pages:
        end = "\n" if done_pages == all_pages else ""
        print(f"\r{done_pages * 100 // all_pages:3d} %", end=end, file=sys.stderr, flush=True)


def _shown(copied: Copied) -> dict[str, object]:
    return {"size_bytes": copied.size_bytes, "revision": copied.revision, "rows": copied.rows}
