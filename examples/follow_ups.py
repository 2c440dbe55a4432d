"""What the three receivers do with a webhook: note a follow-up, once for each outcome of each call.

Leadline delivers at least once, so the same event may come again, also at the same moment. The note that it was
seen and what is done about it are one transaction: whatever dies in between, both are there or neither.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from leadline.client import WebhookEvent

TABLES = """
CREATE TABLE IF NOT EXISTS seen (
    call_id TEXT NOT NULL,
    outcome_id TEXT NOT NULL,
    PRIMARY KEY (call_id, outcome_id)
);
CREATE TABLE IF NOT EXISTS follow_ups (
    call_id TEXT NOT NULL,
    outcome_name TEXT NOT NULL,
    phone_number TEXT
);
"""


class FollowUps:
    """A SQLite file of follow-ups; safe to use from many threads and processes."""

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        with closing(self._connect()) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(TABLES)

    def act_once(self, event: WebhookEvent) -> bool:
        """Note a follow-up for the event; False when it was here before."""
        # The inner `with` is the transaction: it commits at its end and rolls back when something is raised.
        with closing(self._connect()) as database, database:
            seen = database.execute(
                "INSERT INTO seen (call_id, outcome_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
                event.deduplication_key,
            )
            if seen.rowcount == 0:
                return False
            database.execute(
                "INSERT INTO follow_ups (call_id, outcome_name, phone_number) VALUES (?, ?, ?)",
                (event.call.call_id, event.outcome.outcome_name, event.call.phone_number),
            )
            return True

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=30)
