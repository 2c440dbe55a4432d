"""Contract § 10: the workspace's settings and the routes that operators use."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import Api, Desk, Json, Server, assert_done, assert_refused
from receiver import Receiver

WORKSPACE_KEYS = {
    "subaccount_id",
    "organization_id",
    "name",
    "region",
    "outcomes_enabled",
    "require_disposition",
    "wrap_up_timeout_seconds",
    "wrap_up_timeout_outcome_id",
    "retention_days",
}


def test_the_workspace_has_its_keys_and_defaults(desk: Desk) -> None:
    workspace = assert_done(desk.api.get("/workspace"))["workspace"]
    assert set(workspace) >= WORKSPACE_KEYS
    assert {key: workspace[key] for key in WORKSPACE_KEYS} == {
        "subaccount_id": desk.subaccount_id,
        "organization_id": desk.organization_id,
        "name": "Test",
        "region": "US",
        "outcomes_enabled": True,
        "require_disposition": "answered",
        "wrap_up_timeout_seconds": None,
        "wrap_up_timeout_outcome_id": None,
        "retention_days": 90,
    }


def test_patch_of_the_workspace_merges(desk: Desk) -> None:
    before = assert_done(desk.api.get("/workspace"))["workspace"]
    after = desk.set_workspace(name="Renamed", retention_days=30)
    changed = {key for key in WORKSPACE_KEYS if before[key] != after[key]}
    assert changed == {"name", "retention_days"}
    assert desk.set_workspace() == assert_done(desk.api.get("/workspace"))["workspace"]


@pytest.mark.parametrize(
    "fields",
    [
        {"region": "XX"},
        {"region": "us1"},
        {"region": 1},
        {"outcomes_enabled": "true"},
        {"outcomes_enabled": 1},
        {"require_disposition": "sometimes"},
        {"retention_days": 0},
        {"retention_days": -1},
        {"retention_days": 1.5},
        {"name": ""},
        {"name": 1},
        {"subaccount_id": "00000000-0000-4000-8000-000000000001"},
        {"organization_id": "00000000-0000-4000-8000-000000000001"},
        {"wrap_up_timeout_outcome_id": "x"},
    ],
)
def test_a_bad_workspace_setting_is_refused(shared_api: Api, fields: dict[str, Json]) -> None:
    answer = shared_api.patch("/workspace", json=fields)
    assert_refused(answer, 400, "invalid_request")
    assert answer.fields == set(fields)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs", "/metrics"])
def test_the_operators_routes_need_no_token(shared_api: Api, path: str) -> None:
    answer = shared_api.at_root().with_token(None).get(path)
    assert answer.status == 200, answer
    assert answer.header("X-Request-Id")


def test_the_console_is_at_the_root(shared_api: Api) -> None:
    answer = shared_api.at_root().with_token(None).get("/", headers=[("Accept", "text/html")])
    assert answer.status in {200, 302, 303, 307}


def test_the_metrics_are_in_the_format_of_prometheus(shared_api: Api) -> None:
    answer = shared_api.at_root().get("/metrics")
    assert (answer.header("Content-Type") or "").startswith("text/plain")
    assert b"# TYPE " in answer.body


def test_the_metrics_do_not_tell_whose_they_are(desk: Desk) -> None:
    number = desk.call()["phone_number"]
    text = desk.api.at_root().get("/metrics").body.decode()
    assert number not in text
    assert str(desk.api.token) not in text


def test_the_docs_load_nothing_from_elsewhere(shared_api: Api) -> None:
    text = shared_api.at_root().get("/docs").body.decode()
    assert 'src="http' not in text
    assert 'src="//' not in text
    assert '<link rel="stylesheet" href="http' not in text


def test_a_metrics_token_guards_the_metrics(
    make_server: Callable[..., Server], make_database: Callable[[str], str]
) -> None:
    server = make_server(make_database("sqlite"), LEADLINE_METRICS_TOKEN="let-me-see")
    root = Api(server.base_url, None, prefix="")
    assert root.get("/metrics").status == 401
    assert root.with_token("wrong").get("/metrics").status == 401
    assert root.with_token("let-me-see").get("/metrics").status == 200
    assert root.get("/healthz").status == 200


def test_a_rate_limit_says_when_to_come_back(
    make_server: Callable[..., Server], make_database: Callable[[str], str]
) -> None:
    server = make_server(make_database("sqlite"), LEADLINE_RATE_LIMIT_PER_MINUTE="3")
    desk, other = Desk.open(server), Desk.open(server)
    answers = [desk.api.get("/outcomes") for _ in range(8)]
    limited = [answer for answer in answers if answer.status == 429]
    assert limited
    for answer in limited:
        assert_refused(answer, 429, "rate_limited")
        assert int(answer.header("Retry-After") or 0) >= 1
    assert other.api.get("/outcomes").status == 200


def test_https_can_be_required_of_webhooks(
    make_server: Callable[..., Server], make_database: Callable[[str], str]
) -> None:
    server = make_server(make_database("sqlite"), LEADLINE_WEBHOOK_REQUIRE_HTTPS="true")
    api = Desk.open(server).api
    body = {"outcome_name": "A", "outcome_type": "disposition"}
    assert_refused(
        api.post("/outcomes", json=body | {"webhook_url": "http://example.com/"}), 400, "invalid_outcome"
    )
    assert_done(api.post("/outcomes", json=body | {"webhook_url": "https://example.com/"}), 201)


def test_plain_http_that_was_saved_before_is_not_called_where_https_is_required(
    make_server: Callable[..., Server], make_database: Callable[[str], str], receiver: Receiver
) -> None:
    server = make_server(make_database("sqlite"))
    desk = Desk.open(server)
    outcome_id = desk.action(receiver.url)["outcome_id"]
    assert server.stop() == 0
    server.settings["LEADLINE_WEBHOOK_REQUIRE_HTTPS"] = "true"
    desk = desk.on(server.start())
    delivery_id = desk.applied(desk.call()["call_id"], outcome_id)["delivery_id"]
    delivery = desk.delivery_in(delivery_id, "exhausted")
    assert {attempt["error"] for attempt in delivery["attempts"]} == {"blocked"}
    assert receiver.hits == []


def test_a_secret_that_was_shown_under_a_key_is_replayed_and_nowhere_in_the_database(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    path = tmp_path / "sealed.db"
    key = base64.b64encode(b"k" * 32).decode()
    server = make_server(f"sqlite:///{path}", LEADLINE_SECRET_KEY=key)
    api = Desk.open(server).api
    first = api.post("/webhook-secret/rotate", json={}, key="rotate-once")
    again = api.post("/webhook-secret/rotate", json={}, key="rotate-once")
    assert (again.status, again.body) == (first.status, first.body)
    assert again.header("Idempotent-Replayed") == "true"
    secret = assert_done(first)["secret"]
    assert server.stop() == 0
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes()


def test_a_range_that_is_not_open_is_blocked_at_the_attempt_too(
    make_server: Callable[..., Server], make_database: Callable[[str], str], receiver: Receiver
) -> None:
    server = make_server(make_database("sqlite"))
    desk = Desk.open(server)
    outcome_id = desk.action(receiver.url)["outcome_id"]
    assert server.stop() == 0
    server.settings["LEADLINE_WEBHOOK_ALLOW_CIDRS"] = ""
    desk = desk.on(server.start())
    delivery_id = desk.applied(desk.call()["call_id"], outcome_id)["delivery_id"]
    delivery = desk.delivery_in(delivery_id, "exhausted")
    assert {attempt["error"] for attempt in delivery["attempts"]} == {"blocked"}
    assert receiver.hits == []
    assert "127.0.0.1" not in json.dumps([attempt["response_body"] for attempt in delivery["attempts"]])
