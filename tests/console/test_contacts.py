"""The pages of contacts, in a real browser and as a browser without scripts sees them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from console.browser import TIMEOUT_MS, Watched, aside, assert_accessible, make_user
from console.visitor import Visitor, location
from harness import Desk, Json, Server, assert_done

expect.set_options(timeout=TIMEOUT_MS)
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def supervisor(desk: Desk) -> Visitor:
    """The console without scripts."""
    return Visitor.with_session(desk.api.base_url, make_user(desk, "supervisor").session)


def read(desk: Desk, contact_id: str) -> Json:
    return assert_done(desk.api.get(f"/contacts/{contact_id}"))["contact"]


def person(desk: Desk, **fields: Json) -> str:
    named: dict[str, Json] = {"name": "Dana Whitfield", "phone_number": "+15555550177"}
    return str(desk.contact(**named | fields)["contact_id"])


def test_contacts_are_looked_for_by_name_number_and_list(seen: Watched, desk: Desk) -> None:
    warm = desk.smart_list("Warm")["smart_list_id"]
    dana = person(desk, external_id="crm-1")
    desk.contact(name="Omar Haddad", phone_number="+15555550188")
    desk.join(warm, dana)
    page = seen.open("/contacts")
    expect(page.locator("tbody tr")).to_have_count(2)
    assert_accessible(page)
    for text in ("WHITFIELD", "crm-1", "(555) 555-0177", "555-0177", "+1 555 555 0177"):
        page.keyboard.press("/")
        page.keyboard.press("Control+A")
        page.keyboard.type(text)
        page.keyboard.press("Enter")
        expect(page.locator("tbody .row-link")).to_have_text(["Dana Whitfield"])
        expect(page.get_by_role("searchbox")).to_have_value(text)
        page.wait_for_selector("html[data-ready]", state="attached")
    page = seen.open(f"/contacts?smart_list_id={warm}")
    expect(page.locator("tbody .row-link")).to_have_text(["Dana Whitfield"])
    expect(seen.open("/contacts?q=nobody").locator(".empty")).to_contain_text("Nobody fits")


def test_a_contact_is_made_with_attributes_of_every_kind(seen: Watched, desk: Desk) -> None:
    page = seen.open("/contacts")
    expect(page.locator(".empty")).to_contain_text("No contacts yet")
    page.keyboard.press("n")
    page.wait_for_url("**/contacts/new")
    page.wait_for_selector("html[data-ready]", state="attached")
    page.get_by_label("Phone number").fill("(212) 555-0100")
    page.get_by_label("Name", exact=False).first.fill("Dana Whitfield")
    lines = (("company", "Text", "Northwind"), ("age", "Number", "42"), ("customer", "Yes or no", "yes"))
    page.get_by_role("button", name="Another line").click()
    for at, (key, kind, value) in enumerate(lines, start=1):
        page.get_by_label(f"Name of attribute {at}").fill(key)
        page.get_by_label(f"Kind of attribute {at}").select_option(label=kind)
        page.get_by_label(f"Value of attribute {at}").fill(value)
    assert_accessible(page)
    page.get_by_role("button", name="Add contact").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dana Whitfield")
    made = assert_done(desk.api.get("/contacts"))["contacts"][0]
    assert made["phone_number"] == "+12125550100"
    assert made["attributes"] == {"company": "Northwind", "age": 42, "customer": True}
    page.get_by_role("link", name="Edit").click()
    page.wait_for_selector("html[data-ready]", state="attached")
    page.get_by_role("button", name="Remove attribute 2").click()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".toast")).to_have_text("The contact was saved.")
    assert read(desk, made["contact_id"])["attributes"] == {"company": "Northwind", "customer": True}


def test_every_problem_is_told_and_what_was_typed_stays(desk: Desk, supervisor: Visitor) -> None:
    answer = supervisor.post(
        "/contacts",
        {
            "phone_number": "12", "name": "x" * 201, "attribute_key": ["age", "vip", "", "age"],
            "attribute_kind": ["number", "yes_no", "text", "text"],
            "attribute_value": ["old", "perhaps", "alone", "again"],
        },
    )  # fmt: skip
    page = answer.body.decode()
    assert answer.status == 400
    for sentence in ("Is not a possible phone number", "Must be a number such as", "Must be yes or no",
                     "Needs a name", "must be 1-200 characters"):  # fmt: skip
        assert sentence.casefold() in page.casefold(), sentence
    assert ">perhaps</textarea>" in page
    assert assert_done(desk.api.get("/contacts"))["contacts"] == []


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "1e999", "[1]", "true", "9" * 5000, "9007199254740993"]
)
def test_a_number_that_is_none_is_refused(supervisor: Visitor, desk: Desk, number: str) -> None:
    fields = {"phone_number": "+15555550177", "attribute_key": "age", "attribute_kind": "number"}
    assert supervisor.post("/contacts", fields | {"attribute_value": number}).status == 400
    assert assert_done(desk.api.get("/contacts"))["contacts"] == []


def test_a_number_that_somebody_has_leads_to_him(desk: Desk, supervisor: Visitor) -> None:
    dana = person(desk)
    answer = supervisor.post("/contacts", {"phone_number": "+1 (555) 555-0177"})
    assert answer.status == 409
    assert f'href="/contacts/{dana}">Go to that contact' in answer.body.decode()


def test_an_edit_leaves_what_it_did_not_touch(desk: Desk, supervisor: Visitor) -> None:
    dana = person(desk, external_id="crm-1", attributes={"note": "  two\nlines ", "n": 1.5, "b": False})
    page = supervisor.get(f"/contacts/{dana}/edit").body.decode()
    assert "crm-1" in page
    # Somebody else changes the name while the form is open.
    assert_done(desk.api.patch(f"/contacts/{dana}", json={"name": "Dana W."}))
    fields = {
        "phone_number": "+15555550177", "was_phone_number": "+15555550177", "name": "Dana Whitfield",
        "was_name": "Dana Whitfield", "external_id": "crm-2", "was_external_id": "crm-1",
        "attribute_key": ["note", "n", "b", ""], "attribute_kind": ["text", "number", "yes_no", "text"],
        "attribute_value": ["  two\r\nlines ", "1.5", "no", ""],
    }  # fmt: skip
    assert location(supervisor.post(f"/contacts/{dana}", fields)) == f"/contacts/{dana}"
    now = read(desk, dana)
    assert (now["name"], now["external_id"]) == ("Dana W.", "crm-2")
    assert now["attributes"] == {"note": "  two\nlines ", "n": 1.5, "b": False}


def test_a_contact_joins_and_leaves_lists_and_history_tells_all(seen: Watched, desk: Desk) -> None:
    warm = desk.smart_list("Warm")["smart_list_id"]
    follow = desk.smart_list("Follow up")["smart_list_id"]
    desk.smart_list("Later")
    interested = desk.action(destination_type="smart_list", destination_id=follow)["outcome_id"]
    sale = desk.disposition(outcome_name="Sale")["outcome_id"]
    dana = person(desk)
    page = seen.open_live(f"/contacts/{dana}")
    expect(page.locator(".empty")).to_contain_text("Nothing happened yet")
    page.get_by_label("Smart List to join").select_option(label="Warm")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".event")).to_contain_text("Joined Warm by hand")
    page.wait_for_selector("html[data-live=on]", state="attached")
    call = desk.call(contact_id=dana, agent_id="ada")["call_id"]
    expect(page.locator(".event").first).to_contain_text("On the line")
    page.get_by_label("Smart List to join").select_option(label="Later")
    desk.applied(call, interested, note="Wants\nthe blue one.")
    expect(page.locator(".event-note")).to_have_text("Wants\nthe blue one.")
    expect(page.locator(".on-lists li")).to_have_count(2)
    # The lists came anew; what was chosen among them is still chosen.
    expect(page.get_by_label("Smart List to join").locator("option:checked")).to_have_text("Later")
    desk.end(call)
    desk.applied(call, sale)
    expect(page.locator(".event").first).to_contain_text("Finished as Sale")
    expect(page.locator(".timeline")).to_contain_text("Joined Follow up by Interested")
    expect(page.locator(".timeline")).to_contain_text("Completed · Sale")
    assert_accessible(page)
    page.get_by_role("button", name="Take off Warm").click()
    expect(page.locator(".event").first).to_contain_text("Left Warm by hand")
    assert desk.lists_of(dana) == {follow}
    assert warm not in desk.lists_of(dana)


def test_history_has_pages(desk: Desk, supervisor: Visitor) -> None:
    dana = person(desk)
    for at in range(14):
        warm = desk.smart_list(f"List {at:02}")["smart_list_id"]
        desk.join(warm, dana)
        assert_done(desk.api.delete(f"/smart-lists/{warm}/contacts/{dana}"))
    page = supervisor.get(f"/contacts/{dana}").body.decode()
    assert page.count('class="event event-') == 25
    older = re.search(r'href="(/contacts/[^"]+cursor=[^"]+)"', page)
    assert older is not None
    rest = supervisor.get(older[1].replace("&amp;", "&")).body.decode()
    assert rest.count('class="event event-') == 3
    assert "List 00" in rest


def test_somebody_is_erased_only_by_his_number(seen: Watched, desk: Desk) -> None:
    dana = person(desk)
    call = desk.call(contact_id=dana)["call_id"]
    page = seen.open(f"/contacts/{dana}")
    page.get_by_role("link", name="Erase…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Erase Dana Whitfield?")
    assert_accessible(page)
    confirmation = page.get_by_label(re.compile("^Type the number"))
    confirmation.fill("+15555550178")
    page.get_by_role("button", name="Erase for ever").click()
    expect(page.locator("#confirmation-about")).to_have_text("Is not the number of this contact.")
    assert read(desk, dana)["name"] == "Dana Whitfield"
    confirmation.fill("555 555 0177")
    page.get_by_role("button", name="Erase for ever").click()
    expect(page.locator(".toast")).to_have_text("The contact was erased.")
    assert desk.api.get(f"/contacts/{dana}").status == 404
    assert desk.read_call(call)["phone_number"] is None


def test_a_hostile_name_is_only_a_name(seen: Watched, desk: Desk) -> None:
    warm = desk.smart_list(HOSTILE)["smart_list_id"]
    dana = person(desk, name=HOSTILE, external_id=HOSTILE, attributes={HOSTILE: f'"{HOSTILE}'})
    desk.join(warm, dana)
    outcome = desk.action(outcome_name=HOSTILE)["outcome_id"]
    call = desk.call(contact_id=dana, agent_id="<b>ada</b>")["call_id"]
    desk.applied(call, outcome, note=f"</p>{HOSTILE}")
    for path in ("/contacts", *(f"/contacts/{dana}{more}" for more in ("", "/edit", "/erase"))):
        page = seen.open(path)
        expect(page.locator("main")).to_contain_text(HOSTILE)
        assert page.locator("img, main b").count() == 0


def test_another_workspaces_contact_is_not_there(
    desk: Desk, supervisor: Visitor, console_server: Server
) -> None:
    other = aside(lambda: Desk.open(console_server))
    theirs = person(other)
    mine = person(desk)
    their_list = other.smart_list("Theirs")["smart_list_id"]
    for more in ("", "/edit", "/erase"):
        assert supervisor.get(f"/contacts/{theirs}{more}").status == 404
    assert supervisor.post(f"/contacts/{theirs}", {"phone_number": "+15555550100"}).status == 404
    assert supervisor.post(f"/contacts/{theirs}/erase", {"confirmation": "+15555550177"}).status == 404
    assert supervisor.post(f"/contacts/{mine}/join", {"smart_list_id": their_list}).status == 404
    assert supervisor.get(f"/contacts?smart_list_id={their_list}").status == 404
    assert supervisor.get("/contacts?smart_list_id=nonsense").status == 404
    assert read(other, theirs)["name"] == "Dana Whitfield"
