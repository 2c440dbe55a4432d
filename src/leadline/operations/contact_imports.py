"""Imports of contacts: take a file in parts, look at it, start the job, follow it, cancel it.

The job itself is gone through by `operations/importing.py`, a step at a time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from leadline.clock import iso_from_ms, iso_or_none
from leadline.domain.contacts import is_region
from leadline.domain.csv_reading import (
    SAMPLE_RECORDS,
    Delimiter,
    Dialect,
    Encoding,
    EncodingFinder,
    Unreadable,
    byte_order_mark,
    read_window,
    sniffed_delimiter,
)
from leadline.domain.errors import ImportNotFound, InvalidRequest, LimitReached, Problem, SmartListNotFound
from leadline.domain.importing import (
    MOVES,
    AttributeType,
    Column,
    ColumnField,
    ImportState,
    has_header,
    mapping_problems,
    suggested_columns,
)
from leadline.domain.limits import (
    IMPORT_FILE_BYTES_MAX,
    IMPORT_KEPT_DAYS,
    IMPORT_PART_BYTES_MAX,
    IMPORT_PART_BYTES_MIN,
    IMPORTS_OPEN_MAX,
    PAGE_DEFAULT,
)
from leadline.domain.paging import PageRequest, Position, cut_page, encode_cursor, page_request
from leadline.ids import NIL_ID, new_id
from leadline.operations import audit
from leadline.store import contact_imports as store
from leadline.store import smart_lists, workspaces
from leadline.store.contact_imports import ImportRow, PartRow
from leadline.store.database import Tx
from leadline.wire.imports import (
    ContactImport,
    ImportAnswer,
    ImportedColumn,
    ImportOptions,
    ImportPart,
    ImportPartAnswer,
    ImportPreview,
    ImportsAnswer,
    PreviewAnswer,
    RowProblem,
    RowProblems,
    RowProblemsAnswer,
)

# Parts that are read at once: more than the longest row, less than anybody would notice.
WINDOW_PARTS = 8
PREVIEW_ROWS = 10
PRUNE_BATCH = 5_000
DAY_MS = 86_400_000


class StoredOptions(ImportOptions, frozen=True, kw_only=True):
    """The options of a run, and what was found out about the file."""

    width: int
    # The number of the header's row; 0 when there is none.
    header_row: int


_options = msgspec.json.Decoder(ImportOptions).decode
_stored_options = msgspec.json.Decoder(StoredOptions).decode
_problems = msgspec.json.Decoder(list[RowProblem]).decode


@dataclass(frozen=True, slots=True)
class ReadAs:
    """How the caller says that the file is written; None is to be found out."""

    encoding: str | None = None
    delimiter: str | None = None
    has_header: bool | None = None


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What the caller wants of a run."""

    read_as: ReadAs
    columns: Sequence[Column] | None
    duplicates: str
    smart_list_ids: Sequence[str]
    region: str | None
    dry_run: bool


async def create_import(tx: Tx, workspace_id: str, file_name: str | None) -> ImportAnswer:
    """An import without a file yet. Raises LimitReached when too many are open."""
    await workspaces.lock_workspace(tx, workspace_id)
    if await store.count_open_imports(tx, workspace_id) >= IMPORTS_OPEN_MAX:
        raise LimitReached(f"A workspace has at most {IMPORTS_OPEN_MAX} imports open: cancel one.")
    row = ImportRow(
        workspace_id=workspace_id,
        import_id=new_id(),
        file_name=None if file_name is None else file_name.strip(),
        state=ImportState.UPLOADING.value,
        run=0,
        dry_run=0,
        options="",
        size_bytes=0,
        read_bytes=0,
        part_number=1,
        part_offset=0,
        record_number=0,
        row_count=0,
        created_count=0,
        updated_count=0,
        unchanged_count=0,
        skipped_count=0,
        failed_count=0,
        repeated_count=0,
        failure=None,
        created_at=tx.now_ms,
        started_at=None,
        finished_at=None,
    )
    await store.insert_import(tx, row)
    return ImportAnswer(contact_import=import_view(row))


async def put_part(
    tx: Tx, workspace_id: str, import_id: str, number: int, content: bytes
) -> ImportPartAnswer:
    """Store a part of the file; the same number again takes the place of the first. Raises InvalidRequest."""
    row = await _require_import(tx, workspace_id, import_id)
    if row.state != ImportState.UPLOADING:
        raise InvalidRequest(f"The file is no longer taken: the import is {row.state}.")
    if not 1 <= len(content) <= IMPORT_PART_BYTES_MAX:
        problem = Problem("data", f"must be 1-{IMPORT_PART_BYTES_MAX} bytes")
        raise InvalidRequest("The part is not of a size that is taken.", details=[problem])
    replaced = await store.put_part(tx, PartRow(workspace_id, import_id, number, content))
    size_bytes = row.size_bytes - replaced + len(content)
    if size_bytes > IMPORT_FILE_BYTES_MAX:
        raise LimitReached(f"A file has at most {IMPORT_FILE_BYTES_MAX // 1024 // 1024} MiB.")
    await store.update_import(tx, msgspec.structs.replace(row, size_bytes=size_bytes))
    return ImportPartAnswer(part=ImportPart(number=number, size_bytes=len(content)))


async def preview_import(tx: Tx, workspace_id: str, import_id: str, read_as: ReadAs) -> PreviewAnswer:
    """How the file begins, read as said or as found out. Raises InvalidRequest for what is no CSV."""
    row = await _get(tx, workspace_id, import_id)
    sample = await _sample(tx, row, read_as, await _region(tx, workspace_id, None))
    return PreviewAnswer(
        preview=ImportPreview(
            encoding=sample.dialect.encoding.value,
            delimiter=sample.dialect.delimiter.value,
            has_header=sample.dialect.has_header,
            header=None if sample.header is None else _shown(sample.header),
            columns=[column_view(each) for each in sample.suggested],
            column_count=sample.width,
            rows=[_shown(each) for each in sample.rows[:PREVIEW_ROWS]],
        )
    )


async def start_import(tx: Tx, workspace_id: str, import_id: str, request: StartRequest) -> ImportAnswer:
    """Set the job going, from the file's beginning. Raises InvalidRequest, SmartListNotFound."""
    row = await _require_import(tx, workspace_id, import_id)
    if ImportState.RUNNING not in MOVES.get(ImportState(row.state), ()):
        raise InvalidRequest(f"The import is {row.state}, and starts once.")
    region = await _region(tx, workspace_id, request.region)
    sample = await _sample(tx, row, request.read_as, region)
    columns = request.columns if request.columns is not None else sample.suggested
    problems = mapping_problems(columns, sample.width)
    if problems:
        raise InvalidRequest("The columns are not understood.", details=problems)
    await _require_lists(tx, workspace_id, request.smart_list_ids)
    options = StoredOptions(
        encoding=sample.dialect.encoding.value,
        delimiter=sample.dialect.delimiter.value,
        has_header=sample.dialect.has_header,
        columns=[column_view(each) for each in columns],
        duplicates=request.duplicates,  # type: ignore[arg-type] # read by its type
        smart_list_ids=list(dict.fromkeys(request.smart_list_ids)),
        region=region,
        width=sample.width,
        header_row=sample.header_row,
    )
    row = _started(tx, row, options, sample, dry_run=request.dry_run)
    await store.delete_problems(tx, workspace_id, import_id)
    await store.update_import(tx, row)
    if not request.dry_run:
        await audit.record(
            tx, workspace_id, "contact_import.started", import_id, after=import_view(row).options
        )
    return ImportAnswer(contact_import=import_view(row))


def _started(tx: Tx, row: ImportRow, options: StoredOptions, sample: _Sample, *, dry_run: bool) -> ImportRow:
    return msgspec.structs.replace(
        row,
        state=ImportState.RUNNING.value,
        run=row.run + 1,
        dry_run=int(dry_run),
        options=msgspec.json.encode(options).decode(),
        read_bytes=sample.mark_bytes,
        part_number=1,
        part_offset=sample.mark_bytes,
        record_number=0,
        row_count=0,
        created_count=0,
        updated_count=0,
        unchanged_count=0,
        skipped_count=0,
        failed_count=0,
        repeated_count=0,
        failure=None,
        started_at=tx.now_ms,
        finished_at=None,
    )


async def cancel_import(tx: Tx, workspace_id: str, import_id: str) -> ImportAnswer:
    """Stop the job where it is; what it has imported stays. One that is over stays as it is."""
    row = await _require_import(tx, workspace_id, import_id)
    if ImportState.CANCELED in MOVES.get(ImportState(row.state), ()):
        row = msgspec.structs.replace(row, state=ImportState.CANCELED.value, finished_at=tx.now_ms)
        await store.update_import(tx, row)
        await store.delete_parts(tx, workspace_id, import_id)
    return ImportAnswer(contact_import=import_view(row))


async def get_import(tx: Tx, workspace_id: str, import_id: str) -> ImportAnswer:
    return ImportAnswer(contact_import=import_view(await _get(tx, workspace_id, import_id)))


async def list_imports(tx: Tx, workspace_id: str, page: PageRequest) -> ImportsAnswer:
    rows = await store.page_of_imports(tx, workspace_id, page)
    rows, next_cursor = cut_page(rows, page, lambda row: Position(row.created_at, row.import_id))
    return ImportsAnswer(contact_imports=[import_view(row) for row in rows], next_cursor=next_cursor)


async def list_problems(
    tx: Tx, workspace_id: str, import_id: str, *, limit: int | None, cursor: str | None
) -> RowProblemsAnswer:
    """The rows that the newest run has passed over, in the order of the file."""
    await _get(tx, workspace_id, import_id)
    size = limit or PAGE_DEFAULT
    after_row = 0 if cursor is None else page_request(None, cursor).after.at_ms
    rows = await store.page_of_problems(tx, workspace_id, import_id, after_row=after_row, limit=size + 1)
    page = rows[:size]
    more = encode_cursor(Position(page[-1].row_number, NIL_ID)) if len(rows) > size else None
    shown = [
        RowProblems(row=each.row_number, problems=_problems(each.problems), cells=json.loads(each.cells))
        for each in page
    ]
    return RowProblemsAnswer(problems=shown, next_cursor=more)


async def prune_imports(tx: Tx, workspace_id: str) -> bool:
    """Forget what imports no longer need; true when there may be more."""
    pruned = await store.prune_numbers(tx, workspace_id, limit=PRUNE_BATCH)
    await store.prune_imports(tx, workspace_id, tx.now_ms - IMPORT_KEPT_DAYS * DAY_MS)
    return pruned >= PRUNE_BATCH


def import_view(row: ImportRow) -> ContactImport:
    return ContactImport(
        import_id=row.import_id,
        state=row.state,  # type: ignore[arg-type] # CHECKed by the table
        file_name=row.file_name,
        dry_run=bool(row.dry_run),
        options=_options(row.options) if row.options else None,
        size_bytes=row.size_bytes,
        read_bytes=row.read_bytes,
        rows=row.row_count,
        created=row.created_count,
        updated=row.updated_count,
        unchanged=row.unchanged_count,
        skipped=row.skipped_count,
        failed=row.failed_count,
        repeated=row.repeated_count,
        failure=row.failure,
        created_at=iso_from_ms(row.created_at),
        started_at=iso_or_none(row.started_at),
        finished_at=iso_or_none(row.finished_at),
    )


def stored_options(row: ImportRow) -> StoredOptions:
    """The options of an import that was started."""
    return _stored_options(row.options)


def column_view(column: Column) -> ImportedColumn:
    is_attribute = column.field is ColumnField.ATTRIBUTE
    return ImportedColumn(
        column=column.index,
        field=column.field.value,
        key=column.key,
        type=column.type.value if is_attribute else None,
    )


def column_from(view: ImportedColumn) -> Column:
    return Column(view.column, ColumnField(view.field), view.key, AttributeType(view.type or "text"))


async def _get(tx: Tx, workspace_id: str, import_id: str) -> ImportRow:
    row = await store.get_import(tx, workspace_id, import_id)
    if row is None:
        raise ImportNotFound
    return row


async def _require_import(tx: Tx, workspace_id: str, import_id: str) -> ImportRow:
    row = await store.lock_import(tx, workspace_id, import_id)
    if row is None:
        raise ImportNotFound
    return row


async def _region(tx: Tx, workspace_id: str, wanted: str | None) -> str:
    if wanted is not None:
        if not is_region(wanted):
            problem = Problem("region", "must be an ISO 3166 code, such as US")
            raise InvalidRequest("The region is not known.", details=[problem])
        return wanted
    workspace = await workspaces.get_workspace(tx, workspace_id)
    return workspace.region if workspace else "US"


async def _require_lists(tx: Tx, workspace_id: str, smart_list_ids: Sequence[str]) -> None:
    found = await smart_lists.names_of_lists(tx, workspace_id, smart_list_ids)
    missing = [each for each in smart_list_ids if each not in found]
    if missing:
        details = [Problem("smart_list_ids", f"{each} is not a Smart List") for each in missing]
        raise SmartListNotFound(details=details)


@dataclass(frozen=True, slots=True)
class _Sample:
    """The beginning of a file, read."""

    dialect: Dialect
    mark_bytes: int
    header: tuple[str, ...] | None
    rows: list[tuple[str, ...]]
    suggested: list[Column]
    width: int
    header_row: int


async def _sample(tx: Tx, row: ImportRow, read_as: ReadAs, region: str) -> _Sample:
    """Look at the whole file for its encoding, and at its beginning for all else. Raises InvalidRequest."""
    if row.state in (ImportState.DONE, ImportState.CANCELED, ImportState.FAILED):
        raise InvalidRequest("The file is no longer kept.")
    sizes = await store.part_sizes(tx, row.workspace_id, row.import_id)
    _require_whole(sizes)
    encoding = Encoding(read_as.encoding) if read_as.encoding else await _encoding(tx, row)
    parts = await store.parts_from(tx, row.workspace_id, row.import_id, 1, limit=WINDOW_PARTS)
    start = b"".join(content for _, content in parts)
    mark = byte_order_mark(start)
    text, is_end = start[len(mark) :], len(parts) == len(sizes)
    try:
        delimiter = (
            Delimiter(read_as.delimiter)
            if read_as.delimiter
            else sniffed_delimiter(text, encoding, is_end=is_end)
        )
        window = read_window(
            text, encoding=encoding, delimiter=delimiter, is_end=is_end, records_max=SAMPLE_RECORDS
        )
    except Unreadable as wrong:
        raise InvalidRequest(f"The file cannot be read: {wrong}.") from None
    numbered = [
        (number, cells) for number, (cells, _) in enumerate(window.records, 1) if any(map(str.strip, cells))
    ]
    records = [cells for _, cells in numbered]
    if not records:
        raise InvalidRequest("The file has no rows.")
    titled = has_header(records, region) if read_as.has_header is None else read_as.has_header
    header, rows = (records[0], records[1:]) if titled else (None, records)
    return _Sample(
        dialect=Dialect(encoding, delimiter, titled),
        mark_bytes=len(mark),
        header=header,
        rows=rows,
        suggested=suggested_columns(header, rows, region),
        width=len(header) if header else max(map(len, records)),
        header_row=numbered[0][0] if titled else 0,
    )


def _require_whole(sizes: Sequence[tuple[int, int]]) -> None:
    """Parts 1 to n, all but the last long enough that a few of them hold any row."""
    if not sizes:
        raise InvalidRequest("The import has no file yet.")
    missing = sorted(set(range(1, sizes[-1][0] + 1)) - {number for number, _ in sizes})
    if missing:
        raise InvalidRequest(f"Part {missing[0]} of the file is missing.")
    short = [number for number, size in sizes[:-1] if size < IMPORT_PART_BYTES_MIN]
    if short:
        raise InvalidRequest(f"Part {short[0]} of the file is below {IMPORT_PART_BYTES_MIN} bytes.")


async def _encoding(tx: Tx, row: ImportRow) -> Encoding:
    finder = EncodingFinder()
    number = 1
    while parts := await store.parts_from(tx, row.workspace_id, row.import_id, number, limit=WINDOW_PARTS):
        for _, content in parts:
            finder.take(content)
        number = parts[-1][0] + 1
    return finder.found()


def _shown(cells: Sequence[str]) -> list[str]:
    """Cells as an answer can hold them: what is no text is a replacement character."""
    return [cell.encode(errors="replace").decode()[:1000] for cell in cells]
