"""Black-box helpers: a client on real sockets, the server as a process, and a workspace with its verbs.

Nothing here knows the implementation but for two doors that the project opens for tests
(`leadline.wiring.provision_workspace`, `provision_token`) and the file named by `LEADLINE_READY_FILE`.
"""

from __future__ import annotations

import http.client
import itertools
import json as jsonlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

Json = Any
Pairs = Sequence[tuple[str, str]]
T = TypeVar("T")

ABSENT: Final[Any] = object()
FRESH: Final = "a fresh key"
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NOWHERE: Final = "http://127.0.0.1:64999/hook"  # nobody listens there, and no ephemeral port is that high
RETRY_SCHEDULE: Final = "0.2,0.2,0.2"
ATTEMPTS_MAX: Final = 4
START_TIMEOUT_SECONDS: Final = 30.0
ANSWER_TIMEOUT_SECONDS: Final = 20.0

_phone_numbers = itertools.count(5_550_100)


class ServerDidNotStart(Exception):
    """The process ended or stayed silent; the text is its log."""


class NotInTime(Exception):
    """What a test waited for did not come; the text is what was seen last."""


def eventually(probe: Callable[[], T], timeout_seconds: float = 15.0, pause_seconds: float = 0.02) -> T:
    """The first truthy answer of `probe`, asked again and again until the bound (`NotInTime`)."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        seen = probe()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise NotInTime(f"last seen: {seen!r}")
        time.sleep(pause_seconds)


def fresh_key() -> str:
    return f"key-{uuid.uuid4()}"


# For the names of tests, which must be the same in every process that collects them.
UNKNOWN_ID = "9f1c2b7e-5d7a-4a53-8f0e-3a1d6c2b9e40"


def unknown_id() -> str:
    return str(uuid.uuid4())


def fresh_phone_number() -> str:
    """A possible number in E.164 that no other test of this run uses."""
    return f"+1212{next(_phone_numbers)}"


@dataclass(frozen=True)
class Answer:
    """What came back over the socket, untouched."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Json:
        return jsonlib.loads(self.body)

    @property
    def error(self) -> str | None:
        return self.json.get("error") if self.body else None

    @property
    def fields(self) -> set[str]:
        """The fields that `details` names (contract § 1)."""
        return {detail["field"] for detail in self.json["details"]}

    def header(self, name: str) -> str | None:
        return self.headers.get(name)

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:600]!r}>"


def assert_refused(answer: Answer, status: int, code: str) -> None:
    """The failure envelope of contract § 1, whole, with this status and code."""
    assert answer.status == status, answer
    body = answer.json
    assert body["ok"] is False
    assert body["error"] == code, answer
    assert isinstance(body["message"], str)
    assert body["message"]
    assert isinstance(body["details"], list)
    assert all(set(detail) == {"field", "message"} for detail in body["details"]), answer
    assert body["request_id"] == answer.header("X-Request-Id")
    assert (answer.header("Content-Type") or "").startswith("application/json")


def assert_done(answer: Answer, status: int = 200) -> Json:
    """The success envelope; answers the body."""
    assert answer.status == status, answer
    assert answer.json["ok"] is True
    assert answer.header("X-Request-Id")
    return answer.json


def connect(base_url: str, timeout_seconds: float = ANSWER_TIMEOUT_SECONDS) -> socket.socket:
    address = urlsplit(base_url)
    assert address.hostname is not None
    assert address.port is not None
    return socket.create_connection((address.hostname, address.port), timeout=timeout_seconds)


@dataclass(frozen=True)
class Api:
    """A thin client: one connection for each request, nothing hidden, nothing retried."""

    base_url: str
    token: str | None
    prefix: str = "/phone-system"

    def with_token(self, token: str | None) -> Api:
        return replace(self, token=token)

    def on(self, base_url: str) -> Api:
        return replace(self, base_url=base_url)

    def at_root(self) -> Api:
        return replace(self, prefix="")

    def get(self, path: str, **more: Any) -> Answer:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> Answer:
        return self.request("POST", path, **more)

    def patch(self, path: str, **more: Any) -> Answer:
        return self.request("PATCH", path, **more)

    def put(self, path: str, **more: Any) -> Answer:
        return self.request("PUT", path, **more)

    def delete(self, path: str, **more: Any) -> Answer:
        return self.request("DELETE", path, **more)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Json = ABSENT,
        raw: bytes | None = None,
        headers: Pairs = (),
        key: str | None = FRESH,
    ) -> Answer:
        """Send `json`, or `raw` as it is; POST and PATCH of outcomes carry a fresh key unless told."""
        body = raw if json is ABSENT else jsonlib.dumps(json).encode()
        pairs = [*headers, *self._key_header(method, path, key)]
        return self._exchange(method, path, pairs, body)

    def _key_header(self, method: str, path: str, key: str | None) -> Pairs:
        if key is None:
            return ()
        if key is not FRESH:
            return (("Idempotency-Key", key),)
        needs_key = method in {"POST", "PATCH"} and path.startswith("/outcomes")
        return (("Idempotency-Key", fresh_key()),) if needs_key else ()

    def _exchange(self, method: str, path: str, headers: Pairs, body: bytes | None) -> Answer:
        connection = http.client.HTTPConnection(
            urlsplit(self.base_url).netloc, timeout=ANSWER_TIMEOUT_SECONDS
        )
        try:
            self._send(connection, method, path, headers, body)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Pairs,
        body: bytes | None,
    ) -> None:
        names = {name.lower() for name, _ in headers}
        connection.putrequest(method, self.prefix + path, skip_accept_encoding=True)
        if self.token is not None and "authorization" not in names:
            connection.putheader("Authorization", f"Bearer {self.token}")
        if body is not None and "content-type" not in names:
            connection.putheader("Content-Type", "application/json")
        for name, value in headers:
            if not (name.lower() == "content-type" and value == "none"):
                connection.putheader(name, value)
        if "transfer-encoding" not in names and (body is not None or method in {"POST", "PUT", "PATCH"}):
            connection.putheader("Content-Length", str(len(body or b"")))
        connection.endheaders(body)

    def pages(self, path: str, noun: str, limit: int = 200) -> list[Json]:
        """Every entry of a list, page after page."""
        entries: list[Json] = []
        cursor = None
        joiner = "&" if "?" in path else "?"
        while True:
            more = f"&cursor={cursor}" if cursor else ""
            page = assert_done(self.get(f"{path}{joiner}limit={limit}{more}"))
            entries.extend(page[noun])
            cursor = page["next_cursor"]
            if cursor is None:
                return entries

    def exchange_bytes(self, request: bytes) -> Answer:
        """Send these bytes on a fresh connection and read one answer: for what no client would send."""
        with connect(self.base_url) as wire:
            wire.sendall(request)
            response = http.client.HTTPResponse(wire)
            with closing(response):
                response.begin()
                return Answer(response.status, response.headers, response.read())


class Server:
    """`leadline serve` as a process of its own on a free port."""

    def __init__(self, database_url: str, directory: Path, *flags: str, **settings: str) -> None:
        self.database_url = database_url
        self.directory = directory
        self.flags = flags
        self.settings = settings
        self.base_url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        """Start and wait, bounded, until it listens."""
        ready = self.directory / f"ready-{uuid.uuid4().hex}"
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "leadline", "serve", "--host", "127.0.0.1", "--port", "0",
                 "--database", self.database_url, *self.flags],
                env=server_environment(LEADLINE_READY_FILE=str(ready), **self.settings),
                cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self.base_url = self._wait_until_ready(ready)
        return self

    def _wait_until_ready(self, ready: Path) -> str:
        def address() -> str:
            if self.process.poll() is not None:
                raise ServerDidNotStart(f"exit {self.process.returncode}\n{self.log()}")
            return ready.read_text().strip() if ready.exists() else ""

        try:
            return eventually(address, START_TIMEOUT_SECONDS)
        except NotInTime as late:
            self.kill()
            raise ServerDidNotStart(self.log()) from late

    @property
    def _log_path(self) -> Path:
        return self.directory / "server.log"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        return self._log_path.read_text(errors="replace")[-8000:]

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL: what a power cut looks like to everyone else."""
        if self.running:
            self.process.kill()
        self.process.wait(timeout=10)


def server_environment(**settings: str) -> dict[str, str]:
    """This environment without anybody's Leadline settings, but with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEADLINE_")}
    return kept | settings


def loopback_settings(**more: str) -> dict[str, str]:
    """Webhooks may go to this machine, and retries come quickly."""
    return {
        "LEADLINE_WEBHOOK_ALLOW_CIDRS": "127.0.0.0/8,::1/128",
        "LEADLINE_WEBHOOK_RETRY_SCHEDULE": RETRY_SCHEDULE,
    } | more


def run_server(database_url: str, directory: Path, **settings: str) -> Iterator[Server]:
    """A server for a fixture: it must end with 0 when it is asked to."""
    server = Server(database_url, directory, **settings).start()
    try:
        yield server
    except BaseException:
        server.kill()
        raise
    assert server.stop() == 0, server.log()


@dataclass(frozen=True)
class Desk:
    """One workspace of a running server, and the verbs that most tests begin with."""

    api: Api
    database_url: str
    organization_id: str
    subaccount_id: str

    @classmethod
    def open(cls, server: Server, name: str = "Test") -> Desk:
        """A fresh workspace with a token for everything."""
        from leadline.wiring import provision_workspace  # noqa: PLC0415 - tests without a server need no wiring

        made = provision_workspace(server.database_url, name)
        api = Api(server.base_url, made.token)
        return cls(api, server.database_url, str(made.organization_id), str(made.subaccount_id))

    def api_with(self, *scopes: str) -> Api:
        """The same workspace through a fresh token with these scopes."""
        from leadline.wiring import provision_token  # noqa: PLC0415 - tests without a server need no wiring

        return self.api.with_token(provision_token(self.database_url, self.subaccount_id, scopes))

    def on(self, server: Server) -> Desk:
        """The same workspace at another process, or at the same one after its restart."""
        return replace(self, api=self.api.on(server.base_url))

    def outcome(self, **fields: Json) -> Json:
        return assert_done(self.api.post("/outcomes", json=fields), 201)["outcome"]

    def action(self, webhook_url: str = NOWHERE, **fields: Json) -> Json:
        named: dict[str, Json] = {"outcome_name": "Interested", "outcome_type": "action"}
        return self.outcome(**named | {"webhook_url": webhook_url} | fields)

    def disposition(self, **fields: Json) -> Json:
        named: dict[str, Json] = {"outcome_name": "Not Qualified", "outcome_type": "disposition"}
        return self.outcome(**named | fields)

    def smart_list(self, name: str | None = None) -> Json:
        chosen = name or f"List {uuid.uuid4().hex[:12]}"
        return assert_done(self.api.post("/smart-lists", json={"smart_list_name": chosen}), 201)["smart_list"]

    def contact(self, **fields: Json) -> Json:
        person: dict[str, Json] = {"phone_number": fresh_phone_number()}
        return assert_done(self.api.post("/contacts", json=person | fields), 201)["contact"]

    def call(self, **fields: Json) -> Json:
        """A live call to a fresh number, unless the fields say otherwise."""
        whom = {} if "contact_id" in fields else {"phone_number": fresh_phone_number()}
        return assert_done(self.api.post("/calls", json=whom | fields), 201)["call"]

    def end(self, call_id: str, **fields: Json) -> Json:
        return assert_done(self.api.post(f"/calls/{call_id}/end", json=fields))["call"]

    def wrapping_call(self, agent_id: str = "agent-1") -> Json:
        """A call in wrap-up; the workspace must have a disposition."""
        call = self.end(self.call(agent_id=agent_id)["call_id"])
        assert call["state"] == "wrap_up", call
        return call

    def apply(self, call_id: str, outcome_id: str, **fields: Json) -> Answer:
        return self.api.post(f"/calls/{call_id}/outcomes", json={"outcome_id": outcome_id} | fields)

    def applied(self, call_id: str, outcome_id: str, **fields: Json) -> Json:
        return assert_done(self.apply(call_id, outcome_id, **fields), 201)["applied"]

    def join(self, smart_list_id: str, contact_id: str) -> None:
        assert_done(self.api.put(f"/smart-lists/{smart_list_id}/contacts/{contact_id}"))

    def lists_of(self, contact_id: str) -> set[str]:
        contact = assert_done(self.api.get(f"/contacts/{contact_id}"))["contact"]
        return {entry["smart_list_id"] for entry in contact["smart_lists"]}

    def read_call(self, call_id: str) -> Json:
        return assert_done(self.api.get(f"/calls/{call_id}"))["call"]

    def read_delivery(self, delivery_id: str) -> Json:
        return assert_done(self.api.get(f"/webhook-deliveries/{delivery_id}"))["delivery"]

    def delivery_in(self, delivery_id: str, state: str) -> Json:
        """The delivery once it has reached `state` (`NotInTime` when it does not)."""

        def probe() -> Json:
            delivery = self.read_delivery(delivery_id)
            return delivery if delivery["state"] == state else None

        return eventually(probe)

    def set_workspace(self, **fields: Json) -> Json:
        return assert_done(self.api.patch("/workspace", json=fields))["workspace"]

    def endpoint_of(self, webhook_url: str) -> Json:
        endpoints = self.api.pages("/webhook-endpoints", "endpoints")
        return next(endpoint for endpoint in endpoints if endpoint["webhook_url"] == webhook_url)

    def set_endpoint(self, webhook_url: str, **fields: Json) -> Json:
        path = f"/webhook-endpoints/{self.endpoint_of(webhook_url)['endpoint_id']}"
        return assert_done(self.api.patch(path, json=fields))["endpoint"]

    def rotate_secret(self, **fields: Json) -> str:
        answer = self.api.post("/webhook-secret/rotate", json=fields)
        secret: str = assert_done(answer, answer.status if answer.status == 201 else 200)["secret"]
        return secret


class EventStream:
    """An open `GET /events` as server-sent events."""

    def __init__(self, api: Api, last_event_id: str | None = None) -> None:
        self._wire = connect(api.base_url)
        resume = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id else ""
        self._wire.sendall(
            f"GET {api.prefix}/events HTTP/1.1\r\nHost: {urlsplit(api.base_url).netloc}\r\n"
            f"Authorization: Bearer {api.token}\r\nAccept: text/event-stream\r\n{resume}\r\n".encode()
        )
        self._response = http.client.HTTPResponse(self._wire)
        self._response.begin()
        self.status = self._response.status
        self.content_type = self._response.getheader("Content-Type") or ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()
        self._wire.close()

    def events(self) -> Iterator[Json]:
        """Each event's `data`, parsed; its `id:` line must say the same id. Comments are passed over."""
        event_id, data = "", []
        while line := self._response.readline():
            name, _, value = line.decode().rstrip("\r\n").partition(":")
            if name == "data":
                data.append(value.removeprefix(" "))
            elif name == "id":
                event_id = value.strip()
            elif not name and not value and data:
                event = jsonlib.loads("\n".join(data))
                assert event_id == str(event["event_id"])
                yield event
                data = []

    def until(self, kind: str) -> list[Json]:
        """The events up to and with the first of this type."""
        seen: list[Json] = []
        for event in self.events():
            seen.append(event)
            if event["type"] == kind:
                return seen
        raise NotInTime(f"the stream ended after {seen!r}")
