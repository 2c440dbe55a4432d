"""Spans of requests and of their transactions. Only imported when tracing is on.

A span holds ids, names of ours and numbers: no path as it was sent, no query, no text of an error.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from leadline.domain.errors import LeadlineError
from leadline.store.database import Database, Together, Tx

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from leadline.web.app import Call

T = TypeVar("T")

_propagator = TraceContextTextMapPropagator()
_CARRIED = frozenset({b"traceparent", b"tracestate"})
# The state of the request that is being answered, for the spans of its transactions.
_state: ContextVar[dict[str, Any] | None] = ContextVar("leadline_request_state", default=None)


def traced(app: ASGIApp, tracer: Tracer) -> ASGIApp:
    """Wrap the application so that each request is a span, a child of the caller's when it sent `traceparent`."""

    async def trace(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})
        _state.set(state)
        parent = _propagator.extract(_carrier(scope))
        attributes = {"http.request.method": scope["method"], "url.scheme": scope["scheme"]}
        with tracer.start_as_current_span(
            scope["method"],
            context=parent,
            kind=SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                await app(scope, receive, _watched(span, send))
            except asyncio.CancelledError:
                span.set_status(StatusCode.ERROR)
                raise
            finally:
                _describe(span, scope, state)

    return trace


def _carrier(scope: Scope) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CARRIED}


def _watched(span: Span, send: Send) -> Send:
    async def watched(message: Message) -> None:
        if message["type"] == "http.response.start":
            span.set_attribute("http.response.status_code", message["status"])
            if message["status"] >= 500:
                span.set_status(StatusCode.ERROR)
        await send(message)

    return watched


def _describe(span: Span, scope: Scope, state: dict[str, Any]) -> None:
    """What is known of a request only when it is over."""
    call: Call | None = state.get("call")
    told = {
        "leadline.request_id": state.get("request_id"),
        "error.type": state.get("error"),
        "client.address": scope["client"][0] if scope.get("client") else None,
    }
    if call is not None:
        span.update_name(f"{scope['method']} {call.operation.path}")
        told |= {
            "http.route": call.operation.path,
            "leadline.operation": call.operation.name,
            "leadline.workspace_id": call.principal.workspace_id,
        }
    span.set_attributes({name: value for name, value in told.items() if value is not None})


class _TracedDatabase:
    """A database whose transactions are spans, from the wait for their turn to the commit."""

    def __init__(self, database: Database, tracer: Tracer) -> None:
        self._database = database
        self._tracer = tracer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def read(self, work: Callable[[Tx], Awaitable[T]], *, long: bool = False) -> T:
        with self._span("read"):
            return await self._database.read(work, long=long)

    async def write(
        self,
        work: Callable[[Tx], Awaitable[T]],
        *,
        long: bool = False,
        durable: bool = True,
        patient: bool = False,
    ) -> T:
        with self._span("write"):
            return await self._database.write(work, long=long, durable=durable, patient=patient)

    async def write_together(self, work: Together[T], workspace_id: str, item: Any) -> T:
        with self._span("write"):
            return await self._database.write_together(work, workspace_id, item)

    @contextlib.contextmanager
    def _span(self, kind: str) -> Iterator[None]:
        state = _state.get()
        call: Call | None = None if state is None else state.get("call")
        with self._tracer.start_as_current_span(
            "transaction" if call is None else call.operation.name,
            attributes={"db.system.name": self._database.engine.value, "leadline.transaction": kind},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except LeadlineError as refused:
                span.set_attribute("error.type", refused.code)
                raise
            except BaseException as failed:
                span.set_attribute("error.type", type(failed).__qualname__)
                span.set_status(StatusCode.ERROR)
                raise


def traced_database(database: Database, tracer: Tracer) -> Database:
    """The same database; each `read` and `write` is a span named after the operation of the request."""
    return cast("Database", _TracedDatabase(database, tracer))
