"""Which SQLite: the one that pysqlite3's wheel carries, else Python's own. Its version is checked at start."""

from __future__ import annotations

try:
    import pysqlite3 as driver
except ImportError:  # no wheel for this machine (Linux on ARM, Macs with Intel)
    import sqlite3 as driver

__all__ = ["driver"]
