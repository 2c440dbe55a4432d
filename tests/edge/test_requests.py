"""What honest and impatient clients rely on: bodies, early answers, pipelines, half-closed sockets."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

import pytest

from edge.rawhttp import PATIENCE_SECONDS, Running

FINE = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"


def request(path: str, *lines: bytes, method: str = "POST", body: bytes = b"") -> bytes:
    fields = b"".join(line + b"\r\n" for line in (b"Host: a", *lines))
    return f"{method} {path} HTTP/1.1\r\n".encode() + fields + b"\r\n" + body


def test_path_query_headers_and_body_reach_the_application(server: Running) -> None:
    raw = request("/a%20b/c?x=%31&y", b"X-Spaces:   two words \t ", b"Content-Length: 5", body=b"hello")
    with server.wire() as wire:
        seen = wire.send(raw).answer().json
    assert (seen["method"], seen["path"], seen["query"], seen["body"]) == (
        "POST",
        "/a b/c",
        "x=%31&y",
        "hello",
    )
    assert ["x-spaces", "two words"] in seen["headers"]


def test_absolute_form_is_read_as_its_path(server: Running) -> None:
    with server.wire() as wire:
        raw = b"GET http://elsewhere:81?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"
        seen = wire.send(raw).answer().json
    assert (seen["path"], seen["query"]) == ("/", "x=1")


def test_trailer_never_becomes_a_header(server: Running) -> None:
    body = b"5\r\nhello\r\n0\r\nAuthorization: Bearer stolen\r\nX-Late: 1\r\n\r\n"
    with server.wire() as wire:
        seen = wire.send(request("/echo", b"Transfer-Encoding: chunked", body=body)).answer().json
        later = wire.send(FINE).answer().json
    assert seen["body"] == "hello"
    assert [name for name, _ in seen["headers"]] == ["host", "transfer-encoding"]
    assert [name for name, _ in later["headers"]] == ["host"]


@pytest.mark.parametrize(
    ("framing", "body"),
    [(b"Content-Length: 5", b"hello"), (b"Transfer-Encoding: chunked", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")],
)
def test_body_behind_an_upgrade_is_read_and_the_next_request_too(
    server: Running, framing: bytes, body: bytes
) -> None:
    raw = request("/echo", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", framing, body=body)
    with server.wire() as wire:
        wire.send(raw + FINE)
        assert wire.answer().json["body"] == "hello"
        assert wire.answer().json["method"] == "GET"
        for at in range(len(raw)):
            wire.send(raw[at : at + 1])
        assert wire.answer().json["body"] == "hello"


def test_expected_continue_is_sent_when_the_body_is_wanted(server: Running) -> None:
    with server.wire() as wire:
        wire.send(request("/echo", b"Expect: 100-continue", b"Content-Length: 5"))
        assert wire.answer().status == 100
        assert wire.send(b"hello").answer().json["body"] == "hello"
        assert wire.send(FINE).answer().status == 200


def test_early_refusal_sends_no_continue_and_closes(server: Running) -> None:
    with server.wire() as wire:
        wire.send(request("/early", b"Expect: 100-continue", b"Content-Length: 5"))
        answers = wire.answers_to_end()
    assert [(answer.status, answer.closes) for answer in answers] == [(401, True)]


def test_early_answer_reads_the_body_away_and_keeps_the_connection(server: Running) -> None:
    with server.wire() as wire:
        wire.send(request("/early", b"Content-Length: 60000", body=b"a" * 10))
        assert wire.answer().status == 401
        wire.send(b"a" * 59_990)
        assert wire.send(FINE).answer().status == 200


def test_early_refusal_of_a_large_body_is_not_lost_to_a_reset(server: Running) -> None:
    with server.wire() as wire:
        wire.send(request("/echo", b"Content-Length: 600000"))
        wire.send(b"a" * 600_000)
        answers = wire.answers_to_end()
        assert not wire.was_reset
    assert [answer.status for answer in answers] == [413]


def test_application_may_answer_a_body_over_the_limit_itself_and_the_connection_closes(
    server: Running,
) -> None:
    raw = request("/own_413", b"Transfer-Encoding: chunked", body=b"10001\r\n" + b"a" * 0x10001)
    with server.wire() as wire:
        answers = wire.send(raw).answers_to_end()
    assert [(answer.json, answer.closes) for answer in answers] == [({"mine": True}, True)]


def test_body_nobody_wants_cannot_go_on_for_ever(server: Running) -> None:
    with server.wire() as wire:
        wire.send(request("/early", b"Transfer-Encoding: chunked"))
        assert wire.answer().status == 401
        for _ in range(80):
            wire.send(b"8000\r\n" + b"a" * 0x8000 + b"\r\n")
        assert wire.answers_to_end() == []


def test_unannounced_length_is_chunked_for_1_1_and_ends_with_the_connection_for_1_0(server: Running) -> None:
    with server.wire() as wire:
        modern = wire.send(request("/pieces", method="GET")).answer()
        old = wire.send(b"GET /pieces HTTP/1.0\r\nHost: a\r\n\r\n").answer()
    assert modern.headers["transfer-encoding"] == "chunked"
    assert "transfer-encoding" not in old.headers
    assert modern.body == old.body == b"one two three"


def test_head_answer_has_no_body(server: Running) -> None:
    with server.wire() as wire:
        answer = wire.send(request("/echo", method="HEAD")).answer("HEAD")
        assert int(answer.headers["content-length"]) > 0
        assert wire.send(FINE).answer().status == 200


@pytest.mark.parametrize("sane", ["a", "A-Z.a_z:0/9+=", "x" * 128])
def test_sane_request_id_is_the_callers(server: Running, sane: str) -> None:
    with server.wire() as wire:
        answer = wire.send(request("/echo", b"X-Request-Id: " + sane.encode(), method="GET")).answer()
    assert answer.headers["x-request-id"] == answer.json["request_id"] == sane


@pytest.mark.parametrize("odd", [b"", b"x" * 129, b"a b", b"a\tb", "é".encode(), b"a\r\nX-Request-Id: b"])
def test_odd_request_id_is_replaced(server: Running, odd: bytes) -> None:
    with server.wire() as wire:
        answer = wire.send(request("/echo", b"X-Request-Id: " + odd, method="GET")).answer()
    assert answer.headers["x-request-id"] == answer.json["request_id"]
    assert answer.headers["x-request-id"][14] == "7"
    assert answer.names.count("x-request-id") == 1


def test_refusal_carries_the_callers_request_id(server: Running) -> None:
    with server.wire() as wire:
        raw = request("/echo", b"X-Request-Id: mine", b"Content-Length: 70000")
        assert wire.send(raw).answer().json["request_id"] == "mine"


def test_error_of_the_application_is_an_envelope(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    with server.wire() as wire:
        answer = wire.send(request("/boom", method="GET")).answer()
    assert (answer.status, answer.json["error"]) == (500, "internal_error")
    assert "boom" not in answer.body.decode()
    assert "ValueError: boom" in caplog.text


def test_application_without_an_answer_is_an_error(server: Running) -> None:
    with server.wire() as wire:
        answer = wire.send(request("/nothing", method="GET")).answer()
    assert (answer.status, answer.json["error"]) == (500, "internal_error")
    assert answer.names.count("x-request-id") == 1


def test_answer_cut_in_the_middle_never_looks_whole(server: Running) -> None:
    with server.wire() as wire:
        wire.send(request("/half", method="GET"))
        assert wire.head()[0] == 200
        assert wire.to_end() == b"4\r\nhalf\r\n"


def test_pipelined_requests_are_answered_in_order(server: Running) -> None:
    bodies = [str(n) for n in range(20)]
    raw = b"".join(request("/echo", b"Content-Length: %d" % len(b), body=b.encode()) for b in bodies)
    with server.wire() as wire:
        wire.send(raw)
        assert [wire.answer().json["body"] for _ in bodies] == bodies


def test_pipeline_has_a_bound(run_server: Callable[..., Running]) -> None:
    server = run_server(pipeline_max=4, linger_seconds=0.1)
    with server.wire() as wire:
        wire.send(request("/wait", method="GET") + FINE * 1000)
        assert server.echo.entered.wait(PATIENCE_SECONDS)
        assert [len(connection.pipeline) for connection in server.server._connections()] == [4]
        server.release()
        answers = wire.answers_to_end()
    assert [answer.status for answer in answers] == [200] * 5
    assert server.echo.calls == 5


def test_half_closed_caller_gets_all_its_answers(server: Running) -> None:
    with server.wire() as wire:
        answers = wire.send(FINE * 3).end_input().answers_to_end()
    assert [answer.status for answer in answers] == [200, 200, 200]


def test_half_closed_caller_gets_a_late_answer(run_server: Callable[..., Running]) -> None:
    server = run_server()
    with server.wire() as wire:
        wire.send(request("/wait", b"Content-Length: 2", body=b"hi")).end_input()
        assert server.echo.entered.wait(PATIENCE_SECONDS)
        server.release()
        assert [answer.json["body"] for answer in wire.answers_to_end()] == ["hi"]


@pytest.mark.parametrize("framing", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
def test_body_that_ends_early_is_refused(server: Running, framing: bytes) -> None:
    with server.wire() as wire:
        answers = wire.send(request("/echo", framing, body=b"5\r\nhel")).end_input().answers_to_end()
    assert [(answer.status, answer.json["error"]) for answer in answers] == [(400, "invalid_request")]


def test_head_that_ends_early_is_refused(server: Running) -> None:
    with server.wire() as wire:
        answers = wire.send(FINE[:-2]).end_input().answers_to_end()
    assert [(answer.status, answer.json["error"]) for answer in answers] == [(400, "invalid_request")]


def test_reset_in_the_body_ends_the_request_quietly(
    run_server: Callable[..., Running], caplog: pytest.LogCaptureFixture
) -> None:
    server = run_server()
    wire = server.wire()
    wire.send(request("/echo", b"Content-Length: 9", body=b"a"))
    assert server.echo.entered.wait(PATIENCE_SECONDS)
    reset(wire.socket)
    assert server.echo.left.wait(PATIENCE_SECONDS)
    with server.wire() as other:
        assert other.send(FINE).answer().status == 200
    assert caplog.text == ""


def test_event_stream_learns_that_its_caller_has_gone(run_server: Callable[..., Running]) -> None:
    server = run_server()
    wire = server.wire()
    wire.send(request("/events", method="GET"))
    wire.until(b": hello")
    reset(wire.socket)
    assert server.echo.left.wait(PATIENCE_SECONDS)


def test_event_stream_ends_when_its_caller_has_ended_its_input(run_server: Callable[..., Running]) -> None:
    server = run_server()
    wire = server.wire()
    wire.send(request("/events", method="GET"))
    wire.until(b": hello")
    wire.end_input()
    assert server.echo.left.wait(PATIENCE_SECONDS)
    assert b"0\r\n\r\n" in wire.to_end()
    wire.socket.close()


def test_connections_have_a_bound(run_server: Callable[..., Running]) -> None:
    server = run_server(connections_max=2)
    with server.wire() as first, server.wire() as second:
        assert first.send(FINE).answer().status == 200
        assert second.send(FINE).answer().status == 200
        with server.wire() as third:
            assert third.send(FINE).answers_to_end() == []
        assert first.send(FINE).answer().status == 200


def test_it_runs_in_asyncios_own_loop_too(run_server: Callable[..., Running]) -> None:
    server = run_server(options={"factory": asyncio.new_event_loop}, linger_seconds=0.1)
    with server.wire() as wire:
        assert wire.send(request("/echo", b"Content-Length: 2", body=b"hi")).answer().json["body"] == "hi"
        assert [answer.status for answer in wire.send(b"\x00\r\n\r\n").answers_to_end()] == [400]
    with server.wire() as wire:
        assert [answer.status for answer in wire.send(FINE).end_input().answers_to_end()] == [200]


@pytest.mark.parametrize("encoding", [b"gzip, chunked", b"identity"])
@pytest.mark.parametrize("upgrade", [b"X: y", b"Connection: Upgrade\r\nUpgrade: h2c"])
def test_unknown_encoding_never_reaches_even_an_unguarded_application(
    run_server: Callable[..., Running], encoding: bytes, upgrade: bytes
) -> None:
    server = run_server(options={"wrap": lambda app: app}, linger_seconds=0.1)
    raw = request("/echo", upgrade, b"Transfer-Encoding: " + encoding, body=b"0\r\n\r\n")
    with server.wire() as wire:
        assert [answer.status for answer in wire.send(raw).answers_to_end()] == [400]
    assert server.echo.calls == 0


def test_error_of_an_unguarded_application_is_an_envelope_too(run_server: Callable[..., Running]) -> None:
    server = run_server(options={"wrap": lambda app: app})
    with server.wire() as wire:
        answer = wire.send(request("/boom", method="GET")).answer()
    assert (answer.status, answer.json["error"]) == (500, "internal_error")


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
