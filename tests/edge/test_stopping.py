"""Starting and stopping: no answer is lost, and nothing holds the end up for ever."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable

import pytest

from edge.rawhttp import PATIENCE_SECONDS, Running, Wire
from leadline.web.edge import guarded
from leadline.web.server import CannotListen, PortTaken, Server

FINE = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"


def test_start_tells_port_and_url(server: Running) -> None:
    assert server.server.port > 0
    assert server.server.url == f"http://127.0.0.1:{server.port}"


def test_taken_port_is_a_named_error(server: Running) -> None:
    second = Server(guarded(server.echo), host="127.0.0.1", port=server.port)
    with pytest.raises(PortTaken, match=f"Port {server.port} on 127.0.0.1 is already in use"):
        server.run(second.start())


def test_address_of_nobody_is_a_named_error(server: Running) -> None:
    second = Server(guarded(server.echo), host="192.0.2.1", port=0)
    with pytest.raises(CannotListen, match=r"192\.0\.2\.1"):
        server.run(second.start())


def test_no_signal_handler_is_installed(server: Running) -> None:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    # A shell has what it runs in the background ignore it.
    assert signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_IGN)


def test_running_request_finishes_and_idle_connection_closes(run_server: Callable[..., Running]) -> None:
    server = run_server()
    with server.wire() as idle, server.wire() as fresh, server.wire() as busy:
        assert idle.send(FINE).answer().status == 200
        server.echo.entered.clear()
        busy.send(WAIT)
        assert server.echo.entered.wait(PATIENCE_SECONDS)
        stopping = server.begin_stop()
        assert idle.to_end() == b""
        assert fresh.to_end() == b""
        assert not stopping.done()
        with pytest.raises(ConnectionRefusedError):
            Wire(server.port)
        server.release()
        assert [answer.status for answer in busy.answers_to_end()] == [200]
        stopping.result(PATIENCE_SECONDS)


def test_head_under_way_at_the_stop_is_still_answered(run_server: Callable[..., Running]) -> None:
    server = run_server()
    with server.wire() as wire:
        assert wire.send(FINE).answer().status == 200
        wire.send(FINE[:10])
        server.run(until_head(server))
        stopping = server.begin_stop()
        server.run(server.server.exiting.wait())
        answers = wire.send(FINE[10:]).answers_to_end()
        assert [(answer.status, answer.closes) for answer in answers] == [(200, True)]
        stopping.result(PATIENCE_SECONDS)


def test_open_event_stream_ends_with_the_server(run_server: Callable[..., Running]) -> None:
    server = run_server()
    with server.wire() as wire:
        wire.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n").until(b": hello\n\n")
        server.run(server.server.stop())
        assert wire.to_end().endswith(b"0\r\n\r\n")
    assert server.server.exiting.is_set()


def test_request_still_running_after_the_grace_is_told_so(run_server: Callable[..., Running]) -> None:
    server = run_server(options={"grace_seconds": 0.1})
    with server.wire() as wire:
        wire.send(b"GET /forever HTTP/1.1\r\nHost: a\r\n\r\n")
        assert server.echo.entered.wait(PATIENCE_SECONDS)
        server.run(server.server.stop())
        answer = wire.answer()
    assert (answer.status, answer.json["error"], answer.headers["retry-after"]) == (503, "unavailable", "1")


def test_second_stop_does_no_harm(run_server: Callable[..., Running]) -> None:
    server = run_server()
    server.run(server.server.stop())
    server.run(server.server.stop())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


async def until_head(server: Running) -> None:
    """Every byte sent so far is parsed when another connection, opened later, has been served."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(FINE)
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
