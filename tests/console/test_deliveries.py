"""Deliveries in a real browser: found, followed, sent again, stopped; and answers that would do harm."""

from __future__ import annotations

import re
import threading
from urllib.parse import quote

from playwright.sync_api import Page, expect

from console.browser import NARROW, TIMEOUT_MS, Watched, aside, assert_accessible, make_user
from console.visitor import Visitor, location
from harness import ATTEMPTS_MAX, Desk, Json, Server, unknown_id
from receiver import Receiver, Reply

expect.set_options(timeout=TIMEOUT_MS)
HOSTILE = "<img src=x onerror=alert(1)>"


def applied(desk: Desk, action: Json, name: str = "Dana Whitfield", **call: Json) -> str:
    """Apply an action to a call with somebody of this name; its delivery's id."""
    contact = desk.contact(name=name)
    started = desk.call(contact_id=contact["contact_id"], agent_id="ada", direction="inbound", **call)
    delivery_id: str = desk.applied(started["call_id"], action["outcome_id"])["delivery_id"]
    return delivery_id


def exhausted(desk: Desk, receiver: Receiver, action: Json, name: str = "Dana Whitfield") -> str:
    """A delivery whose receiver has failed every time."""
    receiver.answer_with(*[500] * ATTEMPTS_MAX)
    delivery_id = applied(desk, action, name)
    desk.delivery_in(delivery_id, "exhausted")
    return delivery_id


def rows(page: Page) -> list[str]:
    """The deliveries that are listed, in their order."""
    ids = page.locator("[data-row]").evaluate_all("(all) => all.map((row) => row.dataset.row)")
    return [str(each) for each in ids]


def listed(visitor: Visitor, query: str) -> list[str]:
    """The same without a browser."""
    return re.findall('data-row="([^"]+)"', visitor.get(f"/deliveries?{query}").body.decode())


def test_deliveries_are_filtered_by_everything_and_found_by_id(
    seen: Watched, desk: Desk, receiver: Receiver
) -> None:
    other = receiver.another()
    first = desk.action(receiver.url, outcome_name="Interested")
    second = desk.action(other.url, outcome_name="Call back", order=1)
    failed = exhausted(desk, receiver, first, "Priya Nair")
    done = applied(desk, second, "Mei Chen")
    desk.delivery_in(done, "succeeded")
    page = seen.open("/deliveries")
    assert rows(page) == [done, failed]
    page.get_by_label("State").select_option("exhausted")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page).to_have_url(re.compile(r"/deliveries\?state=exhausted$"))
    assert rows(page) == [failed]
    delivery = desk.read_delivery(done)
    visitor = Visitor.with_session(desk.api.base_url, make_user(desk, "supervisor").session)
    for query in (
        f"outcome_id={second['outcome_id']}",
        f"endpoint_id={delivery['endpoint_id']}",
        f"contact_id={delivery['contact_id']}",
        f"call_id={delivery['call_id']}",
        f"q={delivery['call_id']}",
        "q=mei+chen",
        "period=hour&state=succeeded",
    ):
        assert listed(visitor, query) == [done], query
    for query in ("period=custom&until=2026-01-01T00:00", "q=nobody", f"q={unknown_id()}", "state=canceled"):
        assert listed(visitor, query) == [], query
    for query in ("state=lost", "period=custom&since=yesterday", "outcome_id=x", "cursor=x", "period=x"):
        assert b"cannot be used" in visitor.get(f"/deliveries?{query}").body, query
    page = seen.open("/deliveries")
    page.keyboard.press("/")
    page.keyboard.type(failed)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/deliveries/{failed}$"))
    expect(page.locator(".attempt")).to_have_count(ATTEMPTS_MAX)


def test_new_deliveries_come_by_themselves_and_wait_while_somebody_reads(
    seen: Watched, desk: Desk, receiver: Receiver
) -> None:
    action = desk.action(receiver.url)
    first = applied(desk, action)
    page = seen.open_live("/deliveries")
    page.mouse.move(5, 5)
    second = applied(desk, action, HOSTILE)
    # Without the tail nothing moves; that there is more is said, and what is there is kept true.
    expect(page.locator("[data-newer]")).to_have_text("1 new. Show")
    assert rows(page) == [first]
    page.locator("[data-newer]").click()
    expect(page.locator("[data-row]")).to_have_count(2)
    page.mouse.move(5, 5)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("t")
    expect(page).to_have_url(re.compile("tail=1"))
    page.evaluate("document.activeElement.blur()")
    third = applied(desk, action)
    expect(page.locator("[data-row]")).to_have_count(3)
    assert rows(page) == [third, second, first]
    page.locator(f"#row-{first}").hover()
    fourth = applied(desk, action)
    expect(page.locator("[data-newer]")).to_have_text("Paused while you read: 1 new. Show")
    assert rows(page) == [third, second, first]
    page.mouse.move(5, 5)
    expect(page.locator("[data-row]")).to_have_count(4)
    assert rows(page)[0] == fourth


def test_retry_turns_green_by_itself_in_the_drawer_and_in_the_list(
    seen: Watched, desk: Desk, receiver: Receiver
) -> None:
    failed = exhausted(desk, receiver, desk.action(receiver.url))
    page = seen.open_live("/deliveries")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".detail-head .badge")).to_have_text(re.compile("500 · given up"))
    expect(page).to_have_url(re.compile(f"open={failed}"))
    assert page.locator(".attempt").count() == ATTEMPTS_MAX
    gate = threading.Event()
    receiver.answer_with(Reply(204, gate=gate))
    page.keyboard.press("r")
    expect(page.locator("#toasts")).to_contain_text("It is sent again now.")
    expect(page.locator(f"#row-{failed} .badge")).to_have_text(re.compile("Trying again|retrying"))
    gate.set()
    expect(page.locator(".detail-head .badge")).to_have_text(re.compile(r"204 · \d+ ms"))
    expect(page.locator(f"#row-{failed} .badge-good")).to_have_text(re.compile(r"204 · \d+ ms"))
    expect(page.locator(".attempt[open] .phases").first).to_contain_text("First byte")
    assert len({hit.webhook_id for hit in receiver.hits}) == 1
    page.go_back()
    expect(page.locator("[data-delivery]")).to_have_count(0)


def test_what_waits_is_canceled_only_after_a_question(seen: Watched, desk: Desk, receiver: Receiver) -> None:
    action = desk.action(receiver.url)
    desk.set_endpoint(receiver.url, state="paused")
    waiting = applied(desk, action)
    page = seen.open_live(f"/deliveries?open={waiting}")
    expect(page.locator(".detail .alert-warn")).to_contain_text("paused, so it waits")
    page.locator(".detail").get_by_role("button", name="Cancel").click()
    page.locator("#confirm").get_by_role("button", name="Cancel", exact=True).click()
    assert desk.read_delivery(waiting)["state"] == "pending"
    page.locator(".detail").get_by_role("button", name="Cancel").click()
    page.locator("#confirm").get_by_role("button", name="Cancel it").click()
    expect(page.locator(".detail-head .badge")).to_have_text("Canceled")
    expect(page.locator(f"#row-{waiting} .badge")).to_have_text("Canceled")
    assert desk.read_delivery(waiting)["state"] == "canceled"
    assert receiver.hits == []


def test_a_replay_says_how_many_and_counts_as_it_goes(seen: Watched, desk: Desk, receiver: Receiver) -> None:
    action = desk.action(receiver.url)
    failed = [exhausted(desk, receiver, action) for _ in range(2)]
    applied(desk, action)
    page = seen.open_live("/deliveries?state=exhausted")
    page.get_by_role("button", name="Replay since…").click()
    page.get_by_role("button", name="Replay them").click()
    assert page.locator("#replay-since").evaluate("(input) => input.validity.valueMissing")
    page.locator("#replay-since").fill("2026-01-01T00:00")
    page.locator("#replay-outcome").select_option(action["outcome_id"])
    expect(page.locator("[data-count]")).to_have_text("2 deliveries at this moment.")
    page.get_by_role("button", name="Replay them").click()
    expect(page).to_have_url(re.compile(r"/deliveries/replays/[0-9a-f-]{36}$"))
    expect(page.locator(".replay-state")).to_contain_text("Done")
    expect(page.locator(".counts")).to_contain_text("2 sent again")
    for each in failed:
        desk.delivery_in(each, "succeeded")
    page = seen.open("/deliveries/replays")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("exhausted")


def test_a_replay_that_makes_no_sense_is_refused_with_its_reasons(desk: Desk) -> None:
    visitor = Visitor.with_session(desk.api.base_url, make_user(desk, "supervisor").session)
    refused = visitor.post(
        "/deliveries/replays", {"since": "2026-02-01T00:00Z", "until": "2026-01-01T00:00Z"}
    )
    assert refused.status == 400
    assert b"Must be after the start" in refused.body
    assert b"Choose at least one" in refused.body
    for since in ("0026-02-01T00:00", "1970-01-01T00:30+01:00", "9999-12-31T23:30-01:00"):
        refused = visitor.post("/deliveries/replays", {"since": since, "states": "exhausted"})
        assert refused.status == 400, since
        assert b"Must be between 1970 and 9999" in refused.body
        assert visitor.get("/deliveries/replays").status == 200
    unknown = {"since": "2026-02-01T00:00Z", "states": "exhausted", "endpoint_id": unknown_id()}
    assert visitor.post("/deliveries/replays", unknown).status == 404
    started = visitor.post(
        "/deliveries/replays", {"since": "2026-02-01T00:00", "states": ["exhausted", "canceled"]}
    )
    replay = visitor.get(location(started))
    assert replay.status == 200
    assert b"canceled, exhausted" in replay.body
    stopped = visitor.post(f"{location(started)}/cancel")
    assert location(stopped) == location(started)
    assert visitor.get(f"/deliveries/replays/{unknown_id()}").status == 404


def test_an_answer_full_of_tricks_is_only_text(seen: Watched, desk: Desk, receiver: Receiver) -> None:
    body = f"{HOSTILE}<script>alert(2)</script>\x1b[31m\u202e\u0000 {{}}".encode()
    receiver.answer_with(Reply(200, [("X-Trick", HOSTILE), ("Content-Type", "text/html")], body))
    url = f"{receiver.url}?{quote(HOSTILE)}"
    delivery_id = applied(desk, desk.action(url, outcome_name=HOSTILE), HOSTILE)
    desk.delivery_in(delivery_id, "succeeded")
    page = seen.open(f"/deliveries?open={delivery_id}")
    expect(page.locator(f"#row-{delivery_id}")).to_contain_text(HOSTILE)
    answer = page.locator(".attempt .body")
    expect(answer).to_contain_text("<script>alert(2)</script>\\x1b[31m\\u202e")
    expect(page.locator(".attempt pre").first).to_contain_text(f"X-Trick: {HOSTILE}")
    expect(page.locator("[data-copy^=curl]")).to_have_attribute("data-copy", re.compile("--globoff"))
    assert page.locator("main img, main script").count() == 0
    secret = desk.rotate_secret()
    assert secret not in seen.open(f"/deliveries/{delivery_id}").content()
    expect(page.locator(".detail pre").first).to_contain_text("webhook-signature: v1,<base64")


def test_another_workspaces_delivery_is_not_found_and_agents_see_none(
    desk: Desk, receiver: Receiver, console_server: Server
) -> None:
    elsewhere = aside(lambda: Desk.open(console_server))
    delivery_id = applied(desk, desk.action(receiver.url))
    agent = Visitor.with_session(desk.api.base_url, make_user(desk, "agent", agent_id="ada").session)
    stranger = Visitor.with_session(desk.api.base_url, make_user(elsewhere).session)
    for path in ("/deliveries", f"/deliveries/{delivery_id}", "/deliveries/replays"):
        assert agent.get(path).status == 403
    assert stranger.get(f"/deliveries/{delivery_id}").status == 404
    assert stranger.post(f"/deliveries/{delivery_id}/retry").status == 404
    assert delivery_id.encode() not in stranger.get("/deliveries").body


def test_deliveries_are_accessible_and_at_390_px_the_drawer_is_a_page(
    seen: Watched, desk: Desk, receiver: Receiver
) -> None:
    desk.disposition()
    failed = exhausted(desk, receiver, desk.action(receiver.url))
    page = seen.open(f"/deliveries?open={failed}")
    assert_accessible(page)
    page.set_viewport_size(NARROW)
    expect(page.locator("#list")).to_be_hidden()
    expect(page.locator(".detail-head")).to_be_visible()
    page.get_by_role("link", name="Close").click()
    expect(page.locator("#list")).to_be_visible()
    assert_accessible(seen.open(f"/deliveries/{failed}"))
    page = seen.open("/deliveries")
    page.get_by_role("button", name="Replay since…").click()
    assert_accessible(page)


def test_replays_are_accessible(seen: Watched, desk: Desk) -> None:
    desk.disposition()
    path = "/deliveries/replays"
    visitor = Visitor.with_session(desk.api.base_url, make_user(desk, "supervisor").session)
    started = visitor.post(path, {"since": "2026-02-01T00:00", "states": "exhausted"})
    assert_accessible(seen.open(path))
    assert_accessible(seen.open(location(started)))
