"""How commands print: JSON for programs, aligned columns for people, colours only on a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def style(text: str, name: str) -> str:
    """The text in a colour when standard output is a terminal that wants colours (https://no-color.org)."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{_STYLES[name]}m{text}\033[0m"


def printable(text: str) -> str:
    """One line that moves no terminal's cursor, whoever wrote the text."""
    return "".join(each if each.isprintable() else " " for each in text)


def print_json(value: Any) -> None:
    """One JSON document."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Columns under their names, each as wide as its widest cell; a dash for what is not there."""
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    lines = [[column.upper() for column in columns], *cells]
    widths = [max(len(line[position]) for line in lines) for position in range(len(columns))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if value is None or value in ("", []):
        return "-"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return printable(text)
