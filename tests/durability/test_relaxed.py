"""What waits for no disk (claims, results of attempts) gets there a moment later by itself (decision 8)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from durability.conftest import Victims
from durability.disk import disk_after, write_files
from durability.scene import Scene, look, promises, set_up


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, Mapping[str, bytes]]:
    return set_up(tmp_path_factory.mktemp("stage") / "data", 1, "https://receiver.example/hook")


def test_it_is_synced_when_nothing_durable_comes_after_it(
    run_victim: Victims, stage: tuple[Scene, Mapping[str, bytes]], tmp_path: Path
) -> None:
    scene, files = stage
    run = run_victim(scene, files, "relaxed")
    assert run.status == 0, run.output
    said = next(at for at, event in enumerate(run.events) if event.data.startswith(b"applied"))
    sync = max(at for at, event in enumerate(run.events[:said]) if event.is_sync)
    write_files(tmp_path / "before", disk_after(files, run.events[:sync]).after_cut())
    assert look(tmp_path / "before").applied == []
    disk = disk_after(files, run.events[: said + 1])
    write_files(tmp_path / "after", disk.after_cut())
    found = look(tmp_path / "after")
    assert not found.problems
    assert found.is_whole
    assert promises(disk.acknowledged)
    assert not found.lost(promises(disk.acknowledged))


def test_when_that_sync_fails_nothing_is_written_any_more(
    run_victim: Victims, stage: tuple[Scene, Mapping[str, bytes]]
) -> None:
    scene, files = stage
    whole = run_victim(scene, files, "relaxed")
    said = next(at for at, event in enumerate(whole.events) if event.data.startswith(b"applied"))
    syncs = sum(event.is_sync for event in whole.events[:said])
    run = run_victim(scene, files, "relaxed", POWERCUT_FAIL=str(syncs))
    assert run.status == 0, run.output
    told = disk_after(files, run.events).acknowledged
    assert "failed The disk failed" in told, "its owner was told"
    assert "health The disk failed" in told
