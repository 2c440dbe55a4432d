"""Server-sent events: every stream reads the database from its own position, woken by commits (contract § 7)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from leadline.domain.errors import InvalidRequest, LeadlineError, Problem, Unavailable
from leadline.ids import parse_id
from leadline.operations.events import (
    Position,
    event_view,
    events_after,
    newest_position,
    position_after,
    position_at,
)
from leadline.store.database import Database, Signal
from leadline.store.events import EventRow
from leadline.web.app import Call
from leadline.web.auth import Authenticator
from leadline.web.decoding import read_query
from leadline.web.metrics import Metrics
from leadline.wire.events import EventsQuery

if TYPE_CHECKING:
    from starlette.types import Send

log = logging.getLogger("leadline.web")

# Found by itself within this time when every signal is lost; also how soon a revoked token's stream ends.
POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
BATCH_MAX = 200
STREAMS_MAX = 5_000

_encode = msgspec.json.Encoder().encode


def _everything(_row: EventRow) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who follows a workspace, from where, and what of it he sees. `still_allowed` raises once he may no more."""

    workspace_id: str
    last_event_id: str | None
    still_allowed: Callable[[], Awaitable[object]]
    sees: Callable[[EventRow], bool] = _everything
    # Without a last event: from this moment on (Unix ms), None for what is new alone.
    since_ms: int | None = None


class EventStreams:
    """The open event streams of one process."""

    def __init__(self, database: Database, authenticator: Authenticator, metrics: Metrics) -> None:
        self._database = database
        self._authenticator = authenticator
        self._metrics = metrics
        self._exiting = asyncio.Event()
        self._bells: dict[str, set[asyncio.Event]] = {}
        self._open = 0
        database.listen(self._heard)

    def stop(self) -> None:
        """End every stream: the server is going, and they must not hold it up."""
        self._exiting.set()
        for bells in self._bells.values():
            for bell in bells:
                bell.set()

    async def serve(self, call: Call, send: Send) -> None:
        """One stream of the API, until the caller goes, the token ends or the server does."""
        query = read_query(EventsQuery, call.raw_query)
        if query.problems:
            raise InvalidRequest("The request is not valid.", details=query.problems)
        sent = call.headers.get(b"last-event-id")
        last = None if sent is None else sent.decode("latin-1").strip()
        if not last:
            after = query.values.get("after")
            last = None if after is None else str(after)

        async def still_allowed() -> None:
            await self._authenticator.known(call.token)

        await self.follow(Subscription(call.principal.workspace_id, last, still_allowed), send)

    async def follow(self, subscription: Subscription, send: Send) -> None:
        """One stream, until its reader goes, may not read any more, or the server goes."""
        position = await self._start(subscription)
        if self._open >= STREAMS_MAX:
            raise Unavailable("Too many event streams are open.")
        self._open += 1
        self._metrics.streams.inc()
        try:
            with self._bell(subscription.workspace_id) as bell:
                await self._send_all(subscription, position, bell, send)
        except OSError:
            pass  # the caller has gone
        finally:
            self._open -= 1
            self._metrics.streams.dec()

    async def _start(self, subscription: Subscription) -> Position:
        workspace_id, last = subscription.workspace_id, subscription.last_event_id
        if last is None:
            since_ms = subscription.since_ms
            if since_ms is None:
                return await self._database.read(lambda tx: newest_position(tx, workspace_id))
            return await self._database.read(lambda tx: position_at(tx, workspace_id, since_ms))
        event_id = parse_id(last)
        if event_id is None:
            problem = Problem("Last-Event-ID", "is not the id of an event")
            raise InvalidRequest("The Last-Event-ID is not valid.", details=[problem])
        return await self._database.read(lambda tx: position_after(tx, workspace_id, event_id))

    async def _send_all(
        self, subscription: Subscription, position: Position, bell: asyncio.Event, send: Send
    ) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"text/event-stream; charset=utf-8"),
                    (b"cache-control", b"no-store"),
                    (b"x-accel-buffering", b"no"),
                ],
            }
        )
        # Something at once, so that the caller knows that the stream stands; with where it starts, so that nothing
        # is left out when it breaks before the first event. An id that no event has stands for the beginning.
        await _send_chunk(send, b": leadline\nretry: 1000\nid: %b\n\n" % position[1].encode())
        async for chunk in self._chunks(subscription, position, bell):
            await _send_chunk(send, chunk)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _chunks(
        self, subscription: Subscription, position: Position, bell: asyncio.Event
    ) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        quiet_since = loop.time()
        while not self._exiting.is_set():
            bell.clear()
            rows: list[EventRow] = []
            try:
                await subscription.still_allowed()
                rows = await self._read(subscription.workspace_id, position)
            except Unavailable:
                pass  # the database is away for a moment; what it holds will still be there
            except LeadlineError:
                return  # revoked, expired, or the workspace has gone
            if rows:
                position = (rows[-1].commit_order, rows[-1].event_id)
                quiet_since = loop.time()
                seen = b"".join(_format(row) for row in rows if subscription.sees(row))
                if seen:
                    yield seen
                if len(rows) == BATCH_MAX:
                    continue
            elif loop.time() - quiet_since >= HEARTBEAT_SECONDS:
                quiet_since = loop.time()
                yield b": still here\n\n"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await bell.wait()

    async def _read(self, workspace_id: str, position: Position) -> list[EventRow]:
        return await self._database.read(lambda tx: events_after(tx, workspace_id, position, BATCH_MAX))

    @contextlib.contextmanager
    def _bell(self, workspace_id: str) -> Iterator[asyncio.Event]:
        bell = asyncio.Event()
        self._bells.setdefault(workspace_id, set()).add(bell)
        try:
            yield bell
        finally:
            bells = self._bells[workspace_id]
            bells.discard(bell)
            if not bells:
                del self._bells[workspace_id]

    def _heard(self, signal: Signal, workspace_id: str) -> None:
        if signal is Signal.EVENTS:
            for bell in self._bells.get(workspace_id, ()):
                bell.set()


def _format(row: EventRow) -> bytes:
    body = _encode(event_view(row))
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (row.event_id.encode(), row.type.encode(), body)


async def _send_chunk(send: Send, chunk: bytes) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": True})
