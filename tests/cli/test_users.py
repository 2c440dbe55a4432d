"""`leadline user …`, run within this process: each is a command line, and prints what people and programs read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leadline.cli.commands import run

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Exit status, standard output and standard error of a command on a database with one workspace."""
    monkeypatch.setenv("LEADLINE_DATABASE_URL", f"sqlite:///{tmp_path / 'users.db'}")
    monkeypatch.setenv("LEADLINE_PUBLIC_URL", "https://calls.example.com/")

    def type_in(*words: str) -> tuple[int, str, str]:
        status = run(words)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    assert type_in("workspace", "create", "Main")[0] == 0
    return type_in


def parsed(done: tuple[int, str, str]) -> Any:
    assert done[0] == 0, done
    return json.loads(done[1])


def test_a_user_is_made_changed_and_locked_out(command: Command) -> None:
    made = parsed(command("user", "create", "ada@example.com", "--json"))
    assert made["link"].startswith("https://calls.example.com/link/")
    assert made["user"]["role"] == "administrator"
    assert made["user"]["has_password"] is False
    status, out, err = command(
        "user", "create", "grace@example.com", "--name", "Grace", "--role", "agent", "--agent", "g1"
    )
    assert (status, out.count("\n")) == (0, 1)
    assert "once, for 15 minutes" in err
    assert (
        parsed(command("user", "role", "GRACE@example.com", "supervisor", "--json"))["user"]["role"]
        == "supervisor"
    )
    assert command("user", "disable", "grace@example.com") == (0, "grace@example.com is disabled.\n", "")
    assert command("user", "enable", "grace@example.com") == (0, "grace@example.com is supervisor.\n", "")
    users = parsed(command("user", "list", "--json"))["users"]
    assert [(each["email"], each["role"], each["agent_id"]) for each in users] == [
        ("ada@example.com", "administrator", None), ("grace@example.com", "supervisor", "g1"),
    ]  # fmt: skip
    assert "grace@example.com" in command("user", "list")[1]


def test_links_are_for_the_first_administrator_or_for_somebody(command: Command) -> None:
    assert parsed(command("user", "link", "--json"))["user"] is None
    parsed(command("user", "create", "ada@example.com", "--json"))
    assert parsed(command("user", "link", "ada@example.com", "--json"))["user"]["email"] == "ada@example.com"
    status, out, err = command("user", "link")
    assert (status, out) == (1, "")
    assert "users already" in err


IMPOSSIBLE = (
    ("create", "ada@example.com"), ("create", "no address"), ("create", "b@example.com", "--role", "king"),
    ("role", "ada@example.com", "agent"), ("disable", "ada@example.com"), ("link", "nobody@example.com"),
    ("role", "nobody@example.com", "agent"), ("list", "--workspace", "x"),
)  # fmt: skip


def test_what_cannot_be_is_refused_in_one_line_and_changes_nothing(command: Command) -> None:
    parsed(command("user", "create", "ada@example.com", "--json"))
    before = parsed(command("user", "list", "--json"))
    for words in IMPOSSIBLE:
        status, out, err = command("user", *words)
        assert (status, out) == (1, ""), words
        assert err.startswith("leadline: "), words
        assert err.count("\n") == 1, words
    assert parsed(command("user", "list", "--json")) == before
