"""What Leadline weighs: what an import pulls in, and what a process at work takes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import Desk, Server

RESIDENT_MB_MAX = 120
START_SECONDS_MAX = 20
ROUNDS = 100
# What a program that only calls a Leadline, or only reads its settings, has no use for.
HEAVY = (
    "alembic", "apsw", "asyncpg", "cyclopts", "jinja2", "phonenumbers", "prometheus_client",
    "rich", "sqlalchemy", "starlette", "uvicorn", "uvloop",
)  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    """The top-level modules of a fresh interpreter after a statement."""
    listing = "import json, sys\nprint(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    code = f"{statement}\n{listing}"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "statement",
    [
        "import leadline",
        "import leadline.wire.outcomes",
        "import leadline.domain.signing",
        "import leadline.domain.applying, leadline.domain.calls, leadline.domain.paging",
        "import leadline.settings",
    ],
)
def test_an_import_pulls_in_neither_server_nor_database(statement: str) -> None:
    assert loaded_by(statement).isdisjoint(HEAVY)


def test_the_store_of_one_engine_does_not_load_the_driver_of_the_other() -> None:
    assert "apsw" not in loaded_by("import leadline.store.postgresql, leadline.store.deliveries")


def test_sqlite_is_served_without_postgresqls_driver_or_sqlalchemy() -> None:
    loaded = loaded_by("import leadline.store.sqlite, leadline.store.calls, leadline.store.migrating")
    assert loaded.isdisjoint({"asyncpg", "sqlalchemy", "alembic"})


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError(pid)


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads the memory of a process as Linux tells it"
)
def test_a_warm_server_stays_small(
    make_server: Callable[..., Server], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    began = time.monotonic()
    server = make_server(f"sqlite:///{tmp_path / 'small.db'}")
    first_start_seconds = time.monotonic() - began
    assert server.stop() == 0
    began = time.monotonic()
    server.start()
    second_start_seconds = time.monotonic() - began
    cold_mb = resident_mb(server.process.pid)
    desk = Desk.open(server)
    for path in ("/openapi.json", "/docs", "/metrics", "/readyz"):
        assert desk.api.at_root().get(path).status == 200
    for _ in range(ROUNDS):
        call_id = desk.call()["call_id"]
        for path in (f"/calls/{call_id}", "/calls?limit=200", "/contacts"):
            assert desk.api.get(path).status == 200
    warm_mb = resident_mb(server.process.pid)
    measured = {
        "first start, seconds": round(first_start_seconds, 2),
        "second start, seconds": round(second_start_seconds, 2),
        "resident, cold, MB": round(cold_mb, 1),
        "resident, warm, MB": round(warm_mb, 1),
    }
    print(measured)
    record_property("footprint", measured)
    assert warm_mb < RESIDENT_MB_MAX, measured
    # A bound on hanging, not on speed: the harness gives up later than this.
    assert max(first_start_seconds, second_start_seconds) < START_SECONDS_MAX, measured
