"""The sample receiver of `--dev` trusts nothing that is not signed, and survives what it does not understand."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from cli.shell import arrivals, kept_token, receiver_url, whole_log
from harness import Api, Desk, Server, assert_done, eventually

INTERESTED = "00000000-0000-4000-8000-000000000001"


def post(url: str, body: bytes, **headers: str) -> int:
    request = urllib.request.Request(  # noqa: S310 - always http
        url, body, {name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
            status: int = answer.status
            return status
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code


def answer_to(url: str, request: bytes) -> bytes:
    """What comes back for these bytes, to the end."""
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=10) as wire:
        wire.sendall(request)
        wire.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: wire.recv(65536), b""))


def desk_of(server: Server) -> Desk:
    return Desk(Api(server.base_url, kept_token(server)), server.database_url, "", "")


def test_a_forged_webhook_is_refused_and_shown_as_such(dev_server: Server) -> None:
    desk = desk_of(dev_server)
    workspace: Any = assert_done(desk.api.get("/workspace"))["workspace"]
    forged = {"scope": {"subaccount_id": workspace["subaccount_id"]}, "outcome": {"outcome_name": "Forged"}}
    status = post(
        receiver_url(dev_server),
        json.dumps(forged).encode(),
        webhook_id="msg_1",
        webhook_timestamp=str(int(time.time())),
        webhook_signature="v1,AAAA",
    )
    assert status == 401
    (arrival,) = arrivals(dev_server)
    assert (arrival["verified"], arrival["outcome_name"]) == (False, "Forged")
    assert "not verified" in whole_log(dev_server)


def test_a_delivery_sent_again_is_marked_as_repeated(dev_server: Server) -> None:
    desk = desk_of(dev_server)
    delivery_id = desk.applied(desk.call()["call_id"], INTERESTED)["delivery_id"]
    desk.delivery_in(delivery_id, "succeeded")
    assert_done(desk.api.post(f"/webhook-deliveries/{delivery_id}/retry"))
    came = eventually(lambda: seen if len(seen := arrivals(dev_server)) == 2 else [])
    assert [each["repeated"] for each in came] == [True, False]
    assert len({each["webhook_id"] for each in came}) == 1


def test_what_is_no_webhook_is_refused_and_the_next_one_still_arrives(dev_server: Server) -> None:
    url = receiver_url(dev_server)
    assert post(url, b"no json") == 400
    assert post(url, b"[]") == 401
    assert post(url, b"[" * 100_000) == 400
    assert post(url.replace("sample-receiver", "elsewhere"), b"{}") == 400
    for garbage in (
        b"\x00\xff\r\n\r\n",
        b"GET\r\n\r\n",
        b"x" * 70_000,
        b"POST /sample-receiver HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /sample-receiver HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        b"POST /sample-receiver HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ):
        assert answer_to(url, garbage)[:12] in (b"", b"HTTP/1.1 400")
    answer_to(url, b"POST /sample-receiver HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf")
    desk = desk_of(dev_server)
    delivery_id = desk.applied(desk.call()["call_id"], INTERESTED)["delivery_id"]
    desk.delivery_in(delivery_id, "succeeded")
    assert "Traceback" not in whole_log(dev_server)
