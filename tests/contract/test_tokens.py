"""Contract § 2: who may do what, and what belongs to somebody else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import (
    Answer,
    Api,
    Desk,
    Json,
    Pairs,
    Server,
    assert_done,
    assert_refused,
    fresh_phone_number,
    unknown_id,
)

ZERO = "00000000-0000-4000-8000-000000000000"
GOOD_OUTCOME = {
    "outcome_name": "Interested",
    "outcome_type": "action",
    "webhook_url": "https://example.com/hook",
}

OPERATIONS = [
    ("GET", "/outcomes", "outcomes", "read"),
    ("POST", "/outcomes", "outcomes", "write"),
    ("PATCH", f"/outcomes/{ZERO}", "outcomes", "write"),
    ("DELETE", f"/outcomes/{ZERO}", "outcomes", "write"),
    ("GET", "/smart-lists", "lists", "read"),
    ("POST", "/smart-lists", "lists", "write"),
    ("GET", f"/smart-lists/{ZERO}", "lists", "read"),
    ("PATCH", f"/smart-lists/{ZERO}", "lists", "write"),
    ("DELETE", f"/smart-lists/{ZERO}", "lists", "write"),
    ("GET", f"/smart-lists/{ZERO}/contacts", "lists", "read"),
    ("PUT", f"/smart-lists/{ZERO}/contacts/{ZERO}", "lists", "write"),
    ("DELETE", f"/smart-lists/{ZERO}/contacts/{ZERO}", "lists", "write"),
    ("GET", "/contacts", "contacts", "read"),
    ("POST", "/contacts", "contacts", "write"),
    ("GET", f"/contacts/{ZERO}", "contacts", "read"),
    ("PATCH", f"/contacts/{ZERO}", "contacts", "write"),
    ("DELETE", f"/contacts/{ZERO}", "contacts", "write"),
    ("GET", f"/contacts/{ZERO}/history", "contacts", "read"),
    ("GET", "/calls", "calls", "read"),
    ("POST", "/calls", "calls", "write"),
    ("GET", f"/calls/{ZERO}", "calls", "read"),
    ("POST", f"/calls/{ZERO}/answer", "calls", "write"),
    ("POST", f"/calls/{ZERO}/end", "calls", "write"),
    ("POST", f"/calls/{ZERO}/outcomes", "calls", "write"),
    ("GET", "/agents", "calls", "read"),
    ("GET", "/agents/nobody", "calls", "read"),
    ("GET", "/events?limit=1", "calls", "read"),
    ("GET", "/webhook-deliveries", "deliveries", "read"),
    ("GET", f"/webhook-deliveries/{ZERO}", "deliveries", "read"),
    ("POST", f"/webhook-deliveries/{ZERO}/retry", "deliveries", "write"),
    ("POST", f"/webhook-deliveries/{ZERO}/cancel", "deliveries", "write"),
    ("POST", "/webhook-deliveries/replay", "deliveries", "write"),
    ("GET", f"/webhook-replays/{ZERO}", "deliveries", "read"),
    ("POST", f"/webhook-replays/{ZERO}/cancel", "deliveries", "write"),
    ("GET", "/webhook-endpoints", "deliveries", "read"),
    ("GET", f"/webhook-endpoints/{ZERO}", "deliveries", "read"),
    ("PATCH", f"/webhook-endpoints/{ZERO}", "deliveries", "write"),
    ("POST", f"/webhook-endpoints/{ZERO}/test", "deliveries", "write"),
    ("GET", "/webhook-secret", "deliveries", "read"),
    ("POST", "/webhook-secret/rotate", "deliveries", "write"),
    ("GET", "/workspace", "workspace", "read"),
    ("PATCH", "/workspace", "workspace", "write"),
]
NOUNS = ("outcomes", "lists", "contacts", "calls", "deliveries", "workspace")
JSON_ACCEPTED = [("Accept", "application/json")]


@pytest.fixture(scope="session")
def api_by_scope(shared_desk: Desk) -> dict[str, Api]:
    """One client for each single scope, and one for each noun that has every other noun's scope."""
    scopes = [f"{noun}:{verb}" for noun in NOUNS for verb in ("read", "write")]
    single = {scope: shared_desk.api_with(scope) for scope in scopes}
    others = {f"all but {noun}": shared_desk.api_with(*all_but(noun)) for noun in NOUNS}
    return single | others


def all_but(noun: str) -> list[str]:
    return [f"{other}:write" for other in NOUNS if other != noun]


def ask(api: Api, method: str, path: str) -> Answer:
    """An empty body is enough: the scope is judged before the fields."""
    if method in {"POST", "PATCH"}:
        return api.request(method, path, json={}, headers=JSON_ACCEPTED)
    return api.request(method, path, headers=JSON_ACCEPTED)


@pytest.mark.parametrize(("method", "path", "noun", "verb"), OPERATIONS)
def test_an_operation_wants_its_own_scope(
    api_by_scope: dict[str, Api], method: str, path: str, noun: str, verb: str
) -> None:
    assert_refused(ask(api_by_scope[f"all but {noun}"], method, path), 403, "forbidden")
    assert ask(api_by_scope[f"{noun}:write"], method, path).status != 403
    reader = ask(api_by_scope[f"{noun}:read"], method, path)
    assert (reader.status == 403) == (verb == "write"), reader


@pytest.mark.parametrize(("method", "path", "noun", "verb"), OPERATIONS)
def test_every_operation_wants_a_token(shared_api: Api, method: str, path: str, noun: str, verb: str) -> None:
    answer = ask(shared_api.with_token(None), method, path)
    assert_refused(answer, 401, "unauthorized")
    assert (answer.header("WWW-Authenticate") or "").startswith("Bearer")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", "Bearer nonsense")],
        [("Authorization", "Bearer \xff\xfe")],
        [("Authorization", "Bearer " + "x" * 6000)],
        [("Authorization", "Basic {token}")],
        [("Authorization", "Token {token}")],
        [("Authorization", "{token}")],
        [("Authorization", "Bearer {token}x")],
        [("Authorization", "Bearer {token} x")],
        [("Authorization", "Bearer, {token}")],
        [("Authorization", "Bearer nonsense"), ("Authorization", "Bearer {token}")],
        [("X-Authorization", "Bearer {token}")],
        [("Cookie", "token={token}")],
    ],
)
def test_what_is_no_good_token_is_unauthorized(shared_api: Api, headers: Pairs) -> None:
    filled = [(name, value.replace("{token}", str(shared_api.token))) for name, value in headers]
    answer = shared_api.with_token(None).get("/outcomes", headers=filled)
    assert_refused(answer, 401, "unauthorized")
    assert (answer.header("WWW-Authenticate") or "").startswith("Bearer")


def test_a_token_in_the_query_is_no_token(shared_api: Api) -> None:
    assert_refused(
        shared_api.with_token(None).get(f"/outcomes?token={shared_api.token}"), 401, "unauthorized"
    )


def test_the_name_of_the_scheme_may_be_in_any_case(shared_api: Api) -> None:
    bearer = [("Authorization", f"bearer {shared_api.token}")]
    assert_done(shared_api.with_token(None).get("/outcomes", headers=bearer))


def test_a_token_with_all_scopes_may_do_everything(shared_api: Api) -> None:
    assert all(
        ask(shared_api, method, path).status != 403 for method, path, _, _ in OPERATIONS if method == "GET"
    )


def test_two_tokens_of_a_workspace_see_the_same_things(desk: Desk) -> None:
    outcome = desk.action()
    seen = assert_done(desk.api_with("outcomes:read").get("/outcomes"))["outcomes"]
    assert seen == [outcome]


def test_a_token_is_not_found_in_the_database(desk: Desk, database_url: str) -> None:
    if not database_url.startswith("sqlite"):
        pytest.skip("only an SQLite database is a file to look into")
    database = Path(database_url.removeprefix("sqlite:///"))
    stored = b"".join(path.read_bytes() for path in database.parent.glob(database.name + "*"))
    assert len(stored) > 4096
    assert str(desk.api.token).encode() not in stored


class Estate:
    """A workspace with one of everything that has an id, and the paths that lead there."""

    def __init__(self, server: Server) -> None:
        self.desk = desk = Desk.open(server, "Somebody else")
        self.smart_list = desk.smart_list()["smart_list_id"]
        self.contact = desk.contact()["contact_id"]
        desk.join(self.smart_list, self.contact)
        self.action = desk.action("https://hooks.example.com/theirs")["outcome_id"]
        self.endpoint = desk.endpoint_of("https://hooks.example.com/theirs")["endpoint_id"]
        desk.set_endpoint("https://hooks.example.com/theirs", state="paused")
        self.disposition = desk.disposition()["outcome_id"]
        self.call = desk.call(contact_id=self.contact, agent_id="their-agent")["call_id"]
        self.delivery = desk.applied(self.call, self.action)["delivery_id"]
        replay = desk.api.post("/webhook-deliveries/replay", json={"since": "2020-01-01T00:00:00.000Z"})
        self.replay = assert_done(replay, 202)["replay"]["replay_id"]

    def picture(self) -> Json:
        """Everything a stranger might have changed."""
        paths = (
            "/outcomes",
            "/smart-lists",
            "/contacts",
            "/calls",
            "/agents",
            "/workspace",
            "/webhook-endpoints",
        )
        one = (f"/webhook-deliveries/{self.delivery}", f"/smart-lists/{self.smart_list}/contacts")
        return [assert_done(self.desk.api.get(path)) for path in (*paths, *one)]


@pytest.fixture(scope="session")
def estate(server: Server) -> Estate:
    return Estate(server)


@pytest.fixture(scope="session")
def own(server: Server) -> Estate:
    """The stranger has things of the same kinds."""
    return Estate(server)


Probe = Callable[[Api, Estate, str], Answer]
GOOD_LIST = {"smart_list_name": "Stolen"}
SINCE = "2020-01-01T00:00:00.000Z"

PATH_PROBES: dict[str, tuple[str, str | None, int, Probe]] = {
    "patch outcome": (
        "action",
        "outcome_not_found",
        404,
        lambda api, _, i: api.patch(f"/outcomes/{i}", json=GOOD_OUTCOME),
    ),
    "delete outcome": ("action", "outcome_not_found", 404, lambda api, _, i: api.delete(f"/outcomes/{i}")),
    "get list": ("smart_list", "smart_list_not_found", 404, lambda api, _, i: api.get(f"/smart-lists/{i}")),
    "patch list": (
        "smart_list",
        "smart_list_not_found",
        404,
        lambda api, _, i: api.patch(f"/smart-lists/{i}", json=GOOD_LIST),
    ),
    "delete list": (
        "smart_list",
        "smart_list_not_found",
        404,
        lambda api, _, i: api.delete(f"/smart-lists/{i}?force=true"),
    ),
    "list members": (
        "smart_list",
        "smart_list_not_found",
        404,
        lambda api, _, i: api.get(f"/smart-lists/{i}/contacts"),
    ),
    "join their list": (
        "smart_list",
        "smart_list_not_found",
        404,
        lambda api, own, i: api.put(f"/smart-lists/{i}/contacts/{own.contact}"),
    ),
    "leave their list": (
        "smart_list",
        "smart_list_not_found",
        404,
        lambda api, own, i: api.delete(f"/smart-lists/{i}/contacts/{own.contact}"),
    ),
    "put their contact on my list": (
        "contact",
        "contact_not_found",
        404,
        lambda api, own, i: api.put(f"/smart-lists/{own.smart_list}/contacts/{i}"),
    ),
    "take their contact off my list": (
        "contact",
        None,
        0,
        lambda api, own, i: api.delete(f"/smart-lists/{own.smart_list}/contacts/{i}"),
    ),
    "get contact": ("contact", "contact_not_found", 404, lambda api, _, i: api.get(f"/contacts/{i}")),
    "patch contact": (
        "contact",
        "contact_not_found",
        404,
        lambda api, _, i: api.patch(f"/contacts/{i}", json={"name": "X"}),
    ),
    "erase contact": ("contact", "contact_not_found", 404, lambda api, _, i: api.delete(f"/contacts/{i}")),
    "history": ("contact", "contact_not_found", 404, lambda api, _, i: api.get(f"/contacts/{i}/history")),
    "get call": ("call", "call_not_found", 404, lambda api, _, i: api.get(f"/calls/{i}")),
    "answer call": ("call", "call_not_found", 404, lambda api, _, i: api.post(f"/calls/{i}/answer")),
    "end call": ("call", "call_not_found", 404, lambda api, _, i: api.post(f"/calls/{i}/end")),
    "apply on their call": (
        "call",
        "call_not_found",
        404,
        lambda api, own, i: api.post(f"/calls/{i}/outcomes", json={"outcome_id": own.action}),
    ),
    "get delivery": (
        "delivery",
        "delivery_not_found",
        404,
        lambda api, _, i: api.get(f"/webhook-deliveries/{i}"),
    ),
    "retry delivery": (
        "delivery",
        "delivery_not_found",
        404,
        lambda api, _, i: api.post(f"/webhook-deliveries/{i}/retry"),
    ),
    "cancel delivery": (
        "delivery",
        "delivery_not_found",
        404,
        lambda api, _, i: api.post(f"/webhook-deliveries/{i}/cancel"),
    ),
    "get replay": ("replay", None, 404, lambda api, _, i: api.get(f"/webhook-replays/{i}")),
    "cancel replay": ("replay", None, 404, lambda api, _, i: api.post(f"/webhook-replays/{i}/cancel")),
    "get endpoint": (
        "endpoint",
        "endpoint_not_found",
        404,
        lambda api, _, i: api.get(f"/webhook-endpoints/{i}"),
    ),
    "patch endpoint": (
        "endpoint",
        "endpoint_not_found",
        404,
        lambda api, _, i: api.patch(f"/webhook-endpoints/{i}", json={"state": "active"}),
    ),
    "test endpoint": (
        "endpoint",
        "endpoint_not_found",
        404,
        lambda api, _, i: api.post(f"/webhook-endpoints/{i}/test"),
    ),
}

BODY_PROBES: dict[str, tuple[str, str | None, int, Probe]] = {
    "destination": (
        "smart_list",
        "destination_not_found",
        404,
        lambda api, _, i: api.post(
            "/outcomes", json=GOOD_OUTCOME | {"destination_type": "smart_list", "destination_id": i}
        ),
    ),
    "lists to leave": (
        "smart_list",
        "destination_not_found",
        404,
        lambda api, own, i: api.post(
            "/outcomes",
            json=GOOD_OUTCOME
            | {
                "destination_type": "remove_from_smart_list",
                "remove_from_smart_lists": {"list_ids": [own.smart_list, i]},
            },
        ),
    ),
    "call their contact": (
        "contact",
        "contact_not_found",
        404,
        lambda api, _, i: api.post("/calls", json={"contact_id": i}),
    ),
    "apply their outcome": (
        "action",
        "outcome_not_found",
        404,
        lambda api, own, i: api.post(f"/calls/{own.call}/outcomes", json={"outcome_id": i}),
    ),
    "wrap up with their disposition": (
        "disposition",
        "outcome_not_found",
        404,
        lambda api, _, i: api.patch("/workspace", json={"wrap_up_timeout_outcome_id": i}),
    ),
    "replay their outcome": (
        "action",
        None,
        0,
        lambda api, _, i: api.post("/webhook-deliveries/replay", json={"since": SINCE, "outcome_id": i}),
    ),
    "replay to their endpoint": (
        "endpoint",
        None,
        0,
        lambda api, _, i: api.post("/webhook-deliveries/replay", json={"since": SINCE, "endpoint_id": i}),
    ),
    "contacts of their list": (
        "smart_list",
        None,
        0,
        lambda api, _, i: api.get(f"/contacts?smart_list_id={i}"),
    ),
    "calls of their contact": ("contact", None, 0, lambda api, _, i: api.get(f"/calls?contact_id={i}")),
    "calls of their agent": ("call", None, 0, lambda api, _, i: api.get(f"/calls?agent_id={i}")),
    "deliveries of their outcome": (
        "action",
        None,
        0,
        lambda api, _, i: api.get(f"/webhook-deliveries?outcome_id={i}"),
    ),
    "deliveries of their call": (
        "call",
        None,
        0,
        lambda api, _, i: api.get(f"/webhook-deliveries?call_id={i}"),
    ),
    "deliveries of their contact": (
        "contact",
        None,
        0,
        lambda api, _, i: api.get(f"/webhook-deliveries?contact_id={i}"),
    ),
    "deliveries of their endpoint": (
        "endpoint",
        None,
        0,
        lambda api, _, i: api.get(f"/webhook-deliveries?endpoint_id={i}"),
    ),
    "events after theirs": (
        "call",
        None,
        0,
        lambda api, _, i: api.get(f"/events?after={i}", headers=JSON_ACCEPTED),
    ),
}

VARYING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[0-9:.]+Z"
)


def skeleton(answer: Answer) -> tuple[int, Json, set[str]]:
    """An answer without its ids, times and request id."""
    body = VARYING.sub("*", answer.body.decode().replace(str(answer.header("X-Request-Id")), "*"))
    return answer.status, body, {name.lower() for name in set(answer.headers)}


@pytest.mark.parametrize("name", [*PATH_PROBES, *BODY_PROBES])
def test_an_id_of_another_workspace_answers_exactly_like_an_unknown_one(
    estate: Estate, own: Estate, name: str
) -> None:
    noun, code, status, probe = (PATH_PROBES | BODY_PROBES)[name]
    before = estate.picture()
    theirs = probe(own.desk.api, own, getattr(estate, noun))
    nobodys = probe(own.desk.api, own, unknown_id())
    assert skeleton(theirs) == skeleton(nobodys)
    assert theirs.status < 500
    if status:
        assert theirs.status == status, theirs
    if code:
        assert_refused(theirs, status, code)
    assert estate.picture() == before


def test_the_agent_of_another_workspace_is_not_known_here(estate: Estate, own: Estate) -> None:
    stranger = Desk.api_with(own.desk, "calls:read")
    assert estate.desk.api.get("/agents/their-agent").status == 200
    fresh = own.desk.api.get("/agents/an-agent-that-never-was")
    assert_refused(fresh, 404, "agent_not_found")
    assert stranger.get("/agents/their-agent").json["agent"]["call_id"] == own.call


def test_the_same_external_id_and_number_live_apart_in_two_workspaces(server: Server) -> None:
    number = fresh_phone_number()
    calls = [Desk.open(server).call(phone_number=number, external_id="pbx-1") for _ in range(2)]
    assert calls[0]["call_id"] != calls[1]["call_id"]
    assert calls[0]["contact_id"] != calls[1]["contact_id"]
