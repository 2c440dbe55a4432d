"""Users on both engines: from the link to being locked out, and what two at the same moment may not do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from console.visitor import Visitor, location
from harness import Desk
from leadline.domain.errors import LastAdministrator, LeadlineError, Unauthorized
from leadline.operations import sessions, users
from leadline.operations.users import NewUser
from leadline.operations.workspaces import delete_workspace
from leadline.store.database import Tx
from leadline.store.users import UserRow
from leadline.wiring import write_once

PASSWORD = "correct horse staple"


def make_user(desk: Desk, email: str, role: str = "administrator", agent_id: str | None = None) -> UserRow:
    new = NewUser(email, "Ada", role, agent_id)
    return write_once(desk.database_url, lambda tx: users.create_user(tx, desk.subaccount_id, new))


def make_link(desk: Desk, user: UserRow) -> str:
    link = write_once(desk.database_url, lambda tx: users.make_link(tx, desk.subaccount_id, user.user_id))
    return f"/link/{link}"


def test_a_user_comes_signs_in_is_seen_and_is_locked_out(desk: Desk) -> None:
    ada = make_user(desk, "ada@example.com")
    admin = Visitor(desk.api.base_url)
    assert location(admin.post(make_link(desk, ada), {"password": PASSWORD, "again": PASSWORD})) == "/"
    invited = {"name": "Grace", "email": "grace@example.com", "role": "agent", "agent_id": "grace"}
    assert admin.post("/settings/users", invited).status == 200
    grace = write_once(
        desk.database_url, lambda tx: users.find_user(tx, desk.subaccount_id, "grace@example.com")
    )
    assert grace is not None
    agent = Visitor(desk.api.base_url)
    agent.post(make_link(desk, grace), {"password": PASSWORD, "again": PASSWORD})
    again = Visitor(desk.api.base_url)
    assert location(again.post("/sign-in", {"email": "GRACE@example.com", "password": PASSWORD})) == "/"
    assert location(again.post("/settings/profile/sign-out-elsewhere")) == "/settings/profile"
    assert (agent.is_signed_in, again.is_signed_in) == (False, True)
    assert again.get("/settings/users").status == 403
    assert location(admin.post(f"/settings/users/{grace.user_id}/disable")) == "/settings/users"
    assert not again.is_signed_in
    log = admin.get(f"/settings/audit?thing=user&actor={ada.user_id}").body.decode()
    assert "user disabled" in log
    assert "user created" in log
    assert PASSWORD not in log
    assert "argon2" not in log


def test_of_two_administrators_who_demote_each_other_one_stays(desk: Desk) -> None:
    both = [make_user(desk, f"{name}@example.com") for name in ("ada", "grace")]

    def demote(user: UserRow) -> bool:
        change = {"role": "agent"}
        try:
            write_once(
                desk.database_url, lambda tx: users.change_user(tx, desk.subaccount_id, user.user_id, change)
            )
        except LastAdministrator:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(demote, both)) == [False, True]


def test_a_link_that_two_use_at_once_is_good_for_one(desk: Desk) -> None:
    link = make_link(desk, make_user(desk, "ada@example.com")).removeprefix("/link/")

    def use(password_hash: str) -> bool:
        try:
            write_once(desk.database_url, lambda tx: users.use_link(tx, link, password_hash, None))
        except LeadlineError:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(use, ("one", "two"))) == [False, True]


def test_a_user_has_at_most_twenty_sessions_and_loses_the_oldest(desk: Desk) -> None:
    user = make_user(desk, "ada@example.com")

    async def sign_in_often(tx: Tx) -> list[str]:
        return [await sessions.start_session(tx, user) for _ in range(23)]

    texts = write_once(desk.database_url, sign_in_often)

    async def alive(tx: Tx) -> list[bool]:
        return [await sessions.find_session(tx, text) is not None for text in texts]

    assert sum(write_once(desk.database_url, alive)) == 20


def test_who_was_locked_out_while_his_password_was_checked_does_not_come_in(desk: Desk) -> None:
    make_user(desk, "grace@example.com")
    checked = make_user(desk, "ada@example.com")

    def sign_in() -> bool:
        try:
            write_once(desk.database_url, lambda tx: sessions.start_session(tx, checked))
        except Unauthorized:
            return False
        return True

    def now() -> UserRow:
        return write_once(
            desk.database_url, lambda tx: users.get_user(tx, desk.subaccount_id, checked.user_id)
        )

    def change(work: Callable[[Tx], Awaitable[object]]) -> None:
        write_once(desk.database_url, work)

    change(lambda tx: users.change_user(tx, desk.subaccount_id, checked.user_id, {"role": "agent"}))
    assert sign_in()
    assert now().role == "agent"
    change(lambda tx: users.set_disabled(tx, desk.subaccount_id, checked.user_id, disabled=True))
    assert not sign_in()
    change(lambda tx: users.set_disabled(tx, desk.subaccount_id, checked.user_id, disabled=False))
    change(lambda tx: users.set_password(tx, desk.subaccount_id, checked.user_id, "another"))
    assert not sign_in()
    assert now().password_hash == "another"


def test_a_session_ends_when_its_workspace_does(desk: Desk) -> None:
    user = make_user(desk, "ada@example.com")
    text = write_once(desk.database_url, lambda tx: sessions.start_session(tx, user))
    visitor = Visitor.with_session(desk.api.base_url, text)
    assert visitor.is_signed_in
    write_once(desk.database_url, lambda tx: delete_workspace(tx, desk.subaccount_id))
    assert not visitor.is_signed_in
