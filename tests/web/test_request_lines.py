"""One line for each request and each attempt, counted as they were answered."""

from __future__ import annotations

import json
import logging
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import NOWHERE, Api, Desk, Server, assert_done, connect, eventually
from leadline.logs import set_up_logs
from leadline.web.accounts import readable_path
from receiver import Receiver

SECRET_NOTE = "his daughter is called Zebulonia"
REQUESTS, ATTEMPTS = "leadline.requests", "leadline.attempts"


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that writes every line, as JSON."""
    folder = tmp_path_factory.mktemp("lines")
    server = Server(
        f"sqlite:///{folder / 'lines.db'}",
        folder,
        LEADLINE_LOG_REQUESTS="true",
        LEADLINE_LOG_FORMAT="json",
        LEADLINE_WEBHOOK_ALLOW_CIDRS="127.0.0.0/8",
        LEADLINE_WEBHOOK_RETRY_SCHEDULE="60",
    ).start()
    yield server
    server.kill()


@pytest.fixture
def desk(telling: Server) -> Desk:
    return Desk.open(telling)


def whole_log(server: Server) -> str:
    return (server.directory / "server.log").read_text(errors="replace")


def lines(server: Server, logger: str, **fields: Any) -> list[dict[str, Any]]:
    """The lines of a logger that have these fields."""
    found = [json.loads(each) for each in whole_log(server).splitlines() if each.startswith('{"at"')]
    return [each for each in found if each["logger"] == logger and fields.items() <= each.items()]


def one_line(server: Server, logger: str, **fields: Any) -> dict[str, Any]:
    """The only such line; it may come a moment after the answer."""
    eventually(lambda: lines(server, logger, **fields))
    (line,) = lines(server, logger, **fields)
    return line


def test_a_request_is_one_line_with_every_field(telling: Server, desk: Desk) -> None:
    call = desk.call(agent_id="agent-7")
    outcome = desk.action(webhook_url=NOWHERE)
    answer = desk.api.post(
        f"/calls/{call['call_id']}/outcomes",
        json={"outcome_id": outcome["outcome_id"], "note": SECRET_NOTE},
        headers=[("X-Request-Id", "trace-me")],
    )
    assert_done(answer, 201)
    line = one_line(telling, REQUESTS, request_id="trace-me")
    assert line["message"] == "POST apply_outcome 201"
    assert (
        line.items()
        >= {
            "level": "info",
            "method": "POST",
            "operation": "apply_outcome",
            "status": 201,
            "workspace_id": desk.subaccount_id,
            "call_id": call["call_id"],
            "caller_address": "127.0.0.1",
        }.items()
    )
    assert line["duration_ms"] > 0
    assert set(line) == {
        "at", "level", "logger", "message", "request_id", "method", "status", "duration_ms", "caller_address",
        "operation", "workspace_id", "token_id", "call_id",
    }  # fmt: skip


def test_an_attempt_is_one_line_with_every_field(telling: Server, desk: Desk, receiver: Receiver) -> None:
    outcome = desk.action(webhook_url=receiver.url)
    applied = assert_done(desk.apply(desk.call()["call_id"], outcome["outcome_id"]), 201)["applied"]
    line = one_line(telling, ATTEMPTS, delivery_id=applied["delivery_id"])
    assert line.items() >= {"level": "info", "attempt": 1, "status": 200, "reused": False}.items()
    assert {"workspace_id", "endpoint_id", "duration_ms", "remote_address", "first_byte_ms"} <= set(line)
    assert receiver.url not in whole_log(telling)


def test_an_attempt_that_failed_is_a_warning(telling: Server, desk: Desk) -> None:
    outcome = desk.action(webhook_url=NOWHERE)
    applied = assert_done(desk.apply(desk.call()["call_id"], outcome["outcome_id"]), 201)["applied"]
    line = one_line(telling, ATTEMPTS, delivery_id=applied["delivery_id"])
    assert line.items() >= {"level": "warning", "error": "connect", "attempt": 1}.items()


def test_neither_number_nor_note_nor_token_is_in_the_log(telling: Server, desk: Desk) -> None:
    number = "+12125550187"
    call = desk.call(phone_number=number, agent_id=number)
    desk.apply(call["call_id"], desk.action()["outcome_id"], note=SECRET_NOTE)
    for path in (
        f"/contacts?phone_number=%2B{number[1:]}",
        f"/contacts/{number}",
        f"/agents/%2B{number[1:]}",
        f"/calls/{SECRET_NOTE.replace(' ', '%20')}",
        f"/calls?token={desk.api.token}",
        f"/{desk.api.token}",
    ):
        desk.api.get(path, headers=[("X-Request-Id", number)])
    last = desk.api.get("/workspace").header("X-Request-Id")
    one_line(telling, REQUESTS, request_id=last)
    log = whole_log(telling)
    assert desk.api.token is not None
    for private in (number[1:], "Zebulonia", desk.api.token, desk.api.token[40:]):
        assert private not in log


def test_what_the_edge_refuses_is_told_and_counted_as_it_was_answered(telling: Server, desk: Desk) -> None:
    refused = desk.api.exchange_bytes(b"GET /phone-system/outcomes HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert refused.status == 400
    line = one_line(telling, REQUESTS, request_id=refused.header("X-Request-Id"))
    assert line.items() >= {"status": 400, "level": "info"}.items()


def counted(api: Api) -> dict[str, float]:
    text = api.at_root().get("/metrics").body.decode()
    rows = [line.rpartition(" ") for line in text.splitlines() if line.startswith("leadline_http_requests_t")]
    return {labels: float(value) for labels, _, value in rows}


def test_pages_streams_and_callers_who_left_are_not_counted_as_failures(desk: Desk) -> None:
    api = desk.api.at_root()
    for path in ("/healthz", "/readyz", "/docs", "/nowhere"):
        api.get(path)
    head = f"Host: a\r\nAuthorization: Bearer {desk.api.token}\r\n"
    with connect(api.base_url) as stream:
        stream.sendall(f"GET /phone-system/events HTTP/1.1\r\n{head}\r\n".encode())
        assert stream.recv(100).startswith(b"HTTP/1.1 200")
    with connect(api.base_url) as leaver:
        length = "Content-Type: application/json\r\nContent-Length: 500\r\n"
        leaver.sendall(f"POST /phone-system/calls HTTP/1.1\r\n{head}{length}\r\n{{".encode())
        # A reset, not an end: who only ends may still wait for the answer.
        leaver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone = 'leadline_http_requests_total{operation="start_call",status="499"}'
    streamed = 'leadline_http_requests_total{operation="list_events",status="200"}'

    eventually(lambda: {gone, streamed} <= set(counted(desk.api)))
    assert not [labels for labels in counted(desk.api) if 'status="5' in labels]


def test_without_the_setting_only_what_went_wrong_is_told(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server(f"sqlite:///{tmp_path / 'quiet.db'}", LEADLINE_LOG_FORMAT="json")
    desk = Desk.open(server)
    outcome = desk.action(webhook_url=NOWHERE)
    desk.apply(desk.call()["call_id"], outcome["outcome_id"])
    eventually(lambda: lines(server, ATTEMPTS, level="warning"))
    assert not lines(server, REQUESTS)
    assert not lines(server, ATTEMPTS, level="info")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/docs", "/docs"),
        ("/static/docs.css", "/static/docs.css"),
        ("/phone-system/calls/019f0000-0000-7000-8000-000000000000", None),
        ("/phone-system/contacts/+15555550100", "/phone-system/contacts/[hidden]"),
        ("/sign-in/Ab3dEf", "/sign-in/[hidden]"),
        ("/a\r\nb/\x1b[2J", "/[hidden]/[hidden]"),
        ("/" + "a/" * 5_000, "/" + "a/" * 8 + "a"),
    ],
)
def test_a_path_is_told_in_plain_words_only(path: str, told: str | None) -> None:
    assert readable_path(path) == (told or path)


@pytest.mark.parametrize(
    ("level", "requests", "of_requests"),
    [("info", False, "WARNING"), ("info", True, "INFO"), ("error", True, "ERROR"), ("error", False, "ERROR")],
)
def test_the_level_holds_for_the_lines_of_requests_too(
    level: str, requests: bool, of_requests: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, hook in (("sys", "excepthook"), ("threading", "excepthook")):
        monkeypatch.setattr(f"{module}.{hook}", None)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    levels = {name: logging.getLogger(name).level for name in ("leadline", REQUESTS, ATTEMPTS)}
    try:
        set_up_logs("json", level, requests=requests)
        assert logging.getLevelName(logging.getLogger(REQUESTS).level) == of_requests
        assert logging.getLevelName(logging.getLogger(ATTEMPTS).level) == of_requests
    finally:
        logging.captureWarnings(capture=False)
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)
