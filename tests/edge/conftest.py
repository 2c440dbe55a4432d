"""Servers for the tests of the HTTP edge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edge.rawhttp import Running
from leadline.web.protocol import Limits


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """One server with the real limits, and a short linger so that tests do not wait for it."""
    running = Running(Limits(linger_seconds=0.2))
    yield running
    running.close()


@pytest.fixture
def run_server() -> Iterator[Callable[..., Running]]:
    """Servers with limits of the test's own."""
    started: list[Running] = []

    def run(*, options: dict[str, Any] | None = None, **limits: Any) -> Running:
        started.append(Running(Limits(**limits), **(options or {})))
        return started[-1]

    yield run
    for running in started:
        running.close()
