"""Contacts from a file and as a file: send, look, try, import, and see what was passed over; export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from leadline.domain.access import Permission
from leadline.domain.csv_reading import Delimiter, Encoding
from leadline.domain.csv_writing import csv_text, guarded
from leadline.domain.errors import InvalidRequest, LeadlineError, Problem
from leadline.domain.importing import AttributeType, Column, ColumnField
from leadline.domain.limits import (
    IMPORT_COLUMNS_MAX,
    IMPORT_FILE_BYTES_MAX,
    IMPORT_PART_BYTES_MAX,
    IMPORT_PROBLEMS_MAX,
)
from leadline.ids import NIL_ID, parse_id
from leadline.operations import contact_imports as imports
from leadline.operations.contact_export import export_page
from leadline.operations.contact_imports import ReadAs, StartRequest
from leadline.operations.smart_lists import all_list_names
from leadline.store.database import Tx
from leadline.web.api.contact_imports import creation_rules, part_content, part_rules
from leadline.web.console.forms import checked, invalid
from leadline.web.console.table import (
    Data,
    Download,
    Flash,
    Gone,
    Reply,
    Shown,
    Streamed,
    Visit,
    act,
    show,
)
from leadline.wire.imports import ContactImport, ImportBody, ImportPartBody, ImportPreview

_NEW = "/contacts/import"
_IMPORT = f"{_NEW}/{{import_id}}"
_EXPORT = "/contacts/export"

_ENCODINGS = (
    ("", "As found"),
    (Encoding.UTF_8.value, "UTF-8"),
    (Encoding.WINDOWS_1252.value, "Windows-1252 (Western European)"),
    (Encoding.UTF_16_LE.value, "UTF-16"),
    (Encoding.UTF_16_BE.value, "UTF-16, big-endian"),
)
_DELIMITERS = (
    ("", "As found"),
    (Delimiter.COMMA.value, "Comma"),
    (Delimiter.SEMICOLON.value, "Semicolon"),
    # A form's text loses white space around it, so the tab goes by its name.
    ("tab", "Tab"),
    (Delimiter.PIPE.value, "Vertical bar"),
)
_HEADERS = (("", "As found"), ("yes", "Column names"), ("no", "A contact"))
_MEANINGS = (
    ("", "Not read"),
    ("phone_number", "Phone number"),
    ("name", "Name"),
    ("external_id", "External id"),
    ("attribute:text", "Attribute: text"),
    ("attribute:number", "Attribute: number"),
    ("attribute:boolean", "Attribute: yes or no"),
    ("smart_lists", "Smart Lists to join"),
    ("attributes", "All attributes, as JSON"),
)


async def _new(tx: Tx, visit: Visit) -> Reply:
    page = await imports.list_imports(tx, visit.workspace_id, visit.page(10))
    values = {
        "imports": page.contact_imports,
        "next_cursor": page.next_cursor,
        "file_bytes_max": IMPORT_FILE_BYTES_MAX,
    }
    return Shown("contact-import-new.html", values)


async def _create(tx: Tx, visit: Visit) -> Reply:
    """An import: empty, for a script that sends the file's parts; or of rows that were pasted, without one."""
    body = checked(
        ImportBody,
        {"file_name": visit.form.optional("file_name")},
        rules=creation_rules,
        principal=visit.principal,
        context=visit.context,
    )
    pasted = visit.form.text("rows").encode()
    if not pasted and not visit.form.flag("parts_follow"):
        raise invalid(Problem("rows", "is needed, unless you choose a file"))
    made = await imports.create_import(tx, visit.workspace_id, body.file_name)
    import_id = made.contact_import.import_id
    for number, start in enumerate(range(0, len(pasted), IMPORT_PART_BYTES_MAX), 1):
        part = pasted[start : start + IMPORT_PART_BYTES_MAX]
        await imports.put_part(tx, visit.workspace_id, import_id, number, part)
    return Gone(f"{_NEW}/{import_id}")


async def _put_part(tx: Tx, visit: Visit) -> Reply:
    body = checked(
        ImportPartBody,
        {"number": visit.form.integer("number"), "data": visit.form.text("data")},
        rules=part_rules,
        principal=visit.principal,
        context=visit.context,
    )
    import_id = visit.parameters["import_id"]
    answer = await imports.put_part(tx, visit.workspace_id, import_id, body.number, part_content(body.data))
    return Data({"size_bytes": answer.part.size_bytes})


async def _show(tx: Tx, visit: Visit) -> Reply:
    """Where an import stands: what its columns mean, how far it is, or what became of it."""
    import_id = visit.parameters["import_id"]
    found = (await imports.get_import(tx, visit.workspace_id, import_id)).contact_import
    problems = await imports.list_problems(
        tx, visit.workspace_id, import_id, limit=25, cursor=visit.query.optional("cursor")
    )
    values: dict[str, Any] = {
        "found": found,
        "counts": _counts(found),
        "problems": problems.problems,
        "problems_max": IMPORT_PROBLEMS_MAX,
        "next_cursor": problems.next_cursor,
    }
    if found.state in ("uploading", "checked"):
        values |= await _mapping(tx, visit, found)
    return Shown("contact-import.html", values)


def _counts(found: ContactImport) -> list[tuple[str, int]]:
    kinds = (
        ("New", found.created),
        ("Updated", found.updated),
        ("As they were", found.unchanged),
        ("Skipped", found.skipped),
        ("Passed over", found.failed),
    )
    return [(label, count) for label, count in kinds]


async def _mapping(tx: Tx, visit: Visit, found: ContactImport) -> dict[str, Any]:
    """What the form asks: the file as it is read, what its columns seem to mean, the lists that there are."""
    choices: dict[str, Any] = {
        "encodings": _ENCODINGS,
        "delimiters": _DELIMITERS,
        "headers": _HEADERS,
        "meanings": _MEANINGS,
        "lists": sorted(
            (await all_list_names(tx, visit.workspace_id)).items(), key=lambda each: each[1].casefold()
        ),
    }
    try:
        read_as = _read_as(visit)
        preview = (await imports.preview_import(tx, visit.workspace_id, found.import_id, read_as)).preview
    except LeadlineError as unreadable:
        return choices | {"preview": None, "unreadable": unreadable.message}
    as_found = {
        "encodings": _found(_ENCODINGS, preview.encoding),
        "delimiters": _found(_DELIMITERS, "tab" if preview.delimiter == "\t" else preview.delimiter),
        "headers": _found(_HEADERS, "yes" if preview.has_header else "no"),
    }
    return choices | as_found | {"preview": preview, "columns": _columns_shown(preview, found)}


def _found(choices: Sequence[tuple[str, str]], value: str) -> list[tuple[str, str]]:
    """The choices, the first of which says what was found out."""
    label = dict(choices).get(value, value)
    return [("", f"As found: {label}"), *choices[1:]]


def _columns_shown(preview: ImportPreview, found: ContactImport) -> list[dict[str, Any]]:
    """Each column with its name, a few cells, and what it was said (else what it seems) to mean."""
    chosen = found.options.columns if found.options is not None else preview.columns
    meanings = {each.column: each for each in chosen}
    shown = []
    for index in range(min(preview.column_count, IMPORT_COLUMNS_MAX)):
        meaning = meanings.get(index)
        field = "" if meaning is None else meaning.field
        shown.append(
            {
                "index": index,
                "title": preview.header[index] if preview.header and index < len(preview.header) else "",
                "cells": [row[index] for row in preview.rows if index < len(row) and row[index]][:3],
                "field": f"attribute:{meaning.type or 'text'}" if meaning and field == "attribute" else field,
                "key": (meaning.key if meaning else None) or "",
            }
        )
    return shown


def _read_as(visit: Visit) -> ReadAs:
    """How the file is to be read: of the form that was sent, else of the address. Raises InvalidRequest."""
    given = visit.form or visit.query
    delimiter = given.text("delimiter")
    problems = [
        Problem(name, "is none of the choices")
        for name, choices in (
            ("encoding", _ENCODINGS),
            ("delimiter", _DELIMITERS),
            ("has_header", _HEADERS),
        )
        if given.text(name) not in {value for value, _ in choices}
    ]
    if problems:
        raise invalid(*problems)
    return ReadAs(
        encoding=given.optional("encoding"),
        delimiter=Delimiter.TAB.value if delimiter == "tab" else delimiter or None,
        has_header={"yes": True, "no": False}.get(given.text("has_header")),
    )


async def _start(tx: Tx, visit: Visit) -> Reply:
    form = visit.form
    columns = _columns_sent(visit)
    request = StartRequest(
        read_as=_read_as(visit),
        columns=columns,
        duplicates="skip" if form.text("duplicates") == "skip" else "update",
        smart_list_ids=await _lists_sent(tx, visit),
        region=None,
        dry_run=form.text("how") != "import",
    )
    import_id = visit.parameters["import_id"]
    try:
        await imports.start_import(tx, visit.workspace_id, import_id, request)
    except InvalidRequest as refused:
        raise InvalidRequest(refused.message, details=_at_columns(refused, columns)) from None
    return Gone(f"{_NEW}/{import_id}")


def _columns_sent(visit: Visit) -> list[Column]:
    form, known = visit.form, {value for value, _ in _MEANINGS}
    columns = []
    for index in range(IMPORT_COLUMNS_MAX):
        meaning = form.text(f"field-{index}")
        if not meaning or meaning not in known:
            continue
        field, _, kind = meaning.partition(":")
        key = form.text(f"key-{index}") if field == ColumnField.ATTRIBUTE else None
        columns.append(Column(index, ColumnField(field), key, AttributeType(kind or "text")))
    return columns


async def _lists_sent(tx: Tx, visit: Visit) -> list[str]:
    known = await all_list_names(tx, visit.workspace_id)
    return [each for each in visit.form.texts("lists") if each in known]


def _at_columns(refused: InvalidRequest, columns: list[Column]) -> list[Problem]:
    """Problems of the mapping, each at the field of its column."""
    places = {f"columns[{place}]": f"field-{column.index}" for place, column in enumerate(columns)}
    return [
        Problem(places.get(each.field.partition(".")[0], each.field), each.message)
        for each in refused.details
    ]


async def _cancel(tx: Tx, visit: Visit) -> Reply:
    import_id = visit.parameters["import_id"]
    await imports.cancel_import(tx, visit.workspace_id, import_id)
    return Gone(f"{_NEW}/{import_id}", Flash("The import was stopped. What was imported stays."))


async def _problems(tx: Tx, visit: Visit) -> Reply:
    """The rows that were passed over, with their cells, to be mended and imported."""
    import_id = visit.parameters["import_id"]
    rows: list[tuple[str, ...]] = [("row", "problems")]
    cursor = None
    while True:
        page = await imports.list_problems(tx, visit.workspace_id, import_id, limit=200, cursor=cursor)
        for each in page.problems:
            said = "; ".join(f"{problem.field} {problem.message}".strip() for problem in each.problems)
            rows.append((str(each.row), guarded(said), *map(guarded, each.cells)))
        cursor = page.next_cursor
        if cursor is None:
            return Download("passed-over.csv", "text/csv; charset=utf-8", csv_text(rows).encode())


async def _export(tx: Tx, visit: Visit) -> Reply:
    lists = await all_list_names(tx, visit.workspace_id)
    query = visit.query
    filters = {name: query.text(name) for name in ("smart_list_id", "q") if query.text(name)}
    options = [("", "All contacts"), *sorted(lists.items(), key=lambda each: each[1].casefold())]
    file = f"{_EXPORT}.csv?{urlencode(filters)}" if filters else f"{_EXPORT}.csv"
    return Shown("contact-export.html", {"options": options, "file": file})


async def _export_file(tx: Tx, visit: Visit) -> Reply:
    asked = visit.query.text("smart_list_id")
    filters = {
        "smart_list_id": (parse_id(asked) or NIL_ID) if asked else None,
        "q": visit.query.optional("q"),
    }
    workspace_id = visit.workspace_id

    async def piece(tx: Tx, after: Any) -> tuple[str, Any]:
        return await export_page(tx, workspace_id, after, **filters)

    text, after = await piece(tx, None)
    return Streamed("contacts.csv", "text/csv; charset=utf-8", text, after, piece)


PAGES = (
    show(_NEW, Permission.CONTACTS, _new),
    act(_NEW, Permission.CONTACTS, _create, again=_new),
    show(_IMPORT, Permission.CONTACTS, _show, long=True),
    act(_IMPORT, Permission.CONTACTS, _start, again=_show, long=True),
    act(f"{_IMPORT}/parts", Permission.CONTACTS, _put_part, long=True),
    act(f"{_IMPORT}/cancel", Permission.CONTACTS, _cancel),
    show(f"{_IMPORT}/problems.csv", Permission.CONTACTS, _problems),
    show(_EXPORT, Permission.CONTACTS, _export),
    show(f"{_EXPORT}.csv", Permission.CONTACTS, _export_file, long=True),
)
