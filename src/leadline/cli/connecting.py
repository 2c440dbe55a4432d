"""Which server a command calls and with which token: the flag, the variable, what `serve --dev` left."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from leadline.cli.failures import Failed, UsageError
from leadline.cli.token_file import USUAL_TOKEN_FILES, token_file
from leadline.settings import Settings, load_settings

if TYPE_CHECKING:
    from leadline.client import Client

URL_VARIABLE = "LEADLINE_URL"
TOKEN_VARIABLE = "LEADLINE_TOKEN"  # noqa: S105 - a variable's name, no token
# A person waits: a server that is not there is named soon.
ATTEMPTS_MAX = 3

Url = Annotated[
    str | None,
    Parameter(help="Where the server is (LEADLINE_URL); by the settings, http://127.0.0.1:8080."),
]
Token = Annotated[
    str | None,
    Parameter(help="A token of the workspace (LEADLINE_TOKEN); else the one that `serve --dev` kept."),
]


def connect(url: str | None, token: str | None, settings: Settings | None = None) -> Client:
    """A client of the server that is meant. Raises Failed, UsageError, ConfigurationError."""
    from leadline.client import Client

    settings = settings or load_settings({})
    return Client(find_url(settings, url), find_token(settings, token), attempts_max=ATTEMPTS_MAX)


def find_url(settings: Settings, given: str | None, environ: Mapping[str, str] | None = None) -> str:
    """The server's address."""
    environ = os.environ if environ is None else environ
    if given or environ.get(URL_VARIABLE, "").strip():
        return (given or environ[URL_VARIABLE]).strip()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - only compared
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def find_token(settings: Settings, given: str | None, environ: Mapping[str, str] | None = None) -> str:
    """The token. Raises Failed when there is none, UsageError when it cannot be one."""
    environ = os.environ if environ is None else environ
    if given:
        return _sendable(given, "of --token")
    if environ.get(TOKEN_VARIABLE):
        return _sendable(environ[TOKEN_VARIABLE], f"of {TOKEN_VARIABLE}")
    beside = token_file(settings)
    places = [beside] if beside is not None else []
    for path in (*places, *map(Path, USUAL_TOKEN_FILES)):
        if path.exists():
            return _sendable(path.read_text(), f"in {path}")
    raise Failed(
        f"no token: give --token or {TOKEN_VARIABLE}, or start the server with `leadline serve --dev`"
    )


def _sendable(token: str, source: str) -> str:
    stripped = token.strip()
    if not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        raise UsageError(f"the token {source} has characters that no token has")
    return stripped
