"""What the code believes, the tables know: a good row of each, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import apsw
import asyncpg
import pytest
import sqlalchemy as sa

from leadline.domain.errors import Unavailable
from leadline.ids import new_id
from leadline.store.database import Conflict, Tx
from leadline.store.tables import metadata
from store.databases import NOW, Opened, insert

Row = dict[str, Any]
CONTACT, LIST, CALL, OUTCOME, ENDPOINT, DELIVERY, APPLIED, USER, IMPORT = (new_id() for _ in range(9))
URL = "https://example.com/"
REFUSALS = (Conflict, Unavailable, asyncpg.IntegrityConstraintViolationError, apsw.ConstraintError,
            asyncpg.DataError, apsw.TooBigError)  # fmt: skip

# In an order in which each finds what it points at. `workspace_id` is added.
GOOD: dict[str, Row] = {
    "workspaces": {"organization_id": new_id(), "name": "W", "region": "US", "outcomes_enabled": 1,
                   "require_disposition": "answered", "wrap_up_timeout_seconds": None, "retention_days": 90,
                   "created_at": NOW, "updated_at": NOW, "configuration_revision": 1},
    "tokens": {"token_id": new_id(), "token_hash": "h", "token_prefix": "ll_", "scopes": "all", "created_at": NOW},
    "webhook_secrets": {"secret_id": new_id(), "secret": "whsec_x", "created_at": NOW},
    "idempotency_keys": {"idempotency_key": "k", "fingerprint": "f", "status": 201, "body": b"{}",
                         "created_at": NOW, "kept_until": NOW},
    "smart_lists": {"smart_list_id": LIST, "smart_list_name": "L", "name_key": "l", "created_at": NOW,
                    "updated_at": NOW},
    "endpoints": {"endpoint_id": ENDPOINT, "webhook_url": URL, "url_hash": "u", "state": "active",
                  "max_concurrency": 10,
                  "failures_in_a_row": 0, "created_at": NOW,
                  "updated_at": NOW},
    "endpoint_hours": {"endpoint_id": ENDPOINT, "hour": 1, "succeeded_count": 0, "failed_count": 0},
    "replays": {"replay_id": new_id(), "state": "running", "since": NOW, "until": NOW, "states": "[]", "matched": 1,
                "requeued": 1, "after_at": NOW, "after_id": new_id(), "created_at": NOW},
    "outcomes": {"outcome_id": OUTCOME, "outcome_name": "O", "outcome_type": "action", "display_order": 0,
                 "destination_type": "none", "webhook_url": URL, "endpoint_id": ENDPOINT, "revision": 1,
                 "created_at": NOW, "updated_at": NOW},
    "contacts": {"contact_id": CONTACT, "phone_number": "+14155550100", "attributes": "{}", "search_text": "",
                 "created_at": NOW, "updated_at": NOW},
    "memberships": {"smart_list_id": LIST, "contact_id": CONTACT, "since": NOW, "source": "request",
                    "applied_id": None},
    "list_moves": {"move_id": new_id(), "contact_id": CONTACT, "smart_list_id": LIST, "smart_list_name": "L",
                   "direction": "joined", "source": "applied", "applied_id": APPLIED, "moved_at": NOW},
    "agents": {"agent_id": "agent", "created_at": NOW},
    "calls": {"call_id": CALL, "state": "live", "direction": "outbound", "phone_number": "+14155550100",
              "contact_id": CONTACT, "agent_id": "agent", "started_at": NOW, "answered_at": NOW,
              "created_at": NOW},
    "applied_outcomes": {"applied_id": APPLIED, "call_id": CALL, "outcome_id": OUTCOME, "outcome_name": "O",
                         "outcome_type": "disposition", "destination": "{}", "lists_added": "[]",
                         "lists_removed": "[]", "error_message": "", "applied_at": NOW},
    "deliveries": {"delivery_id": DELIVERY, "endpoint_id": ENDPOINT, "webhook_url": URL, "payload": "{}",
                   "state": "pending", "due_at": NOW, "attempt_count": 1, "schedule_step": 1, "created_at": NOW},
    "attempts": {"delivery_id": DELIVERY, "number": 1, "started_at": NOW, "duration_ms": 0,
                 "response_headers": "[]", "response_body": "", "timings": "{}"},
    "report_counts": {"measure": "calls", "width_ms": 3_600_000, "subject": "=ada", "slot": 7_200_000,
                      "label": "ac-:", "counted": 1, "total_ms": 0},
    "report_marks": {"measure": "calls", "counted_until": NOW},
    "deleted_names": {"deleted_id": new_id(), "noun": "outcome", "name": "O", "deleted_at": NOW},
    "events": {"commit_order": 1, "event_id": new_id(), "type": "call.started", "data": "{}", "at": NOW},
    "users": {"user_id": USER, "email": "a@b.c", "email_key": "a@b.c", "name": "A", "role": "agent", "theme": "dark",
              "shortcuts_enabled": 1, "created_at": NOW, "updated_at": NOW},
    "user_sessions": {"session_id": new_id(), "user_id": USER, "secret_hash": "h", "user_agent": "", "created_at": NOW,
                      "seen_at": NOW, "expires_at": NOW},
    "user_links": {"link_id": new_id(), "user_id": USER, "secret_hash": "h", "created_at": NOW, "expires_at": NOW},
    "contact_imports": {"import_id": IMPORT, "state": "running", "run": 1, "dry_run": 0, "options": "{}",
                        "size_bytes": 9, "read_bytes": 9, "part_number": 1, "part_offset": 0, "record_number": 1,
                        "row_count": 5, "created_count": 1, "updated_count": 1, "unchanged_count": 1,
                        "skipped_count": 1, "failed_count": 1, "repeated_count": 5, "created_at": NOW},
    "contact_import_parts": {"import_id": IMPORT, "number": 1, "content": b"x"},
    "contact_import_numbers": {"import_id": IMPORT, "run": 1, "phone_number": "+14155550100"},
    "contact_import_problems": {"import_id": IMPORT, "row_number": 1, "problems": "[]", "cells": "[]"},
    "drafts": {"call_id": CALL, "user_id": USER, "note": "n", "updated_at": NOW},
    "audit_entries": {"entry_id": new_id(), "at": NOW, "actor_kind": "user", "actor_name": "A",
                      "action": "user.created", "thing": "user"},
}  # fmt: skip
ENDED = {"ended_at": NOW, "line_result": "completed"}
NO_DESTINATION = {"destination_type": "none"}

# table → changes to its good row, each of which makes a row that cannot be.
BAD: dict[str, list[Row]] = {
    "workspaces": [{"outcomes_enabled": 2}, {"require_disposition": "sometimes"}, {"wrap_up_timeout_seconds": 4},
                   {"wrap_up_timeout_seconds": 86_401}, {"retention_days": 0}, {"retention_days": 3_651},
                   {"name": None}],
    "idempotency_keys": [{"status": None}, {"body": None}],
    "smart_lists": [{"smart_list_name": ""}, {"smart_list_name": "x" * 121}],
    "endpoints": [
        {"state": "broken"}, {"max_concurrency": 0}, {"max_concurrency": 1_001}, {"rate_limit_per_second": 0},
        {"rate_limit_per_second": 10_001}, {"timeout_seconds": 0}, {"timeout_seconds": 31},
        {"failures_in_a_row": -1}, {"failures_in_a_row": 1}, {"failing_since": NOW},
    ],
    "endpoint_hours": [{"endpoint_id": new_id()}],
    "replays": [{"state": "lost"}, {"state": "done"}, {"finished_at": NOW}, {"requeued": 2}, {"requeued": -1}],
    "outcomes": [
        {"outcome_name": ""}, {"outcome_name": "é" * 121}, {"outcome_type": "verb"}, {"display_order": 2**31},
        {"display_order": -(2**31) - 1}, {"webhook_url": None}, {"webhook_url": None, "endpoint_id": None},
        {"endpoint_id": None}, {"endpoint_id": new_id()}, {"destination_type": "list"},
        {"destination_type": "smart_list"}, {"destination_id": LIST},
        {"destination_type": "smart_list", "destination_id": LIST, "remove_all": 1},
        {"destination_type": "remove_from_smart_list"},
        {"destination_type": "remove_from_smart_list", "remove_all": 1, "remove_list_ids": "[]"},
        {"destination_type": "remove_from_smart_list", "remove_all": 1, "destination_id": LIST},
        {"destination_type": "remove_from_smart_list", "remove_all": 0}, {"remove_list_ids": "[]"},
    ],
    "contacts": [{"phone_number": "14155550100"}, {"phone_number": "+1"}, {"phone_number": "+" + "1" * 16},
                 {"phone_number": None}],
    "memberships": [{"source": "magic"}, {"source": "applied"}, {"applied_id": APPLIED},
                    {"smart_list_id": new_id()}, {"contact_id": new_id()}],
    "list_moves": [{"moved_at": None}, {"direction": "moved"}, {"source": "request"}, {"applied_id": None},
                   {"contact_id": new_id()}],
    "agents": [{"agent_id": ""}, {"agent_id": "x" * 129}],
    "calls": [
        {"state": "lost"}, {"direction": "sideways"}, {"line_result": "completed"}, {"ended_at": NOW},
        {"answered_at": None}, {"state": "ringing"}, {**ENDED}, {"answered_at": NOW - 1}, {"closed_at": NOW},
        {"wrap_up_since": NOW}, {"state": "closed"}, {"state": "closed", **ENDED},
        {"state": "closed", "closed_at": NOW}, {"state": "wrap_up", **ENDED},
        {"state": "wrap_up", "wrap_up_since": NOW}, {"state": "closed", "closed_at": NOW, "ended_at": NOW},
        {"state": "wrap_up", "wrap_up_since": NOW, **ENDED, "agent_id": None},
        {"state": "closed", "closed_at": NOW, **ENDED, "ended_at": NOW - 1},
        {"state": "closed", "closed_at": NOW, **ENDED, "line_result": "abandoned"},
        {"state": "closed", "closed_at": NOW, "wrap_up_since": NOW + 1, **ENDED},
        {"contact_id": new_id()}, {"agent_id": "stranger"},
    ],
    "contact_imports": [{"state": "lost"}, {"finished_at": NOW}, {"state": "done"}, {"dry_run": 2}, {"row_count": 6},
                        {"repeated_count": 6}, {"read_bytes": 10}],
    "contact_import_parts": [{"number": 0}, {"import_id": new_id()}],
    "contact_import_numbers": [{"import_id": new_id()}],
    "contact_import_problems": [{"import_id": new_id()}],
    "drafts": [{"note": "x" * 4_001}, {"note": None}, {"call_id": new_id()}, {"user_id": new_id()}],
    "users": [{"role": "king"}, {"theme": "pink"}, {"shortcuts_enabled": 2}, {"agent_id": ""},
              {"agent_id": "x" * 129}, {"email": None}],
    "user_sessions": [{"user_id": new_id()}],
    "user_links": [{"user_id": new_id()}],
    "audit_entries": [{"actor_kind": "ghost"}, {"actor_name": None}],
    "applied_outcomes": [{"outcome_type": "verb"}, {"call_id": new_id()}],
    "deliveries": [
        {"state": "lost"}, {"due_at": None}, {"finished_at": NOW}, {"state": "succeeded"},
        {"state": "succeeded", "finished_at": NOW}, {"state": "canceled", "due_at": None},
        {"state": "exhausted", "due_at": None, "finished_at": NOW, "lease_id": new_id()}, {"attempt_count": -1},
        {"schedule_step": 2}, {"schedule_step": -1}, {"endpoint_id": new_id()},
    ],
    "attempts": [{"number": 0}, {"duration_ms": -1}, {"error": "sad"}, {"delivery_id": new_id()}],
    "report_counts": [{"width_ms": 60_000}, {"slot": 1}, {"subject": "ada"},
                      {"width_ms": 900_000}],
    "deleted_names": [{"noun": "contact"}],
    "events": [{"type": None}],
}  # fmt: skip
FINE: dict[str, list[Row]] = {
    "endpoints": [{"failures_in_a_row": 1, "failing_since": NOW}, {"rate_limit_per_second": 0.5},
                  {"state": "disabled", "timeout_seconds": 30}],
    "replays": [{"state": "canceled", "finished_at": NOW, "requeued": 0}],
    "idempotency_keys": [{"status": None, "body": None}],
    "outcomes": [
        {"outcome_type": "disposition", "webhook_url": None, "endpoint_id": None},
        {"destination_type": "smart_list", "destination_id": new_id()}, {"display_order": -(2**31)},
        {"destination_type": "remove_from_smart_list", "remove_all": 1}, {"outcome_name": "🙂" * 120},
        {"destination_type": "remove_from_smart_list", "remove_list_ids": "[]"},
    ],
    "memberships": [{"source": "applied", "applied_id": APPLIED}],
    "list_moves": [{"contact_id": None}],
    "report_counts": [{"subject": "="}, {"subject": "", "counted": -1}],
    "calls": [
        {"state": "closed", "wrap_up_since": NOW, "closed_at": NOW, **ENDED},
        {"state": "ringing", "answered_at": None}, {"contact_id": None, "phone_number": None, "agent_id": None},
        {"state": "wrap_up", "wrap_up_since": NOW, **ENDED},
        {"state": "closed", "closed_at": NOW, **ENDED, "answered_at": None},
    ],
    "deliveries": [{"lease_id": new_id()}, {"state": "succeeded", "due_at": None, "finished_at": NOW},
                   {"attempt_count": 3, "schedule_step": 0}],
    "attempts": [{"error": error} for error in ("dns", "connect", "tls", "timeout", "blocked", "http_status",
                                                "protocol")],
}  # fmt: skip


class Undone(Exception):
    """The row was taken; it is not kept."""


@pytest.fixture
async def opened(open_shared: Callable[[], AbstractAsyncContextManager[Opened]]) -> AsyncIterator[Opened]:
    async with open_shared() as database:
        yield database


async def insert_until(tx: Tx, table: str, changes: Row) -> None:
    """The good rows of the tables before, then the changed row of this one; never kept."""
    workspace_id = new_id()
    for name, row in GOOD.items():
        if name == table:
            await insert(tx, table, {"workspace_id": workspace_id, **row, **changes})
            raise Undone
        await insert(tx, name, {"workspace_id": workspace_id, **row})


@pytest.mark.parametrize(
    ("table", "changes"),
    [(table, row) for table, rows in FINE.items() for row in rows] + [(t, {}) for t in GOOD],
)
async def test_a_row_that_can_be_is_taken(table: str, changes: Row, opened: Opened) -> None:
    with pytest.raises(Undone):
        await opened.database.write(lambda tx: insert_until(tx, table, changes))


@pytest.mark.parametrize(("table", "changes"), [(table, row) for table, rows in BAD.items() for row in rows])
async def test_a_row_that_cannot_be_is_refused(table: str, changes: Row, opened: Opened) -> None:
    with pytest.raises(REFUSALS):
        await opened.database.write(lambda tx: insert_until(tx, table, changes))


def test_every_check_has_a_row_that_breaks_it_and_every_table_a_good_one() -> None:
    assert set(GOOD) == set(metadata.tables)
    for name, table in metadata.tables.items():
        if any(isinstance(part, sa.CheckConstraint) for part in table.constraints):
            assert BAD[name]


async def test_a_call_has_one_disposition_and_each_outcome_once(opened: Opened) -> None:
    async def twice(tx: Tx, changes: Row) -> None:
        workspace_id = new_id()
        for name, row in GOOD.items():
            await insert(tx, name, {"workspace_id": workspace_id, **row})
        again = {"workspace_id": workspace_id, **GOOD["applied_outcomes"], "applied_id": new_id(), **changes}
        await insert(tx, "applied_outcomes", again)
        raise Undone

    with pytest.raises(REFUSALS):
        await opened.database.write(lambda tx: twice(tx, {"outcome_type": "action"}))
    with pytest.raises(REFUSALS):
        await opened.database.write(lambda tx: twice(tx, {"outcome_id": new_id()}))
    with pytest.raises(Undone):
        await opened.database.write(lambda tx: twice(tx, {"outcome_id": new_id(), "outcome_type": "action"}))


async def test_two_workspaces_may_have_the_same_ids(opened: Opened) -> None:
    async def both(tx: Tx) -> None:
        for workspace_id in (new_id(), new_id()):
            for name, row in GOOD.items():
                await insert(tx, name, {"workspace_id": workspace_id, **row})
        raise Undone

    with pytest.raises(Undone):
        await opened.database.write(both)
