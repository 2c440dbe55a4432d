"""Contract § 8: one busy workspace does not delay the others, not even just after a start."""

from __future__ import annotations

import socket
from collections.abc import Callable

from harness import Desk, Server
from receiver import Receiver

# More than a worker has in flight at first (32), in slots of 10 for each endpoint.
ENDPOINTS = 6
DELIVERIES_PER_ENDPOINT = 10


def test_a_busy_workspace_leaves_room_for_others_from_the_start(
    make_server: Callable[..., Server], make_database: Callable[[str], str], receiver: Receiver
) -> None:
    # Nothing of the busy workspace ends within this test, so no place becomes free.
    server = make_server(make_database("sqlite"), LEADLINE_WEBHOOK_TIMEOUT_SECONDS="30")
    with socket.create_server(("127.0.0.1", 0), backlog=128) as silent:
        busy = Desk.open(server, "Busy")
        for number in range(ENDPOINTS):
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/{number}"
            outcome_id = busy.action(url)["outcome_id"]
            for _ in range(DELIVERIES_PER_ENDPOINT):
                busy.applied(busy.call()["call_id"], outcome_id)
        other = Desk.open(server, "Other")
        other.applied(other.call()["call_id"], other.action(receiver.url)["outcome_id"])
        assert receiver.wait_for(1)
        server.kill()
