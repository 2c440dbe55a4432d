"""The Reports pages: numbers and charts of what was done, all that is chosen in the address."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from console.browser import User, Watched, assert_accessible, make_user
from console.visitor import Visitor
from harness import Desk

HOSTILE = '<img src=x onerror="alert(1)">'
TABS = ("/reports", "/reports/agents", "/reports/smart-lists", "/reports/webhooks")


@pytest.fixture
def worked(desk: Desk) -> Desk:
    """A workspace where something happened: three calls by two agents, an action, a list."""
    action, sold = desk.action(), desk.disposition(outcome_name=HOSTILE)
    for agent in ("ada", "ada", HOSTILE):
        call = desk.call(agent_id=agent)
        desk.applied(call["call_id"], action["outcome_id"])
        desk.end(call["call_id"])
        desk.applied(call["call_id"], sold["outcome_id"])
    desk.join(desk.smart_list(f"{HOSTILE} list")["smart_list_id"], desk.contact()["contact_id"])
    return desk


@pytest.fixture
def visitor(worked: Desk, user: User) -> Visitor:
    return Visitor.with_session(worked.api.base_url, user.session)


@pytest.mark.parametrize("path", TABS)
def test_a_tab_is_accessible_and_nothing_on_it_is_run(path: str, worked: Desk, seen: Watched) -> None:
    page = seen.open(path)
    assert page.locator("svg.chart[role=img]").count() > 3
    assert page.locator("img").count() == 0
    assert_accessible(page)


def test_a_tab_says_so_when_there_is_nothing(desk: Desk, seen: Watched) -> None:
    page = seen.open("/reports")
    assert page.get_by_role("heading", name="Nothing in this period").is_visible()
    assert page.locator(".figure svg.chart").count() == 0, "a line of noughts tells nobody anything"
    assert_accessible(page)


def test_tiles_charts_and_data_tell_the_same_numbers(worked: Desk, seen: Watched) -> None:
    page = seen.open("/reports?period=today&tz=UTC")
    tile = page.get_by_role("group", name="Outcomes applied")
    assert tile.locator(".tile-value").inner_text() == "6"
    assert page.get_by_role("group", name="Conversion rate").locator(".tile-value").inner_text() == "100%"
    card = page.locator("section.figure", has=page.get_by_role("heading", name="Dispositions", exact=True))
    card.get_by_text("Show data").click()
    assert card.get_by_role("row", name=HOSTILE).get_by_role("cell").all_inner_texts() == [
        "Disposition", "3", "100%", "0",
    ]  # fmt: skip
    card.get_by_text("How it is counted").click()
    assert card.get_by_text("Count ÷ all counts of the period.").is_visible()


def test_what_is_chosen_is_in_the_address_and_the_address_shows_it_again(worked: Desk, seen: Watched) -> None:
    page = seen.open("/reports?tz=UTC")
    page.get_by_label("Period").select_option("30")
    page.get_by_label("Agent").select_option("ada")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**/reports?*agent_id=ada*")
    assert "period=30" in page.url
    assert "since=" not in page.url
    address = page.url.removeprefix(seen.base_url)
    again = seen.open(address)
    assert again.get_by_label("Agent").input_value() == "ada"
    assert again.locator(".tile-value").first.inner_text() == "4"
    assert again.get_by_role("link", name="Agents", exact=True).get_attribute("href") == address.replace(
        "/reports", "/reports/agents"
    )


def test_what_counts_can_be_chosen(worked: Desk, seen: Watched) -> None:
    page = seen.open("/reports?period=today&tz=UTC")
    page.get_by_text("What counts").click()
    page.get_by_role("group", name="A conversion is a call with").get_by_label(HOSTILE).check()
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**conversion=*")
    assert page.get_by_text("What counts").locator(".badge").inner_text() == "chosen"
    card = page.locator("section.figure", has=page.get_by_role("heading", name="Contact and conversion"))
    card.get_by_text("How it is counted").click()
    assert page.get_by_text(
        "Calls with at least one of the chosen outcomes (conversion_outcome_ids)."
    ).is_visible()


def test_tabs_and_data_have_keys(worked: Desk, seen: Watched) -> None:
    page = seen.open("/reports?tz=UTC")
    page.keyboard.press("d")
    assert page.locator(".show-data[open]").count() == 4
    page.keyboard.press("3")
    page.wait_for_url("**/reports/smart-lists?tz=UTC")


def test_days_of_ones_own_appear_with_the_choice(desk: Desk, seen: Watched) -> None:
    page = seen.open("/reports?tz=UTC")
    assert not page.get_by_label("From", exact=True).is_visible()
    page.get_by_label("Period").select_option("custom")
    page.get_by_label("From", exact=True).fill("2026-01-05")
    page.get_by_label("to", exact=True).fill("2026-01-06")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**since=2026-01-05*")
    assert page.get_by_text("Jan 5 - Jan 6, 2026").is_visible()


def test_the_first_visit_is_in_the_readers_own_time_zone(
    desk: Desk, user: User, window: Callable[..., Watched]
) -> None:
    page = window(user, timezone_id="Asia/Kathmandu").open("/reports")
    page.wait_for_url("**tz=Asia%2FKathmandu")
    assert page.get_by_label("Time zone").input_value() == "Asia/Kathmandu"


def test_every_chart_has_its_table_as_csv(visitor: Visitor) -> None:
    for path in TABS:
        page = visitor.get(f"{path}?period=today&tz=UTC").body.decode()
        links = [part.split('"')[0] for part in page.split('href="/reports/csv/')[1:]]
        assert len(links) >= 2
        for link in links:
            answer = visitor.get("/reports/csv/" + link.replace("&amp;", "&"))
            assert answer.status == 200, link
            assert answer.header("Content-Type") == "text/csv; charset=utf-8"
            assert next(csv.reader(io.StringIO(answer.body.decode())))
    rows = visitor.get("/reports/csv/agents?period=today&agent_id=ada").body.decode()
    assert [row["calls"] for row in csv.DictReader(io.StringIO(rows))] == ["2"]


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"tz": "Mars/Olympus"}, "There is no such time zone."),
        ({"period": "13"}, "There is no such period."),
        ({"period": "custom", "since": "yesterday"}, "A day is written as 2026-06-25."),
        ({"period": "custom", "since": "2026-02-02", "until": "2026-01-01"}, "must be before until"),
        ({"period": "90", "interval": "hour"}, "makes more than 400 buckets"),
        ({"interval": "minute"}, "An interval is hour, day or week."),
        ({"outcome_id": "x"}, "That is no id."),
        ({"contact": "x"}, "Those are no outcomes."),
    ],
)
def test_a_choice_that_cannot_be_is_told_on_the_page(
    parameters: dict[str, str], told: str, visitor: Visitor
) -> None:
    answer = visitor.get(f"/reports?{urlencode(parameters)}")
    assert answer.status == 400
    assert told in answer.body.decode()
    assert "<form" in answer.body.decode()


def test_a_report_or_table_that_is_none_is_not_found(visitor: Visitor) -> None:
    assert visitor.get("/reports/csv/secrets").status == 404
    assert visitor.get("/reports/csv/agents?table=secrets").status == 400


def test_reports_are_not_for_agents(desk: Desk) -> None:
    agent = make_user(desk, "agent", agent_id="ada")
    visitor = Visitor.with_session(desk.api.base_url, agent.session)
    for path in (*TABS, "/reports/csv/agents"):
        assert visitor.get(path).status == 403
