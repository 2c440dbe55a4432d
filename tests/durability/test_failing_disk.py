"""A sync that fails: nothing is acknowledged after it until the process has started again from the disk.

For every sync of a run that commits and moves its log into the database several times.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from durability.conftest import Run, Victims
from durability.disk import Event, disk_after, write_files
from durability.scene import Scene, look, promises, repeat_all, set_up

APPLIES = 20
CHECKPOINT_FRAMES = "60"
AT_ONCE = 2
# Of the directory, of two commits, and one more of a checkpoint at the least.
SYNCS_MIN = 6


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, Mapping[str, bytes]]:
    return set_up(tmp_path_factory.mktemp("stage") / "data", APPLIES, "https://receiver.example/hook")


def test_after_a_sync_that_failed_nothing_is_acknowledged_until_a_restart(
    run_victim: Victims, stage: tuple[Scene, Mapping[str, bytes]], tmp_path: Path
) -> None:
    scene, files = stage
    whole = run_victim(scene, files, "apply", VICTIM_CHECKPOINT_FRAMES=CHECKPOINT_FRAMES)
    assert whole.status == 0, whole.output

    def fail(number: int) -> Run:
        settings = {"POWERCUT_FAIL": str(number), "VICTIM_CHECKPOINT_FRAMES": CHECKPOINT_FRAMES}
        return run_victim(scene, files, "apply", **settings)

    last_promise = max(at for at, event in enumerate(whole.events) if event.data.startswith(b"applied"))
    syncs = sum(event.is_sync for event in whole.events[:last_promise])
    failures = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number, run in enumerate(pool.map(fail, range(1, syncs + 1)), start=1):
            if not any(event.kind == "F" for event in run.events):
                continue  # it was over by then
            failures += 1
            if failed_sync(run).inode != run.directory.stat().st_ino:
                assert_silent_after_failure(run, files, tmp_path / f"{number}-then")
            assert_nothing_lost(run, scene, files, tmp_path / str(number))
    assert failures >= SYNCS_MIN


def failed_sync(run: Run) -> Event:
    (failed,) = [event for event in run.events if event.kind == "F"]
    return failed


def test_a_directory_that_cannot_be_synced_is_not_opened(
    run_victim: Victims, stage: tuple[Scene, Mapping[str, bytes]]
) -> None:
    """SQLite syncs it later as well and goes on when that fails: harmless, once the names are on the disk."""
    scene, files = stage
    run = run_victim(scene, files, "apply", POWERCUT_FAIL="1")
    assert failed_sync(run).inode == run.directory.stat().st_ino
    assert run.events[-1].kind != "W"
    assert run.status != 0
    assert "Input/output error" in run.output


def assert_silent_after_failure(run: Run, files: Mapping[str, bytes], directory: Path) -> None:
    """What was on the disk before may still be told after it, nothing else."""
    assert run.status == 0, run.output
    failed = run.events.index(failed_sync(run))
    before, whole = disk_after(files, run.events[:failed]), disk_after(files, run.events)
    if "health" in before.acknowledged:
        return  # its commits were shared by more, so there were fewer syncs: it was closing already
    write_files(directory, before.after_cut())
    later = whole.acknowledged.removeprefix(before.acknowledged)
    assert not look(directory).lost(promises(later))
    assert "failed The disk failed" in later, "its owner was told"
    assert "health " in later
    assert "health None" not in later


def assert_nothing_lost(run: Run, scene: Scene, files: Mapping[str, bytes], directory: Path) -> None:
    disk = disk_after(files, run.events)
    write_files(directory, disk.after_cut())
    promised = promises(disk.acknowledged)
    found = look(directory)
    assert not found.problems
    assert found.is_whole
    assert not found.lost(promised)
    repeat_all(directory, scene)
    after = look(directory)
    assert after.is_whole
    assert sorted(after.applied) == sorted(scene.calls)
    assert not after.lost(promised)
