from __future__ import annotations

import base64
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.domain.signing import (
    InvalidSecret,
    InvalidTimestamp,
    SignatureError,
    SignatureMismatch,
    TimestampOutsideTolerance,
    new_secret,
    sign,
    verify,
)

SECRET = new_secret(bytes(range(32)))
OTHER_SECRET = new_secret(b"\xff" * 24)
MESSAGE_ID = "0197a5b0-0000-7000-8000-000000000000"
BODY = '{"outcome_name":"Rückruf"}'.encode()
NOW = 1_781_935_984


def check(header: str, **changed: object) -> None:
    arguments: dict[str, object] = {
        "message_id": MESSAGE_ID,
        "timestamp": str(NOW),
        "body": BODY,
        "now_seconds": NOW,
        **changed,
    }
    secrets = arguments.pop("secrets", [SECRET])
    verify(secrets, signature_header=header, **arguments)  # type: ignore[arg-type]


def signed(*secrets: str) -> str:
    return sign(secrets or [SECRET], message_id=MESSAGE_ID, timestamp_seconds=NOW, body=BODY)


def test_the_signature_is_the_one_that_openssl_computes() -> None:
    message = f"{MESSAGE_ID}.{NOW}.".encode() + BODY
    command = [
        "openssl",
        "dgst",
        "-sha256",
        "-mac",
        "HMAC",
        "-macopt",
        f"hexkey:{bytes(range(32)).hex()}",
        "-binary",
    ]
    digest = subprocess.run(command, input=message, capture_output=True, check=True).stdout
    assert signed() == "v1," + base64.b64encode(digest).decode()


def test_the_signature_of_the_published_example() -> None:
    # The example of the Standard Webhooks libraries; it pins secret, message and signature from outside.
    assert (
        sign(
            ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
            message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp_seconds=1614265330,
            body=b'{"test": 2432232314}',
        )
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_a_secret_is_its_prefix_and_base64() -> None:
    assert new_secret(b"\x00" * 24) == "whsec_" + "A" * 32


@pytest.mark.parametrize("length", [0, 23, 65])
def test_secrets_have_24_to_64_bytes(length: int) -> None:
    with pytest.raises(InvalidSecret):
        new_secret(b"x" * length)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_!!!!", "whsec_QUJD", SECRET[6:], "whsec_é", SECRET + "\n"]
)
def test_what_is_no_secret_signs_nothing_and_is_not_repeated(secret: str) -> None:
    with pytest.raises(InvalidSecret) as refused:
        signed(secret)
    assert len(secret) <= len("whsec_") or secret not in str(refused.value)


def test_what_was_signed_verifies() -> None:
    check(signed())


def test_while_a_secret_is_rotated_either_secret_verifies() -> None:
    header = signed(SECRET, OTHER_SECRET)
    assert header.count("v1,") == 2
    check(header, secrets=[SECRET])
    check(header, secrets=[OTHER_SECRET])
    check(signed(), secrets=[OTHER_SECRET, SECRET])


def test_unknown_versions_beside_ours_are_ignored() -> None:
    check(f"v1a,abc {signed()} v2,def")


@pytest.mark.parametrize(
    "header",
    ["", "v1,", "v1", "nonsense", "v1,é", "v1,\ud800", signed(OTHER_SECRET), signed()[3:], signed()[:-1]],
)
def test_a_header_without_a_fitting_signature_is_refused(header: str) -> None:
    with pytest.raises(SignatureMismatch):
        check(header)


def test_no_secret_verifies_nothing() -> None:
    with pytest.raises(SignatureMismatch):
        check(signed(), secrets=[])


@pytest.mark.parametrize(
    "changed", [{"body": BODY + b" "}, {"message_id": "other"}, {"timestamp": str(NOW + 1)}], ids=str
)
def test_every_part_of_the_message_is_signed(changed: dict[str, object]) -> None:
    with pytest.raises(SignatureMismatch):
        check(signed(), **changed)


@pytest.mark.parametrize("now", [NOW - 300, NOW + 300])
def test_within_five_minutes_either_way_a_message_is_fresh(now: float) -> None:
    check(signed(), now_seconds=now)


@pytest.mark.parametrize("now", [NOW - 301, NOW + 301])
def test_outside_the_tolerance_a_message_is_refused(now: float) -> None:
    with pytest.raises(TimestampOutsideTolerance):
        check(signed(), now_seconds=now)
    check(signed(), now_seconds=now, tolerance_seconds=301)


@pytest.mark.parametrize("timestamp", ["", "abc", "-5", "1.5", "١٢٣", " 5", "9" * 13, "1e9"])
def test_a_timestamp_is_whole_seconds(timestamp: str) -> None:
    with pytest.raises(InvalidTimestamp):
        check(signed(), timestamp=timestamp)


@given(st.text(), st.text(), st.text(), st.binary())
def test_verifying_raises_nothing_but_its_own_errors(
    message_id: str, timestamp: str, header: str, body: bytes
) -> None:
    with pytest.raises(SignatureError):
        verify(
            [SECRET],
            message_id=message_id,
            timestamp=timestamp,
            signature_header=header,
            body=body,
            now_seconds=NOW,
        )


@given(st.binary(min_size=24, max_size=64), st.text(), st.integers(0, 10**12 - 1), st.binary())
def test_any_message_signed_with_any_secret_verifies(
    random_bytes: bytes, message_id: str, timestamp_seconds: int, body: bytes
) -> None:
    secret = new_secret(random_bytes)
    header = sign([secret], message_id=message_id, timestamp_seconds=timestamp_seconds, body=body)
    verify(
        [secret],
        message_id=message_id,
        timestamp=str(timestamp_seconds),
        signature_header=header,
        body=body,
        now_seconds=timestamp_seconds,
    )
