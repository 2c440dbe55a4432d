"""What only an eye would see, measured: nothing is cut off, out of line or broken where it should not be."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from console.browser import TIMEOUT_MS, Watched, make_user, watched
from console.test_deliveries import exhausted
from harness import Desk
from receiver import Receiver

expect.set_options(timeout=TIMEOUT_MS)


def tops(found: Locator) -> set[int]:
    """Where things begin, from above."""
    return {
        round(top) for top in found.evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().top)")
    }


def strip(page: Page, left: float, top: float) -> bytes:
    """A picture of a narrow strip of the page."""
    return page.screenshot(clip={"x": left, "y": top, "width": 8, "height": 12})


def test_a_second_line_begins_and_a_first_one_ends_without_a_dot(
    seen: Watched, desk: Desk, receiver: Receiver
) -> None:
    list_id = desk.smart_list("Everybody who wants to be called again next week")["smart_list_id"]
    desk.action(receiver.url, destination_type="smart_list", destination_id=list_id)
    admin = make_user(desk, agent_id="ada")
    desk.call(agent_id="ada")
    assert seen.page.context.browser is not None
    with watched(seen.page.context.browser, desk.api.base_url, admin) as mine:
        page = mine.open("/desk")
        effects = page.locator(".choice .effects > span")
        expect(effects).to_have_count(2)
        first, second = (each.bounding_box() for each in effects.all())
        assert first is not None
        assert second is not None
        assert second["y"] >= first["y"] + first["height"]
        assert "·" not in page.locator(".choice .effects").inner_text()
        # The same empty ground is left of both lines.
        assert strip(page, first["x"] - 10, first["y"]) == strip(page, second["x"] - 10, second["y"])


def test_a_state_is_read_in_full_beside_an_open_delivery(
    seen: Watched, desk: Desk, receiver: Receiver
) -> None:
    delivery_id = exhausted(desk, receiver, desk.action(receiver.url))
    page = seen.open(f"/deliveries?state=exhausted&open={delivery_id}")
    badge = page.locator("tbody .badge")
    expect(badge).to_have_text("500 · given up")
    assert badge.evaluate("(one) => one.scrollWidth <= one.clientWidth")
    cell = badge.evaluate("(one) => one.closest('td').getBoundingClientRect().right")
    assert badge.evaluate("(one) => one.getBoundingClientRect().right") <= cell
    expect(page.get_by_label("State")).to_contain_text("Given up")


def test_the_numbers_of_the_overview_stand_in_one_line(seen: Watched) -> None:
    page = seen.open("/overview")
    assert page.locator(".tile-now").count() == 4
    assert len(tops(page.locator(".tile-now .number-value"))) == 1
    assert len(tops(page.locator(".tile-label"))) == 1


def test_a_call_that_needs_nothing_leaves_no_hole(seen: Watched, desk: Desk) -> None:
    desk.disposition()
    call = desk.wrapping_call()
    page = seen.open(f"/calls/{call['call_id']}")
    cards = page.locator(".columns > .card, .stack-cards .card >> visible=true")
    expect(page.locator(".stack-cards .card-missing")).to_be_visible()
    page.get_by_label("How did it end?").select_option(index=1)
    page.get_by_role("button", name="Finish this call").click()
    expect(page.locator(".state-closed")).to_be_visible()
    expect(cards).to_have_count(2)
    assert len(tops(cards)) == 1


def test_a_members_number_is_not_broken(seen: Watched, desk: Desk) -> None:
    list_id = desk.smart_list("Warm leads")["smart_list_id"]
    desk.join(list_id, desk.contact(name="Björn Lindqvist")["contact_id"])
    page = seen.open(f"/smart-lists/{list_id}")
    number = page.locator(".person-number")
    assert number.evaluate("(one) => one.getClientRects().length") == 1


def test_charts_side_by_side_are_equally_high(seen: Watched, desk: Desk) -> None:
    desk.disposition()
    call = desk.wrapping_call()
    desk.applied(call["call_id"], desk.disposition()["outcome_id"])
    page = seen.open("/reports")
    heights = page.locator(".figures > .card").evaluate_all(
        "(all) => all.slice(0, 2).map((one) => Math.round(one.getBoundingClientRect().height))"
    )
    assert heights[0] == heights[1]


def test_the_exact_time_of_a_row_is_told_with_its_link(seen: Watched, desk: Desk) -> None:
    desk.call()
    page = seen.open("/calls")
    page.keyboard.press("j")
    link = page.locator("tbody .row-link")
    expect(link).to_be_focused()
    tip = page.locator("#tip")
    expect(tip).to_be_visible()
    expect(tip).to_have_text(page.locator("tbody time").get_attribute("data-exact") or "")
    expect(link).to_have_attribute("aria-describedby", "tip")
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    expect(link).not_to_have_attribute("aria-describedby", "tip")
