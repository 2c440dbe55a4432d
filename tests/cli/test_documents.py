"""The shell blocks of README and docs/start.md that are marked as tested, run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.shell import arrivals, kept_token, receiver_url
from harness import Api, Server, assert_done, eventually, server_environment

ROOT = Path(__file__).parents[2]
TESTED = re.compile(r"^<!-- tested -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = ("README.md", "docs/start.md")


def blocks_of(document: str) -> list[str]:
    return TESTED.findall((ROOT / document).read_text())


def lay_out(folder: Path) -> None:
    """`.venv/bin/leadline`, which plays simulated calls without their pauses."""
    command = folder / ".venv" / "bin" / "leadline"
    command.parent.mkdir(parents=True)
    command.write_text(
        f'#!/bin/sh\n[ "$1" = simulate ] && set -- "$@" --speed 1000\nexec {sys.executable} -m leadline "$@"\n'
    )
    command.chmod(0o755)


def run_blocks(document: str, server: Server) -> str:
    """All blocks in one shell that stops at the first failure; what they printed."""
    script = "\n".join(blocks_of(document))
    script = script.replace("http://127.0.0.1:8080", server.base_url)
    script = script.replace("http://127.0.0.1:8081/sample-receiver", receiver_url(server))
    done = subprocess.run(
        ["/bin/bash", "-eu", "-o", "pipefail", "-c", script],
        env=server_environment(LEADLINE_PORT=str(urlsplit(server.base_url).port)),
        cwd=server.directory,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_the_document_shows_works_as_it_stands(document: str, dev_server: Server) -> None:
    lay_out(dev_server.directory)
    printed = run_blocks(document, dev_server)
    assert '"ok":true' in printed
    assert '"ok":false' not in printed
    api = Api(dev_server.base_url, kept_token(dev_server))
    by_hand = assert_done(api.get("/calls?agent_id=you"))["calls"]
    assert [call["state"] for call in by_hand] == ["closed"]
    names = {each["outcome_name"] for each in by_hand[0]["applied"]}
    assert len(names) == 2
    numbers = {by_hand[0]["phone_number"]}
    eventually(
        lambda: names <= {a["outcome_name"] for a in arrivals(dev_server) if a["phone_number"] in numbers}
    )


def test_the_documents_have_blocks_that_are_tested() -> None:
    assert all(len(blocks_of(document)) >= 7 for document in DOCUMENTS)


def test_the_links_of_the_documents_lead_somewhere() -> None:
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        for target in re.findall(r"\]\((?!http)([^)#]+)", text):
            assert ((ROOT / document).parent / target).exists(), (document, target)
