"""The power-cut shim, compiled for this run, and victims that run under it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from durability.disk import Event, read_log, write_files
from durability.scene import Scene

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.fail("The durability tests need Linux and a C compiler (cc, gcc or clang) on the PATH.")
    library = tmp_path_factory.mktemp("shim") / "powercut.so"
    source = Path(__file__).with_name("powercut.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", library, source, "-ldl"],
        check=True,
    )
    return library


@dataclass(frozen=True)
class Run:
    """A victim's end: its exit status, the disk's events, its directory as the processes saw it, its output."""

    status: int
    events: list[Event]
    directory: Path
    output: str

    @property
    def syncs(self) -> int:
        return sum(event.is_sync for event in self.events)


Victims = Callable[..., Run]


@pytest.fixture
def run_victim(shim: Path, tmp_path_factory: pytest.TempPathFactory) -> Victims:
    """`run_victim(scene, files, role, synchronous="FULL", **environment)`: a victim on a copy of these files."""

    def run(
        scene: Scene,
        files: Mapping[str, bytes],
        role: str,
        synchronous: str = "FULL",
        **environment: str,
    ) -> Run:
        place = tmp_path_factory.mktemp("victim")
        directory, log = place / "data", place / "log"
        write_files(directory, files)
        scene.write(place / "scene.json")
        done = subprocess.run(
            [sys.executable, "-m", "durability.victim", directory, place / "scene.json", role, synchronous],
            env=_environment(**shim_settings(shim, directory, log), **environment),
            cwd=place,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Run(done.returncode, read_log(log), directory, done.stdout + done.stderr)

    return run


def shim_settings(shim: Path, directory: Path, log: Path) -> dict[str, str]:
    """The variables that put a process's writes to a directory under the shim."""
    return {"LD_PRELOAD": str(shim), "POWERCUT_DIRECTORY": str(directory), "POWERCUT_LOG": str(log)}


def _environment(**more: str) -> dict[str, str]:
    paths = [str(TESTS), str(TESTS.parent / "src"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | more
