"""Contract § 10: the command `leadline`, its exit statuses and what it prints."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness import (
    UNKNOWN_ID,
    Answer,
    Api,
    Desk,
    Json,
    Server,
    assert_done,
    assert_refused,
    eventually,
    server_environment,
)
from receiver import Receiver

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def leadline(arguments: Sequence[str], directory: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "leadline", *arguments],
        env=server_environment(**settings),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def run(server: Server, tmp_path: Path) -> Run:
    """`leadline …` on the database of the running server."""
    return lambda *arguments: leadline(arguments, tmp_path, LEADLINE_DATABASE_URL=server.database_url)


def parsed(done: subprocess.CompletedProcess[str]) -> Json:
    assert done.returncode == 0, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def create_workspace(run: Run, *more: str) -> Json:
    return parsed(run("workspace", "create", "From the shell", *more, "--json"))


def create_token(run: Run, workspace_id: str, scopes: str = "all") -> str:
    made = parsed(run("token", "create", "--workspace", workspace_id, "--scopes", scopes, "--json"))
    token: str = made["token"]
    return token


def refused_with(api: Api, status: int) -> list[Answer]:
    """The answer, once it has this status."""
    answer = api.get("/outcomes")
    return [answer] if answer.status == status else []


def rows(listing: Json) -> list[Json]:
    """The rows of a `--json` listing, bare or under a noun."""
    return (
        listing
        if isinstance(listing, list)
        else next(value for value in listing.values() if isinstance(value, list))
    )


def test_a_workspace_and_a_token_from_the_shell_work_at_once(run: Run, server: Server) -> None:
    made = create_workspace(run)
    assert set(made) >= {"organization_id", "subaccount_id"}
    api = Api(server.base_url, create_token(run, made["subaccount_id"]))
    workspace = assert_done(api.get("/workspace"))["workspace"]
    assert (workspace["name"], workspace["subaccount_id"]) == ("From the shell", made["subaccount_id"])
    second = create_workspace(run, "--organization", made["organization_id"])
    assert second["organization_id"] == made["organization_id"]
    assert second["subaccount_id"] != made["subaccount_id"]


def test_workspaces_are_listed(run: Run) -> None:
    made = create_workspace(run)
    listed = run("workspace", "list")
    assert listed.returncode == 0
    assert made["subaccount_id"] in listed.stdout


def test_a_token_has_the_scopes_it_was_given(run: Run, server: Server) -> None:
    workspace_id = create_workspace(run)["subaccount_id"]
    api = Api(server.base_url, create_token(run, workspace_id, "contacts:read,outcomes:read"))
    assert_done(api.get("/contacts"))
    assert_refused(api.get("/calls"), 403, "forbidden")


def test_a_revoked_token_stops_working(run: Run, server: Server) -> None:
    workspace_id = create_workspace(run)["subaccount_id"]
    api = Api(server.base_url, create_token(run, workspace_id))
    assert_done(api.get("/outcomes"))
    listed = run("token", "list", "--workspace", workspace_id, "--json")
    tokens = rows(parsed(listed))
    assert len(tokens) == 1
    assert str(api.token) not in listed.stdout
    assert run("token", "revoke", tokens[0]["token_id"]).returncode == 0
    refused = eventually(lambda: refused_with(api, 401), 5.0)
    assert_refused(refused[0], 401, "unauthorized")


def test_the_tokens_of_a_deleted_workspace_lead_to_no_subaccount(run: Run, server: Server) -> None:
    workspace_id = create_workspace(run)["subaccount_id"]
    api = Api(server.base_url, create_token(run, workspace_id))
    assert_done(api.get("/outcomes"))
    deleted = run("workspace", "delete", workspace_id)
    if deleted.returncode != 0:
        deleted = run("workspace", "delete", workspace_id, "--yes")
    assert deleted.returncode == 0, deleted.stderr
    refused = eventually(lambda: refused_with(api, 403), 5.0)
    assert_refused(refused[0], 403, "no_subaccount")


@pytest.mark.parametrize(
    "arguments",
    [
        ["token", "create", "--workspace", UNKNOWN_ID, "--scopes", "everything"],
        ["token", "create", "--workspace", UNKNOWN_ID, "--scopes", "outcomes:admin"],
        ["token", "create", "--workspace", UNKNOWN_ID, "--scopes", "all", "--colour", "red"],
        ["serve", "--wat"],
        ["workspace", "create"],
        ["workspace", "create", "A", "--wat"],
        ["frobnicate"],
    ],
    ids=" ".join,
)
def test_an_unknown_scope_flag_or_command_exits_2(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stderr.strip() or done.stdout.strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ["token", "create", "--workspace", UNKNOWN_ID, "--scopes", "all"],
        ["token", "list", "--workspace", UNKNOWN_ID],
        ["token", "revoke", UNKNOWN_ID],
        ["workspace", "delete", UNKNOWN_ID],
    ],
    ids=" ".join,
)
def test_what_does_not_exist_is_an_error_in_words(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr


def test_a_database_that_cannot_be_reached_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for url in (f"sqlite:///{tmp_path}/file/x.db", "postgresql://x@127.0.0.1:1/x", "mysql://x", "nonsense"):
        done = leadline(["workspace", "list"], tmp_path, LEADLINE_DATABASE_URL=url)
        assert done.returncode != 0, url
        assert "Traceback" not in done.stderr, url


def test_doctor_finds_a_healthy_installation_healthy(run: Run) -> None:
    done = run("doctor")
    assert done.returncode == 0, (done.stdout, done.stderr)


def test_help_and_version_exit_0(tmp_path: Path) -> None:
    for arguments in (["--help"], ["serve", "--help"], ["--version"]):
        done = leadline(arguments, tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_migrate_makes_a_database_and_may_be_repeated(
    engine: str, make_database: Callable[[str], str], tmp_path: Path
) -> None:
    url = make_database(engine)
    for _ in range(2):
        done = leadline(["migrate"], tmp_path, LEADLINE_DATABASE_URL=url)
        assert done.returncode == 0, done.stderr
    made = leadline(["workspace", "create", "A", "--json"], tmp_path, LEADLINE_DATABASE_URL=url)
    assert set(parsed(made)) >= {"organization_id", "subaccount_id"}


def tokens_in(server: Server, printed: str) -> list[str]:
    """The words of the output that are tokens."""
    return [word for word in set(re.findall(r"[\w.\-]{20,}", printed)) if accepted(server, word)]


def accepted(server: Server, token: str) -> bool:
    return Api(server.base_url, token).get("/outcomes").status == 200


def test_serve_on_an_empty_database_prints_a_token_once(
    engine: str, make_server: Callable[..., Server], make_database: Callable[[str], str]
) -> None:
    server = make_server(make_database(engine))
    printed = server.log()
    assert server.base_url in printed
    tokens = tokens_in(server, printed)
    assert len(tokens) == 1, printed
    assert server.stop() == 0
    server.start()
    assert tokens[0] not in server.log()[len(printed) :]
    assert accepted(server, tokens[0])


def test_dev_fills_in_samples_and_lets_webhooks_go_to_loopback(
    make_server: Callable[..., Server], make_database: Callable[[str], str], receiver: Receiver
) -> None:
    server = make_server(make_database("sqlite"), "--dev", LEADLINE_WEBHOOK_ALLOW_CIDRS="")
    api = Api(server.base_url, tokens_in(server, server.log())[0])
    for path, noun in (("/smart-lists", "smart_lists"), ("/contacts", "contacts"), ("/outcomes", "outcomes")):
        assert assert_done(api.get(path))[noun], noun
    desk = Desk(api, server.database_url, "", "")
    call_id = desk.call()["call_id"]
    desk.applied(call_id, desk.action(receiver.url)["outcome_id"])
    receiver.wait_for()


def test_a_worker_delivers_alone_and_ends_with_0(
    make_server: Callable[..., Server],
    make_database: Callable[[str], str],
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    server = make_server(make_database("postgresql"), LEADLINE_WEBHOOK_RETRY_SCHEDULE="1,0.2")
    desk = Desk.open(server)
    receiver.answer_with(500)
    delivery_id = desk.applied(desk.call()["call_id"], desk.action(receiver.url)["outcome_id"])["delivery_id"]
    receiver.wait_for()
    assert server.stop() == 0
    worker = subprocess.Popen(
        [sys.executable, "-m", "leadline", "worker"],
        env=server_environment(LEADLINE_DATABASE_URL=server.database_url, **server.settings),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
    )
    try:
        assert {hit.webhook_id for hit in receiver.wait_for(2)} == {delivery_id}
        worker.terminate()
        assert worker.wait(timeout=30) == 0
    finally:
        worker.kill()
        worker.wait(timeout=10)
    assert desk.on(server.start()).read_delivery(delivery_id)["state"] == "succeeded"
