"""When a call is tried again, how long it waits, and what it makes of every answer: without a network."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.client import (
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    LeadlineError,
    Options,
    UnexpectedAnswer,
    errors,
)
from leadline.client.exchange import Broken, Send, Surroundings, Wait, exchange, retry_after_seconds
from leadline.client.models import Response
from leadline.client.requests import (
    Reply,
    Request,
    any_request,
    create_contact,
    create_smart_list,
    delete_outcome,
    list_contacts,
    list_outcomes,
)
from leadline.client.requests.smart_lists import get_smart_list
from leadline.web.problems import STATUS_OF_CODE

LIST = {
    "smart_list_id": "0190f3a0-0000-7000-8000-00000000000a",
    "smart_list_name": "Warm",
    "contact_count": 0,
    "created_at": "2026-06-25T00:00:00.000Z",
    "updated_at": "2026-06-25T00:00:00.000Z",
}
DONE = Reply(201, {"x-request-id": "r-1"}, json.dumps({"ok": True, "smart_list": LIST, "new": 1}).encode())
GONE = Broken("connection refused")


def refusal(status: int, code: str, **headers: str) -> Reply:
    body = {"ok": False, "error": code, "message": "No.", "details": [], "request_id": "r-2"}
    return Reply(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode()
    )


@dataclass
class World:
    """Time that passes only when it is waited for, and chance that is always nought."""

    now_seconds: float = 1000.0
    seconds_per_send: float = 0.0
    keys: itertools.count[int] = field(default_factory=itertools.count)

    def surroundings(self) -> Surroundings:
        return Surroundings(
            now=lambda: self.now_seconds, fraction=lambda: 0.0, new_key=lambda: f"key-{next(self.keys)}"
        )


@dataclass
class Played:
    sends: list[Send]
    waits: list[float]
    response: Response[object] | None = None
    error: LeadlineError | None = None


def play(
    request: Request[object],
    answers: Sequence[Reply | Broken],
    options: Options | None = None,
    world: World | None = None,
) -> Played:
    """Answer the sends one after the other; the last answer is given for ever."""
    world = world or World()
    played = Played([], [])
    left = list(answers)
    steps = exchange(request, options or Options(), world.surroundings())
    came: Reply | Broken | None = None
    try:
        while True:
            step = steps.send(came)
            if isinstance(step, Wait):
                played.waits.append(step.seconds)
                world.now_seconds += step.seconds
                came = None
            else:
                played.sends.append(step)
                world.now_seconds += world.seconds_per_send
                came = left.pop(0) if len(left) > 1 else left[0]
    except StopIteration as done:
        played.response = done.value
    except LeadlineError as error:
        played.error = error
    return played


MAKE: Request[object] = create_smart_list(smart_list_name="Warm")  # type: ignore[assignment]
LOOK: Request[object] = get_smart_list(LIST["smart_list_id"])  # type: ignore[arg-type, assignment]


@pytest.mark.parametrize(
    "passing",
    [
        GONE,
        Broken("silence", timed_out=True),
        refusal(503, "unavailable"),
        refusal(429, "rate_limited"),
        refusal(409, "idempotency_key_in_use"),
        Reply(502, {}, b"<html>"),
        Reply(504, {}, b""),
    ],
    ids=str,
)
def test_what_may_pass_is_tried_again_with_the_same_key(passing: Reply | Broken) -> None:
    played = play(MAKE, [passing, passing, DONE])
    assert played.response is not None
    assert len(played.sends) == 3
    assert {send.headers["idempotency-key"] for send in played.sends} == {"key-0"}
    assert {send.content for send in played.sends} == {b'{"smart_list_name":"Warm"}'}
    assert played.waits == [0.2, 0.4]


@pytest.mark.parametrize(
    "code",
    sorted(set(STATUS_OF_CODE) - {"unavailable", "rate_limited", "idempotency_key_in_use"}),
)
def test_a_refusal_that_does_not_pass_is_raised_at_once_as_its_own_class(code: str) -> None:
    played = play(MAKE, [refusal(STATUS_OF_CODE[code], code), DONE])
    assert type(played.error) is errors.CLASS_OF_CODE[code]
    assert len(played.sends) == 1


@pytest.mark.parametrize(
    "request_",
    [
        create_smart_list(smart_list_name="a", idempotency_key="b\nc"),
        create_smart_list(smart_list_name="a", idempotency_key="é"),
        create_smart_list(smart_list_name="\ud800"),
        create_contact(phone_number="1", attributes={"a": object()}),  # type: ignore[dict-item]
        delete_outcome("x", if_match="\r\n"),
    ],
    ids=lambda each: each.operation,
)
def test_what_cannot_be_sent_is_refused_before_it_is(request_: Request[object]) -> None:
    played = play(request_, [DONE])
    assert isinstance(played.error, ConfigurationError)
    assert played.sends == []


@pytest.mark.parametrize(
    ("method", "path"), [("GET /", "/"), ("", "/"), ("GET", "x"), ("GET", "/a b"), ("GET", "/\n")]
)
def test_what_is_no_request_line_is_refused(method: str, path: str) -> None:
    with pytest.raises(ConfigurationError):
        any_request(method, path)


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        list_contacts(q="\udcff")


def test_two_calls_have_two_keys_and_reads_have_none() -> None:
    world = World()
    first, second = play(MAKE, [DONE], world=world), play(MAKE, [DONE], world=world)
    assert first.sends[0].headers["idempotency-key"] != second.sends[0].headers["idempotency-key"]
    assert "idempotency-key" not in play(LOOK, [DONE]).sends[0].headers


def test_retry_after_is_waited_for_and_backoff_is_bounded() -> None:
    played = play(MAKE, [refusal(429, "rate_limited", retry_after="7"), DONE])
    assert played.waits == [7.0]
    options = Options(attempts_max=8, backoff_max_seconds=1.0)
    assert play(MAKE, [GONE], options).waits == [0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0]


def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    played = play(MAKE, [refusal(429, "rate_limited", retry_after="3600"), DONE])
    assert played.waits == []
    assert isinstance(played.error, errors.RateLimited)
    assert played.error.retry_after_seconds == 3600


def test_attempts_are_bounded_and_the_error_says_the_key() -> None:
    played = play(MAKE, [GONE], Options(attempts_max=3))
    assert len(played.sends) == 3
    assert isinstance(played.error, ConnectionFailed)
    assert (played.error.attempts, played.error.idempotency_key) == (3, "key-0")
    assert "3 times" in str(played.error)


def test_the_deadline_covers_all_attempts_and_shortens_the_last_one() -> None:
    options = Options(deadline_seconds=25, timeout_seconds=10, attempts_max=9)
    played = play(MAKE, [Broken("silence", timed_out=True)], options, World(seconds_per_send=10))
    assert isinstance(played.error, DeadlineExceeded)
    assert [round(send.timeout_seconds, 1) for send in played.sends] == [10, 10, 4.4]


def test_unknown_fields_are_passed_over_and_a_wrong_shape_is_named() -> None:
    response = play(MAKE, [DONE]).response
    assert response is not None
    assert response.request_id == "r-1"
    for body in (b"", b"<html>", b"[]", b'{"ok": true}', b'{"smart_list": 1}'):
        assert isinstance(play(MAKE, [Reply(200, {}, body)]).error, UnexpectedAnswer)


def test_a_code_of_tomorrow_is_of_the_class_of_its_status() -> None:
    for status, branch in (
        (400, errors.BadRequest),
        (404, errors.NotFound),
        (418, errors.Refused),
        (500, errors.ServerFailed),
    ):
        error = play(MAKE, [refusal(status, "something_new")]).error
        assert type(error) is branch
        assert isinstance(error, errors.Refused)
        assert error.code == "something_new"


def test_not_modified_without_anything_known_is_no_value() -> None:
    assert isinstance(play(list_outcomes(), [Reply(304, {}, b"")]).error, UnexpectedAnswer)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "Wed, 25 Jun 2026 00:00:10 GMT", "date": "Wed, 25 Jun 2026 00:00:00 GMT"}, 10.0),
        ({"retry-after": "Wed, 25 Jun 2026 00:00:00 GMT", "date": "Wed, 25 Jun 2026 00:00:10 GMT"}, 0.0),
        ({"retry-after": "Wed, 25 Jun 2026 00:00:10 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 400}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_clock(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after_seconds(Reply(429, headers, b"")) == seconds


@given(status=st.integers(100, 599), body=st.binary(), retry_after=st.text(max_size=30))
def test_whatever_comes_back_ends_in_a_value_or_an_error_of_ours(
    status: int, body: bytes, retry_after: str
) -> None:
    played = play(LOOK, [Reply(status, {"retry-after": retry_after}, body)])
    assert (played.response is None) is isinstance(played.error, LeadlineError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(
    status=st.sampled_from([400, 404, 409, 500, 503]),
    body=st.dictionaries(
        st.sampled_from(["ok", "error", "message", "details", "request_id", "call_id"]), JSON
    ),
)
def test_a_refusal_of_any_shape_is_an_error_of_ours(status: int, body: dict[str, object]) -> None:
    played = play(LOOK, [Reply(status, {}, json.dumps(body).encode())], Options(attempts_max=1))
    assert isinstance(played.error, LeadlineError)
    assert str(played.error)
