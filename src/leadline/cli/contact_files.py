"""`leadline contact import` and `export`: CSV files, over the API of a running server."""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn

from leadline.cli.failures import Failed, UsageError
from leadline.cli.printing import print_json, printable
from leadline.client import Client
from leadline.client.models import ContactImport, ImportPreview, RowProblems
from leadline.domain.csv_writing import guarded
from leadline.domain.limits import IMPORT_FILE_BYTES_MAX, IMPORT_PART_BYTES_MAX
from leadline.wire.imports import DelimiterText, DuplicatesName, EncodingName

POLL_SECONDS = 0.2
_OVER = frozenset({"checked", "done", "failed", "canceled"})
_FIELDS = ("phone_number", "name", "external_id", "attributes", "smart_lists")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    file: str
    columns: Sequence[str]
    lists: Sequence[str]
    encoding: EncodingName | None
    delimiter: DelimiterText | None
    has_header: bool | None
    duplicates: DuplicatesName
    region: str | None
    dry_run: bool
    problems_file: str | None
    as_json: bool


def import_contacts(client: Client, wanted: Wanted) -> int:
    """Import a file; the exit status: 0 when every row was taken, 1 when some were passed over or it failed."""
    list_ids = [_list_id(client, name) for name in wanted.lists]
    with _opened(wanted.file) as (name, file, size), _progress() as progress:
        import_id = client.create_contact_import(file_name=name[-200:]).import_id
        try:
            _upload(client, import_id, file, size, progress)
            header = _start(client, import_id, wanted, list_ids)
        except BaseException:
            # Nothing was imported yet, and nobody will come back to it.
            client.cancel_contact_import(import_id)
            raise
        done = _followed(client, import_id, progress)
    problems = list(client.iter_contact_import_problems(import_id, limit=200)) if done.failed else []
    if wanted.problems_file is not None:
        _write_problems(wanted.problems_file, header, problems)
    if wanted.as_json:
        print_json(msgspec.to_builtins({"contact_import": done, "problems": problems}))
    else:
        _tell(done, problems, wanted)
    return 0 if done.state in ("done", "checked") and not done.failed else 1


def export_contacts(client: Client, output: str | None, *, smart_list: str | None, q: str | None) -> None:
    """Write the contacts that match as CSV, to a file that is whole or not there, or to standard output."""
    list_id = _list_id(client, smart_list) if smart_list else None
    pieces = client.export_contacts(smart_list_id=list_id, q=q or None)
    if output is not None:
        _write_whole(Path(output), pieces)
        return
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.flush()


def _write_whole(path: Path, pieces: Iterator[bytes]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file, _progress() as progress:
            task = progress.add_task("Exporting", total=None)
            for piece in pieces:
                file.write(piece)
                progress.advance(task, len(piece))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _opened(name: str) -> Iterator[tuple[str, BinaryIO, int | None]]:
    """The file and how many bytes it has; `-` is standard input, whose length nobody knows."""
    if name == "-":
        yield "standard input", sys.stdin.buffer, None
        return
    path = Path(name)
    try:
        size = path.stat().st_size
        if size > IMPORT_FILE_BYTES_MAX:
            raise Failed(f"{name} is larger than {IMPORT_FILE_BYTES_MAX // 1024 // 1024} MiB: split it")
        with path.open("rb") as file:
            yield path.name, file, size
    except OSError as wrong:
        raise Failed(f"{name} cannot be read: {wrong.strerror or wrong}") from None


def _progress() -> Progress:
    """Bars on standard error, when that is a terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _upload(client: Client, import_id: str, file: BinaryIO, size: int | None, progress: Progress) -> None:
    task = progress.add_task("Sending", total=size)
    number = 0
    while part := file.read(IMPORT_PART_BYTES_MAX):
        number += 1
        client.put_contact_import_part(import_id, number=number, data=part)
        progress.advance(task, len(part))
    if not number:
        raise Failed("the file is empty")


def _start(client: Client, import_id: str, wanted: Wanted, list_ids: Sequence[str]) -> list[str]:
    """Start the import; the names of the file's columns, when it has any."""
    preview = client.preview_contact_import(
        import_id,
        encoding=wanted.encoding,
        delimiter=wanted.delimiter,
        has_header=wanted.has_header,
    )
    client.start_contact_import(
        import_id,
        dry_run=wanted.dry_run,
        encoding=wanted.encoding,
        delimiter=wanted.delimiter,
        has_header=wanted.has_header,
        columns=mapped_columns(preview, wanted.columns),
        duplicates=wanted.duplicates,
        smart_list_ids=list_ids,
        region=wanted.region,
    )
    return list(preview.header or ())


def mapped_columns(preview: ImportPreview, given: Sequence[str]) -> list[dict[str, Any]]:
    """The columns that are recognised, with what the command line says of them. Raises UsageError."""
    columns = {each.column: msgspec.structs.asdict(each) for each in preview.columns}
    for text in given:
        title, separator, meaning = text.rpartition("=")
        if not separator:
            raise UsageError(f"--column must be like 'Mobile=phone_number' or '#2=name', not {text!r}")
        index = _column_index(preview, title)
        columns.pop(index, None)
        if meaning == "-":
            continue
        column = {"column": index, **_meaning(meaning)}
        # What the file's own names suggested gives way.
        columns = {place: each for place, each in columns.items() if not _same_meaning(each, column)}
        columns[index] = column
    return [columns[index] for index in sorted(columns)]


def _same_meaning(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return (one["field"], one.get("key")) == (other["field"], other.get("key"))


def _column_index(preview: ImportPreview, title: str) -> int:
    if title.startswith("#") and title[1:].isdecimal():
        index = int(title[1:]) - 1
        if 0 <= index < preview.column_count:
            return index
        raise UsageError(f"the file has {preview.column_count} columns, and no {title}")
    header = preview.header or []
    found = [
        index for index, name in enumerate(header) if name.strip().casefold() == title.strip().casefold()
    ]
    if len(found) != 1:
        named = ", ".join(repr(name) for name in header) or "none: say #1, #2, …"
        raise UsageError(f"{len(found)} columns are called {title!r}; the file's are {named}")
    return found[0]


def _meaning(text: str) -> dict[str, Any]:
    if text.startswith("attributes."):
        key, separator, kind = text.removeprefix("attributes.").rpartition(":")
        if separator and kind in ("text", "number", "boolean"):
            return {"field": "attribute", "key": key, "type": kind}
        return {"field": "attribute", "key": text.removeprefix("attributes.")}
    if text not in _FIELDS:
        raise UsageError(f"a column is {', '.join(_FIELDS)}, attributes.KEY or -, not {text!r}")
    return {"field": text}


def _followed(client: Client, import_id: str, progress: Progress) -> ContactImport:
    """The import once it is over. Ctrl-C leaves it going: it is the server's."""
    task = progress.add_task("Importing", total=None)
    try:
        while True:
            found = client.get_contact_import(import_id)
            progress.update(task, completed=found.read_bytes, total=found.size_bytes)
            if found.state in _OVER:
                return found
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        raise Failed(
            f"the import goes on without you; `leadline import cancel {import_id}` stops it"
        ) from None


def _write_problems(name: str, header: Sequence[str], problems: Sequence[RowProblems]) -> None:
    """Rows with their problems, then their cells as they were, so that they can be mended and imported."""
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("row", "problems", *map(guarded, header)))
        for each in problems:
            writer.writerow((each.row, guarded(_said(each)), *map(guarded, each.cells)))


def _said(row: RowProblems) -> str:
    return "; ".join(f"{problem.field} {problem.message}".strip() for problem in row.problems)


SHOWN_MAX = 10


def _tell(done: ContactImport, problems: Sequence[RowProblems], wanted: Wanted) -> None:
    if done.state == "failed":
        raise Failed(f"the import failed at {done.failure}")
    kinds = ("created", "updated", "unchanged", "skipped", "failed", "repeated")
    counts = ", ".join(f"{getattr(done, kind)} {kind}" for kind in kinds if getattr(done, kind))
    verb = {"checked": "Checked", "canceled": "Canceled after"}.get(done.state, "Imported")
    print(f"{verb} {done.rows} rows: {counts or 'nothing in it'}.")
    for each in problems[:SHOWN_MAX]:
        print(f"  row {each.row}: {printable(_said(each))}")
    if done.failed > SHOWN_MAX:
        print(f"  … and {done.failed - SHOWN_MAX} more")
    if wanted.problems_file is not None:
        print(f"The rows that were passed over are in {wanted.problems_file}.")
    if wanted.dry_run:
        print("Nothing was changed: this was a dry run.")


def _list_id(client: Client, name: str) -> str:
    """The id of a Smart List by its name. Raises Failed."""
    names: list[str] = []
    for each in client.iter_smart_lists(limit=200):
        if each.smart_list_name.casefold() == name.strip().casefold():
            return each.smart_list_id
        names.append(each.smart_list_name)
    raise Failed(f"there is no Smart List {name!r}; there are: {', '.join(names[:20]) or 'none'}")
