"""Who gets in, and how he gets out again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.browser import make_user
from console.visitor import Visitor, location
from harness import Desk, Server, server_environment
from leadline.operations import users
from leadline.store.database import Tx
from leadline.wiring import write_once

PASSWORD = "correct horse staple"


def command(server: Server, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "leadline", "user", *arguments, "--database", server.database_url, "--json"],
        check=True, capture_output=True, text=True, env=server_environment(),
    )  # fmt: skip
    return json.loads(done.stdout)


def make_link(desk: Desk, email: str) -> str:
    """The path of a link for a user of a workspace, who is made first."""

    async def make(tx: Tx) -> str:
        workspace_id = desk.subaccount_id
        user = await users.find_user(tx, workspace_id, email)
        user = user or await users.create_user(tx, workspace_id, users.NewUser(email, email))
        return "/link/" + await users.make_link(tx, workspace_id, user.user_id)

    return write_once(desk.database_url, make)


def first_link(desk: Desk) -> str:
    return f"/link/{write_once(desk.database_url, lambda tx: users.make_first_link(tx, desk.subaccount_id))}"


def link_path(link: str) -> str:
    return "/link/" + link.rpartition("/link/")[2]


@pytest.fixture(scope="session")
def ada(console_server: Server) -> dict[str, str]:
    """A user with a password, in a workspace of his own: email, workspace."""
    desk = Desk.open(console_server, "Ada's")
    email = "ada.signs.in@example.com"
    made = command(console_server, "create", email, "--name", "Ada", "--workspace", desk.subaccount_id)
    visitor = Visitor(console_server.base_url)
    answer = visitor.post(link_path(made["link"]), {"password": PASSWORD, "again": PASSWORD})
    assert location(answer) == "/"
    assert visitor.is_signed_in
    return {"email": email, "workspace_id": desk.subaccount_id}


@pytest.fixture
def visitor(console_server: Server) -> Visitor:
    return Visitor(console_server.base_url)


def sign_in(visitor: Visitor, email: str, password: str = PASSWORD, **fields: str) -> Any:
    return visitor.post("/sign-in", {"email": email, "password": password, **fields})


def test_the_right_password_signs_in_and_goes_where_one_wanted_to(
    visitor: Visitor, ada: dict[str, str]
) -> None:
    wanted = location(visitor.get("/settings/tokens?x=1"))
    assert wanted == "/sign-in?next=%2Fsettings%2Ftokens%3Fx%3D1"
    assert location(sign_in(visitor, ada["email"].upper(), next="/settings/tokens")) == "/settings/tokens"
    assert visitor.is_signed_in
    kept = visitor.attributes["leadline_session"]
    assert "HttpOnly" in kept
    assert "SameSite=Lax" in kept
    assert "Secure" not in kept


@pytest.mark.parametrize(
    "next_", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_never_leads_to_another_site(visitor: Visitor, ada: dict[str, str], next_: str) -> None:
    assert location(sign_in(visitor, ada["email"], next=next_)) == "/"


def test_an_unknown_address_answers_like_a_wrong_password(visitor: Visitor, ada: dict[str, str]) -> None:
    wrong = sign_in(visitor, ada["email"], "not the password")
    unknown = sign_in(visitor, "nobody@example.com", "not the password")
    assert wrong.status == unknown.status == 400
    assert b"not the right address and password" in wrong.body
    same = re.compile(rb"[\w.]+@example.com")
    assert same.sub(b"", wrong.body) == same.sub(b"", unknown.body)
    assert not visitor.is_signed_in


def test_who_fails_too_often_waits_and_others_do_not(console_server: Server, visitor: Visitor) -> None:
    desk = Desk.open(console_server)
    email = "guessed@example.com"
    make_link(desk, email)
    statuses = [sign_in(visitor, email, f"guess number {number}").status for number in range(7)]
    assert statuses == [400] * 5 + [429] * 2
    refused = sign_in(visitor, email, "another guess")
    assert 0 < int(refused.header("Retry-After") or 0) <= 60
    assert sign_in(visitor, "somebody.else@example.com").status == 400


def test_a_session_ends_with_signing_out(visitor: Visitor, ada: dict[str, str]) -> None:
    sign_in(visitor, ada["email"])
    session = visitor.cookies["leadline_session"]
    assert location(visitor.post("/sign-out")) == "/sign-in"
    assert "leadline_session" not in visitor.cookies
    assert not Visitor.with_session(visitor.base_url, session).is_signed_in


def test_signing_out_everywhere_else_keeps_this_session(console_server: Server, ada: dict[str, str]) -> None:
    here, there = Visitor(console_server.base_url), Visitor(console_server.base_url)
    sign_in(here, ada["email"])
    sign_in(there, ada["email"])
    assert location(here.post("/settings/profile/sign-out-elsewhere")) == "/settings/profile"
    assert here.is_signed_in
    assert not there.is_signed_in


def test_a_new_password_ends_the_other_sessions_and_the_old_password(console_server: Server) -> None:
    desk = Desk.open(console_server)
    email = "changes@example.com"
    here, there = Visitor(console_server.base_url), Visitor(console_server.base_url)
    here.post(make_link(desk, email), {"password": PASSWORD, "again": PASSWORD})
    sign_in(there, email)
    new = "a longer passphrase"
    change = {"current": PASSWORD, "password": new, "again": new}
    wrong = here.post("/settings/profile/password", change | {"current": "not it at all"})
    assert wrong.status == 400
    assert b"Is not right." in wrong.body
    assert location(here.post("/settings/profile/password", change)) == "/settings/profile"
    assert here.is_signed_in
    assert not there.is_signed_in
    assert sign_in(there, email).status == 400
    assert location(sign_in(there, email, new)) == "/"


def test_a_link_works_once_and_looking_does_not_use_it(console_server: Server) -> None:
    desk = Desk.open(console_server)
    path = make_link(desk, "once@example.com")
    first, second = Visitor(console_server.base_url), Visitor(console_server.base_url)
    assert [first.get(path).status, second.get(path).status] == [200, 200]
    weak = first.post(path, {"password": "short", "again": "other"})
    assert weak.status == 400
    assert location(first.post(path, {"password": PASSWORD, "again": PASSWORD})) == "/"
    assert second.post(path, {"password": PASSWORD, "again": PASSWORD}).status == 404
    assert second.get(path).status == 404
    assert not second.is_signed_in


def test_a_new_link_replaces_the_one_before(console_server: Server) -> None:
    desk = Desk.open(console_server)
    old, new = make_link(desk, "twice@example.com"), make_link(desk, "twice@example.com")
    visitor = Visitor(console_server.base_url)
    assert visitor.get(old).status == 404
    assert visitor.get(new).status == 200


def test_the_first_link_makes_an_administrator_and_only_while_there_is_nobody(console_server: Server) -> None:
    desk = Desk.open(console_server, "Nobody yet")
    path = first_link(desk)
    visitor = Visitor(console_server.base_url)
    fields = {"name": "Grace", "email": "grace@example.com", "password": PASSWORD, "again": PASSWORD}
    make_user(desk, "agent")
    assert visitor.post(path, fields).status == 404
    alone = Desk.open(console_server, "Truly nobody")
    path = first_link(alone)
    assert location(visitor.post(path, fields)) == "/"
    assert visitor.get("/settings/users").status == 200


def test_somebody_with_two_workspaces_is_asked_which(console_server: Server) -> None:
    email = "both@example.com"
    desks = [Desk.open(console_server, name) for name in ("North", "South")]
    for desk in desks:
        new = Visitor(console_server.base_url)
        new.post(make_link(desk, email), {"password": PASSWORD, "again": PASSWORD})
    visitor = Visitor(console_server.base_url)
    asked = sign_in(visitor, email)
    assert asked.status == 200
    assert PASSWORD.encode() not in asked.body
    assert location(sign_in(visitor, email, workspace_id=desks[1].subaccount_id)) == "/"
    assert b"South" in visitor.get("/settings/workspace").body


def test_a_user_who_is_locked_out_is_out_at_once(console_server: Server) -> None:
    desk = Desk.open(console_server)
    make_user(desk)
    user = make_user(desk, "agent")
    visitor = Visitor.with_session(console_server.base_url, user.session)
    assert visitor.is_signed_in
    command(console_server, "disable", user.email, "--workspace", desk.subaccount_id)
    assert not visitor.is_signed_in


def test_the_last_administrator_stays_one(console_server: Server) -> None:
    desk = Desk.open(console_server)
    admin = make_user(desk)
    visitor = Visitor.with_session(console_server.base_url, admin.session)
    fields = {"name": "Ada", "email": admin.email, "role": "agent"}
    refused = visitor.post(f"/settings/users/{admin.user_id}", fields)
    assert refused.status == 409
    assert b"needs an administrator" in refused.body
    assert visitor.post(f"/settings/users/{admin.user_id}/disable").status == 400
    make_user(desk)
    assert location(visitor.post(f"/settings/users/{admin.user_id}", fields)) == "/settings/users"


def test_serve_prints_the_link_of_the_first_administrator(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server(f"sqlite:///{tmp_path / 'first.db'}")
    path = re.search(r"/link/\S+", server.log())
    assert path is not None
    visitor = Visitor(server.base_url)
    fields = {"name": "Ada", "email": "ada@example.com", "password": PASSWORD, "again": PASSWORD}
    assert location(visitor.post(path[0], fields)) == "/"
    assert visitor.is_signed_in
    assert server.stop() == 0
    server.settings["LEADLINE_PUBLIC_URL"] = "https://calls.example.com"
    server.start()
    assert "/link/" not in server.log().rpartition("Leadline is at")[2]
    # A session outlives the process that began it; behind https its cookie is this host's alone.
    again = Visitor(server.base_url, {"__Host-leadline_session": visitor.cookies["leadline_session"]})
    assert again.is_signed_in
    stranger = Visitor(server.base_url)
    stranger.get("/sign-in")
    attributes = stranger.attributes["__Host-leadline_visitor"]
    assert "Secure" in attributes
    assert "Path=/" in attributes
    assert "Domain" not in attributes
