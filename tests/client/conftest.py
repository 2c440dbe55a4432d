"""One server on SQLite for the client's suite, and a runtime within the test's own process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from client.driving import Driver
from harness import Desk, Server, loopback_settings, run_server
from leadline.client import AsyncClient, Client
from leadline.settings import Settings
from leadline.wiring import Runtime, first_run


@pytest.fixture(scope="session")
def client_server(
    make_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    yield from run_server(
        make_database("sqlite"), tmp_path_factory.mktemp("client-server"), **loopback_settings()
    )


@pytest.fixture
def own_desk(client_server: Server) -> Desk:
    """A fresh workspace on SQLite."""
    return Desk.open(client_server)


@pytest.fixture
def client(own_desk: Desk, tmp_path: Path) -> Iterator[Client]:
    with Client(own_desk.api.base_url, own_desk.api.token or "") as made:
        yield made


@dataclass(frozen=True)
class InProcess:
    """A whole Leadline in this process: its application is called without a socket."""

    app: Any
    token: str


@contextlib.asynccontextmanager
async def serving(tmp_path: Path) -> AsyncIterator[InProcess]:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'inside.db'}", port=0, shutdown_seconds=5)
    runtime = Runtime(settings)
    await runtime.start()
    try:
        first = await first_run(runtime.database)
        assert first is not None
        assert runtime.server is not None
        yield InProcess(runtime.server._config.loaded_app, first.token)
    finally:
        await runtime.stop()


@pytest.fixture(params=["sync over a socket", "async over a socket", "async in process"])
async def driver(request: pytest.FixtureRequest, own_desk: Desk, tmp_path: Path) -> AsyncIterator[Driver]:
    """Both clients against the real server: what one can do, the other can."""
    if request.param == "async in process":
        async with serving(tmp_path) as inside:
            transport = httpx2.ASGITransport(app=inside.app)
            async with AsyncClient("http://leadline.test", inside.token, transport=transport) as made:
                yield Driver(made)
        return
    if request.param == "async over a socket":
        async with AsyncClient(own_desk.api.base_url, own_desk.api.token or "") as made:
            yield Driver(made)
        return
    with Client(own_desk.api.base_url, own_desk.api.token or "") as sync:
        yield Driver(sync)
