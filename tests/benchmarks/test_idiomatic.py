"""The application that Leadline is compared with does the same work: the same answers, the same rows."""

from __future__ import annotations

import http.client
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from benchmarks.scene import NOWHERE, Scene, make_scene

from benchmarks import servers
from leadline.store import tables
from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.wiring import write_once

ALL_CORES = frozenset(os.sched_getaffinity(0))
SERVERS = {"leadline": servers.leadline, "idiomatic": servers.idiomatic}
_ALWAYS_WRITTEN = {"applied_outcomes", "deliveries", "events", "idempotency_keys", "list_moves"}
# What goes out again as it is: here every byte counts.
_KEPT_AS_BYTES = {"payload", "body"}
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

    def effects(self, keys: list[str]) -> tuple[list[Told], str]:
        """What it answers to these requests, and every row of every table that has come, changed or gone since."""
        before = write_once(self.scene.database_url, _dump)
        told = [self.apply(key) for key in keys]
        after = write_once(self.scene.database_url, _dump)
        came = [row for row in after if row not in before]
        gone = [f"{row} is gone" for row in before if row not in after]
        return told, "\n".join([*came, *gone])


async def _dump(tx: Tx) -> list[str]:
    """Every row as text, table by table, in the order in which they were made."""
    lines = []
    for table in tables.metadata.sorted_tables:
        if table.name == "tokens":
            continue  # which know when they were last used, once in a while
        columns = [column.name for column in table.columns]
        order = next((name for name in ("at", "created_at", "applied_at") if name in columns), columns[0])
        statement = Statement(
            f"SELECT {', '.join(columns)} FROM {table.name} ORDER BY {order}, {columns[1]}", register=False
        )
        for row in await tx.all(statement):
            values = dict(zip(columns, row, strict=True))
            values.pop("commit_order", None)  # the number of a transaction, on PostgreSQL
            values = {
                name: value if name in _KEPT_AS_BYTES else _parsed(value) for name, value in values.items()
            }
            lines.append(f"{table.name} {json.dumps(values, default=_text, ensure_ascii=False)}")
    return lines


def _parsed(value: Any) -> Any:
    """JSON that is stored as text, as what it says: spaces make no difference to anybody."""
    return json.loads(value) if isinstance(value, str) and value[:1] in ("{", "[") else value


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
    (ours, our_rows), (theirs, their_rows) = (subject.effects(keys) for subject in both)
    for one, other in zip(ours, theirs, strict=True):
        assert (other.status, other.replayed) == (one.status, one.replayed), other.body
        assert neutral(other.body.decode()) == neutral(one.body.decode())
    assert neutral(their_rows) == neutral(our_rows)
    assert {row.split()[0] for row in our_rows.splitlines()} >= _ALWAYS_WRITTEN
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
    """The call has ended, its contact is on a list, and the outcome takes him off every list."""
    call = Statement(
        "UPDATE calls SET state = 'wrap_up', ended_at = started_at + 1, wrap_up_since = started_at + 1,"
        " line_result = 'completed' WHERE workspace_id = :workspace_id AND call_id = :call_id",
        register=False,
    )
    outcome = Statement(
        "UPDATE outcomes SET outcome_type = 'disposition', destination_type = 'remove_from_smart_list',"
        " destination_id = NULL, remove_all = 1 WHERE workspace_id = :workspace_id AND outcome_id = :outcome_id",
        register=False,
    )
    member = Statement(
        "INSERT INTO memberships (workspace_id, smart_list_id, contact_id, since, source)"
        " SELECT workspace_id, :smart_list_id, contact_id, started_at, 'request' FROM calls"
        " WHERE workspace_id = :workspace_id AND call_id = :call_id",
        register=False,
    )
    scene = subject.scene
    of_call = {"workspace_id": scene.workspace_id, "call_id": subject.call_id}
    assert await tx.run(member, **of_call, smart_list_id=scene.smart_list_id) == 1
    assert await tx.run(call, **of_call) == 1
    assert await tx.run(outcome, workspace_id=scene.workspace_id, outcome_id=scene.outcome_id) == 1
