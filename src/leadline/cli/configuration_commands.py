"""`leadline plan|apply|export|schema`: outcomes as code."""

from __future__ import annotations

from typing import Annotated

import cyclopts
from cyclopts import Parameter

from leadline.cli.connecting import Token, Url, connect
from leadline.cli.flags import AsJson

File = Annotated[
    str,
    Parameter(
        name=("--file", "-f"),
        help="A YAML file of Smart Lists and outcomes; - reads standard input.",
        allow_leading_hyphen=True,
    ),
]
Prune = Annotated[
    bool, Parameter(help="Delete what the workspace has and the file has not, in the sections that it has.")
]


def register(app: cyclopts.App) -> None:
    """Add the commands."""
    for command in (plan, apply, export, schema):
        app.command(command)


def plan(
    *,
    file: File,
    prune: Prune = False,
    detailed_exitcode: Annotated[
        bool, Parameter(help="Exit with 0 when nothing would change, 2 when something would, 1 on an error.")
    ] = False,
    url: Url = None,
    token: Token = None,
    json_: AsJson = False,
) -> int:
    """Show what applying a file of outcomes and Smart Lists would change; changes nothing."""
    from leadline.cli import configuring

    with connect(url, token) as client:
        api = configuring.ConfigurationApi(client)
        return configuring.plan(api, file, prune=prune, as_json=json_, detailed_exit_status=detailed_exitcode)


def apply(
    *,
    file: File,
    prune: Prune = False,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"), help="Do not ask.")] = False,
    url: Url = None,
    token: Token = None,
    json_: AsJson = False,
) -> None:
    """Make outcomes and Smart Lists what a file says, all of it or nothing."""
    from leadline.cli import configuring

    with connect(url, token) as client:
        api = configuring.ConfigurationApi(client)
        configuring.apply(api, file, prune=prune, yes=yes, as_json=json_)


def export(
    *,
    output: Annotated[
        str | None,
        Parameter(name=("--output", "-o"), help="Write to this file; standard output when left out."),
    ] = None,
    schema: Annotated[
        str | None, Parameter(help="Name this JSON Schema in the first line, for editors.")
    ] = None,
    url: Url = None,
    token: Token = None,
    json_: AsJson = False,
) -> None:
    """Write the workspace's outcomes and Smart Lists as a file that can be planned and applied."""
    from leadline.cli import configuring

    with connect(url, token) as client:
        configuring.export(configuring.ConfigurationApi(client), output, schema=schema, as_json=json_)


def schema() -> None:
    """Print the JSON Schema of such files, for editors."""
    from leadline.cli.configuring import file_schema
    from leadline.cli.printing import print_json

    print_json(file_schema())
