"""CSV as people have it: any usual encoding and delimiter, with or without a header, a window at a time. Pure.

A file is read through windows of its bytes. Each window gives whole records only, and says how many bytes they took,
so that a reader that was killed goes on exactly behind the last record it is sure of.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from leadline.domain.limits import IMPORT_COLUMNS_MAX, IMPORT_RECORD_CHARACTERS_MAX


class Encoding(StrEnum):
    UTF_8 = "utf-8"
    UTF_16_LE = "utf-16-le"
    UTF_16_BE = "utf-16-be"
    WINDOWS_1252 = "windows-1252"


class Delimiter(StrEnum):
    COMMA = ","
    SEMICOLON = ";"
    TAB = "\t"
    PIPE = "|"


_MARKS = (
    (codecs.BOM_UTF8, Encoding.UTF_8),
    (codecs.BOM_UTF16_LE, Encoding.UTF_16_LE),
    (codecs.BOM_UTF16_BE, Encoding.UTF_16_BE),
)
# Records that are looked at to tell the delimiter and the header.
SAMPLE_RECORDS = 50
# A lone carriage return ends a line as well: old spreadsheets write it.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
# Bytes that are no text in an encoding stay what they are, so that a window's length can be told from its text.
_ERRORS = {
    Encoding.UTF_8: "surrogateescape",
    Encoding.WINDOWS_1252: "surrogateescape",
    Encoding.UTF_16_LE: "surrogatepass",
    Encoding.UTF_16_BE: "surrogatepass",
}
_SURROGATE = re.compile("[\ud800-\udfff]")


class Unreadable(ValueError):
    """The file is no CSV that we take; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written."""

    encoding: Encoding
    delimiter: Delimiter
    has_header: bool


@dataclass(frozen=True, slots=True)
class Window:
    """Whole records, each with the bytes that it and those before it took; whether the file ends behind them."""

    records: Sequence[tuple[tuple[str, ...], int]]
    is_last: bool


def byte_order_mark(start: bytes) -> bytes:
    """The mark that a file begins with; empty when it has none."""
    return next((mark for mark, _ in _MARKS if start.startswith(mark)), b"")


class EncodingFinder:
    """Finds a file's encoding while its parts go by: by its mark, by zero bytes, or because it is UTF-8 or not."""

    def __init__(self) -> None:
        self._first = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._is_utf_8 = True

    def take(self, part: bytes) -> None:
        """Look at the next part."""
        self._first = self._first or part[:4096]
        self._decode(part)

    def _decode(self, part: bytes, *, final: bool = False) -> None:
        if self._is_utf_8:
            try:
                self._decoder.decode(part, final)
            except UnicodeDecodeError:
                self._is_utf_8 = False

    def found(self) -> Encoding:
        """What the parts are written in, once all were seen. What is not UTF-8 is taken for Windows-1252."""
        self._decode(b"", final=True)
        for mark, encoding in _MARKS:
            if self._first.startswith(mark):
                return encoding
        even, odd = self._first[::2].count(0), self._first[1::2].count(0)
        if max(even, odd) > len(self._first) // 8:
            return Encoding.UTF_16_LE if odd > even else Encoding.UTF_16_BE
        return Encoding.UTF_8 if self._is_utf_8 else Encoding.WINDOWS_1252


def is_text(cell: str) -> bool:
    """Whether a cell was written in the file's encoding, and holds no NUL."""
    return "\0" not in cell and not _SURROGATE.search(cell)


def read_window(
    window: bytes, *, encoding: Encoding, delimiter: str, is_end: bool, records_max: int
) -> Window:
    """The first whole records of a window. Raises Unreadable for a record that is too large.

    `is_end` says that nothing follows the window; else its last record is left for the next one.
    """
    text = _decoded(window, encoding, is_end=is_end)
    records: list[tuple[tuple[str, ...], int]] = []
    used = _Counted(text)
    reader = csv.reader(used, delimiter=delimiter)
    taken_bytes = taken_characters = 0
    while len(records) < records_max:
        try:
            cells = _next_record(reader)
        except Unreadable:
            if not records:
                raise
            break  # those before it are good, and the next window begins with it
        if cells is None or (used.is_empty and not is_end):
            break
        taken_bytes += len(text[taken_characters : used.characters].encode(encoding, _ERRORS[encoding]))
        taken_characters = used.characters
        records.append((tuple(cells), taken_bytes))
    if not records and not is_end:
        raise Unreadable(_too_large())
    return Window(records, is_last=is_end and taken_characters >= len(text))


def _next_record(reader: Iterator[list[str]]) -> list[str] | None:
    try:
        cells = next(reader, None)
    except csv.Error as wrong:
        # The module's own bound of a field is above ours of a row.
        too_large = "field larger" in str(wrong)
        raise Unreadable(_too_large() if too_large else f"it is no CSV: {wrong}") from None
    if cells is not None and sum(map(len, cells)) > IMPORT_RECORD_CHARACTERS_MAX:
        raise Unreadable(_too_large())
    if cells is not None and len(cells) > IMPORT_COLUMNS_MAX:
        raise Unreadable(f"a row has more than {IMPORT_COLUMNS_MAX} columns")
    return cells


def _too_large() -> str:
    return (
        f"a row is longer than {IMPORT_RECORD_CHARACTERS_MAX // 1024} KiB:"
        " perhaps a quotation mark is opened and never closed"
    )


def _decoded(window: bytes, encoding: Encoding, *, is_end: bool) -> str:
    if is_end and encoding in (Encoding.UTF_16_LE, Encoding.UTF_16_BE) and len(window) % 2:
        window = window[:-1]  # half a character at the very end is none
    decoder = codecs.getincrementaldecoder(encoding)(_ERRORS[encoding])
    try:
        return decoder.decode(window, final=is_end)
    except UnicodeDecodeError as wrong:
        raise Unreadable(f"it is not {encoding}: {wrong.reason}") from None


class _Counted:
    """The lines of a text, and how many characters of it have been handed out."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.characters = 0

    @property
    def is_empty(self) -> bool:
        return self.characters >= len(self._text)

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> str:
        found = _LINE.match(self._text, self.characters)
        if found is None:
            raise StopIteration
        self.characters = found.end()
        return found[0]


def sniffed_delimiter(sample: bytes, encoding: Encoding, *, is_end: bool) -> Delimiter:
    """The delimiter that splits the sample's records most evenly; a comma when there is one column."""
    best = (0, 0, 0)
    chosen = Delimiter.COMMA
    for order, delimiter in enumerate(Delimiter):
        try:
            window = read_window(
                sample, encoding=encoding, delimiter=delimiter, is_end=is_end, records_max=SAMPLE_RECORDS
            )
        except Unreadable:
            continue
        widths = Counter(len(cells) for cells, _ in window.records if any(cells))
        if not widths:
            continue
        width, count = max(widths.items(), key=lambda item: (item[1] * (item[0] > 1), item[0]))
        rank = (count if width > 1 else 0, width, -order)
        if rank > best:
            best, chosen = rank, delimiter
    return chosen if best[0] else Delimiter.COMMA
