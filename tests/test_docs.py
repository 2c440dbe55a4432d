"""What can be set, refused, streamed or read about is in the reference, and nothing else is."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from leadline.delivery import places
from leadline.domain.errors import LeadlineError
from leadline.operations.events import EventType
from leadline.settings import PREFIX, Settings
from leadline.web.problems import STATUS_OF_CODE, STATUS_OF_CONSOLE_CODE

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def in_first_column(page: str) -> list[str]:
    """The code words that begin the rows of a page's tables."""
    text = (DOCS / "reference" / page).read_text()
    return re.findall(r"^\| (?:\d{3} \| )?`([^`]+)`", text, re.MULTILINE)


def test_every_setting_is_documented_and_no_other() -> None:
    assert set(in_first_column("settings.md")) == {PREFIX + each.name.upper() for each in fields(Settings)}


def test_every_error_code_is_documented_with_its_status() -> None:
    text = (DOCS / "reference" / "errors.md").read_text()
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", text, re.MULTILINE)
    assert {code: int(status) for status, code in rows} == STATUS_OF_CODE


def test_every_error_class_has_a_status() -> None:
    def below(kind: type[LeadlineError]) -> set[str]:
        return {kind.code}.union(*(below(each) for each in kind.__subclasses__()))

    assert below(LeadlineError) <= set(STATUS_OF_CODE) | set(STATUS_OF_CONSOLE_CODE)


def test_every_event_is_documented_and_no_other() -> None:
    assert set(in_first_column("events.md")) == {event.value for event in EventType}


@pytest.mark.parametrize("name", ["IN_FLIGHT_MAX", "IN_FLIGHT_FIRST"])
def test_bounds_in_the_reference_are_those_of_the_code(name: str) -> None:
    text = (DOCS / "reference" / "choices.md").read_text()
    assert re.search(rf"deliveries in flight of one worker \| .*\b{getattr(places, name)}\b", text)


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted(DOCS.rglob("*.md")), ids=lambda page: page.name
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_route_is_documented_and_no_other() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "write_routes.py"), "--check"]
    checked = subprocess.run(script, capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stderr


def test_every_page_is_reached_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            found = (page.parent / target).resolve()
            waiting += [found] if found.is_file() else sorted(found.glob("*.md"))
    assert set(DOCS.rglob("*.md")) <= seen


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted(DOCS.rglob("*.md")), ids=lambda page: page.name
)
def test_a_test_that_a_page_names_is_there(page: Path) -> None:
    for named in re.findall(r"`((?:tests|src|scripts|chaos|deploy)/[\w./-]+)`", page.read_text()):
        assert (ROOT / named).exists(), f"{page.name} names {named}"
