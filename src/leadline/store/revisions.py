"""Which migration is the newest."""

from __future__ import annotations

# A test compares it with the scripts. A database that has it costs one query at start.
HEAD = "0001"
