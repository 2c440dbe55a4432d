"""What systemd hears of a service, on a socket like its own."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import server_environment
from leadline.supervisor import Supervisor


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(30)
        yield listening


def test_a_server_says_when_it_serves_that_it_lives_and_when_it_stops(
    heard: socket.socket, tmp_path: Path
) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "leadline", "serve", "--port", "0", "--database", "sqlite:///x.db"],
        env=server_environment(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="100000"),
        cwd=tmp_path, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert heard.recv(1024).startswith(b"READY=1\n")
        assert [heard.recv(1024) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        server.terminate()
        while (last := heard.recv(1024)) == b"WATCHDOG=1":
            pass
        assert last.startswith(b"STOPPING=1\n")
        assert server.wait(timeout=30) == 0
    finally:
        server.kill()
        server.wait(timeout=10)


def test_an_abstract_socket_is_found_by_its_at_sign() -> None:
    name = f"leadline-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        Supervisor({"NOTIFY_SOCKET": f"@{name}"}).tell("READY=1")
        assert listening.recv(100) == b"READY=1"


def test_nobody_to_tell_and_somebody_who_is_gone_are_no_trouble(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Supervisor({}).tell("READY=1")
    assert not caplog.records
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "nowhere")}).tell("READY=1")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "50000", "WATCHDOG_PID": "1"}],
)
async def test_a_watchdog_that_means_nobody_or_another_hears_nothing(
    environ: dict[str, str], heard: socket.socket, tmp_path: Path
) -> None:
    async with Supervisor(environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")}).watching():
        await asyncio.sleep(0)
    assert [heard.recv(100)[:8] for _ in range(2)] == [b"READY=1\n", b"STOPPING"]
