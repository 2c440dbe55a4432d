"""Webhook verification: what is trusted, and that nothing else comes out but one kind of error."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import werkzeug.datastructures
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from harness import Desk
from leadline.client import Client, ConfigurationError, Webhook, WebhookProblem, WebhookVerificationError
from leadline.client.models import WebhookEvent
from leadline.clock import Clock
from receiver import Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = json.dumps(
    {
        "error_message": "",
        "timestamp": 1781935984000,
        "scope": {"subaccount_id": "s", "organization_id": "o"},
        "outcome": {"outcome_id": "out", "outcome_name": "Interested", "outcome_type": "action"},
        "call": {"call_id": "call", "phone_number": None, "contact_id": None},
        "destination": {"destination_type": "smart_list", "destination_id": "list"},
        "new_in_a_later_version": True,
    }
).encode()
HOOK = Webhook(SECRET)
SIGNED = HOOK.sign(BODY, webhook_id="msg")


@pytest.fixture(autouse=True)
def just_signed() -> None:
    """A signature is good for minutes, and a whole test run takes longer."""
    SIGNED.update(HOOK.sign(BODY, webhook_id="msg"))


def as_message(headers: dict[str, str]) -> Message:
    message = Message()
    for name, value in headers.items():
        message[name] = value
    return message


SHAPES: dict[str, Callable[[dict[str, str]], Any]] = {
    "a dict": lambda headers: headers,
    "a dict in another case": lambda headers: {name.title(): value for name, value in headers.items()},
    "a dict of bytes": lambda headers: {n.encode(): v.encode() for n, v in headers.items()},
    "ASGI": lambda headers: [(name.encode(), value.encode()) for name, value in headers.items()],
    "WSGI": lambda headers: {f"HTTP_{n.upper().replace('-', '_')}": v for n, v in headers.items()} | {"wsgi.x": 1},
    "Starlette": Headers,
    "Werkzeug": werkzeug.datastructures.Headers,
    "http.server": as_message,
    "an iterator": lambda headers: iter(headers.items()),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_headers_come_in_every_shape_that_frameworks_have(shape: str) -> None:
    event = HOOK.verify(SHAPES[shape](SIGNED), BODY)
    assert event.webhook_id == "msg"
    assert event.deduplication_key == ("call", "out")
    assert event.destination.destination_id == "list"


@pytest.mark.parametrize("body", [BODY, BODY.decode(), bytearray(BODY), memoryview(BODY)], ids=type)
def test_the_body_may_be_bytes_or_text(body: Any) -> None:
    assert HOOK.verify(SIGNED, body).outcome.outcome_name == "Interested"


def problem_of(hook: Webhook, headers: Any, body: Any) -> WebhookProblem:
    with pytest.raises(WebhookVerificationError) as refused:
        hook.verify(headers, body)
    assert SECRET not in str(refused.value)
    return refused.value.problem


def test_what_is_wrong_is_named() -> None:
    assert problem_of(HOOK, SIGNED, BODY + b" ") is WebhookProblem.SIGNATURE
    assert problem_of(Webhook(OTHER), SIGNED, BODY) is WebhookProblem.SIGNATURE
    assert problem_of(HOOK, SIGNED | {"webhook-id": "other"}, BODY) is WebhookProblem.SIGNATURE
    assert problem_of(HOOK, SIGNED | {"webhook-timestamp": "soon"}, BODY) is WebhookProblem.TIMESTAMP
    assert problem_of(HOOK, {}, BODY) is WebhookProblem.HEADERS
    assert problem_of(HOOK, None, BODY) is WebhookProblem.HEADERS
    assert problem_of(HOOK, SIGNED, {"parsed": True}) is WebhookProblem.BODY
    assert problem_of(HOOK, HOOK.sign(b"[]", webhook_id="m"), b"[]") is WebhookProblem.BODY
    twice = [*SIGNED.items(), ("Webhook-Id", "another")]
    assert problem_of(HOOK, twice, BODY) is WebhookProblem.HEADERS


@pytest.mark.parametrize("name", list(SIGNED))
def test_a_missing_header_is_named(name: str) -> None:
    headers = {key: value for key, value in SIGNED.items() if key != name}
    with pytest.raises(WebhookVerificationError, match=name):
        HOOK.verify(headers, BODY)


def test_old_and_early_webhooks_are_refused_beyond_the_tolerance() -> None:
    now = Clock().now_ms() // 1000
    for age, hook in ((-400, HOOK), (400, HOOK), (90, Webhook(SECRET, tolerance_seconds=60))):
        headers = HOOK.sign(BODY, webhook_id="m", timestamp_seconds=now - age)
        assert problem_of(hook, headers, BODY) is WebhookProblem.TIMESTAMP
    old = HOOK.sign(BODY, webhook_id="m", timestamp_seconds=now - 3000)
    assert Webhook(SECRET, tolerance_seconds=3600).verify(old, BODY).webhook_id == "m"


def test_one_of_several_secrets_is_enough_on_either_side() -> None:
    both = Webhook([OTHER, SECRET])
    assert both.verify(SIGNED, BODY).webhook_id == "msg"
    assert HOOK.verify(both.sign(BODY, webhook_id="m"), BODY).webhook_id == "m"


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_x", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", [], [SECRET, "x"], [1]]
)
def test_a_secret_that_is_none_is_refused_when_it_is_given(secret: Any) -> None:
    with pytest.raises(ConfigurationError):
        Webhook(secret)


def test_a_secret_is_in_no_repr() -> None:
    assert SECRET not in repr(HOOK) + str(HOOK)


ANYTHING = st.one_of(
    st.none(), st.integers(), st.text(), st.binary(), st.floats(), st.lists(st.text()),
    st.dictionaries(st.text() | st.binary() | st.none(), st.text() | st.binary() | st.integers()),
    st.lists(st.tuples(st.text() | st.binary(), st.text() | st.binary() | st.none())),
)  # fmt: skip
HEADER_TEXT = st.text() | st.sampled_from(
    ["v1,", "v1,=", "v1," + "A" * 44, "v2,x", "9" * 400, "-1", "٣", "\ud800"]
)
HOSTILE = st.fixed_dictionaries(
    {},
    optional={name: HEADER_TEXT | st.binary() | st.just(SIGNED[name]) for name in SIGNED},
)


class Broken:
    """A mapping that cannot even be looked at."""

    def items(self) -> Any:
        raise RuntimeError("no")


@given(headers=ANYTHING | HOSTILE, body=ANYTHING)
@example(headers=Broken(), body=b"")
@example(headers=SIGNED, body="\ud800")
def test_nothing_but_its_own_error_comes_out(headers: Any, body: Any) -> None:
    with pytest.raises(WebhookVerificationError):
        HOOK.verify(headers, body)


@given(body=st.binary() | st.just(b"[" * 100_000))
def test_a_signed_body_of_any_bytes_is_an_event_or_that_error(body: bytes) -> None:
    try:
        assert isinstance(HOOK.verify(HOOK.sign(body, webhook_id="m"), body), WebhookEvent)
    except WebhookVerificationError as refused:
        assert refused.problem is WebhookProblem.BODY  # noqa: PT017 - either way is right


@given(position=st.integers(0, len(BODY) - 1), flip=st.integers(1, 255))
def test_no_changed_byte_passes(position: int, flip: int) -> None:
    changed = bytearray(BODY)
    changed[position] ^= flip
    assert problem_of(HOOK, SIGNED, changed) is WebhookProblem.SIGNATURE


def test_a_webhook_of_the_real_server_is_verified(own_desk: Desk, client: Client, receiver: Receiver) -> None:
    secret = client.rotate_webhook_secret(overlap_seconds=0).secret
    action = own_desk.action(receiver.url, outcome_name="Möchte Angebot ☎")
    call = own_desk.call()
    own_desk.applied(call["call_id"], action["outcome_id"])
    (hit,) = receiver.wait_for()
    event = Webhook(secret).verify(hit.headers, hit.body)
    assert event.deduplication_key == (call["call_id"], action["outcome_id"])
    assert event.call.phone_number == call["phone_number"]
    assert event.scope.subaccount_id == own_desk.subaccount_id
    assert event.webhook_id == hit.webhook_id
    client.test_endpoint(next(client.iter_endpoints()).endpoint_id)
    sample = receiver.wait_for(2)[1]
    assert Webhook([OTHER, secret]).verify(sample.headers, sample.body).outcome.outcome_name == "Test"
    assert urlsplit(sample.target).path == receiver.path


def test_an_event_is_frozen() -> None:
    event = HOOK.verify(SIGNED, BODY)
    with pytest.raises(AttributeError):
        event.timestamp = 1  # type: ignore[misc]
    assert msgspec.json.encode(event)
    assert not dataclasses.is_dataclass(event)
