"""Which workspace a command means."""

from __future__ import annotations

from leadline.cli.databases import require_id, transact
from leadline.cli.failures import Failed, UsageError
from leadline.operations.workspaces import list_workspaces
from leadline.settings import Settings


def workspace_id_of(settings: Settings, named: str | None) -> str:
    """The workspace that is meant. Raises Failed, or UsageError when it must be named."""
    if named is not None:
        return require_id(named, "workspace")
    rows = transact(settings, list_workspaces)
    if not rows:
        raise Failed("there is no workspace yet; `leadline workspace create NAME` makes one")
    if len(rows) > 1:
        raise UsageError("there are several workspaces: name one with --workspace (see `workspace list`)")
    return rows[0].workspace_id
