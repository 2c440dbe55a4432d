from __future__ import annotations

import asyncio
import contextlib
import importlib
import pkgutil
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from itertools import chain, combinations
from typing import Any

import asyncpg
import pytest

import leadline.store
from leadline.domain.paging import START, START_OF_TEXT, PageRequest
from leadline.ids import NIL_ID
from leadline.operations.outcomes import endpoint_for
from leadline.store import audit, calls, contacts, deliveries, smart_lists
from leadline.store.database import Tx
from leadline.store.engines import Engine, Statement, translate
from leadline.store.migrating import migrate
from leadline.store.postgresql import _SETTINGS, _prepare
from leadline.store.sqlite import connect
from store.databases import NOW, Opened, opened_database

MODULES = [
    importlib.import_module(f"leadline.store.{found.name}")
    for found in pkgutil.iter_modules(leadline.store.__path__)
    if not found.ispkg
]
# These look over all workspaces, each for its reason; on a sharded database they go to every shard.
CROSS_WORKSPACE = {
    "deliveries._WORKSPACES_DUE": "the worker asks who has work, then claims per workspace",
    "deliveries._BACKLOGS": "the metrics of the whole process",
    "contact_imports._RUNNING": "the server looks for jobs to go on with",
    "replays._RUNNING": "the worker looks for jobs to go on with",
    "deliveries._END_LEASES": "SQLite alone, at start: no other worker can be alive",
    "calls._TIMED_OUT": "wrap-ups time out wherever they are, then one transaction each",
    "calls._NEXT_TIMEOUT": "how long until the next wrap-up times out",
    "reports._DUE": "asks in which workspaces there is something to count, then one transaction each",
    "reports._HORIZON": "asks the clock and no table",
    "workspaces._LIST": "the operator's list",
    "workspaces._ANY": "whether this database is empty",
    "workspaces._LOCK_SCHEMA": "who makes the first workspace",
    "database._PROBE": "whether the database can be written",
    "database._REVISION": "whether it is migrated",
    "users._BY_EMAIL": "who signs in names no workspace",
    "workspaces._TOKEN_WORKSPACE": "the operator revokes by the token's id alone",
}
HOT_TABLES = ("calls", "applied_outcomes", "deliveries", "idempotency_keys", "memberships", "events", "attempts",
              "contacts", "list_moves", "report_counts")  # fmt: skip
# What may read more than one key's rows of a workspace: rare, or by a small index of its own.
MAY_SCAN = {
    "events._FORGET_CONTACT": "its MAX is one look at the end of the index",
    "deliveries._END_LEASES": "once, at start",
    "deliveries._BACKLOGS": "a scan of the partial index of what is due",
    "calls._TIMED_OUT": "a scan of the partial index of what is in wrap-up",
    "calls._NEXT_TIMEOUT": "as above",
    "calls._PENDING_CALL": "the workspace's part of the same index",
    "reports._WAITING": "as above",
    "supervision._IN_WRAP_UP": "as above",
    "supervision._ON_LINE": "the workspace's part of the index of the calls that are not closed",
    "events._INSERT": "SQLite's commit order: the last entry of the workspace",
    "events._NEWEST": "the last entry of the workspace",
    "events._PRUNE": "likewise, beside the search by time",
    "workspaces._EMPTY": "deleting a workspace with all it has",
}


def named_statements() -> dict[str, Statement]:
    """Every statement that a module of the store keeps, by module and name."""
    found: dict[str, Statement] = {}
    for module in MODULES:
        short = module.__name__.rpartition(".")[2]
        for name, value in vars(module).items():
            if isinstance(value, dict):
                keyed = {f"{short}.{name}[{_key(key)}]": each for key, each in value.items()}
                found |= {named: each for named, each in keyed.items() if isinstance(each, Statement)}
                continue
            parts = value if isinstance(value, tuple) else (value,)
            statements = [each for each in parts if isinstance(each, Statement)]
            for number, each in enumerate(statements):
                found[f"{short}.{name}" + (f"[{number}]" if len(statements) > 1 else "")] = each
    return found


def _key(key: Any) -> str:
    return " ".join(str(part) for part in (key if isinstance(key, tuple) else (key,)))


NAMED = named_statements()
each_statement = pytest.mark.parametrize("name", sorted(NAMED))
FIRST_PAGE = PageRequest(5, START)
FILTERS: dict[str, Any] = {
    "outcome_id": NIL_ID, "call_id": NIL_ID, "contact_id": NIL_ID, "endpoint_id": NIL_ID, "smart_list_id": NIL_ID,
    "agent_id": "a", "phone_number": "+1", "q": "%x%", "since": NOW, "until": NOW,
    "actor_id": "a", "actor_kind": "user", "action": "a", "thing": "t", "thing_id": "i",
    "missing": 1,
}  # fmt: skip


def every_choice(conditions: dict[str, str]) -> list[dict[str, Any]]:
    chosen = chain.from_iterable(combinations(conditions, count) for count in range(len(conditions) + 1))
    values = {**FILTERS, "state": "live"}
    return [{name: values[name] for name in names} for names in chosen]


async def page_everything(tx: Tx) -> None:
    """Build and run every listing that the store can build."""
    for filters in every_choice(calls._CONDITIONS):
        await calls.page_of_calls(tx, NIL_ID, FIRST_PAGE, filters)
    for filters in every_choice(contacts._CONDITIONS):
        await contacts.page_of_contacts(tx, NIL_ID, FIRST_PAGE, filters)
    for filters in every_choice(deliveries._CONDITIONS):
        await deliveries.page_of_deliveries(tx, NIL_ID, FIRST_PAGE, filters)
    for filters in every_choice(audit._CONDITIONS):
        await audit.page_of_entries(tx, NIL_ID, FIRST_PAGE, filters)
    await calls.page_of_agents(tx, NIL_ID, PageRequest(5, START_OF_TEXT))
    await calls.page_of_applied(tx, NIL_ID, NIL_ID, FIRST_PAGE)
    await smart_lists.page_of_lists(tx, NIL_ID, FIRST_PAGE)
    await smart_lists.page_of_moves(tx, NIL_ID, NIL_ID, FIRST_PAGE)
    await smart_lists.page_of_members(tx, NIL_ID, NIL_ID, FIRST_PAGE)


@pytest.fixture
async def opened(open_shared: Callable[[], AbstractAsyncContextManager[Opened]]) -> AsyncIterator[Opened]:
    async with open_shared() as database:
        yield database


async def test_every_statement_prepares(opened: Opened, shared_url: str, engine: str) -> None:
    await opened.database.read(page_everything)
    refused: dict[str, str] = {}
    if engine == "sqlite":
        connection = connect(shared_url.removeprefix("sqlite:///"))
        for statement in Statement.registry:
            connection.execute(f"EXPLAIN {statement.sqlite}", dict.fromkeys(statement.names))
        connection.close()
        return
    connection = await asyncpg.connect(shared_url)
    await _prepare(connection)
    for statement in Statement.registry:
        try:
            await connection.prepare(statement.postgresql)
        except asyncpg.PostgresError as wrong:
            refused[statement.postgresql] = str(wrong)
    await connection.close()
    assert refused == {}


async def test_every_statement_names_one_workspace(opened: Opened) -> None:
    await opened.database.read(page_everything)
    exempt = {NAMED[name].text for name in CROSS_WORKSPACE}
    for statement in Statement.registry:
        assert statement.text in exempt or ":workspace_id" in statement.text, statement.text


def test_every_exemption_is_still_needed() -> None:
    assert set(CROSS_WORKSPACE) <= set(NAMED)
    assert [name for name in CROSS_WORKSPACE if ":workspace_id" in NAMED[name].text] == []


@each_statement
def test_every_table_of_a_statement_is_asked_for_its_workspace(name: str) -> None:
    """Each WHERE says which workspace, subqueries included: counted, since SQL has no short proof."""
    text = NAMED[name].text
    if name in CROSS_WORKSPACE or text.startswith("INSERT"):
        return
    wheres = len(re.findall(r"\bWHERE\b", text))
    named = len(re.findall(r"workspace_id = (?::workspace_id|\w+\.workspace_id)", text))
    assert named >= wheres >= 1, text


@pytest.mark.parametrize("filters", [each for each in every_choice(deliveries._CONDITIONS) if each])
def test_a_list_of_deliveries_is_found_by_what_tells_most(
    filters: dict[str, Any], sqlite_connection: Any
) -> None:
    (step, *_) = plan_of(sqlite_connection, deliveries.listing_of(filters))
    telling = [
        name for name in ("call_id", "contact_id", "state", "outcome_id", "endpoint_id") if name in filters
    ]
    wanted = telling[0] if telling else "created_at"
    assert f"USING INDEX ix_deliveries_{wanted}" in step


def test_the_calls_that_are_not_closed_are_found_among_themselves(sqlite_connection: Any) -> None:
    (step, *_) = plan_of(sqlite_connection, calls.listing_of({"state": "live", "since": 0}))
    assert "USING INDEX ix_calls_open" in step


@each_statement
def test_no_mark_is_left_in_what_engines_read(name: str) -> None:
    statement = NAMED[name]
    for text in (statement.sqlite, statement.postgresql):
        assert not re.search(r"\{[a-z]", text)
    assert set(re.findall(r"\$(\d+)", statement.postgresql)) == {
        str(number + 1) for number in range(len(statement.postgresql_names))
    }


def test_casts_and_strings_are_no_parameters() -> None:
    statement = Statement("SELECT :a, x::text, :b, :a, {now_ms} WHERE y {in_ids:c}", register=False)
    assert statement.names == ("a", "b", "c")
    assert statement.postgresql.startswith("SELECT $1, x::text, $2, $1, ")
    assert "json_each(:c)" in translate(statement.text, Engine.SQLITE)


def plan_of(connection: Any, statement: Statement) -> list[str]:
    rows = connection.execute(f"EXPLAIN QUERY PLAN {statement.sqlite}", dict.fromkeys(statement.names))
    return [row[3] for row in rows.fetchall()]


def scans(plan: list[str]) -> list[str]:
    """Steps that read all of a hot table, or all that a workspace has in it."""
    found = []
    for step in plan:
        verb, _, rest = step.partition(" ")
        if not rest:
            continue  # a heading within a recursive part
        table = {"c": "calls", "d": "deliveries", "m": "memberships"}.get(rest.split()[0], rest.split()[0])
        if table in HOT_TABLES and (verb == "SCAN" or "(workspace_id=? AND " not in rest):
            found.append(step)
    return found


@pytest.fixture
def sqlite_connection(make_migrated_sqlite: str) -> Any:
    connection = connect(make_migrated_sqlite)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def make_migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("plans") / "plans.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return str(path)


@each_statement
def test_hot_tables_are_reached_by_an_index_of_the_workspace(name: str, sqlite_connection: Any) -> None:
    if name.partition("[")[0] not in MAY_SCAN:
        assert scans(plan_of(sqlite_connection, NAMED[name])) == []


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("calls._APPLIED_TO", "sqlite_autoindex_applied_outcomes_2"),
        ("deliveries._DUE", "ix_deliveries_due"),
        ("deliveries._WORKSPACES_DUE", "ix_deliveries_due"),
        ("endpoints._LEASES", "ix_deliveries_leased"),
        ("endpoints._DUE", "ix_deliveries_leased"),
        ("endpoints._DUE", "ix_deliveries_due"),
        ("deliveries._KEPT_TOO_LONG", "ix_deliveries_kept"),
        ("calls._TIMED_OUT", "ix_calls_wrap_up"),
        ("calls._NEXT_TIMEOUT", "ix_calls_wrap_up"),
        ("calls._PENDING_CALL", "ix_calls_"),
        ("calls._OPEN_CALLS", "ix_calls_"),
        ("events._AFTER", "ix_events_commit_order_event_id"),
        ("events._NEWEST", "ix_events_commit_order_event_id"),
        ("events._PRUNE", "sqlite_autoindex_events_1 (workspace_id=? AND event_id=?)"),
        ("smart_lists._JOINED", "(workspace_id=? AND contact_id=?)"),
        ("smart_lists._JOINED_BY", "(workspace_id=? AND contact_id=?)"),
        ("smart_lists._MEMBERS", "ix_memberships_smart_list_id_since_contact_id"),
        ("idempotency._GET", "sqlite_autoindex_idempotency_keys_1"),
        ("idempotency._PRUNE", "ix_idempotency_keys_kept_until"),
        (
            "reports._COUNT[outcomes]",
            "ix_applied_outcomes_applied_at (workspace_id=? AND applied_at>? AND app",
        ),
        ("reports._COUNT[calls]", "ix_calls_closed_at (workspace_id=? AND closed_at>? AND closed_at<?)"),
        ("reports._COUNT[wrap_up]", "ix_calls_closed_at (workspace_id=? AND closed_at>? AND closed_at<?)"),
        (
            "reports._COUNT[list_moves]",
            "ix_list_moves_moved_at (workspace_id=? AND moved_at>? AND moved_at<?)",
        ),
        (
            "reports._COUNT[attempts]",
            "ix_attempts_started_at (workspace_id=? AND started_at>? AND started_at<?)",
        ),
        (
            "reports._COUNT[latency]",
            "ix_attempts_started_at (workspace_id=? AND started_at>? AND started_at<?)",
        ),
        ("reports._OF_ALL[calls]", "measure=? AND width_ms=? AND subject=? AND slot>? AND slot<?)"),
        ("reports._OF_ONE[calls]", "measure=? AND width_ms=? AND subject=? AND slot>? AND slot<?)"),
        ("reports._BY_SUBJECT[calls]", "measure=? AND width_ms=? AND subject=? AND slot>? AND slot<?)"),
        ("reports._NTH[calls calls]", "COVERING INDEX ix_calls_closed_at"),
        ("reports._WAITING", "ix_calls_wrap_up"),
        ("reports._DUE", "COVERING INDEX ix_attempts_started_at"),
    ],
)
def test_a_hot_statement_uses_the_index_made_for_it(name: str, index: str, sqlite_connection: Any) -> None:
    plan = plan_of(sqlite_connection, NAMED[name])
    assert any(index in step for step in plan), plan


@pytest.mark.parametrize(
    "name",
    ["events._AFTER", "events._NEWEST", "smart_lists._MEMBERS", "deliveries._DUE", "idempotency._PRUNE"],
)
def test_an_ordered_statement_reads_in_the_order_of_its_index(name: str, sqlite_connection: Any) -> None:
    plan = plan_of(sqlite_connection, NAMED[name])
    assert not any("TEMP B-TREE" in step for step in plan), plan


@pytest.mark.parametrize(
    "name",
    [name for name in NAMED if name.startswith("reports._") and ("[" in name or name.endswith("_DUE"))],
)
def test_reports_read_no_fact_from_before_the_mark(name: str, sqlite_connection: Any) -> None:
    """By time they are reached with a lower bound, else by their keys: never everything up to a time."""
    plan = plan_of(sqlite_connection, NAMED[name])
    facts = re.compile(r"SEARCH (calls|applied_outcomes|list_moves|attempts|deliveries) .*\((.*)\)")
    reached = [found for step in plan if (found := facts.search(step))]
    assert [
        found[0] for found in reached if not re.search(r"_at>\?|call_id=\?|delivery_id=\?", found[2])
    ] == []


async def test_listings_read_in_the_order_of_an_index(opened: Opened, sqlite_connection: Any) -> None:
    await opened.database.read(page_everything)
    listings = [each for each in Statement.registry if " < (:after_at, :after_id)" in each.text]
    assert len(listings) > 100
    for statement in listings:
        if "{by:" in statement.text:
            continue  # few are wanted, and they are found before they are put in order
        plan = plan_of(sqlite_connection, statement)
        assert scans(plan) == [], (statement.text, plan)
        assert not any("TEMP B-TREE" in step for step in plan) or ":since" in statement.text, (
            statement.text, plan)  # fmt: skip


async def test_postgresql_can_answer_hot_statements_without_reading_whole_tables(
    opened: Opened, shared_url: str, engine: str
) -> None:
    if engine != "postgresql":
        pytest.skip("PostgreSQL's own plans")
    connection = await asyncpg.connect(shared_url, server_settings=_SETTINGS)
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    for name, statement in NAMED.items():
        if name.partition("[")[0] in MAY_SCAN:
            continue
        await connection.execute(f"PREPARE p AS {statement.postgresql}")
        nulls = ", ".join(["NULL"] * len(statement.postgresql_names))
        rows = await connection.fetch(f"EXPLAIN EXECUTE p({nulls})" if nulls else "EXPLAIN EXECUTE p")
        await connection.execute("DEALLOCATE p")
        plan = "\n".join(row[0] for row in rows)
        for table in HOT_TABLES:
            assert f"Seq Scan on {table}" not in plan, (name, plan)
    await connection.close()


async def test_postgresql_looks_rows_up_by_their_keys_before_it_knows_its_tables(
    engine: str, make_url: Callable[[str], str]
) -> None:
    """Tables that were never analysed, and plans that are kept: as in the first minutes of a database."""
    if engine != "postgresql":
        pytest.skip("PostgreSQL's own plans")
    url = make_url(engine)
    await migrate(url)
    connection = await asyncpg.connect(url, server_settings=_SETTINGS)
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    looked_up = 0
    try:
        for name, statement in NAMED.items():
            found = BY_KEYS.search(statement.postgresql)
            if found is None or found[1] not in HOT_TABLES or name in MAY_GO_THROUGH:
                continue
            looked_up += 1
            await connection.execute(f"PREPARE p AS {statement.postgresql}")
            nulls = ", ".join(["NULL"] * len(statement.postgresql_names))
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE p({nulls})"))
            await connection.execute("DEALLOCATE p")
            assert "Seq Scan" not in plan, (name, plan)
            # The workspace alone would be all that it has.
            reached = [found for found in INDEX_SCAN.findall(plan) if found[0] in HOT_TABLES]
            assert reached, (name, plan)
            assert all(" AND " in conditions for _, conditions in reached), (name, plan)
    finally:
        await connection.close()
    assert looked_up > 15


MAY_GO_THROUGH = {"supervision._ABOUT": "for a page of the console, and right once tables are analysed"}
INDEX_SCAN = re.compile(rf"Index.* Scan .*\b(?:pk|ix|uq)_({'|'.join(HOT_TABLES)}).*\n +Index Cond: (.*)")
# A table of which rows are wanted by a list of keys.
BY_KEYS = re.compile(r"(?:FROM|UPDATE) (\w+)(?: \w)?\b(?=.* = ANY\(ARRAY\()", re.DOTALL)


MOUNTAIN = """
INSERT INTO deliveries (workspace_id, delivery_id, endpoint_id, webhook_url, payload, state, due_at,
                        attempt_count, schedule_step, created_at)
SELECT $1, gen_random_uuid(), $2, 'https://example.com/dead', '{}', 'pending', number, 0, 0, number
FROM generate_series(1, 20000) AS number
"""


@contextlib.asynccontextmanager
async def beside_a_mountain(url: str, *paths: str) -> AsyncIterator[tuple[Any, str]]:
    """A connection, and a workspace with an endpoint for each path. The first has 20,000 deliveries that wait."""
    await migrate(url)
    async with opened_database(url) as opened:
        for path in paths:
            await opened.database.write(
                partial(endpoint_for, workspace_id=opened.workspace_id, url=f"https://example.com/{path}")
            )
    connection = await asyncpg.connect(url, server_settings=_SETTINGS)
    try:
        await _prepare(connection)
        endpoint_id = await connection.fetchval(
            "SELECT endpoint_id FROM endpoints ORDER BY created_at, endpoint_id"
        )
        await connection.execute(MOUNTAIN, opened.workspace_id, endpoint_id)
        await connection.execute("VACUUM ANALYZE")
        yield connection, opened.workspace_id
    finally:
        await connection.close()


async def postgresql_plan_of(connection: Any, statement: Statement, values: Mapping[str, object]) -> str:
    arguments = [values[name] for name in statement.postgresql_names]
    return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement.postgresql}", *arguments))


KEYS: dict[str, dict[str, object]] = {
    "deliveries._LEASE": {"lease_id": NIL_ID, "until": 1, "delivery_ids": f'["{NIL_ID}"]'},
    "deliveries._LOCK_ATTEMPTED": {"delivery_ids": f'["{NIL_ID}"]'},
}


@pytest.mark.parametrize("name", KEYS)
async def test_postgresql_takes_no_new_workspace_for_a_small_one(
    name: str, engine: str, make_url: Callable[[str], str]
) -> None:
    """All that it knows of is another workspace's mountain: by that, this one has nothing to read."""
    if engine != "postgresql":
        pytest.skip("PostgreSQL's own plans")
    async with beside_a_mountain(make_url(engine), "dead") as (connection, _):
        plan = await postgresql_plan_of(connection, NAMED[name], {"workspace_id": NIL_ID, **KEYS[name]})
    assert re.search(r"Scan (?:using|on) pk_deliveries.*\n +Index Cond: .* AND ", plan), plan


@pytest.mark.parametrize("name", ["endpoints._DUE", "deliveries._WORKSPACES_DUE"])
async def test_postgresql_looks_for_work_without_reading_a_mountain_that_waits(
    name: str, engine: str, make_url: Callable[[str], str]
) -> None:
    """It knows that nearly all deliveries are due, and that they are one endpoint's."""
    if engine != "postgresql":
        pytest.skip("PostgreSQL's own plans")
    async with beside_a_mountain(make_url(engine), "dead", "well") as (connection, workspace_id):
        plan = await postgresql_plan_of(connection, NAMED[name], {"workspace_id": workspace_id})
    assert "Seq Scan on deliveries" not in plan, plan
    assert "ix_deliveries_due" in plan, plan
