"""What the commands print, and their exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import leadline as package
from cli.shell import assert_refused_in_words, leadline
from harness import UNKNOWN_ID, server_environment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a database that has one workspace."""
    assert leadline(tmp_path, "workspace", "create", "Main").returncode == 0
    return tmp_path


def parsed(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, (done.stdout, done.stderr)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--wat"),
        ("serve", "--port", "x"),
        ("serve", "--port", "99999"),
        ("serve", "--database", "mysql://x"),
        ("frobnicate",),
        ("workspace", "create"),
        ("workspace", "create", " "),
        ("workspace", "create", "A", "--organization", "x"),
        ("token", "create", "--scopes", "everything"),
        ("token", "create", "--scopes", ","),
        ("token", "create", "--scopes", "all", "--expires-days", "0"),
        ("token", "create"),
        ("worker", "--config", "missing.toml"),
    ],
    ids=" ".join,
)
def test_what_is_not_understood_exits_2_with_one_line(folder: Path, arguments: tuple[str, ...]) -> None:
    assert_refused_in_words(leadline(folder, *arguments), 2)


@pytest.mark.parametrize(
    "arguments",
    [
        ("workspace", "delete", UNKNOWN_ID, "--yes"),
        ("workspace", "delete", "x", "--yes"),
        ("token", "create", "--workspace", UNKNOWN_ID, "--scopes", "all"),
        ("token", "list", "--workspace", "x"),
        ("token", "list", "--workspace", UNKNOWN_ID),
        ("token", "revoke", UNKNOWN_ID),
        ("workspace", "list", "--database", "sqlite:///missing.db"),
        ("workspace", "list", "--database", "postgresql://x@127.0.0.1:1/x"),
        ("workspace", "list", "--database", "postgresql://x@127.0.0.1:abc/x"),
        ("migrate", "--database", "sqlite:////dev/null/x.db"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_exits_1_with_one_line(folder: Path, arguments: tuple[str, ...]) -> None:
    assert_refused_in_words(leadline(folder, *arguments), 1)


def test_a_file_that_is_no_database_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "leadline.db").write_text("no database, but long enough to be taken for one. " * 20)
    for arguments in (("workspace", "list"), ("migrate",), ("serve", "--port", "0")):
        assert_refused_in_words(leadline(tmp_path, *arguments), 1, "not a database")


def test_settings_from_variable_and_file_are_checked(tmp_path: Path) -> None:
    assert_refused_in_words(leadline(tmp_path, "worker", LEADLINE_PORT="x"), 2, "port")
    (tmp_path / "leadline.toml").write_text("colour = 'red'")
    assert_refused_in_words(leadline(tmp_path, "worker"), 2, "colour")


def test_a_settings_file_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("database_url = 'sqlite:///elsewhere.db'")
    assert leadline(tmp_path, "workspace", "create", "A", "--config", "mine.toml").returncode == 0
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "leadline.db").exists()


def test_a_new_token_alone_is_on_standard_output(folder: Path) -> None:
    done = leadline(folder, "token", "create", "--scopes", "outcomes:read, calls:write", "--name", "dialer")
    assert done.returncode == 0
    assert len(done.stdout.split()) == 1
    (row,) = parsed(leadline(folder, "token", "list", "--json"))["tokens"]
    assert (row["name"], row["scopes"]) == ("dialer", ["calls:write", "outcomes:read"])
    assert row["prefix"] in done.stdout
    assert row["expires_at"] is row["revoked_at"] is row["last_used_at"] is None
    assert done.stdout.strip() not in leadline(folder, "token", "list").stdout


def test_a_token_can_expire_and_be_revoked(folder: Path) -> None:
    made = parsed(leadline(folder, "token", "create", "--scopes", "all", "--expires-days", "30", "--json"))
    assert made["token"].startswith("ll_")
    assert leadline(folder, "token", "revoke", made["token_id"]).returncode == 0
    (row,) = parsed(leadline(folder, "token", "list", "--json"))["tokens"]
    assert row["expires_at"] == made["expires_at"]
    assert row["expires_at"] > row["created_at"]
    assert row["revoked_at"] is not None
    assert_refused_in_words(leadline(folder, "token", "revoke", made["token_id"]), 1)


def test_with_several_workspaces_one_must_be_named(folder: Path) -> None:
    assert leadline(folder, "workspace", "create", "Second").returncode == 0
    assert_refused_in_words(leadline(folder, "token", "list"), 2, "--workspace")


def test_deleting_asks_and_without_a_terminal_needs_yes(folder: Path) -> None:
    (row,) = parsed(leadline(folder, "workspace", "list", "--json"))["workspaces"]
    workspace_id = row["subaccount_id"]
    assert_refused_in_words(leadline(folder, "workspace", "delete", workspace_id), 2, "--yes")
    assert workspace_id in leadline(folder, "workspace", "list").stdout
    assert leadline(folder, "workspace", "delete", workspace_id, "--yes").returncode == 0
    assert parsed(leadline(folder, "workspace", "list", "--json")) == {"workspaces": []}


def test_migrate_says_what_it_did(tmp_path: Path) -> None:
    assert "from nothing" in leadline(tmp_path, "migrate").stdout
    assert "nothing to do" in leadline(tmp_path, "migrate").stdout


def test_doctor_has_a_line_for_each_check(folder: Path) -> None:
    done = leadline(folder, "doctor", "--port", "0")
    assert done.returncode == 0, done.stdout
    checks = [line.split()[1] for line in done.stdout.splitlines()]
    assert checks == ["python", "settings", "sqlite", "database", "disk", "clock", "port"]


def test_doctor_exits_1_when_a_check_fails(tmp_path: Path) -> None:
    (tmp_path / "leadline.db").write_text("no database, but long enough to be taken for one. " * 20)
    done = leadline(tmp_path, "doctor", "--port", "0", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["ok"] is False
    assert [each["check"] for each in report["checks"] if each["level"] == "fail"] == ["database"]


@pytest.mark.parametrize(
    "settings",
    [{"LEADLINE_PORT": "x"}, {"LEADLINE_DATABASE_URL": "x"}, {"LEADLINE_WEBHOOK_ALLOW_CIDRS": "x"}],
    ids=str,
)
def test_doctor_names_a_wrong_setting(tmp_path: Path, settings: dict[str, str]) -> None:
    done = leadline(tmp_path, "doctor", **settings)
    assert done.returncode == 1
    assert "fail  settings" in done.stdout


def test_version_and_help_need_neither_server_nor_database(tmp_path: Path) -> None:
    assert leadline(tmp_path, "--version").stdout.strip() == package.__version__
    heavy = {"sqlalchemy", "starlette", "uvicorn", "aiohttp", "apsw", "asyncpg", "phonenumbers"}
    probe = (
        "import sys; from leadline.cli.commands import run; status = run(['--version']);"
        f" print(status, sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe],
        env=server_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "0 []"
