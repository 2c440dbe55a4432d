"""Reading rows: a struct's fields are the columns, in its order, so that the two cannot part."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from leadline.domain.paging import PageRequest
from leadline.store.engines import ManyStatement, Statement


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row; its field names are column names."""


def columns(row_type: type[Row], table: str = "") -> str:
    """The columns of a row type, for SELECT and RETURNING."""
    prefix = f"{table}." if table else ""
    return ", ".join(prefix + name for name in row_type.__struct_fields__)


def insertion(table: str, row_type: type[Row], *, tail: str = "") -> Statement:
    """INSERT of every column of a row type; `tail` is what follows VALUES."""
    names = row_type.__struct_fields__
    values = ", ".join(f":{name}" for name in names)
    return Statement(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values}) {tail}")


_PARAMETER = re.compile(r"(?<![:\w]):([a-z][a-z0-9_]*)")


def insertion_of_many(
    table: str, row_type: type[Row], *, tail: str = "", expressions: Mapping[str, str] | None = None
) -> ManyStatement:
    """INSERT of many rows. `expressions` are columns whose value the database says itself, not the row."""
    own = dict(expressions or {})
    names = [*(name for name in row_type.__struct_fields__ if name not in own), *own]
    each = ", ".join(own.get(name, f":{name}") for name in names)
    together = ", ".join(own.get(name, f"r.{name}") for name in names)
    into = f"INSERT INTO {table} ({', '.join(names)})"
    return ManyStatement(
        f"{into} VALUES ({each}) {tail}",
        # WHERE TRUE: without it SQL cannot tell ON CONFLICT from the join's ON.
        f"{into} SELECT {_of_row(together)} FROM {{rows:{table}}} r WHERE TRUE {tail}",
    )


def update_of_many(table: str, changes: str, keys: Sequence[str], condition: str = "TRUE") -> ManyStatement:
    """UPDATE of the rows that have these keys, and meet the condition.

    In it and in the changes `:name` is the row's value; the table's own columns are written `table.column`.
    """
    return ManyStatement(
        f"UPDATE {table} SET {changes} WHERE {_keyed(table, keys)} AND {condition}",
        f"{rows_as_r(table)} UPDATE {table} SET {_of_row(changes)} FROM r"
        f" WHERE {_keyed_by_rows(table, keys)} AND {_of_row(condition)}",
    )


def deletion_of_many(table: str, keys: Sequence[str]) -> ManyStatement:
    """DELETE of the rows that have these keys."""
    return ManyStatement(
        f"DELETE FROM {table} WHERE {_keyed(table, keys)}",
        f"{rows_as_r(table)} DELETE FROM {table} USING r WHERE {_keyed_by_rows(table, keys)}",
    )


def rows_as_r(table: str) -> str:
    """What begins a statement over many rows that are looked up more than once."""
    return f"WITH r AS MATERIALIZED (SELECT * FROM {{rows:{table}}})"


def _keyed(table: str, keys: Sequence[str]) -> str:
    same = [f"{table}.{key} = :{key}" for key in keys]
    return " AND ".join([f"{table}.workspace_id = :workspace_id", *same])


def _keyed_by_rows(table: str, keys: Sequence[str]) -> str:
    # What follows from it is said as well: so the rows are looked up (see `engines`).
    among = [f"{table}.{key} = ANY(ARRAY(SELECT r.{key} FROM r))" for key in keys]
    return " AND ".join([_of_row(_keyed(table, keys)).replace("r.workspace_id", ":workspace_id"), *among])


def _of_row(text: str) -> str:
    return _PARAMETER.sub(r"r.\1", text)


@cache
def listing(
    row_type: type[Row],
    source: str,
    order: tuple[str, str],
    conditions: tuple[str, ...] = (),
    index: str = "",
) -> Statement:
    """A page, newest first, of one workspace's rows. `order` is the time and the id that break ties.

    `index` is what SQLite has to find them by. By itself it goes through all that there are in their order, and looks
    whether the conditions are met: ten million rows for the two of one call.
    """
    at, row_id = order
    source += f" {{by:{index}}}" if index else ""
    where = " AND ".join(("workspace_id = :workspace_id", *conditions))
    return Statement(
        f"SELECT {columns(row_type)} FROM {source} WHERE {where} AND ({at}, {row_id}) < (:after_at, :after_id)"
        f" ORDER BY {at} DESC, {row_id} DESC LIMIT :limit"
    )


def page_values(page: PageRequest) -> dict[str, Any]:
    """The values that a listing takes: one row more than the page, which tells whether there is another."""
    return {"after_at": page.after.at_ms, "after_id": page.after.id, "limit": page.limit + 1}


def values_of(row: Row) -> dict[str, Any]:
    """A row's values by column, for the statement that writes it."""
    return {name: getattr(row, name) for name in row.__struct_fields__}
