from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from leadline import background as background_module
from leadline.background import Background
from leadline.clock import Clock
from leadline.domain.reports import Measure
from leadline.operations import maintenance
from leadline.operations.workspaces import create_workspace
from leadline.store.database import Tx
from leadline.store.migrating import migrate
from store.databases import opened_database


@asynccontextmanager
async def background(
    folder: Path, *, workspaces: int = 1, tell_drift: Callable[[float], None] = lambda _: None
) -> AsyncIterator[Background]:
    """The tasks of a process on a database with so many workspaces; none of them is started."""
    url = f"sqlite:///{folder}/jobs.db"
    await migrate(url)
    async with opened_database(url) as opened:
        for number in range(1, workspaces):
            await opened.database.write(partial(create_workspace, name=f"Workspace {number}"))
        yield Background(opened.database, Clock(), events_kept_ms=1, tell_drift=tell_drift, take_used=None)


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
    async with background(tmp_path) as tasks:
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
    async with background(tmp_path) as tasks:
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
    async with background(tmp_path, workspaces=3) as tasks:
        maintaining = asyncio.create_task(tasks._maintain())
        waiting = asyncio.create_task(done.wait())
        await asyncio.wait([maintaining, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert done.is_set()
        for task in (maintaining, waiting):
            task.cancel()


async def test_a_wrap_up_that_cannot_be_closed_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    async def due(_tx: Tx, *, limit: int) -> list[tuple[str, str]]:
        return [("one", "broken"), ("two", "sound")][:limit]

    async def next_ms(_tx: Tx) -> int:
        return 0

    async def close(_tx: Tx, _workspace_id: str, call_id: str) -> bool:
        if call_id == "broken":
            raise ValueError("nobody foresaw this")
        closed.append(call_id)
        return True

    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(background_module, "timed_out_calls", due)
    monkeypatch.setattr(background_module, "next_timeout_ms", next_ms)
    monkeypatch.setattr(background_module, "time_out_wrap_up", close)
    async with background(tmp_path) as tasks:
        with monkeypatch.context() as patched:
            patched.setattr(background_module.asyncio, "sleep", sleep)  # type: ignore[attr-defined]
            await tasks._time_out_wrap_ups()
            await tasks._time_out_wrap_ups()
    assert closed == ["sound", "sound"]
    assert slept == [1.0, 1.0], "it is not looked for without a pause"


async def test_a_workspace_that_cannot_be_counted_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[str, Measure]] = []
    left = 3

    async def due(_tx: Tx) -> list[tuple[str, Measure]]:
        return [("one", Measure.CALLS), ("two", Measure.CALLS)] if left else [("one", Measure.CALLS)]

    async def count(workspace_id: str, measure: Measure, _tx: Tx) -> bool:
        nonlocal left
        if workspace_id == "one":
            raise ValueError("nobody foresaw this")
        counted.append((workspace_id, measure))
        left -= 1
        return left > 0

    monkeypatch.setattr(background_module, "uncounted", due)
    monkeypatch.setattr(background_module, "_count_step", count)
    monkeypatch.setattr(background_module, "PAUSE_FACTOR", 0)
    async with background(tmp_path) as tasks:
        for _ in range(3):
            await tasks._count_ahead()
        # With nothing to go on with it waits.
        waiting = asyncio.create_task(tasks._count_ahead())
        await asyncio.wait([waiting], timeout=0.2)
        assert not waiting.done()
        waiting.cancel()
    assert counted == [("two", Measure.CALLS)] * 3


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
    async with background(tmp_path) as tasks:
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
    async with background(tmp_path, workspaces=3, tell_drift=told.set_result) as tasks:
        looking = asyncio.create_task(tasks._look_for_drift())
        assert await told == 3
        looking.cancel()
