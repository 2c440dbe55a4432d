"""Databases for the tests of the store: one migrated per engine, and empty ones for tests that need their own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from leadline.store.migrating import migrate
from postgres import PostgresServer, start_postgres
from store.databases import Opened, opened_database

_names = itertools.count()


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgresServer]:
    """A PostgreSQL of these tests' own: some of them restart it."""
    with start_postgres() as server:
        yield server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def make_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """The URL of an empty database of an engine."""
    directory = tmp_path_factory.mktemp("store")

    def make(engine: str) -> str:
        name = f"store_{next(_names)}"
        if engine == "sqlite":
            return f"sqlite:///{directory / name}.db"
        cluster: PostgresServer = request.getfixturevalue("cluster")
        return cluster.create_database(name)

    return make


@pytest.fixture
def empty_url(engine: str, make_url: Callable[[str], str]) -> str:
    """A database that has never been migrated."""
    return make_url(engine)


@pytest.fixture(scope="session")
def shared_url(engine: str, make_url: Callable[[str], str]) -> str:
    """A migrated database, shared by tests that keep to a workspace of their own."""
    url = make_url(engine)
    asyncio.run(migrate(url))
    return url


@pytest.fixture
def open_shared(shared_url: str) -> Callable[[], AbstractAsyncContextManager[Opened]]:
    return lambda: opened_database(shared_url)
