"""`leadline backup` and `restore`: copies of one moment, checked, of which none takes the place of something whole."""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cli.shell import assert_refused_in_words, leadline
from harness import Desk, Server
from leadline.store.backups import BadBackup, back_up, check, restore


@pytest.fixture
def server(make_server: Callable[..., Server], tmp_path: Path) -> Server:
    return make_server(f"sqlite:///{tmp_path / 'leadline.db'}")


def silent(_done: int, _all: int) -> None:
    """A backup that nobody watches."""


def contacts_in(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        count: int = database.execute("SELECT count(*) FROM contacts").fetchone()[0]
        return count


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small database of this version that nobody serves."""
    folder = tmp_path_factory.mktemp("whole")
    assert leadline(folder, "workspace", "create", "Main").returncode == 0
    return folder / "leadline.db"


def test_a_backup_is_taken_while_the_server_writes_and_restored_when_it_has_stopped(
    server: Server, tmp_path: Path
) -> None:
    desk = Desk.open(server)
    before = [desk.contact()["contact_id"] for _ in range(20)]
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            desk.contact()

    writing = threading.Thread(target=write, daemon=True)
    writing.start()
    done = leadline(tmp_path, "backup", "copy.db", "--json")
    stop.set()
    writing.join(20)
    assert done.returncode == 0, done.stderr
    copied = json.loads(done.stdout)
    assert copied["rows"]["contacts"] >= 20
    copy = tmp_path / "copy.db"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.glob("*copy.db*")] == ["copy.db"]
    assert_refused_in_words(leadline(tmp_path, "restore", "copy.db", "--yes"), 1, "in use")
    desk.api.delete(f"/contacts/{before[0]}")
    assert server.stop() == 0
    assert_refused_in_words(leadline(tmp_path, "restore", "copy.db"), 2, "--yes")
    done = leadline(tmp_path, "restore", "copy.db", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    kept = Path(json.loads(done.stdout)["kept"])
    assert contacts_in(tmp_path / kept) > 0
    again = desk.on(server.start())
    assert again.api.get(f"/contacts/{before[0]}").status == 200
    assert len(again.api.pages("/contacts", "contacts")) == copied["rows"]["contacts"]


def test_a_backup_replaces_no_file_and_leaves_none_behind(whole: Path, tmp_path: Path) -> None:
    back_up(whole, tmp_path / "leadline.db", silent)
    (tmp_path / "copy.db").write_text("dear")
    assert_refused_in_words(leadline(tmp_path, "backup", "copy.db"), 1, "there already")
    assert (tmp_path / "copy.db").read_text() == "dear"
    assert_refused_in_words(leadline(tmp_path, "backup", "no-folder/copy.db"), 1, "no-folder")
    missing = leadline(tmp_path, "backup", "x.db", "--database", "sqlite:///missing.db")
    assert_refused_in_words(missing, 1, "no database")
    assert list(tmp_path.glob("*.partial")) + list(tmp_path.glob(".*.partial")) == []


def test_postgresql_is_sent_to_its_own_tools(tmp_path: Path) -> None:
    url = "postgresql://x@127.0.0.1:1/x"
    assert_refused_in_words(leadline(tmp_path, "backup", "x", "--database", url), 2, "pg_dump")
    assert_refused_in_words(leadline(tmp_path, "restore", "x", "--database", url), 2, "pg_restore")


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    back_up(whole, tmp_path / "copy.db", silent)
    return tmp_path / "copy.db"


def damage_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 9000] = b"\xa5" * 9000
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9000])


def no_database(path: Path) -> None:
    path.write_text("no database, but long enough to be taken for one. " * 20)


def another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE notes (x)")


def newer_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")


def orphans(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("DELETE FROM workspaces")


@pytest.mark.parametrize(
    "spoil", [damage_middle, cut_off, no_database, another_program, newer_version, orphans]
)
def test_what_is_not_whole_is_not_restored(spoil: Callable[[Path], None], copy: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    restore(copy, target)
    was = target.read_bytes()
    spoil(copy)
    with pytest.raises(BadBackup):
        restore(copy, target)
    assert target.read_bytes() == was
    assert list(tmp_path.glob("*before-restore*")) + list(tmp_path.glob(".*partial")) == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadBackup, match="there is no file"):
        check(tmp_path / "missing.db")


def test_what_was_there_is_kept_with_all_that_its_log_held(copy: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    assert restore(copy, target) is None
    connection = sqlite3.connect(target)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("UPDATE workspaces SET name = 'Later'")
    connection.commit()
    # As after a crash: the log is there, and nobody has moved it into the file.
    wal = Path(f"{target}-wal").read_bytes()
    main = target.read_bytes()
    connection.close()
    target.write_bytes(main)
    Path(f"{target}-wal").write_bytes(wal)
    kept = restore(copy, target)
    assert kept is not None
    with closing(sqlite3.connect(kept)) as database:
        assert database.execute("SELECT name FROM workspaces").fetchall() == [("Later",)]
    with closing(sqlite3.connect(target)) as database:
        assert database.execute("SELECT name FROM workspaces").fetchall() == [("Main",)]
    second = restore(copy, target)
    assert second is not None
    assert second != kept


def test_a_damaged_database_is_replaced_and_kept_as_it_is(copy: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    target.write_bytes(b"no database any more" * 500)
    Path(f"{target}-wal").write_bytes(b"its log")
    kept = restore(copy, target)
    assert kept is not None
    assert kept.read_bytes() == b"no database any more" * 500
    assert Path(f"{kept}-wal").read_bytes() == b"its log"
    assert not Path(f"{target}-wal").exists()
    assert check(target).rows["workspaces"] == 1
