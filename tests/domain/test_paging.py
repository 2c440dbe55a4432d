from __future__ import annotations

import base64
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leadline.domain.errors import InvalidRequest
from leadline.domain.limits import PAGE_DEFAULT
from leadline.domain.paging import (
    START,
    START_OF_TEXT,
    PageRequest,
    Position,
    cut_page,
    encode_cursor,
    page_request,
)

times = st.integers(0, 2**63 - 1)
ids = st.uuids().map(str)
positions = st.builds(Position, times, ids)
agent_names = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=128)


@given(positions)
def test_a_cursor_reads_back_as_its_position(position: Position) -> None:
    assert page_request(None, encode_cursor(position)) == PageRequest(PAGE_DEFAULT, position)


@given(times, agent_names)
def test_a_cursor_among_names_reads_back_whatever_the_name(at_ms: int, name: str) -> None:
    position = Position(at_ms, name)
    assert page_request(7, encode_cursor(position), start=START_OF_TEXT) == PageRequest(7, position)


@given(st.text())
@example("\ud800")
@example("=")
@example(base64.urlsafe_b64encode(b"1").decode())
@example(base64.urlsafe_b64encode(b"1." + b"f" * 36).decode())
@example(base64.urlsafe_b64encode(b"9" * 5000 + b".x").decode())
@example(base64.urlsafe_b64encode(b"-1." + str(UUID(int=1)).encode()).decode())
@example(base64.urlsafe_b64encode(f"{2**63}.{UUID(int=1)}".encode()).decode())
@example(base64.urlsafe_b64encode(f"01.{UUID(int=1)}".encode()).decode())
@example(base64.urlsafe_b64encode("١.00000000-0000-4000-8000-000000000000".encode()).decode())  # noqa: RUF001
@example(base64.urlsafe_b64encode(b"1.{00000000-0000-4000-8000-000000000000}").decode())
@example(base64.urlsafe_b64encode(b"1.00000000-0000-4000-8000-00000000000A").decode())
@example(base64.urlsafe_b64encode(b"1.----" + b"0" * 32).decode())
def test_text_that_is_no_cursor_is_refused_by_name(text: str) -> None:
    for start in (START, START_OF_TEXT):
        try:
            read = page_request(None, text, start=start)
        except InvalidRequest as refused:
            assert [problem.field for problem in refused.details] == ["cursor"]  # noqa: PT017
        else:
            assert encode_cursor(read.after) == text
            # PostgreSQL takes no dashes but where they belong.
            assert start is START_OF_TEXT or str(UUID(read.after.id)) == read.after.id


@given(st.binary(max_size=80))
def test_bytes_in_the_clothes_of_a_cursor_are_refused_or_are_one(raw: bytes) -> None:
    cursor = base64.urlsafe_b64encode(raw).decode()
    for start in (START, START_OF_TEXT):
        try:
            read = page_request(None, cursor, start=start)
        except InvalidRequest:
            continue
        assert encode_cursor(read.after) == cursor


@pytest.mark.parametrize("tail", ["", "=", "\n", " "])
def test_a_second_spelling_of_a_cursor_is_none_of_ours(tail: str) -> None:
    cursor = encode_cursor(Position(1, str(UUID(int=1))))
    if not tail:
        assert page_request(None, cursor).after.at_ms == 1
        return
    with pytest.raises(InvalidRequest):
        page_request(None, cursor + tail)


@given(positions)
def test_every_list_begins_before_its_first_row(position: Position) -> None:
    assert (position.at_ms, position.id) <= (START.at_ms, START.id)


@given(st.lists(positions, unique=True), st.integers(1, 9))
def test_pages_together_are_the_list(rows: list[Position], limit: int) -> None:
    rows.sort(key=lambda row: (row.at_ms, row.id), reverse=True)
    seen: list[Position] = []
    cursor: str | None = None
    for _ in range(len(rows) + 1):
        request = page_request(limit, cursor)
        after = (request.after.at_ms, request.after.id)
        behind = [row for row in rows if (row.at_ms, row.id) < after][: limit + 1]
        page, cursor = cut_page(behind, request, lambda row: row)
        assert len(page) <= limit
        seen += page
        if cursor is None:
            break
    assert seen == rows
