"""The HTTP server: binds, serves inside somebody else's event loop, and stops without losing an answer."""

from __future__ import annotations

import asyncio
import errno
import logging
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, cast

from uvicorn.config import Config

from leadline.web.protocol import Connection, Limits, State

if TYPE_CHECKING:
    from starlette.types import ASGIApp

log = logging.getLogger("leadline.web")

_BACKLOG = 2048
_SWEEP_SECONDS_MAX = 0.5
_FAREWELL_SECONDS = 2.0


class CannotListen(Exception):
    """The address cannot be listened on; the message says which and why."""


class PortTaken(CannotListen):
    """Another program listens on this port already."""


class Server:
    """Serves one ASGI application over HTTP/1.1. Installs no signal handlers and starts no thread.

    `exiting` is set first thing in `stop`, so that an open event stream can race it; the application
    finds the same event in `scope["state"]["exiting"]`. After `start`, `port` and `url` say where it is.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        port: int,
        grace_seconds: float = 20.0,
        limits: Limits | None = None,
    ) -> None:
        """`port` 0 takes a free one. `grace_seconds` is how long `stop` lets running requests go on."""
        self.host = host
        self.port = port
        self._grace_seconds = grace_seconds
        self._limits = limits or Limits()
        self._state = State(self._limits)
        self.exiting = self._state.exiting
        self._config = _config(app)
        self._listener: asyncio.AbstractServer | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._stopping = asyncio.Lock()

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the server, without a slash at the end."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Bind and begin to accept. Raises `PortTaken` or `CannotListen`."""
        loop = asyncio.get_running_loop()
        self._refresh_date()
        try:
            listener = await loop.create_server(self._connection, self.host, self.port, backlog=_BACKLOG)
        except OSError as error:
            raise _cannot_listen(self.host, self.port, error) from error
        self._listener = listener
        self.port = listener.sockets[0].getsockname()[1]
        self._sweeper = loop.create_task(self._sweep())

    def _connection(self) -> Connection:
        return Connection(self._config, self._state, {"exiting": self.exiting})

    async def stop(self) -> None:
        """Stop accepting, close what is idle, let what is running finish within the grace, then close.

        A request still running after the grace is cancelled and answered 503 `unavailable`.
        """
        self.exiting.set()
        async with self._stopping:
            if self._listener is None:
                return
            self._listener.close()
            self._listener = None
            for connection in self._connections():
                connection.shutdown()
            if not await self._all_done(self._grace_seconds):
                await self._cut_off()
            if self._sweeper is not None:
                self._sweeper.cancel()
                await asyncio.wait([self._sweeper])

    def _connections(self) -> list[Connection]:
        return cast("list[Connection]", list(self._state.connections))

    async def _all_done(self, within_seconds: float) -> bool:
        try:
            async with asyncio.timeout(within_seconds):
                while self._state.connections:
                    self._state.all_closed.clear()
                    await self._state.all_closed.wait()
                while self._state.tasks:
                    await asyncio.wait(set(self._state.tasks))
        except TimeoutError:
            return False
        return True

    async def _cut_off(self) -> None:
        log.warning("%d requests were still running at the end of the grace", len(self._state.tasks))
        for task in set(self._state.tasks):
            task.cancel()
        if not await self._all_done(_FAREWELL_SECONDS):
            for connection in self._connections():
                connection.abort()

    async def _sweep(self) -> None:
        """Keep the deadlines of all connections, and the time in the Date header."""
        loop = asyncio.get_running_loop()
        every_seconds = min(_SWEEP_SECONDS_MAX, self._limits.shortest_seconds / 4)
        while True:
            await asyncio.sleep(every_seconds)
            self._refresh_date()
            now_seconds = loop.time()
            for connection in self._connections():
                try:
                    connection.check_deadline(now_seconds)
                except Exception:
                    log.exception("a connection could not be swept")
                    connection.abort()

    def _refresh_date(self) -> None:
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode("ascii"))]


def _config(app: ASGIApp) -> Config:
    """Settings of uvicorn: none of its logging, proxy trust, lifespan or WebSockets."""
    config = Config(
        cast("Any", app),  # any ASGI application; uvicorn's own type for it is narrower than Starlette's
        interface="asgi3",
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
    )
    config.load()
    return config


def _cannot_listen(host: str, port: int, error: OSError) -> CannotListen:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(f"Port {port} on {host} is already in use.")
    return CannotListen(f"Cannot listen on port {port} of {host}: {error.strerror or error}.")
