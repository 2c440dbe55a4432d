"""`leadline workspace create|list|delete`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import cyclopts
from cyclopts import Parameter

from leadline.cli.failures import Failed, UsageError
from leadline.cli.flags import AsJson, Config, DatabaseUrl
from leadline.clock import iso_from_ms
from leadline.settings import Settings, load_settings

if TYPE_CHECKING:
    from leadline.store.workspaces import WorkspaceRow

app = cyclopts.App(
    name="workspace", help="Make, list and delete workspaces; show and change the token's own."
)
# By way of the API, as every noun's; the others go to the database.
app.command(
    "leadline.cli.nouns:get_workspace", name="get", help="Show the workspace of the token, with its settings."
)
app.command(
    "leadline.cli.nouns:change_workspace",
    name="change",
    help="Change what is given of the settings of the token's workspace.",
)


@app.command
def create(
    name: Annotated[str, Parameter(help="What people call it.")],
    /,
    *,
    organization: Annotated[
        str | None, Parameter(help="Id of the organization it belongs to; a new one when left out.")
    ] = None,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> None:
    """Make a workspace. It has no token yet: `leadline token create`."""
    from leadline.cli.databases import transact
    from leadline.cli.printing import print_json
    from leadline.operations.workspaces import create_workspace

    settings = load_settings({"database_url": database}, file=config)
    chosen, organization_id = _checked_name(name), _organization_id(organization)
    row = transact(
        settings, lambda tx: create_workspace(tx, chosen, organization_id=organization_id), create=True
    )
    if json_:
        print_json(_shown(row))
        return
    print(f"Workspace {row.name!r} was made: {row.workspace_id}")
    print(f"A token for it: leadline token create --workspace {row.workspace_id} --scopes all")


def _checked_name(name: str) -> str:
    from leadline.domain.limits import NAME_CHARACTERS_MAX
    from leadline.domain.text import name_problem

    wrong = name_problem(name, NAME_CHARACTERS_MAX)
    if wrong:
        raise UsageError(f"the name {wrong}")
    return name.strip()


def _organization_id(text: str | None) -> str | None:
    from leadline.ids import parse_id

    if text is None:
        return None
    found = parse_id(text.strip())
    if found is None:
        raise UsageError("--organization must be a UUID")
    return found


@app.command(name="list")
def list_(*, database: DatabaseUrl = None, config: Config = None, json_: AsJson = False) -> None:
    """List the workspaces."""
    from leadline.cli.printing import print_json, print_table

    rows = [_shown(row) for row in _workspaces(load_settings({"database_url": database}, file=config))]
    if json_:
        print_json({"workspaces": rows})
    else:
        print_table(rows, ("subaccount_id", "name", "organization_id", "created_at"))


@app.command
def delete(
    workspace_id: Annotated[str, Parameter(help="Its id, as `workspace list` shows it.")],
    /,
    *,
    yes: Annotated[bool, Parameter(help="Do not ask.")] = False,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> None:
    """Delete a workspace with everything in it; its tokens then answer no_subaccount."""
    from leadline.cli.databases import require_id, transact
    from leadline.cli.printing import print_json
    from leadline.operations.workspaces import delete_workspace

    settings = load_settings({"database_url": database}, file=config)
    found = require_id(workspace_id, "workspace")
    if not yes:
        _ask(settings, found)
    if not transact(settings, lambda tx: delete_workspace(tx, found)):
        raise Failed(f"there is no workspace {found}")
    if json_:
        print_json({"subaccount_id": found})
    else:
        print(f"Workspace {found} was deleted.")


def _ask(settings: Settings, workspace_id: str) -> None:
    """Go on only when a person at a terminal says yes. Raises UsageError, Failed."""
    if not sys.stdin.isatty():
        raise UsageError("deleting a workspace needs --yes when nobody can be asked")
    named = {row.workspace_id: row.name for row in _workspaces(settings)}
    if workspace_id not in named:
        raise Failed(f"there is no workspace {workspace_id}")
    print(
        f"This deletes {named[workspace_id]!r} with its contacts, calls, outcomes and deliveries, for good."
    )
    if input("Delete it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Failed("nothing was deleted")


def _workspaces(settings: Settings) -> list[WorkspaceRow]:
    from leadline.cli.databases import transact
    from leadline.operations.workspaces import list_workspaces

    return transact(settings, list_workspaces)


def _shown(row: WorkspaceRow) -> dict[str, Any]:
    return {
        "organization_id": row.organization_id,
        "subaccount_id": row.workspace_id,
        "name": row.name,
        "created_at": iso_from_ms(row.created_at),
    }
