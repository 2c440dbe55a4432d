"""Imports of contacts: the job, the parts of its file, the numbers it has met, and the rows it has passed over."""

from __future__ import annotations

import json
from collections.abc import Sequence

from leadline.domain.paging import PageRequest
from leadline.store.contacts import ContactRow
from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.rows import (
    Row,
    columns,
    insertion,
    insertion_of_many,
    listing,
    page_values,
    update_of_many,
    values_of,
)
from leadline.store.smart_lists import MembershipRow, MoveRow


class ImportRow(Row, frozen=True, gc=False):
    workspace_id: str
    import_id: str
    file_name: str | None
    state: str
    run: int
    dry_run: int
    options: str
    size_bytes: int
    read_bytes: int
    part_number: int
    part_offset: int
    record_number: int
    row_count: int
    created_count: int
    updated_count: int
    unchanged_count: int
    skipped_count: int
    failed_count: int
    repeated_count: int
    failure: str | None
    created_at: int
    started_at: int | None
    finished_at: int | None


class PartRow(Row, frozen=True, gc=False):
    workspace_id: str
    import_id: str
    number: int
    content: bytes


class NumberRow(Row, frozen=True, gc=False):
    workspace_id: str
    import_id: str
    run: int
    phone_number: str
    contact: str | None


class ProblemRow(Row, frozen=True, gc=False):
    workspace_id: str
    import_id: str
    row_number: int
    problems: str
    cells: str


_IMPORT = columns(ImportRow)
_OF_IMPORT = "WHERE workspace_id = :workspace_id AND import_id = :import_id"
_INSERT = insertion("contact_imports", ImportRow)
_GET = Statement(f"SELECT {_IMPORT} FROM contact_imports {_OF_IMPORT}")
_LOCK = Statement(f"SELECT {_IMPORT} FROM contact_imports {_OF_IMPORT} {{for_update}}")
_RUNNING = Statement(
    "SELECT workspace_id, import_id FROM contact_imports WHERE state = 'running' ORDER BY created_at"
)
_LOCK_RUNNING = Statement(
    f"SELECT {_IMPORT} FROM contact_imports {_OF_IMPORT} AND state = 'running' {{skip_locked}}"
)
_COUNT_OPEN = Statement(
    "SELECT COUNT(*) FROM contact_imports WHERE workspace_id = :workspace_id"
    " AND state IN ('uploading', 'running', 'checked')"
)
_UPDATE = Statement(
    "UPDATE contact_imports SET "
    + ", ".join(
        f"{name} = :{name}"
        for name in ImportRow.__struct_fields__
        if name not in ("workspace_id", "import_id", "file_name", "created_at")
    )
    + f" {_OF_IMPORT}"
)
_PUT_PART = insertion(
    "contact_import_parts",
    PartRow,
    tail="ON CONFLICT (workspace_id, import_id, number) DO UPDATE SET content = excluded.content",
)
_PART_SIZE = Statement(f"SELECT length(content) FROM contact_import_parts {_OF_IMPORT} AND number = :number")
_SIZES = Statement(f"SELECT number, length(content) FROM contact_import_parts {_OF_IMPORT} ORDER BY number")
_PARTS = Statement(
    f"SELECT number, content FROM contact_import_parts {_OF_IMPORT} AND number >= :number"
    " ORDER BY number LIMIT :limit"
)
_DELETE_PARTS = Statement(f"DELETE FROM contact_import_parts {_OF_IMPORT}")
_DELETE_PROBLEMS = Statement(f"DELETE FROM contact_import_problems {_OF_IMPORT}")
_INSERT_PROBLEMS = insertion_of_many("contact_import_problems", ProblemRow)
_PROBLEMS = Statement(
    f"SELECT {columns(ProblemRow)} FROM contact_import_problems {_OF_IMPORT} AND row_number > :row_number"
    " ORDER BY row_number LIMIT :limit"
)
_NUMBERS = Statement(
    f"SELECT {columns(NumberRow)} FROM contact_import_numbers {_OF_IMPORT} AND run = :run"
    " AND phone_number {in_texts:phone_numbers}"
)
_PUT_NUMBERS = insertion_of_many(
    "contact_import_numbers",
    NumberRow,
    tail="ON CONFLICT (workspace_id, import_id, run, phone_number) DO UPDATE SET contact = excluded.contact",
)
_PRUNE_NUMBERS = Statement(
    "DELETE FROM contact_import_numbers WHERE workspace_id = :workspace_id"
    " AND (import_id, run, phone_number) IN (SELECT n.import_id, n.run, n.phone_number"
    " FROM contact_import_numbers n JOIN contact_imports i ON i.workspace_id = n.workspace_id"
    " AND i.import_id = n.import_id WHERE n.workspace_id = :workspace_id"
    " AND (i.finished_at IS NOT NULL OR n.run < i.run) LIMIT :limit)"
)
_PRUNE = Statement(
    "DELETE FROM contact_imports WHERE workspace_id = :workspace_id AND created_at < :before"
    " AND state <> 'running' AND NOT EXISTS (SELECT 1 FROM contact_import_numbers n"
    " WHERE n.workspace_id = contact_imports.workspace_id AND n.import_id = contact_imports.import_id)"
)

# What a step does with contacts: the rows of one workspace, many at once.
_CONTACTS = Statement(
    f"SELECT {columns(ContactRow)} FROM contacts WHERE workspace_id = :workspace_id"
    " AND phone_number {in_texts:phone_numbers} ORDER BY phone_number {for_update}"
)
_INSERT_CONTACTS = insertion_of_many(
    "contacts", ContactRow, tail="ON CONFLICT (workspace_id, phone_number) DO NOTHING"
)
_UPDATE_CONTACTS = update_of_many(
    "contacts",
    "name = :name, external_id = :external_id, attributes = :attributes, search_text = :search_text,"
    " updated_at = :updated_at",
    ("contact_id",),
)
_JOIN = insertion_of_many(
    "memberships", MembershipRow, tail="ON CONFLICT (workspace_id, smart_list_id, contact_id) DO NOTHING"
)
_MOVE = insertion_of_many("list_moves", MoveRow)


async def insert_import(tx: Tx, row: ImportRow) -> None:
    await tx.run(_INSERT, **values_of(row))


async def get_import(tx: Tx, workspace_id: str, import_id: str) -> ImportRow | None:
    row = await tx.first(_GET, workspace_id=workspace_id, import_id=import_id)
    return ImportRow(*row) if row else None


async def lock_import(tx: Tx, workspace_id: str, import_id: str) -> ImportRow | None:
    row = await tx.first(_LOCK, workspace_id=workspace_id, import_id=import_id)
    return ImportRow(*row) if row else None


async def running_imports(tx: Tx) -> list[tuple[str, str]]:
    """(workspace_id, import_id) of the jobs that are not over, the oldest first."""
    return [(row[0], row[1]) for row in await tx.all(_RUNNING)]


async def lock_running_import(tx: Tx, workspace_id: str, import_id: str) -> ImportRow | None:
    """The job, unless it is over or another process works on it at this moment."""
    row = await tx.first(_LOCK_RUNNING, workspace_id=workspace_id, import_id=import_id)
    return ImportRow(*row) if row else None


async def count_open_imports(tx: Tx, workspace_id: str) -> int:
    row = await tx.first(_COUNT_OPEN, workspace_id=workspace_id)
    return int(row[0]) if row else 0


async def update_import(tx: Tx, row: ImportRow) -> None:
    await tx.run(_UPDATE, **values_of(row))


async def page_of_imports(tx: Tx, workspace_id: str, page: PageRequest) -> list[ImportRow]:
    statement = listing(ImportRow, "contact_imports", ("created_at", "import_id"))
    rows = await tx.all(statement, workspace_id=workspace_id, **page_values(page))
    return [ImportRow(*row) for row in rows]


async def put_part(tx: Tx, row: PartRow) -> int:
    """Store a part in the place of what had its number; how many bytes that had."""
    found = await tx.first(
        _PART_SIZE, workspace_id=row.workspace_id, import_id=row.import_id, number=row.number
    )
    await tx.run(_PUT_PART, **values_of(row))
    return int(found[0]) if found else 0


async def part_sizes(tx: Tx, workspace_id: str, import_id: str) -> list[tuple[int, int]]:
    """(number, bytes) of every part, in order."""
    rows = await tx.all(_SIZES, workspace_id=workspace_id, import_id=import_id)
    return [(row[0], row[1]) for row in rows]


async def parts_from(
    tx: Tx, workspace_id: str, import_id: str, number: int, *, limit: int
) -> list[tuple[int, bytes]]:
    """(number, content) of the parts from this one on."""
    rows = await tx.all(_PARTS, workspace_id=workspace_id, import_id=import_id, number=number, limit=limit)
    return [(row[0], bytes(row[1])) for row in rows]


async def delete_parts(tx: Tx, workspace_id: str, import_id: str) -> None:
    await tx.run(_DELETE_PARTS, workspace_id=workspace_id, import_id=import_id)


async def delete_problems(tx: Tx, workspace_id: str, import_id: str) -> None:
    await tx.run(_DELETE_PROBLEMS, workspace_id=workspace_id, import_id=import_id)


async def insert_problems(tx: Tx, rows: Sequence[ProblemRow]) -> None:
    if rows:
        await tx.change_many(_INSERT_PROBLEMS, rows)


async def page_of_problems(
    tx: Tx, workspace_id: str, import_id: str, *, after_row: int, limit: int
) -> list[ProblemRow]:
    rows = await tx.all(
        _PROBLEMS, workspace_id=workspace_id, import_id=import_id, row_number=after_row, limit=limit
    )
    return [ProblemRow(*row) for row in rows]


async def numbers_met(tx: Tx, row: ImportRow, phone_numbers: Sequence[str]) -> dict[str, NumberRow]:
    """Those of these numbers that this run has met before."""
    rows = await tx.all(
        _NUMBERS,
        workspace_id=row.workspace_id,
        import_id=row.import_id,
        run=row.run,
        phone_numbers=json.dumps(list(phone_numbers)),
    )
    return {each[3]: NumberRow(*each) for each in rows}


async def put_numbers(tx: Tx, rows: Sequence[NumberRow]) -> None:
    if rows:
        await tx.change_many(_PUT_NUMBERS, rows)


async def prune_numbers(tx: Tx, workspace_id: str, *, limit: int) -> int:
    """Forget the numbers of runs that are over."""
    return await tx.run(_PRUNE_NUMBERS, workspace_id=workspace_id, limit=limit)


async def prune_imports(tx: Tx, workspace_id: str, before_ms: int) -> None:
    """Forget imports that are older, with their parts and problems."""
    await tx.run(_PRUNE, workspace_id=workspace_id, before=before_ms)


async def contacts_by_numbers(
    tx: Tx, workspace_id: str, phone_numbers: Sequence[str]
) -> dict[str, ContactRow]:
    """The contacts that have these numbers, by number, held until the commit."""
    rows = await tx.all(_CONTACTS, workspace_id=workspace_id, phone_numbers=json.dumps(list(phone_numbers)))
    return {row[2]: ContactRow(*row) for row in rows}


async def insert_contacts(tx: Tx, rows: Sequence[ContactRow]) -> int:
    """How many were made: fewer than given when somebody else made one of them at the same moment."""
    return await tx.change_many(_INSERT_CONTACTS, rows) if rows else 0


async def update_contacts(tx: Tx, rows: Sequence[ContactRow]) -> None:
    if rows:
        await tx.change_many(_UPDATE_CONTACTS, rows)


async def join_lists(tx: Tx, memberships: Sequence[MembershipRow], moves: Sequence[MoveRow]) -> int:
    """Put contacts on lists that they are not on; how many memberships were made."""
    if not memberships:
        return 0
    made = await tx.change_many(_JOIN, memberships)
    await tx.change_many(_MOVE, moves)
    return made
