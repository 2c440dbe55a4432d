"""A quick run of each part comes to its end and counts right: the parts themselves check every answer and receipt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.applying import DISK
from benchmarks.report import Report, from_json

from postgres import URL_VARIABLE, PostgresServer

ROOT = Path(__file__).resolve().parents[2]
# A bound for a machine that is busy with other things; it takes a few seconds.
BOUND_SECONDS = 240


def _quick(part: str, engine: str, directory: Path, **environment: str) -> Report:
    file = directory / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", part, "--quick", "--engine", engine, "--json", str(file)],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=BOUND_SECONDS,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    report = from_json(file.read_bytes())
    for each in report.parts:
        assert f"# {each.name}" in done.stdout
    return report


def _subjects(report: Report) -> set[str]:
    return {row.subject for part in report.parts for row in part.rows}


# Each part once, and each engine with a part that counts statements on it.
@pytest.mark.bench
@pytest.mark.parametrize(
    ("part", "engine", "subjects"),
    [
        ("apply", "sqlite", {"leadline", "idiomatic", "echo", "leadline, sending", DISK}),
        ("read", "sqlite", {"list", "echo", "bare echo"}),
        ("deliver", "postgresql", {"deliver and record", "bare loop", "apply to receipt"}),
        ("grow", "sqlite", {"100 applied", "1,000 applied", "20 workspaces", "5 streams"}),
    ],
)
def test_a_quick_run_measures_every_subject(
    part: str, engine: str, subjects: set[str], tmp_path: Path
) -> None:
    report = _quick(part, engine, tmp_path)
    assert subjects <= _subjects(report)
    for each in report.parts:
        for row in each.rows:
            assert row.columns["per second"].median > 0
        for figure in each.figures:
            assert figure.values.runs, figure.name


@pytest.mark.bench
def test_a_quick_run_of_several_processes_uses_the_postgresql_that_is_there(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    report = _quick("processes", "postgresql", tmp_path, **{URL_VARIABLE: postgres.url})
    assert {"1 serve + 1 worker", "2 serve + 2 worker"} <= _subjects(report)


def test_a_new_run_that_lost_a_ratio_fails_the_check(tmp_path: Path) -> None:
    """`compare`, as it is typed: 0 for the same file, 1 for a worse one, 2 for what cannot be compared."""
    good, bad, wrong = (tmp_path / name for name in ("good.json", "bad.json", "wrong.json"))
    good.write_text(_file_with(0.5))
    bad.write_text(_file_with(0.2))
    wrong.write_text("{}")
    assert [_compare(good, each) for each in (good, bad, wrong)] == [0, 1, 2]


def _compare(old: Path, new: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "compare", str(old), str(new)],
        cwd=ROOT, check=False, capture_output=True, timeout=BOUND_SECONDS,
    )  # fmt: skip
    return done.returncode


def _file_with(value: float) -> str:
    return (
        '{"made_at": "2026-01-01T00:00:00+00:00", "machine": {}, "places": "", "runs": 1, "seconds": 1,'
        ' "parts": [{"name": "Apply on sqlite", "command": "", "rows": [], "figures":'
        f' [{{"name": "apply / echo", "values": {{"unit": "ratio", "runs": [{value}]}}}}]}}]}}'
    )
