"""Where `serve --dev` keeps its first token and `simulate` finds it."""

from __future__ import annotations

from pathlib import Path

from leadline.settings import Settings
from leadline.store.engines import Engine
from leadline.store.migrating import engine_of, sqlite_path

TOKEN_SUFFIX = ".token"  # noqa: S105 - a file's name, no token
# Where it is with the default database, and with that of the Makefile.
USUAL_TOKEN_FILES = ("leadline.db.token", "var/leadline.db.token")


def token_file(settings: Settings) -> Path | None:
    """Where `--dev` keeps the first token: beside the SQLite file; None for PostgreSQL, which has no place."""
    if engine_of(settings.database_url) is not Engine.SQLITE:
        return None
    return Path(sqlite_path(settings.database_url) + TOKEN_SUFFIX)
