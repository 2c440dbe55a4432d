"""`make chaos` in short: contract § 5, § 8, § 9 under fire, on both engines, with a fixed seed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 6
SEED = 7
# Under fire, waiting for leases of the dead (15 s), and a machine that is busy with other things.
BOUND_SECONDS = 300


@pytest.mark.long
@pytest.mark.parametrize("engine_name", ["sqlite", "postgresql"])
def test_nothing_is_lost_or_repeated_without_a_kill(engine_name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--seconds", str(SECONDS), "--seed", str(SEED), "--engine", engine_name],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=BOUND_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.rstrip().endswith("kept"), done.stdout
