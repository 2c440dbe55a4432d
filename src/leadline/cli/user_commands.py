"""`leadline user create|list|link|role|disable|enable`."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import cyclopts
from cyclopts import Parameter

from leadline.cli.failures import Failed
from leadline.cli.flags import AsJson, Config, DatabaseUrl
from leadline.settings import Settings, load_settings

if TYPE_CHECKING:
    from leadline.store.database import Tx
    from leadline.store.users import UserRow

app = cyclopts.App(name="user", help="Make, list and change users of the console.")

Workspace = Annotated[
    str | None, Parameter(help="Id of the workspace; may be left out when there is only one.")
]
Email = Annotated[str, Parameter(help="The user's e-mail address.")]


@app.command
def create(
    email: Email,
    /,
    *,
    name: Annotated[str | None, Parameter(help="As others see it; the address when left out.")] = None,
    role: Annotated[str, Parameter(help="agent, supervisor or administrator.")] = "administrator",
    agent: Annotated[str | None, Parameter(help="The phone system's id of the agent he works as.")] = None,
    workspace: Workspace = None,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> None:
    """Make a user and print the link by which he sets a password: one use, 15 minutes."""
    from leadline.cli.databases import transact
    from leadline.cli.workspace_choice import workspace_id_of
    from leadline.operations.users import NewUser, create_user, make_link, user_view

    settings = load_settings({"database_url": database}, file=config)
    workspace_id = workspace_id_of(settings, workspace)
    new = NewUser(email, name or email, role, agent)

    async def make(tx: Tx) -> tuple[UserRow, str]:
        row = await create_user(tx, workspace_id, new)
        return row, await make_link(tx, workspace_id, row.user_id)

    row, link = transact(settings, make)
    _print_link(settings, link, user_view(row), as_json=json_)


@app.command
def link(
    email: Annotated[str | None, Parameter(help="Whose; without it, the first administrator's.")] = None,
    /,
    *,
    workspace: Workspace = None,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> None:
    """Print a link to set a password: one use, 15 minutes. The user's link before no longer works."""
    from leadline.cli.databases import transact
    from leadline.cli.workspace_choice import workspace_id_of
    from leadline.operations.users import make_first_link, make_link, user_view

    settings = load_settings({"database_url": database}, file=config)
    workspace_id = workspace_id_of(settings, workspace)

    async def make(tx: Tx) -> tuple[str, dict[str, Any] | None]:
        if email is None:
            first = await make_first_link(tx, workspace_id)
            if first is None:
                raise Failed("there are users already: name one (see `leadline user list`)")
            return first, None
        row = await _require(tx, workspace_id, email)
        return await make_link(tx, workspace_id, row.user_id), user_view(row)

    text, view = transact(settings, make)
    _print_link(settings, text, view, as_json=json_)


@app.command(name="list")
def list_(
    *,
    workspace: Workspace = None,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> None:
    """List a workspace's users."""
    from leadline.cli.databases import transact
    from leadline.cli.printing import print_json, print_table
    from leadline.cli.workspace_choice import workspace_id_of
    from leadline.operations.users import list_users, user_view

    settings = load_settings({"database_url": database}, file=config)
    workspace_id = workspace_id_of(settings, workspace)
    rows = [user_view(row) for row in transact(settings, lambda tx: list_users(tx, workspace_id))]
    if json_:
        print_json({"users": rows})
    else:
        print_table(
            rows, ("email", "name", "role", "agent_id", "has_password", "signed_in_at", "disabled_at")
        )


@app.command
def role(
    email: Email,
    role_: Annotated[str, Parameter(help="agent, supervisor or administrator.")],
    /,
    *,
    workspace: Workspace = None,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> None:
    """Give a user another role."""
    from leadline.operations.users import change_user

    async def change(tx: Tx, row: UserRow) -> UserRow:
        return await change_user(tx, row.workspace_id, row.user_id, {"role": role_})

    settings = load_settings({"database_url": database}, file=config)
    _change(settings, workspace, email, change, as_json=json_)


@app.command
def disable(
    email: Email,
    /,
    *,
    workspace: Workspace = None,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> None:
    """Lock a user out, at once and everywhere."""
    _set_disabled(load_settings({"database_url": database}, file=config), workspace, email, True, json_)


@app.command
def enable(
    email: Email,
    /,
    *,
    workspace: Workspace = None,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> None:
    """Let a user in again."""
    _set_disabled(load_settings({"database_url": database}, file=config), workspace, email, False, json_)


def _set_disabled(
    settings: Settings, workspace: str | None, email: str, disabled: bool, as_json: bool
) -> None:
    from leadline.operations.users import set_disabled

    async def change(tx: Tx, row: UserRow) -> UserRow:
        return await set_disabled(tx, row.workspace_id, row.user_id, disabled=disabled)

    _change(settings, workspace, email, change, as_json=as_json)


def _change(
    settings: Settings,
    workspace: str | None,
    email: str,
    change: Callable[[Tx, UserRow], Awaitable[UserRow]],
    *,
    as_json: bool,
) -> None:
    from leadline.cli.databases import transact
    from leadline.cli.printing import print_json
    from leadline.cli.workspace_choice import workspace_id_of
    from leadline.operations.users import user_view

    workspace_id = workspace_id_of(settings, workspace)

    async def work(tx: Tx) -> UserRow:
        return await change(tx, await _require(tx, workspace_id, email))

    row = transact(settings, work)
    if as_json:
        print_json({"user": user_view(row)})
    else:
        state = "disabled" if row.disabled_at is not None else row.role
        print(f"{row.email} is {state}.")


async def _require(tx: Tx, workspace_id: str, email: str) -> UserRow:
    from leadline.operations.users import find_user

    row = await find_user(tx, workspace_id, email)
    if row is None:
        raise Failed(f"there is no user {email!r} in this workspace")
    return row


def _print_link(settings: Settings, text: str, view: dict[str, Any] | None, *, as_json: bool) -> None:
    from leadline.cli.printing import print_json

    address = f"{settings.public_url.rstrip('/') or f'http://{settings.host}:{settings.port}'}/link/{text}"
    if as_json:
        print_json({"link": address, "user": view})
        return
    # The link alone on standard output, so that a script can take it.
    print(address)
    print("It works once, for 15 minutes.", file=sys.stderr)
