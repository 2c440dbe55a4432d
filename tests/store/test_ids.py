from __future__ import annotations

import threading
import time
from itertools import pairwise
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.ids import NIL_ID, new_id, parse_id

ID = "0190f3a0-1234-7abc-8def-00000000000a"


def test_an_id_is_a_version_7_uuid_of_this_moment() -> None:
    before_ms = time.time_ns() // 1_000_000
    text = new_id()
    after_ms = time.time_ns() // 1_000_000
    value = UUID(text)
    assert str(value) == text == parse_id(text)
    assert value.version == 7
    assert value.variant == RFC_4122
    # A burst of earlier ids may have run ahead of the clock by as many milliseconds as it filled.
    assert before_ms <= value.int >> 80 <= after_ms + 10_000


@pytest.mark.parametrize("step_back_ms", [0, 5_000])
def test_ids_rise_while_time_stands_still_or_goes_back(
    monkeypatch: pytest.MonkeyPatch, step_back_ms: int
) -> None:
    at_ns = time.time_ns() - step_back_ms * 1_000_000
    monkeypatch.setattr("leadline.ids.time.time_ns", lambda: at_ns)
    made = [new_id() for _ in range(10_000)]
    assert all(earlier < later for earlier, later in pairwise(made))
    assert all(UUID(each).version == 7 for each in made)


def test_ids_of_many_threads_are_distinct_and_rise_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    at_ns = time.time_ns()
    monkeypatch.setattr("leadline.ids.time.time_ns", lambda: at_ns)
    made: list[list[str]] = [[] for _ in range(8)]
    start = threading.Barrier(len(made))

    def make(mine: list[str]) -> None:
        start.wait()
        mine.extend(new_id() for _ in range(3_000))

    threads = [threading.Thread(target=make, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(earlier < later for mine in made for earlier, later in pairwise(mine))
    # Before the random bits, too: two threads never share a tick.
    assert len({each[:18] for mine in made for each in mine}) == 8 * 3_000


@given(st.uuids())
def test_every_spelling_of_an_id_is_read_as_one(value: UUID) -> None:
    for spelling in (str(value), value.hex, str(value).upper(), value.hex.upper()):
        assert parse_id(spelling) == str(value)


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "{" + ID + "}", "urn:uuid:" + ID, ID + "\n", " " + ID, ID[:-1], ID + "0",
        ID.replace("-", "", 1), ID.replace("-", "_"), "\u0660" + ID[1:], "0" * 31 + "g", ID[:8] + ID[9:13] + ID[13:],
    ],
)  # fmt: skip
def test_no_other_text_is_an_id(text: str) -> None:
    assert parse_id(text) is None


@given(st.text())
def test_any_text_is_an_id_or_nothing(text: str) -> None:
    parsed = parse_id(text)
    assert parsed is None or str(UUID(text)) == parsed


def test_the_id_that_nobody_has_is_never_made() -> None:
    assert UUID(NIL_ID).int == 0
    assert new_id() != NIL_ID
