"""Retries over a real socket that breaks: a write whose answer was lost is not done twice."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from client.proxy import CuttingProxy
from harness import Desk, fresh_phone_number
from leadline.client import AsyncClient, Client, ConnectionFailed, NoAnswer, requests


@pytest.fixture
def proxy(own_desk: Desk) -> Iterator[CuttingProxy]:
    with CuttingProxy(own_desk.api.base_url) as made:
        yield made


def test_a_write_whose_answer_is_lost_is_done_once(own_desk: Desk, proxy: CuttingProxy) -> None:
    with Client(proxy.url, own_desk.api.token or "", backoff_first_seconds=0.01) as client:
        client.get_workspace()
        proxy.swallow_answers(3)
        made = client.send(requests.create_contact(phone_number=fresh_phone_number()))
        assert proxy.swallowed == 3
        assert made.replayed
        assert [each.contact_id for each in client.iter_contacts()] == [made.value.contact_id]


async def test_the_async_client_does_the_same(own_desk: Desk, proxy: CuttingProxy) -> None:
    async with AsyncClient(proxy.url, own_desk.api.token or "", backoff_first_seconds=0.01) as client:
        proxy.swallow_answers(2)
        saved = await client.create_outcome(outcome_name="Sale", outcome_type="disposition")
        assert proxy.swallowed == 2
        listed = await client.list_outcomes()
        assert [each.outcome_id for each in listed.outcomes] == [saved.outcome.outcome_id]


def test_when_no_answer_comes_the_error_holds_the_key_to_try_once_more(
    own_desk: Desk, proxy: CuttingProxy
) -> None:
    number = fresh_phone_number()
    with Client(proxy.url, own_desk.api.token or "", backoff_first_seconds=0.01, attempts_max=2) as client:
        proxy.swallow_answers(2)
        with pytest.raises(ConnectionFailed) as lost:
            client.create_contact(phone_number=number)
        key = lost.value.idempotency_key
        again = client.send(requests.create_contact(phone_number=number, idempotency_key=key))
        assert again.replayed


def test_nobody_there_is_an_error_of_ours_and_bounded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}", "t", attempts_max=2, backoff_first_seconds=0)
    with client, pytest.raises(ConnectionFailed, match="2 times"):
        client.get_workspace()


def drip(listener: socket.socket, stop: threading.Event) -> None:
    """Answer for ever, a byte at a time: never silent, never done."""
    caller, _ = listener.accept()
    with caller:
        caller.recv(65536)
        caller.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
        )
        while not stop.wait(0.02):
            try:
                caller.sendall(b" ")
            except OSError:
                return


def test_an_answer_that_drips_ends_with_the_deadline() -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener, stop), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Client(url, "t", deadline_seconds=0.3) as client, pytest.raises(NoAnswer, match="too slowly"):
            client.get_workspace()
        stop.set()
