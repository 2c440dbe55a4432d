from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from leadline import background as background_module
from leadline.background import Background
from leadline.clock import Clock
from leadline.operations import maintenance
from leadline.operations.workspaces import create_workspace
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


async def test_a_job_that_fails_for_ever_is_tried_less_and_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, stepped = 0.0, list[float]()

    async def running(_tx: Tx) -> list[tuple[str, str]]:
        return [("one", "broken")]

    async def step(_workspace_id: str, _replay_id: str, _tx: Tx) -> None:
        stepped.append(seconds)
        raise ValueError("nobody foresaw this")

    monkeypatch.setattr(background_module, "running_replays", running)
    monkeypatch.setattr(background_module, "_step_replay", step)
    monkeypatch.setattr(background_module, "monotonic_seconds", lambda: seconds)
    monkeypatch.setattr(background_module, "REPLAY_PAUSE_SECONDS", 0.0)
    url = f"sqlite:///{tmp_path}/jobs.db"
    await migrate(url)
    async with opened_database(url) as opened:
        tasks = Background(
            opened.database, Clock(), events_kept_ms=1, tell_drift=lambda _: None, take_used=None
        )
        while seconds < 1_300:
            await tasks._replay()
            seconds += 5.0
    assert stepped == [0, 5, 15, 35, 75, 155, 315, 615, 915, 1_215]


async def test_a_workspace_in_which_nothing_can_be_pruned_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pruned: set[str] = set()
    done = asyncio.Event()

    async def prune(_tx: Tx, workspace_id: str, *, events_kept_ms: int) -> bool:
        pruned.add(workspace_id)
        if len(pruned) == 3:
            done.set()
        if len(pruned) == 1:
            raise ValueError(f"nobody foresaw this of {events_kept_ms}")
        return False

    monkeypatch.setattr(maintenance, "prune_workspace", prune)
    url = f"sqlite:///{tmp_path}/jobs.db"
    await migrate(url)
    async with opened_database(url) as opened:
        for name in ("Two", "Three"):
            await opened.database.write(partial(create_workspace, name=name))
        tasks = Background(
            opened.database, Clock(), events_kept_ms=1, tell_drift=lambda _: None, take_used=None
        )
        maintaining = asyncio.create_task(tasks._maintain())
        waiting = asyncio.create_task(done.wait())
        await asyncio.wait([maintaining, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert done.is_set()
        for task in (maintaining, waiting):
            task.cancel()


async def test_a_background_task_whose_wait_was_called_off_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[bool] = []
    done = asyncio.Event()

    async def step() -> None:
        began.append(True)
        if len(began) == 1:
            raise asyncio.CancelledError
        done.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(background_module, "FAILED_SECONDS", 0.0)
    url = f"sqlite:///{tmp_path}/jobs.db"
    await migrate(url)
    async with opened_database(url) as opened:
        tasks = Background(
            opened.database, Clock(), events_kept_ms=1, tell_drift=lambda _: None, take_used=None
        )
        repeating = asyncio.create_task(tasks._repeat(step))
        waiting = asyncio.create_task(done.wait())
        await asyncio.wait([repeating, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert done.is_set()
        repeating.cancel()
        await asyncio.wait([repeating])
        assert repeating.cancelled()


async def test_the_look_for_drift_tells_when_it_has_come_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a step for each of three workspaces; that steps miss nothing is a law of theirs."""
    told: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def look_on(look: maintenance.DriftLook, _tx: Tx) -> maintenance.DriftLook:
        assert not told.done()
        return look._replace(workspace=look.workspace + 1, missing=look.missing + 1)

    monkeypatch.setattr(background_module, "_look_on", look_on)
    url = f"sqlite:///{tmp_path}/jobs.db"
    await migrate(url)
    async with opened_database(url) as opened:
        for name in ("Two", "Three"):
            await opened.database.write(partial(create_workspace, name=name))
        tasks = Background(
            opened.database, Clock(), events_kept_ms=1, tell_drift=told.set_result, take_used=None
        )
        looking = asyncio.create_task(tasks._look_for_drift())
        assert await told == 3
        looking.cancel()
