"""Contacts from a file and as a file, as somebody with a browser does it."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from console.browser import Watched, assert_accessible, make_user
from harness import Desk, assert_done

HOSTILE = "<img src=x onerror=alert(1)>"
FILE = (
    f"Mobile;Who;Seats;Notes\r\n(212) 555-0101;{HOSTILE};12;a\r\n+12125550102;Bob;;b\r\n12;Nobody;many;c\r\n"
)


def picture(page: Page, name: str) -> None:
    """For people who look: LEADLINE_TEST_PICTURES names a folder."""
    folder = os.environ.get("LEADLINE_TEST_PICTURES")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def send(page: Page, tmp_path: Path, text: str = FILE, name: str = "leads.csv") -> None:
    (tmp_path / name).write_bytes(text.encode())
    page.get_by_label("File, up to 32 MiB").set_input_files(tmp_path / name)
    page.get_by_role("button", name="Send the file").click()
    page.wait_for_url("**/contacts/import/*-*")


def test_a_file_is_sent_mapped_tried_and_imported(seen: Watched, desk: Desk, tmp_path: Path) -> None:
    assert_done(desk.api.post("/smart-lists", json={"smart_list_name": "Spring campaign"}), 201)
    page = seen.open("/contacts/import")
    assert_accessible(page)
    picture(page, "import-new")
    send(page, tmp_path)
    expect(page.get_by_label("What Mobile means")).to_have_value("phone_number")
    page.get_by_label("What Who means").select_option("Name")
    page.get_by_label("What Seats means").select_option("Attribute: number")
    page.get_by_label("Attribute of Seats").fill("seats")
    page.get_by_label("Spring campaign").check()
    assert_accessible(page)
    picture(page, "import-mapping")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_role("heading", name="What would happen")).to_be_visible()
    passed_over = page.get_by_role("region", name="Rows that were passed over")
    row = passed_over.get_by_role("row").filter(has_text="Nobody")
    expect(row).to_contain_text("'12' is not a possible phone number")
    expect(row).to_contain_text("'many' is no number")
    assert assert_done(desk.api.get("/contacts"))["contacts"] == []
    assert_accessible(page)
    picture(page, "import-tried")
    # What was chosen for the try is still chosen.
    expect(page.get_by_label("What Who means")).to_have_value("name")
    expect(page.get_by_label("Spring campaign")).to_be_checked()
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="Imported")).to_be_visible()
    picture(page, "import-done")
    contacts = assert_done(desk.api.get("/contacts"))["contacts"]
    assert {(each["name"], str(each["attributes"])) for each in contacts} == {
        (HOSTILE, "{'seats': 12}"),
        ("Bob", "{}"),
    }
    assert [each["smart_list_name"] for each in contacts[0]["smart_lists"]] == ["Spring campaign"]
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    rows = list(csv.reader(download.value.path().read_text().splitlines()))
    assert rows[1][0] == "4"
    assert rows[1][2:] == ["12", "Nobody", "many", "c"]


def test_what_is_not_understood_is_said_where_it_is(seen: Watched, tmp_path: Path) -> None:
    page = seen.open("/contacts/import")
    send(page, tmp_path, "who;what\nAda;x\n")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("Say which column is the phone number.")).to_be_visible()
    page.get_by_label("What who means").select_option("Phone number")
    page.get_by_label("What what means").select_option("Phone number")
    page.get_by_role("button", name="Import", exact=True).click()
    second = page.get_by_label("What what means")
    expect(second).to_have_attribute("aria-invalid", "true")
    expect(second).to_have_value("phone_number")
    page.get_by_label("Between columns").select_option("Comma")
    page.get_by_role("button", name="Read it so").click()
    expect(page.get_by_label("What who;what means")).to_be_visible()


def test_rows_can_be_pasted_and_a_large_file_shows_how_far_it_is(seen: Watched, tmp_path: Path) -> None:
    page = seen.open("/contacts/import")
    page.get_by_role("textbox", name="Rows").fill("+12125550101\tAda\n+12125550102\tBob\n")
    page.get_by_role("button", name="Look at them").click()
    expect(page.get_by_label("What Column 1 means")).to_have_value("phone_number")
    # It asks once its scripts are at work.
    page.wait_for_selector("html[data-ready]", state="attached")
    page.get_by_role("button", name="Discard").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    expect(page.get_by_role("heading", name="Before it was stopped")).to_be_visible()
    page = seen.open("/contacts/import")
    text = "phone,name\n" + "".join(f"+1212555{number},{'N' * 60}{number}\n" for number in range(2000, 3000))
    send(page, tmp_path, text, "large.csv")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="Imported")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("1000", exact=True)).to_be_visible()
    page.get_by_role("link", name="All imports").click()
    expect(page.get_by_role("link", name="large.csv")).to_be_visible()
    expect(page.get_by_role("link", name="Pasted rows")).to_be_visible()


def test_too_much_pasted_at_once_is_refused_on_a_page(seen: Watched) -> None:
    page = seen.open("/contacts/import")
    page.get_by_role("textbox", name="Rows").fill("ä" * 40_000)
    page.get_by_role("button", name="Look at them").click()
    expect(page.get_by_role("heading", name="Too much at once")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("link", name="To the start").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_one_row_is_told_of_as_one(seen: Watched) -> None:
    page = seen.open("/contacts/import")
    page.get_by_role("textbox", name="Rows").fill(
        "Name,Phone\nZoe,+1 212 555 0101\nZoe again,+1 212 555 0101"
    )
    page.get_by_role("button", name="Look at them").click()
    expect(page.get_by_label("The first row is")).to_contain_text("As found: Column names")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("main")).to_contain_text("1 row has a number that an earlier row has.")


def test_contacts_are_downloaded_and_no_spreadsheet_runs_them(seen: Watched, desk: Desk) -> None:
    for number, name in (("+12125550101", "=1+1"), ("+12125550102", "Ada")):
        assert_done(desk.api.post("/contacts", json={"phone_number": number, "name": name}), 201)
    page = seen.open("/contacts/export")
    assert_accessible(page)
    picture(page, "export")
    page.get_by_label("Name, number or external id").fill("1+1")
    page.get_by_role("button", name="Filter").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download these contacts").click()
    assert download.value.suggested_filename == "contacts.csv"
    rows = list(csv.reader(download.value.path().read_text().splitlines()))
    assert rows[1:] == [["+12125550101", "'=1+1", "", "", ""]]


def test_agents_neither_import_nor_export(window: Callable[..., Watched], desk: Desk) -> None:
    agent = window(make_user(desk, "agent", agent_id="ada"))
    for path in ("/contacts/import", "/contacts/export"):
        page = agent.page
        answer = page.goto(agent.base_url + path)
        assert answer is not None
        assert answer.status == 403
    file = agent.page.request.get(agent.base_url + "/contacts/export.csv")
    assert file.status == 403
