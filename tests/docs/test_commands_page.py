"""docs/reference/commands.md has every command with every flag, as `scripts/write-commands` writes them."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
from pathlib import Path
from typing import Any

from leadline.cli.commands import app

ROOT = Path(__file__).parents[2]


def writer() -> Any:
    """The script as a module: it has no `.py` for an import to find."""
    path = str(ROOT / "scripts" / "write-commands")
    loader = importlib.machinery.SourceFileLoader("write_commands", path)
    spec = importlib.util.spec_from_loader("write_commands", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_writes() -> None:
    written = writer()
    _, begin, reference = written.PAGE.read_text().partition(written.BEGIN)
    assert begin + reference == written.reference(), "run .venv/bin/python scripts/write-commands"


def test_flags_that_many_commands_have_are_explained_once() -> None:
    written = writer()
    by_hand, _, _ = written.PAGE.read_text().partition(written.BEGIN)
    assert set(written.COMMON) <= set(re.findall(r"`(--[a-z-]+)`", by_hand))


def test_every_command_of_the_contract_is_on_the_page() -> None:
    text = (ROOT / "docs" / "reference" / "commands.md").read_text()
    for name in ("serve", "worker", "migrate", "workspace create", "workspace list", "workspace delete",
                 "token create", "token list", "token revoke", "doctor"):  # fmt: skip
        assert f"### `leadline {name}" in text


def test_commands_that_the_docs_speak_of_exist() -> None:
    known = {name for name, _ in writer().commands(app)}
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for words in re.findall(r"(?:`|^|/)leadline ([a-z]+(?: [a-z-]+)?)", page.read_text(), re.MULTILINE):
            noun, _, verb = words.partition(" ")
            assert {f"leadline {noun}", f"leadline {noun} {verb}"} & known, f"{page.name}: leadline {words}"
