"""The disk alone: a file that is written and synced again and again, as a database's log is.

No answer leaves before its commit is on disk, so nobody's latency is better than this one at the same time.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from benchmarks.histogram import Histogram
from benchmarks.load import Window
from benchmarks.measuring import Plan

# About what a commit of a few applies writes to SQLite's log, about as often.
SYNC_BYTES, SYNCS_PER_SECOND = 110_000, 200.0
_FILE_BYTES = 64 * SYNC_BYTES


def measure_disk(plan: Plan, directory: Path) -> Window:
    """One window of syncs in an open loop: each counts from the moment at which it was meant to begin."""
    latency = Histogram()
    with tempfile.TemporaryFile(dir=directory) as file:
        descriptor = file.fileno()
        # Written over, as a log is that was reset: its length does not change.
        os.pwrite(descriptor, bytes(_FILE_BYTES), 0)
        os.fsync(descriptor)
        content = os.urandom(SYNC_BYTES)
        began_ns = time.monotonic_ns()
        used_seconds = time.process_time()
        count = max(1, int(plan.seconds * SYNCS_PER_SECOND))
        for number in range(count):
            meant_ns = began_ns + int(number * 1e9 / SYNCS_PER_SECOND)
            time.sleep(max(0, meant_ns - time.monotonic_ns()) / 1e9)
            os.pwrite(descriptor, content, number * SYNC_BYTES % _FILE_BYTES)
            os.fdatasync(descriptor)
            latency.add((time.monotonic_ns() - meant_ns) // 1000)
        seconds = (time.monotonic_ns() - began_ns) / 1e9
    used_share = (time.process_time() - used_seconds) / seconds
    return Window(
        answers=count,
        seconds=seconds,
        requests_sent=count,
        statuses={},
        buckets=latency.buckets,
        used_seconds={},
        generator_share=used_share,
        core_share=used_share,
        began_ns=began_ns,
    )
