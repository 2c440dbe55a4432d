"""The commands and their flags. What they do is imported when they run, so that `--help` and typos cost little."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from leadline import __version__
from leadline.cli import (
    configuration_commands,
    contact_commands,
    token_commands,
    user_commands,
    workspace_commands,
)
from leadline.cli.failures import explain
from leadline.cli.flags import AsJson, Config, DatabaseUrl
from leadline.settings import load_settings

app = cyclopts.App(
    name="leadline",
    help="A self-hosted call-outcomes engine. Settings: flags, then LEADLINE_… variables, then leadline.toml.",
    version=__version__,
    default_parameter=Parameter(negative=()),
)
app.command(workspace_commands.app)
app.command(token_commands.app)
app.command(user_commands.app)
app.command(contact_commands.app)
configuration_commands.register(app)

Host = Annotated[str | None, Parameter(help="Address to listen on; 127.0.0.1 (LEADLINE_HOST).")]
Port = Annotated[int | None, Parameter(help="Port to listen on; 8080, 0 for any (LEADLINE_PORT).")]


@app.command
def serve(
    *,
    host: Host = None,
    port: Port = None,
    database: DatabaseUrl = None,
    config: Config = None,
    dev: Annotated[
        bool, Parameter(help="Sample data in a new database, webhooks to this machine, a sample receiver.")
    ] = False,
) -> None:
    """Run the API, the console and delivery in one process.

    On an empty database: migrates it, makes a workspace and prints its token once.
    """
    from leadline.cli.serving import serve as run_server

    flags = {"host": host, "port": port, "database_url": database, "dev": dev or None}
    run_server(load_settings(flags, file=config))


@app.command
def worker(*, database: DatabaseUrl = None, config: Config = None) -> None:
    """Deliver webhooks alone, beside servers on the same PostgreSQL."""
    from leadline.cli.serving import work

    work(load_settings({"database_url": database}, file=config))


@app.command
def migrate(*, database: DatabaseUrl = None, config: Config = None) -> None:
    """Bring the database to this version's tables; make it when there is none."""
    from leadline.cli.databases import migrate_database

    print(migrate_database(load_settings({"database_url": database}, file=config)))


@app.command
def doctor(
    *,
    host: Host = None,
    port: Port = None,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> int:
    """Check this installation: one line for each check; exit status 1 when one fails."""
    from leadline.cli.doctor import examine

    flags = {"host": host, "port": port, "database_url": database}
    return examine(flags, config, as_json=json_)


@app.command
def simulate(
    *,
    url: Annotated[
        str | None, Parameter(help="Where the server is; by the settings, http://127.0.0.1:8080.")
    ] = None,
    token: Annotated[
        str | None, Parameter(help="A token for everything (LEADLINE_TOKEN); else the one that --dev kept.")
    ] = None,
    calls: Annotated[int, Parameter(help="How many calls to play, 1-1000.")] = 5,
    agent: Annotated[str, Parameter(help="The agent who makes them.")] = "ada",
    speed: Annotated[float, Parameter(help="2 is twice as fast, 0.5 half as fast.")] = 1.0,
    database: DatabaseUrl = None,
    config: Config = None,
) -> None:
    """Play an agent's calls against a running server: start, actions, end, disposition, webhooks."""
    from leadline.cli.simulating import Play
    from leadline.cli.simulating import simulate as play

    settings = load_settings({"database_url": database}, file=config)
    play(settings, Play(url=url, token=token, calls=calls, agent_id=agent, speed=speed))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit status. Expected errors are one line on standard error."""
    try:
        status = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        sentence, exit_status = explained
        print(f"leadline: {sentence}", file=sys.stderr)
        return exit_status
    return status if isinstance(status, int) else 0
