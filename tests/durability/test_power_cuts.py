"""Contract § 3 and § 8: a power cut at any moment takes no acknowledged apply with it, and breaks no database.

One victim's writes are logged; each cut is a point of that log, and a disk that has kept what was synced
before it, with nothing else or with any random part of the rest.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from durability.conftest import Run, Victims
from durability.disk import Disk, write_files
from durability.scene import FILE, Found, Scene, look, promises, repeat_all, set_up
from leadline.store import sqlite_driver as driver

APPLIES = 60
CUTS = 100
SEED = 20260625
NOWHERE = "https://receiver.example/hook"


@dataclass(frozen=True)
class Cut:
    """A power cut: what was promised before it, and the files that were left."""

    promised: Mapping[str, str]
    files: Mapping[str, bytes]

    def find(self, directory: Path) -> Found:
        write_files(directory, self.files)
        return look(directory)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, Mapping[str, bytes]]:
    return set_up(tmp_path_factory.mktemp("stage") / "data", APPLIES, NOWHERE)


def cuts(run: Run, files: Mapping[str, bytes], chance: random.Random) -> Iterator[Cut]:
    """`CUTS` random moments, and at each the disk that kept nothing and one that kept something unsynced."""
    disk = Disk(files)
    moments = set(chance.sample(range(len(run.events)), CUTS))
    for position, event in enumerate(run.events):
        disk.apply(event)
        if position in moments:
            promised = promises(disk.acknowledged)
            yield Cut(promised, disk.after_cut())
            yield Cut(promised, disk.after_cut(chance))


@pytest.mark.long
def test_no_acknowledged_apply_is_lost_in_a_power_cut(
    run_victim: Victims, stage: tuple[Scene, Mapping[str, bytes]], tmp_path: Path
) -> None:
    scene, files = stage
    run = run_victim(scene, files, "apply", VICTIM_CHECKPOINT_FRAMES="60")
    assert run.status == 0, run.output
    partly = 0
    for number, cut in enumerate(cuts(run, files, random.Random(SEED))):
        directory = tmp_path / str(number)
        found = cut.find(directory)
        assert not found.problems
        assert found.is_whole
        assert not found.lost(cut.promised)
        partly += 0 < len(found.applied) < APPLIES
        assert_repeating_completes(directory, scene, cut, found)
    assert partly > CUTS / 2, "the cuts missed the work"


def assert_repeating_completes(directory: Path, scene: Scene, cut: Cut, found: Found) -> None:
    """What was there replays byte for byte, the rest is done now; in the end everything is there once."""
    answers = repeat_all(directory, scene)
    assert {call_id for call_id, answer in answers.items() if answer.replayed} == set(found.answers)
    after = look(directory)
    assert not after.problems
    assert after.is_whole
    assert sorted(after.applied) == sorted(scene.calls)
    assert not after.lost({**found.answers, **cut.promised})


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_a_database_that_syncs_less_is_caught_losing(
    run_victim: Victims, stage: tuple[Scene, Mapping[str, bytes]], tmp_path: Path, synchronous: str
) -> None:
    """The proof that the test above can fail."""
    scene, files = stage
    run = run_victim(scene, files, "apply", synchronous, VICTIM_CHECKPOINT_FRAMES="60")
    assert run.status == 0, run.output
    chance = random.Random(SEED)
    losses = [_loses(cut, tmp_path / str(number)) for number, cut in enumerate(cuts(run, files, chance))]
    assert sum(losses) > CUTS / 4


def _loses(cut: Cut, directory: Path) -> bool:
    try:
        found = cut.find(directory)
    except driver.Error:
        return True  # it cannot even be opened
    return bool(found.problems or found.lost(cut.promised))


def test_the_log_tells_all_that_happened_to_the_files(
    run_victim: Victims, stage: tuple[Scene, Mapping[str, bytes]]
) -> None:
    """The proof that the shim misses no write: after an orderly end, disk and log agree to the byte."""
    scene, files = stage
    run = run_victim(scene, files, "apply", VICTIM_CHECKPOINT_FRAMES="60")
    disk = Disk(files)
    for event in run.events:
        disk.apply(event)
    assert disk.after_cut()[FILE] == (run.directory / FILE).read_bytes()
    assert set(promises(disk.acknowledged)) == set(scene.calls)
