"""Webhooks in a real browser: paused and resumed, bounded, tried, and a secret that is shown once."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from console.browser import TIMEOUT_MS, Watched, assert_accessible, make_user
from console.test_deliveries import HOSTILE, applied
from console.visitor import Visitor
from harness import ATTEMPTS_MAX, Desk
from receiver import Receiver, Reply, signature_of

expect.set_options(timeout=TIMEOUT_MS)


def test_a_webhook_is_paused_and_resumed_and_nothing_is_lost(
    seen: Watched, desk: Desk, receiver: Receiver
) -> None:
    action = desk.action(receiver.url)
    page = seen.open_live("/webhooks")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(receiver.url)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".endpoint-state")).to_contain_text("Paused")
    waiting = applied(desk, action)
    page.reload()
    expect(page.locator(".numbers")).to_contain_text(re.compile(r"1\s*waiting"))
    assert receiver.hits == []
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#toasts")).to_contain_text("go out to it again")
    desk.delivery_in(waiting, "succeeded")
    expect(page.locator("#health")).to_contain_text("100%")
    expect(page.get_by_role("img", name="1 succeeded, 0 failed")).to_be_visible()


def test_a_disabled_webhook_is_told_of_everywhere_and_enabled_again(
    seen: Watched, desk: Desk, receiver: Receiver
) -> None:
    action = desk.action(receiver.url)
    page = seen.open_live("/overview")
    expect(page.locator(".now-webhooks")).to_contain_text("All of them take")
    receiver.answer_with(410)
    waiting = applied(desk, action)
    expect(page.locator(".now-webhooks")).to_contain_text("Disabled")
    expect(page.locator(".now-webhooks")).to_contain_text("Answered 410")
    page.locator(".banner-bad").get_by_role("link", name="See webhooks").click()
    expect(page.locator(".webhooks")).to_contain_text("The receiver answered 410 Gone.")
    page.locator(".webhooks .row-link").click()
    expect(page.locator(".endpoint-why")).to_contain_text("410 Gone")
    page.get_by_role("button", name="Enable again").click()
    expect(page.locator(".endpoint-state")).to_contain_text("Pause")
    desk.delivery_in(waiting, "succeeded")
    expect(page.locator(".banner-bad")).to_have_count(0)


def test_limits_are_kept_to_the_rules_of_the_api(seen: Watched, desk: Desk, receiver: Receiver) -> None:
    desk.action(receiver.url)
    endpoint = desk.endpoint_of(receiver.url)
    page = seen.open(f"/webhooks/{endpoint['endpoint_id']}")
    page.get_by_label("Requests at once").fill("3")
    page.get_by_label("Requests per second").fill("2.5")
    page.get_by_label("Seconds to answer").fill("7")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    changed = desk.endpoint_of(receiver.url)
    names = ("max_concurrency", "rate_limit_per_second", "timeout_seconds")
    assert [changed[name] for name in names] == [3, 2.5, 7]
    expect(page.get_by_label("Requests per second")).to_have_value("2.5")
    page.get_by_label("Requests per second").fill("")
    page.get_by_label("Seconds to answer").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    assert desk.endpoint_of(receiver.url)["rate_limit_per_second"] is None
    visitor = Visitor.with_session(desk.api.base_url, make_user(desk).session)
    path = f"/webhooks/{endpoint['endpoint_id']}"
    for wrong in ({"max_concurrency": "0"}, {"max_concurrency": ""}, {"rate_limit_per_second": "nan"},
                  {"timeout_seconds": "31"}, {"rate_limit_per_second": "fast"}):  # fmt: skip
        answer = visitor.post(f"{path}/limits", {"max_concurrency": "5"} | wrong)
        assert (answer.status, b"aria-invalid" in answer.body) == (400, True), wrong
    assert desk.endpoint_of(receiver.url)["max_concurrency"] == 3
    assert visitor.post(f"{path}/state", {"state": "disabled"}).status == 400


def test_a_test_is_sent_and_its_answer_comes_by_itself(seen: Watched, desk: Desk, receiver: Receiver) -> None:
    desk.action(receiver.url, outcome_name=HOSTILE)
    receiver.answer_with(*[Reply(503, body=HOSTILE.encode())] * (ATTEMPTS_MAX - 1))
    page = seen.open_live(f"/webhooks/{desk.endpoint_of(receiver.url)['endpoint_id']}")
    expect(page.get_by_role("link", name=HOSTILE)).to_be_visible()
    page.keyboard.press("t")
    page.wait_for_selector("html[data-live=on]", state="attached")
    expect(page.locator("#test .detail-head .badge")).to_have_text(re.compile(r"200 · \d+ ms"))
    expect(page.locator("#test .attempt")).to_have_count(ATTEMPTS_MAX)
    page.locator("#test .attempt summary").last.click()
    expect(page.locator("#test .attempt").last.locator(".body")).to_have_text(HOSTILE)


def test_a_rotated_secret_is_shown_once_and_the_old_one_signs_along(
    seen: Watched, desk: Desk, receiver: Receiver
) -> None:
    action = desk.action(receiver.url)
    old = desk.rotate_secret(overlap_seconds=0)
    page = seen.open("/webhooks")
    page.get_by_role("button", name="Rotate…").click()
    page.get_by_label("How long does the old one sign along?").select_option("3600")
    page.get_by_role("button", name="Make a new secret").click()
    new = page.locator("#new-secret").inner_text()
    assert re.fullmatch(r"whsec_\S{40,}", new)
    expect(page.locator(".secrets li")).to_have_count(2)
    expect(page.locator(".secrets li").last).to_contain_text("signs until")
    # To fetch it anew is to look at all webhooks, not to rotate once more: its live parts do.
    page.wait_for_selector("html[data-live=on]", state="attached")
    with page.expect_response(lambda answer: answer.request.headers.get("leadline-fragment") == "banners"):
        desk.disposition()
    expect(page.locator("[data-fragment=banners][data-loading]")).to_have_count(0)
    assert "{" not in page.locator(".banners").inner_text()
    applied(desk, action)
    (hit,) = receiver.wait_for(1)
    assert str(hit.headers["webhook-signature"]).split() == [signature_of(new, hit), signature_of(old, hit)]
    page.reload()
    expect(page.locator(".secrets li")).to_have_count(2)
    assert new not in page.content()
    page = seen.open("/webhooks/secret")
    expect(page).to_have_url(re.compile("/webhooks$"))
    assert new not in page.content()
    visitor = Visitor.with_session(desk.api.base_url, make_user(desk).session)
    assert visitor.post("/webhooks/secret", {"overlap_seconds": "-1"}).status == 400


def test_webhooks_are_for_administrators_and_of_the_own_workspace(desk: Desk, receiver: Receiver) -> None:
    desk.action(receiver.url)
    path = f"/webhooks/{desk.endpoint_of(receiver.url)['endpoint_id']}"
    supervisor = Visitor.with_session(desk.api.base_url, make_user(desk, "supervisor").session)
    for each in ("/webhooks", path):
        assert supervisor.get(each).status == 403
    assert supervisor.post(f"{path}/state", {"state": "paused"}).status == 403
    assert supervisor.post("/webhooks/secret").status == 403
    assert desk.endpoint_of(receiver.url)["state"] == "active"


def test_webhooks_and_the_overview_are_accessible(seen: Watched, desk: Desk, receiver: Receiver) -> None:
    action = desk.action(receiver.url)
    receiver.answer_with(500)
    desk.delivery_in(applied(desk, action), "succeeded")
    desk.disposition()
    desk.wrapping_call("ada")
    assert_accessible(seen.open("/webhooks"))
    assert_accessible(seen.open(f"/webhooks/{desk.endpoint_of(receiver.url)['endpoint_id']}"))
    assert_accessible(seen.open("/overview"))
