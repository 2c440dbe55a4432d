"""What tests of the console's pages need: a browser, users who are signed in, and what must hold on every page."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeVar
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Route, ViewportSize

from harness import Desk
from leadline.wiring import provision_user

T = TypeVar("T")
CHROMIUM = os.environ.get("LEADLINE_TEST_CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 390, "height": 780}
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
TIMEOUT_MS = 10_000
# Two frames: until then the colours of a scheme that was just changed may be the old ones. And what inherits its
# colour is a frame behind what it inherits from, for each step. A browser without a screen has been seen to
# draw no frame any more, and only a clock ends that wait.
SETTLE = """async () => {
  const frame = () => new Promise((done) => { requestAnimationFrame(done); setTimeout(done, 1000); });
  const moving = () => document.getAnimations().some((each) => each instanceof CSSTransition);
  await frame();
  for (let at = 0; at === 0 || (at < 60 && moving()); at += 1) await frame();
}"""
_numbers = itertools.count(1)


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))


@dataclass(frozen=True)
class User:
    """A user of a workspace with a session of his own."""

    user_id: str
    session: str
    email: str
    name: str


def make_user(
    desk: Desk, role: str = "administrator", *, name: str = "Ada Brooks", agent_id: str | None = None
) -> User:
    """A signed-in user, made in the database beside the running server."""
    email = f"user{next(_numbers)}@example.com"
    made = aside(
        lambda: provision_user(
            desk.database_url, desk.subaccount_id, role, email=email, name=name, agent_id=agent_id
        )
    )
    return User(made.user_id, made.session, email, name)


def aside(work: Callable[[], T]) -> T:
    """Do something that runs an event loop of its own: Playwright has one in this thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


class Watched:
    """A browser page of one user that remembers what must never happen: see `assert_clean`."""

    def __init__(self, page: Page, base_url: str) -> None:
        self.page = page
        self.base_url = base_url
        self.errors: list[str] = []
        self.foreign: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("dialog", self._asked)

    def _heard(self, kind: str, text: str) -> None:
        # A refusal that a test provokes is in the log as a failed resource; a broken policy is an error of its own.
        if kind == "error" and "Failed to load resource" not in text:
            self.errors.append(text)

    def _asked(self, dialog: Any) -> None:
        self.errors.append(f"a script of a stranger ran: {dialog.message}")
        dialog.dismiss()

    def open(self, path: str) -> Page:
        """Go to a path of the console, and wait until its scripts are at work."""
        self.page.goto(self.base_url + path)
        self.page.wait_for_selector("html[data-ready]", state="attached")
        return self.page

    def open_live(self, path: str) -> Page:
        """As `open`, and until the event stream is there: what happens from then on is seen."""
        page = self.open(path)
        page.wait_for_selector("html[data-live=on]", state="attached")
        return page

    def assert_clean(self) -> None:
        """No error in a script, no breach of the policy, no request to anywhere else."""
        assert self.errors == [], self.errors
        assert self.foreign == [], self.foreign


@contextmanager
def watched(browser: Browser, base_url: str, user: User | None = None, **options: Any) -> Iterator[Watched]:
    """A window of its own (cookies, storage) for a user; without one, of somebody who is signed out."""
    context = browser.new_context(**({"viewport": WIDE} | options))
    try:
        context.set_default_timeout(TIMEOUT_MS)
        if user is not None:
            sign_in(context, base_url, user)
        seen = Watched(context.new_page(), base_url)
        _keep_home(context, base_url, seen)
        yield seen
    finally:
        context.close()


def sign_in(context: BrowserContext, base_url: str, user: User) -> None:
    """Give a window the cookie of the user's session."""
    context.add_cookies([{"name": "leadline_session", "value": user.session, "url": base_url}])


def _keep_home(context: BrowserContext, base_url: str, seen: Watched) -> None:
    home = urlsplit(base_url).netloc

    def judge(route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != home:
            seen.foreign.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    context.route("**/*", judge)


class Gate:
    """Holds requests until the test opens it: `page.route(pattern, gate.hold)`.

    A route is not removed to open it: the browser's driver then lets go on what is held by itself,
    and whoever also does finds it handled.
    """

    def __init__(self) -> None:
        self._held: list[Route] = []
        self._is_open = False

    def hold(self, route: Route) -> None:
        if self._is_open:
            route.continue_()
        else:
            self._held.append(route)

    def open(self) -> None:
        """What is held goes on, and all that comes later."""
        self._is_open = True
        self.let_go_on()

    def let_go_on(self) -> None:
        """What is held goes on; what comes later is held."""
        held, self._held = self._held, []
        for route in held:
            route.continue_()


def axe(page: Page, *, rules: Sequence[str] = ()) -> None:
    """Zero violations of WCAG 2.2 AA as the page stands; `rules` are the only ones that are looked at."""
    page.evaluate(SETTLE)
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": list(TAGS)}
    found = page.evaluate(
        "async (only) => (await axe.run(document, {runOnly: only, resultTypes: ['violations']})).violations",
        only,
    )
    told = [
        (each["id"], node["html"][:200], node["failureSummary"])
        for each in found
        for node in each["nodes"][:3]
    ]
    assert told == [], told


def assert_accessible(page: Page) -> None:
    """Zero violations in light, in dark and at 390 px, where nothing is wider than the page either."""
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    axe(page)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    axe(page, rules=("color-contrast",))  # nothing else depends on the colours
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.set_viewport_size(NARROW)
    axe(page)
    width = page.evaluate("document.documentElement.scrollWidth")
    page.set_viewport_size(WIDE)
    assert width <= NARROW["width"], f"{page.url} is {width} px wide on a screen of {NARROW['width']}"
