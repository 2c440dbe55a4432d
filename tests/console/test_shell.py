"""What every page has around it: finding things, keys, looks, live parts, and what must never happen."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from console.browser import User, Watched, assert_accessible, axe, make_user
from console.visitor import Visitor
from harness import Desk

HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}"
FIRST_PAGE_BYTES_MAX = 100_000


def test_the_palette_finds_pages_and_things_by_keyboard_alone(seen: Watched, desk: Desk) -> None:
    desk.smart_list("Warm leads")
    desk.contact(name="Jamal Washington")
    page = seen.open("/settings/profile")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-text")).to_be_focused()
    page.keyboard.type("wa")
    results = page.locator("#palette-results")
    expect(results).to_contain_text("Warm leads")
    expect(results).to_contain_text("Jamal Washington")
    axe(page)
    page.locator("#palette-text").fill("audit")
    expect(results.locator("a").first).to_have_text("Audit log")
    page.keyboard.press("Enter")
    page.wait_for_url("**/settings/audit")


def test_single_keys_go_to_pages_until_they_are_switched_off(seen: Watched) -> None:
    page = seen.open("/settings/profile")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.locator("#current").press("?")
    expect(page.locator("#help")).to_be_hidden()
    page.locator("#main").focus()
    page.keyboard.press("g")
    page.keyboard.press("u")
    page.wait_for_url("**/settings/users")
    seen.open("/settings/profile")
    page.uncheck("#shortcuts_enabled")
    page.click("section:has(#looks) button")
    expect(page.locator("body")).to_have_attribute("data-shortcuts", "off")
    page.locator("#main").focus()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_hidden()


def test_the_look_that_somebody_chose_is_there_on_the_next_page(seen: Watched) -> None:
    page = seen.open("/settings/profile")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click(".menu summary")
    with page.expect_response("**/preferences") as saved:
        page.click("[data-theme-switch]")
    assert saved.value.ok
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate(ground) != light


def test_a_time_says_exactly_when_on_focus_and_lets_go_on_escape(seen: Watched) -> None:
    page = seen.open("/settings/profile")
    time = page.locator("time.when").first
    time.focus()
    tip = page.locator("#tip")
    expect(tip).to_be_visible()
    assert re.search(r"\d{4}.*\d:\d\d:\d\d", tip.inner_text())
    assert time.get_attribute("aria-describedby") == "tip"
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_the_navigation_of_a_small_screen_opens_and_closes_by_keyboard(seen: Watched) -> None:
    page = seen.page
    page.set_viewport_size({"width": 390, "height": 780})
    seen.open("/settings/profile")
    expect(page.locator("#side")).to_be_hidden()
    page.locator("[data-toggles=side]").press("Enter")
    expect(page.locator("#side")).to_be_visible()
    axe(page)
    page.keyboard.press("Escape")
    expect(page.locator("#side")).to_be_hidden()
    expect(page.locator("[data-toggles=side]")).to_be_focused()


def test_settings_are_accessible_and_hostile_names_are_only_text(
    window: Callable[..., Watched], desk: Desk
) -> None:
    admin = make_user(desk, name=HOSTILE, agent_id=HOSTILE)
    desk.set_workspace(name=HOSTILE)
    desk.smart_list(HOSTILE)
    desk.disposition(outcome_name=HOSTILE)
    seen = window(admin)
    for path in ("profile", "workspace", "tokens", "users", "audit"):
        page = seen.open(f"/settings/{path}")
        assert HOSTILE in page.locator("body").inner_text()
        assert_accessible(page)
    assert HOSTILE in seen.open(f"/settings/users/{admin.user_id}").locator("h1").inner_text()
    assert_accessible(seen.page)
    seen.page.keyboard.press("Control+k")
    seen.page.keyboard.type("<img")
    expect(seen.page.locator("#palette-results a")).to_have_count(2)


def test_pages_of_who_is_signed_out_are_accessible(window: Callable[..., Watched]) -> None:
    seen = window(None)
    for path in ("/sign-in", "/link/none", "/nowhere"):
        assert_accessible(seen.open(path))


def test_a_token_is_shown_once(seen: Watched, desk: Desk) -> None:
    page = seen.open("/settings/tokens")
    page.click("text=New token")
    page.fill("#name", "Phone system")
    page.check("input[value='calls:read']")
    axe(page)
    page.click("text=Make token")
    token = page.locator("#token").inner_text()
    assert desk.api.with_token(token).get("/calls").status == 200
    assert desk.api.with_token(token).get("/outcomes").status == 403
    page.wait_for_selector("html[data-ready]", state="attached")
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert token not in page.content()
    # To look again is not to make another.
    expect(page.locator("tr", has_text="Phone system")).to_have_count(1)
    page.locator("tr", has_text="Phone system").get_by_role("button", name="Revoke").click()
    page.locator("#confirm [data-confirms]").click()
    expect(page.locator("#toasts")).to_contain_text("revoked")
    expect(page.locator("tr", has_text="Phone system")).to_contain_text("Revoked")


def test_a_refused_form_keeps_what_was_typed_and_says_where_it_is_wrong(seen: Watched) -> None:
    page = seen.open("/settings/workspace")
    page.fill("#name", "  ")
    page.locator("#name").evaluate("input => { input.value = '\\u0007bell'; }")
    page.fill("#retention_days", "7")
    page.click("button:has-text('Save')")
    expect(page.locator("#name")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#name")).to_be_focused()
    expect(page.locator("#name-about")).to_contain_text("control characters")
    expect(page.locator("#retention_days")).to_have_value("7")
    axe(page)


def test_eight_tabs_share_one_stream_and_all_see_what_happens(
    window: Callable[..., Watched], desk: Desk
) -> None:
    seen = window(make_user(desk, agent_id="ada"))
    tabs = [seen.page, *(seen.page.context.new_page() for _ in range(7))]
    for tab in tabs:
        tab.goto(f"{seen.base_url}/settings/profile")
        tab.wait_for_selector("html[data-live=on]", state="attached")
    expect(tabs[0].locator(".menu-status")).to_have_text("Available")
    desk.call(agent_id="ada")
    for tab in tabs:
        expect(tab.locator(".menu-status")).to_have_text("On call")


def test_the_stream_tells_an_agent_of_his_own_calls_alone(window: Callable[..., Watched], desk: Desk) -> None:
    page = window(make_user(desk, "agent", agent_id="ada")).open_live("/settings/profile")
    page.evaluate(LISTEN)
    desk.call(agent_id="grace")
    desk.call(agent_id="ada")
    desk.disposition()
    page.wait_for_function("() => window.heard.length >= 3")
    heard = page.evaluate("window.heard.map((event) => [event.type, event.data.agent_id ?? null])")
    assert heard == [["call.started", "ada"], ["call.answered", "ada"], ["outcomes.changed", None]]


def test_a_stream_goes_by_the_role_that_somebody_has_now(
    window: Callable[..., Watched], user: User, desk: Desk
) -> None:
    ada = make_user(desk, "supervisor", agent_id="ada")
    page = window(ada).open_live("/settings/profile")
    page.evaluate(LISTEN)
    changed = {"email": ada.email, "name": ada.name, "role": "agent", "agent_id": "ada"}
    saved = Visitor.with_session(desk.api.base_url, user.session).post(
        f"/settings/users/{ada.user_id}", changed
    )
    assert saved.status == 303
    desk.call(agent_id="grace")
    desk.call(agent_id="ada")
    page.wait_for_function("() => window.heard.length >= 2")
    heard = page.evaluate("window.heard.map((event) => event.data.agent_id)")
    assert heard == ["ada", "ada"]


LISTEN = """async () => {
  const [app] = document.querySelector("meta[name=scripts]").content.split(" ");
  const { onEvent } = await import(new URL("live.js", new URL(app, location)).href);
  window.heard = [];
  onEvent(["*"], (event) => window.heard.push(event));
}"""


def test_banners_come_and_go_with_what_they_tell(seen: Watched, desk: Desk) -> None:
    page = seen.open_live("/settings/profile")
    expect(page.locator(".banner")).to_contain_text("no disposition")
    desk.disposition()
    expect(page.locator(".banner")).to_have_count(0)


def test_a_call_that_waits_for_its_disposition_is_told_of_on_every_page(
    window: Callable[..., Watched], desk: Desk
) -> None:
    desk.disposition()
    call = desk.call(agent_id="ada")
    page = window(make_user(desk, agent_id="ada")).open_live("/overview")
    banner = page.locator(".banner", has_text="A call of yours waits for its disposition.")
    expect(banner).to_have_count(0)
    desk.end(call["call_id"])
    expect(banner).to_be_visible()
    assert_accessible(page)
    banner.get_by_role("link").click()
    expect(page.locator("#wrap-up:modal")).to_be_visible()
    expect(banner).to_have_count(0)


def test_a_screen_empties_when_its_session_is_ended_elsewhere(seen: Watched, user: User) -> None:
    page = seen.open_live("/settings/users")
    Visitor.with_session(seen.base_url, user.session).post("/sign-out")
    page.wait_for_url("**/sign-in?next=%2Fsettings%2Fusers")


def test_tabs_share_a_stream_also_without_shared_workers(window: Callable[..., Watched], desk: Desk) -> None:
    seen = window(make_user(desk, agent_id="ada"))
    seen.page.context.add_init_script("delete window.SharedWorker")
    tabs = [seen.page, seen.page.context.new_page()]
    for tab in tabs:
        tab.goto(f"{seen.base_url}/settings/profile")
        tab.wait_for_selector("html[data-live=on]", state="attached")
    desk.call(agent_id="ada")
    for tab in tabs:
        expect(tab.locator(".menu-status")).to_have_text("On call")


@pytest.mark.parametrize("is_second_tab", [False, True], ids=["alone", "second-tab"])
def test_what_happens_between_a_page_and_its_stream_is_seen(
    window: Callable[..., Watched], desk: Desk, *, is_second_tab: bool
) -> None:
    seen = window(make_user(desk, agent_id="ada"))
    if is_second_tab:
        seen.open_live("/settings/profile")
    page = seen.page.context.new_page()

    def late(route: Route) -> None:
        desk.call(agent_id="ada")
        if is_second_tab:
            # The stream that both share has told of it before the page can listen.
            expect(seen.page.locator(".menu-status")).to_have_text("On call")
        route.continue_()

    page.route("**/app.js", late)
    page.goto(f"{seen.base_url}/settings/profile")
    expect(page.locator(".menu-status")).to_have_text("On call")


def test_the_first_page_is_small_and_painted_at_once(seen: Watched, desk: Desk) -> None:
    desk.disposition()
    page = seen.open_live("/settings/workspace")
    assert transferred_bytes(page) < FIRST_PAGE_BYTES_MAX
    files = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert {urlsplit(url).netloc for url in files} == {urlsplit(seen.base_url).netloc}


def transferred_bytes(page: Page) -> int:
    size: int = page.evaluate(
        "performance.getEntries().reduce((sum, entry) => sum + (entry.transferSize ?? 0), 0)"
    )
    return size


def test_assets_are_kept_for_ever_and_compressed(seen: Watched) -> None:
    page = seen.open("/settings/profile")
    url = (page.locator("meta[name=scripts]").get_attribute("content") or "").split()[0]
    visitor = Visitor(seen.base_url)
    answer = visitor.get(url, Accept_Encoding="gzip")
    assert answer.header("Cache-Control") == "public, max-age=31536000, immutable"
    assert answer.header("Content-Encoding") == "gzip"
    again = visitor.get(url, If_None_Match=answer.header("ETag") or "")
    assert again.status == 304
    assert again.body == b""
    assert visitor.get(url.replace("app.js", "nothing.js")).status == 404
    assert (
        visitor.get(re.sub(r"console/[0-9a-f]+/", "console/old/", url)).header("Cache-Control") == "no-cache"
    )
