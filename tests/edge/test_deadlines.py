"""Slow callers: everything that may take time has an end."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from edge.rawhttp import Running

FINE = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"
BODY = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhel"


@pytest.mark.parametrize("sent", [b"G", b"GET /echo HTTP/1.1\r\nHos", FINE[:-2]])
def test_head_that_does_not_arrive_is_refused(run_server: Callable[..., Running], sent: bytes) -> None:
    server = run_server(head_seconds=0.1, linger_seconds=0.1)
    with server.wire() as wire:
        answers = wire.send(sent).answers_to_end()
    assert [(answer.status, answer.json["error"]) for answer in answers] == [(400, "invalid_request")]


def test_second_head_has_its_own_deadline(run_server: Callable[..., Running]) -> None:
    server = run_server(head_seconds=0.1, linger_seconds=0.1)
    with server.wire() as wire:
        assert wire.send(FINE).answer().status == 200
        answers = wire.send(FINE[:-1]).answers_to_end()
    assert [answer.status for answer in answers] == [400]


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"\r\n\r\n\r\n"])
def test_connection_that_asks_nothing_is_closed_without_a_word(
    run_server: Callable[..., Running], sent: bytes
) -> None:
    server = run_server(head_seconds=0.1)
    with server.wire() as wire:
        assert wire.send(sent).to_end() == b""


def test_body_that_does_not_arrive_is_refused(run_server: Callable[..., Running]) -> None:
    server = run_server(body_seconds=0.1, linger_seconds=0.1)
    with server.wire() as wire:
        answers = wire.send(BODY % b"/echo").answers_to_end()
    assert [(answer.status, answer.json["error"]) for answer in answers] == [(400, "invalid_request")]
    assert "in time" in answers[0].json["message"]


def test_trickling_does_not_extend_a_deadline(run_server: Callable[..., Running]) -> None:
    server = run_server(body_seconds=0.2, linger_seconds=0.1)
    with server.wire() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n")
        wire.socket.settimeout(0.02)
        while not wire.rest:
            wire.send(b"a")
            try:
                wire.more()
            except TimeoutError:
                continue
        assert wire.rest.startswith(b"HTTP/1.1 400 ")


def test_unwanted_body_that_does_not_arrive_closes_without_a_second_answer(
    run_server: Callable[..., Running],
) -> None:
    server = run_server(body_seconds=0.1, linger_seconds=0.1)
    with server.wire() as wire:
        answers = wire.send(BODY % b"/early").answers_to_end()
    assert [answer.status for answer in answers] == [401]


def test_idle_connection_is_closed_without_a_word(run_server: Callable[..., Running]) -> None:
    server = run_server(keep_alive_seconds=0.1)
    with server.wire() as wire:
        assert wire.send(FINE).answer().status == 200
        assert wire.to_end() == b""


def test_slow_answer_is_not_mistaken_for_an_idle_connection(run_server: Callable[..., Running]) -> None:
    server = run_server(keep_alive_seconds=0.05, head_seconds=0.05, body_seconds=0.05)
    with server.wire() as wire:
        wire.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        with server.wire() as other:
            other.to_end()  # its deadline has passed
        server.release()
        assert wire.answer().status == 200


def test_answer_nobody_reads_is_given_up(run_server: Callable[..., Running]) -> None:
    server = run_server(write_seconds=0.2, linger_seconds=0.1)
    with server.wire() as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        server.run(until_no_connection(server))
    assert server.echo.left.is_set()


async def until_no_connection(server: Running) -> None:
    state = server.server._state
    while state.connections:
        state.all_closed.clear()
        await state.all_closed.wait()
