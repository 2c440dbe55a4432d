"""Fixtures of the black-box tests: one server process per engine, a fresh workspace per test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from harness import Api, Desk, Server, loopback_settings, run_server
from receiver import Receiver, ReceiverServer

# How long an example takes is no property of ours, and on a busy machine it is long.
settings.register_profile("leadline", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("leadline")
ENGINES = ("sqlite", "postgresql")
# A file goes to one test process. Those that take longest begin first, or everybody waits for them at the end.
LONGEST = (
    "contract/test_crash.py", "chaos/test_short_run.py", "console/test_desk.py", "contract/test_wrap_up_timeout.py",
    "console/test_shell.py", "contract/test_openapi.py", "console/test_outcomes.py", "delivery/test_worker.py",
    "console/test_deliveries.py", "contract/test_concurrency.py", "store/test_postgresql.py",
    "cli/test_live_commands.py", "benchmarks/test_quick_runs.py", "cli/test_nouns.py", "contract/test_applying.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: at for at, name in enumerate(LONGEST)}

    def place(item: pytest.Item) -> int:
        return places.get("/".join(item.path.parts[-2:]), len(LONGEST))

    items.sort(key=place)


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL cluster for the whole run."""
    from postgres import start_postgres  # noqa: PLC0415 - SQLite alone must not need it

    with start_postgres() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def make_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """The URL of a fresh database of an engine."""
    directory = tmp_path_factory.mktemp("databases")
    made = iter(range(1_000_000))

    def make(engine: str) -> str:
        name = f"contract_{next(made)}"
        if engine == "sqlite":
            return f"sqlite:///{directory / name}.db"
        url: str = request.getfixturevalue("postgres").create_database(name)
        return url

    return make


@pytest.fixture(scope="session")
def database_url(engine: str, make_database: Callable[[str], str]) -> str:
    return make_database(engine)


@pytest.fixture(scope="session")
def server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from run_server(database_url, tmp_path_factory.mktemp("server"), **loopback_settings())


@pytest.fixture(scope="session")
def strict_server(
    make_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server as it comes: no range opened, so loopback is closed to webhooks (contract § 9)."""
    yield from run_server(make_database("sqlite"), tmp_path_factory.mktemp("strict"))


@pytest.fixture
def make_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Servers that a test starts, stops and kills as it likes; whatever still runs afterwards is killed."""
    made: list[Server] = []

    def make(database_url: str, *flags: str, **settings: str) -> Server:
        directory = tmp_path_factory.mktemp("own")
        server = Server(database_url, directory, *flags, **loopback_settings(**settings))
        made.append(server)
        return server.start()

    yield make
    for server in made:
        if server.running:
            server.kill()


@pytest.fixture
def desk(server: Server) -> Desk:
    """A fresh workspace."""
    return Desk.open(server)


@pytest.fixture
def api(desk: Desk) -> Api:
    """A client with a token for everything in a fresh workspace."""
    return desk.api


@pytest.fixture(scope="session")
def shared_desk(server: Server) -> Desk:
    """One workspace for tables of refusals: nothing may be supposed about what is in it."""
    return Desk.open(server, "Shared")


@pytest.fixture(scope="session")
def shared_api(shared_desk: Desk) -> Api:
    return shared_desk.api


@pytest.fixture(scope="session")
def receiver_server() -> Iterator[ReceiverServer]:
    with ReceiverServer() as listening:
        yield listening


@pytest.fixture
def receiver(receiver_server: ReceiverServer) -> Receiver:
    """A webhook URL of this test's own."""
    return Receiver(receiver_server)
