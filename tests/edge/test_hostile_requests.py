"""Requests no honest client sends: each gets exactly one answer, never a 5xx, and harms nobody else."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from edge.rawhttp import Running

FINE = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"
HOST = b"Host: a\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def get(*lines: bytes) -> bytes:
    return b"GET /echo HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def target(text: bytes, method: bytes = b"GET") -> bytes:
    return method + b" " + text + b" HTTP/1.1\r\n" + HOST + b"\r\n"


class Hostile(NamedTuple):
    name: str
    raw: bytes
    status: int = 400
    stays_open: bool = False


REFUSED = [
    Hostile("unknown method", b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n"),
    Hostile("lower-case method", b"get / HTTP/1.1\r\nHost: a\r\n\r\n"),
    Hostile("method of 10,000 letters", b"A" * 10_000 + b" / HTTP/1.1\r\nHost: a\r\n\r\n"),
    Hostile("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40),
    Hostile("only zeros", b"\x00" * 64),
    Hostile("SSH greeting", b"SSH-2.0-OpenSSH_9.2\r\n"),
    Hostile("a response", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    Hostile("HTTP/0.9", b"GET /\r\n\r\n"),
    Hostile("named HTTP/0.9", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
    Hostile("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
    Hostile("named HTTP/2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    Hostile("HTTP/1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    Hostile("HTTP/1.10", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    Hostile("space after the version", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    Hostile("space in the target", target(b"/a b")),
    Hostile("NUL in the target", target(b"/\x00")),
    Hostile("non-ASCII path", target("/é".encode())),
    Hostile("non-ASCII query", target(b"/?\xff=1")),
    Hostile("fragment", target(b"/echo#part")),
    Hostile("relative target", target(b"echo")),
    Hostile("CONNECT", target(b"example.test:443", b"CONNECT") + b"tunnel bytes"),
    Hostile("OPTIONS of everything", target(b"*", b"OPTIONS")),
    Hostile("absolute form of another scheme", target(b"ftp://a/echo")),
    Hostile("absolute form with a user", target(b"http://u:p@a/echo")),
    Hostile("absolute form without host", target(b"http:///echo")),
    Hostile("target over the limit", target(b"/" + b"a" * 20_000)),
    Hostile("target of a megabyte", target(b"/" + b"a" * 1_000_000)),
    Hostile("header line over the limit", get(b"Host: a", b"X-A: " + b"a" * 20_000)),
    Hostile("head over the limit", get(b"Host: a", *[b"X-%d: " % n + b"a" * 4_000 for n in range(9)])),
    Hostile("too many headers", get(b"Host: a", *[b"X-%d: 1" % n for n in range(150)])),
    Hostile("bare line feeds", b"GET /echo HTTP/1.1\nHost: a\n\n"),
    Hostile("one bare line feed", b"GET /echo HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
    Hostile("bare carriage return in a value", get(b"Host: a", b"X: a\rb")),
    Hostile("NUL in a value", get(b"Host: a", b"X: a\x00b")),
    Hostile("control character in a value", get(b"Host: a", b"X: a\x07b")),
    Hostile("folded header", get(b"Host: a", b"X: a", b" b")),
    Hostile("fold before the first header", get(b" X: b", b"Host: a")),
    Hostile("space before the colon", get(b"Host: a", b"X : b")),
    Hostile("space before the colon of the length", POST + b"Content-Length : 5\r\n\r\nhello"),
    Hostile("header without colon", get(b"Host: a", b"nonsense")),
    Hostile("header without name", get(b"Host: a", b": b")),
    Hostile("non-ASCII header name", get(b"Host: a", "é: b".encode())),
    Hostile("no Host", get(b"X: a")),
    Hostile("no Host in HTTP/1.0", b"GET /echo HTTP/1.0\r\n\r\n"),
    Hostile("two equal Hosts", get(b"Host: a", b"Host: a")),
    Hostile("two different Hosts", get(b"Host: a", b"hOST: b")),
    Hostile("empty Host", get(b"Host:")),
    Hostile("Host with a path", get(b"Host: a/b")),
    Hostile("Host with a user", get(b"Host: u@a")),
    Hostile("list of Hosts", get(b"Host: a, b")),
    Hostile("Host with a bad port", get(b"Host: a:b")),
    Hostile("Host with a port too high", get(b"Host: a:65536")),
    Hostile("Host with an open bracket", get(b"Host: [::1")),
    Hostile("equal lengths twice", POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    Hostile("different lengths", POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    Hostile("list of lengths", POST + b"Content-Length: 5, 5\r\n\r\nhello"),
    Hostile("length with a plus", POST + b"Content-Length: +5\r\n\r\nhello"),
    Hostile("negative length", POST + b"Content-Length: -5\r\n\r\nhello"),
    Hostile("hexadecimal length", POST + b"Content-Length: 0x5\r\n\r\nhello"),
    Hostile("empty length", POST + b"Content-Length:\r\n\r\nhello"),
    Hostile("length over 64 bits", POST + b"Content-Length: 99999999999999999999\r\n\r\nhello"),
    Hostile(
        "length, then encoding", POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    Hostile(
        "encoding, then length", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    ),
    Hostile("unknown encoding before chunked", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    Hostile("unknown encoding after chunked", POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    Hostile("identity encoding", POST + b"Transfer-Encoding: identity\r\n\r\nhello"),
    Hostile("misspelt chunked", POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    Hostile(
        "chunked twice", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    Hostile("empty encoding", POST + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n"),
    Hostile(
        "chunked in HTTP/1.0",
        b"POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    Hostile("negative chunk size", CHUNKED + b"-1\r\nhello\r\n0\r\n\r\n"),
    Hostile("chunk size with 0x", CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n"),
    Hostile("chunk size over 64 bits", CHUNKED + b"fffffffffffffffff\r\nhello"),
    Hostile("chunk longer than its size", CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n"),
    Hostile("chunk size with a bare line feed", CHUNKED + b"5\nhello\r\n0\r\n\r\n"),
    Hostile("NUL in a chunk extension", CHUNKED + b"5;\x00\r\nhello\r\n0\r\n\r\n"),
    Hostile("broken chunk and a request behind it", CHUNKED + b"z\r\n" + FINE + FINE),
    Hostile("garbage trailer", CHUNKED + b"5\r\nhello\r\n0\r\nno colon\r\n\r\n"),
    Hostile("endless chunk extension", CHUNKED + b"5;" + b"a" * 2_000_000),
    Hostile("endless trailers", CHUNKED + b"0\r\n" + b"X: aaaaaaaaaaaaaaaaaaaa\r\n" * 60_000),
    Hostile("announced body over the limit", POST + b"Content-Length: 65537\r\n\r\n" + b"a" * 65_537, 413),
    Hostile("announced body of an exabyte", POST + b"Content-Length: 1000000000000000000\r\n\r\nhello", 413),
    Hostile("chunked body over the limit", CHUNKED + b"10001\r\n" + b"a" * 65_537 + b"\r\n0\r\n\r\n", 413),
    Hostile(
        "many small chunks over the limit",
        CHUNKED + b"400\r\n" + b"\r\n400\r\n".join([b"a" * 1024] * 80),
        413,
    ),
    Hostile("garbage and requests behind it", b"\x01\x02\r\n\r\n" + FINE * 5),
    Hostile("no Host and a request behind it", get(b"X: a") + FINE),
    Hostile(
        "expectation of a body over the limit",
        POST + b"Expect: 100-continue\r\nContent-Length: 99999\r\n\r\n",
        413,
    ),
]

ACCEPTED = [
    Hostile("HTTP/1.0", b"GET /echo HTTP/1.0\r\nHost: a\r\n\r\n", 200),
    Hostile(
        "HTTP/1.0 that wants to stay", b"GET /echo HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", 200
    ),
    Hostile("wish to close", get(b"Host: a", b"Connection: close"), 200),
    Hostile("wish to close and a request behind it", get(b"Host: a", b"Connection: close") + FINE, 200),
    Hostile("wish to close and garbage behind it", get(b"Host: a", b"Connection: close") + b"\x00\x01", 200),
    Hostile("garbage behind a request", FINE + b"\x00garbage\r\n\r\n", 200),
    Hostile("body longer than its length", POST + b"Content-Length: 5\r\n\r\nhello, world", 200),
    Hostile("empty lines before the request", b"\r\n\r\n" + FINE, 200, True),
    Hostile("absolute form", target(b"http://b:80/echo?x=1"), 200, True),
    Hostile("unusual method", target(b"/echo", b"PURGE"), 200, True),
    Hostile("percent-encoded NUL", target(b"/echo%00"), 200, True),
    Hostile("broken percent-encoding", target(b"/%zz%f"), 200, True),
    Hostile("non-ASCII header value", get(b"Host: a", "X: é".encode()), 200, True),
    Hostile("empty header value", get(b"Host: a", b"X:"), 200, True),
    Hostile("Host with a port", get(b"Host: a.example:8080"), 200, True),
    Hostile("IPv6 Host", get(b"Host: [::1]:8080"), 200, True),
    Hostile("IPv4 Host", get(b"Host: 127.0.0.1"), 200, True),
    Hostile("websocket upgrade", get(b"Host: a", b"Connection: Upgrade", b"Upgrade: websocket"), 200, True),
    Hostile(
        "upgrade without body length", get(b"Host: a", b"Connection: Upgrade", b"Upgrade: h2c"), 200, True
    ),
    Hostile(
        "upgrade with a length of zero",
        POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 00\r\n\r\n",
        200,
        True,
    ),
    Hostile("unknown expectation", get(b"Host: a", b"Expect: miracles"), 200, True),
    Hostile("body of a GET", get(b"Host: a", b"Content-Length: 5") + b"hello", 200, True),
    Hostile("length with leading zeros", POST + b"Content-Length: 0005\r\n\r\nhello", 200, True),
    Hostile("body at the limit", POST + b"Content-Length: 65536\r\n\r\n" + b"a" * 65_536, 200, True),
    Hostile(
        "upper-case CHUNKED", POST + b"Transfer-Encoding: CHUNKED \r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, True
    ),
    Hostile("chunk extensions", CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0\r\n\r\n', 200, True),
    Hostile("chunk sizes with leading zeros", CHUNKED + b"0005\r\nhello\r\n000\r\n\r\n", 200, True),
    Hostile("trailers", CHUNKED + b"5\r\nhello\r\n0\r\nX-Late: 1\r\n\r\n", 200, True),
]


@pytest.mark.parametrize("hostile", REFUSED, ids=lambda case: case.name)
def test_request_is_refused_once_and_the_connection_closes(server: Running, hostile: Hostile) -> None:
    with server.wire() as wire:
        answers = wire.send(hostile.raw).answers_to_end()
    assert [answer.status for answer in answers] == [hostile.status]
    answer = answers[0]
    envelope = answer.json
    assert set(envelope) == {"ok", "error", "message", "details", "request_id"}
    assert envelope["ok"] is False
    assert envelope["details"] == []
    assert envelope["error"] == {400: "invalid_request", 413: "payload_too_large"}[hostile.status]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == envelope["request_id"]
    assert answer.names.count("x-request-id") == 1
    assert answer.closes
    assert_serves(server)


@pytest.mark.parametrize("hostile", ACCEPTED, ids=lambda case: case.name)
def test_odd_but_lawful_request_is_answered_once(server: Running, hostile: Hostile) -> None:
    with server.wire() as wire:
        answer = wire.send(hostile.raw).answer()
        assert answer.status == hostile.status
        if hostile.stays_open:
            assert not answer.closes
            assert wire.send(b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n").answer().json["path"] == "/second"
            wire.end_input()
        assert wire.answers_to_end() == []
    assert_serves(server)


@pytest.mark.parametrize("hostile", REFUSED + ACCEPTED, ids=lambda case: case.name)
def test_half_closed_caller_gets_the_same_answer(server: Running, hostile: Hostile) -> None:
    with server.wire() as wire:
        answers = wire.send(hostile.raw).end_input().answers_to_end()
    assert [answer.status for answer in answers] == [hostile.status]


@pytest.mark.parametrize(
    "hostile", [case for case in REFUSED + ACCEPTED if len(case.raw) < 400], ids=lambda c: c.name
)
def test_bytes_that_trickle_in_get_the_same_answer(server: Running, hostile: Hostile) -> None:
    with server.wire() as wire:
        for at in range(len(hostile.raw)):
            wire.send(hostile.raw[at : at + 1])
        answer = wire.answer()
    assert answer.status == hostile.status


def assert_serves(server: Running) -> None:
    with server.wire() as wire:
        assert wire.send(FINE).answer().status == 200
