"""Spans of webhook attempts. Only imported when tracing is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from leadline.delivery.sender import CONNECT_TIMEOUT_SECONDS, AttemptError, AttemptResult, Sender
from leadline.domain.webhook_urls import UnusableUrl, split_target

if TYPE_CHECKING:
    from collections.abc import Mapping

_propagator = TraceContextTextMapPropagator()


class TracedSender(Sender):
    """A sender whose attempts are client spans.

    The span names the receiver's host and port, not its URL: receivers put keys into theirs. `traceparent` is sent
    along only when `propagating`, for a receiver may be anybody.
    """

    def __init__(self, tracer: Tracer, *, propagating: bool, **sending: Any) -> None:
        super().__init__(**sending)
        self._tracer = tracer
        self._propagating = propagating

    async def send(
        self,
        *,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_seconds: float,
        connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
    ) -> AttemptResult:
        """As `Sender.send`, within a span."""
        with self._tracer.start_as_current_span(
            "POST",
            kind=SpanKind.CLIENT,
            attributes=_before(url, headers, body),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            sent = dict(headers)
            if self._propagating:
                _propagator.inject(sent)
            result = await super().send(
                url=url,
                headers=sent,
                body=body,
                timeout_seconds=timeout_seconds,
                connect_timeout_seconds=connect_timeout_seconds,
            )
            _after(span, result)
            return result


def _before(url: str, headers: Mapping[str, str], body: bytes) -> dict[str, str | int]:
    known: dict[str, str | int] = {
        "http.request.method": "POST",
        "http.request.body.size": len(body),
        "leadline.delivery_id": headers.get("webhook-id", ""),
    }
    try:
        target = split_target(url)
    except UnusableUrl:
        return known  # the attempt will be recorded as blocked
    return known | {"server.address": target.ascii_host, "server.port": target.port}


def _after(span: Span, result: AttemptResult) -> None:
    found = {
        "http.response.status_code": result.status,
        "network.peer.address": result.remote_address,
        "leadline.dns_ms": result.timings.dns_ms,
        "leadline.connect_ms": result.timings.connect_ms,
        "leadline.tls_ms": result.timings.tls_ms,
        "leadline.first_byte_ms": result.timings.first_byte_ms,
    }
    span.set_attributes({name: value for name, value in found.items() if value is not None})
    if result.error is not None:
        told = str(result.status) if result.error is AttemptError.HTTP_STATUS else result.error.value
        span.set_attribute("error.type", told)
        span.set_status(StatusCode.ERROR)
