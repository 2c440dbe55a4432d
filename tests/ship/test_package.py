"""What is released: a wheel that serves by itself, and a source archive that makes the same wheel."""

from __future__ import annotations

import email
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

from harness import eventually, server_environment
from leadline import __version__

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "leadline"


def build(project: Path, target: str, into: Path) -> Path:
    """Build with what is installed: no index, no isolation."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(into)],
        cwd=project,
        env=environment(),
        check=True,
        capture_output=True,
        timeout=120,
    )
    (made,) = into.iterdir()
    return made


def environment(**settings: str) -> dict[str, str]:
    """Nothing that would lead back to the checkout."""
    left_out = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in server_environment(**settings).items() if name not in left_out}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made from the source archive, as those make it who do not trust ours."""
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (project,) = unpacked.iterdir()
    return build(project, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel; the dependencies are the test environment's."""
    place = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True, timeout=120)
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    options = ["--no-index", "--no-deps", "--disable-pip-version-check", "--root-user-action", "ignore"]
    subprocess.run([*pip, *options, str(wheel)], check=True, env=environment(), timeout=120)
    (packages,) = place.glob("lib/python3.*/site-packages")
    # A folder that a .pth names is searched, but its own .pth files, the editable install among them, are not read.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    files = {
        f"leadline/{file.relative_to(PACKAGE).as_posix()}"
        for file in PACKAGE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    packed = names_in(wheel)
    assert {name for name in packed if not name.startswith("leadline-")} == files
    assert any(name.endswith("/licenses/LICENSE") for name in packed)
    for needed in ("leadline/py.typed", "leadline/store/migrations/env.py", "leadline/web/static/docs.css"):
        assert needed in files


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        told = email.message_from_bytes(
            archive.read(f"leadline-{__version__}.dist-info/METADATA")
        )  # the standard's format is that of mail
    assert told["Version"] == __version__ == "0.1.0"
    assert told["License-Expression"] == "Apache-2.0"
    assert set(told.get_all("Provides-Extra") or ()) >= {"server", "otel"}
    needed = [each for each in told.get_all("Requires-Dist") or () if "extra ==" not in each]
    assert {re.split(r"[^\w-]", each)[0] for each in needed} == {"httpx2", "msgspec"}


def test_the_source_archive_has_what_a_packager_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
        "Makefile",
    }
    wanted |= {"docs/start.md", "requirements/server.lock", "scripts/set-up", "tests/ship/test_package.py"}
    assert wanted <= names
    assert not {name for name in names if name.startswith(("var/", ".venv/", ".git/"))}


def test_the_installed_wheel_serves_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    command = installed / "bin" / "leadline"
    told = subprocess.run(
        [command, "--version"], cwd=tmp_path, env=environment(), check=True, capture_output=True, text=True
    )
    assert told.stdout.strip() == __version__
    where = subprocess.run(
        [installed / "bin" / "python", "-c", "import leadline; print(leadline.__file__)"],
        cwd=tmp_path, env=environment(), check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(installed)
    ready = tmp_path / "ready"
    server = subprocess.Popen(
        [command, "serve", "--port", "0", "--database", "sqlite:///it.db"],
        cwd=tmp_path, env=environment(LEADLINE_READY_FILE=str(ready)), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = eventually(lambda: ready.read_text() if ready.exists() else "", 30)
        for page in ("/readyz", "/docs", "/openapi.json", "/static/docs.css", "/sign-in"):
            with urllib.request.urlopen(f"{url}{page}", timeout=10) as answer:  # noqa: S310 - ours
                assert answer.status == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0
    finally:
        server.kill()
        server.wait(timeout=10)
    assert (tmp_path / "it.db").exists()
    assert not os.path.lexists(tmp_path / "it.db.token")
