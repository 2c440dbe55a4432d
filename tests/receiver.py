"""A real receiver of webhooks on loopback: it records what comes and answers as told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from harness import eventually


@dataclass(frozen=True)
class Hit:
    """One request as it arrived; `target` is the raw request target."""

    method: str
    target: str
    headers: Message
    body: bytes

    @property
    def webhook_id(self) -> str:
        return str(self.headers["webhook-id"])


@dataclass(frozen=True)
class Reply:
    """What to answer; with `gate`, only once that event is set."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    gate: threading.Event | None = field(default=None, compare=False)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ReceiverServer

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reply = self.server.note(Hit(self.command, self.path, self.headers, body))
        if reply.gate is not None:
            reply.gate.wait(timeout=30)
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if reply.status not in {204, 304}:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.status not in {204, 304}:
            self.wfile.write(reply.body)

    do_POST = do_GET = do_PUT = _answer

    def log_message(self, *_: object) -> None:
        """Silent: the hits are the record."""


class ReceiverServer(ThreadingHTTPServer):
    """One listening socket for the whole run; each test has a path of its own on it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._lock = threading.Lock()
        self._hits: dict[str, list[Hit]] = defaultdict(list)
        self._replies: dict[str, deque[Reply]] = defaultdict(deque)
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        """A sender that is killed in the middle is part of the tests."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def note(self, hit: Hit) -> Reply:
        path = urlsplit(hit.target).path
        with self._lock:
            self._hits[path].append(hit)
            replies = self._replies[path]
            return replies.popleft() if replies else Reply()

    def hits(self, path: str) -> list[Hit]:
        with self._lock:
            return list(self._hits[path])

    def script(self, path: str, replies: Sequence[Reply]) -> None:
        with self._lock:
            self._replies[path].extend(replies)


class Receiver:
    """One test's own URL: `url` to give to an outcome, `wait_for` to see what came."""

    def __init__(self, server: ReceiverServer) -> None:
        self._server = server
        self.path = f"/{uuid.uuid4().hex}"

    @property
    def url(self) -> str:
        return self._server.base_url + self.path

    @property
    def hits(self) -> list[Hit]:
        return self._server.hits(self.path)

    def another(self) -> Receiver:
        """A second URL, which is a second endpoint."""
        return Receiver(self._server)

    def answer_with(self, *replies: Reply | int) -> None:
        """Answer the next requests like this, each once; after them 200."""
        scripted = [Reply(reply) if isinstance(reply, int) else reply for reply in replies]
        self._server.script(self.path, scripted)

    def wait_for(self, count: int = 1, timeout_seconds: float = 15.0) -> list[Hit]:
        """The hits once there are at least `count` of them."""
        return eventually(lambda: self.hits if len(self.hits) >= count else [], timeout_seconds)


def signature_of(secret: str, hit: Hit) -> str:
    """What Standard Webhooks wants in `webhook-signature` for this request (contract § 5)."""
    secret_bytes = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{hit.webhook_id}.{hit.headers['webhook-timestamp']}.".encode() + hit.body
    return "v1," + base64.b64encode(hmac.new(secret_bytes, signed, hashlib.sha256).digest()).decode()
