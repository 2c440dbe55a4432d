"""Imports on both engines: every row once whatever happens, dry runs that tell the truth, exports that come back."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadline.domain.errors import ImportNotFound, InvalidRequest, LimitReached, SmartListNotFound
from leadline.domain.importing import Column, ColumnField
from leadline.domain.limits import IMPORT_PART_BYTES_MAX, IMPORT_PART_BYTES_MIN, IMPORTS_OPEN_MAX
from leadline.domain.paging import START, PageRequest
from leadline.ids import new_id
from leadline.operations import contact_export, contact_imports, importing
from leadline.operations.contact_export import export_page
from leadline.operations.contact_imports import ReadAs, StartRequest
from leadline.operations.contacts import contact_history, create_contact, list_contacts
from leadline.operations.smart_lists import create_smart_list, delete_smart_list
from leadline.operations.workspaces import create_workspace
from leadline.store.database import Database, Tx
from leadline.wire.imports import ContactImport

T = TypeVar("T")
FEW = settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
HEADER = "phone,name,external_id,attributes,smart_lists\r\n"


class Desk:
    """A workspace of its own, and transactions on it."""

    def __init__(self, database: Database, runner: asyncio.Runner) -> None:
        self.database, self.runner = database, runner
        self.workspace_id = self.write(lambda tx: create_workspace(tx, "Imports")).workspace_id

    def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        return self.runner.run(self.database.write(work))

    def make_list(self, name: str) -> str:
        answer = self.write(lambda tx: create_smart_list(tx, self.workspace_id, name))
        return answer.smart_list.smart_list_id

    def upload(self, content: bytes, *, part_bytes: int = IMPORT_PART_BYTES_MAX) -> str:
        answer = self.write(lambda tx: contact_imports.create_import(tx, self.workspace_id, "leads.csv"))
        import_id = answer.contact_import.import_id
        parts = [content[start : start + part_bytes] for start in range(0, len(content), part_bytes)]
        # Backwards, and the first twice: the order means nothing, and who is not sure sends again.
        for number, part in [*reversed([*enumerate(parts, 1)]), (1, parts[0])]:
            self.put(import_id, number, part)
        return import_id

    def put(self, import_id: str, number: int, part: bytes) -> None:
        self.write(lambda tx: contact_imports.put_part(tx, self.workspace_id, import_id, number, part))

    def start(self, import_id: str, **more: Any) -> ContactImport:
        fields: dict[str, Any] = {
            "read_as": ReadAs(), "columns": None, "duplicates": "update", "smart_list_ids": (), "region": None,
            "dry_run": False,
        }  # fmt: skip
        request = StartRequest(**(fields | more))
        answer = self.write(
            lambda tx: contact_imports.start_import(tx, self.workspace_id, import_id, request)
        )
        return answer.contact_import

    def step(self, import_id: str) -> bool:
        return self.write(lambda tx: importing.step_import(tx, self.workspace_id, import_id))

    def get(self, import_id: str) -> ContactImport:
        return self.write(
            lambda tx: contact_imports.get_import(tx, self.workspace_id, import_id)
        ).contact_import

    def run(self, import_id: str, **more: Any) -> ContactImport:
        self.start(import_id, **more)
        while self.step(import_id):
            pass
        return self.get(import_id)

    def load(self, text: str, **more: Any) -> ContactImport:
        return self.run(self.upload(text.encode()), **more)

    def problems(self, import_id: str) -> list[tuple[int, list[str]]]:
        answer = self.write(
            lambda tx: contact_imports.list_problems(tx, self.workspace_id, import_id, limit=200, cursor=None)
        )
        return [(each.row, [problem.field for problem in each.problems]) for each in answer.problems]

    def contacts(self) -> dict[str, tuple[Any, ...]]:
        page = PageRequest(200, START)
        answer = self.write(
            lambda tx: list_contacts(
                tx, self.workspace_id, page, phone_number=None, smart_list_id=None, q=None
            )
        )
        return {
            each.phone_number: (
                each.name,
                each.external_id,
                json.dumps(each.attributes, sort_keys=True),
                sorted(found.smart_list_name for found in each.smart_lists),
            )
            for each in answer.contacts
        }

    def export(self, **filters: Any) -> str:
        pieces: list[str] = []
        after = None
        while True:
            text, after = self.write(self._piece(after, filters))
            pieces.append(text)
            if after is None:
                return "".join(pieces)

    def _piece(self, after: Any, filters: dict[str, Any]) -> Callable[[Tx], Awaitable[Any]]:
        return lambda tx: export_page(tx, self.workspace_id, after, **filters)


def counts(run: ContactImport) -> dict[str, int]:
    names = ("rows", "created", "updated", "unchanged", "skipped", "failed", "repeated")
    return {name: getattr(run, name) for name in names if getattr(run, name)}


@pytest.fixture
def make_desk(database: Database, runner: asyncio.Runner) -> Callable[[], Desk]:
    return lambda: Desk(database, runner)


@pytest.fixture
def desk(make_desk: Callable[[], Desk]) -> Desk:
    return make_desk()


def test_a_file_is_imported_with_what_its_columns_say(desk: Desk) -> None:
    desk.make_list("Hot")
    everybody = desk.make_list("Spring")
    text = HEADER + (
        '+12125550101,"Ada, Countess",crm-1,"{""seats"": 2, ""vip"": true}",hot\r\n'
        "(212) 555-0102,'=Bob,,,\r\n"
        "\r\n"
        '+12125550103,"Line\nbreak",,,\r\n'
        "12,Nobody,,[],Cold\r\n"
    )
    import_id = desk.upload(text.encode())
    done = desk.run(import_id, smart_list_ids=[everybody, everybody])
    assert (done.state, counts(done)) == ("done", {"rows": 4, "created": 2, "failed": 2})
    assert desk.contacts() == {
        "+12125550101": ("Ada, Countess", "crm-1", '{"seats": 2, "vip": true}', ["Hot", "Spring"]),
        "+12125550102": ("=Bob", None, "{}", ["Spring"]),
    }
    assert desk.problems(import_id) == [(5, ["name"]), (6, ["phone_number", "attributes", "smart_lists"])]
    assert done.read_bytes == done.size_bytes == len(text)
    contact_id = next(iter(desk.write(lambda tx: list_contacts(
        tx, desk.workspace_id, PageRequest(1, START), phone_number="+12125550101", smart_list_id=None, q=None
    )).contacts)).contact_id  # fmt: skip
    history = desk.write(
        lambda tx: contact_history(tx, desk.workspace_id, contact_id, PageRequest(50, START))
    )
    assert Counter(each.type for each in history.history) == {"list_move": 2}


def test_what_is_there_is_updated_or_skipped_and_an_empty_cell_erases_nothing(desk: Desk) -> None:
    first = HEADER + '+12125550101,Ada,crm-1,"{""a"": 1, ""b"": 2}",\n+12125550102,Bob,,,\n'
    assert counts(desk.load(first)) == {"rows": 2, "created": 2}
    second = HEADER + '+12125550101,,,"{""b"": 3}",\n+12125550102,Bob,,,\n+12125550103,Cy,,,\n'
    skipping = desk.load(second, duplicates="skip")
    assert counts(skipping) == {"rows": 3, "created": 1, "skipped": 2}
    updating = desk.load(second)
    assert counts(updating) == {"rows": 3, "updated": 1, "unchanged": 2}
    assert desk.contacts()["+12125550101"] == ("Ada", "crm-1", '{"a": 1, "b": 3}', [])


def test_a_number_that_a_file_repeats_is_counted_also_across_steps(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "STEP", 2)
    text = "+12125550101,A\n+12125550101,B\n+12125550102,C\n+12125550101,D\n"
    columns = [Column(0, ColumnField.PHONE_NUMBER), Column(1, ColumnField.NAME)]
    done = desk.load(text, columns=columns)
    assert counts(done) == {"rows": 4, "created": 2, "updated": 2, "repeated": 2}
    assert desk.contacts()["+12125550101"][0] == "D"
    skipped = desk.load(text, columns=columns, duplicates="skip")
    assert counts(skipped) == {"rows": 4, "skipped": 4, "repeated": 2}


numbers = st.sampled_from([f"+1212555010{digit}" for digit in range(5)] + ["12"])
rows = st.lists(
    st.tuples(
        numbers,
        st.sampled_from(["", "Ada", "Bob", "'=x"]),
        st.sampled_from(["", "x-1"]),
        st.sampled_from(["", '{"k": 1}', '{"k": true}', '{"k": "1"}', "bad"]),
        st.sampled_from(["", "Hot", "hot; Cold", "Nowhere"]),
    ),
    max_size=12,
)


def text_of(table: list[tuple[str, ...]]) -> str:
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in table]
    return HEADER + "".join(f"{row}\n" for row in quoted)


@FEW
@given(rows, rows, st.sampled_from(["update", "skip"]), st.integers(1, 4), st.integers(0, 6))
def test_a_dry_run_counts_what_the_run_does_and_a_killed_run_loses_and_repeats_nothing(
    make_desk: Callable[[], Desk],
    before: list[tuple[str, ...]],
    table: list[tuple[str, ...]],
    duplicates: str,
    step: int,
    killed_after: int,
) -> None:
    desk = make_desk()
    for name in ("Hot", "Cold"):
        desk.make_list(name)
    desk.load(text_of(before))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(importing, "STEP", step)
        there = desk.contacts()
        import_id = desk.upload(text_of(table).encode())
        dry = desk.run(import_id, dry_run=True, duplicates=duplicates)
        assert dry.state == "checked"
        assert desk.contacts() == there
        told = desk.problems(import_id)
        desk.start(import_id, duplicates=duplicates)
        for number in range(100):
            if number == killed_after:
                kill_in_the_middle_of_a_step(desk, import_id)
            if not desk.step(import_id):
                break
        done = desk.get(import_id)
    assert (done.state, counts(done)) == ("done", counts(dry))
    assert desk.problems(import_id) == told
    assert done.rows == len(table)
    assert done.failed == len(told)


class Killed(Exception):
    """What a process that is gone would not even raise."""


def kill_in_the_middle_of_a_step(desk: Desk, import_id: str) -> None:
    async def killed(tx: Tx) -> None:
        await importing.step_import(tx, desk.workspace_id, import_id)
        raise Killed

    with pytest.raises(Killed):
        desk.write(killed)


names = st.sampled_from(
    ["Ada", "=cmd|' /C calc'!A0", "'quoted", "+1", "@x", "a;b", 'say "hi", all', "日本", "-1", "'=x"]
)
people = st.dictionaries(
    st.sampled_from([f"+1212555010{digit}" for digit in range(5)]),
    st.tuples(
        st.none() | names,
        st.none() | names,
        st.dictionaries(names, names | st.booleans() | st.integers(-5, 5) | st.just(0.5), max_size=2),
    ),
    max_size=5,
)


@FEW
@given(people, st.lists(names, max_size=2, unique_by=str.casefold), st.integers(1, 3))
def test_what_is_exported_and_imported_is_the_same(
    make_desk: Callable[[], Desk], contacts: dict[str, Any], lists: list[str], page: int
) -> None:
    desk, other = make_desk(), make_desk()
    joined = [desk.make_list(name) for name in lists]
    for name in lists:
        other.make_list(name)
    for number, (name, external_id, attributes) in contacts.items():
        desk.write(lambda tx, n=number, a=name, e=external_id, t=attributes: create_contact(  # type: ignore[misc]
            tx, desk.workspace_id, phone_number=n, name=a, external_id=e, attributes=t
        ))  # fmt: skip
    if contacts:
        desk.load("phone\n" + "\n".join(contacts) + "\n", smart_list_ids=joined)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(contact_export, "PAGE", page)
        exported = desk.export()
    if contacts:
        done = other.load(exported)
        assert counts(done) == {"rows": len(contacts), "created": len(contacts)}
        again = counts(desk.load(exported))
        assert again == {"rows": len(contacts), "unchanged": len(contacts)}
    assert other.contacts() == desk.contacts()


def test_an_export_is_filtered(desk: Desk) -> None:
    hot = desk.make_list("Hot")
    desk.load("phone,name,smart lists\n+12125550101,Ada,Hot\n+12125550102,Bob,\n")
    assert desk.export(smart_list_id=hot).count("\r\n") == 2
    assert "Bob" in desk.export(q="bo")
    assert "Ada" not in desk.export(q="bo")
    assert desk.export(phone_number="(212) 555-0102").count("\r\n") == 2


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("cp1252", "windows-1252"),
    ],
)
def test_any_usual_encoding_and_delimiter_is_read(desk: Desk, encoding: str, found: str) -> None:
    rows = "".join(f'+1212555{number};"José ; Nr. {number}"\r\n' for number in range(2000, 4500))
    content = ("Telefon;Name\r\n" + rows).encode(encoding)
    import_id = desk.upload(content, part_bytes=IMPORT_PART_BYTES_MIN + 1)
    done = desk.run(import_id)
    assert done.options is not None
    assert (done.options.encoding, done.options.delimiter, done.options.has_header) == (found, ";", True)
    assert counts(done) == {"rows": 2500, "created": 2500}
    assert desk.contacts()["+12125554499"][0] == "José ; Nr. 4499"


def test_a_file_without_a_header_is_known_by_its_numbers(desk: Desk) -> None:
    import_id = desk.upload(b"Ada,212 555 0101\nBob,212 555 0102\n")
    answer = desk.write(lambda tx: contact_imports.preview_import(tx, desk.workspace_id, import_id, ReadAs()))
    assert answer.preview.header is None
    assert [(each.column, each.field) for each in answer.preview.columns] == [(1, "phone_number")]
    assert answer.preview.rows == [["Ada", "212 555 0101"], ["Bob", "212 555 0102"]]
    assert counts(desk.run(import_id)) == {"rows": 2, "created": 2}


def test_bytes_that_are_no_text_are_the_problem_of_their_row(desk: Desk) -> None:
    import_id = desk.upload(b"phone,name\n+12125550101,a\xff\n+12125550102,b\n")
    done = desk.run(import_id, read_as=ReadAs(encoding="utf-8"))
    assert counts(done) == {"rows": 2, "created": 1, "failed": 1}
    assert desk.problems(import_id) == [(2, ["name"])]


def test_a_quote_that_is_never_closed_fails_the_import_and_says_where(desk: Desk) -> None:
    lines = "".join(f"+1212555{number},x\n" for number in range(2000, 9999))
    later = "".join(f"+1212555{number},x\n" for number in range(2000, 9000))
    import_id = desk.upload(f'phone,name\n{later}+12125550101,"open\n{lines}{lines}'.encode())
    done = desk.run(import_id)
    assert done.state == "failed"
    assert done.failure is not None
    assert "row 7002: a row is longer" in done.failure
    assert counts(done) == {"rows": 7000, "created": 7000}


def test_problems_are_bounded_and_their_count_is_exact(desk: Desk) -> None:
    import_id = desk.upload(b"phone\n" + b"12\n" * 1_250)
    done = desk.run(import_id)
    assert counts(done) == {"rows": 1_250, "failed": 1_250}
    cursor, seen = None, []
    while True:
        page = desk.write(lambda tx, at=cursor: contact_imports.list_problems(  # type: ignore[misc]
            tx, desk.workspace_id, import_id, limit=200, cursor=at
        ))  # fmt: skip
        seen += [each.row for each in page.problems]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == list(range(2, 1002))


def test_a_canceled_import_stops_where_it_is(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "STEP", 1)
    import_id = desk.upload(b"phone\n+12125550101\n+12125550102\n")
    desk.start(import_id)
    desk.step(import_id)
    desk.step(import_id)
    for _ in range(2):
        answer = desk.write(lambda tx: contact_imports.cancel_import(tx, desk.workspace_id, import_id))
        assert answer.contact_import.state == "canceled"
    assert not desk.step(import_id)
    assert list(desk.contacts()) == ["+12125550101"]
    with pytest.raises(InvalidRequest):
        desk.start(import_id)


def test_a_file_with_a_part_missing_is_not_started(desk: Desk) -> None:
    answer = desk.write(lambda tx: contact_imports.create_import(tx, desk.workspace_id, None))
    import_id = answer.contact_import.import_id
    with pytest.raises(InvalidRequest, match="no file"):
        desk.start(import_id)
    desk.put(import_id, 2, b"x")
    with pytest.raises(InvalidRequest, match="Part 1"):
        desk.start(import_id)
    desk.put(import_id, 1, b"short")
    with pytest.raises(InvalidRequest, match="below"):
        desk.start(import_id)
    with pytest.raises(InvalidRequest):
        desk.put(import_id, 1, b"x" * (IMPORT_PART_BYTES_MAX + 1))


def test_lists_that_are_not_there_are_refused_and_one_that_goes_fails_the_import(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "STEP", 1)
    import_id = desk.upload(b"phone\n+12125550101\n+12125550102\n")
    with pytest.raises(SmartListNotFound):
        desk.start(import_id, smart_list_ids=[new_id()])
    hot = desk.make_list("Hot")
    desk.start(import_id, smart_list_ids=[hot])
    desk.step(import_id)
    desk.step(import_id)
    desk.write(lambda tx: delete_smart_list(tx, desk.workspace_id, hot, force=True))
    desk.step(import_id)
    assert desk.get(import_id).state == "failed"


def test_another_workspace_cannot_see_an_import(make_desk: Callable[[], Desk]) -> None:
    desk, other = make_desk(), make_desk()
    import_id = desk.upload(b"phone\n+12125550101\n")
    for work in (
        lambda tx: contact_imports.get_import(tx, other.workspace_id, import_id),
        lambda tx: contact_imports.cancel_import(tx, other.workspace_id, import_id),
        lambda tx: contact_imports.put_part(tx, other.workspace_id, import_id, 1, b"x"),
        lambda tx: contact_imports.preview_import(tx, other.workspace_id, import_id, ReadAs()),
        lambda tx: contact_imports.list_problems(tx, other.workspace_id, import_id, limit=None, cursor=None),
    ):
        with pytest.raises(ImportNotFound):
            other.write(work)
    assert not other.step(import_id)


def test_imports_are_bounded_and_forgotten(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    import_ids = [desk.upload(b"phone\n+12125550101\n") for _ in range(IMPORTS_OPEN_MAX)]
    with pytest.raises(LimitReached):
        desk.upload(b"x")
    desk.run(import_ids[0])
    monkeypatch.setattr(contact_imports, "IMPORT_KEPT_DAYS", -1)
    desk.write(lambda tx: contact_imports.prune_imports(tx, desk.workspace_id))
    desk.write(lambda tx: contact_imports.prune_imports(tx, desk.workspace_id))
    page = desk.write(lambda tx: contact_imports.list_imports(tx, desk.workspace_id, PageRequest(50, START)))
    assert page.contact_imports == []
    assert list(desk.contacts()) == ["+12125550101"]
