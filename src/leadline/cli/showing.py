"""Answers of the API on the screen: JSON for programs, tables and records for people.

On a terminal a table is laid out to its width, in colour unless NO_COLOR is set; in a pipe it is plain text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from leadline.cli.printing import print_json, print_table, printable

Column = str | tuple[str, Callable[[Mapping[str, Any]], Any]]
Columns = Sequence[Column]
Summary = Callable[[Mapping[str, Any]], Mapping[str, Any]] | None
_ENVELOPE = frozenset({"ok", "next_cursor"})


def show_answer(
    body: bytes, columns: Columns, *, as_json: bool, done: str = "", summary: Summary = None
) -> None:
    """One answer: a sentence when the verb has one, rows when it holds rows, else a record."""
    answer = json.loads(body)
    if as_json:
        print_json(answer)
    elif done:
        print(done.format(**answer))
    elif columns:
        show_rows([body], columns, as_json=False)
    else:
        print_record((summary or _content)(answer))


def show_rows(bodies: Sequence[bytes], columns: Columns, *, as_json: bool, more: str = "") -> None:
    """Pages of one list as one table, or as one JSON answer with the last page's `next_cursor`."""
    pages = [json.loads(body) for body in bodies]
    noun = next(name for name, value in pages[0].items() if isinstance(value, list))
    rows = [row for page in pages for row in page[noun]]
    if as_json:
        print_json({**pages[-1], noun: rows})
        return
    print_rows([_cells(row, columns) for row in rows], [_title(each) for each in columns])
    if more:
        print(f"There are more: --all, or go on with {more}", file=sys.stderr)


def _title(column: Column) -> str:
    return column if isinstance(column, str) else column[0]


def _cells(row: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    return {_title(each): row.get(each) if isinstance(each, str) else each[1](row) for each in columns}


def print_rows(rows: Sequence[Mapping[str, Any]], titles: Sequence[str]) -> None:
    """A table: laid out to a terminal's width, plain in a pipe."""
    if not rows:
        print("There are none.", file=sys.stderr)
        return
    if not sys.stdout.isatty():
        print_table(rows, titles)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title.upper(), no_wrap=title.endswith("_id"), overflow="fold")
    for row in rows:
        table.add_row(*(_text(row[title]) for title in titles))
    Console(highlight=False, markup=False).print(table)


def _content(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an answer is about: its one noun, or all that it says."""
    said = {name: value for name, value in answer.items() if name not in _ENVELOPE}
    nouns = [value for value in said.values() if isinstance(value, dict)]
    return nouns[0] if len(nouns) == 1 else said


def print_record(record: Mapping[str, Any]) -> None:
    """A thing, a line for each of its fields; what is inside it is shown under its own name."""
    lines = list(_lines(record))
    width = max((len(name) for name, _ in lines), default=0)
    for name, text in lines:
        print(f"{name:<{width}}  {text}".rstrip())


def _lines(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        label = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            yield from _lines(value, f"{label}.")
        elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
            for position, each in enumerate(value):
                yield from _lines(each, f"{label}[{position}].")
        else:
            yield label, _text(value)


def _text(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return printable(str(value))
