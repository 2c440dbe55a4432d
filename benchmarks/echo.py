"""Two echoes, which answer as many bytes as Leadline would.

`python -m benchmarks.echo PORT`: the shipped edge and protocol with a route that reads the body; any request to `…/N`
is answered with N bytes. What is missing is all behind the edge: token, route, key, decoding, database, encoding.

`python -m benchmarks.echo PORT DATABASE_URL BYTES`: the shipped server with every check of a request (token, scope,
route, media type, key, JSON, fields), and in place of carrying it out an answer of BYTES bytes. What is missing is
the work.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from functools import cache
from typing import TYPE_CHECKING

import uvloop

from leadline.operations.idempotency import EncodedAnswer
from leadline.settings import Settings
from leadline.web import app
from leadline.web.edge import guarded, read_body
from leadline.web.server import Server
from leadline.web.table import Operation
from leadline.wiring import Runtime

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI application. Its headers are those of Leadline's answers."""
    await read_body(receive)
    body = _answer(int(scope["path"].rpartition("/")[2]))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@cache
def _answer(size_bytes: int) -> bytes:
    return b" " * size_bytes


class CheckedEcho(app.Api):
    """The API as far as a request has passed every check."""

    answer_bytes = 0

    async def _perform(self, operation: Operation, *_: object) -> EncodedAnswer:
        return EncodedAnswer(201 if operation.writes else 200, _answer(self.answer_bytes))


async def _serve_checked(port: int, database_url: str, answer_bytes: int) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    CheckedEcho.answer_bytes = answer_bytes
    app.Api = CheckedEcho  # type: ignore[misc] # the wiring takes it from there
    runtime = Runtime(Settings(database_url=database_url, port=port, log_level="warning"))
    await runtime.start()
    await stopping.wait()
    await runtime.stop()


async def _serve(port: int) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    server = Server(guarded(echo), host="127.0.0.1", port=port)
    await server.start()
    await stopping.wait()
    await server.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if len(sys.argv) > 2:
            runner.run(_serve_checked(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
        else:
            runner.run(_serve(int(sys.argv[1])))
