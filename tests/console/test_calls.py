"""Calls in a real browser: everybody's, live; what is missing, and a supervisor who puts it right."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from console.browser import TIMEOUT_MS, User, Watched, assert_accessible, make_user
from console.visitor import Visitor
from harness import Desk, unknown_id
from receiver import Receiver

expect.set_options(timeout=TIMEOUT_MS)
MakeWindow = Callable[..., Watched]
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def grace(desk: Desk) -> User:
    return make_user(desk, "supervisor", name="Grace Hopper")


@pytest.fixture
def graces(window: MakeWindow, grace: User) -> Watched:
    """The window of a supervisor."""
    return window(grace)


def names(page: Page) -> list[str]:
    return page.locator("tbody .row-link").all_inner_texts()


def test_calls_appear_and_change_by_themselves(graces: Watched, desk: Desk) -> None:
    desk.disposition()
    page = graces.open_live("/calls")
    expect(page.get_by_role("heading", name="No calls yet")).to_be_visible()
    contact = desk.contact(name=HOSTILE)
    call = desk.call(contact_id=contact["contact_id"], agent_id=HOSTILE, state="ringing")
    expect(page.locator("tbody")).to_contain_text("Ringing")
    assert names(page) == [HOSTILE]
    desk.api.post(f"/calls/{call['call_id']}/answer")
    expect(page.locator("tbody")).to_contain_text("On call")
    desk.end(call["call_id"])
    expect(page.locator("tbody")).to_contain_text("Wrap-up")
    expect(page.locator("tbody")).to_contain_text("Missing")
    assert page.locator("main img").count() == 0


def _listed(visitor: Visitor, query: str) -> list[str]:
    found = re.findall(r'class="row-link"[^>]*>([^<]+)<', visitor.get(f"/calls?{query}").body.decode())
    return [html.unescape(each) for each in found]


def test_calls_are_filtered_by_state_agent_contact_and_what_is_missing(
    graces: Watched, desk: Desk, grace: User
) -> None:
    visitor = Visitor.with_session(desk.api.base_url, grace.session)
    sale = desk.disposition(outcome_name="Sale")
    people = {
        name: desk.contact(name=name)["contact_id"] for name in ("Priya Nair", "Mei Chen", "Omar Haddad")
    }
    owed = desk.end(desk.call(contact_id=people["Priya Nair"], agent_id="ada")["call_id"])
    done = desk.end(desk.call(contact_id=people["Mei Chen"], agent_id="linus")["call_id"])
    desk.applied(done["call_id"], sale["outcome_id"])
    live = desk.call(contact_id=people["Omar Haddad"], agent_id="linus")
    for query, found in (
        ("", ["Omar Haddad", "Mei Chen", "Priya Nair"]),
        ("state=live", ["Omar Haddad"]),
        ("agent_id=linus", ["Omar Haddad", "Mei Chen"]),
        ("q=mei", ["Mei Chen"]),
        (f"contact_id={people['Mei Chen']}", ["Mei Chen"]),
        ("missing=1", ["Priya Nair"]),
        ("missing=1&agent_id=linus", []),
        ("period=hour&state=closed", ["Mei Chen"]),
    ):
        assert _listed(visitor, query) == found, query
    assert b"cannot be used" in visitor.get("/calls?state=gone").body
    page = graces.open(f"/calls?q={live['call_id']}")
    expect(page).to_have_url(re.compile(f"/calls/{live['call_id']}$"))
    page = graces.open("/calls")
    page.keyboard.press("m")
    expect(page.get_by_role("link", name="Missing dispositions")).to_have_attribute("aria-current", "page")
    page.wait_for_selector("html[data-ready]", state="attached")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/calls/{owed['call_id']}$"))


def test_a_supervisor_says_how_a_call_ended_in_its_agents_place(
    graces: Watched, seen: Watched, desk: Desk, receiver: Receiver
) -> None:
    desk.disposition(outcome_name="No interest", order=1)
    sale = desk.disposition(outcome_name="Sale", webhook_url=receiver.url)
    call_id = desk.wrapping_call("ada")["call_id"]
    page = graces.open_live(f"/calls/{call_id}")
    expect(page.locator(".timeline")).to_contain_text("Waits for its disposition")
    page.get_by_role("button", name="Finish this call").click()
    assert page.locator("#outcome_id").evaluate("(field) => field.validity.valueMissing")
    page.keyboard.press("Escape")
    page.locator("#outcome_id").select_option(sale["outcome_id"])
    page.get_by_label("Note").fill("Ada's battery was empty.")
    page.get_by_role("button", name="Finish this call").click()
    expect(page.locator("#toasts")).to_contain_text("Finished as “Sale”.")
    expect(page.locator(".state")).to_have_text("Closed")
    # Its webhook's state comes by itself.
    expect(page.locator(".moment-webhook")).to_have_text(re.compile(r"200 · \d+ ms"))
    expect(page.locator(".applied-note")).to_have_text("Ada's battery was empty.")
    call = desk.read_call(call_id)
    assert (call["state"], call["disposition"]["outcome_id"]) == ("closed", sale["outcome_id"])
    assert call["applied"][0]["agent_id"] == "ada"
    entry = seen.open(f"/settings/audit?thing_id={call_id}").locator(".entry")
    expect(entry).to_contain_text("Grace Hopper")
    expect(entry).to_contain_text("call resolved")
    expect(entry).not_to_contain_text("battery")


def test_what_is_resolved_meanwhile_is_seen_and_not_resolved_twice(
    graces: Watched, desk: Desk, grace: User
) -> None:
    sale = desk.disposition(outcome_name="Sale")
    other = desk.disposition(outcome_name="No interest", order=1)
    action = desk.action()
    call_id = desk.wrapping_call("ada")["call_id"]
    page = graces.open_live(f"/calls/{call_id}")
    visitor = Visitor.with_session(desk.api.base_url, grace.session)
    refused = visitor.post(f"/calls/{call_id}/resolve", {"outcome_id": action["outcome_id"]})
    assert (refused.status, b"must be a disposition" in refused.body.lower()) == (400, True)
    assert visitor.post(f"/calls/{call_id}/resolve", {"outcome_id": unknown_id()}).status == 404
    # What others do meanwhile takes nothing away that was typed.
    page.get_by_label("Note").fill("Half a sen")
    desk.end(desk.call(agent_id="linus")["call_id"])
    desk.api.post(f"/calls/{call_id}/outcomes?dry_run=true", json={"outcome_id": sale["outcome_id"]})
    expect(page.get_by_label("Note")).to_have_value("Half a sen")
    desk.applied(call_id, sale["outcome_id"])
    expect(page.locator(".state")).to_have_text("Closed")
    expect(page.get_by_role("button", name="Finish this call")).to_have_count(0)
    late = visitor.post(f"/calls/{call_id}/resolve", {"outcome_id": other["outcome_id"]})
    assert late.status == 409
    assert desk.read_call(call_id)["disposition"]["outcome_id"] == sale["outcome_id"]


def test_a_stuck_call_is_ended_and_the_log_says_by_whom(graces: Watched, seen: Watched, desk: Desk) -> None:
    desk.disposition()
    call_id = desk.call(agent_id="ada")["call_id"]
    page = graces.open_live(f"/calls/{call_id}")
    page.get_by_label("How the line ended").select_option("failed")
    page.get_by_role("button", name="End this call").click()
    page.locator("#confirm").get_by_role("button", name="End it").click()
    expect(page.locator("#toasts")).to_contain_text("it waits for its disposition")
    expect(page.get_by_role("heading", name="Its disposition is missing")).to_be_visible()
    assert desk.read_call(call_id)["line_result"] == "failed"
    expect(seen.open(f"/settings/audit?thing_id={call_id}").locator(".entry")).to_contain_text("Grace Hopper")


def test_what_was_asked_about_is_done_though_the_call_was_answered_meanwhile(
    graces: Watched, desk: Desk
) -> None:
    desk.disposition()
    call_id = desk.call(agent_id="ada", direction="inbound", state="ringing")["call_id"]
    page = graces.open_live(f"/calls/{call_id}")
    page.get_by_role("button", name="End this call").click()
    assert desk.api.post(f"/calls/{call_id}/answer").status == 200
    # The form that was asked about is gone; another stands in its place.
    expect(page.get_by_label("How the line ended")).to_have_value("completed")
    page.locator("#confirm").get_by_role("button", name="End it").click()
    expect(page.locator("#toasts")).to_contain_text("it waits for its disposition")
    assert desk.read_call(call_id)["state"] == "wrap_up"


def test_what_is_done_by_somebody_else_meanwhile_is_said(graces: Watched, desk: Desk) -> None:
    call_id = desk.call(agent_id="ada")["call_id"]
    page = graces.open_live(f"/calls/{call_id}")
    page.get_by_role("button", name="End this call").click()
    desk.end(call_id)
    expect(page.locator("form.end-stuck")).to_have_count(0)
    page.locator("#confirm").get_by_role("button", name="End it").click()
    expect(page.locator("#toasts")).to_contain_text("nothing left to do")


def test_agents_do_not_see_the_calls_of_everybody(desk: Desk) -> None:
    desk.disposition()
    call_id = desk.wrapping_call("linus")["call_id"]
    agent = Visitor.with_session(desk.api.base_url, make_user(desk, "agent", agent_id="ada").session)
    for path in ("/calls", f"/calls/{call_id}", "/overview"):
        assert agent.get(path).status == 403
    assert agent.post(f"/calls/{call_id}/end").status == 403
    assert agent.get(f"/calls/{unknown_id()}").status == 403


def test_calls_are_accessible(seen: Watched, desk: Desk) -> None:
    desk.disposition()
    desk.call(agent_id="ada", state="ringing")
    call_id = desk.wrapping_call("linus")["call_id"]
    assert_accessible(seen.open("/calls"))
    assert_accessible(seen.open(f"/calls/{call_id}"))
