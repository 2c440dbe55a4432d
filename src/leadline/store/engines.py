"""Where SQLite and PostgreSQL differ in SQL, and why. The only file that says so.

A `Statement` is written once, with named parameters (`:name`) and, where the engines part, one of the
marks below. It is translated once per engine and then costs a dictionary look-up: SQLAlchemy Core's own
execution was measured at several times the driver's (docs/decisions/0002).

| mark | SQLite | PostgreSQL | differs because |
|---|---|---|---|
| `{for_update}` | nothing | `FOR NO KEY UPDATE` | SQLite has one writer, so every row is locked already |
| `{for_delete}` | nothing | `FOR UPDATE` | likewise; nobody may refer to it any more |
| `{skip_locked}` | nothing | `FOR NO KEY UPDATE SKIP LOCKED` | likewise |
| `{now_ms}` | `unixepoch('subsec')` | `statement_timestamp()` | due times use the database's clock |
| `{in_ids:x}`, `{in_texts:x}` | `IN`, `json_each` | `= ANY`, an array | a list is one parameter: its JSON. See below |
| `{pieces:x}` | `json_each` | `json_array_elements` | rows of four numbers are one parameter, likewise |
| `{by:x}` | `INDEXED BY x` | nothing | SQLite reads a list in its order, however few of it are wanted |
| `{id}` | `TEXT` | `uuid` | PostgreSQL has a type for ids |
| `{joined:x}` | `group_concat` | `string_agg` | they have different names |
| `{oldest_write_ms}` | now | the start of the oldest running transaction | SQLite has one writer, who is asking |
| `{rows:table}` | (row by row) | `json_populate_recordset` | see `ManyStatement` |
| (`ApartStatement`) | asked per row | `LATERAL` | SQLite knows no LIMIT that a row says |
| `{commit_order}` | one more than the newest | the transaction's number | SQLite commits in the order it writes |
| `{commit_horizon}` | no bound | the oldest running transaction | PostgreSQL commits in any order |

PostgreSQL is given the keys of rows as an array. With a list that it could join, it takes everything of the workspace
and looks which of it is in the list, as long as it thinks that this is little; and it plans once for a connection,
perhaps while the table is small or before it was ever analysed.

Rows are locked with NO KEY UPDATE, which lets others insert what refers to them: whoever counts a workspace's
outcomes does not hold up its calls. A DELETE takes the stronger lock by itself.
"""

from __future__ import annotations

import re
from enum import StrEnum

_PARAMETER = re.compile(r"(?<![:\w]):([a-z][a-z0-9_]*)")
_MARK = re.compile(r"\{(\w+)(?::(\w+))?\}")


class Engine(StrEnum):
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


_MARKS: dict[Engine, dict[str, str]] = {
    Engine.SQLITE: {
        "for_update": "",
        "for_delete": "",
        "skip_locked": "",
        "now_ms": "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
        "in_ids": "IN (SELECT value FROM json_each(:{0}))",
        "in_texts": "IN (SELECT value FROM json_each(:{0}))",
        "by": "INDEXED BY {0}",
        "id": "TEXT",
        "pieces": (
            "(SELECT CAST(value ->> 0 AS INTEGER) AS span, CAST(value ->> 1 AS INTEGER) AS width_ms,"
            " CAST(value ->> 2 AS INTEGER) AS starts, CAST(value ->> 3 AS INTEGER) AS ends FROM json_each(:{0}))"
        ),
        "joined": "group_concat({0}, ',' ORDER BY {0})",
        "oldest_write_ms": "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
        "commit_order": (
            "(SELECT COALESCE(MAX(commit_order), 0) + 1 FROM events WHERE workspace_id = :workspace_id)"
        ),
        "commit_horizon": "9223372036854775807",
    },
    Engine.POSTGRESQL: {
        "for_update": "FOR NO KEY UPDATE",
        "for_delete": "FOR UPDATE",
        "skip_locked": "FOR NO KEY UPDATE SKIP LOCKED",
        # Of the statement, which is the same for all its rows: by clock_timestamp() no index can be searched.
        "now_ms": "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS bigint)",
        "in_ids": "= ANY(ARRAY(SELECT CAST(value AS uuid) FROM json_array_elements_text(CAST(:{0} AS json))))",
        "in_texts": "= ANY(ARRAY(SELECT value FROM json_array_elements_text(CAST(:{0} AS json))))",
        "by": "",
        "id": "uuid",
        "pieces": (
            "(SELECT CAST(value ->> 0 AS bigint) AS span, CAST(value ->> 1 AS bigint) AS width_ms,"
            " CAST(value ->> 2 AS bigint) AS starts, CAST(value ->> 3 AS bigint) AS ends"
            " FROM json_array_elements(CAST(:{0} AS json)))"
        ),
        "joined": "string_agg({0}, ',' ORDER BY {0})",
        "oldest_write_ms": (
            "COALESCE((SELECT CAST(extract(epoch FROM MIN(xact_start)) * 1000 AS bigint) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()),"
            " CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint))"
        ),
        "rows": "json_populate_recordset(CAST(NULL AS {0}), CAST(:rows AS json))",
        "commit_order": "CAST(CAST(pg_current_xact_id() AS text) AS bigint)",
        "commit_horizon": "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)",
    },
}


class Statement:
    """One SQL statement for both engines.

    `sqlite` takes a dict of the values in `names`, `postgresql` those in `postgresql_names`, in that order.
    """

    __slots__ = ("names", "postgresql", "postgresql_names", "sqlite", "text")

    registry: list[Statement] = []  # noqa: RUF012 - the list of all, for the test that prepares each on both

    def __init__(self, text: str, *, register: bool = True) -> None:
        self.text = text
        self.sqlite = translate(text, Engine.SQLITE)
        self.postgresql, self.names = _numbered(translate(text, Engine.POSTGRESQL))
        self.postgresql_names = self.names
        if register:
            Statement.registry.append(self)


class ManyStatement(Statement):
    """One change, made for each of many rows of one workspace.

    SQLite runs `each` row by row, prepared once: nothing is cheaper there. On PostgreSQL a statement and its round
    trip cost more than a row, so `together` is run once, over `{rows:table}`: rows shaped like that table's.
    """

    __slots__ = ("each_in_order",)

    def __init__(self, each: str, together: str) -> None:
        super().__init__(each)
        # `sqlite` with its values by position, in the order of `names`: a row costs half of what it costs by name.
        self.each_in_order = _PARAMETER.sub(
            lambda found: f"?{self.names.index(found[1]) + 1}", translate(each, Engine.SQLITE)
        )
        self.postgresql, self.postgresql_names = _numbered(translate(together, Engine.POSTGRESQL))


class ApartStatement(Statement):
    """One statement that the engines cannot share, under one set of names: each text uses all of them."""

    __slots__ = ()

    def __init__(self, *, sqlite: str, postgresql: str) -> None:
        super().__init__(sqlite)
        self.postgresql, self.postgresql_names = _numbered(translate(postgresql, Engine.POSTGRESQL))
        assert set(self.names) == set(self.postgresql_names), "the callers name the values once"
        self.names = self.postgresql_names


def translate(text: str, engine: Engine) -> str:
    """The statement with this engine's words in place of the marks."""
    marks = _MARKS[engine]
    return _MARK.sub(lambda found: marks[found[1]].replace("{0}", found[2] or ""), text)


def _numbered(text: str) -> tuple[str, tuple[str, ...]]:
    """`:name` parameters as `$1`, `$2`, …; one name keeps one number however often it is used."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return _PARAMETER.sub(number, text), tuple(names)
