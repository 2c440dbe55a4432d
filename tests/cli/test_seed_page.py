"""The published outcomes page, request by request: only host and token are replaced."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cli.shell import kept_token
from harness import Api, Server, assert_done, server_environment

PAGE = Path(__file__).with_name("seed_curls.txt").read_text().strip().split("\n\n")
HOST = "https://api.sailorhq.io"
STATUSES = (200, 201, 201, 201, 200, 200)


def run_curl(command: str, server: Server, key: str) -> tuple[int, Any]:
    """The status and the body that one request of the page brings."""
    assert command.startswith(f"curl {HOST}/")
    there = command.replace(HOST, server.base_url).replace("curl ", "curl -sS -w '\\n%{http_code}' ", 1)
    done = subprocess.run(
        ["/bin/sh", "-c", there],
        env=server_environment(SAILOR_API_TOKEN=kept_token(server), SAILOR_REQUEST_KEY=key),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_every_request_of_the_page_works_in_its_order(dev_server: Server) -> None:
    answers = [run_curl(command, dev_server, f"page-{number}") for number, command in enumerate(PAGE)]
    assert tuple(status for status, _ in answers) == STATUSES
    assert all(body["ok"] is True for _, body in answers)
    listed, created, disposed, removing, updated, deleted = (body for _, body in answers)
    assert listed["outcomes"][0]["outcome_id"] == "00000000-0000-4000-8000-000000000001"
    assert created["outcome"]["destination"]["destination_name"] == "Warm leads"
    assert disposed["disposition_popup_enabled"] is True
    assert removing["outcome"]["destination"]["remove_from_smart_lists"] == {"all": True}
    assert updated["outcome"]["outcome_name"] == "Interested - Follow Up"
    assert deleted["outcome_id"] == "00000000-0000-4000-8000-000000000001"


def test_the_first_outcome_is_the_one_that_the_page_shows(dev_server: Server) -> None:
    _, body = run_curl(PAGE[0], dev_server, "unused")
    first = body["outcomes"][0]
    assert (first["outcome_name"], first["outcome_type"], first["order"]) == ("Interested", "action", 10)
    assert first["destination"] == {
        "destination_type": "smart_list",
        "destination_id": "00000000-0000-4000-8000-000000000002",
        "destination_name": "Follow up",
    }


@pytest.mark.parametrize("last_digits", ["10", "11"])
def test_the_lists_that_the_page_removes_from_are_there(dev_server: Server, last_digits: str) -> None:
    api = Api(dev_server.base_url, kept_token(dev_server))
    body = {
        "outcome_name": "Off the campaign",
        "outcome_type": "disposition",
        "destination_type": "remove_from_smart_list",
        "remove_from_smart_lists": {"list_ids": [f"00000000-0000-4000-8000-0000000000{last_digits}"]},
    }
    assert_done(api.post("/outcomes", json=body), 201)
