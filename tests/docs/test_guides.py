"""The guides: their Python runs as it stands, and the programs they show are those in `examples/`."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from harness import Desk, Server, loopback_settings, run_server
from leadline.client import Options

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guides"
TESTED = re.compile(r"^<!-- tested -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^<!-- file: (\S+) -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python$", re.MULTILINE)
WITH_PYTHON = ("python-client.md", "receive-webhooks.md")


@pytest.fixture
def guide_server(tmp_path: Path) -> Iterator[Server]:
    yield from run_server(f"sqlite:///{tmp_path / 'guide.db'}", tmp_path, **loopback_settings())


@pytest.mark.parametrize("guide", WITH_PYTHON)
def test_the_python_of_a_guide_runs_from_top_to_bottom(
    guide: str, guide_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk.open(guide_server)
    monkeypatch.setenv("LEADLINE_URL", desk.api.base_url)
    monkeypatch.setenv("LEADLINE_TOKEN", desk.api.token or "")
    names: dict[str, object] = {"__name__": "guide"}
    for number, block in enumerate(TESTED.findall((GUIDES / guide).read_text())):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(block, f"{guide}, block {number}", "exec"), names)  # noqa: S102 - our own page
    if hasattr(names.get("client"), "close"):
        names["client"].close()  # type: ignore[attr-defined]


def test_a_program_in_a_guide_is_the_one_in_its_file() -> None:
    shown = {}
    for guide in sorted(GUIDES.glob("*.md")):
        for name, text in FILE.findall(guide.read_text()):
            shown[name] = text
            assert text == (ROOT / name).read_text(), f"{guide.name} does not show {name} as it is"
    assert set(shown) == {f"examples/{each.name}" for each in (ROOT / "examples").glob("*.py")}


@pytest.mark.parametrize("guide", WITH_PYTHON)
def test_no_python_of_a_guide_goes_untested(guide: str) -> None:
    text = (GUIDES / guide).read_text()
    assert len(PYTHON.findall(text)) == len(TESTED.findall(text)) + len(FILE.findall(text))


def test_every_option_of_the_client_is_in_its_guide() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", (GUIDES / "python-client.md").read_text(), re.MULTILINE)
    assert {name: float(value) for name, value in rows} == asdict(Options())
