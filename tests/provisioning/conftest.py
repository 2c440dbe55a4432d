"""A migrated database per engine; every test has a workspace of its own in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from harness import Server, loopback_settings, run_server
from leadline.store.database import Database
from leadline.store.migrating import migrate
from store.databases import make_database as open_database


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """A loop that a property test can come back to for each example."""
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="session")
def database(engine: str, make_database: Callable[[str], str], runner: asyncio.Runner) -> Iterator[Database]:
    url = make_database(engine)
    runner.run(migrate(url))
    opened = open_database(url)
    runner.run(opened.open())
    yield opened
    runner.run(opened.close())


@pytest.fixture(scope="session")
def server(make_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One engine is enough here: the operation below is tested on both."""
    yield from run_server(make_database("sqlite"), tmp_path_factory.mktemp("server"), **loopback_settings())
