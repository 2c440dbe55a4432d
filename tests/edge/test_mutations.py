"""A law: whatever is done to a valid request, no 5xx, no second answer to one request, no hang."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edge.rawhttp import Running

UPGRADE = b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
SEEDS = [
    b"GET /echo?x=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nX-Request-Id: 1\r\nContent-Length: 12\r\n\r\n{'ok': true}",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX:1\r\n\r\n",
    b"POST /early HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h\r\nContent-Length: 3\r\n\r\nabc",
    UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
]
SNIPPETS = [
    *(b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"\xff", b"0", b"-", b"+", b"HTTP/1.0", b"HTTP/2.0"),
    *(b"\r\nHost: b", b"\r\nContent-Length: 4", b"\r\nTransfer-Encoding: chunked", b"\r\nConnection: close"),
    *(b"\r\nExpect: 100-continue", b"\r\nConnection: Upgrade\r\nUpgrade: x", b"0\r\n\r\n", b"ffffffff\r\n"),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    raw = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.integers(0, 6)))
        raw = raw[:start] + draw(st.sampled_from(SNIPPETS) | st.binary(max_size=3)) + raw[end:]
    return raw


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(raw=mutated(), pieces=st.integers(1, 5))
@example(raw=SEEDS[2], pieces=1)
def test_mutated_request_gives_no_5xx_no_second_answer_and_no_hang(
    server: Running, raw: bytes, pieces: int
) -> None:
    calls_before = server.echo.calls
    size = len(raw) // pieces + 1
    with server.wire() as wire:
        for at in range(0, len(raw), size):
            wire.send(raw[at : at + size])
        answers = wire.end_input().answers_to_end()
    finals = [answer for answer in answers if answer.status != 100]
    refusals = [answer for answer in finals if answer.status in (400, 413)]
    assert all(answer.status in (100, 200, 400, 401, 413) for answer in answers)
    # A head is answered once, and a refusal is the last word.
    assert refusals in ([], finals[-1:])
    assert len(finals) - len(refusals) <= server.echo.calls - calls_before
    if b"HTTP/" in raw.strip():
        assert finals
