"""`leadline token create|list|revoke`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from leadline.cli.failures import Failed, UsageError
from leadline.cli.flags import AsJson, Config, DatabaseUrl
from leadline.clock import Clock, iso_or_none
from leadline.settings import load_settings

if TYPE_CHECKING:
    from leadline.domain.access import Scope
    from leadline.store.database import Tx
    from leadline.store.workspaces import TokenRow

app = cyclopts.App(name="token", help="Make, list and revoke tokens.")

DAY_MS = 86_400_000
EXPIRES_DAYS_MAX = 36_500

Workspace = Annotated[
    str | None, Parameter(help="Id of the workspace; may be left out when there is only one.")
]


@app.command
def create(
    *,
    workspace: Workspace = None,
    scopes: Annotated[str, Parameter(help="Comma-separated, such as outcomes:read,calls:write; or all.")],
    name: Annotated[str | None, Parameter(help="What it is for.")] = None,
    expires_days: Annotated[
        int | None, Parameter(help="Days after which it stops working; never when left out.")
    ] = None,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> None:
    """Make a token and print it: it is shown this once, and only its hash is kept."""
    from leadline.cli.databases import transact
    from leadline.cli.printing import print_json
    from leadline.cli.workspace_choice import workspace_id_of
    from leadline.operations.workspaces import create_token

    chosen, label = _scopes(scopes), _checked_name(name)
    expires_at = _expires_at(expires_days)
    settings = load_settings({"database_url": database}, file=config)
    workspace_id = workspace_id_of(settings, workspace)
    made = transact(
        settings, lambda tx: create_token(tx, workspace_id, chosen, name=label, expires_at=expires_at)
    )
    if json_:
        print_json(
            {
                "token": made.token,
                "token_id": made.token_id,
                "subaccount_id": workspace_id,
                "name": label,
                "scopes": sorted(chosen),
                "expires_at": iso_or_none(expires_at),
            }
        )
        return
    # The token alone on standard output, so that a script can take it: TOKEN=$(leadline token create …)
    print(made.token)
    print(f"Token {made.token_id}; it is shown this once.", file=sys.stderr)


def _scopes(text: str) -> frozenset[Scope]:
    from leadline.domain.access import parse_scopes

    found = parse_scopes([part.strip() for part in text.split(",") if part.strip()])
    if not found:
        raise UsageError("--scopes names no scope")
    return found


def _checked_name(name: str | None) -> str | None:
    from leadline.domain.limits import NAME_CHARACTERS_MAX
    from leadline.domain.text import name_problem

    if name is None:
        return None
    wrong = name_problem(name, NAME_CHARACTERS_MAX)
    if wrong:
        raise UsageError(f"--name {wrong}")
    return name.strip()


def _expires_at(days: int | None) -> int | None:
    if days is None:
        return None
    if not 1 <= days <= EXPIRES_DAYS_MAX:
        raise UsageError(f"--expires-days must be 1-{EXPIRES_DAYS_MAX}")
    return Clock().now_ms() + days * DAY_MS


@app.command(name="list")
def list_(
    *,
    workspace: Workspace = None,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> None:
    """List a workspace's tokens; of each only how its secret begins."""
    from leadline.cli.databases import transact
    from leadline.cli.printing import print_json, print_table
    from leadline.cli.workspace_choice import workspace_id_of
    from leadline.domain.access import Scope
    from leadline.operations.workspaces import get_workspace, list_tokens, token_view

    settings = load_settings({"database_url": database}, file=config)
    workspace_id = workspace_id_of(settings, workspace)

    async def read(tx: Tx) -> list[TokenRow]:
        await get_workspace(tx, workspace_id)
        return await list_tokens(tx, workspace_id)

    rows = [token_view(row) for row in transact(settings, read)]
    if json_:
        print_json({"tokens": rows})
    else:
        shown = [
            {**row, "scopes": "all" if len(row["scopes"]) == len(Scope) else row["scopes"]} for row in rows
        ]
        print_table(
            shown,
            (
                "token_id",
                "prefix",
                "name",
                "scopes",
                "created_at",
                "last_used_at",
                "expires_at",
                "revoked_at",
            ),
        )


@app.command
def revoke(
    token_id: Annotated[str, Parameter(help="Its id, as `token list` shows it.")],
    /,
    *,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> None:
    """Revoke a token: within a second it works nowhere."""
    from leadline.cli.databases import require_id, transact
    from leadline.cli.printing import print_json
    from leadline.operations.workspaces import revoke_token

    settings = load_settings({"database_url": database}, file=config)
    found = require_id(token_id, "token")
    if not transact(settings, lambda tx: revoke_token(tx, found)):
        raise Failed(f"there is no token {found}, or it was revoked before")
    if json_:
        print_json({"token_id": found})
    else:
        print(f"Token {found} was revoked.")
