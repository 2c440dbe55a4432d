"""What can be set, refused, streamed or read about is in the reference, and nothing else is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from leadline.delivery import worker
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
    assert re.search(rf"deliveries in flight of one worker \| .*\b{getattr(worker, name)}\b", text)


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted(DOCS.rglob("*.md")), ids=lambda page: page.name
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
