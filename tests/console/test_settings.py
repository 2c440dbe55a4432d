"""Settings over plain HTTP: what is saved, by whom it is said to be, and what the audit log shows of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from console.browser import make_user
from console.visitor import Visitor, location
from harness import Desk, assert_done, server_environment


@pytest.fixture
def admin(desk: Desk) -> Visitor:
    return Visitor.with_session(desk.api.base_url, make_user(desk, name="Ada Brooks").session)


def test_the_workspace_is_saved_and_the_log_says_who_did_it(desk: Desk, admin: Visitor) -> None:
    wanted = desk.disposition()
    fields = {
        "name": "North", "region": "DE", "require_disposition": "always", "outcomes_enabled": "1",
        "wrap_up_timeout_seconds": "90", "wrap_up_timeout_outcome_id": wanted["outcome_id"], "retention_days": "30",
    }  # fmt: skip
    assert location(admin.post("/settings/workspace", fields)) == "/settings/workspace"
    saved = assert_done(desk.api.get("/workspace"))["workspace"]
    assert (saved["name"], saved["region"], saved["require_disposition"]) == ("North", "DE", "always")
    assert (saved["wrap_up_timeout_seconds"], saved["retention_days"]) == (90, 30)
    assert b"The workspace was saved." in admin.get("/settings/workspace").body
    assert b"The workspace was saved." not in admin.get("/settings/workspace").body
    log = admin.get("/settings/audit?thing=workspace&actor=" + user_id_of(admin)).body.decode()
    assert "workspace changed" in log
    assert "<del>Test</del>" in log
    assert "<ins>North</ins>" in log


def user_id_of(admin: Visitor) -> str:
    page = admin.get("/settings/users").body.decode()
    return page.partition('href="/settings/users/')[2][:36]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("region", "XX"), ("retention_days", "0"), ("retention_days", "many"),
        ("wrap_up_timeout_seconds", "4"), ("require_disposition", "maybe"), ("wrap_up_timeout_outcome_id", "x"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_told_at_its_field_and_changes_nothing(
    desk: Desk, admin: Visitor, field: str, value: str
) -> None:
    good = {"name": "North", "region": "US", "require_disposition": "always", "retention_days": "30"}
    answer = admin.post("/settings/workspace", good | {field: value})
    assert answer.status == 400
    assert f'id="{field}-about"'.encode() in answer.body or field == "require_disposition"
    assert b'class="problem"' in answer.body
    assert assert_done(desk.api.get("/workspace"))["workspace"]["name"] == "Test"


def test_the_audit_log_is_filtered_by_its_address(desk: Desk, admin: Visitor) -> None:
    a_list = desk.smart_list("Warm")["smart_list_id"]
    desk.disposition()

    def shown(query: str) -> bytes:
        return admin.get(f"/settings/audit?{query}").body

    assert b"smart list created" in shown("thing=smart_list")
    assert b"outcome created" not in shown("thing=smart_list")
    assert b"smart list created" in shown(f"thing_id={a_list}")
    assert b"No change fits these filters." in shown("actor=kind:command_line")
    assert b"outcome created" in shown("actor=kind:token&action=outcome.created")
    assert b"No change fits these filters." in shown("until=2020-01-01")
    assert b"smart list created" in shown("since=2020-01-01&thing=smart_list")


def test_the_audit_log_names_what_was_changed(desk: Desk, admin: Visitor) -> None:
    a_list = desk.smart_list("Warm")["smart_list_id"]
    contact = desk.contact(name="Dana")
    assert_done(desk.api.patch(f"/contacts/{contact['contact_id']}", json={"name": "Dana Whitfield"}))
    grace = make_user(desk, "supervisor", name="Grace Hopper")
    assert admin.post(f"/settings/users/{grace.user_id}/sign-out").status == 303
    for thing_id, name in (
        (a_list, "Warm"),
        (contact["contact_id"], "Dana Whitfield"),
        (grace.user_id, "Grace Hopper"),
    ):
        log = admin.get(f"/settings/audit?thing_id={thing_id}").body.decode()
        named = re.findall('class="entry-name">([^<]*)<', log)
        assert named, name
        assert set(named) == {name}
    assert_done(desk.api.delete(f"/contacts/{contact['contact_id']}"))
    assert "Dana" not in admin.get(f"/settings/audit?thing_id={contact['contact_id']}").body.decode()


def test_the_audit_log_goes_on_page_after_page(desk: Desk, admin: Visitor) -> None:
    for number in range(30):
        desk.smart_list(f"List {number}")
    first = admin.get("/settings/audit?thing=smart_list").body.decode()
    older = first.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    second = admin.get(older).body.decode()
    assert first.count("smart list created") == 25
    assert second.count("smart list created") == 5


def test_the_command_line_is_named_too(desk: Desk, admin: Visitor) -> None:
    subprocess.run(
        [sys.executable, "-m", "leadline", "token", "create", "--scopes", "all", "--name", "From the shell",
         "--workspace", desk.subaccount_id, "--database", desk.database_url],
        check=True, capture_output=True, env=server_environment(),
    )  # fmt: skip
    log = admin.get("/settings/audit?actor=kind:command_line").body.decode()
    assert "on the command line" in log
    assert "From the shell" in log


def test_an_invited_user_is_shown_with_his_link_and_may_not_be_there_twice(
    desk: Desk, admin: Visitor
) -> None:
    fields = {
        "name": "Grace",
        "email": "grace.invited@example.com",
        "role": "supervisor",
        "agent_id": "grace",
    }
    invited = admin.post("/settings/users", fields)
    assert invited.status == 200
    assert b"/link/" in invited.body
    twice = admin.post("/settings/users", fields)
    assert twice.status == 409
    assert b"There is a user with this address." in twice.body
    same_agent = admin.post("/settings/users", fields | {"email": "other@example.com"})
    assert b"Grace works as this agent." in same_agent.body
    bad = admin.post("/settings/users", {"name": "", "email": "no address", "role": "king"})
    assert bad.status == 400
    assert bad.body.count(b'class="problem"') == 3


def test_the_palette_offers_nothing_that_a_role_may_not_see(desk: Desk) -> None:
    desk.contact(name="Warm Person")
    desk.smart_list("Warm list")

    def found(role: str) -> list[str]:
        visitor = Visitor.with_session(desk.api.base_url, make_user(desk, role).session)
        return [group["name"] for group in json.loads(visitor.get("/search?q=warm").body)["groups"]]

    assert found("agent") == []
    assert found("supervisor") == ["Contacts", "Smart Lists"]
