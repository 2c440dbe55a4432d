"""One request and its answer: uvicorn's cycle, which here can fail a body and leaves no caller waiting."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from leadline.ids import new_id
from leadline.web.edge import AnswerCutShort, ClientGone, EdgeRefusal, problem, send_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent

log = logging.getLogger("leadline.web")

_RETRY_AFTER = (b"retry-after", b"1")


class LingeringTransport:
    """The transport as uvicorn sees it: to close it is to let the connection close in its own time."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class Cycle(RequestResponseCycle):
    """One request and its answer."""

    failure: EdgeRefusal | None = None
    half_closed = False
    delivered = False
    until_close = False

    def fail(self, failure: EdgeRefusal) -> None:
        """The body will never be complete: `receive` raises this from now on."""
        self.failure = failure
        self.keep_alive = False
        self.message_event.set()

    def see_end_of_input(self) -> None:
        """The caller sends nothing more; it may have gone, or only wait for its answer."""
        self.half_closed = True
        self.keep_alive = False
        self.message_event.set()

    async def receive(self) -> ASGIReceiveEvent:
        """The next piece of the body; `http.disconnect` once the caller has gone or was answered.

        Raises `BodyTooSlow` or `BodyBroken` when the rest of the body will not come.
        """
        if self.waiting_for_100_continue:
            self._invite_body()
        if not (self.disconnected or self.response_complete):
            if self.more_body and not self.transport.is_closing():
                self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        return self._next_piece()

    def _invite_body(self) -> None:
        self.waiting_for_100_continue = False
        if self.more_body and not self.body and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _next_piece(self) -> ASGIReceiveEvent:
        if self.failure is not None:
            self.message_event.set()  # also the next call must not wait
            raise self.failure
        if self.delivered:
            self.message_event.set()
            return {"type": "http.disconnect"}
        body, self.body = bytes(self.body), bytearray()
        self.delivered = not self.more_body
        if self.half_closed:
            self.message_event.set()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: ASGISendEvent) -> None:
        """Write the answer; for an HTTP/1.0 caller, who knows no chunks, it may end with the connection."""
        if not self.response_started:
            if self.waiting_for_100_continue and self.more_body:
                # The caller was not invited to send its body and may never do so: what comes next is unclear.
                self.keep_alive = False
            if self.scope["http_version"] == "1.0" and message["type"] == "http.response.start":
                names = [name.lower() for name, _ in message.get("headers", ())]
                if b"content-length" not in names:
                    self.until_close, self.chunked_encoding = True, False
        elif self.until_close and message["type"] == "http.response.body" and not self.disconnected:
            await self._send_bare(message.get("body", b""))
            more_body = message.get("more_body", False)
            message = {"type": "http.response.body", "body": b"", "more_body": more_body}
        await super().send(message)

    async def _send_bare(self, body: bytes) -> None:
        if self.flow.write_paused:
            await self.flow.drain()
        if not self.disconnected and self.scope["method"] != "HEAD":
            self.transport.write(body)

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Run the application; whatever it does, the caller gets one whole answer or a closed connection."""
        try:
            await app(self.scope, self.receive, self.send)
        except (AnswerCutShort, ClientGone):
            pass
        except EdgeRefusal as refusal:
            await self._answer(refusal.status, refusal.code, refusal.message)
        except asyncio.CancelledError:
            # Only stop() cancels, when the grace is over. The caller may try again elsewhere.
            await self._answer(503, "unavailable", "The server is shutting down.", _RETRY_AFTER)
        except Exception:
            log.exception("the application failed")
            await self._answer(500, "internal_error", "Something went wrong on our side.")
        if not (self.response_complete or self.disconnected):
            if not self.response_started:
                log.error("the application returned without an answer")
                await self._answer(500, "internal_error", "Something went wrong on our side.")
            else:
                self.transport.close()

    async def _answer(self, status: int, code: str, message: str, *headers: tuple[bytes, bytes]) -> None:
        if self.response_started or self.disconnected:
            return
        request_id = self.scope.get("state", {}).get("request_id") or new_id()
        body = problem(code, message, request_id)
        fields = [(b"x-request-id", request_id.encode("ascii")), *headers]
        await send_problem(cast("Any", self.send), status, body, headers=fields)
