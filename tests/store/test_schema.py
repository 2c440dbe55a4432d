from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from leadline.store.engines import Engine
from leadline.store.migrating import (
    InvalidDatabaseUrl,
    UnknownRevision,
    alembic_config,
    current_revision,
    engine_of,
    migrate,
    sqlite_path,
)
from leadline.store.migrations import dbapi
from leadline.store.revisions import HEAD
from leadline.store.tables import metadata

T = TypeVar("T")
TABLES = sorted(metadata.tables)
each_table = pytest.mark.parametrize("table", [metadata.tables[name] for name in TABLES], ids=TABLES)


def look(url: str, seeing: Callable[[sa.Connection], T]) -> T:
    """Run a function over a database through SQLAlchemy; what it writes is committed."""
    if engine_of(url) is Engine.SQLITE:
        engine = sa.create_engine(f"sqlite:///{sqlite_path(url)}", module=dbapi, poolclass=NullPool)
        with engine.begin() as connection:
            return seeing(connection)
    return asyncio.run(_look_from_afar(url, seeing))


async def _look_from_afar(url: str, seeing: Callable[[sa.Connection], T]) -> T:
    engine = create_async_engine("postgresql+asyncpg://" + url.partition("://")[2], poolclass=NullPool)
    async with engine.begin() as connection:
        return await connection.run_sync(seeing)


def differences(connection: sa.Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def catalog(connection: sa.Connection) -> dict[str, Any]:
    """Everything the database knows of our tables, in an order of our own."""
    inspector = sa.inspect(connection)
    return {name: _table(inspector, name) for name in inspector.get_table_names() if name in TABLES} | {
        "definitions": _definitions(connection)
    }


def _table(inspector: sa.Inspector, name: str) -> dict[str, list[str]]:
    parts: dict[str, Any] = {
        "columns": inspector.get_columns(name),
        "primary key": [inspector.get_pk_constraint(name)],
        "foreign keys": inspector.get_foreign_keys(name),
        "unique": inspector.get_unique_constraints(name),
        "checks": inspector.get_check_constraints(name),
        "indexes": inspector.get_indexes(name),
    }
    return {part: sorted(_plain(each) for each in found) for part, found in parts.items()}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return str(sorted((key, _plain(each)) for key, each in value.items()))
    return " ".join(str(value).split())


def _definitions(connection: sa.Connection) -> list[str]:
    """What SQLAlchemy's inspection leaves out: predicates of indexes, STRICT, and PostgreSQL's own words."""
    if connection.dialect.name == "sqlite":
        statements = (
            "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
            "SELECT name || strict FROM pragma_table_list WHERE type = 'table'",
        )
    else:
        statements = (
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
            (
                "SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE connamespace = 'public'::regnamespace"
            ),
        )
    rows = [row[0] for text in statements for row in connection.execute(sa.text(text))]
    return sorted(row for row in rows if "alembic" not in row and "sqlite_" not in row)


def test_the_migrated_schema_is_the_one_of_the_tables(shared_url: str) -> None:
    assert look(shared_url, differences) == []


def test_the_migrated_catalog_is_the_one_that_the_tables_make(
    engine: str, shared_url: str, make_url: Callable[[str], str]
) -> None:
    made_url = make_url(engine)
    look(made_url, metadata.create_all)
    migrated, made = look(shared_url, catalog), look(made_url, catalog)
    assert set(migrated) == {*TABLES, "definitions"}
    for name in made:
        assert migrated[name] == made[name], name


def test_every_table_is_strict_on_sqlite(make_url: Callable[[str], str]) -> None:
    url = make_url("sqlite")
    look(url, metadata.create_all)
    strict = look(url, lambda found: found.execute(
        sa.text("SELECT name FROM pragma_table_list WHERE type = 'table' AND strict = 1")).scalars().all())  # fmt: skip
    assert sorted(strict) == TABLES


@each_table
def test_the_workspace_leads_every_key(table: sa.Table) -> None:
    assert next(iter(table.primary_key.columns)).name == "workspace_id"
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint | sa.ForeignKeyConstraint):
            assert next(iter(constraint.columns)).name == "workspace_id", constraint
        if isinstance(constraint, sa.ForeignKeyConstraint):
            assert constraint.elements[0].target_fullname.endswith(".workspace_id"), constraint
    for index in table.indexes:
        # Who signs in names no workspace: the one index over all.
        assert next(iter(index.columns)).name == "workspace_id" or index.name == "ix_users_email_key", index


@each_table
def test_every_name_fits_both_engines_and_none_is_left_to_them(table: sa.Table) -> None:
    names = [part.name for part in table.constraints] + [index.name for index in table.indexes]
    assert None not in names
    assert all(len(str(name)) <= 63 for name in names)
    assert len(set(names)) == len(names)


@each_table
def test_every_table_belongs_to_a_workspace(table: sa.Table) -> None:
    if table.name != "workspaces":
        assert table.foreign_key_constraints


def test_the_head_is_the_newest_script() -> None:
    scripts = ScriptDirectory.from_config(alembic_config("sqlite:///unused.db"))
    assert scripts.get_heads() == [HEAD]
    assert len(list(scripts.walk_revisions())) == len(list((Path(scripts.dir) / "versions").glob("0*.py")))


async def test_migrating_again_changes_nothing(empty_url: str) -> None:
    assert await current_revision(empty_url) is None
    assert await migrate(empty_url) is None
    assert await migrate(empty_url) == HEAD
    assert await current_revision(empty_url) == HEAD


def test_many_processes_may_migrate_at_once(empty_url: str) -> None:
    code = (
        "import asyncio, sys; from leadline.store.migrating import migrate; asyncio.run(migrate(sys.argv[1]))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, empty_url], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    ended = [(process.communicate()[1], process.returncode) for process in processes]
    assert [returncode for _, returncode in ended] == [0, 0, 0], ended
    assert look(empty_url, differences) == []


async def test_a_database_of_a_newer_leadline_is_refused_and_left_alone(empty_url: str) -> None:
    await migrate(empty_url)
    newer = sa.text("UPDATE alembic_version SET version_num = '9999'")
    await asyncio.to_thread(look, empty_url, lambda connection: connection.execute(newer))
    with pytest.raises(UnknownRevision, match="newer"):
        await migrate(empty_url)
    assert await current_revision(empty_url) == "9999"


async def test_a_migration_that_fails_leaves_nothing(empty_url: str) -> None:
    # The last table is there already, so the migration fails at its end.
    await asyncio.to_thread(
        look, empty_url, lambda found: found.execute(sa.text("CREATE TABLE attempts (only_column integer)"))
    )
    with pytest.raises(sa.exc.DBAPIError):
        await migrate(empty_url)
    names = await asyncio.to_thread(look, empty_url, lambda found: sa.inspect(found).get_table_names())
    assert set(names) <= {"attempts", "alembic_version"}
    assert await current_revision(empty_url) is None


@pytest.mark.parametrize(
    "url", ["", "sqlite:///", "sqlite://x", "mysql://h/d", "leadline.db", "postgresql:/x"]
)
def test_a_url_of_no_database_is_refused(url: str) -> None:
    with pytest.raises(InvalidDatabaseUrl):
        engine_of(url)


def test_checks_are_named_after_their_table() -> None:
    for table in metadata.tables.values():
        for constraint in table.constraints:
            if isinstance(constraint, sa.CheckConstraint):
                assert re.fullmatch(rf"ck_{table.name}_[a-z0-9_]+", str(constraint.name))


WITHOUT_STATISTICS = """
SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relkind = 'r' AND a.attname = 'workspace_id' AND a.attstattarget = 0
"""


def test_postgresql_has_no_statistics_of_its_own_of_any_workspace(make_url: Callable[[str], str]) -> None:
    url = make_url("postgresql")
    asyncio.run(migrate(url))
    wanted = {name for name, table in metadata.tables.items() if "workspace_id" in table.columns}
    found = look(url, lambda connection: set(connection.scalars(sa.text(WITHOUT_STATISTICS))))
    assert found == wanted - {"workspaces"}
