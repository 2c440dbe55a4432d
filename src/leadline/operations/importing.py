"""One step of an import: some rows, what they change, and how far the job is, in one transaction.

A job that was killed goes on behind the last step that was committed, so every row is read once. A dry run
goes the same way and keeps what each contact would be by now beside the numbers that it has met, so that its counts
are those of the run that follows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from leadline.domain.contacts import contact_problems, search_text
from leadline.domain.csv_reading import Encoding, Unreadable, Window, read_window
from leadline.domain.errors import Problem
from leadline.domain.importing import ImportState, ParsedRow, RowReader
from leadline.domain.limits import IMPORT_PROBLEMS_MAX
from leadline.domain.text import name_key
from leadline.ids import new_id
from leadline.operations.contact_imports import WINDOW_PARTS, StoredOptions, column_from, stored_options
from leadline.store import contact_imports as store
from leadline.store import smart_lists
from leadline.store.contact_imports import ImportRow, NumberRow, ProblemRow
from leadline.store.contacts import ContactRow
from leadline.store.database import Conflict, Tx
from leadline.store.smart_lists import MembershipRow, MoveRow

# A step holds its rows for a few milliseconds; the pause between steps leaves the rest to everybody else.
STEP = 100
_CELL_CHARACTERS_MAX = 1_000


async def running_imports(tx: Tx) -> list[tuple[str, str]]:
    """(workspace_id, import_id) of the jobs that are not over."""
    return await store.running_imports(tx)


async def step_import(tx: Tx, workspace_id: str, import_id: str) -> bool:
    """Some rows of a job, with its counts; False when it is over or somebody else's turn."""
    row = await store.lock_running_import(tx, workspace_id, import_id)
    if row is None:
        return False
    options = stored_options(row)
    parts = await store.parts_from(tx, workspace_id, import_id, row.part_number, limit=WINDOW_PARTS)
    try:
        window = _window(row, options, parts)
    except Unreadable as wrong:
        await _finish(tx, row, ImportState.FAILED, failure=f"row {row.record_number + 1}: {wrong}")
        return False
    lists = await smart_lists.list_names(tx, workspace_id)
    gone = [each for each in options.smart_list_ids if each not in lists]
    if gone:
        await _finish(tx, row, ImportState.FAILED, failure="a Smart List that everybody joins was deleted")
        return False
    step = _Step(tx, row, options, lists)
    counts = await step.run(_numbered(row, options, window))
    row = _advanced(row, window, parts, counts)
    if window.is_last:
        await _finish(tx, row, ImportState.CHECKED if row.dry_run else ImportState.DONE)
        return False
    await store.update_import(tx, row)
    return True


async def _finish(tx: Tx, row: ImportRow, state: ImportState, *, failure: str | None = None) -> None:
    over = msgspec.structs.replace(row, state=state.value, failure=failure, finished_at=tx.now_ms)
    await store.update_import(tx, over)
    if state is not ImportState.CHECKED:
        await store.delete_parts(tx, row.workspace_id, row.import_id)


def _window(row: ImportRow, options: StoredOptions, parts: Sequence[tuple[int, bytes]]) -> Window:
    text = b"".join(content for _, content in parts)[row.part_offset :]
    return read_window(
        text,
        encoding=Encoding(options.encoding),
        delimiter=options.delimiter,
        is_end=row.read_bytes + len(text) >= row.size_bytes,
        records_max=STEP,
    )


def _numbered(row: ImportRow, options: StoredOptions, window: Window) -> list[tuple[int, tuple[str, ...]]]:
    """The rows that say something, each with its number in the file."""
    first = row.record_number + 1
    numbered = [(first + place, cells) for place, (cells, _) in enumerate(window.records)]
    return [
        (number, cells)
        for number, cells in numbered
        if number != options.header_row and any(map(str.strip, cells))
    ]


def _advanced(
    row: ImportRow, window: Window, parts: Sequence[tuple[int, bytes]], counts: Counter[str]
) -> ImportRow:
    taken = window.records[-1][1] if window.records else 0
    number, offset = _position(parts, row.part_offset + taken)
    read_bytes = row.size_bytes if window.is_last else row.read_bytes + taken
    return msgspec.structs.replace(
        row,
        read_bytes=read_bytes,
        part_number=number,
        part_offset=offset,
        record_number=row.record_number + len(window.records),
        row_count=row.row_count + sum(counts[each] for each in _COUNTED),
        repeated_count=row.repeated_count + counts["repeated"],
        **{f"{each}_count": getattr(row, f"{each}_count") + counts[each] for each in _COUNTED},
    )


_COUNTED = ("created", "updated", "unchanged", "skipped", "failed")


def _position(parts: Sequence[tuple[int, bytes]], offset: int) -> tuple[int, int]:
    """The part in which this byte of these parts is, and its place there."""
    for number, content in parts:
        if offset < len(content):
            return number, offset
        offset -= len(content)
    return (parts[-1][0] + 1 if parts else 1), 0


@dataclass(slots=True)
class _Person:
    """A contact as it is by now: from the database, from an earlier row, or made by this one."""

    contact_id: str | None
    name: str | None = None
    external_id: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)
    is_new: bool = False
    is_changed: bool = False
    joins: list[str] = field(default_factory=list)
    row: ContactRow | None = None

    def take(self, parsed: ParsedRow, smart_list_ids: Iterable[str]) -> bool:
        """Merge a row into it; whether that changed anything."""
        before = (self.name, self.external_id, self.attributes)
        self.name = parsed.name or self.name
        self.external_id = parsed.external_id or self.external_id
        self.attributes = {**self.attributes, **parsed.attributes}
        changed = not _same(before, (self.name, self.external_id, self.attributes))
        self.is_changed = self.is_changed or changed
        joins = [each for each in dict.fromkeys(smart_list_ids) if each not in self.joined]
        self.joins += joins
        self.joined |= set(joins)
        return changed or bool(joins)

    def kept(self) -> str:
        """What a dry run keeps of it."""
        return json.dumps([self.name, self.external_id, self.attributes, sorted(self.joined)])


def _same(before: Any, after: Any) -> bool:
    # As JSON, which tells 1 from true and from 1.0.
    return json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)


class _Step:
    """The rows of one step, decided one after the other and written together."""

    def __init__(self, tx: Tx, row: ImportRow, options: StoredOptions, lists: Mapping[str, str]) -> None:
        self._tx = tx
        self._row = row
        self._options = options
        self._lists = lists
        self._counts: Counter[str] = Counter()
        self._people: dict[str, _Person] = {}
        self._met: set[str] = set()
        self._problems: list[ProblemRow] = []

    async def run(self, rows: Sequence[tuple[int, tuple[str, ...]]]) -> Counter[str]:
        """Carry the rows out; how many of each kind there were."""
        parsed = self._parse(rows)
        await self._load(sorted({each.number for _, _, each in parsed}))
        met_now: dict[str, None] = {}
        for number, cells, each in parsed:
            self._decide(number, cells, each)
            met_now[each.number] = None
        await store.insert_problems(self._tx, self._problems[: self._room()])
        if not self._row.dry_run:
            await self._write()
        await self._remember(met_now)
        return self._counts

    def _room(self) -> int:
        """How many more problems are kept: the counts are exact, the texts bounded."""
        return max(0, IMPORT_PROBLEMS_MAX - self._row.failed_count)

    def _parse(
        self, rows: Sequence[tuple[int, tuple[str, ...]]]
    ) -> list[tuple[int, tuple[str, ...], ParsedRow]]:
        reader = RowReader(
            [column_from(each) for each in self._options.columns],
            region=self._options.region,
            smart_lists={name_key(name): smart_list_id for smart_list_id, name in self._lists.items()},
        )
        parsed = []
        for number, cells in rows:
            found = reader.read(cells, self._options.width)
            if isinstance(found, ParsedRow):
                parsed.append((number, cells, found))
            else:
                self._fail(number, cells, found)
        return parsed

    def _fail(self, number: int, cells: Sequence[str], problems: Iterable[Problem]) -> None:
        self._counts["failed"] += 1
        shown = [cell.replace("\0", "\ufffd").encode(errors="replace").decode() for cell in cells]
        self._problems.append(
            ProblemRow(
                self._row.workspace_id,
                self._row.import_id,
                number,
                json.dumps([{"field": each.field, "message": each.message} for each in problems]),
                json.dumps([cell[:_CELL_CHARACTERS_MAX] for cell in shown]),
            )
        )

    async def _load(self, numbers: Sequence[str]) -> None:
        workspace_id = self._row.workspace_id
        contacts = await store.contacts_by_numbers(self._tx, workspace_id, numbers)
        joined = await smart_lists.joined_by(
            self._tx, workspace_id, [each.contact_id for each in contacts.values()]
        )
        for number, contact in contacts.items():
            self._people[number] = _Person(
                contact.contact_id,
                contact.name,
                contact.external_id,
                json.loads(contact.attributes),
                {each.smart_list_id for each in joined[contact.contact_id]},
                row=contact,
            )
        met = await store.numbers_met(self._tx, self._row, numbers)
        self._met = set(met)
        for number, each in met.items():
            if each.contact is not None:
                name, external_id, attributes, lists = json.loads(each.contact)
                self._people[number] = _Person(None, name, external_id, attributes, set(lists))

    def _decide(self, number: int, cells: Sequence[str], parsed: ParsedRow) -> None:
        repeated = parsed.number in self._met
        person = self._people.get(parsed.number)
        self._met.add(parsed.number)
        self._counts["repeated"] += repeated
        wanted = (*self._options.smart_list_ids, *parsed.smart_list_ids)
        if person is None:
            person = self._people[parsed.number] = _Person(new_id(), is_new=True)
            person.take(parsed, wanted)
            self._counts["created"] += 1
        elif self._options.duplicates == "skip":
            self._counts["skipped"] += 1
        elif problems := contact_problems({"attributes": {**person.attributes, **parsed.attributes}}):
            # Each is within its bounds, and both together are not.
            self._fail(number, cells, problems)
        else:
            self._counts["updated" if person.take(parsed, wanted) else "unchanged"] += 1

    async def _write(self) -> None:
        new = [self._contact(number, each) for number, each in self._people.items() if each.is_new]
        if await store.insert_contacts(self._tx, new) != len(new):
            raise Conflict("a contact of the file was made by somebody else at the same moment")
        changed = [
            self._contact(number, each)
            for number, each in self._people.items()
            if each.is_changed and not each.is_new
        ]
        await store.update_contacts(self._tx, changed)
        await self._join()

    def _contact(self, number: str, person: _Person) -> ContactRow:
        assert person.contact_id is not None  # people without one are a dry run's
        old = person.row
        return ContactRow(
            workspace_id=self._row.workspace_id,
            contact_id=person.contact_id,
            phone_number=number,
            name=person.name,
            external_id=person.external_id,
            attributes=json.dumps(person.attributes),
            search_text=search_text(number, person.name, person.external_id),
            created_at=old.created_at if old else self._tx.now_ms,
            updated_at=max(self._tx.now_ms, old.updated_at) if old else self._tx.now_ms,
        )

    async def _join(self) -> None:
        joins = [
            (person.contact_id, each)
            for person in self._people.values()
            if person.contact_id is not None
            for each in person.joins
        ]
        memberships = [
            MembershipRow(
                workspace_id=self._row.workspace_id,
                smart_list_id=smart_list_id,
                contact_id=contact_id,
                since=self._tx.now_ms,
                source="request",
                applied_id=None,
            )
            for contact_id, smart_list_id in joins
        ]
        moves = [self._move(contact_id, smart_list_id) for contact_id, smart_list_id in joins]
        if await store.join_lists(self._tx, memberships, moves) != len(memberships):
            raise Conflict("a contact of the file was put on a list by somebody else at the same moment")

    def _move(self, contact_id: str, smart_list_id: str) -> MoveRow:
        return MoveRow(
            workspace_id=self._row.workspace_id,
            move_id=new_id(),
            contact_id=contact_id,
            smart_list_id=smart_list_id,
            smart_list_name=self._lists[smart_list_id],
            direction="joined",
            source="request",
            applied_id=None,
            moved_at=self._tx.now_ms,
        )

    async def _remember(self, numbers: Iterable[str]) -> None:
        row = self._row
        await store.put_numbers(
            self._tx,
            [
                NumberRow(
                    row.workspace_id,
                    row.import_id,
                    row.run,
                    number,
                    self._people[number].kept() if row.dry_run else None,
                )
                for number in numbers
            ],
        )
