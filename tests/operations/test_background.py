from __future__ import annotations

from pathlib import Path

import pytest

from leadline import background as background_module
from leadline.background import Background
from leadline.clock import Clock
from leadline.store.database import Tx
from leadline.store.migrating import migrate
from store.databases import opened_database


async def test_a_job_that_cannot_go_on_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with it: one workspace's file would stop the imports of all."""
    stepped: list[str] = []

    async def running(_tx: Tx) -> list[tuple[str, str]]:
        return [("one", "broken"), ("two", "sound")]

    async def step(_workspace_id: str, import_id: str, _tx: Tx) -> None:
        stepped.append(import_id)
        if import_id == "broken":
            raise ValueError("nobody foresaw this")

    monkeypatch.setattr(background_module, "running_imports", running)
    monkeypatch.setattr(background_module, "_step_import", step)
    url = f"sqlite:///{tmp_path}/jobs.db"
    await migrate(url)
    async with opened_database(url) as opened:
        tasks = Background(
            opened.database, Clock(), events_kept_ms=1, tell_drift=lambda _: None, take_used=None
        )
        for _ in range(3):
            await tasks._import()
    assert stepped == ["broken", "sound", "sound", "sound"]
