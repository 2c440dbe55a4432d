"""The whole server on a disk that loses its power, or fails (contract § 3, § 8, § 10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import pytest

from durability.conftest import shim_settings
from durability.disk import disk_after, read_log, write_files
from durability.scene import FILE
from harness import Answer, Api, Desk, Server, assert_done
from leadline.wiring import provision_workspace
from receiver import Receiver

CLIENTS = 4
CALLS = 40
FAILED = 1


@dataclass
class Site:
    """A database on a disk under the shim, and servers on it."""

    place: Path
    shim: Path
    make_server: Callable[..., Server]
    files: Mapping[str, bytes]
    token: str

    @property
    def log(self) -> Path:
        return self.place / "log"

    def serve(self, directory: str = "data", **settings: str) -> tuple[Server, Desk]:
        path = self.place / directory
        url = f"sqlite:///{path / FILE}"
        if directory == "data":
            settings |= shim_settings(self.shim, path, self.log)
        server = self.make_server(url, **settings)
        return server, Desk(Api(server.base_url, self.token), url, "", "")

    def cut(self) -> None:
        """Make the directory `cut`: what the disk holds after a power cut now."""
        write_files(self.place / "cut", disk_after(self.files, read_log(self.log)).after_cut())


@pytest.fixture
def site(shim: Path, make_server: Callable[..., Server], tmp_path: Path) -> Site:
    directory = tmp_path / "data"
    directory.mkdir()
    made = provision_workspace(f"sqlite:///{directory / FILE}", "Durable")
    return Site(tmp_path, shim, make_server, {FILE: (directory / FILE).read_bytes()}, made.token)


def apply_all(desk: Desk, outcome_id: str, calls: list[str]) -> dict[str, Answer]:
    """From several clients at once; without those that nobody answered."""

    def apply(call_id: str) -> Answer | None:
        path = f"/calls/{call_id}/outcomes"
        try:
            return desk.api.post(path, json={"outcome_id": outcome_id}, key=f"apply-{call_id}")
        except (OSError, HTTPException):
            return None

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = dict(zip(calls, pool.map(apply, calls), strict=True))
    return {call_id: answer for call_id, answer in answers.items() if answer is not None}


def assert_all_kept(desk: Desk, outcome_id: str, first: Mapping[str, Answer], calls: list[str]) -> None:
    """Whatever was answered 201 replays byte for byte; the rest is done now; each is delivered."""
    again = apply_all(desk, outcome_id, calls)
    for call_id in calls:
        assert_done(again[call_id], 201)
        if call_id in first and first[call_id].status == 201:
            assert again[call_id].body == first[call_id].body
            assert again[call_id].header("Idempotent-Replayed") == "true"
        desk.delivery_in(again[call_id].json["applied"]["delivery_id"], "succeeded")


def test_a_server_whose_power_fails_has_kept_every_answer_that_it_gave(
    site: Site, receiver: Receiver
) -> None:
    server, desk = site.serve()
    outcome_id = desk.action(receiver.url)["outcome_id"]
    calls = [desk.call()["call_id"] for _ in range(CALLS)]
    answers = apply_all(desk, outcome_id, calls)
    assert {answer.status for answer in answers.values()} == {201}
    server.kill()
    site.cut()
    _, again = site.serve("cut")
    assert_all_kept(again, outcome_id, answers, calls)


def test_a_server_whose_disk_fails_acknowledges_nothing_more_and_ends_with_an_error(
    site: Site, receiver: Receiver
) -> None:
    receiver.answer_with(*[200] * CALLS)
    server, desk = site.serve(POWERCUT_FAIL="70")
    outcome_id = desk.action(receiver.url)["outcome_id"]
    calls = [desk.call()["call_id"] for _ in range(CALLS)]
    answers: dict[str, Answer] = {}
    refused_since: list[str] = []
    for call_id in calls:
        answers |= apply_all(desk, outcome_id, [call_id])
        if call_id not in answers or answers[call_id].status != 201:
            refused_since.append(call_id)
        else:
            assert not refused_since, "something was acknowledged after the disk had failed"
    assert refused_since
    assert {answer.error for answer in answers.values() if answer.status != 201} <= {"unavailable"}
    assert server.process.wait(timeout=15) == FAILED, server.log()
    assert "the disk failed to keep a commit" in server.log().lower()
    site.cut()
    _, again = site.serve("cut")
    assert_all_kept(again, outcome_id, answers, calls)
