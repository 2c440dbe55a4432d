"""`LEADLINE_PROVISION_DIR`: files of outcomes as code, applied when `serve` starts.

All files are read before anything is opened, and applied in one transaction: either the server starts with what the
folder says, or it does not start and nothing was changed. Processes that start at the same time are safe: who comes
second finds nothing left to change.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from leadline.cli.configuration_file import FIELD, BadFile, ConfigurationSource, is_workspace, read_source
from leadline.domain.errors import InvalidRequest, Problem
from leadline.domain.outcomes import UrlRules
from leadline.operations.provisioning import apply_configuration
from leadline.operations.workspaces import list_workspaces
from leadline.store.database import Database, Tx
from leadline.store.workspaces import WorkspaceRow
from leadline.web.decoding import read_fields
from leadline.wire.configuration import Configuration, PlanAnswer

FILES_MAX = 1_000
_SUFFIXES = frozenset({".yaml", ".yml"})

log = logging.getLogger("leadline.provisioning")


def read_folder(folder: str) -> list[ConfigurationSource]:
    """The files of a folder, by name. Raises BadFile when it or one of them cannot be read."""
    path = Path(folder)
    if not path.is_dir():
        raise BadFile(f"LEADLINE_PROVISION_DIR: there is no folder {folder}")
    # What begins with a dot is not meant: editors' copies, and the links behind a mounted Kubernetes ConfigMap.
    names = sorted(
        each for each in path.iterdir() if each.suffix in _SUFFIXES and not each.name.startswith(".")
    )
    if len(names) > FILES_MAX:
        raise BadFile(f"LEADLINE_PROVISION_DIR: there are more than {FILES_MAX} files in {folder}")
    return [read_source(str(each), standard_input=False) for each in names]


async def provision(database: Database, sources: Sequence[ConfigurationSource], rules: UrlRules) -> None:
    """Apply the files, all of them or none. Raises BadFile."""
    if not sources:
        return
    applied = await database.write(lambda tx: _apply_all(tx, sources, rules))
    for source, answer in zip(sources, applied, strict=True):
        plan = answer.plan
        log.info(
            "provisioned %s from %s: %d created, %d updated, %d deleted",
            answer.workspace.name, source.name, plan.created, plan.updated, plan.deleted,
        )  # fmt: skip


async def _apply_all(tx: Tx, sources: Sequence[ConfigurationSource], rules: UrlRules) -> list[PlanAnswer]:
    workspaces = await list_workspaces(tx)
    for_whom = [_workspace_of(source, workspaces) for source in sources]
    _refuse_shared(sources, for_whom)
    # By id, as everybody: two processes that provision the same workspaces take their locks in one order.
    in_order = sorted(range(len(sources)), key=lambda place: for_whom[place])
    answers = {place: await _apply(tx, sources[place], for_whom[place], rules) for place in in_order}
    return [answers[place] for place in range(len(sources))]


def _workspace_of(source: ConfigurationSource, workspaces: Sequence[WorkspaceRow]) -> str:
    if source.workspace is None:
        if len(workspaces) != 1:
            raise BadFile(
                f"{source.name}: there are {len(workspaces)} workspaces: say which one with workspace: ID or NAME"
            )
        return workspaces[0].workspace_id
    found = [each for each in workspaces if is_workspace(source.workspace, each.workspace_id, each.name)]
    if not found:
        raise BadFile(f"{source.name}: there is no workspace {source.workspace!r}")
    if len(found) > 1:
        raise BadFile(f"{source.name}: {len(found)} workspaces are called {source.workspace!r}: say its id")
    return found[0].workspace_id


def _refuse_shared(sources: Sequence[ConfigurationSource], for_whom: Sequence[str]) -> None:
    first: dict[str, ConfigurationSource] = {}
    for source, workspace_id in zip(sources, for_whom, strict=True):
        if workspace_id in first:
            raise BadFile(
                f"{source.name}: {first[workspace_id].name} is for the same workspace: one file each"
            )
        first[workspace_id] = source


async def _apply(tx: Tx, source: ConfigurationSource, workspace_id: str, rules: UrlRules) -> PlanAnswer:
    configuration = _configuration(source)
    try:
        return (await apply_configuration(tx, workspace_id, configuration, prune=source.prune, rules=rules))[
            0
        ]
    except InvalidRequest as refused:
        raise _bad(source, refused.details) from None


def _configuration(source: ConfigurationSource) -> Configuration:
    fields = read_fields(Configuration, source.configuration, f"{FIELD}.")
    if fields.problems:
        raise _bad(source, fields.problems)
    return Configuration(**fields.values)


def _bad(source: ConfigurationSource, problems: Sequence[Problem]) -> BadFile:
    return BadFile(source.explain([each._asdict() for each in problems]))
