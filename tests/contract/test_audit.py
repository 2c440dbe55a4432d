"""The audit log: every change of the configuration, with who, before and after, and nothing that must not be there."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness import Desk, assert_done, fresh_key, fresh_phone_number
from leadline.domain.paging import START, PageRequest
from leadline.operations import audit
from leadline.operations.maintenance import prune_workspace
from leadline.store import audit as store
from leadline.store.audit import AuditRow
from leadline.store.database import Tx
from leadline.wiring import write_once

HOUR_MS = 3_600_000


def entries_of(desk: Desk, **filters: Any) -> list[AuditRow]:
    """The entries of a workspace, oldest first."""

    async def read(tx: Tx) -> list[AuditRow]:
        rows, _ = await audit.list_entries(tx, desk.subaccount_id, PageRequest(200, START), filters)
        return rows[::-1]

    return write_once(desk.database_url, read)


def actions_of(desk: Desk) -> list[str]:
    return [row.action for row in entries_of(desk)]


def test_every_change_over_the_api_is_written_down_with_its_token(desk: Desk) -> None:
    begin = len(actions_of(desk))
    outcome = desk.action()
    path = f"/outcomes/{outcome['outcome_id']}"
    change = {"outcome_name": "Hot", "outcome_type": "action", "webhook_url": outcome["webhook_url"]}
    assert_done(desk.api.patch(path, json=change, headers=[("X-Request-Id", "the-request")]))
    a_list = desk.smart_list("Warm")["smart_list_id"]
    assert_done(desk.api.patch(f"/smart-lists/{a_list}", json={"smart_list_name": "Hot"}))
    contact = desk.contact(name="Ada")["contact_id"]
    member = f"/smart-lists/{a_list}/contacts/{contact}"
    for _ in range(2):
        assert_done(desk.api.put(member))
    for _ in range(2):
        assert_done(desk.api.delete(member))
    assert_done(desk.api.patch(f"/contacts/{contact}", json={"name": "Grace"}))
    desk.set_workspace(retention_days=7)
    desk.set_endpoint(outcome["webhook_url"], max_concurrency=3)
    desk.rotate_secret()
    assert_done(desk.api.delete(f"/smart-lists/{a_list}"))
    assert_done(desk.api.delete(path))
    entries = entries_of(desk)[begin:]
    assert [row.action for row in entries] == [
        "outcome.created", "outcome.replaced", "smart_list.created", "smart_list.renamed", "membership.added",
        "membership.removed", "contact.changed", "workspace.changed", "endpoint.changed", "webhook_secret.rotated",
        "smart_list.deleted", "outcome.deleted",
    ]  # fmt: skip
    assert {row.actor_kind for row in entries} == {"token"}
    assert {row.actor_id for row in entries} == {entries[0].actor_id} != {None}
    assert all(row.request_id for row in entries)
    replaced = entries[1]
    assert replaced.request_id == "the-request"
    assert replaced.thing_id == outcome["outcome_id"]
    assert json.loads(replaced.before or "")["outcome_name"] == "Interested"
    assert json.loads(replaced.after or "")["outcome_name"] == "Hot"
    assert (entries[0].before, entries[-1].after) == (None, None)


def test_what_is_done_to_deliveries_is_written_down(desk: Desk) -> None:
    desk.action()
    call = desk.call()["call_id"]
    outcome = assert_done(desk.api.get("/outcomes"))["outcomes"][0]["outcome_id"]
    delivery = desk.applied(call, outcome)["delivery_id"]
    begin = len(actions_of(desk))
    assert_done(desk.api.post(f"/webhook-deliveries/{delivery}/cancel"))
    assert_done(desk.api.post(f"/webhook-deliveries/{delivery}/cancel"))
    assert_done(desk.api.post(f"/webhook-deliveries/{delivery}/retry"))
    assert_done(desk.api.post("/webhook-deliveries/replay", json={"since": "2020-01-01T00:00:00Z"}), 202)
    assert actions_of(desk)[begin:] == ["delivery.canceled", "delivery.retried", "replay.started"]


def test_what_was_refused_or_replayed_is_not_written_down_again(desk: Desk) -> None:
    begin = len(actions_of(desk))
    key = fresh_key()
    fields = {"outcome_name": "Won", "outcome_type": "disposition"}
    for _ in range(2):
        assert_done(desk.api.post("/outcomes", json=fields, key=key), 201)
    assert desk.api.post("/outcomes", json={"outcome_name": ""}).status == 400
    desk.smart_list("Once")
    assert desk.api.post("/smart-lists", json={"smart_list_name": "once"}).status == 409
    assert actions_of(desk)[begin:] == ["outcome.created", "smart_list.created"]


def test_an_erased_person_leaves_no_trace_but_that_there_were_changes(desk: Desk) -> None:
    number = fresh_phone_number()
    contact = desk.contact(name="Ada Lovelace", phone_number=number)["contact_id"]
    assert_done(desk.api.patch(f"/contacts/{contact}", json={"name": "Ada King", "external_id": "crm-1"}))
    assert_done(desk.api.delete(f"/contacts/{contact}"))
    about = entries_of(desk, thing_id=contact)
    assert [row.action for row in about] == ["contact.changed", "contact.erased"]
    text = " ".join(str(row) for row in entries_of(desk))
    for trace in ("Ada", "King", "crm-1", number):
        assert trace not in text


def test_no_secret_is_ever_written_down(desk: Desk) -> None:
    secret = desk.rotate_secret()
    text = " ".join(str(row) for row in entries_of(desk))
    assert desk.api.token is not None
    for hidden in (secret, secret.removeprefix("whsec_"), desk.api.token, desk.api.token.split("_", 2)[2]):
        assert hidden not in text
    assert "hash" not in text


def test_at_the_same_moment_everybody_stays_himself(desk: Desk) -> None:
    """Many requests share a commit: the names of their callers must not mix."""
    callers = {name: desk.api_with("all") for name in ("ada", "grace", "joan", "mary")}

    def work(name: str) -> None:
        for number in range(12):
            assert_done(callers[name].post("/smart-lists", json={"smart_list_name": f"{name} {number}"}), 201)

    with ThreadPoolExecutor(len(callers)) as threads:
        list(threads.map(work, callers))
    made: dict[str, set[str | None]] = {}
    for row in entries_of(desk, action="smart_list.created"):
        name = json.loads(row.after or "")["smart_list_name"].partition(" ")[0]
        made.setdefault(name, set()).add(row.actor_id)
    assert sorted(made) == sorted(callers)
    assert len(set.union(*made.values())) == len(callers)
    assert all(len(actors) == 1 for actors in made.values())


def test_entries_are_kept_as_long_as_the_workspace_says(desk: Desk) -> None:
    desk.set_workspace(retention_days=1)
    old = entries_of(desk)[-1]

    async def age(tx: Tx) -> bool:
        row = AuditRow(
            **{name: getattr(old, name) for name in old.__struct_fields__ if name not in ("entry_id", "at")},
            entry_id="01900000-0000-7000-8000-000000000000",
            at=tx.now_ms - 25 * HOUR_MS,
        )
        await store.insert_entry(tx, row)
        return await prune_workspace(tx, desk.subaccount_id, events_kept_ms=HOUR_MS)

    count = len(entries_of(desk))
    write_once(desk.database_url, age)
    assert len(entries_of(desk)) == count
