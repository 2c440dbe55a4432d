"""`leadline tail` and `leadline listen`, as processes of their own, and a real server on the other side."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

import pytest

from client.proxy import CuttingProxy
from harness import Desk, NotInTime, Server, server_environment
from leadline.client import Webhook

TYPES = ("--type", "call.answered", "--type", "call.closed")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Watched:
    """A command that goes on until it is stopped; its lines as they come."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "leadline", *arguments],
            cwd=folder, env=server_environment(**settings), text=True, bufsize=1,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            # Also where the tests run in the background of a shell, which has its children ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - nothing but a call
        )  # fmt: skip
        self.out, self.err = self._lines(self.process.stdout), self._lines(self.process.stderr)

    @staticmethod
    def _lines(stream: Any) -> Queue[str]:
        lines: Queue[str] = Queue()

        def read() -> None:
            for line in stream:
                lines.put(line.rstrip("\n"))

        Thread(target=read, daemon=True).start()
        return lines

    def line(self, lines: Queue[str], pattern: str) -> str:
        """The next line that has this in it."""
        seen = []
        while True:
            try:
                seen.append(lines.get(timeout=30))
            except Empty:
                raise NotInTime(f"{pattern!r} is not in {seen!r}") from None
            if re.search(pattern, seen[-1]):
                return seen[-1]

    def interrupt(self) -> int:
        """Ctrl-C; the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=20)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=10)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def start(*arguments: str, **settings: str) -> Watched:
        made.append(Watched(tmp_path, *arguments, **settings))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def enter() -> Iterator[Callable[[CuttingProxy], CuttingProxy]]:
    with contextlib.ExitStack() as stack:
        yield stack.enter_context


def test_tail_shows_what_happens_also_across_a_restart(
    watch: Callable[..., Watched],
    enter: Callable[[CuttingProxy], CuttingProxy],
    make_server: Callable[..., Server],
    tmp_path: Path,
) -> None:
    server = make_server(f"sqlite:///{tmp_path / 'tail.db'}")
    desk = Desk.open(server)
    proxy = enter(CuttingProxy(server.base_url))
    first = desk.call()["call_id"]
    (event, *_) = desk.api.get("/events?limit=1", headers=[("Accept", "application/json")]).json["events"]
    where = {"LEADLINE_URL": proxy.url, "LEADLINE_TOKEN": desk.api.token or ""}
    tail = watch(
        "tail",
        "--after",
        event["event_id"],
        "--type",
        "call.answered",
        "--type",
        "call.closed",
        "--json",
        **where,
    )
    told = json.loads(tail.line(tail.out, first))
    assert told["type"] == "call.answered"
    desk.end(first)
    assert json.loads(tail.line(tail.out, first))["type"] == "call.closed"
    assert server.stop() == 0
    proxy.target = server.start().base_url
    second = desk.on(server).call()["call_id"]
    assert json.loads(tail.line(tail.out, second))["type"] == "call.answered"
    assert tail.interrupt() == 130


def test_tail_with_a_wrong_token_ends(watch: Callable[..., Watched], dev_server: Server) -> None:
    tail = watch("tail", LEADLINE_URL=dev_server.base_url, LEADLINE_TOKEN="wrong")
    assert tail.process.wait(timeout=30) == 4
    assert "unauthorized" in tail.line(tail.err, "leadline: ")


def post(url: str, headers: dict[str, str], body: bytes) -> int:
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - always http
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - as above
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def address(listening: Watched) -> str:
    found = re.search(r"http://\S+", listening.line(listening.err, "Listening at"))
    assert found is not None
    return found[0]


def test_listen_verifies_what_a_real_server_sends(
    watch: Callable[..., Watched], make_server: Callable[..., Server], tmp_path: Path
) -> None:
    database_url = f"sqlite:///{tmp_path / 'listen.db'}"
    server = make_server(database_url)
    desk = Desk.open(server)
    # No secret is given: the database of the settings has it.
    listening = watch("listen", "--port", "0", "--database", database_url)
    action = desk.action(address(listening) + "any/path")
    call_id = desk.call()["call_id"]
    delivery_id = desk.applied(call_id, action["outcome_id"])["delivery_id"]
    assert delivery_id in listening.line(listening.out, "verified")
    listening.line(listening.out, call_id)
    desk.delivery_in(delivery_id, "succeeded")
    assert listening.interrupt() == 130


def test_listen_tells_forgeries_and_answers_as_it_is_told(watch: Callable[..., Watched]) -> None:
    listening = watch("listen", "--port", "0", "--status", "503", "--json", LEADLINE_WEBHOOK_SECRET=SECRET)
    url = address(listening)
    body = b'{"call": {"call_id": "c"}, "outcome": {"outcome_id": "o", "outcome_name": "\\u001b[2J"}}'
    signed = Webhook(SECRET).sign(body, webhook_id="m-1")
    assert post(url + "hook", signed, body) == 503
    assert post(url + "hook", signed, body + b" ") == 401
    genuine, forged = (json.loads(listening.line(listening.out, "{")) for _ in range(2))
    assert (genuine["verified"], genuine["webhook_id"]) == (True, "m-1")
    assert (forged["verified"], forged["problem"]) == (False, "no signature fits this message and secret")


def test_what_a_stranger_sends_does_not_move_the_terminal(watch: Callable[..., Watched]) -> None:
    listening = watch("listen", "--port", "0", "--secret", SECRET)
    assert post(address(listening), {"webhook-id": "m\x1b[2J"}, b'{"a": "\\u001b[2J"}') == 401
    assert "\x1b" not in listening.line(listening.out, "not verified")
    assert "\x1b" not in listening.line(listening.out, '"a"')


def test_listen_without_any_secret_says_what_to_give(watch: Callable[..., Watched]) -> None:
    listening = watch("listen", "--port", "0")
    assert listening.process.wait(timeout=30) == 2
    assert "--secret" in listening.line(listening.err, "leadline: ")
