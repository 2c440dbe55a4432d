"""OpenTelemetry: what leaves the process for a collector, and that nothing does unless it is asked for."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self, cast

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness import Desk, Server, assert_done, eventually, server_environment
from leadline.tracing import is_asked_for, start_tracing
from receiver import Receiver

PARENT_TRACE, PARENT_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{PARENT_TRACE}-{PARENT_SPAN}-01"
NOTE = "Zebulonia likes tea"


class Collector:
    """An OTLP/HTTP collector on loopback that keeps what it gets."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        self.bodies.append(body)
        for each in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(attributes(each.resource))
            for scope in each.scope_spans:
                self.spans.extend(scope.spans)

    def span(self, **wanted: Any) -> Any:
        """The first span with these attributes (`__` stands for a dot), waited for."""
        pairs = {name.replace("__", "."): value for name, value in wanted.items()}

        def found() -> Any:
            return next((each for each in self.spans if pairs.items() <= attributes(each).items()), None)

        return eventually(found)


def attributes(of: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        yield listening


@pytest.fixture(scope="module")
def traced_server(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("traced")
    server = Server(
        f"sqlite:///{folder / 'traced.db'}",
        folder,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="50",
        LEADLINE_WEBHOOK_ALLOW_CIDRS="127.0.0.0/8",
        LEADLINE_WEBHOOK_TRACEPARENT="true",
        LEADLINE_LOG_REQUESTS="true",
        LEADLINE_LOG_FORMAT="json",
    ).start()
    yield server
    server.kill()


@pytest.fixture
def desk(traced_server: Server) -> Desk:
    return Desk.open(traced_server)


def test_a_request_its_transaction_and_its_webhook_are_spans(
    desk: Desk, collector: Collector, receiver: Receiver, traced_server: Server
) -> None:
    outcome = desk.action(webhook_url=f"{receiver.url}?key=very-secret")
    call = desk.call(phone_number="+12125550188")
    answer = desk.api.post(
        f"/calls/{call['call_id']}/outcomes",
        json={"outcome_id": outcome["outcome_id"], "note": NOTE},
        headers=[("traceparent", PARENT), ("X-Request-Id", "follow-me")],
    )
    delivery_id = assert_done(answer, 201)["applied"]["delivery_id"]
    request = collector.span(leadline__request_id="follow-me")
    route = "/phone-system/calls/{call_id}/outcomes"
    assert request.name == f"POST {route}"
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (PARENT_TRACE, PARENT_SPAN)
    assert (
        attributes(request).items()
        >= {
            "http.route": route,
            "http.response.status_code": 201,
            "leadline.workspace_id": desk.subaccount_id,
        }.items()
    )
    write = next(each for each in collector.spans if each.parent_span_id == request.span_id)
    assert write.name == "apply_outcome"
    assert attributes(write) == {"db.system.name": "sqlite", "leadline.transaction": "write"}
    attempt = collector.span(leadline__delivery_id=delivery_id)
    assert attributes(attempt)["http.response.status_code"] == 200
    assert attributes(attempt)["server.address"] == "127.0.0.1"
    assert collector.resources[0]["service.name"] == "leadline"
    sent = receiver.wait_for(1)[0].headers["traceparent"]
    assert sent.startswith(f"00-{attempt.trace_id.hex()}-{attempt.span_id.hex()}-")
    lines = [json.loads(line) for line in traced_server.log().splitlines() if '"follow-me"' in line]
    assert [line["trace_id"] for line in lines] == [PARENT_TRACE]


def test_a_refusal_tells_its_code_and_nobodys_words(desk: Desk, collector: Collector) -> None:
    desk.api.get("/contacts/+12125550188?q=Zebulonia", headers=[("X-Request-Id", "refuse-me")])
    span = collector.span(leadline__request_id="refuse-me")
    assert attributes(span)["error.type"] == "contact_not_found" or span.name.endswith("{contact_id}")
    desk.api.get(f"/calls/{desk.subaccount_id}", headers=[("X-Request-Id", "miss-me")])
    assert attributes(collector.span(leadline__request_id="miss-me"))["error.type"] == "call_not_found"
    everything = b"".join(collector.bodies)
    token = cast("str", desk.api.token).encode()
    for private in (b"Zebulonia", b"12125550188", b"very-secret", token):
        assert private not in everything


def test_a_failed_attempt_tells_its_class(desk: Desk, collector: Collector) -> None:
    outcome = desk.action()
    applied = assert_done(desk.apply(desk.call()["call_id"], outcome["outcome_id"]), 201)["applied"]
    span = collector.span(leadline__delivery_id=applied["delivery_id"])
    assert attributes(span)["error.type"] == "connect"
    assert span.status.code == 2


async def test_a_collector_that_is_away_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:64998")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3")
    monkeypatch.setattr("leadline.tracing.CLOSE_SECONDS", 0.2)
    tracing = start_tracing("0")
    assert tracing is not None
    tracing.tracer.start_span("lost").end()
    await tracing.close()
    assert "could not be sent" in caplog.text
    # What goes on without us ends as well, quietly.
    for thread in threading.enumerate():
        if thread.name == "leadline-tracing-end":
            await asyncio.to_thread(thread.join, 30)


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "leadline"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
    ],
)
def test_the_standards_variables_turn_it_on_and_off(environ: dict[str, str], asked: bool) -> None:
    assert is_asked_for(environ) is asked


def test_another_protocol_is_refused_in_words(caplog: pytest.LogCaptureFixture) -> None:
    environ = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert start_tracing("0", environ) is None
    assert "http/protobuf" in caplog.text


WITHOUT_THE_PACKAGE = """
import asyncio, os, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
from leadline.logs import set_up_logs
from leadline.settings import Settings
from leadline.wiring import Runtime
async def serve_once():
    runtime = Runtime(Settings(database_url="sqlite:///x.db", port=0))
    await runtime.start()
    await runtime.stop()
set_up_logs("text", "info")
asyncio.run(serve_once())
print("not asked for", file=sys.stderr)
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:4318"
asyncio.run(serve_once())
"""


def test_without_the_package_nothing_is_missed_until_it_is_asked_for(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_PACKAGE],
        env=server_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    before, _, after = done.stderr.partition("not asked for")
    assert before == ""
    assert "pip install 'leadline[otel]'" in after
