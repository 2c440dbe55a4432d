from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from delivery.receivers import (
    OK,
    Certificates,
    Script,
    answering,
    answering_once,
    flooding,
    make_certificates,
    receiving,
    resetting,
    silent,
    trickling,
)
from leadline.delivery.connections import ANSWER_WIRE_BYTES_MAX
from leadline.delivery.sender import AttemptError, AttemptResult, Sender
from leadline.domain.addresses import AddressPolicy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

LOOPBACK = AddressPolicy.parse("127.0.0.0/8,::1/128")
BODY = b'{"error_message":""}'
# Long enough for a loaded machine; a test that reaches it fails by its result.
AMPLE_SECONDS = 30.0
# For receivers that never finish: the shorter, the sooner the test is done.
SHORT_SECONDS = 0.3


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@contextlib.asynccontextmanager
async def sending(policy: AddressPolicy = LOOPBACK, **options: Any) -> AsyncIterator[Sender]:
    sender = Sender(policy=policy, user_agent="Leadline/test", **options)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.close()


async def post(
    sender: Sender,
    url: str,
    *,
    timeout_seconds: float = AMPLE_SECONDS,
    headers: dict[str, str] | None = None,
) -> AttemptResult:
    return await sender.send(
        url=url,
        headers=headers or {"Content-Type": "application/json"},
        body=BODY,
        timeout_seconds=timeout_seconds,
    )


async def outcome_of(script: Script, *, timeout_seconds: float = AMPLE_SECONDS) -> AttemptResult:
    """One attempt at a receiver that behaves as `script` says; the result must fit the database."""
    async with receiving(script) as receiver, sending() as sender:
        result = await post(sender, f"http://127.0.0.1:{receiver.port}/hook", timeout_seconds=timeout_seconds)
    assert_storable(result)
    return result


def assert_storable(result: AttemptResult) -> None:
    texts = [result.response_body, result.error_detail or "", *sum(result.response_headers, ())]
    for text in texts:
        assert "\x00" not in text
        json.dumps(text).encode()
        text.encode()  # no lone surrogates
    assert len(result.response_body) <= 16 * 1024
    assert len(result.response_headers) <= 100
    assert sum(len(name) + len(value) for name, value in result.response_headers) <= 8 * 1024


def resolving(*addresses: str) -> Callable[[str], Any]:
    async def resolve(_host: str) -> list[str]:
        return list(addresses)

    return resolve


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_a_2xx_answer_is_success_and_everything_about_it_is_reported() -> None:
    answer = b"HTTP/1.1 202 Accepted\r\nX-Trace: abc\r\nContent-Length: 5\r\n\r\nhello"
    result = await outcome_of(answering(answer))
    assert (result.status, result.error, result.error_detail) == (202, None, None)
    assert result.response_headers == [("X-Trace", "abc"), ("Content-Length", "5")]
    assert result.response_body == "hello"
    assert result.remote_address == "127.0.0.1"
    assert result.timings.connect_ms is not None
    assert result.timings.first_byte_ms is not None
    assert result.timings.first_byte_ms <= result.duration_ms
    assert result.timings.dns_ms is None
    assert result.timings.tls_ms is None


async def test_the_request_carries_our_headers_and_the_exact_body() -> None:
    async with receiving(answering(OK)) as receiver, sending() as sender:
        await post(
            sender, f"http://127.0.0.1:{receiver.port}/", headers={"webhook-id": "42", "Content-Type": "a/b"}
        )
    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    assert body == BODY
    assert sorted(head.split(b"\r\n")[1:]) == sorted(
        [
            f"Host: 127.0.0.1:{receiver.port}".encode(),
            b"User-Agent: Leadline/test",
            b"Accept: */*",
            b"Accept-Encoding: identity",
            b"webhook-id: 42",
            b"Content-Type: a/b",
            f"Content-Length: {len(BODY)}".encode(),
        ]
    )


@pytest.mark.parametrize(
    ("tail", "target"),
    [
        ("", "/"),
        ("?", "/?"),
        ("?a=b", "/?a=b"),
        ("/p?", "/p?"),
        ("/%7e%2F%zz/%", "/%7e%2F%zz/%"),
        ("/a/../b/./c//d", "/a/../b/./c//d"),
        ("//double", "//double"),
        ("/p?q=%41+b&&=;x?y/../z", "/p?q=%41+b&&=;x?y/../z"),
        ("/'\"<>[]{}|\\^`~!*()@:$,", "/'\"<>[]{}|\\^`~!*()@:$,"),
    ],
)
async def test_path_and_query_go_out_byte_for_byte(tail: str, target: str) -> None:
    async with receiving(answering(OK)) as receiver, sending() as sender:
        result = await post(sender, f"http://127.0.0.1:{receiver.port}{tail}")
    assert result.error is None
    assert receiver.request_line == f"POST {target} HTTP/1.1".encode()


async def test_the_url_keeps_its_spelling_of_the_host_in_the_host_header() -> None:
    async with receiving(answering(OK)) as receiver, sending(resolve=resolving("127.0.0.1")) as sender:
        await post(sender, f"HTTP://Hooks.Example.COM.:{receiver.port}/")
    assert f"\r\nHost: Hooks.Example.COM.:{receiver.port}\r\n".encode() in receiver.requests[0]


async def test_an_international_name_is_resolved_and_called_in_its_ascii_form() -> None:
    asked = []

    async def resolve(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with receiving(answering(OK)) as receiver, sending(resolve=resolve) as sender:
        result = await post(sender, f"http://bücher.example:{receiver.port}/")
    assert result.error is None
    assert asked == ["xn--bcher-kva.example"]
    assert f"Host: xn--bcher-kva.example:{receiver.port}".encode() in receiver.requests[0]


async def test_ipv6_is_called_with_brackets_in_the_host_header() -> None:
    async with receiving(answering(OK), host="::1") as receiver, sending() as sender:
        result = await post(sender, f"http://[::1]:{receiver.port}/")
    assert (result.error, result.remote_address) == (None, "::1")
    assert f"Host: [::1]:{receiver.port}".encode() in receiver.requests[0]


@pytest.mark.parametrize(
    "status", [300, 301, 302, 303, 304, 307, 308, 400, 404, 410, 429, 500, 503, 599, 999]
)
async def test_any_other_status_is_http_status_and_never_followed(status: int) -> None:
    location = b"" if status == 304 else b"Content-Length: 0\r\n"
    answer = f"HTTP/1.1 {status} X\r\nLocation: /elsewhere\r\n".encode() + location + b"\r\n"
    async with receiving(answering(answer)) as receiver, sending() as sender:
        result = await post(sender, f"http://127.0.0.1:{receiver.port}/hook")
    assert (result.status, result.error) == (status, AttemptError.HTTP_STATUS)
    assert len(receiver.requests) == 1


async def test_switching_protocols_is_no_success() -> None:
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    result = await outcome_of(answering_once(upgrade))
    assert result.error in {AttemptError.HTTP_STATUS, AttemptError.PROTOCOL}


async def test_informational_answers_are_skipped() -> None:
    result = await outcome_of(answering(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + OK))
    assert (result.status, result.error, result.response_body) == (200, None, "ok")


async def test_a_storm_of_informational_answers_is_cut_short() -> None:
    result = await outcome_of(flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000))
    assert (result.status, result.error) == (None, AttemptError.PROTOCOL)
    assert result.error_detail == "the receiver sent far too much"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n", id="another protocol"),
        pytest.param(b"hello", id="no HTTP, then closed"),
        pytest.param(b"", id="closed without a byte"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="closed in the head"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", id="no number for status"),
        pytest.param(b"HTTP/1.1 042 OK\r\n\r\n", id="status below 100"),
        pytest.param(b"HTTP/1.1 99999 OK\r\n\r\n", id="status too long"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", id="negative length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", id="two lengths"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="length and chunked",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200_000 + b"\r\n\r\n", id="endless header"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"A: x\r\n" * 2000 + b"\r\n", id="very many headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n", id="NUL in a header"),
        pytest.param(b"\x00" * 100_000, id="zeros"),
    ],
)
async def test_what_is_no_http_answer_is_protocol(answer: bytes) -> None:
    result = await outcome_of(answering_once(answer))
    assert (result.status, result.error) == (None, AttemptError.PROTOCOL)


async def test_endless_headers_are_protocol() -> None:
    result = await outcome_of(flooding(b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n" * 500))
    assert (result.status, result.error) == (None, AttemptError.PROTOCOL)


async def test_a_reset_before_the_answer_is_protocol() -> None:
    result = await outcome_of(resetting)
    assert (result.status, result.error) == (None, AttemptError.PROTOCOL)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"Content-Length: 100\r\n\r\nhello", id="shorter than said"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", id="no last chunk"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n", id="no chunk length"),
        pytest.param(b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", id="no gzip"),
        pytest.param(b"Content-Encoding: br\r\nContent-Length: 5\r\n\r\nhello", id="no brotli"),
        pytest.param(b"Content-Type: text/html; charset=no-such\r\n\r\nhello", id="until the end"),
        pytest.param(b"Content-Length: 2\r\n\r\nhello, more than said", id="longer than said"),
        pytest.param(b"Set-Cookie: " + b"x" * 20_000 + b"\r\n\r\n", id="long header"),
    ],
)
async def test_a_2xx_answer_with_a_broken_body_is_success_all_the_same(body: bytes) -> None:
    result = await outcome_of(answering_once(b"HTTP/1.1 200 OK\r\n" + body))
    assert (result.status, result.error) == (200, None)


async def test_a_body_of_gigabytes_is_cut_at_16_kib_and_the_connection_dropped() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n"
    result = await outcome_of(flooding(head, b"a" * 65536))
    assert (result.status, result.error) == (200, None)
    assert result.response_body == "a" * 16384


async def test_a_body_of_nothing_but_chunk_extensions_is_cut_short() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"
    result = await outcome_of(flooding(head, b"x" * 65536))
    assert result.status == 200
    assert result.error is None


async def test_endless_trailers_are_cut_short() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
    result = await outcome_of(flooding(head, b"X-Trailer: more\r\n" * 500))
    assert result.status == 200
    assert result.error is None


async def test_compressed_answers_are_not_inflated() -> None:
    bomb = gzip.compress(b"a" * 10_000_000)[:8000]
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    result = await outcome_of(answering(head + bomb))
    assert (result.status, result.error) == (200, None)
    assert result.response_body == bomb.decode("utf-8", "replace").replace("\x00", "")


async def test_undecodable_bytes_and_nul_are_made_storable() -> None:
    body = b"a\x00b\xff\xed\xa0\x80c" + "é".encode()
    head = f"HTTP/1.1 200 OK\r\nX-Raw: \xff\r\nContent-Length: {len(body)}\r\n\r\n".encode("latin-1")
    result = await outcome_of(answering(head + body))
    assert result.response_body == "ab" + "\ufffd" * 4 + "cé"
    assert result.response_headers[0] == ("X-Raw", "\ufffd")


async def test_a_character_cut_at_16_kib_is_left_off() -> None:
    result = await outcome_of(flooding(b"HTTP/1.1 200 OK\r\n\r\na", "é".encode() * 8192))
    assert result.response_body == "a" + "é" * 8191


async def test_many_headers_are_kept_within_bounds() -> None:
    many = b"".join(b"X-%d: %s\r\n" % (number, b"v" * 90) for number in range(200))
    result = await outcome_of(answering(b"HTTP/1.1 204 No Content\r\n" + many + b"\r\n"))
    assert (result.status, result.error) == (204, None)
    assert 80 <= len(result.response_headers) <= 100


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("before", [8_000, 8_175, 8_185, 40_000])
async def test_retry_after_is_read_whole_though_it_is_cut_from_the_headers_that_are_kept(
    status: int, before: int
) -> None:
    cookie = b"Set-Cookie: " + b"v" * (before - len(b"Set-Cookie"))
    head = b"HTTP/1.1 %d No\r\n%b\r\nretry-AFTER: 86399\r\nContent-Length: 0\r\n\r\n" % (status, cookie)
    result = await outcome_of(answering(head))
    assert (result.status, result.retry_after) == (status, "86399")


@pytest.mark.parametrize("status", [200, 302, 400, 410, 500])
async def test_other_answers_say_nothing_of_when_to_come_again(status: int) -> None:
    head = b"HTTP/1.1 %d No\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n" % status
    assert (await outcome_of(answering(head))).retry_after is None


async def test_plain_http_is_not_called_where_https_is_required() -> None:
    """Its URL may have been saved before that was asked for."""
    async with receiving(answering(OK)) as receiver, sending(require_https=True) as sender:
        result = await post(sender, f"http://127.0.0.1:{receiver.port}/hook")
    assert (result.error, result.error_detail) == (AttemptError.BLOCKED, "https_required")
    assert (result.status, result.remote_address) == (None, None)
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(silent, id="never answers"),
        pytest.param(trickling(b"HTTP/1.1 200 ", b"x"), id="one byte at a time in the status line"),
        pytest.param(trickling(b"HTTP/1.1 200 OK\r\nA: ", b"x"), id="one byte at a time in a header"),
        pytest.param(trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="1xx at a time"),
    ],
)
async def test_no_answer_within_the_deadline_is_timeout(script: Script) -> None:
    result = await outcome_of(script, timeout_seconds=SHORT_SECONDS)
    assert (result.status, result.error) == (None, AttemptError.TIMEOUT)


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"],
    ids=["with a length", "until the end"],
)
async def test_a_body_that_outlasts_the_deadline_is_timeout_and_keeps_what_came(head: bytes) -> None:
    result = await outcome_of(trickling(head, b"x"), timeout_seconds=SHORT_SECONDS)
    assert (result.status, result.error) == (200, AttemptError.TIMEOUT)
    assert set(result.response_body) == {"x"}


async def test_a_refused_connection_is_connect_and_names_no_address() -> None:
    async with sending() as sender:
        result = await post(sender, f"http://127.0.0.1:{unused_port()}/")
    assert (result.status, result.error) == (None, AttemptError.CONNECT)
    assert result.error_detail == "the connection was refused"


async def test_a_receiver_that_accepts_nobody_runs_into_the_limit_for_connecting() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        async with sending() as sender:
            result = await sender.send(
                url=f"http://127.0.0.1:{full.getsockname()[1]}/",
                headers={},
                body=BODY,
                timeout_seconds=AMPLE_SECONDS,
                connect_timeout_seconds=SHORT_SECONDS,
            )
    assert (result.error, result.error_detail) == (AttemptError.TIMEOUT, "no connection within 0.3 s")


async def test_tls_is_verified_against_the_name_and_announces_it(certificates: Certificates) -> None:
    async with (
        receiving(answering(OK), tls=certificates.server) as receiver,
        sending(resolve=resolving("127.0.0.1"), ssl_context=certificates.trusting_client) as sender,
    ):
        result = await post(sender, f"https://receiver.test.:{receiver.port}/")
    assert (result.status, result.error) == (200, None)
    assert result.timings.tls_ms is not None
    assert receiver.server_names == ["receiver.test"]


async def test_tls_to_a_literal_address_is_verified_too(certificates: Certificates) -> None:
    async with (
        receiving(answering(OK), tls=certificates.server) as receiver,
        sending(ssl_context=certificates.trusting_client) as sender,
    ):
        result = await post(sender, f"https://127.0.0.1:{receiver.port}/")
    assert result.error is None


async def test_a_certificate_of_another_name_is_tls(certificates: Certificates) -> None:
    async with (
        receiving(answering(OK), tls=certificates.server) as receiver,
        sending(resolve=resolving("127.0.0.1"), ssl_context=certificates.trusting_client) as sender,
    ):
        result = await post(sender, f"https://other.test:{receiver.port}/")
    assert (result.status, result.error) == (None, AttemptError.TLS)
    assert receiver.requests == []


async def test_an_untrusted_certificate_is_tls(certificates: Certificates) -> None:
    async with (
        receiving(answering(OK), tls=certificates.server) as receiver,
        sending(resolve=resolving("127.0.0.1")) as sender,
    ):
        result = await post(sender, f"https://receiver.test:{receiver.port}/")
    assert result.error is AttemptError.TLS
    assert receiver.requests == []


async def test_https_to_a_plain_http_port_is_tls() -> None:
    async def speak_first(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with receiving(speak_first) as receiver, sending() as sender:
        result = await post(sender, f"https://127.0.0.1:{receiver.port}/")
    assert result.error is AttemptError.TLS


async def test_a_connection_closed_in_the_handshake_is_tls() -> None:
    async def hang_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return

    async with receiving(hang_up) as receiver, sending() as sender:
        result = await post(sender, f"https://127.0.0.1:{receiver.port}/")
    assert result.error is AttemptError.TLS


async def test_a_handshake_that_stalls_is_timeout() -> None:
    async def stall(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with receiving(stall) as receiver, sending() as sender:
        result = await post(sender, f"https://127.0.0.1:{receiver.port}/", timeout_seconds=SHORT_SECONDS)
    assert result.error is AttemptError.TIMEOUT
    assert result.timings.connect_ms is not None


async def test_attempts_one_after_the_other_share_a_connection() -> None:
    async with receiving(answering(OK)) as receiver, sending() as sender:
        results = [await post(sender, f"http://127.0.0.1:{receiver.port}/") for _ in range(3)]
    assert [result.timings.reused for result in results] == [False, True, True]
    assert [result.remote_address for result in results] == ["127.0.0.1"] * 3
    assert receiver.connections == 1


async def test_a_connection_closed_while_sending_on_it_is_no_reason_to_send_twice() -> None:
    async def one_and_a_half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering_once(OK)(reader, writer)
        await reader.readuntil(b"\r\n\r\n")

    async with receiving(one_and_a_half) as receiver, sending() as sender:
        await post(sender, f"http://127.0.0.1:{receiver.port}/")
        result = await post(sender, f"http://127.0.0.1:{receiver.port}/")
    assert (result.error, result.timings.reused) == (AttemptError.PROTOCOL, True)
    assert len(receiver.requests) == 2


async def test_an_answer_sent_ahead_is_not_taken_for_the_next_one() -> None:
    answered, ahead = asyncio.Event(), asyncio.Event()

    async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering_once(OK)(reader, writer)
        await answered.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
        await writer.drain()
        ahead.set()
        await asyncio.Event().wait()

    async with receiving(eager) as receiver, sending() as sender:
        await post(sender, f"http://127.0.0.1:{receiver.port}/")
        answered.set()
        await ahead.wait()
        await asyncio.sleep(0.05)  # lets the forged bytes arrive; without them the test passes too
        result = await post(sender, f"http://127.0.0.1:{receiver.port}/")
    assert (result.response_body, result.timings.reused) == ("ok", False)


async def test_a_connection_whose_answer_was_cut_is_not_used_again() -> None:
    script = flooding(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b"x" * 65536)
    async with receiving(script) as receiver, sending() as sender:
        for _ in range(2):
            await post(sender, f"http://127.0.0.1:{receiver.port}/")
    assert receiver.connections == 2


async def test_cookies_are_neither_kept_nor_sent() -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    async with receiving(answering(answer)) as receiver, sending() as sender:
        for _ in range(2):
            await post(sender, f"http://127.0.0.1:{receiver.port}/")
    assert b"ookie" not in receiver.requests[1]


async def test_proxy_variables_and_netrc_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with receiving(answering(OK)) as proxy, receiving(answering(OK)) as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with sending() as sender:
            await post(sender, f"http://127.0.0.1:{receiver.port}/")
    assert proxy.connections == 0
    assert b"Authorization" not in receiver.requests[0]


@pytest.mark.parametrize(
    "url", ["", "ftp://127.0.0.1/", "http://", "http://a b/", "http://h:99999/", "http://é…/"]
)
async def test_what_cannot_be_called_is_blocked_and_never_raises(url: str) -> None:
    async with sending(resolve=resolving("127.0.0.1")) as sender:
        result = await post(sender, url)
    assert (result.error, result.error_detail) == (AttemptError.BLOCKED, "url")


async def test_header_injection_is_refused_before_anything_is_sent() -> None:
    async with receiving(answering(OK)) as receiver, sending() as sender:
        result = await post(sender, f"http://127.0.0.1:{receiver.port}/", headers={"A": "b\r\nC: d"})
    assert result.error is AttemptError.PROTOCOL
    assert receiver.requests == []


async def test_cancellation_is_passed_on() -> None:
    arrived = asyncio.Event()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await silent(reader, writer)

    async with receiving(note) as receiver, sending() as sender:
        attempt = asyncio.create_task(post(sender, f"http://127.0.0.1:{receiver.port}/"))
        await arrived.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt


async def test_many_attempts_at_once_do_not_mix() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(BODY))
            target = head.split(b" ")[1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(target), target))

    async with receiving(echo) as receiver, sending() as sender:
        urls = [f"http://127.0.0.1:{receiver.port}/{number}" for number in range(90)]
        results = await asyncio.gather(*(post(sender, url) for url in urls))
    assert [result.response_body for result in results] == [f"/{number}" for number in range(90)]


def test_one_read_of_the_system_fits_into_the_flood_limit() -> None:
    # asyncio reads up to 256 KiB at once: a status that came with a long body must be seen.
    assert ANSWER_WIRE_BYTES_MAX >= 2 * 256 * 1024
