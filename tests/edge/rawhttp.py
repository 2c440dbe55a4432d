"""Raw HTTP for tests: bytes go out as they are, and what comes back is taken apart strictly."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Self

import uvloop

from leadline.web.edge import BodyTooLarge, guarded, read_body
from leadline.web.protocol import Limits
from leadline.web.server import Server

PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    names: list[str] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        return self.headers.get("connection") == "close"


class Wire:
    """One client connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.was_reset = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Wire:
        # Refused before all of it was sent: the answer says so.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)
        return self

    def end_input(self) -> Wire:
        with contextlib.suppress(OSError):  # closed by the server already
            self.socket.shutdown(socket.SHUT_WR)
        return self

    def more(self) -> bool:
        """Wait for bytes; False at the end of the connection. A hang raises `TimeoutError`."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            self.was_reset = True
            return False
        self.rest += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        while mark not in self.rest:
            if not self.more():
                raise EOFError(self.rest)
        taken, _, self.rest = self.rest.partition(mark)
        return taken

    def exactly(self, count: int) -> bytes:
        while len(self.rest) < count:
            if not self.more():
                raise EOFError(self.rest)
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def to_end(self) -> bytes:
        while self.more():
            pass
        taken, self.rest = self.rest, b""
        return taken

    def head(self) -> tuple[int, dict[str, str], list[str]]:
        first, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1"
        fields = [line.split(": ", 1) for line in lines]
        return (
            int(status),
            {name.lower(): value for name, value in fields},
            [name.lower() for name, _ in fields],
        )

    def answer(self, method: str = "GET") -> Answer:
        """The next answer, whole."""
        status, headers, names = self.head()
        if method == "HEAD" or status in (100, 204, 304):
            body = b""
        elif "content-length" in headers:
            body = self.exactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = self._chunks()
        else:
            body = self.to_end()
        return Answer(status, headers, body, names)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.until(b"\r\n"), 16):
            body += self.exactly(size)
            assert self.exactly(2) == b"\r\n"
        assert self.exactly(2) == b"\r\n"
        return body

    def answers_to_end(self) -> list[Answer]:
        """Every answer until the server closes."""
        answers = []
        while self.rest or self.more():
            answers.append(self.answer())
        return answers


class Echo:
    """A small application with one route for each way to treat a request."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.entered = threading.Event()
        self.left = threading.Event()
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        route: Callable[..., Coroutine[Any, Any, None]] = getattr(
            self, "at_" + scope["path"][1:], self.at_echo
        )
        self.entered.set()
        try:
            await route(scope, receive, send)
        finally:
            self.left.set()

    async def at_echo(self, scope: Any, receive: Any, send: Any) -> None:
        body = await read_body(receive)
        seen = {key: scope[key] for key in ("method", "path", "http_version")}
        seen["query"] = scope["query_string"].decode("latin-1")
        seen["body"] = body.decode("latin-1")
        seen["headers"] = [
            [name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]
        ]
        seen["request_id"] = scope["state"]["request_id"]
        await reply(send, 200, json.dumps(seen).encode())

    async def at_own_413(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await read_body(receive)
        except BodyTooLarge:
            await reply(send, 413, b'{"mine": true}')

    async def at_early(self, scope: Any, receive: Any, send: Any) -> None:
        await reply(send, 401, b'{"ok": false}')

    async def at_wait(self, scope: Any, receive: Any, send: Any) -> None:
        await self.released.wait()
        await self.at_echo(scope, receive, send)

    async def at_forever(self, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async def at_boom(self, scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("boom")

    async def at_half(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError("boom")

    async def at_nothing(self, scope: Any, receive: Any, send: Any) -> None:
        return

    async def at_pieces(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in (b"one ", b"two ", b"three"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def at_large(self, scope: Any, receive: Any, send: Any) -> None:
        await reply(send, 200, b"x" * 8_000_000)

    async def at_events(self, scope: Any, receive: Any, send: Any) -> None:
        """An event stream: ends with the server or with its caller."""
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
        ends = [asyncio.ensure_future(end) for end in (scope["state"]["exiting"].wait(), until_gone(receive))]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def until_gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def reply(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Running:
    """A real server in a thread of its own."""

    def __init__(
        self,
        limits: Limits,
        grace_seconds: float = 20.0,
        factory: Any = uvloop.new_event_loop,
        wrap: Any = guarded,
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = factory()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.echo = Echo()
        self.server = Server(
            wrap(self.echo), host="127.0.0.1", port=0, grace_seconds=grace_seconds, limits=limits
        )
        self.run(self.server.start())
        self.port = self.server.port

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_SECONDS)

    def begin_stop(self) -> Any:
        return asyncio.run_coroutine_threadsafe(self.server.stop(), self.loop)

    def release(self) -> None:
        self.loop.call_soon_threadsafe(self.echo.released.set)

    def wire(self) -> Wire:
        return Wire(self.port)

    def close(self) -> None:
        self.release()
        self.run(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE_SECONDS)
        self.loop.close()
