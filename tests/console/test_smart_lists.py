"""The pages of Smart Lists, in a real browser and as a browser without scripts sees them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from console.browser import TIMEOUT_MS, Watched, aside, assert_accessible, make_user
from console.visitor import Visitor, location
from harness import NOWHERE, Desk, Server, assert_done

expect.set_options(timeout=TIMEOUT_MS)
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def supervisor(desk: Desk) -> Visitor:
    """The console without scripts, of somebody who configures no outcomes."""
    return Visitor.with_session(desk.api.base_url, make_user(desk, "supervisor").session)


def list_names(desk: Desk) -> set[str]:
    return {each["smart_list_name"] for each in desk.api.pages("/smart-lists", "smart_lists")}


def feeding(desk: Desk, list_id: str, name: str = "Interested") -> str:
    made = desk.action(outcome_name=name, destination_type="smart_list", destination_id=list_id)
    return str(made["outcome_id"])


def test_lists_say_how_long_they_are_and_what_feeds_and_empties_them(seen: Watched, desk: Desk) -> None:
    warm = desk.smart_list("Warm")["smart_list_id"]
    desk.smart_list("Cold")
    outcome_id = feeding(desk, warm)
    removal = {"list_ids": [warm]}
    desk.disposition(
        outcome_name="Lost", destination_type="remove_from_smart_list", remove_from_smart_lists=removal
    )
    people = [desk.contact()["contact_id"] for _ in range(3)]
    for each in people:
        desk.join(warm, each)
    assert_done(desk.api.delete(f"/smart-lists/{warm}/contacts/{people[0]}"))
    page = seen.open_live("/smart-lists")
    row = page.get_by_role("row", name=re.compile("^Warm"))
    expect(row.get_by_role("cell").nth(1)).to_have_text("2")
    expect(row).to_contain_text("Interested")
    expect(row).to_contain_text("Lost")
    expect(row).to_contain_text("+3")
    expect(row).to_contain_text("\N{MINUS SIGN}1")
    expect(row.get_by_role("img")).to_have_count(1)
    call = desk.call(contact_id=people[0])
    desk.applied(call["call_id"], outcome_id)
    expect(row.get_by_role("cell").nth(1)).to_have_text("3")
    assert_accessible(page)
    page.get_by_role("link", name="Members").click()
    expect(page.locator("tbody .row-link").first).to_have_text("Cold")
    page.get_by_role("link", name="Members").click()
    expect(page.locator("tbody .row-link").first).to_have_text("Warm")
    assert "sort=-members" in page.url


def test_a_list_is_made_found_renamed_and_its_name_is_its_own(seen: Watched, desk: Desk) -> None:
    desk.smart_list("Cold")
    page = seen.open("/smart-lists")
    page.keyboard.press("n")
    page.get_by_label("Name", exact=True).fill("cold")
    page.get_by_role("button", name="Make list").click()
    expect(page.locator("#new-list .alert")).to_contain_text("Another Smart List has this name.")
    expect(page.get_by_label("Name", exact=True)).to_have_value("cold")
    expect(page.locator("#new-list").get_by_role("link", name="Go to it")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("Warm")
    page.get_by_role("button", name="Make list").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Warm")
    expect(page.locator(".empty")).to_contain_text("Nobody is on this list")
    page.wait_for_selector("html[data-ready]", state="attached")
    page.keyboard.press("e")
    page.get_by_label("Name", exact=True).fill("Warm leads")
    page.get_by_role("button", name="Rename", exact=True).last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Warm leads")
    assert list_names(desk) == {"Cold", "Warm leads"}
    page = seen.open("/smart-lists?q=WARM")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(seen.open("/smart-lists?q=nothing").locator(".empty")).to_be_visible()


def test_members_are_added_by_search_and_taken_off(seen: Watched, desk: Desk) -> None:
    warm = desk.smart_list("Warm")["smart_list_id"]
    dana = desk.contact(name="Dana Whitfield", phone_number="+15555550177")["contact_id"]
    page = seen.open(f"/smart-lists/{warm}")
    page.keyboard.press("n")
    page.keyboard.type("(555) 555-0177")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".toast")).to_have_text("The contact is on the list.")
    row = page.get_by_role("row", name=re.compile("Dana Whitfield"))
    expect(row).to_contain_text("By hand")
    assert desk.lists_of(dana) == {warm}
    assert_accessible(page)
    page = seen.open(f"/smart-lists/{warm}?find=dana")
    expect(page.locator(".found-people")).to_contain_text("On the list")
    page.get_by_role("button", name="Take Dana Whitfield off the list").click()
    expect(page.locator(".toast")).to_have_text("The contact is off the list.")
    assert desk.lists_of(dana) == set()


def test_a_member_says_by_which_outcome_he_came_and_members_are_found(
    desk: Desk, supervisor: Visitor
) -> None:
    warm = desk.smart_list("Warm")["smart_list_id"]
    outcome_id = feeding(desk, warm)
    person = desk.contact(name="Dana Whitfield")
    call = desk.call(contact_id=person["contact_id"])
    desk.applied(call["call_id"], outcome_id)
    desk.join(warm, desk.contact(name="Omar Haddad")["contact_id"])
    page = supervisor.get(f"/smart-lists/{warm}").body.decode()
    assert f'<a href="/calls/{call["call_id"]}">Interested</a>' in page
    assert "/outcomes/" not in page  # a supervisor configures none
    found = supervisor.get(f"/smart-lists/{warm}?q=omar").body.decode()
    assert "Omar Haddad" in found
    assert "Dana Whitfield" not in found
    assert "Nobody on this list fits" in supervisor.get(f"/smart-lists/{warm}?q=zzz").body.decode()


def test_members_have_pages(desk: Desk, supervisor: Visitor) -> None:
    warm = desk.smart_list("Warm")["smart_list_id"]
    for at in range(27):
        desk.join(warm, desk.contact(name=f"Person {at:02}")["contact_id"])
    page = supervisor.get(f"/smart-lists/{warm}").body.decode()
    assert page.count("Take Person") == 25
    older = re.search(r'href="(/smart-lists/[^"]+cursor=[^"]+)"', page)
    assert older is not None
    rest = supervisor.get(older[1].replace("&amp;", "&")).body.decode()
    assert rest.count("Take Person") == 2
    assert "Person 00" in rest


def test_a_list_in_use_is_deleted_only_with_open_eyes(seen: Watched, desk: Desk) -> None:
    warm = desk.smart_list("Warm")["smart_list_id"]
    outcome_id = feeding(desk, warm)
    page = seen.open(f"/smart-lists/{warm}")
    page.get_by_role("link", name="Delete…").click()
    link = page.locator(".in-use").get_by_role("link", name="Interested")
    expect(link).to_have_attribute("href", f"/outcomes/{outcome_id}")
    assert_accessible(page)
    page.get_by_role("button", name="Delete it").click()  # the box is required: nothing is sent
    assert list_names(desk) == {"Warm"}
    page.get_by_label(re.compile("^Delete it although 1 outcome")).check()
    page.get_by_role("button", name="Delete it").click()
    expect(page.locator(".toast")).to_contain_text("The list was deleted.")
    assert list_names(desk) == set()


def test_a_list_that_comes_into_use_meanwhile_is_not_deleted(desk: Desk, supervisor: Visitor) -> None:
    warm = desk.smart_list("Warm")["smart_list_id"]
    feeding(desk, warm)
    answer = supervisor.post(f"/smart-lists/{warm}/delete")
    assert answer.status == 409
    assert "Outcomes point to this Smart List." in answer.body.decode()
    assert list_names(desk) == {"Warm"}
    assert location(supervisor.post(f"/smart-lists/{warm}/delete", {"force": "1"})) == "/smart-lists"


def test_many_lists_have_pages_and_an_order(desk: Desk, supervisor: Visitor) -> None:
    for at in range(52):
        desk.smart_list(f"List {at:02}")
    first = supervisor.get("/smart-lists").body.decode()
    assert "List 00" in first
    assert "List 51" not in first
    assert "Page 1 of 2, 52 lists" in first
    assert "List 51" in supervisor.get("/smart-lists?page=2").body.decode()
    assert "List 51" in supervisor.get("/smart-lists?sort=-name").body.decode()
    assert "Page 2 of 2" in supervisor.get("/smart-lists?page=999").body.decode()
    assert supervisor.get("/smart-lists?sort=nonsense").status == 400


@pytest.mark.parametrize("name", ["", "x" * 121, "a\u2028b"])
def test_a_wrong_name_is_told_at_its_field(desk: Desk, supervisor: Visitor, name: str) -> None:
    answer = supervisor.post("/smart-lists", {"smart_list_name": name})
    assert answer.status == 400
    assert 'id="smart_list_name-about"' in answer.body.decode()
    assert list_names(desk) == set()


def test_an_agent_sees_no_lists(desk: Desk) -> None:
    agent = Visitor.with_session(desk.api.base_url, make_user(desk, "agent", agent_id="ada").session)
    warm = desk.smart_list("Warm")["smart_list_id"]
    assert agent.get("/smart-lists").status == 403
    assert agent.post(f"/smart-lists/{warm}/delete").status == 403


def test_a_hostile_name_is_only_a_name(seen: Watched, desk: Desk) -> None:
    warm = desk.smart_list(HOSTILE)["smart_list_id"]
    feeding(desk, warm, name=f'"{HOSTILE}')
    desk.join(warm, desk.contact(name=f"</script>{HOSTILE}")["contact_id"])
    for path in ("/smart-lists", f"/smart-lists/{warm}?find=img", f"/smart-lists/{warm}/delete"):
        page = seen.open(path)
        expect(page.locator("main")).to_contain_text(HOSTILE)
        assert page.locator("img").count() == 0


def test_another_workspaces_list_is_not_there(
    desk: Desk, supervisor: Visitor, console_server: Server
) -> None:
    other = aside(lambda: Desk.open(console_server))
    theirs = other.smart_list("Theirs")["smart_list_id"]
    mine = desk.smart_list("Mine")["smart_list_id"]
    person = other.contact()["contact_id"]
    assert supervisor.get(f"/smart-lists/{theirs}").status == 404
    assert supervisor.post(f"/smart-lists/{theirs}/delete", {"force": "1"}).status == 404
    assert supervisor.post(f"/smart-lists/{theirs}", {"smart_list_name": "x"}).status == 404
    assert supervisor.post(f"/smart-lists/{mine}/members", {"contact_id": person}).status == 404
    assert supervisor.post(f"/smart-lists/{mine}/members", {"contact_id": NOWHERE}).status == 404
    assert list_names(other) == {"Theirs"}
