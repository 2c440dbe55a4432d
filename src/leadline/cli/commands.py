"""The commands and their flags. What they do is imported when they run, so that `--help` and typos cost little."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from leadline import __version__
from leadline.cli import configuration_commands, token_commands, user_commands, workspace_commands
from leadline.cli.connecting import Token, Url
from leadline.cli.failures import INTERRUPTED, explain
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
configuration_commands.register(app)
_MODULE_NAMES = {"list": "list_", "import": "import_"}
# Loaded when they are used: they need the client.
for _noun, _help in (
    ("outcome", "What agents apply to calls: actions and dispositions."),
    ("list", "Smart Lists and who is on them."),
    ("contact", "People with phone numbers."),
    ("import", "Imports of contacts, as the server keeps them."),
    ("configuration", "Smart Lists and outcomes as one document, as the server takes it."),
    ("call", "Calls, and applying outcomes to them."),
    ("agent", "Agents, as calls have named them."),
    ("delivery", "Webhooks on their way."),
    ("replay", "Sending many deliveries again."),
    ("endpoint", "The addresses that webhooks go to."),
    ("event", "What has happened."),
    ("report", "Numbers of a period, as tables, CSV or charts."),
    ("secret", "The secret that signs webhooks."),
):
    app.command(f"leadline.cli.nouns:{_MODULE_NAMES.get(_noun, _noun)}", name=_noun, help=_help)

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


@app.command
def api(
    method: Annotated[Literal["GET", "POST", "PATCH", "PUT", "DELETE"], Parameter(help="How to ask.")],
    path: Annotated[str, Parameter(help="As in the reference; /phone-system may be left out.")],
    /,
    *,
    data: Annotated[
        str | None, Parameter(help="The JSON body; @FILE reads a file, - standard input.")
    ] = None,
    key: Annotated[
        str | None, Parameter(name="--idempotency-key", help="A key of your own; else a fresh one.")
    ] = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Make any request of the API and print the answer."""
    from leadline.cli.live import api as call_api

    call_api(url, token, method=method, path=path, data=data, key=key)


@app.command
def tail(
    *,
    types: Annotated[
        tuple[str, ...],
        Parameter(
            name="--type", help="Only events of this type; may be given more than once.", show_default=False
        ),
    ] = (),
    after: Annotated[str | None, Parameter(help="Begin after the event with this id, not now.")] = None,
    url: Url = None,
    token: Token = None,
    json_: AsJson = False,
) -> None:
    """Show events as they happen, until Ctrl-C; with --json a line of JSON for each."""
    from leadline.cli.live import tail as follow

    follow(url, token, types=types, after=after, as_json=json_)


@app.command
def listen(
    *,
    port: Annotated[int, Parameter(help="Port to listen on, on this machine only; 9000, 0 for any.")] = 9000,
    secret: Annotated[
        tuple[str, ...],
        Parameter(
            help="A webhook secret to verify with (LEADLINE_WEBHOOK_SECRET, several with spaces between them);"
            " else those in the database of the settings.",
            show_default=False,
        ),
    ] = (),
    status: Annotated[int, Parameter(help="Answer what is verified with this; 503 shows retries.")] = 200,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> None:
    """Receive webhooks on this machine, verify and show them, until Ctrl-C; with --json a line for each."""
    from leadline.cli.live import listen as receive

    settings = load_settings({"database_url": database}, file=config)
    secrets = secret or tuple(os.environ.get("LEADLINE_WEBHOOK_SECRET", "").split())
    receive(settings, port=port, secrets=secrets, status=status, as_json=json_)


@app.command
def backup(
    file: Annotated[str, Parameter(help="Where to; a file that is not there yet.")],
    /,
    *,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> None:
    """Copy the SQLite database, also while it is served, and check the copy."""
    from leadline.cli.backups import back_up_database

    back_up_database(load_settings({"database_url": database}, file=config), file, as_json=json_)


@app.command
def restore(
    file: Annotated[str, Parameter(help="A file that `backup` has made.")],
    /,
    *,
    yes: Annotated[bool, Parameter(help="Do not ask.")] = False,
    database: DatabaseUrl = None,
    config: Config = None,
    json_: AsJson = False,
) -> None:
    """Put a backup in the place of the SQLite database; the one that was there is kept beside it."""
    from leadline.cli.backups import restore_database

    settings = load_settings({"database_url": database}, file=config)
    restore_database(settings, file, confirmed=yes, as_json=json_)


@app.command
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell that it is for.")],
    /,
) -> None:
    """Print a script by which a shell completes the commands: see the reference for where it goes."""
    print(app.generate_completion(prog_name="leadline", shell=shell))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit status. Expected errors are one line on standard error."""
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has enough, as `head` has. Nothing more may be written, not even at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(arguments: Sequence[str]) -> int:
    try:
        status = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        sentence, exit_status = explained
        print(f"leadline: {sentence}", file=sys.stderr)
        return exit_status
    return status if isinstance(status, int) else 0
