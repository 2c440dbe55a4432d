"""`leadline contact import` and `export`: CSV files, over the API of a running server."""

from __future__ import annotations

import base64
import csv
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlencode

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn

from leadline.cli.calling_api import Api, NoAnswer, Refused
from leadline.cli.failures import Failed, UsageError
from leadline.cli.printing import print_json
from leadline.domain.csv_writing import guarded
from leadline.domain.limits import IMPORT_FILE_BYTES_MAX, IMPORT_PART_BYTES_MAX

T = TypeVar("T")
TRIES_MAX = 4
TRY_PAUSE_SECONDS = 0.5
POLL_SECONDS = 0.2
_IMPORTS = "/contact-imports"
_OVER = frozenset({"checked", "done", "failed", "canceled"})
_FIELDS = ("phone_number", "name", "external_id", "attributes", "smart_lists")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    file: str
    columns: Sequence[str]
    lists: Sequence[str]
    encoding: str | None
    delimiter: str | None
    has_header: bool | None
    duplicates: str
    region: str | None
    dry_run: bool
    problems_file: str | None
    as_json: bool


def import_contacts(api: Api, wanted: Wanted) -> int:
    """Import a file; the exit status: 0 when every row was taken, 1 when some were passed over or it failed."""
    list_ids = [_list_id(api, name) for name in wanted.lists]
    with _opened(wanted.file) as (name, file, size), _progress() as progress:
        import_id = _send(api, "POST", _IMPORTS, {"file_name": name[-200:]})["contact_import"]["import_id"]
        try:
            _upload(api, import_id, file, size, progress)
            header = _start(api, import_id, wanted, list_ids)
        except BaseException:
            # Nothing was imported yet, and nobody will come back to it.
            _send(api, "POST", f"{_IMPORTS}/{import_id}/cancel")
            raise
        done = _followed(api, import_id, progress)
    problems = list(_problems(api, import_id)) if done["failed"] else []
    if wanted.problems_file is not None:
        _write_problems(wanted.problems_file, header, problems)
    if wanted.as_json:
        print_json({"contact_import": done, "problems": problems})
    else:
        _tell(done, problems, wanted)
    return 0 if done["state"] in ("done", "checked") and not done["failed"] else 1


def export_contacts(api: Api, output: str | None, *, smart_list: str | None, q: str | None) -> None:
    """Write the contacts that match as CSV, to a file that is whole or not there, or to standard output."""
    filters = {"smart_list_id": _list_id(api, smart_list)} if smart_list else {}
    if q:
        filters["q"] = q
    path = f"/contacts?{urlencode(filters)}" if filters else "/contacts"
    try:
        pieces = api.download(path, "text/csv")
        if output is None:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.flush()
            return
        _write_whole(Path(output), pieces)
    except Refused as refused:
        raise Failed(f"the server refused: {refused.error}: {refused.message}") from None


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


def _upload(api: Api, import_id: str, file: BinaryIO, size: int | None, progress: Progress) -> None:
    task = progress.add_task("Sending", total=size)
    number = 0
    while part := file.read(IMPORT_PART_BYTES_MAX):
        number += 1
        body = {"number": number, "data": base64.b64encode(part).decode()}
        _send(api, "PUT", f"{_IMPORTS}/{import_id}/parts", body)
        progress.advance(task, len(part))
    if not number:
        raise Failed("the file is empty")


def _start(api: Api, import_id: str, wanted: Wanted, list_ids: Sequence[str]) -> list[str]:
    """Start the import; the names of the file's columns, when it has any."""
    read_as = {
        "encoding": wanted.encoding,
        "delimiter": wanted.delimiter,
        "has_header": wanted.has_header,
    }
    known = {
        name: str(value).lower() if isinstance(value, bool) else value for name, value in read_as.items()
    }
    query = urlencode({name: value for name, value in known.items() if value is not None})
    preview = _send(api, "GET", f"{_IMPORTS}/{import_id}/preview{f'?{query}' if query else ''}")["preview"]
    body: dict[str, Any] = {
        **read_as,
        "columns": mapped_columns(preview, wanted.columns),
        "duplicates": wanted.duplicates,
        "smart_list_ids": list_ids,
        "region": wanted.region,
        "dry_run": wanted.dry_run,
    }
    _send(api, "POST", f"{_IMPORTS}/{import_id}/start", body)
    return list(preview["header"] or ())


def mapped_columns(preview: Mapping[str, Any], given: Sequence[str]) -> list[dict[str, Any]]:
    """The columns that are recognised, with what the command line says of them. Raises UsageError."""
    columns = {each["column"]: dict(each) for each in preview["columns"]}
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
        columns = {
            place: each
            for place, each in columns.items()
            if (each["field"], each.get("key")) != (column["field"], column.get("key"))
        }
        columns[index] = column
    return [columns[index] for index in sorted(columns)]


def _column_index(preview: Mapping[str, Any], title: str) -> int:
    if title.startswith("#") and title[1:].isdecimal():
        index = int(title[1:]) - 1
        if 0 <= index < preview["column_count"]:
            return index
        raise UsageError(f"the file has {preview['column_count']} columns, and no {title}")
    header = preview["header"] or []
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


def _followed(api: Api, import_id: str, progress: Progress) -> dict[str, Any]:
    """The import once it is over. Ctrl-C leaves it going: it is the server's."""
    task = progress.add_task("Importing", total=None)
    try:
        while True:
            found: dict[str, Any] = _send(api, "GET", f"{_IMPORTS}/{import_id}")["contact_import"]
            progress.update(task, completed=found["read_bytes"], total=found["size_bytes"])
            if found["state"] in _OVER:
                return found
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        raise Failed(
            f"the import goes on without you: POST /phone-system{_IMPORTS}/{import_id}/cancel stops it"
        ) from None


def _problems(api: Api, import_id: str) -> Iterator[dict[str, Any]]:
    path = f"{_IMPORTS}/{import_id}/problems?limit=200"
    page = _send(api, "GET", path)
    while True:
        yield from page["problems"]
        if page["next_cursor"] is None:
            return
        page = _send(api, "GET", f"{path}&cursor={page['next_cursor']}")


def _write_problems(name: str, header: Sequence[str], problems: Sequence[Mapping[str, Any]]) -> None:
    """Rows with their problems, then their cells as they were, so that they can be mended and imported."""
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("row", "problems", *map(guarded, header)))
        for each in problems:
            said = "; ".join(
                f"{problem['field']} {problem['message']}".strip() for problem in each["problems"]
            )
            writer.writerow((each["row"], guarded(said), *map(guarded, each["cells"])))


SHOWN_MAX = 10


def _tell(done: Mapping[str, Any], problems: Sequence[Mapping[str, Any]], wanted: Wanted) -> None:
    if done["state"] == "failed":
        raise Failed(f"the import failed at {done['failure']}")
    kinds = ("created", "updated", "unchanged", "skipped", "failed", "repeated")
    counts = ", ".join(f"{done[kind]} {kind}" for kind in kinds if done[kind]) or "nothing in it"
    verb = {"checked": "Checked", "canceled": "Canceled after"}.get(done["state"], "Imported")
    print(f"{verb} {done['rows']} rows: {counts}.")
    for each in problems[:SHOWN_MAX]:
        said = "; ".join(f"{problem['field']} {problem['message']}".strip() for problem in each["problems"])
        print(f"  row {each['row']}: {said}")
    if done["failed"] > SHOWN_MAX:
        print(f"  … and {done['failed'] - SHOWN_MAX} more")
    if wanted.problems_file is not None:
        print(f"The rows that were passed over are in {wanted.problems_file}.")
    if wanted.dry_run:
        print("Nothing was changed: this was a dry run.")


def _list_id(api: Api, name: str) -> str:
    """The id of a Smart List by its name. Raises Failed."""
    path, cursor = "/smart-lists?limit=200", ""
    names: list[str] = []
    while True:
        page = _send(api, "GET", f"{path}{cursor}")
        for each in page["smart_lists"]:
            if each["smart_list_name"].casefold() == name.strip().casefold():
                found: str = each["smart_list_id"]
                return found
            names.append(each["smart_list_name"])
        if page["next_cursor"] is None:
            raise Failed(f"there is no Smart List {name!r}; there are: {', '.join(names[:20]) or 'none'}")
        cursor = f"&cursor={page['next_cursor']}"


def _send(api: Api, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One request of an import. All but the first and the start may be sent again, and these leave a trace."""
    again = method in ("GET", "PUT")
    try:
        return _tried(lambda: api.send(method, path, body)[0], TRIES_MAX if again else 1)
    except Refused as refused:
        details = "; ".join(f"{each['field']} {each['message']}" for each in refused.body.get("details", ()))
        raise Failed(f"the server refused: {refused.message}{f' ({details})' if details else ''}") from None


def _tried(work: Callable[[], T], tries: int) -> T:
    for _ in range(tries - 1):
        try:
            return work()
        except NoAnswer:
            time.sleep(TRY_PAUSE_SECONDS)
        except Refused as refused:
            if refused.status != 503:
                raise
            time.sleep(TRY_PAUSE_SECONDS)
    return work()
