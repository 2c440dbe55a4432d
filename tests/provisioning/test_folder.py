"""Which file of a folder is for which workspace, and that all of them are applied or none."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from leadline.cli.configuration_file import BadFile
from leadline.cli.provisioning import provision, read_folder
from leadline.domain.addresses import AddressPolicy
from leadline.domain.outcomes import UrlRules
from leadline.operations.provisioning import export_configuration
from leadline.operations.workspaces import create_workspace
from leadline.store.database import Database

RULES = UrlRules(AddressPolicy.parse(""))
FILE = "smart_lists:\n  - name: Hot\n"


class Folder:
    """A folder of files, and two workspaces with names of their own."""

    def __init__(self, database: Database, runner: asyncio.Runner, path: Path) -> None:
        self.database, self.runner, self.path = database, runner, path
        self.names = [f"W{uuid.uuid4().hex}" for _ in range(2)]
        self.ids = [self._make(name) for name in self.names]

    def _make(self, name: str) -> str:
        return self.runner.run(self.database.write(lambda tx: create_workspace(tx, name))).workspace_id

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.path / f"{name}.yaml").write_text(text)

    def apply(self) -> None:
        sources = read_folder(str(self.path))
        self.runner.run(provision(self.database, sources, RULES))

    def lists(self) -> list[list[str]]:
        return [self.runner.run(self._lists_of(workspace_id)) for workspace_id in self.ids]

    async def _lists_of(self, workspace_id: str) -> list[str]:
        answer, _ = await self.database.read(lambda tx: export_configuration(tx, workspace_id))
        return [each.name for each in answer.configuration.smart_lists or ()]


@pytest.fixture
def make_folder(database: Database, runner: asyncio.Runner, tmp_path: Path) -> Callable[[], Folder]:
    return lambda: Folder(database, runner, tmp_path)


def test_each_file_is_for_the_workspace_that_it_names(make_folder: Callable[[], Folder]) -> None:
    folder = make_folder()
    folder.write(
        a=f"workspace: {folder.names[0]}\n{FILE}", b=f"workspace: {folder.ids[1]}\nsmart_lists: []\n"
    )
    (folder.path / ".c.yaml").write_text("[")
    (folder.path / "notes.txt").write_text("[")
    folder.apply()
    assert folder.lists() == [["Hot"], []]
    folder.apply()
    assert folder.lists() == [["Hot"], []]


def test_one_bad_file_keeps_the_good_ones_from_being_applied(make_folder: Callable[[], Folder]) -> None:
    folder = make_folder()
    bad = "outcomes:\n  - name: A\n    type: action\n"
    folder.write(a=f"workspace: {folder.names[0]}\n{FILE}", b=f"workspace: {folder.names[1]}\n{bad}")
    with pytest.raises(BadFile, match=r"b\.yaml:3: outcomes\[0\]\.webhook_url is required for an action"):
        folder.apply()
    assert folder.lists() == [[], []]


def test_a_file_prunes_when_it_says_so(make_folder: Callable[[], Folder]) -> None:
    folder = make_folder()
    whose = f"workspace: {folder.names[0]}\n"
    folder.write(a=whose + FILE)
    folder.apply()
    folder.write(a=whose + "smart_lists:\n  - name: Cold\n")
    folder.apply()
    assert folder.lists()[0] == ["Cold", "Hot"]
    folder.write(a=whose + "prune: true\nsmart_lists:\n  - name: Cold\n")
    folder.apply()
    assert folder.lists()[0] == ["Cold"]


def test_files_that_do_not_say_for_whom_are_refused(make_folder: Callable[[], Folder]) -> None:
    folder = make_folder()
    folder.write(a=FILE)
    with pytest.raises(BadFile, match=r"a\.yaml: there are \d+ workspaces"):
        folder.apply()
    folder.write(a="workspace: nobody's\n")
    with pytest.raises(BadFile, match=r"no workspace \"nobody's\""):
        folder.apply()
    folder.write(a=f"workspace: {folder.names[0]}\n", b=f"workspace: {folder.ids[0]}\n")
    with pytest.raises(BadFile, match=r"b\.yaml: .*a\.yaml is for the same workspace"):
        folder.apply()
    folder.write(b="a: [")
    with pytest.raises(BadFile, match=r"b\.yaml:\d: it is no YAML"):
        folder.apply()
