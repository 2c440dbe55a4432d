"""CSV in any shape: the same rows whichever way the file is cut, and cells that no spreadsheet runs."""

from __future__ import annotations

import codecs
import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.domain.csv_reading import (
    Delimiter,
    Encoding,
    EncodingFinder,
    Unreadable,
    byte_order_mark,
    read_window,
    sniffed_delimiter,
)
from leadline.domain.csv_writing import contact_cells, csv_text, guarded, joined_names, unguarded
from leadline.domain.importing import (
    AttributeType,
    Column,
    ColumnField,
    ParsedRow,
    RowReader,
    has_header,
    list_names,
    mapping_problems,
    suggested_columns,
)
from leadline.domain.text import name_key

cells = st.text(alphabet="ab ,;\t|\"'\r\n=é日\U0001f600", max_size=6)
files = st.lists(st.lists(cells, min_size=1, max_size=3), max_size=12)
encodings = st.sampled_from([Encoding.UTF_8, Encoding.UTF_16_LE, Encoding.UTF_16_BE])


def written(rows: list[list[str]], delimiter: str, line_end: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()


def all_records(
    content: bytes, encoding: Encoding, delimiter: str, *, window: int, step: int
) -> list[list[str]]:
    """Every record, read as an import reads: window after window, each from behind the last record."""
    found: list[list[str]] = []
    start = 0
    while True:
        piece = content[start : start + window]
        read = read_window(
            piece,
            encoding=encoding,
            delimiter=delimiter,
            is_end=start + window >= len(content),
            records_max=step,
        )
        found += [list(record) for record, _ in read.records]
        if read.is_last:
            return found
        start += read.records[-1][1]


@given(files, encodings, st.sampled_from(Delimiter), st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 5))
def test_a_file_is_read_the_same_however_it_is_cut(
    rows: list[list[str]], encoding: Encoding, delimiter: Delimiter, line_end: str, step: int
) -> None:
    content = written(rows, delimiter, line_end).encode(encoding)
    whole = all_records(content, encoding, delimiter, window=len(content) + 1, step=10_000)
    assert whole == [each for each in rows if each != []]
    # A window that holds the longest record and one byte of the next.
    longest = max((len(written([row], delimiter, line_end).encode(encoding)) for row in rows), default=0)
    assert all_records(content, encoding, delimiter, window=longest + 8, step=step) == whole


@given(st.binary(max_size=300), st.sampled_from(Encoding), st.integers(1, 4))
def test_any_bytes_are_read_to_their_end_or_refused(content: bytes, encoding: Encoding, step: int) -> None:
    try:
        all_records(content, encoding, ",", window=500, step=step)
    except Unreadable as refused:
        assert str(refused)  # noqa: PT017 - what is refused says why


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"a,b", Encoding.UTF_8),
        ("é".encode(), Encoding.UTF_8),
        (codecs.BOM_UTF8 + b"a", Encoding.UTF_8),
        ("é".encode("cp1252"), Encoding.WINDOWS_1252),
        (b"a" * 5000 + "é".encode("cp1252"), Encoding.WINDOWS_1252),
        (codecs.BOM_UTF16_LE + "ab".encode("utf-16-le"), Encoding.UTF_16_LE),
        ("phone,name".encode("utf-16-le"), Encoding.UTF_16_LE),
        ("phone,name".encode("utf-16-be"), Encoding.UTF_16_BE),
        (b"", Encoding.UTF_8),
    ],
)
def test_the_encoding_is_found(content: bytes, encoding: Encoding) -> None:
    finder = EncodingFinder()
    for start in range(0, len(content), 1000):
        finder.take(content[start : start + 1000])
    assert finder.found() is encoding


def test_a_character_cut_between_two_parts_is_still_utf_8() -> None:
    finder = EncodingFinder()
    for byte in "日本".encode():
        finder.take(bytes([byte]))
    assert finder.found() is Encoding.UTF_8
    assert byte_order_mark(codecs.BOM_UTF8 + b"a") == codecs.BOM_UTF8


word = st.from_regex(r"[a-z ]{1,5}", fullmatch=True)


@given(st.sampled_from(Delimiter), st.lists(st.tuples(word, word, word), min_size=2))
def test_the_delimiter_is_found(delimiter: Delimiter, rows: list[tuple[str, str, str]]) -> None:
    content = written([list(row) for row in rows], delimiter, "\r\n").encode()
    assert sniffed_delimiter(content, Encoding.UTF_8, is_end=True) is delimiter


def test_one_column_of_numbers_is_separated_by_commas() -> None:
    assert sniffed_delimiter(b"+1555\n+1556\n", Encoding.UTF_8, is_end=True) is Delimiter.COMMA


def test_a_quote_that_is_never_closed_is_told_and_does_not_eat_the_memory() -> None:
    content = b'a,"b\n' + b"c,d\n" * 40_000
    with pytest.raises(Unreadable, match="quotation mark"):
        read_window(content[:131_072], encoding=Encoding.UTF_8, delimiter=",", is_end=False, records_max=10)
    with pytest.raises(Unreadable, match="quotation mark"):
        all_records(content, Encoding.UTF_8, ",", window=len(content), step=10)


@given(st.text(max_size=8))
def test_a_guard_can_be_taken_off_again(cell: str) -> None:
    safe = guarded(cell)
    assert unguarded(safe) == cell
    assert not safe or safe[0] not in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


def test_an_apostrophe_of_a_name_is_no_guard() -> None:
    assert unguarded("'t Hooft") == "'t Hooft"
    assert guarded("=1+1") == "'=1+1"


list_name = st.text(alphabet="ab;[]\"',= é", min_size=1, max_size=5).map(str.strip).filter(bool)
contacts = st.tuples(
    st.none() | st.text(alphabet="ab'=+@-,;\"é ", min_size=1, max_size=6).map(str.strip).filter(bool),
    st.none() | st.text(alphabet="a-1=", min_size=1, max_size=4),
    st.dictionaries(
        st.text(alphabet="k=é", min_size=1, max_size=3),
        st.text(max_size=4).filter(lambda text: "\0" not in text)
        | st.booleans()
        | st.integers(-(2**53) + 1, 2**53 - 1)
        | st.floats(allow_nan=False, allow_infinity=False),
        max_size=3,
    ),
    st.lists(list_name, max_size=3, unique_by=name_key),
)
COLUMNS = [
    Column(0, ColumnField.PHONE_NUMBER),
    Column(1, ColumnField.NAME),
    Column(2, ColumnField.EXTERNAL_ID),
    Column(3, ColumnField.ATTRIBUTES),
    Column(4, ColumnField.SMART_LISTS),
]


@given(contacts)
def test_a_contact_is_the_same_once_written_and_read(
    contact: tuple[str, str, dict[str, object], list[str]],
) -> None:
    name, external_id, attributes, names = contact
    row = contact_cells("+15555550100", name, external_id, json.dumps(attributes), names)
    content = csv_text([row]).encode()
    (record,) = all_records(content, Encoding.UTF_8, ",", window=len(content), step=10)
    reader = RowReader(COLUMNS, region="DE", smart_lists={name_key(each): each for each in names})
    found = reader.read(record, 5)
    assert found == ParsedRow("+15555550100", name, external_id, attributes, tuple(names))
    assert isinstance(found, ParsedRow)
    assert json.dumps(found.attributes) == json.dumps(attributes)


@given(st.lists(list_name, max_size=4))
def test_names_of_lists_fit_one_cell(names: list[str]) -> None:
    assert list_names(joined_names(names)) == names


@pytest.mark.parametrize(
    ("cell", "type_", "value"),
    [
        ("12", AttributeType.NUMBER, 12),
        ("-1.5e3", AttributeType.NUMBER, -1500.0),
        ("yes", AttributeType.BOOLEAN, True),
        ("0", AttributeType.BOOLEAN, False),
        ("0012", AttributeType.TEXT, "0012"),
        ("1,5", AttributeType.NUMBER, None),
        ("1e999", AttributeType.NUMBER, None),
        ("9" * 18, AttributeType.NUMBER, None),
        ("maybe", AttributeType.BOOLEAN, None),
        ("x" * 1001, AttributeType.TEXT, None),
    ],
)
def test_an_attribute_is_of_its_type(cell: str, type_: AttributeType, value: object) -> None:
    columns = [COLUMNS[0], Column(1, ColumnField.ATTRIBUTE, "k", type_)]
    found = RowReader(columns, region="US", smart_lists={}).read(["+15555550100", cell], 2)
    if value is None:
        assert isinstance(found, list)
        assert [each.field for each in found] == ["attributes.k"]
    else:
        assert isinstance(found, ParsedRow)
        assert json.dumps(found.attributes) == json.dumps({"k": value})


def test_everything_that_is_wrong_with_a_row_is_said() -> None:
    found = RowReader(COLUMNS, region="US", smart_lists={}).read(
        ["12", "n" * 300, "a\udcff", "[1]", "Nowhere; Else"], 5
    )
    assert isinstance(found, list)
    assert [each.field for each in found] == [
        "phone_number", "external_id", "attributes", "smart_lists", "smart_lists", "name",
    ]  # fmt: skip
    too_long = RowReader(COLUMNS, region="US", smart_lists={}).read(["+15555550100"] * 6, 5)
    assert isinstance(too_long, list)
    assert "6 cells" in too_long[0].message


@pytest.mark.parametrize(
    ("cell", "region", "number"),
    [
        ("(212) 555-0100", "US", "+12125550100"),
        ("0212 555 0100", "DE", "+492125550100"),
        ("0044 20 7946 0958", "DE", "+442079460958"),
    ],
)
def test_national_numbers_are_read_in_the_region(cell: str, region: str, number: str) -> None:
    found = RowReader(COLUMNS[:1], region=region, smart_lists={}).read([cell], 1)
    assert isinstance(found, ParsedRow)
    assert found.number == number


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        (["Name", "Phone Number"], {0: "name", 1: "phone_number"}),
        (["MOBILE", "full_name", "CRM-ID"], {0: "phone_number", 1: "name", 2: "external_id"}),
        (["phone", "tel"], {0: "phone_number"}),
        (["Attributes.Seats", "phone"], {0: "attribute", 1: "phone_number"}),
        (["who", "what"], {1: "phone_number"}),
    ],
)
def test_columns_are_known_by_their_names_or_by_the_numbers_in_them(
    header: list[str], meant: dict[int, str]
) -> None:
    rows = [["Ada", "+15555550100"], ["Bob", "212 555 0100"]]
    found = suggested_columns(header, rows if header == ["who", "what"] else [], "US")
    assert {each.index: each.field.value for each in found} == meant


def test_a_first_row_with_a_number_is_no_header() -> None:
    assert has_header([["phone", "name"], ["+15555550100", "Ada"]], "US")
    assert not has_header([["+15555550100", "Ada"]], "US")
    assert not has_header([], "US")


def test_a_mapping_says_the_number_once_and_nothing_twice() -> None:
    wrong = [
        Column(0, ColumnField.NAME),
        Column(0, ColumnField.EXTERNAL_ID),
        Column(9, ColumnField.NAME),
        Column(1, ColumnField.ATTRIBUTE),
        Column(2, ColumnField.ATTRIBUTE, "k"),
        Column(3, ColumnField.ATTRIBUTE, "k"),
        Column(4, ColumnField.SMART_LISTS, "k"),
    ]
    assert [each.field for each in mapping_problems(wrong, 5)] == [
        "columns[1].column", "columns[2].column", "columns[2].field", "columns[3].key", "columns[5].key",
        "columns[6].key", "columns",
    ]  # fmt: skip
    assert mapping_problems(COLUMNS, 5) == []
