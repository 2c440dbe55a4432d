"""A `serve --dev` in a folder laid out as `make run` lays it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.shell import RELATIVE_URL
from harness import Server


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a server with these flags; whatever still runs afterwards is killed."""
    (tmp_path / "var").mkdir()
    made: list[Server] = []

    def make(*flags: str, database_url: str = RELATIVE_URL, **settings: str) -> Server:
        server = Server(database_url, tmp_path, *flags, **settings)
        made.append(server)
        return server.start()

    yield make
    for server in made:
        if server.running:
            server.kill()


@pytest.fixture
def dev_server(start: Callable[..., Server]) -> Server:
    return start("--dev")
