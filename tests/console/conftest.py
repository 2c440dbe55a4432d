"""One server for all tests of the console, a browser for each module, a workspace for each test.

Playwright leaves its event loop in the thread: not for the whole session, or the tests that run loops would find it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from console.browser import User, Watched, aside, launch, make_user, watched
from harness import Desk, Server, loopback_settings, run_server


@pytest.fixture(scope="session")
def console_server(
    make_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    yield from run_server(make_database("sqlite"), tmp_path_factory.mktemp("console"), **loopback_settings())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def desk(console_server: Server) -> Desk:
    """A fresh workspace."""
    return aside(lambda: Desk.open(console_server))


@pytest.fixture
def user(desk: Desk) -> User:
    """An administrator of the workspace."""
    return make_user(desk)


@pytest.fixture
def window(browser: Browser, desk: Desk) -> Iterator[Callable[..., Watched]]:
    """Windows of users (None: signed out), which must all be clean in the end."""
    with ExitStack() as stack:
        opened: list[Watched] = []

        def make(user: User | None = None, **options: Any) -> Watched:
            seen = stack.enter_context(watched(browser, desk.api.base_url, user, **options))
            opened.append(seen)
            return seen

        yield make
        for each in opened:
            each.assert_clean()


@pytest.fixture
def seen(window: Callable[..., Watched], user: User) -> Watched:
    """The administrator's window."""
    return window(user)
