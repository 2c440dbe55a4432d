"""The page on which outcomes are configured, in a real browser and as a browser without scripts sees it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Request, Route, expect

from console.browser import TIMEOUT_MS, Gate, Watched, aside, assert_accessible, make_user
from console.visitor import Visitor, location
from harness import NOWHERE, Desk, Json, Server, assert_done
from receiver import Receiver, Reply

expect.set_options(timeout=TIMEOUT_MS)
MakeWindow = Callable[..., Watched]
HOSTILE = "<img src=x onerror=alert(1)>"


def three_actions(desk: Desk) -> list[str]:
    """Names: A, B, C, in this order."""
    return [desk.action(outcome_name=name, order=at)["outcome_id"] for at, name in enumerate("ABC")]


def names(desk: Desk, outcome_type: str = "action") -> list[str]:
    listed = assert_done(desk.api.get("/outcomes"))["outcomes"]
    return [each["outcome_name"] for each in listed if each["outcome_type"] == outcome_type]


def stored(desk: Desk, outcome_id: str) -> Json:
    listed = assert_done(desk.api.get("/outcomes"))["outcomes"]
    return next(each for each in listed if each["outcome_id"] == outcome_id)


def shown(page: Page) -> list[str]:
    return page.locator("[data-type=action] .outcome-name").all_inner_texts()


@pytest.fixture
def admin(desk: Desk) -> Visitor:
    """The console without scripts."""
    return Visitor.with_session(desk.api.base_url, make_user(desk).session)


def test_an_outcome_is_made_and_the_preview_is_the_agents_button(seen: Watched, desk: Desk) -> None:
    list_id = desk.smart_list("Follow up")["smart_list_id"]
    desk.disposition()
    page = seen.open("/outcomes")
    assert_accessible(page)
    page.keyboard.press("n")
    page.wait_for_url("**/outcomes/new")
    page.get_by_label("Name").fill("Send pricing")
    page.get_by_label("Joins a Smart List").check()
    page.get_by_label("Smart List", exact=True).select_option(label="Follow up")
    page.get_by_label("Webhook").fill("https://example.com/hook")
    preview = page.locator("#preview-choice")
    expect(preview).to_contain_text("Send pricing")
    expect(preview).to_contain_text("→ Follow up · calls example.com")
    assert_accessible(page)
    page.get_by_role("button", name="Add outcome").click()
    expect(page.locator(".toast")).to_have_text("“Send pricing” was added.")
    expect(page.locator(".outcome").first).to_contain_text("→ Follow up")
    made = assert_done(desk.api.get("/outcomes"))["outcomes"][-1]
    assert made["destination"]["destination_id"] == list_id
    assert made["webhook_url"] == "https://example.com/hook"


def test_every_problem_is_told_at_its_field_and_what_was_typed_stays(desk: Desk, admin: Visitor) -> None:
    wrong = {
        "outcome_name": "x" * 121, "outcome_type": "action", "order": "many",
        "destination_type": "remove_from_smart_list", "remove_scope": "some", "webhook_url": "http://10.0.0.1/",
    }  # fmt: skip
    answer = admin.post("/outcomes", wrong)
    page = answer.body.decode()
    assert answer.status == 400
    for field in ("outcome_name", "order", "webhook_url"):
        assert f'id="{field}-about"' in page
    assert page.count('class="problem"') == 4
    assert "x" * 121 in page
    assert 'value="http://10.0.0.1/"' in page
    assert names(desk) == []


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"destination_type": "none"}, {"destination_type": "none"}),
        (
            {"destination_type": "remove_from_smart_list", "remove_scope": "all"},
            {"destination_type": "remove_from_smart_list", "remove_from_smart_lists": {"all": True}},
        ),
    ],
    ids=["stays", "all"],
)
def test_the_form_says_each_destination(
    desk: Desk, admin: Visitor, sent: dict[str, str], expected: Json
) -> None:
    fields = {"outcome_name": "Done", "outcome_type": "disposition", "order": "3"} | sent
    assert location(admin.post("/outcomes", fields)).startswith("/outcomes#outcome-")
    made = assert_done(desk.api.get("/outcomes"))["outcomes"][0]
    assert (made["destination"], made["order"], made["webhook_url"]) == (expected, 3, None)


def test_some_lists_are_removed_from_and_the_editor_shows_which(seen: Watched, desk: Desk) -> None:
    ids = [desk.smart_list(f"List {at}")["smart_list_id"] for at in range(10)]
    one = desk.action(outcome_name="Stop")
    page = seen.open(f"/outcomes/{one['outcome_id']}")
    page.get_by_label("Leaves Smart Lists").check()
    page.get_by_label("Only these").check()
    page.get_by_label("Find a list").fill("list 7")
    expect(page.get_by_label("List 3")).to_be_hidden()
    page.get_by_label("List 7").check()
    expect(page.locator("#preview-choice")).to_contain_text("removes from List 7")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".outcome-effects")).to_contain_text("removes from List 7")
    removal = stored(desk, one["outcome_id"])["destination"]["remove_from_smart_lists"]
    assert removal == {"list_ids": [ids[7]]}
    page = seen.open(f"/outcomes/{one['outcome_id']}")
    expect(page.get_by_label("List 7")).to_be_checked()


def test_outcomes_are_put_into_order_by_keyboard_and_it_is_said(seen: Watched, desk: Desk) -> None:
    three_actions(desk)
    page = seen.open("/outcomes")
    announced = page.locator("#announcer")
    grip = page.get_by_role("button", name="Move A", exact=True)
    grip.focus()
    page.keyboard.press("Space")
    expect(announced).to_contain_text("A taken, place 1 of 3")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(announced).to_have_text("Place 3 of 3")
    assert names(desk) == ["A", "B", "C"]
    page.keyboard.press("Space")
    expect(announced).to_have_text("A is at place 3 of 3 now.")
    assert names(desk) == ["B", "C", "A"]
    expect(grip).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Escape")
    expect(announced).to_have_text("A is back at place 3 of 3.")
    assert shown(page) == names(desk) == ["B", "C", "A"]


def test_outcomes_are_dragged_into_order_and_keep_their_numbers(seen: Watched, desk: Desk) -> None:
    three_actions(desk)
    page = seen.open_live("/outcomes")
    grip = page.get_by_role("button", name="Move C", exact=True).bounding_box()
    first = page.locator("[data-type=action] .outcome").first.bounding_box()
    assert grip is not None
    assert first is not None
    page.mouse.move(grip["x"] + 10, grip["y"] + 10)
    page.mouse.down()
    page.mouse.move(grip["x"] + 10, first["y"] + 50, steps=6)
    page.mouse.move(grip["x"] + 10, first["y"] + 5, steps=6)
    assert shown(page) == ["C", "A", "B"]
    assert names(desk) == ["A", "B", "C"]
    page.mouse.up()
    expect(page.locator("#announcer")).to_have_text("C is at place 1 of 3 now.")
    assert names(desk) == ["C", "A", "B"]
    orders = [each["order"] for each in assert_done(desk.api.get("/outcomes"))["outcomes"]]
    assert orders == [0, 1, 2]


def test_what_is_in_hand_stays_in_hand_whatever_comes(seen: Watched, desk: Desk) -> None:
    three_actions(desk)
    page = seen.open_live("/outcomes")
    lists, orders = Gate(), Gate()

    def is_list(request: Request) -> bool:
        return request.headers.get("leadline-fragment") == "columns"

    def hold(route: Route) -> None:
        if is_list(route.request):
            lists.hold(route)
        else:
            route.continue_()

    page.route("**/outcomes", hold)
    page.route("**/outcomes/order", orders.hold)
    announced = page.locator("#announcer")
    # Something comes from elsewhere, and while it is fetched somebody takes what he sees.
    with page.expect_request(is_list):
        desk.disposition()
    _take(page, "A")
    with page.expect_event("requestfinished", is_list):
        lists.let_go_on()
    page.keyboard.press("ArrowDown")
    expect(announced).to_have_text("Place 2 of 3")
    # It is let go, and while its place is saved the next one is taken.
    with page.expect_request("**/outcomes/order"):
        page.keyboard.press("Space")
    _take(page, "C")
    lists.open()
    orders.let_go_on()
    expect(announced).to_have_text("A is at place 2 of 3 now.")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(announced).to_have_text("Place 1 of 3")
    orders.open()
    page.keyboard.press("Space")
    expect(announced).to_have_text("C is at place 1 of 3 now.")
    assert names(desk) == ["C", "B", "A"]
    # What came meanwhile is seen as soon as nothing is in hand.
    expect(page.locator("[data-type=disposition] .outcome")).to_have_count(1)
    assert shown(page) == ["C", "B", "A"]


def _take(page: Page, name: str) -> None:
    page.get_by_role("button", name=f"Move {name}", exact=True).focus()
    page.keyboard.press("Space")
    expect(page.locator("#announcer")).to_contain_text(f"{name} taken")


def test_outcomes_move_by_their_buttons_with_and_without_scripts(
    seen: Watched, desk: Desk, admin: Visitor
) -> None:
    one = three_actions(desk)[0]
    page = seen.open("/outcomes")
    page.get_by_role("button", name="Move A down").click()
    expect(page.locator("#announcer")).to_have_text("A is at place 2 of 3 now.")
    assert names(desk) == ["B", "A", "C"]
    assert location(admin.post(f"/outcomes/{one}/move", {"direction": "down"})) == f"/outcomes#outcome-{one}"
    assert names(desk) == ["B", "C", "A"]
    assert location(admin.post(f"/outcomes/{one}/move", {"direction": "down"})) == f"/outcomes#outcome-{one}"
    assert admin.post(f"/outcomes/{one}/move", {"direction": "sideways"}).status == 400
    assert names(desk) == ["B", "C", "A"]
    log = admin.get("/settings/audit?action=outcome.reordered").body.decode()
    assert "outcome reordered" in log


def test_an_order_of_outcomes_that_are_no_longer_these_changes_nothing(desk: Desk, admin: Visitor) -> None:
    ids = three_actions(desk)
    fields = {"outcome_type": "action", "outcome_ids": [ids[2], ids[0]]}
    assert admin.post("/outcomes/order", fields).status == 412
    assert admin.post("/outcomes/order", fields | {"outcome_type": "neither"}).status == 400
    assert admin.post("/outcomes/order", fields | {"outcome_ids": [*ids, ids[0]]}).status == 412
    assert names(desk) == ["A", "B", "C"]


def test_equal_orders_are_numbered_anew(desk: Desk, admin: Visitor) -> None:
    ids = [desk.action(outcome_name=name)["outcome_id"] for name in "ABC"]
    assert admin.post("/outcomes/order", {"outcome_type": "action", "outcome_ids": ids[::-1]}).status == 200
    listed = assert_done(desk.api.get("/outcomes"))["outcomes"]
    assert [(each["outcome_name"], each["order"]) for each in listed] == [("C", 10), ("B", 20), ("A", 30)]


def test_another_editor_is_not_overwritten_and_nothing_typed_is_lost(seen: Watched, desk: Desk) -> None:
    one = desk.action(outcome_name="Interested")["outcome_id"]
    page = seen.open_live(f"/outcomes/{one}")
    page.get_by_label("Name").fill("Very interested")
    theirs = {"outcome_name": "Keen", "outcome_type": "action", "webhook_url": NOWHERE, "order": 7}
    assert_done(desk.api.patch(f"/outcomes/{one}", json=theirs))
    expect(page.locator("#changed-elsewhere")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    conflict = page.locator(".conflict")
    expect(conflict).to_contain_text("Somebody else saved this outcome meanwhile")
    expect(conflict.get_by_role("row", name=re.compile("^Name"))).to_contain_text("Keen")
    expect(conflict.get_by_role("row", name=re.compile("^Order"))).to_contain_text("7")
    expect(page.get_by_label("Name")).to_have_value("Very interested")
    assert stored(desk, one)["outcome_name"] == "Keen"
    assert_accessible(page)
    page.get_by_role("button", name="Save mine all the same").click()
    expect(page.locator(".toast")).to_have_text("“Very interested” was saved.")
    assert stored(desk, one)["outcome_name"] == "Very interested"


def test_what_was_typed_survives_the_outcomes_deletion(desk: Desk, admin: Visitor) -> None:
    one = desk.disposition()["outcome_id"]
    assert_done(desk.api.delete(f"/outcomes/{one}"))
    answer = admin.post(
        f"/outcomes/{one}",
        {"outcome_name": "Mine", "outcome_type": "disposition", "if_match": f'"{one}.1"'},
    )
    page = answer.body.decode()
    assert answer.status == 404
    assert "This outcome was deleted meanwhile." in page
    assert 'value="Mine"' in page
    assert 'action="/outcomes"' in page


def test_deleting_the_last_disposition_says_what_becomes_of_the_dialog(seen: Watched, desk: Desk) -> None:
    one = desk.disposition(outcome_name="Sale")["outcome_id"]
    desk.set_workspace(wrap_up_timeout_seconds=60, wrap_up_timeout_outcome_id=one)
    page = seen.open("/outcomes")
    expect(page.locator(".outcome")).to_contain_text("Closes wrap-up by itself")
    page.get_by_role("link", name="Sale").click()
    page.get_by_role("link", name="Delete…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Delete “Sale”?")
    expect(page.locator(".deletion")).to_contain_text("It is the last disposition.")
    expect(page.locator(".deletion")).to_contain_text("It closes wrap-ups that take too long.")
    assert_accessible(page)
    page.get_by_role("button", name="Delete it").click()
    expect(page.locator(".toast")).to_contain_text("no longer asked how a call ended")
    assert names(desk, "disposition") == []
    expect(page.locator(".beginnings")).to_be_visible()


def test_an_outcome_that_changed_is_not_deleted_unseen(desk: Desk, admin: Visitor) -> None:
    one = desk.disposition(outcome_name="Sale")["outcome_id"]
    stale = f'"{one}.0"'
    answer = admin.post(f"/outcomes/{one}/delete", {"if_match": stale})
    assert answer.status == 412
    assert "Look at it again" in answer.body.decode()
    assert names(desk, "disposition") == ["Sale"]


def test_a_template_makes_lists_and_outcomes_once(seen: Watched, desk: Desk, admin: Visitor) -> None:
    existing = desk.smart_list("follow UP")["smart_list_id"]
    page = seen.open("/outcomes")
    assert_accessible(page)
    page.get_by_label("Where shall the actions be sent?").fill("http://192.168.0.1/hook")
    page.get_by_role("button", name="Use this set").click()
    expect(page.locator("#webhook_url-about")).to_be_visible()
    assert names(desk) == []
    page.get_by_label("Where shall the actions be sent?").fill("https://example.com/hook")
    page.get_by_role("button", name="Use this set").click()
    expect(page.locator(".outcome")).to_have_count(8)
    listed = assert_done(desk.api.get("/outcomes"))["outcomes"]
    assert {each["webhook_url"] for each in listed} == {"https://example.com/hook", None}
    assert listed[0]["destination"]["destination_id"] == existing
    again = admin.post("/outcomes/template", {"template": "support", "webhook_url": "https://example.com/"})
    assert again.status == 400
    assert len(assert_done(desk.api.get("/outcomes"))["outcomes"]) == 8


def test_an_unknown_template_makes_nothing(desk: Desk, admin: Visitor) -> None:
    fields = {"template": "none", "webhook_url": "https://example.com/"}
    assert admin.post("/outcomes/template", fields).status == 400
    assert admin.post("/outcomes/template", {"template": "sales"}).status == 400
    assert assert_done(desk.api.get("/smart-lists"))["smart_lists"] == []


def test_a_test_webhook_shows_how_it_went_without_losing_what_is_typed(
    seen: Watched, desk: Desk, receiver: Receiver
) -> None:
    one = desk.action(receiver.url)["outcome_id"]
    page = seen.open_live(f"/outcomes/{one}")
    page.get_by_label("Name").fill("Half typed")
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator(".test-result .badge-good")).to_contain_text("200")
    expect(page.get_by_label("Name")).to_have_value("Half typed")
    assert len(receiver.hits) == 1
    desk.set_endpoint(receiver.url, state="paused")
    page = seen.open(f"/outcomes/{one}")
    expect(page.locator("#webhook-test")).to_contain_text("The webhook is paused.")
    expect(seen.open("/outcomes").locator(".outcome-badges")).to_have_text("Webhook paused")


def test_a_test_that_fails_shows_what_the_receiver_answered(
    seen: Watched, desk: Desk, receiver: Receiver
) -> None:
    one = desk.action(receiver.url)["outcome_id"]
    receiver.answer_with(Reply(410, body=HOSTILE.encode()))  # the only answer that is not tried again
    page = seen.open_live(f"/outcomes/{one}")
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator(".test-result .badge-bad")).to_contain_text("410")
    expect(page.locator(".answer")).to_have_text(HOSTILE)
    expect(page.locator("#webhook-test")).to_contain_text("The webhook is disabled.")


def test_what_is_wrong_is_said_where_it_is(seen: Watched, desk: Desk) -> None:
    gone = desk.smart_list("Gone")["smart_list_id"]
    one = desk.action(destination_type="smart_list", destination_id=gone)["outcome_id"]
    assert_done(desk.api.delete(f"/smart-lists/{gone}?force=true"))
    page = seen.open("/outcomes")
    expect(page.locator(".outcome")).to_contain_text("List missing")
    expect(page.locator(".outcome")).to_contain_text("→ a list that is gone")
    expect(page.locator("#outcomes .alert")).to_contain_text("There is no disposition.")
    page = seen.open(f"/outcomes/{one}")
    expect(page.locator("main .alert").first).to_contain_text("a Smart List that is no longer there")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#destination_id-about")).to_be_visible()


def test_with_outcomes_switched_off_everything_is_seen_and_nothing_changed(
    seen: Watched, desk: Desk, admin: Visitor
) -> None:
    one = desk.disposition()["outcome_id"]
    desk.set_workspace(outcomes_enabled=False)
    page = seen.open("/outcomes")
    expect(page.locator("main .alert")).to_contain_text("switched off for this workspace")
    expect(page.get_by_role("button", name=re.compile("^Move"))).to_have_count(0)
    expect(page.get_by_role("link", name="New outcome")).to_have_count(0)
    for path in (f"/outcomes/{one}", f"/outcomes/{one}/delete", f"/outcomes/{one}/move", "/outcomes"):
        assert admin.post(path, {"direction": "up"}).status == 403, path


def test_a_change_elsewhere_appears_by_itself(seen: Watched, desk: Desk) -> None:
    desk.disposition()
    page = seen.open_live("/outcomes")
    desk.action(outcome_name="From elsewhere")
    expect(page.locator("[data-type=action] .outcome-name")).to_have_text("From elsewhere")


def test_a_hostile_name_is_only_a_name(seen: Watched, desk: Desk) -> None:
    list_id = desk.smart_list(HOSTILE)["smart_list_id"]
    one = desk.action(outcome_name=HOSTILE, destination_type="smart_list", destination_id=list_id)
    desk.disposition(outcome_name=f"</script>{HOSTILE}")
    page = seen.open("/outcomes")
    expect(page.locator(".outcome-name").first).to_have_text(HOSTILE)
    page.get_by_role("button", name=f"Move {HOSTILE}", exact=True).focus()
    page.keyboard.press("Space")
    expect(page.locator("#announcer")).to_contain_text(HOSTILE)
    page.keyboard.press("Escape")
    page = seen.open(f"/outcomes/{one['outcome_id']}")
    expect(page.locator("#preview-choice")).to_contain_text(f"→ {HOSTILE}")
    page = seen.open(f"/outcomes/{one['outcome_id']}/delete")
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    assert page.locator("img").count() == 0


def test_another_workspaces_outcome_is_not_there(desk: Desk, admin: Visitor, console_server: Server) -> None:
    other = aside(lambda: Desk.open(console_server))
    one = other.disposition(outcome_name="Theirs")["outcome_id"]
    for path in (f"/outcomes/{one}", f"/outcomes/{one}/delete"):
        assert admin.get(path).status == 404
    assert admin.post(f"/outcomes/{one}/move", {"direction": "up"}).status == 404
    assert admin.post(f"/outcomes/{one}/test").status == 404
    assert admin.post(f"/outcomes/{one}/delete", {"if_match": "*"}).status == 404
    assert names(other, "disposition") == ["Theirs"]
