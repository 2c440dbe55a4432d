"""Reports over HTTP: the numbers are those of what was just done, each once, with their formulas."""

from __future__ import annotations

import csv
import io
from typing import Any
from urllib.parse import urlencode

import pytest

from harness import NOWHERE, Answer, Api, Desk, assert_done, assert_refused
from leadline.ids import NIL_ID
from receiver import Receiver

REPORTS = (
    "outcomes", "dispositions", "rates", "agents", "smart-lists", "wrap-up", "missing-dispositions", "webhooks",
)  # fmt: skip
WITH_BUCKETS = ("outcomes", "rates", "smart-lists", "wrap-up", "missing-dispositions", "webhooks")
each_report = pytest.mark.parametrize("name", REPORTS)


def report(desk: Desk, name: str, **parameters: str) -> dict[str, Any]:
    query = f"?{urlencode(parameters)}" if parameters else ""
    found: dict[str, Any] = assert_done(desk.api.get(f"/reports/{name}{query}"))["report"]
    return found


def table(desk: Desk, name: str, **parameters: str) -> list[dict[str, str]]:
    answer = desk.api.get(f"/reports/{name}?{urlencode({'format': 'csv', **parameters})}")
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="leadline-{name}-')
    text = answer.body.decode()
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text)))


def summed(buckets: list[dict[str, Any]], field: str) -> int:
    return sum(bucket[field] for bucket in buckets)


@each_report
def test_a_report_of_nothing_is_full_of_zeros(name: str, desk: Desk) -> None:
    found = report(desk, name)
    assert found["tz"] == "UTC"
    assert found["interval"] == "day"
    assert found["previous_period"]["until"] == found["period"]["since"]
    assert all(found["formulas"].values())
    if name in WITH_BUCKETS:
        assert found["buckets"][0]["since"] == found["period"]["since"]
        assert found["buckets"][-1]["until"] == found["period"]["until"]


WRONG = (
    ({"tz": "Mars/Olympus"}, "tz"),
    ({"tz": "../../etc/passwd"}, "tz"),
    ({"interval": "minute"}, "interval"),
    ({"since": "yesterday"}, "since"),
    ({"since": "1969-01-01T00:00:00Z"}, "since"),
    ({"until": "9999-12-31T23:59:59Z", "tz": "Asia/Tokyo"}, "until"),
    ({"until": "1970-01-01T00:00:00Z", "tz": "America/New_York"}, "until"),
    ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "since"),
    ({"since": "2020-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z", "interval": "day"}, "interval"),
    ({"format": "xlsx"}, "format"),
    ({"table": "secrets"}, "table"),
    ({"unknown": "1"}, "unknown"),
)
NO_IDS = ("x", ",", f"{NIL_ID},", ",".join([NIL_ID] * 101))


def assert_refused_for(answer: Answer, field: str) -> None:
    assert_refused(answer, 400, "invalid_request")
    assert [detail["field"] for detail in answer.json["details"]] == [field], answer


@each_report
def test_a_parameter_that_is_wrong_is_refused_by_name(name: str, shared_api: Api) -> None:
    for parameters, field in WRONG:
        assert_refused_for(shared_api.get(f"/reports/{name}?{urlencode(parameters)}"), field)


@pytest.mark.parametrize("field", ["contact_outcome_ids", "conversion_outcome_ids"])
def test_counting_outcomes_are_ids_with_commas_between(field: str, shared_api: Api) -> None:
    for text in NO_IDS:
        assert_refused_for(shared_api.get(f"/reports/rates?{urlencode({field: text})}"), field)


def test_a_report_needs_the_scope_of_calls(desk: Desk) -> None:
    assert_refused(desk.api_with("outcomes:write").get("/reports/outcomes"), 403, "forbidden")
    assert_done(desk.api_with("calls:read").get("/reports/outcomes"))


def test_outcomes_are_counted_by_type_bucket_and_name(desk: Desk) -> None:
    action, disposition = desk.action(), desk.disposition(outcome_name="Sold")
    for agent in ("ada", "bob"):
        call = desk.call(agent_id=agent)["call_id"]
        desk.applied(call, action["outcome_id"])
        desk.end(call)
        desk.applied(call, disposition["outcome_id"])
    found = report(desk, "outcomes")
    assert found["applied"] == {"value": 4, "previous": 0, "change": None}
    assert (found["actions"]["value"], found["dispositions"]["value"]) == (2, 2)
    assert summed(found["buckets"], "applied") == 4
    assert [(each["outcome_name"], each["count"], each["share"]) for each in found["outcomes"]] == [
        ("Interested", 2, 0.5), ("Sold", 2, 0.5),
    ]  # fmt: skip
    assert report(desk, "outcomes", agent_id="ada")["applied"]["value"] == 2
    chosen = report(desk, "outcomes", outcome_id=disposition["outcome_id"])
    assert (chosen["applied"]["value"], chosen["actions"]["value"]) == (2, 0)
    assert report(desk, "outcomes", agent_id="nobody")["applied"]["value"] == 0


def test_a_deleted_outcome_keeps_its_name(desk: Desk) -> None:
    outcome = desk.disposition(outcome_name="Wrong number")
    call = desk.wrapping_call()["call_id"]
    desk.applied(call, outcome["outcome_id"])
    assert_done(desk.api.delete(f"/outcomes/{outcome['outcome_id']}"))
    (found,) = report(desk, "dispositions")["dispositions"]
    assert (found["outcome_name"], found["deleted"], found["count"]) == ("Wrong number", True, 1)


def test_rates_are_of_closed_calls_and_of_what_was_chosen(desk: Desk) -> None:
    action, sold, no = desk.action(), desk.disposition(outcome_name="Sold"), desk.disposition()
    for disposition, acts in ((sold, True), (no, False)):
        call = desk.call(agent_id="ada")["call_id"]
        if acts:
            desk.applied(call, action["outcome_id"])
        desk.end(call)
        desk.applied(call, disposition["outcome_id"])
    desk.end(desk.call(state="ringing")["call_id"], line_result="busy")
    desk.call()  # is not closed
    usual = report(desk, "rates")
    counts = {name: usual[name]["value"] for name in ("calls", "answered", "contacts", "conversions")}
    assert counts == {"calls": 3, "answered": 2, "contacts": 2, "conversions": 1}
    assert (usual["contact_rate"]["value"], usual["conversion_rate"]["value"]) == (0.6667, 0.5)
    ids = {"contact_outcome_ids": no["outcome_id"].upper(), "conversion_outcome_ids": sold["outcome_id"]}
    chosen = report(desk, "rates", **ids)
    assert (chosen["contacts"]["value"], chosen["conversions"]["value"]) == (2, 1)
    assert chosen["contact_outcome_ids"] == [no["outcome_id"]]
    assert "contact_outcome_ids" in chosen["formulas"]["contacts"]
    assert summed(chosen["buckets"], "contacts") == 2
    assert report(desk, "rates", agent_id="ada")["calls"]["value"] == 2


def test_a_late_disposition_changes_the_call_that_was_missing_it(desk: Desk) -> None:
    outcome = desk.disposition()
    desk.set_workspace(wrap_up_timeout_seconds=None)
    waiting = desk.wrapping_call("ada")["call_id"]
    found = report(desk, "missing-dispositions")
    assert (found["owed"]["value"], found["missing"]["value"], found["waiting"]) == (0, 0, 1)
    assert found["oldest_waiting_since"] is not None
    assert found["agents"] == [
        {"agent_id": "ada", "owed": 0, "missing": 0, "missing_rate": None, "waiting": 1}
    ]
    desk.applied(waiting, outcome["outcome_id"])
    found = report(desk, "missing-dispositions", agent_id="ada")
    assert (found["owed"]["value"], found["missing"]["value"], found["waiting"]) == (1, 0, 0)
    assert found["agents"][0]["missing_rate"] == 0.0


def test_wrap_up_times_are_those_of_each_agent(desk: Desk) -> None:
    outcome = desk.disposition()
    for agent in ("ada", "ada", "bob"):
        desk.applied(desk.wrapping_call(agent)["call_id"], outcome["outcome_id"])
    found = report(
        desk, "wrap-up", interval="hour", since="2026-01-01T00:00:00Z", until="2026-01-02T00:00:00Z"
    )
    assert found["count"]["value"] == 0
    assert found["p50_ms"]["value"] is None
    found = report(desk, "wrap-up")
    assert found["count"]["value"] == 3 == summed(found["buckets"], "count")
    assert 0 <= found["p50_ms"]["value"] <= found["p90_ms"]["value"]
    assert [(each["agent_id"], each["count"]) for each in found["agents"]] == [("ada", 2), ("bob", 1)]


def test_agents_have_their_own_numbers(desk: Desk) -> None:
    outcome = desk.disposition()
    desk.applied(desk.wrapping_call("ada")["call_id"], outcome["outcome_id"])
    desk.wrapping_call("bob")
    desk.end(desk.call()["call_id"])
    rows = {each["agent_id"]: each for each in report(desk, "agents")["agents"]}
    assert set(rows) == {"ada", "bob", None}
    assert (rows["ada"]["calls"], rows["ada"]["applied"], rows["ada"]["owed"]) == (1, 1, 1)
    assert (rows["bob"]["calls"], rows["bob"]["waiting"]) == (0, 1)
    assert rows[None]["calls"] == 1
    only = report(desk, "agents", agent_id="ada")
    assert [each["agent_id"] for each in only["agents"]] == ["ada"]


def test_lists_grow_and_an_erased_contact_leaves_them(desk: Desk) -> None:
    kept, gone = desk.smart_list("Kept"), desk.smart_list("Gone")
    people = [desk.contact()["contact_id"] for _ in range(3)]
    for person in people:
        desk.join(kept["smart_list_id"], person)
    desk.join(gone["smart_list_id"], people[0])
    assert_done(desk.api.delete(f"/smart-lists/{gone['smart_list_id']}?force=true"))
    assert_done(desk.api.delete(f"/contacts/{people[0]}"))
    found = report(desk, "smart-lists")
    rows = {each["smart_list_name"]: each for each in found["smart_lists"]}
    assert (rows["Kept"]["joined"], rows["Kept"]["left"], rows["Kept"]["size"]) == (3, 1, 2)
    assert (rows["Gone"]["net"], rows["Gone"]["size"], rows["Gone"]["deleted"]) == (0, 0, True)
    assert (found["joined"]["value"], found["left"]["value"], found["net"]["value"]) == (4, 2, 2)
    assert summed(found["buckets"], "net") == 2
    chosen = report(desk, "smart-lists", smart_list_id=kept["smart_list_id"])
    assert [each["smart_list_name"] for each in chosen["smart_lists"]] == ["Kept"]
    assert chosen["net"]["value"] == 2


def test_webhooks_are_counted_by_result_and_endpoint(desk: Desk, receiver: Receiver) -> None:
    good, bad = desk.action(receiver.url), desk.action(NOWHERE, outcome_name="Bad")
    call = desk.call()["call_id"]
    arrived = desk.applied(call, good["outcome_id"])["delivery_id"]
    failed = desk.applied(call, bad["outcome_id"])["delivery_id"]
    desk.delivery_in(arrived, "succeeded")
    desk.delivery_in(failed, "exhausted")
    attempts = desk.read_delivery(failed)["attempt_count"]
    found = report(desk, "webhooks")
    assert found["attempts"]["value"] == attempts + 1 == summed(found["buckets"], "attempts")
    assert found["succeeded"]["value"] == 1
    assert found["success_rate"]["value"] == round(1 / (attempts + 1), 4)
    assert {each["result"]: each["count"] for each in found["results"]} == {
        "succeeded": 1, "connect": attempts,
    }  # fmt: skip
    assert found["latency_p50_ms"]["value"] is not None
    rows = {each["webhook_url"]: each["attempts"] for each in found["endpoints"]}
    assert rows == {receiver.url: 1, NOWHERE: attempts}
    endpoint = desk.endpoint_of(receiver.url)["endpoint_id"]
    assert report(desk, "webhooks", endpoint_id=endpoint)["attempts"]["value"] == 1


def test_another_workspace_sees_nothing_of_it(desk: Desk, shared_desk: Desk) -> None:
    outcome = desk.disposition()
    desk.applied(desk.wrapping_call("agent-of-one")["call_id"], outcome["outcome_id"])
    rows = report(shared_desk, "agents")["agents"]
    assert "agent-of-one" not in {each["agent_id"] for each in rows}
    assert report(shared_desk, "outcomes", outcome_id=outcome["outcome_id"])["applied"]["value"] == 0


def test_a_table_as_csv_is_the_table_of_the_answer(desk: Desk) -> None:
    outcome = desk.disposition(outcome_name='=1+1,"x"')
    desk.applied(desk.wrapping_call("@ada")["call_id"], outcome["outcome_id"])
    (row,) = table(desk, "dispositions")
    assert row["outcome_name"] == '\'=1+1,"x"'
    assert row["count"] == "1"
    assert row["deleted"] == "false"
    assert [each["applied"] for each in table(desk, "outcomes", table="buckets")].count("1") == 1
    (agent,) = table(desk, "agents")
    assert (agent["agent_id"], agent["calls"], agent["conversion_rate"]) == ("'@ada", "1", "0.0")


@each_report
def test_every_report_has_a_table_also_when_there_is_nothing(name: str, shared_desk: Desk) -> None:
    assert isinstance(
        table(shared_desk, name, since="2020-01-01T00:00:00Z", until="2020-01-03T00:00:00Z"), list
    )


def test_a_local_day_is_a_bucket_of_its_own_length(desk: Desk) -> None:
    found = report(
        desk, "outcomes", tz="America/New_York", since="2026-03-07T05:00:00Z", until="2026-03-10T04:00:00Z"
    )
    assert [bucket["since"][11:16] for bucket in found["buckets"][:1]] == ["05:00"]
    days = report(
        desk, "outcomes", tz="America/New_York", since="2026-03-07T05:00:00Z", until="2026-03-10T04:00:00Z",
        interval="day",
    )["buckets"]  # fmt: skip
    assert [day["since"][11:16] for day in days] == ["05:00", "05:00", "04:00"]
