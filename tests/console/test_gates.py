"""Laws over every page that there is: nobody below its role, nothing without a token, one policy on every answer."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable
from contextlib import closing

import pytest

from console.browser import aside, make_user
from console.visitor import Visitor
from harness import Answer, Desk, Server, connect
from leadline.domain.access import Role, may
from leadline.domain.paging import Position, encode_cursor
from leadline.web.console import PAGES
from leadline.web.console.table import Page
from leadline.web.pages import CSP

ZERO = "00000000-0000-4000-8000-000000000000"
_PARAMETER = re.compile(r"\{\w+\}")


def path_of(page: Page) -> str:
    return _PARAMETER.sub(ZERO, page.path)


def name_of(page: Page) -> str:
    return f"{page.method} {page.path}"


each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)
each_form = pytest.mark.parametrize("page", [page for page in PAGES if page.method == "POST"], ids=name_of)


@pytest.fixture(scope="module")
def visitors(console_server: Server) -> dict[Role, Visitor]:
    """Somebody of every role, with the token of his forms looked up once."""
    desk = aside(lambda: Desk.open(console_server))
    url = console_server.base_url
    return {role: Visitor.with_session(url, make_user(desk, role).session) for role in Role}


@pytest.fixture(scope="module")
def tokens(visitors: dict[Role, Visitor]) -> dict[Role, str]:
    return {role: visitor.csrf() for role, visitor in visitors.items()}


def assert_guarded(answer: Answer) -> None:
    # Beside what the policy of every page allows, only sheets and a script of ours, each by its hash.
    policy = re.sub(r" 'sha256-[\w+/]+='", "", answer.header("Content-Security-Policy") or "")
    assert policy == CSP.decode()
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Referrer-Policy") == "same-origin"
    assert answer.header("Cross-Origin-Opener-Policy") == "same-origin"
    assert answer.header("Cross-Origin-Resource-Policy") == "same-origin"
    assert answer.header("Cache-Control") == "no-store"


@each_page
def test_every_page_refuses_every_role_below_its_own(
    page: Page, visitors: dict[Role, Visitor], tokens: dict[Role, str]
) -> None:
    for role, visitor in visitors.items():
        if page.permission is None or may(role, page.permission):
            continue
        path = path_of(page)
        answer = visitor.get(path) if page.method == "GET" else visitor.post(path, csrf=tokens[role])
        assert answer.status == 403, (role, answer)
        assert_guarded(answer)


@each_page
def test_every_page_that_needs_a_user_sends_strangers_to_sign_in(page: Page, console_server: Server) -> None:
    visitor = Visitor(console_server.base_url)
    if page.permission is None:
        return
    if page.method == "GET":
        answer = visitor.get(path_of(page))
        assert answer.status == (401 if page.scripted else 303), answer
    else:
        answer = visitor.post(path_of(page))
        assert answer.status == 401, answer
    assert_guarded(answer)


@each_form
@pytest.mark.parametrize("csrf", ["", "wrong"])
def test_no_form_acts_without_its_token(page: Page, csrf: str, visitors: dict[Role, Visitor]) -> None:
    answer = visitors[Role.ADMINISTRATOR].post(path_of(page), csrf=csrf)
    assert answer.status == 403, answer


def test_a_token_of_another_session_is_worth_nothing(
    visitors: dict[Role, Visitor], tokens: dict[Role, str]
) -> None:
    answer = visitors[Role.ADMINISTRATOR].post("/sign-out", csrf=tokens[Role.AGENT])
    assert answer.status == 403
    assert visitors[Role.ADMINISTRATOR].is_signed_in


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"}, {"Content_Type": "text/plain"}, {"Content_Type": "multipart/form-data"},
        {"Origin": "http://["},
    ],
    ids=str,
)  # fmt: skip
def test_a_form_of_another_site_is_refused_even_with_the_token(
    headers: dict[str, str], visitors: dict[Role, Visitor], tokens: dict[Role, str]
) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = visitors[Role.ADMINISTRATOR].post("/sign-out", None, csrf=tokens[Role.ADMINISTRATOR], **named)
    assert answer.status in (403, 415)
    assert visitors[Role.ADMINISTRATOR].is_signed_in


def test_a_form_of_our_own_origin_is_taken(
    console_server: Server, visitors: dict[Role, Visitor], tokens: dict[Role, str]
) -> None:
    answer = visitors[Role.AGENT].post(
        "/settings/profile/preferences",
        {"theme": "dark"},
        csrf=tokens[Role.AGENT],
        Origin=console_server.base_url,
    )
    assert answer.status == 200


@pytest.mark.parametrize(
    "body", [b"csrf=%ff", b"csrf=a%00", b"&".join([b"a=b"] * 3000), b"x" * 70_000, b"\xff\xfe"], ids=len
)
def test_a_hostile_form_is_refused_in_plain_words(body: bytes, visitors: dict[Role, Visitor]) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = visitors[Role.ADMINISTRATOR].send("POST", "/settings/workspace", body, headers)
    assert answer.status in (400, 403, 413)


@pytest.mark.parametrize(
    "path",
    [
        "/settings/tokens?cursor=x", "/settings/audit?cursor=zzz", "/settings/audit?since=never",
        "/settings/audit?until=9999-12-31", "/settings/profile?a=%ff", "/search?q=%00",
    ],
)  # fmt: skip
def test_a_hostile_address_is_no_fault_of_ours(path: str, visitors: dict[Role, Visitor]) -> None:
    assert visitors[Role.ADMINISTRATOR].get(path).status in (200, 400)


def test_a_hostile_flash_is_passed_over(visitors: dict[Role, Visitor]) -> None:
    signed_in = visitors[Role.ADMINISTRATOR].cookies
    visitor = Visitor(visitors[Role.ADMINISTRATOR].base_url, signed_in | {"leadline_flash": "W1tb" * 1000})
    assert visitor.get("/settings/profile").status == 200


@pytest.mark.parametrize(
    "path", [page.path for page in PAGES if page.method == "GET" and "{" not in page.path and not page.flow]
)
def test_a_block_that_cannot_stand_alone_is_no_part_of_its_page(
    path: str, visitors: dict[Role, Visitor]
) -> None:
    for block in ("main", "dialogs", "keys", "scripts", "title", "nothing"):
        answer = visitors[Role.ADMINISTRATOR].get(path, Leadline_Fragment=block)
        assert answer.status < 500, (block, answer)


# PostgreSQL cannot even be asked for an id that is none.
_NO_IDS = (
    "smart_list_id=x", "contact_id=x", "outcome_id=x", "endpoint_id=x", "call_id=x", "thing_id=x", "actor=x",
    "open=x", "test=x", f"cursor={encode_cursor(Position(1, '----' + '0' * 32))}",
)  # fmt: skip


def test_what_is_no_id_is_no_fault_of_ours_on_postgresql_either(
    make_database: Callable[[str], str], make_server: Callable[..., Server]
) -> None:
    server = make_server(make_database("postgresql"))
    desk = aside(lambda: Desk.open(server))
    contact, smart_list = f"/contacts/{desk.contact()['contact_id']}", desk.smart_list()["smart_list_id"]
    visitor = Visitor.with_session(server.base_url, make_user(desk).session)
    for page in PAGES:
        if page.method == "GET" and "{" not in page.path:
            for query in _NO_IDS:
                answer = visitor.get(f"{page.path}?{query}")
                assert answer.status < 500, (page.path, query, answer)
    for path, field in (
        (f"{contact}/join", "smart_list_id"),
        (f"{contact}/leave", "smart_list_id"),
        (f"/smart-lists/{smart_list}/members", "contact_id"),
    ):
        assert visitor.post(path, {field: "x"}).status == 404, path


def test_another_workspaces_things_are_not_there(
    console_server: Server, visitors: dict[Role, Visitor]
) -> None:
    other = aside(lambda: Desk.open(console_server))
    stranger = make_user(other)
    admin = visitors[Role.ADMINISTRATOR]
    assert admin.get(f"/settings/users/{stranger.user_id}").status == 404
    assert admin.post(f"/settings/users/{stranger.user_id}/disable").status == 404
    assert Visitor.with_session(console_server.base_url, stranger.session).is_signed_in


def test_an_unknown_page_is_a_page_for_browsers_and_json_for_programs(console_server: Server) -> None:
    visitor = Visitor(console_server.base_url)
    page = visitor.get("/nowhere")
    assert page.status == 404
    assert b"<h1>Not found</h1>" in page.body
    assert_guarded(page)
    assert visitor.get("/nowhere", Accept="*/*").json["error"] == "not_found"


@pytest.mark.parametrize("host", ["", "a b", "a:99999"])
def test_what_is_refused_before_any_page_is_a_page_for_browsers_too(
    host: str, console_server: Server
) -> None:
    visitor = Visitor(console_server.base_url)
    page = visitor.get("/desk", Host=host)
    assert page.status == 400
    assert b"<h1>That did not work</h1>" in page.body
    assert (page.header("Content-Type") or "").startswith("text/html")
    assert (page.header("Content-Security-Policy") or "").startswith("default-src 'none'")
    assert (page.header("X-Request-Id") or "?").encode() in page.body
    for path, accept in (
        ("/desk", "*/*"),
        ("/desk", "application/json"),
        ("/phone-system/calls", "text/html"),
    ):
        assert visitor.get(path, Host=host, Accept=accept).json["error"] == "invalid_request", (path, accept)


@pytest.mark.parametrize(
    "query", ["", "?since=0", "?since=999999999999999", "?since=9999999999999999", "?since=-1"]
)
def test_the_event_stream_is_for_who_is_signed_in_and_guarded_like_a_page(
    query: str, console_server: Server, visitors: dict[Role, Visitor]
) -> None:
    assert Visitor(console_server.base_url).get("/live").status == 401
    agent = visitors[Role.AGENT]
    with connect(console_server.base_url) as wire:
        cookie = f"leadline_session={agent.cookies['leadline_session']}"
        wire.sendall(f"GET /live{query} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
        with closing(http.client.HTTPResponse(wire)) as stream:
            stream.begin()
            assert stream.status == 200
            assert_guarded(Answer(stream.status, stream.headers, b""))
            assert (stream.getheader("Content-Type") or "").startswith("text/event-stream")
    assert agent.get("/live?after=nonsense").status == 400
