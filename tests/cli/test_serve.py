"""`leadline serve`: the first start, the ones after it, and the end."""

from __future__ import annotations

import re
import signal
import socket
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.shell import (
    RELATIVE_URL,
    arrivals,
    assert_refused_in_words,
    kept_token,
    leadline,
    receiver_url,
    whole_log,
)
from harness import Api, Desk, EventStream, Server, assert_done, eventually

Start = Callable[..., Server]
TOKEN = re.compile(r"ll_[0-9a-f]{32}_[\w-]{43}")


def printed_tokens(server: Server) -> list[str]:
    return TOKEN.findall(whole_log(server))


def test_the_first_start_prints_a_token_and_the_second_does_not(start: Start) -> None:
    server = start()
    (token,) = printed_tokens(server)
    assert f"Leadline is at {server.base_url} " in whole_log(server)
    assert_done(Api(server.base_url, token).get("/outcomes"))
    assert server.stop() == 0
    server.start()
    assert printed_tokens(server) == [token]
    assert whole_log(server).count("Leadline is at ") == 2


def test_without_dev_nothing_is_filled_in_and_no_token_is_kept(start: Start) -> None:
    server = start()
    assert not list((server.directory / "var").glob("*.token"))
    api = Api(server.base_url, printed_tokens(server)[0])
    assert assert_done(api.get("/outcomes"))["outcomes"] == []
    assert "Sample receiver" not in whole_log(server)


def test_dev_keeps_the_token_for_its_owner_alone(dev_server: Server) -> None:
    path = dev_server.directory / "var" / "leadline.db.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert printed_tokens(dev_server) == [kept_token(dev_server)]


def test_dev_fills_in_lists_outcomes_and_contacts(dev_server: Server) -> None:
    api = Api(dev_server.base_url, kept_token(dev_server))
    outcomes = assert_done(api.get("/outcomes"))["outcomes"]
    assert {each["outcome_type"] for each in outcomes} == {"action", "disposition"}
    assert {each["webhook_url"] for each in outcomes} == {None, receiver_url(dev_server)}
    lists = assert_done(api.get("/smart-lists"))["smart_lists"]
    assert {each["smart_list_name"] for each in lists} >= {"Follow up", "Warm leads"}
    contacts = assert_done(api.get("/contacts"))["contacts"]
    assert len(contacts) == 12
    assert all(each["smart_lists"] for each in contacts)


def test_dev_leaves_a_database_with_a_workspace_as_it_is(start: Start) -> None:
    plain = start()
    (token,) = printed_tokens(plain)
    assert plain.stop() == 0
    server = start("--dev")
    api = Api(server.base_url, token)
    assert assert_done(api.get("/outcomes"))["outcomes"] == []
    assert not list((server.directory / "var").glob("*.token"))


def test_samples_follow_the_receiver_to_another_port(start: Start) -> None:
    server = start("--dev")
    api = Api(server.base_url, kept_token(server))
    own = assert_done(
        api.post(
            "/outcomes",
            json={
                "outcome_name": "Own",
                "outcome_type": "action",
                "webhook_url": "http://127.0.0.1:64999/sample-receiver-of-mine",
            },
        ),
        201,
    )["outcome"]
    before = receiver_url(server)
    assert server.stop() == 0
    with socket.create_server(("127.0.0.1", urlsplit(before).port or 0)):
        server.start()
    after = receiver_url(server)
    assert after != before
    moved = assert_done(api.on(server.base_url).get("/outcomes"))["outcomes"]
    assert {each["webhook_url"] for each in moved} == {None, after, own["webhook_url"]}


def test_a_receiver_whose_port_is_taken_takes_another(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        above: int = taken.getsockname()[1]
        done = start("--dev", LEADLINE_PORT=str(above - 1))
    assert urlsplit(receiver_url(done)).port != above
    desk = Desk(Api(done.base_url, kept_token(done)), done.database_url, "", "")
    call = desk.call()
    desk.applied(call["call_id"], "00000000-0000-4000-8000-000000000001")
    eventually(lambda: arrivals(done))


def test_a_second_server_on_the_file_is_refused(dev_server: Server) -> None:
    done = leadline(dev_server.directory, "serve", "--port", "0", "--database", RELATIVE_URL)
    assert_refused_in_words(done, 1, "var/leadline.db is in use by another leadline process")


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = leadline(tmp_path, "serve", "--port", port)
    assert_refused_in_words(done, 1, f"Port {port} on 127.0.0.1 is already in use")


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    assert leadline(tmp_path, "migrate").returncode == 0
    with sqlite3.connect(tmp_path / "leadline.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert_refused_in_words(leadline(tmp_path, "serve", "--port", "0"), 1, "from a newer Leadline")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_it_ends_with_0_also_with_an_open_event_stream(dev_server: Server, number: signal.Signals) -> None:
    with EventStream(Api(dev_server.base_url, kept_token(dev_server))) as stream:
        assert stream.status == 200
        dev_server.process.send_signal(number)
        assert dev_server.process.wait(timeout=30) == 0
    assert "Traceback" not in whole_log(dev_server)
    assert "Unclosed" not in whole_log(dev_server)


def test_a_worker_refuses_sqlite(tmp_path: Path) -> None:
    assert_refused_in_words(leadline(tmp_path, "worker"), 2, "workers are for PostgreSQL")
