from __future__ import annotations

import pytest

from leadline.domain.access import PERMISSIONS, Permission, Role, format_secret, may, workspace_of_secret
from leadline.domain.users import email_key, email_problem, password_problem, user_problems

WORKSPACE = "01900000-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    "email", ["ada@example.com", " Ada.L+tag@sub.example.co ", "a@b", "ünal@bücher.example"]
)
def test_addresses_that_people_have_are_taken(email: str) -> None:
    assert email_problem(email) is None


@pytest.mark.parametrize(
    "email",
    ["", "a", "@b.c", "a@", "a@b@c", "a b@c.d", "a@b..c", "a@.b", "a@b\r\nBcc: x@y.z", "<a@b.c>", 'a"@b.c',
     "a,b@c.d", "a\x00@b.c", "x" * 251 + "@b.c"],
)  # fmt: skip
def test_what_is_no_address_is_refused(email: str) -> None:
    assert email_problem(email) is not None


def test_case_and_space_make_no_other_account() -> None:
    assert email_key(" ADA@Example.COM ") == email_key("ada@example.com")


@pytest.mark.parametrize(
    "password", ["correct horse staple", "пароль из многих слов", "a1" * 5 + "bcdef", " spaces  count "]
)
def test_long_passwords_of_any_kind_are_taken(password: str) -> None:
    assert password_problem(password, email="ada@example.com", name="Ada") is None


@pytest.mark.parametrize(
    "password",
    ["", "short", "elevenchars", "x" * 257, "aaaaaaaaaaaa", "abababababab", "with a \0 in it", "ada@example.com",
     "ADA@EXAMPLE.COM", "Ada Lovelace"],
)  # fmt: skip
def test_passwords_that_are_guessed_first_are_refused(password: str) -> None:
    assert password_problem(password, email="ada@example.com", name="Ada Lovelace") is not None


def test_all_that_is_wrong_with_a_user_is_told_at_once() -> None:
    problems = user_problems(email="x", name=" ", role="king", agent_id="\n")
    assert [each.field for each in problems] == ["email", "name", "role", "agent_id"]
    assert user_problems(email="a@b.c", name="A", role="agent", agent_id=None) == []


def test_each_role_may_all_that_the_one_below_it_may() -> None:
    assert PERMISSIONS[Role.AGENT] < PERMISSIONS[Role.SUPERVISOR] < PERMISSIONS[Role.ADMINISTRATOR]
    assert PERMISSIONS[Role.ADMINISTRATOR] == frozenset(Permission)


def test_an_agent_may_only_his_desk_and_himself() -> None:
    assert {each for each in Permission if may(Role.AGENT, each)} == {Permission.DESK, Permission.PROFILE}


@pytest.mark.parametrize("permission", [Permission.USERS, Permission.TOKENS, Permission.AUDIT, Permission.WORKSPACE,
                                        Permission.OUTCOMES, Permission.ENDPOINTS])  # fmt: skip
def test_a_supervisor_configures_nothing(permission: Permission) -> None:
    assert not may(Role.SUPERVISOR, permission)


def test_a_secret_names_its_workspace() -> None:
    assert workspace_of_secret(format_secret(WORKSPACE, "x" * 43)) == WORKSPACE


@pytest.mark.parametrize("text", ["", "x", WORKSPACE, f"{WORKSPACE}.{'x' * 43}", "0" * 32 + "." + "x" * 42,
                                  "0" * 32 + "." + "x" * 43 + "\n", "\u0660" * 32 + "." + "x" * 43])  # fmt: skip
def test_what_is_no_secret_names_none(text: str) -> None:
    assert workspace_of_secret(text) is None
