"""The command as a person runs it: a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import Server, eventually, server_environment

RELATIVE_URL = "sqlite:///./var/leadline.db"


def leadline(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`leadline …` in this folder, with nobody at the keyboard."""
    return subprocess.run(
        [sys.executable, "-m", "leadline", *arguments],
        env=server_environment(**settings),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def assert_refused_in_words(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """This exit status, and one line on standard error with these words in it."""
    assert done.returncode == status, (done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("leadline: ")
    for word in words:
        assert word in lines[0]


def whole_log(server: Server) -> str:
    return (server.directory / "server.log").read_text(errors="replace")


def kept_token(server: Server) -> str:
    """The token that `--dev` kept beside the database."""
    return (server.directory / "var" / "leadline.db.token").read_text().strip()


def receiver_url(server: Server) -> str:
    """The sample receiver's webhook URL, as the newest start has printed it."""
    found: Sequence[str] = eventually(
        lambda: re.findall(r"^Sample receiver: (\S+)", whole_log(server), re.MULTILINE)
    )
    return found[-1]


def arrivals(server: Server) -> list[Any]:
    """What the sample receiver shows, the newest first."""
    page = receiver_url(server).removesuffix("sample-receiver")
    with urllib.request.urlopen(page, timeout=10) as answer:  # noqa: S310 - always http
        shown: list[Any] = json.load(answer)["arrivals"]
    return shown
