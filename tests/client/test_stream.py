"""The event stream: however its bytes are cut, and whatever breaks in between, nothing is left out."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.proxy import CuttingProxy
from client.test_exchange import World
from harness import Desk, Server, eventually
from leadline.client import AsyncClient, Client, ConnectionFailed, Options, UnexpectedAnswer, errors
from leadline.client.event_feed import EVENT_BYTES_MAX, EventFeed, EventParser
from leadline.client.exchange import Broken
from leadline.client.requests import Reply


def event(number: int, text: str) -> bytes:
    body = {
        "event_id": f"e{number}",
        "type": "call.started",
        "at": "2026-06-25T00:00:00.000Z",
        "data": {"t": text},
    }
    return f"id: e{number}\nevent: call.started\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc"))), max_size=5),
    cuts=st.lists(st.integers(0, 2000), max_size=20),
    line_end=st.sampled_from([b"\n", b"\r\n"]),
)
def test_events_are_the_same_however_the_bytes_are_cut(
    texts: list[str], cuts: list[int], line_end: bytes
) -> None:
    whole = b": hello\nretry: 1000\nid: start\n\n" + b"".join(event(*each) for each in enumerate(texts))
    whole = (whole + b": still here\n\n").replace(b"\n", line_end)
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    feed = EventFeed(Options(), World().surroundings(), None)
    found = [each for a, b in itertools.pairwise(places) for each in feed.read(whole[a:b])]
    assert [each.data["t"] for each in found] == texts
    resumed = feed.request().headers["last-event-id"]
    assert resumed == (f"e{len(texts) - 1}" if texts else "start")


def test_an_event_that_is_cut_off_after_its_id_is_asked_for_again() -> None:
    feed = EventFeed(Options(), World().surroundings(), None)
    assert [each.event_id for each in feed.read(event(1, "a") + event(2, "b")[:-9])] == ["e1"]
    assert feed.request().headers["last-event-id"] == "e1"
    assert [each.event_id for each in feed.read(event(2, "b"))] == ["e2"]


@pytest.mark.parametrize(
    "endless", [b"x" * 100_000, b"data: " + b"x" * 100_000 + b"\n"], ids=["line", "event"]
)
def test_an_event_without_an_end_is_given_up(endless: bytes) -> None:
    def feed() -> None:
        parser = EventParser()
        for _ in range(EVENT_BYTES_MAX // 100_000 + 2):
            list(parser.feed(endless))

    with pytest.raises(UnexpectedAnswer, match="without an end"):
        feed()


def test_a_line_that_is_no_event_is_named() -> None:
    feed = EventFeed(Options(), World().surroundings(), None)
    with pytest.raises(UnexpectedAnswer, match="no event"):
        list(feed.read(b"data: {}\n\n"))


def test_a_stream_comes_back_more_and_more_slowly_and_gives_up_at_last() -> None:
    world = World()
    feed = EventFeed(Options(reconnect_seconds_max=5), world.surroundings(), None)
    waits = []
    for _ in range(4):
        waits.append(feed.wait_seconds(Broken("nobody")))
        world.now_seconds += waits[-1]
    with pytest.raises(ConnectionFailed, match="nobody"):
        feed.wait_seconds(Broken("nobody"))
    assert waits == [0.2, 0.4, 0.8, 1.6]
    list(feed.read(b": still here\n\n"))
    assert feed.wait_seconds(None) == 0.2


def test_a_server_that_asks_for_a_pause_is_given_it_within_bounds() -> None:
    feed = EventFeed(Options(backoff_max_seconds=4), World().surroundings(), None)
    for asked, waited in ((b"1000", 1.0), (b"999999999", 4.0), (b"soon", 4.0), (b"0", 0.2)):
        list(feed.read(b"retry: " + asked + b"\n\n"))
        assert feed.wait_seconds(None) == waited


def test_a_refusal_that_does_not_pass_ends_the_stream() -> None:
    feed = EventFeed(Options(), World().surroundings(), None)
    body = b'{"ok": false, "error": "unauthorized", "message": "No.", "details": []}'
    with pytest.raises(errors.Unauthorized):
        feed.wait_seconds(Reply(401, {}, body))
    assert feed.wait_seconds(Reply(503, {"retry-after": "2"}, b"")) == 2


def contacts_called(desk: Desk, count: int) -> list[str]:
    return [desk.call()["call_id"] for _ in range(count)]


def test_a_stream_goes_on_where_it_broke_off_also_across_a_restart(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server(f"sqlite:///{tmp_path / 'stream.db'}")
    desk = Desk.open(server)
    with CuttingProxy(desk.api.base_url) as proxy:
        seen: list[str] = []
        client = Client(proxy.url, desk.api.token or "")
        finished = threading.Event()

        def follow() -> None:
            for each in client.stream_events():
                if each.type == "call.started":
                    seen.append(each.data["call_id"])
                if each.type == "outcomes.changed":
                    break
            finished.set()

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        eventually(lambda: proxy.answered)
        # Cut before the first event: what happens meanwhile must not be lost.
        proxy.cut()
        made = contacts_called(desk, 3)
        eventually(lambda: len(seen) == 3)
        proxy.cut()
        made += contacts_called(desk, 2)
        server.stop()
        proxy.target = server.start().base_url
        again = desk.on(server)
        made += contacts_called(again, 2)
        again.disposition()
        assert finished.wait(30)
        follower.join(5)
        client.close()
    assert seen == made


async def test_the_async_stream_sees_what_happens_after_an_event(own_desk: Desk) -> None:
    async with AsyncClient(own_desk.api.base_url, own_desk.api.token or "") as client:
        call = await client.start_call(phone_number="+15555550100")
        (first, *_) = await client.list_events(limit=1)
        found = []
        async with contextlib.aclosing(client.stream_events(after=first.event_id)) as stream:
            async with asyncio.timeout(20):
                async for each in stream:
                    found.append(each.type)
                    if each.type == "call.answered":
                        await client.end_call(call.call_id)
                    if each.type == "call.closed":
                        break
        assert found == ["call.answered", "call.ended", "call.closed"]


def test_a_stream_with_a_wrong_token_is_refused(own_desk: Desk) -> None:
    with Client(own_desk.api.base_url, "wrong") as client, pytest.raises(errors.Unauthorized):
        next(client.stream_events())
