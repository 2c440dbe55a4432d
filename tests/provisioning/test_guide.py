"""docs/guides/outcomes-as-code.md: its files and its commands, as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from harness import Desk, Server, assert_done, server_environment

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "outcomes-as-code.md"
FILES = re.compile(r"^<!-- file: (\S+) -->\n```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TESTED = re.compile(r"^<!-- tested -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"^```text\n(.*?)^…\n```$", re.MULTILINE | re.DOTALL)


def test_the_guide_works_as_it_stands(server: Server, desk: Desk, tmp_path: Path) -> None:
    text = GUIDE.read_text()
    for name, content in FILES.findall(text):
        (tmp_path / name).write_text(content)
    command = tmp_path / "leadline"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m leadline "$@"\n')
    command.chmod(0o755)
    blocks = TESTED.findall(text)
    assert len(blocks) == 4
    environment = server_environment(
        LEADLINE_PORT=str(urlsplit(server.base_url).port), LEADLINE_TOKEN=desk.api.token or ""
    )
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    done = subprocess.run(
        ["/bin/bash", "-eu", "-c", "\n".join(blocks)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)
    (shown,) = SHOWN.findall(text)
    assert done.stdout.startswith(shown)
    lists = assert_done(desk.api.get("/smart-lists"))["smart_lists"]
    assert {each["smart_list_name"] for each in lists} == {"Warm leads", "Customers"}
