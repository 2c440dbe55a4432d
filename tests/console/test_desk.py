"""The agent's desk in a real browser: the whole loop, what must not get lost, and what nobody else may see."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from console.browser import TIMEOUT_MS, Gate, User, Watched, aside, assert_accessible, axe, make_user, watched
from harness import Desk, Json, Server
from receiver import Receiver, Reply

expect.set_options(timeout=TIMEOUT_MS)
MakeWindow = Callable[..., Watched]
HOSTILE = "<img src=x onerror=alert(1)>"
FIRST_PAGE_BYTES_MAX = 100_000


@pytest.fixture
def ada(desk: Desk) -> User:
    return make_user(desk, "agent", agent_id="ada")


@pytest.fixture
def adas(window: MakeWindow, ada: User) -> Watched:
    """The window of an agent."""
    return window(ada)


def dialog(page: Page) -> Any:
    return page.locator("#wrap-up:modal")


def stage(page: Page, state: str) -> None:
    """Wait until the desk is in a state; `idle` is none."""
    if state == "idle":
        expect(page.locator("#test")).to_be_visible()
    else:
        expect(page.locator(f".state-{state}")).to_be_visible()


def wrapping(desk: Desk, agent_id: str = "ada", **contact: Json) -> Json:
    """A call in wrap-up with somebody who has a name."""
    person = desk.contact(**{"name": "Dana Whitfield"} | contact)
    call = desk.call(contact_id=person["contact_id"], agent_id=agent_id)
    return desk.end(call["call_id"])


def test_the_whole_loop_works_by_keyboard_alone(adas: Watched, desk: Desk, receiver: Receiver) -> None:
    list_id = desk.smart_list("Follow up")["smart_list_id"]
    desk.action(receiver.url, destination_type="smart_list", destination_id=list_id, order=1)
    sale = desk.disposition(outcome_name="Sale")
    contact = desk.contact(name="Dana Whitfield", attributes={"company": "Northwind Roofing"})
    page = adas.open_live("/desk")
    page.keyboard.press("t")
    page.keyboard.type("dana")
    expect(page.get_by_role("option")).to_have_text(re.compile("Dana Whitfield"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    stage(page, "live")
    expect(page.get_by_role("heading", level=1)).to_have_text("Dana Whitfield")
    expect(page.locator(".who")).to_contain_text("Northwind Roofing")
    expect(page.locator(".choice")).to_contain_text("→ Follow up")
    expect(page.locator(".choice")).to_contain_text("calls 127.0.0.1")
    expect(page.locator(".menu-status")).to_have_text("On call")
    page.wait_for_selector("html[data-ready]", state="attached")
    page.keyboard.press("n")
    page.keyboard.type("Wants the blue one.")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(page.locator(".applied")).to_contain_text("joined Follow up")
    expect(page.locator(".applied-note")).to_have_text("Wants the blue one.")
    expect(page.locator("#note")).to_have_value("")
    expect(page.locator(".who")).to_contain_text("Follow up")
    page.keyboard.press("e")
    expect(dialog(page)).to_be_visible()
    expect(page.locator(".menu-status")).to_have_text("Wrap-up")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#wrap-up-problem")).to_have_text("Choose one outcome to finish this call.")
    page.keyboard.press("1")
    page.keyboard.press("n")
    page.keyboard.type("Paid at once.")
    page.keyboard.press("Control+Enter")
    stage(page, "idle")
    expect(page.locator(".menu-status")).to_have_text("Available")
    call_id = desk.api.pages("/calls", "calls")[0]["call_id"]
    call = desk.read_call(call_id)
    assert call["state"] == "closed"
    assert call["contact_id"] == contact["contact_id"]
    assert call["disposition"]["outcome_id"] == sale["outcome_id"]
    assert [each["note"] for each in call["applied"]] == ["Wants the blue one.", "Paid at once."]
    assert [hit.method for hit in receiver.wait_for(1)] == ["POST"]


def test_the_dialog_survives_a_reload_another_device_and_a_restart(
    browser: Browser,
    make_database: Callable[[str], str],
    make_server: Callable[..., Server],
) -> None:
    server = make_server(make_database("sqlite"))
    desk = aside(lambda: Desk.open(server))
    sale = desk.disposition(outcome_name="Sale")
    desk.disposition(outcome_name="No interest", order=1)
    ada = make_user(desk, "agent", agent_id="ada")
    call = wrapping(desk)
    with watched(browser, server.base_url, ada) as first, watched(browser, server.base_url, ada) as second:
        page = first.open_live("/desk")
        expect(dialog(page)).to_be_visible()
        page.keyboard.press("1")
        page.keyboard.press("n")
        page.keyboard.type("Half a sen")
        expect(page.locator("#draft-state")).to_have_text("Draft saved")
        page.reload()
        _expect_draft(page, sale["outcome_id"], "Half a sen")
        _expect_draft(second.open("/desk"), sale["outcome_id"], "Half a sen")
    server.kill()
    server = make_server(server.database_url)
    with watched(browser, server.base_url, ada) as first, watched(browser, server.base_url, ada) as second:
        page, other = first.open_live("/desk"), second.open_live("/desk")
        _expect_draft(page, sale["outcome_id"], "Half a sen")
        page.keyboard.press("Control+Enter")
        expect(dialog(page)).to_have_count(0)
        # The other device sees it go, and is told why.
        expect(other.locator("#toasts")).to_contain_text("finished elsewhere as “Sale”")
        expect(dialog(other)).to_have_count(0)
        assert desk.on(server).read_call(call["call_id"])["disposition"]["outcome_id"] == sale["outcome_id"]
        first.assert_clean()
        second.assert_clean()


def _expect_draft(page: Page, outcome_id: str, note: str) -> None:
    expect(dialog(page)).to_be_visible()
    expect(page.locator(f"#disposition-{outcome_id}")).to_be_checked()
    expect(page.locator("#wrap-up-note")).to_have_value(note)


def test_what_was_typed_just_before_a_reload_is_there_though_it_has_not_arrived(
    adas: Watched, desk: Desk
) -> None:
    sale = desk.disposition(outcome_name="Sale")
    wrapping(desk)
    page, gate = adas.open_live("/desk"), Gate()
    expect(dialog(page)).to_be_visible()
    page.route("**/draft", gate.hold)
    page.keyboard.press("1")
    page.keyboard.press("n")
    page.keyboard.type("Half a sen")
    page.reload()
    _expect_draft(page, sale["outcome_id"], "Half a sen")
    gate.open()
    expect(page.locator("#draft-state")).to_have_text("Draft saved")
    page.reload()
    _expect_draft(page, sale["outcome_id"], "Half a sen")


def test_the_dialog_cannot_be_dismissed(adas: Watched, desk: Desk) -> None:
    desk.disposition()
    wrapping(desk)
    adas.open("/settings/profile")
    page = adas.open("/desk")
    expect(dialog(page)).to_be_visible()
    for _ in range(4):
        page.keyboard.press("Escape")
    page.mouse.click(5, 400)
    expect(dialog(page)).to_be_visible()
    page.go_back()
    page.wait_for_url("**/settings/profile")
    page.go_forward()
    page.wait_for_url("**/desk")
    expect(dialog(page)).to_be_visible()
    page.keyboard.press("Control+k")
    assert page.locator("#palette:modal").count() == 0


def test_calls_come_and_end_by_themselves_and_a_second_one_waits(
    adas: Watched, desk: Desk, receiver: Receiver
) -> None:
    desk.action(receiver.url)
    desk.disposition(outcome_name="Sale")
    page = adas.open_live("/desk")
    dana = desk.contact(name="Dana Whitfield")
    call = desk.call(contact_id=dana["contact_id"], agent_id="ada", direction="inbound", state="ringing")
    stage(page, "ringing")
    expect(page.locator(".choice")).to_be_disabled()
    expect(page).to_have_title(re.compile("Ringing: Dana Whitfield"))
    assert desk.api.post(f"/calls/{call['call_id']}/answer").status == 200
    stage(page, "live")
    expect(page.locator("#end-call")).to_have_text(re.compile("It has ended"))
    page.fill("#note", "Typed while they talked")
    eve = desk.contact(name="Eve Adams")
    other = desk.call(contact_id=eve["contact_id"], agent_id="ada", direction="inbound")
    expect(page.locator(".strip")).to_contain_text("Eve Adams")
    desk.end(other["call_id"])
    # Who talks is not asked about another call in between.
    expect(page.locator(".strip-pending")).to_contain_text("1 call waits for its disposition")
    assert dialog(page).count() == 0
    desk.end(call["call_id"])
    expect(dialog(page)).to_contain_text("Eve Adams")
    expect(dialog(page)).to_contain_text("1 more waits")
    page.keyboard.press("1")
    page.keyboard.press("Control+Enter")
    expect(dialog(page)).to_contain_text("Dana Whitfield")
    expect(page.locator("#wrap-up-note")).to_have_value("Typed while they talked")
    expect(dialog(page)).not_to_contain_text("more wait")
    page.keyboard.press("1")
    page.keyboard.press("Control+Enter")
    stage(page, "idle")
    expect(page.locator(".recent li")).to_have_count(2)


def test_what_was_typed_moves_along_when_the_call_ends_at_that_moment(
    adas: Watched, desk: Desk, receiver: Receiver
) -> None:
    desk.action(receiver.url)
    desk.disposition()
    call = desk.call(agent_id="ada")
    page = adas.open_live("/desk")
    gate = Gate()
    # No draft gets through until the call has ended: the words are on this page alone.
    page.route("**/draft", gate.hold)
    page.fill("#note", "The last words")
    desk.end(call["call_id"])
    expect(dialog(page)).to_be_visible()
    expect(page.locator("#wrap-up-note")).to_have_value("The last words")
    gate.open()
    expect(page.locator("#draft-state")).to_have_text("Draft saved")
    page.reload()
    expect(page.locator("#wrap-up-note")).to_have_value("The last words")


def test_what_was_typed_moves_along_when_an_action_comes_too_late(
    adas: Watched, desk: Desk, receiver: Receiver
) -> None:
    desk.action(receiver.url)
    desk.disposition()
    call = desk.call(agent_id="ada")
    page = adas.open_live("/desk")
    gate = Gate()
    page.route("**/actions", gate.hold)
    page.evaluate(TYPE_AND_CLICK, ["The last words", ".choice"])
    desk.end(call["call_id"])
    expect(dialog(page)).to_be_visible()
    gate.open()
    expect(page.locator("#toasts .toast-error")).to_be_visible()
    expect(page.locator("#wrap-up-note")).to_have_value("The last words")
    expect(page.locator("#draft-state")).to_have_text("Draft saved")
    assert desk.read_call(call["call_id"])["applied"] == []


# At once: no draft is saved in between.
TYPE_AND_CLICK = """([words, button]) => {
  const note = document.getElementById("note");
  note.value = words;
  note.dispatchEvent(new Event("input", { bubbles: true }));
  document.querySelector(button).click();
}"""


def test_what_was_typed_moves_along_when_the_agent_ends_the_call(
    adas: Watched, desk: Desk, receiver: Receiver
) -> None:
    desk.action(receiver.url)
    desk.disposition()
    page = adas.open_live("/desk")
    page.fill("#whom", "+12125550123")
    page.get_by_role("button", name="Start test call").click()
    stage(page, "live")
    page.wait_for_selector("html[data-ready]", state="attached")
    page.evaluate(TYPE_AND_CLICK, ["The last words", "#end-call"])
    expect(dialog(page)).to_be_visible()
    expect(page.locator("#wrap-up-note")).to_have_value("The last words")


def test_a_note_that_was_kept_here_does_not_come_back_once_it_was_sent(
    adas: Watched, desk: Desk, receiver: Receiver
) -> None:
    desk.action(receiver.url)
    desk.action(receiver.url, outcome_name="Other", order=1)
    desk.call(agent_id="ada")
    page = adas.open_live("/desk")
    page.route("**/draft", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.fill("#note", "Said once")
    page.wait_for_function("() => sessionStorage.length > 0")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(page.locator(".applied-note")).to_have_text("Said once")
    page.unroute_all()
    page = adas.open_live("/desk")
    expect(page.locator("#note")).to_have_value("")
    assert page.evaluate("sessionStorage.length") == 0


def test_what_was_asked_about_is_done_though_the_call_was_answered_meanwhile(
    adas: Watched, desk: Desk
) -> None:
    desk.disposition()
    call = desk.call(agent_id="ada", direction="inbound", state="ringing")
    page = adas.open_live("/desk")
    page.keyboard.press("e")
    assert desk.api.post(f"/calls/{call['call_id']}/answer").status == 200
    stage(page, "live")
    page.locator("#confirm").get_by_role("button", name="It has ended").click()
    expect(dialog(page)).to_be_visible()
    assert desk.read_call(call["call_id"])["state"] == "wrap_up"


def test_a_question_is_asked_in_whatever_order_the_scripts_arrive(adas: Watched, desk: Desk) -> None:
    desk.disposition()
    call = desk.call(agent_id="ada")
    page, gate = adas.page, Gate()
    page.route("**/app.js", gate.hold)
    page.goto(f"{adas.base_url}/desk")
    page.wait_for_function(
        "() => performance.getEntriesByType('resource').some((each) => each.name.endsWith('/desk.js'))"
    )
    page.wait_for_timeout(200)  # for what desk.js itself needs, if it does not wait for app.js
    gate.open()
    page.wait_for_selector("html[data-live=on]", state="attached")
    page.keyboard.press("e")
    expect(page.locator("#confirm")).to_be_visible()
    assert desk.read_call(call["call_id"])["state"] == "live"
    page.locator("#confirm").get_by_role("button", name="It has ended").click()
    expect(dialog(page)).to_be_visible()


def test_two_agents_do_not_see_each_others_calls(
    adas: Watched, window: MakeWindow, desk: Desk, receiver: Receiver
) -> None:
    action = desk.action(receiver.url)
    bobs = window(make_user(desk, "supervisor", name="Bob", agent_id="bob"))
    page, other = adas.open_live("/desk"), bobs.open_live("/desk")
    dana, eve = desk.contact(name="Dana Whitfield"), desk.contact(name="Eve Adams")
    of_ada = desk.call(contact_id=dana["contact_id"], agent_id="ada")
    of_bob = desk.call(contact_id=eve["contact_id"], agent_id="bob")
    expect(page.get_by_role("heading", level=1)).to_have_text("Dana Whitfield")
    expect(other.get_by_role("heading", level=1)).to_have_text("Eve Adams")
    desk.applied(of_ada["call_id"], action["outcome_id"])
    expect(page.locator(".applied li")).to_have_count(1)
    assert other.locator(".applied li").count() == 0
    assert "Eve Adams" not in page.content()
    assert "Dana" not in other.content()
    for page_of, call in ((page, of_bob), (other, of_ada)):
        answer = page_of.goto(f"{desk.api.base_url}/desk/calls/{call['call_id']}")
        assert answer is not None
        assert answer.status == 404
        expect(page_of.get_by_role("heading", level=1)).to_have_text("Not found")
    page = adas.open("/desk")
    for path in ("answer", "end", "actions", "disposition", "draft"):
        sent = {"outcome_id": action["outcome_id"], "note": "mine", "csrf": _csrf(page)}
        answered = page.request.post(
            f"{desk.api.base_url}/desk/calls/{of_bob['call_id']}/{path}",
            form=sent,
            headers={"Accept": "application/json"},
        )
        assert (answered.status, answered.json()["error"]) == (404, "call_not_found"), path
    assert desk.read_call(of_bob["call_id"])["state"] == "live"
    assert desk.read_call(of_bob["call_id"])["applied"] == []


def _csrf(page: Page) -> str:
    token = page.locator("body").get_attribute("data-csrf")
    assert token
    return token


def test_eight_tabs_are_all_told_and_the_browser_still_loads_pages(
    browser: Browser, desk: Desk, ada: User
) -> None:
    desk.disposition()
    with watched(browser, desk.api.base_url, ada) as seen:
        pages = [seen.open_live("/desk")]
        for _ in range(7):
            page = seen.page.context.new_page()
            page.on("pageerror", lambda error: seen.errors.append(str(error)))
            page.goto(f"{desk.api.base_url}/desk")
            page.wait_for_selector("html[data-live=on]", state="attached")
            pages.append(page)
        call = wrapping(desk)
        for page in pages:
            expect(dialog(page)).to_be_visible()
        pages[3].goto(f"{desk.api.base_url}/settings/profile")
        expect(pages[3].get_by_role("heading", level=1)).to_be_visible()
        outcome_id = desk.api.get("/outcomes").json["outcomes"][0]["outcome_id"]
        desk.applied(call["call_id"], outcome_id)
        for page in (*pages[:3], *pages[4:]):
            expect(dialog(page)).to_have_count(0)
        seen.assert_clean()


def test_hostile_names_are_text(adas: Watched, desk: Desk, receiver: Receiver) -> None:
    hostile_list = desk.smart_list(HOSTILE)["smart_list_id"]
    action = desk.action(
        receiver.url, outcome_name=HOSTILE, destination_type="smart_list", destination_id=hostile_list
    )
    desk.disposition(outcome_name=f"{HOSTILE}2")
    person = desk.contact(
        name=f"{HOSTILE}'\"&", attributes={HOSTILE: HOSTILE, "items": "x", "company": HOSTILE}
    )
    page = adas.open_live("/desk")
    page.fill("#whom", HOSTILE)
    expect(page.get_by_role("option")).to_contain_text(HOSTILE)
    call = desk.call(contact_id=person["contact_id"], agent_id="ada")
    stage(page, "live")
    desk.applied(call["call_id"], action["outcome_id"], note=f"{HOSTILE}\n<script>alert(2)</script>")
    expect(page.locator(".applied-note")).to_contain_text("<script>")
    expect(page.locator("h1")).to_have_text(f"{HOSTILE}'\"&")
    expect(page.locator("#toasts")).not_to_contain_text("nothing")
    page.locator(".choice-applied").click(force=True)
    desk.end(call["call_id"])
    expect(dialog(page)).to_contain_text(HOSTILE)
    page.keyboard.press("1")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#toasts")).to_contain_text(f"“{HOSTILE}2” was applied")
    stage(page, "idle")
    assert page.locator("img").count() == 0


def test_every_state_is_accessible(adas: Watched, desk: Desk, receiver: Receiver) -> None:
    desk.set_workspace(wrap_up_timeout_seconds=3600)
    warm = desk.smart_list("Warm leads")["smart_list_id"]
    for number in range(12):
        desk.action(receiver.url, outcome_name=f"Action {number}", order=number)
    desk.disposition(outcome_name="Sale", destination_type="smart_list", destination_id=warm)
    dana = desk.contact(name="Dana Whitfield", attributes={"company": "Northwind Roofing", "gold": True})
    desk.join(warm, dana["contact_id"])
    desk.end(desk.call(contact_id=dana["contact_id"])["call_id"])
    page = adas.open_live("/desk")
    assert_accessible(page)
    call = desk.call(contact_id=dana["contact_id"], agent_id="ada", state="ringing")
    stage(page, "ringing")
    axe(page)
    desk.api.post(f"/calls/{call['call_id']}/answer")
    stage(page, "live")
    page.keyboard.press("1")
    expect(page.locator(".applied .badge-good")).to_be_visible()
    assert_accessible(page)
    desk.end(call["call_id"])
    expect(dialog(page)).to_be_visible()
    assert_accessible(page)


def test_more_than_nine_actions_are_in_reach(adas: Watched, desk: Desk, receiver: Receiver) -> None:
    for number in range(13):
        desk.action(receiver.url, outcome_name=f"Action {number + 1:02}", order=number)
    call = desk.call(agent_id="ada")
    page = adas.open("/desk")
    page.keyboard.press("0")
    expect(page.locator(".applied li")).to_contain_text("Action 10")
    page.keyboard.press("/")
    page.keyboard.type("n 13")
    expect(page.locator(".choice:visible")).to_have_count(1)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator(".applied li")).to_have_count(2)
    names = [each["outcome_name"] for each in desk.read_call(call["call_id"])["applied"]]
    assert names == ["Action 10", "Action 13"]


def test_keys_pressed_at_once_are_all_carried_out_and_each_once(
    adas: Watched, desk: Desk, receiver: Receiver
) -> None:
    for number in range(3):
        desk.action(receiver.url, outcome_name=f"Action {number}", order=number)
    call = desk.call(agent_id="ada")
    page = adas.open("/desk")
    for key in "1231":
        page.keyboard.press(key)
    expect(page.locator(".applied li")).to_have_count(3)
    assert len(desk.read_call(call["call_id"])["applied"]) == 3
    assert len(receiver.wait_for(3)) == 3


def test_digits_can_be_switched_off(adas: Watched, desk: Desk, receiver: Receiver) -> None:
    desk.action(receiver.url)
    desk.disposition()
    call = desk.call(agent_id="ada")
    page = adas.open("/settings/profile")
    page.uncheck("#shortcuts_enabled")
    page.get_by_role("button", name="Save").first.click()
    page = adas.open_live("/desk")
    stage(page, "live")
    expect(page.locator(".choice kbd")).to_be_hidden()
    page.keyboard.press("1")
    page.keyboard.press("e")
    # By now they would have been sent: what is clicked after them comes after them.
    page.locator(".choice").click()
    expect(page.locator(".applied li")).to_have_count(1)
    assert desk.read_call(call["call_id"])["state"] == "live"
    desk.end(call["call_id"])
    expect(dialog(page)).to_be_visible()
    page.keyboard.press("1")
    assert page.locator("#wrap-up input[type=radio]:checked").count() == 0


def test_a_webhooks_state_is_shown_as_it_changes(adas: Watched, desk: Desk, receiver: Receiver) -> None:
    first, second = threading.Event(), threading.Event()
    receiver.answer_with(Reply(503, gate=first), Reply(200, gate=second))
    desk.action(receiver.url)
    desk.call(agent_id="ada")
    page = adas.open_live("/desk")
    page.keyboard.press("1")
    badge = page.locator(".applied .badge")
    expect(badge).to_have_text("Pending")
    first.set()
    expect(badge).to_have_text(re.compile(r"503 · retrying|Trying again"))
    second.set()
    expect(badge).to_have_text(re.compile(r"200 · \d+ ms"))


def test_a_timeout_takes_the_dialog_away_and_says_so(adas: Watched, desk: Desk) -> None:
    gone = desk.disposition(outcome_name="No word")
    desk.set_workspace(wrap_up_timeout_seconds=5, wrap_up_timeout_outcome_id=gone["outcome_id"])
    page = adas.open_live("/desk")
    wrapping(desk)
    expect(dialog(page)).to_contain_text(re.compile(r"Closes by itself in 00:0\d as “No word”"))
    expect(page.locator("#toasts")).to_contain_text("closed as “No word”")
    expect(dialog(page)).to_have_count(0)


def test_what_was_typed_stays_when_saving_fails(adas: Watched, desk: Desk) -> None:
    sale = desk.disposition(outcome_name="Sale")
    call = wrapping(desk)
    page = adas.open_live("/desk")
    page.keyboard.press("1")
    page.fill("#wrap-up-note", "Every word of it")

    def cut(route: Route) -> None:
        route.abort()

    page.route("**/disposition", cut)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#wrap-up-problem")).to_contain_text("cannot be reached")
    _expect_draft(page, sale["outcome_id"], "Every word of it")
    page.unroute("**/disposition", cut)
    desk.set_workspace(outcomes_enabled=False)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#wrap-up-problem")).to_contain_text("switched off")
    _expect_draft(page, sale["outcome_id"], "Every word of it")
    desk.set_workspace(outcomes_enabled=True)
    page.keyboard.press("Control+Enter")
    stage(page, "idle")
    assert desk.read_call(call["call_id"])["applied"][0]["note"] == "Every word of it"


def test_a_disposition_that_comes_while_the_dialog_is_open_can_be_chosen(adas: Watched, desk: Desk) -> None:
    sale = desk.disposition(outcome_name="Sale")
    wrapping(desk)
    page = adas.open_live("/desk")
    page.keyboard.press("1")
    page.fill("#wrap-up-note", "typed")
    desk.disposition(outcome_name="No interest", order=-1)
    expect(page.locator(".option")).to_have_count(2)
    _expect_draft(page, sale["outcome_id"], "typed")
    for each in desk.api.get("/outcomes").json["outcomes"]:
        desk.api.delete(f"/outcomes/{each['outcome_id']}")
    expect(dialog(page)).to_contain_text("There is no disposition left to choose")


def test_a_draft_goes_with_the_person(adas: Watched, desk: Desk) -> None:
    desk.disposition()
    call = wrapping(desk)
    page = adas.open("/desk")
    page.fill("#wrap-up-note", "His secret")
    expect(page.locator("#draft-state")).to_have_text("Draft saved")
    assert desk.api.delete(f"/contacts/{call['contact_id']}").status == 200
    page = adas.open("/desk")
    expect(dialog(page)).to_contain_text("Erased contact")
    expect(page.locator("#wrap-up-note")).to_have_value("")


def test_the_desk_works_without_scripts(
    window: MakeWindow, desk: Desk, ada: User, receiver: Receiver
) -> None:
    desk.action(receiver.url)
    sale = desk.disposition(outcome_name="Sale")
    desk.contact(name="Dana Whitfield", phone_number="+12125550190")
    desk.contact(name="Dan Brown")
    page = window(ada, java_script_enabled=False).page
    page.goto(f"{desk.api.base_url}/desk")
    _start_without_scripts(page, "nobody at all")
    expect(page.locator("#whom-about")).to_contain_text("neither a phone number nor a contact's name")
    _start_without_scripts(page, "dan")
    page.get_by_role("button", name="Dana Whitfield").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dana Whitfield")
    page.fill("#note", "By hand")
    page.locator(".choice").click()
    expect(page.locator(".applied")).to_contain_text("By hand")
    page.select_option("select[name=line_result]", "voicemail")
    page.locator("#end-call").click()
    expect(page.locator("#wrap-up")).to_be_visible()
    page.fill("#wrap-up-note", "Kept")
    page.get_by_role("button", name="Save and finish").click()
    expect(page.locator("#wrap-up-problem")).to_have_text("Choose one outcome to finish this call.")
    expect(page.locator("#wrap-up-note")).to_have_value("Kept")
    page.locator(f"#disposition-{sale['outcome_id']}").check()
    page.get_by_role("button", name="Save and finish").click()
    expect(page.locator("#test")).to_be_visible()
    call = desk.api.pages("/calls", "calls")[0]
    assert (call["state"], call["line_result"]) == ("closed", "voicemail")
    assert [each["note"] for each in desk.read_call(call["call_id"])["applied"]] == ["By hand", "Kept"]


def _start_without_scripts(page: Page, whom: str) -> None:
    page.fill("#whom", whom)
    page.get_by_role("button", name="Start test call").click()


def test_no_outbound_call_begins_while_a_disposition_waits(adas: Watched, desk: Desk) -> None:
    desk.disposition()
    page = adas.open("/desk")
    token = _csrf(page)
    call = wrapping(desk)
    form: dict[str, str | float | bool] = {
        "csrf": token,
        "whom": "+12125550123",
        "direction": "outbound",
        "key": call["call_id"],
    }
    answered = page.request.post(f"{desk.api.base_url}/desk/calls", form=form)
    assert answered.status == 409
    assert "still needs its disposition" in answered.text()
    assert call["call_id"] in answered.text()
    assert len(desk.api.pages("/calls", "calls")) == 1


def test_a_desk_that_refused_something_still_sees_what_happens(adas: Watched, desk: Desk) -> None:
    page = adas.open("/desk")
    page.get_by_label("Number or name").fill("123")
    page.get_by_role("button", name="Start test call").click()
    expect(page.locator("#whom-about")).to_contain_text("neither a phone number nor")
    page.wait_for_selector("html[data-live=on]", state="attached")
    desk.call(agent_id="ada")
    stage(page, "live")
    expect(page.locator(".menu-status")).to_have_text("On call")


def test_a_test_call_sent_twice_is_one_call(adas: Watched, desk: Desk) -> None:
    page = adas.open("/desk")
    form: dict[str, str | float | bool] = {
        "csrf": _csrf(page),
        "whom": "+12125550123",
        "key": "0190a0a0-0000-7000-8000-000000000001",
    }
    for _ in range(2):
        assert page.request.post(f"{desk.api.base_url}/desk/calls", form=form).ok
    assert len(desk.api.pages("/calls", "calls")) == 1


def test_a_closed_call_can_still_get_its_disposition(adas: Watched, desk: Desk) -> None:
    call = desk.end(desk.call(agent_id="ada")["call_id"])
    assert call["state"] == "closed"
    desk.disposition(outcome_name="Sale")
    page = adas.open("/desk")
    page.locator(".recent a").click()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".facts")).to_contain_text("Sale")
    assert desk.read_call(call["call_id"])["disposition"]["outcome_name"] == "Sale"


def test_who_works_as_no_agent_is_told_what_to_do(seen: Watched, window: MakeWindow, desk: Desk) -> None:
    page = seen.open("/desk")
    page.get_by_role("link", name="Set my agent id").click()
    expect(page.get_by_label("Works as agent")).to_be_visible()
    other = window(make_user(desk, "agent"))
    page = other.open("/desk")
    expect(page.locator("main")).to_contain_text("Ask an administrator")
    axe(page)


def test_the_first_page_is_small(adas: Watched, desk: Desk, receiver: Receiver) -> None:
    for number in range(9):
        desk.action(receiver.url, outcome_name=f"Action {number}", order=number)
        desk.disposition(outcome_name=f"Disposition {number}", order=number)
    desk.call(agent_id="ada")
    page = adas.open_live("/desk")
    sizes = page.evaluate(
        """() => Object.fromEntries([...performance.getEntriesByType("navigation"),
        ...performance.getEntriesByType("resource")].map((each) => [each.name, each.transferSize]))"""
    )
    assert len(sizes) > 10
    assert 0 < sum(sizes.values()) < FIRST_PAGE_BYTES_MAX, sizes


def test_the_reply_is_shown_and_nothing_before_it(adas: Watched, desk: Desk, receiver: Receiver) -> None:
    """Nothing optimistic: until the server has answered, nothing is said to be applied."""
    desk.action(receiver.url)
    call = desk.call(agent_id="ada")
    page = adas.open_live("/desk")
    gate = Gate()
    page.route("**/actions", gate.hold)
    page.keyboard.press("1")
    expect(page.locator(".choice")).to_have_attribute("aria-busy", "true")
    assert page.locator(".choice-applied").count() == 0
    desk.end(call["call_id"])
    stage(page, "idle")
    gate.open()
    expect(page.locator("#toasts")).to_contain_text("An action is applied while the call is live")
    assert desk.read_call(call["call_id"])["applied"] == []
