"""What a file says is read as it looks, with its lines; what could mean something else is refused."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from leadline.cli.configuration_file import BadFile, parse_source, written
from leadline.cli.yaml_reading import FILE_BYTES_MAX, BadYaml, read_yaml

WORKSPACE = {"subaccount_id": "00000000-0000-4000-8000-000000000008", "name": "Main"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("No", "No"), ("yes", "yes"), ("on", "on"), ("Off", "Off"), ("y", "y"), ("NO", "NO"),
        ("true", True), ("False", False), ("~", None), ("null", None), ("", None), ('""', ""), ("'1'", "1"),
        ("1", 1), ("-7", -7), ("+7", 7), ("0o17", 15), ("0x1f", 31), ("010", 10), ("1_000", "1_000"),
        ("12:30:45", "12:30:45"), ("2026-06-25", "2026-06-25"), ("1.5", 1.5), ("1e3", 1000.0), ("1.2.3", "1.2.3"),
        ("+15555550100", 15555550100), ('"\\u00e9"', "é"), ("<<", "<<"), ("=", "="), ("..", ".."), (".", "."),
    ],
)  # fmt: skip
def test_a_scalar_is_what_yaml_1_2_says(text: str, value: Any) -> None:
    found = read_yaml(f"a: {text}\n".encode()).value["a"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (b"", None, "empty"),
        (b"# nothing\n", None, "empty"),
        (b"a: 1\nb: 2\na: 3\n", 3, "first in line 1"),
        (b"a: &x [1]\n", 1, "anchors"),
        (b"a: 1\nb: *a\n", 2, "anchors"),
        (b"a: !!python/object/apply:os.system ['x']\n", 1, "tags"),
        (b"a: !env HOME\n", 1, "tags"),
        (b"a: !!str 1\n", 1, "tags"),
        (b"a: 1\n---\nb: 2\n", 2, "more than one document"),
        (b"a: [1, 2\nb: 3\n", 2, "no YAML"),
        (b"a: 1\n\tb: 2\n", 2, "no YAML"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        (b"? [a]\n: 1\n", 1, "a key"),
        (b"a: .inf\n", 1, "in quotes"),
        (b"a: .NaN\n", 1, "in quotes"),
        (b"a: 1e999\n", 1, "in quotes"),
        (b'a: "\\0"\n', 1, "character"),
        (b"a: " + b"[" * 40 + b"]" * 40, 1, "deep"),
        (b"a: " + b"[" * 100_000, 1, "deep"),
        (b"#" * (FILE_BYTES_MAX + 1), None, "larger"),
    ],
    ids=str,
)
def test_what_is_not_taken_is_refused_with_its_line(text: bytes, line: int | None, says: str) -> None:
    with pytest.raises(BadYaml) as refused:
        read_yaml(text)
    assert says in refused.value.message
    assert (refused.value.place and refused.value.place.line) == line


@given(st.binary(max_size=200) | st.text(alphabet="ab:-[]{}&*!|>'\"#%@,? \n\t0", max_size=60).map(str.encode))
def test_any_bytes_are_a_document_or_refused(text: bytes) -> None:
    with contextlib.suppress(BadYaml):
        read_yaml(text)


def test_a_path_has_the_line_of_its_key_or_of_what_is_around_it() -> None:
    document = read_yaml(b"outcomes:\n  - name: A\n    type: action\n  -\n    name: B\n")
    lines = {
        path: (place.line if (place := document.place_of(path)) else None)
        for path in ("outcomes", "outcomes[0].type", "outcomes[0].webhook_url", "outcomes[1]", "x.y[3]", "a]")
    }
    assert list(lines.values()) == [1, 3, 2, 5, 1, 1]


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert read_yaml(b"\xef\xbb\xbfa: 1").value == {"a": 1}


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable() or "\ufeff" in text or text))
def test_any_name_that_is_written_is_read_again_by_us_and_by_others(name: str) -> None:
    if any("\ud800" <= each <= "\udfff" for each in name) or "\0" in name:
        return
    configuration = {
        "smart_lists": [{"name": name, "was": None}],
        "outcomes": [
            {"name": name, "type": "action", "add_to": name, "remove_from": [name, {"deleted": "x"}]}
        ],
    }
    text = written(configuration, workspace=WORKSPACE | {"name": name}, schema=None)
    for found in (read_yaml(text.encode()).value, yaml.safe_load(text)):
        assert found["smart_lists"] == [{"name": name}]
        assert found["outcomes"][0]["remove_from"] == [name, {"deleted": "x"}]
        assert (found["outcomes"][0]["name"], found["outcomes"][0]["add_to"]) == (name, name)


def test_the_same_state_is_written_as_the_same_bytes_and_says_whose_it_is() -> None:
    configuration: dict[str, Any] = {"smart_lists": [], "outcomes": None}
    text = written(configuration, workspace=WORKSPACE, schema="leadline.schema.json")
    assert text == written(configuration, workspace=WORKSPACE, schema="leadline.schema.json")
    assert text.splitlines()[0] == "# yaml-language-server: $schema=leadline.schema.json"
    source = parse_source("f", text.encode())
    assert source.workspace == WORKSPACE["subaccount_id"]
    assert source.configuration == {"smart_lists": [], "outcomes": []}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"- a\n", "f:1: it must have the keys"),
        (b"outcomes: []\nworkspace: 7\n", "f:2: workspace must be"),
        (b"prune: 'yes'\n", "f:1: prune must be true or false"),
        (b"prune: yes\n", "f:1: prune must be true or false"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(BadFile, match=says):
        parse_source("f", text)
