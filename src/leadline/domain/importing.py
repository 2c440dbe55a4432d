"""From a row of a file to a contact: which column means what, and what each cell may be. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from leadline.domain.contacts import contact_problems, normalised_number
from leadline.domain.csv_reading import is_text
from leadline.domain.csv_writing import unguarded
from leadline.domain.errors import Problem
from leadline.domain.limits import ATTRIBUTE_KEY_CHARACTERS_MAX, PHONE_INPUT_CHARACTERS_MAX
from leadline.domain.text import name_key


class ImportState(StrEnum):
    """uploading → running → done, or checked (a dry run), failed, canceled; checked → running again."""

    UPLOADING = "uploading"
    RUNNING = "running"
    CHECKED = "checked"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


# What is not listed is the end.
MOVES: Mapping[ImportState, frozenset[ImportState]] = {
    ImportState.UPLOADING: frozenset({ImportState.RUNNING, ImportState.CANCELED}),
    ImportState.RUNNING: frozenset(
        {ImportState.CHECKED, ImportState.DONE, ImportState.FAILED, ImportState.CANCELED}
    ),
    ImportState.CHECKED: frozenset({ImportState.RUNNING, ImportState.CANCELED}),
}


class ColumnField(StrEnum):
    """What a column can mean."""

    PHONE_NUMBER = "phone_number"
    NAME = "name"
    EXTERNAL_ID = "external_id"
    ATTRIBUTE = "attribute"
    ATTRIBUTES = "attributes"
    SMART_LISTS = "smart_lists"


class AttributeType(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """What the column at `index` (from 0) means. `key` and `type` are an attribute's."""

    index: int
    field: ColumnField
    key: str | None = None
    type: AttributeType = AttributeType.TEXT


@dataclass(frozen=True, slots=True)
class ParsedRow:
    """A row without problems. A cell that is empty is not in it: it says nothing, and erases nothing."""

    number: str
    name: str | None = None
    external_id: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    smart_list_ids: tuple[str, ...] = ()


_ONCE = (
    ColumnField.PHONE_NUMBER,
    ColumnField.NAME,
    ColumnField.EXTERNAL_ID,
    ColumnField.ATTRIBUTES,
    ColumnField.SMART_LISTS,
)


def mapping_problems(columns: Sequence[Column], width: int) -> list[Problem]:
    """What is wrong with a mapping onto a file with this many columns."""
    problems = []
    for place, column in enumerate(columns):
        where = f"columns[{place}]"
        if column.index >= width:
            problems.append(
                Problem(f"{where}.column", f"must be below {width}: the file has no more columns")
            )
        if column.index in {each.index for each in columns[:place]}:
            problems.append(Problem(f"{where}.column", "means something already"))
        problems += [Problem(f"{where}.key", wrong) for wrong in _key_problems(column, columns[:place])]
        if column.field in _ONCE and column.field in {each.field for each in columns[:place]}:
            problems.append(Problem(f"{where}.field", f"{column.field} is another column already"))
    if not any(column.field is ColumnField.PHONE_NUMBER for column in columns):
        problems.append(Problem("columns", "must say which column is phone_number"))
    return problems


def _key_problems(column: Column, before: Sequence[Column]) -> list[str]:
    if column.field is not ColumnField.ATTRIBUTE:
        return [] if column.key is None else ["is only allowed with the field attribute"]
    if not 1 <= len(column.key or "") <= ATTRIBUTE_KEY_CHARACTERS_MAX:
        return [f"must be 1-{ATTRIBUTE_KEY_CHARACTERS_MAX} characters"]
    return ["is another column already"] if column.key in {each.key for each in before} else []


class RowReader:
    """Reads rows by a mapping. `smart_lists` are the workspace's, by `name_key`."""

    def __init__(self, columns: Sequence[Column], *, region: str, smart_lists: Mapping[str, str]) -> None:
        self._columns = columns
        self._region = region
        self._smart_lists = smart_lists

    def read(self, cells: Sequence[str], width: int) -> ParsedRow | list[Problem]:
        """The contact that a row describes, or everything that is wrong with it. A short row lacks its last cells."""
        if len(cells) > width:
            return [Problem("", f"has {len(cells)} cells, and the file {width} columns")]
        found = _Cells()
        for column in self._columns:
            cell = cells[column.index].strip() if column.index < len(cells) else ""
            if not is_text(cell):
                found.problems.append(Problem(_title(column), "is not text in the file's encoding"))
            elif cell:
                self._read_cell(found, column, unguarded(cell))
        if not found.number and not found.problems:
            found.problems.append(Problem("phone_number", "is empty"))
        found.problems += contact_problems(
            {"name": found.name, "external_id": found.external_id, "attributes": found.attributes}
        )
        return found.problems or found.row()

    def _read_cell(self, found: _Cells, column: Column, cell: str) -> None:
        match column.field:
            case ColumnField.PHONE_NUMBER:
                found.number = self._number(found, cell)
            case ColumnField.NAME:
                found.name = cell
            case ColumnField.EXTERNAL_ID:
                found.external_id = cell
            case ColumnField.ATTRIBUTE:
                _read_attribute(found, column, cell)
            case ColumnField.ATTRIBUTES:
                _read_attributes(found, cell)
            case ColumnField.SMART_LISTS:
                self._read_lists(found, cell)

    def _number(self, found: _Cells, cell: str) -> str:
        number = normalised_number(cell, self._region)
        if number is None:
            shown = cell[:PHONE_INPUT_CHARACTERS_MAX]
            found.problems.append(Problem("phone_number", f"{shown!r} is not a possible phone number"))
        return number or ""

    def _read_lists(self, found: _Cells, cell: str) -> None:
        for name in list_names(cell):
            smart_list_id = self._smart_lists.get(name_key(name))
            if smart_list_id is None:
                found.problems.append(Problem("smart_lists", f"there is no Smart List {name[:120]!r}"))
            elif smart_list_id not in found.smart_list_ids:
                found.smart_list_ids.append(smart_list_id)


@dataclass(slots=True)
class _Cells:
    """What was read of a row so far."""

    number: str = ""
    name: str | None = None
    external_id: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    smart_list_ids: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def row(self) -> ParsedRow:
        return ParsedRow(
            self.number, self.name, self.external_id, self.attributes, tuple(self.smart_list_ids)
        )


def _title(column: Column) -> str:
    return f"attributes.{column.key}" if column.field is ColumnField.ATTRIBUTE else column.field.value


_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "1", "on", "y", "x"), True),
    **dict.fromkeys(("false", "no", "0", "off", "n"), False),
}
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)


def _read_attribute(found: _Cells, column: Column, cell: str) -> None:
    assert column.key is not None  # mapping_problems
    value: Any = cell
    if column.type is AttributeType.BOOLEAN:
        value = _BOOLEANS.get(cell.casefold())
    elif column.type is AttributeType.NUMBER:
        value = _number(cell)
    if value is None:
        found.problems.append(Problem(_title(column), f"{cell[:100]!r} is no {column.type}"))
    else:
        found.attributes[column.key] = value


def _number(cell: str) -> int | float | None:
    if _WHOLE.fullmatch(cell):
        return int(cell)
    number = float(cell) if _NUMBER.fullmatch(cell) else math.inf
    return number if math.isfinite(number) else None


def _read_attributes(found: _Cells, cell: str) -> None:
    """A cell with all attributes, as JSON: what an export writes."""
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not all(_is_plain(each) for each in value.values()):
        found.problems.append(Problem("attributes", "is not a JSON object of text, numbers and booleans"))
        return
    texts = [*value, *(each for each in value.values() if isinstance(each, str))]
    if not all(map(is_text, texts)):
        found.problems.append(Problem("attributes", "has a character that no text may have"))
        return
    # A column of its own says more than the object.
    found.attributes = value | found.attributes


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int | bool)


def list_names(cell: str) -> list[str]:
    """The names in a cell: separated by semicolons, or a JSON array where a name has one in it."""
    if cell.startswith("["):
        try:
            found = json.loads(cell)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list) and all(isinstance(each, str) and is_text(each) for each in found):
            return [each.strip() for each in found]
    return [each.strip() for each in cell.split(";") if each.strip()]


# Headers as people write them, without anything but letters and digits.
_HEADERS: Mapping[str, ColumnField] = {
    **dict.fromkeys(
        (
            "phonenumber", "phone", "mobile", "mobilephone", "mobilenumber", "cell", "cellphone", "tel", "telephone",
            "telephonenumber", "phoneno", "contactnumber", "number", "primaryphone", "workphone", "telefon", "telefono",
            "téléphone", "teléfono", "telefone", "handy", "rufnummer", "telefonnummer", "电话", "電話番号",
        ),
        ColumnField.PHONE_NUMBER,
    ),
    **dict.fromkeys(
        ("name", "fullname", "contactname", "displayname", "contact", "nombre", "nom", "nome", "名前", "姓名"),
        ColumnField.NAME,
    ),
    **dict.fromkeys(
        ("externalid", "crmid", "customerid", "leadid", "recordid", "reference"), ColumnField.EXTERNAL_ID
    ),
    "attributes": ColumnField.ATTRIBUTES,
    **dict.fromkeys(("smartlists", "smartlist"), ColumnField.SMART_LISTS),
}  # fmt: skip
_ATTRIBUTE = re.compile(r"\s*attributes?\s*\.\s*(.{1,100}?)\s*", re.IGNORECASE)
_NOT_WORD = re.compile(r"[\W_]+")


def has_header(rows: Sequence[Sequence[str]], region: str) -> bool:
    """Whether the first row names the columns: no phone number is in it, and it is not alone and empty."""
    if not rows:
        return False
    return not any(_is_phone_number(cell, region) for cell in rows[0])


def _is_phone_number(cell: str, region: str) -> bool:
    digits = sum(each.isdigit() for each in cell)
    return digits >= 6 and normalised_number(unguarded(cell.strip()), region) is not None


def suggested_columns(
    header: Sequence[str] | None, rows: Sequence[Sequence[str]], region: str
) -> list[Column]:
    """What the columns seem to mean: by their names, and the number by what is in them."""
    columns: list[Column] = []
    for index, title in enumerate(header or ()):
        column = _suggested(index, title)
        if column and not any(_same_meaning(column, each) for each in columns):
            columns.append(column)
    if not any(column.field is ColumnField.PHONE_NUMBER for column in columns):
        numbers = _numbers_column(rows, {column.index for column in columns}, region)
        if numbers is not None:
            columns.append(Column(numbers, ColumnField.PHONE_NUMBER))
    return sorted(columns, key=lambda column: column.index)


def _suggested(index: int, title: str) -> Column | None:
    attribute = _ATTRIBUTE.fullmatch(title)
    if attribute and is_text(title):
        return Column(index, ColumnField.ATTRIBUTE, attribute[1])
    meaning = _HEADERS.get(_NOT_WORD.sub("", title.casefold()))
    return None if meaning is None else Column(index, meaning)


def _same_meaning(one: Column, other: Column) -> bool:
    return one.field is other.field and one.key == other.key


def _numbers_column(rows: Sequence[Sequence[str]], taken: set[int], region: str) -> int | None:
    """The column with the most phone numbers in it, the first of several; none when no cell is one."""
    counts: dict[int, int] = {}
    for cells in rows:
        for index, cell in enumerate(cells):
            if index not in taken and _is_phone_number(cell, region):
                counts[index] = counts.get(index, 0) + 1
    return max(counts, key=lambda index: (counts[index], -index), default=None)
