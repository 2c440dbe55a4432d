"""Files of outcomes as code: read with their lines, and written so that they can be read again."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from leadline.cli.failures import FailedInParts
from leadline.cli.yaml_reading import FILE_BYTES_MAX, BadYaml, Document, Place, read_yaml
from leadline.ids import parse_id

# Where the API says that the document is in a request.
FIELD = "configuration"
_SHEBANG = "# yaml-language-server: $schema="


@dataclass(frozen=True, slots=True)
class ConfigurationSource:
    """A file that was read: what it asks for, for whom, and where each part of it stands."""

    name: str
    document: Document
    configuration: dict[str, Any]
    workspace: str | None
    prune: bool

    def explain(self, problems: Sequence[Mapping[str, str]]) -> str:
        """The problems of an answer, each with its line, in the order of the file."""
        placed = [
            (self.document.place_of(path) or Place(1, 1), f"{path} {_in_yaml(each['message'])}".strip())
            for each in problems
            for path in [each["field"].removeprefix(FIELD).removeprefix(".")]
        ]
        lines = [f"{self.name}:{place.line}: {message}" for place, message in sorted(placed)]
        if len(lines) > 1:
            lines.insert(0, f"{self.name} has {len(lines)} problems; nothing was changed")
        return "\n".join(lines)


def _in_yaml(message: str) -> str:
    """A problem in the words of a YAML file, where a number or `true` becomes text by quotes."""
    return f"{message}: put it in quotes" if message.startswith("must be text, got") else message


class BadFile(FailedInParts):
    """A file cannot be used; one line for each problem."""


def read_source(name: str, *, standard_input: bool = True) -> ConfigurationSource:
    """The file of this name; `-` is standard input. Raises BadFile."""
    if name == "-" and standard_input:
        return parse_source("<stdin>", sys.stdin.buffer.read(FILE_BYTES_MAX + 1))
    try:
        with Path(name).open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1)
    except OSError as wrong:
        raise BadFile(f"{name} cannot be read: {wrong.strerror or wrong}") from None
    return parse_source(name, text)


def parse_source(name: str, text: bytes) -> ConfigurationSource:
    """A file's content as what it asks for. Raises BadFile."""
    try:
        document = read_yaml(text)
    except BadYaml as wrong:
        line = f":{wrong.place.line}" if wrong.place else ""
        raise BadFile(f"{name}{line}: {wrong.message}") from None
    if not isinstance(document.value, dict):
        raise BadFile(f"{name}:1: it must have the keys smart_lists and outcomes")
    configuration = dict(document.value)
    workspace, prune = configuration.pop("workspace", None), configuration.pop("prune", None)
    for key, value, kind, wanted in (
        ("workspace", workspace, str, "an id or a name, as text"),
        ("prune", prune, bool, "true or false"),
    ):
        if value is not None and not isinstance(value, kind):
            place = document.place_of(key) or Place(1, 1)
            raise BadFile(f"{name}:{place.line}: {key} must be {wanted}")
    return ConfigurationSource(name, document, configuration, workspace, bool(prune))


def is_workspace(wanted: str, workspace_id: str, name: str) -> bool:
    """Whether a file that names its workspace means this one."""
    return parse_id(wanted) == workspace_id or wanted.strip() == name


def written(configuration: Mapping[str, Any], *, workspace: Mapping[str, str], schema: str | None) -> str:
    """A configuration as a file: the same state gives the same bytes."""
    lines = [f"{_SHEBANG}{schema}"] if schema else []
    lines += [
        f"# Smart Lists and outcomes of the workspace {_commented(workspace['name'])}.",
        "# leadline plan -f FILE shows what would change, leadline apply -f FILE changes it.",
        f"workspace: {workspace['subaccount_id']}",
        "",
    ]
    lines += _section("smart_lists", configuration["smart_lists"] or [])
    lines.append("")
    lines += _section("outcomes", configuration["outcomes"] or [])
    return "\n".join(lines) + "\n"


def _commented(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)


def _section(name: str, entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not entries:
        yield f"{name}: []"
        return
    yield f"{name}:"
    for entry in entries:
        indent = "  - "
        for key, value in entry.items():
            if value is None:
                continue
            yield from _commentary(key)
            yield f"{indent}{key}: {_inline(value)}{_remark(value)}"
            indent = "    "


def _commentary(key: str) -> Iterator[str]:
    if key == "id":
        yield "    # There are several of this type and name: the id says which one, in this workspace only."


def _remark(value: Any) -> str:
    gone = value if isinstance(value, list) else [value]
    if any(isinstance(each, dict) for each in gone):
        return "  # this list was deleted: applying the outcome tells so in error_message"
    return ""


def _inline(value: Any) -> str:
    """A value in one line of YAML."""
    if isinstance(value, list):
        return f"[{', '.join(_inline(each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_inline(each)}' for key, each in value.items())}}}"
    return _text(value) if isinstance(value, str) else str(value)


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 _./:?&=%~+()@-]*[A-Za-z0-9/)]|[A-Za-z]", re.ASCII)
_NEEDS_QUOTES = re.compile(r": |:$| #", re.ASCII)


def _text(text: str) -> str:
    """Text as a scalar that every reader of YAML takes for this text, whatever version it knows."""
    if _PLAIN.fullmatch(text) and not _NEEDS_QUOTES.search(text) and isinstance(yaml.safe_load(text), str):
        return text
    return f'"{"".join(_escaped(each) for each in text)}"'


def _escaped(character: str) -> str:
    if character in ('"', "\\"):
        return f"\\{character}"
    code = ord(character)
    # Printable by YAML 1.1 and 1.2, and visible; a byte order mark is neither here nor there.
    if character.isprintable() and code != 0xFEFF:
        return character
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
