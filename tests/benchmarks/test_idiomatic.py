"""The application that Leadline is compared with does the same work: the same answers, the same rows."""

from __future__ import annotations

import http.client
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from benchmarks.scene import NOWHERE, Scene, make_scene

from benchmarks import servers
from leadline.store import tables
from leadline.store.calls import get_call, update_calls
from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.store.outcomes import get_outcome, replace_outcome
from leadline.wiring import write_once

ALL_CORES = frozenset(os.sched_getaffinity(0))
SERVERS = {"leadline": servers.leadline, "idiomatic": servers.idiomatic}
# Secrets, when a token was last used, and what the first start leaves behind are no effects of an apply.
_NOT_COMPARED = {"audit_entries", "tokens", "user_links", "webhook_secrets"}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|(?<!\d)1[0-9]{12}(?!\d)")
_HASH = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass
class Told:
    """One answer."""

    status: int
    body: bytes
    replayed: bool


@dataclass
class Subject:
    """One of the two, with a database and one call of its own."""

    scene: Scene
    server: servers.Server
    call_id: str

    def apply(self, key: str) -> Told:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        headers = {
            **self.scene.authorization,
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        body = {"outcome_id": self.scene.outcome_id, "note": "Grüße"}
        path = f"/phone-system/calls/{self.call_id}/outcomes"
        connection.request("POST", path, json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        told = Told(answer.status, answer.read(), answer.headers.get("Idempotent-Replayed") == "true")
        connection.close()
        return told

    def rows(self) -> str:
        """Every row of every table, in the order in which they were made."""
        return write_once(self.scene.database_url, _dump)


async def _dump(tx: Tx) -> str:
    lines = []
    for table in tables.metadata.sorted_tables:
        if table.name in _NOT_COMPARED:
            continue
        columns = [column.name for column in table.columns]
        order = next((name for name in ("at", "created_at", "applied_at") if name in columns), columns[0])
        statement = Statement(
            f"SELECT {', '.join(columns)} FROM {table.name} ORDER BY {order}, {columns[1]}", register=False
        )
        for row in await tx.all(statement):
            values = dict(zip(columns, row, strict=True))
            values.pop("commit_order", None)  # the number of a transaction, on PostgreSQL
            lines.append(f"{table.name} {json.dumps(values, default=_text, ensure_ascii=False)}")
    return "\n".join(lines)


def _text(value: Any) -> str:
    return bytes(value).decode()


def neutral(text: str) -> str:
    """The same text with ids and times by the order of their first appearance, which is all they may differ in."""
    names: dict[str, str] = {}
    text = _HASH.sub("HASH", text)
    text = _UUID.sub(lambda found: names.setdefault(found[0], f"<id {len(names)}>"), text)
    return _TIME.sub("<time>", text)


Pair = tuple[Subject, Subject]


@pytest.fixture(scope="module")
def running(engine: str, make_database: Callable[[str], str]) -> Iterator[Pair]:
    """Both of them at once."""
    ours, theirs = (make_scene(make_database(engine), NOWHERE, paused=True) for _ in SERVERS)
    with (
        servers.leadline(ours.database_url, ALL_CORES) as leadline,
        servers.idiomatic(theirs.database_url, ALL_CORES) as idiomatic,
    ):
        yield Subject(ours, leadline, ""), Subject(theirs, idiomatic, "")


@pytest.fixture
def both(running: Pair) -> Pair:
    """Both of them, with a fresh live call."""
    for subject in running:
        subject.scene.want_live_calls(1)
        (subject.call_id,) = subject.scene.take(1)
    return running


def _same(both: Pair, keys: list[str]) -> list[Told]:
    """Ask both the same; their answers and then all their rows must be the same. Answers Leadline's."""
    ours, theirs = ([subject.apply(key) for key in keys] for subject in both)
    for one, other in zip(ours, theirs, strict=True):
        assert (other.status, other.replayed) == (one.status, one.replayed), other.body
        assert neutral(other.body.decode()) == neutral(one.body.decode())
    assert neutral(both[1].rows()) == neutral(both[0].rows())
    return ours


def test_an_action_writes_the_same_rows_and_answers_the_same_bytes(both: Pair) -> None:
    (told,) = _same(both, ["action"])
    assert told.status == 201
    applied = json.loads(told.body)["applied"]
    assert applied["delivery_id"] is not None
    assert applied["destination"]["lists_added"] == [both[0].scene.smart_list_id]


def test_a_repeated_key_is_replayed_and_a_repeated_outcome_answers_the_first(both: Pair) -> None:
    first, replay, again = _same(both, ["twice", "twice", "another"])
    assert (first.status, replay.status, again.status) == (201, 201, 200)
    assert replay.replayed
    assert replay.body == first.body


def test_a_disposition_closes_the_call_the_same_way(both: Pair) -> None:
    for subject in both:
        write_once(subject.scene.database_url, lambda tx, subject=subject: _to_wrap_up(tx, subject))  # type: ignore[misc]
    (told,) = _same(both, ["disposition"])
    assert told.status == 201
    assert json.loads(told.body)["call"]["state"] == "closed"


async def _to_wrap_up(tx: Tx, subject: Subject) -> None:
    """The call has ended, and the outcome is a disposition that takes the contact off every list."""
    scene = subject.scene
    call = await get_call(tx, scene.workspace_id, subject.call_id)
    outcome = await get_outcome(tx, scene.workspace_id, scene.outcome_id)
    assert call is not None
    assert outcome is not None
    ended = call.started_at + 1
    in_wrap_up = msgspec.structs.replace(
        call, state="wrap_up", ended_at=ended, wrap_up_since=ended, line_result="completed"
    )
    await update_calls(tx, [in_wrap_up])
    await replace_outcome(
        tx,
        msgspec.structs.replace(
            outcome,
            outcome_type="disposition",
            destination_type="remove_from_smart_list",
            destination_id=None,
            remove_all=1,
        ),
    )
