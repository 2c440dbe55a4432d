"""The example receivers as they stand, each as a process of its own: what comes often is acted on once."""

from __future__ import annotations

import json
import random
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import Desk, eventually, loopback_settings, run_server, server_environment
from leadline.client import Webhook

EXAMPLES = Path(__file__).parents[2] / "examples"
EVENTS, REPEATS_MAX, CALLERS = 400, 4, 16
FORGED = 60
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STRANGER = Webhook("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".replace("7oD", "7oDAAAA"))

# How each is started, as its own first lines say, on a port that was free.
COMMANDS = {
    "fastapi": ["-m", "uvicorn", "--app-dir", str(EXAMPLES), "fastapi_receiver:app", "--log-level", "error", "--port"],
    "flask": ["-m", "flask", "--app", str(EXAMPLES / "flask_receiver.py"), "run", "--port"],
    "django": [str(EXAMPLES / "django_receiver.py"), "runserver", "--noreload"],
}  # fmt: skip


@dataclass(frozen=True)
class Running:
    url: str
    database: Path

    def post(self, headers: dict[str, str], body: bytes) -> int:
        """The status of one request."""
        request = urllib.request.Request(  # noqa: S310 - always http
            self.url, body, {"Content-Type": "application/json", **headers}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.database, timeout=30)) as database:
            return database.execute(statement).fetchall()

    @property
    def follow_ups(self) -> Counter[str]:
        """How often each call was acted on."""
        return Counter(str(call_id) for (call_id,) in self.rows("SELECT call_id FROM follow_ups"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start(framework: str, folder: Path, secret: str) -> Iterator[Running]:
    port, database = free_port(), folder / "receiver.db"
    log = folder / "receiver.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *COMMANDS[framework], str(port)],
            cwd=folder,
            env=server_environment(
                LEADLINE_WEBHOOK_SECRET=secret, RECEIVER_DATABASE=str(database), PYTHONDEVMODE=""
            ),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:

        def is_up() -> bool:
            assert process.poll() is None, log.read_text()
            return listens(port)

        eventually(is_up, 30)
        yield Running(f"http://127.0.0.1:{port}/leadline", database)
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A workspace of a real server."""
    folder = tmp_path_factory.mktemp("sending")
    for server in run_server(f"sqlite:///{folder / 'sending.db'}", folder, **loopback_settings()):
        yield Desk.open(server)


@pytest.fixture(scope="module")
def secret(sender: Desk) -> str:
    return sender.rotate_secret()


@pytest.fixture(scope="module", params=COMMANDS)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, secret: str
) -> Iterator[Running]:
    """A receiver that knows two secrets: this file's own, and that of the real server."""
    yield from start(request.param, tmp_path_factory.mktemp(request.param), f"{SECRET} {secret}")


def body_of(number: int) -> bytes:
    return json.dumps(
        {
            "error_message": "",
            "timestamp": 1781935984000 + number,
            "scope": {"subaccount_id": "s", "organization_id": "o"},
            "outcome": {"outcome_id": "out", "outcome_name": "Interested", "outcome_type": "action"},
            "call": {"call_id": f"call-{number}", "phone_number": "+15555550100", "contact_id": "c"},
            "destination": {"destination_type": "none"},
        }
    ).encode()


@dataclass(frozen=True)
class Post:
    headers: dict[str, str]
    body: bytes
    status: int


def posts() -> Sequence[Post]:
    """Every event one to four times, some forged, all in disorder: over a thousand requests."""
    chance = random.Random(7)
    ours = Webhook(SECRET)
    genuine = [
        Post(
            ours.sign(body_of(number), webhook_id=f"msg-{number}"),
            body_of(number),
            200,
        )
        for number in range(EVENTS)
        for _ in range(chance.randint(1, REPEATS_MAX))
    ]
    forged = [
        Post(STRANGER.sign(body_of(number), webhook_id="m"), body_of(number), 401)
        for number in range(EVENTS, EVENTS + FORGED // 2)
    ]
    changed = [
        Post(ours.sign(body_of(number), webhook_id="m"), body_of(number) + b" ", 401)
        for number in range(EVENTS, EVENTS + FORGED // 2)
    ]
    everything = genuine + forged + changed
    chance.shuffle(everything)
    return everything


def test_a_thousand_deliveries_are_acted_on_once_each(running: Running) -> None:
    sent = posts()
    assert len(sent) > 1000
    with ThreadPoolExecutor(CALLERS) as callers:
        statuses = list(callers.map(lambda each: running.post(each.headers, each.body), sent))
    assert statuses == [each.status for each in sent]
    assert running.follow_ups == Counter(f"call-{number}" for number in range(EVENTS))
    assert running.rows("SELECT count(*) FROM seen") == [(EVENTS,)]


def test_what_is_no_webhook_is_refused_and_not_acted_on(running: Running) -> None:
    before = running.follow_ups
    assert running.post({}, b"") == 401
    assert running.post(Webhook(SECRET).sign(b"[]", webhook_id="m"), b"[]") == 401
    assert running.post({}, b"x" * 100_000) in (400, 413)
    assert running.follow_ups == before


def test_a_real_server_reaches_the_receiver(running: Running, sender: Desk) -> None:
    action = sender.action(running.url)
    call_id = sender.call()["call_id"]
    delivery_id = sender.applied(call_id, action["outcome_id"])["delivery_id"]
    sender.delivery_in(delivery_id, "succeeded")
    assert sender.api.post(f"/webhook-deliveries/{delivery_id}/retry").status == 200
    eventually(lambda: len(sender.read_delivery(delivery_id)["attempts"]) == 2)
    assert running.follow_ups[call_id] == 1
