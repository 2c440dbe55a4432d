"""The echo: the shipped edge and protocol with a route that reads the body and answers as many bytes as asked for.

`python -m benchmarks.echo PORT`; any request to `…/N` is answered with N bytes. What is missing here is everything that
Leadline does behind its edge: token, route, key, decoding, database, encoding.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from functools import cache
from typing import TYPE_CHECKING

import uvloop

from leadline.web.edge import guarded, read_body
from leadline.web.server import Server

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


async def _serve(port: int) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    server = Server(guarded(echo), host="127.0.0.1", port=port)
    await server.start()
    await stopping.wait()
    await server.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1])))
