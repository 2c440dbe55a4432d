"""`leadline simulate`: the whole loop against a running server."""

from __future__ import annotations

import socket
import subprocess
from typing import Any

import pytest

from cli.shell import arrivals, assert_refused_in_words, kept_token, leadline, whole_log
from harness import Api, Server, assert_done, eventually, unknown_id


def simulate(server: Server, *flags: str, **settings: str) -> subprocess.CompletedProcess[str]:
    arguments = ("simulate", "--url", server.base_url, "--speed", "1000", *flags)
    return leadline(server.directory, *arguments, **settings)


@pytest.fixture
def api(dev_server: Server) -> Api:
    return Api(dev_server.base_url, kept_token(dev_server))


def test_the_loop_is_played_and_its_webhooks_arrive_verified(dev_server: Server, api: Api) -> None:
    done = simulate(dev_server)
    assert done.returncode == 0, done.stderr
    for seen in ("Interested", "+ Follow up", "disposition_required", "wrap_up", "closed", "succeeded, 200"):
        assert seen in done.stdout
    deliveries = assert_done(api.get("/webhook-deliveries?limit=200"))["deliveries"]
    assert len(deliveries) >= 5
    came: list[Any] = eventually(lambda: now if len(now := arrivals(dev_server)) == len(deliveries) else [])
    assert all(arrival["verified"] and not arrival["repeated"] for arrival in came)
    assert whole_log(dev_server).count("verified ✓") == len(deliveries)
    calls = assert_done(api.get("/calls?agent_id=ada"))["calls"]
    assert [call["state"] for call in calls] == ["closed"] * 5


def test_calls_and_agent_are_as_asked_for(dev_server: Server, api: Api) -> None:
    done = simulate(dev_server, "--calls", "2", "--agent", "grace/1 é")
    assert done.returncode == 0, done.stderr
    assert [call["agent_id"] for call in assert_done(api.get("/calls"))["calls"]] == ["grace/1 é"] * 2


def test_what_an_interrupted_run_left_is_cleared_away(dev_server: Server, api: Api) -> None:
    for number in ("+15555550150", "+15555550151"):
        assert_done(api.post("/calls", json={"phone_number": number, "agent_id": "ada"}), 201)
    done = simulate(dev_server, "--calls", "1")
    assert done.returncode == 0, done.stderr
    again = simulate(dev_server, "--calls", "1")
    assert again.returncode == 0, again.stderr


def test_the_token_may_come_from_the_flag_or_the_variable(dev_server: Server) -> None:
    token = kept_token(dev_server)
    (dev_server.directory / "var" / "leadline.db.token").unlink()
    assert_refused_in_words(simulate(dev_server), 1, "no token")
    assert simulate(dev_server, "--token", token, "--calls", "1").returncode == 0
    assert simulate(dev_server, "--calls", "1", LEADLINE_TOKEN=token).returncode == 0


def test_a_wrong_token_is_an_error_in_words(dev_server: Server) -> None:
    wrong = f"ll_{unknown_id().replace('-', '')}_{'x' * 43}"
    assert_refused_in_words(simulate(dev_server, "--token", wrong), 4, "unauthorized", "--token")


def test_no_server_is_an_error_in_words(dev_server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    flags = ("simulate", "--url", f"http://127.0.0.1:{port}")
    assert_refused_in_words(leadline(dev_server.directory, *flags), 6, "leadline serve")


@pytest.mark.parametrize(
    "flags",
    [
        ("--calls", "0"),
        ("--speed", "0"),
        ("--speed", "nan"),
        ("--agent", ""),
        ("--url", "ftp://x"),
        ("--wat",),
    ],
    ids=" ".join,
)
def test_what_cannot_be_played_exits_2(dev_server: Server, flags: tuple[str, ...]) -> None:
    assert_refused_in_words(simulate(dev_server, *flags), 2)


def test_a_workspace_without_actions_says_so(dev_server: Server, api: Api) -> None:
    for outcome in assert_done(api.get("/outcomes"))["outcomes"]:
        assert_done(api.delete(f"/outcomes/{outcome['outcome_id']}"))
    assert_refused_in_words(simulate(dev_server), 1, "no action")
