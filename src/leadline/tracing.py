"""OpenTelemetry, when the extra `leadline[otel]` is installed and the standard variables ask for it.

Off and free otherwise: nothing of OpenTelemetry is imported, and no request passes through anything more. The
OTEL_… variables are the standard's own (endpoint, headers, sampler, resource), so they are read where the standard
says, from the environment, and are no settings of Leadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leadline.logs import add_fields

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

log = logging.getLogger("leadline.tracing")

CLOSE_SECONDS = 2.0
"""How long the last spans may take to leave at the end; a collector that is away holds nobody up."""
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP = "http/protobuf"


def is_asked_for(environ: Mapping[str, str]) -> bool:
    """Whether the standard's variables turn tracing on: an endpoint, or `OTEL_TRACES_EXPORTER=otlp`."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter:
        return exporter == "otlp"
    return any(environ.get(name, "").strip() for name in _ENDPOINTS)


@dataclass(frozen=True, slots=True)
class Tracing:
    """Spans of this process, on their way to a collector."""

    tracer: Tracer
    provider: TracerProvider

    async def close(self) -> None:
        """Send what is left, within `CLOSE_SECONDS`."""
        add_fields(None)
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self.provider.shutdown()
            with contextlib.suppress(RuntimeError):  # nobody waited so long: the loop is closed
                loop.call_soon_threadsafe(done.set)

        # A thread that nobody waits for: the exporter's retries may take longer than we do.
        threading.Thread(target=shut_down, name="leadline-tracing-end", daemon=True).start()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await done.wait()
        except TimeoutError:
            log.warning("the last spans could not be sent within %g s", CLOSE_SECONDS)


def start_tracing(version: str, environ: Mapping[str, str] | None = None) -> Tracing | None:
    """Begin to trace when it is asked for; None when it is not, or cannot be (the log says why)."""
    environ = os.environ if environ is None else environ
    if not is_asked_for(environ):
        return None
    protocol = next((environ[name].strip() for name in _PROTOCOLS if environ.get(name, "").strip()), _HTTP)
    if protocol != _HTTP:
        log.warning("tracing is off: of OTEL_EXPORTER_OTLP_PROTOCOL only %s is spoken", _HTTP)
        return None
    try:
        return _start(version, environ)
    except ImportError as missing:
        log.warning("tracing is off: pip install 'leadline[otel]' (%s)", missing)
        return None


def _start(version: str, environ: Mapping[str, str]) -> Tracing:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = {} if environ.get("OTEL_SERVICE_NAME") else {"service.name": "leadline"}
    resource = Resource({"service.version": version, **named}).merge(Resource.create())
    if named and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        resource = resource.merge(Resource(named))
    # Not at exit: `close` is our end, and it is bounded.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    add_fields(_current_ids)
    return Tracing(provider.get_tracer("leadline", version), provider)


def _current_ids() -> dict[str, Any]:
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
