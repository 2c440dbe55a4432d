"""Standard Webhooks signatures: made by the sender, checked by receivers (contract § 5).

Standard library only, because the client package shares it.

    SignatureError
    ├── InvalidSecret              the secret is no `whsec_…`
    ├── InvalidTimestamp           webhook-timestamp is not whole seconds
    ├── TimestampOutsideTolerance  signed too long ago, or in the future
    └── SignatureMismatch          no signature fits: another secret, or changed on the way
"""

from __future__ import annotations

import base64
import binascii
import hmac
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SECRET_PREFIX = "whsec_"  # noqa: S105 - it marks secrets and is none
SECRET_BYTES_MIN = 24
SECRET_BYTES_MAX = 64
TOLERANCE_SECONDS = 300
_VERSION = "v1,"
# A timestamp beyond this is no date; the bound also keeps int() from chewing on endless digits.
_TIMESTAMP_DIGITS_MAX = 12


class SignatureError(ValueError):
    """A webhook cannot be signed or must not be trusted. Base of the errors of this module."""


class InvalidSecret(SignatureError):
    """The secret is not `whsec_` followed by the base64 of 24 to 64 bytes. The secret is not repeated."""

    def __init__(self) -> None:
        super().__init__("the secret must be whsec_ followed by the base64 of 24 to 64 bytes")


class InvalidTimestamp(SignatureError):
    """The `webhook-timestamp` header is not a whole number of Unix seconds."""

    def __init__(self) -> None:
        super().__init__("webhook-timestamp must be Unix seconds")


class TimestampOutsideTolerance(SignatureError):
    """The message was signed too long ago or in the future: perhaps replayed, or a clock is wrong."""

    def __init__(self, age_seconds: float, tolerance_seconds: float) -> None:
        super().__init__(f"signed {age_seconds:.0f} s ago; at most {tolerance_seconds:.0f} s is accepted")
        self.age_seconds = age_seconds
        self.tolerance_seconds = tolerance_seconds


class SignatureMismatch(SignatureError):
    """None of the signatures fits the message and any of the secrets."""

    def __init__(self) -> None:
        super().__init__("no signature fits this message and secret")


def new_secret(random_bytes: bytes) -> str:
    """The secret made of `random_bytes` (24 to 64 of them, else `InvalidSecret`): `whsec_` and base64."""
    if not SECRET_BYTES_MIN <= len(random_bytes) <= SECRET_BYTES_MAX:
        raise InvalidSecret
    return SECRET_PREFIX + base64.b64encode(random_bytes).decode("ascii")


def sign(secrets: Sequence[str], *, message_id: str, timestamp_seconds: int, body: bytes) -> str:
    """The `webhook-signature` header: one `v1,<base64>` per secret, in their order, separated by spaces.

    Signs the bytes `message_id.timestamp_seconds.body` with HMAC-SHA256. Raises `InvalidSecret`.
    """
    message = _message(message_id, str(timestamp_seconds), body)
    return " ".join([_VERSION + _signature(secret, message) for secret in secrets])


def verify(
    secrets: Sequence[str],
    *,
    message_id: str,
    timestamp: str,
    signature_header: str,
    body: bytes,
    now_seconds: float,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> None:
    """Return when a signature of the header fits one of the secrets; raise a `SignatureError` otherwise.

    `message_id`, `timestamp` and `signature_header` are the `webhook-id`, `webhook-timestamp` and
    `webhook-signature` headers as they came; `body` is the raw body. Signatures of other versions than
    `v1` are ignored. The comparison takes the same time whichever bytes differ.
    """
    _check_age(timestamp, now_seconds, tolerance_seconds)
    message = _message(message_id, timestamp, body)
    expected = [_signature(secret, message).encode("ascii") for secret in secrets]
    given = [
        part.removeprefix(_VERSION).encode("utf-8", "surrogatepass")
        for part in signature_header.split(" ")
        if part.startswith(_VERSION)
    ]
    # Every pair is compared, so the time does not tell which one fitted.
    fitting = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in given]
    if not any(fitting):
        raise SignatureMismatch


def _check_age(timestamp: str, now_seconds: float, tolerance_seconds: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _TIMESTAMP_DIGITS_MAX):
        raise InvalidTimestamp
    age_seconds = now_seconds - int(timestamp)
    if abs(age_seconds) > tolerance_seconds:
        raise TimestampOutsideTolerance(age_seconds, tolerance_seconds)


def _message(message_id: str, timestamp: str, body: bytes) -> bytes:
    return b".".join((message_id.encode("utf-8", "surrogatepass"), timestamp.encode("ascii"), body))


def _signature(secret: str, message: bytes) -> str:
    signing = _keyed(secret).copy()
    signing.update(message)
    return base64.b64encode(signing.digest()).decode("ascii")


@lru_cache(maxsize=256)
def _keyed(secret: str) -> hmac.HMAC:
    """To be copied: what a signature costs before it comes to the message is paid once for each secret."""
    return hmac.new(_key(secret), digestmod="sha256")


def _key(secret: str) -> bytes:
    if not secret.startswith(SECRET_PREFIX):
        raise InvalidSecret
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSecret from None
    if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise InvalidSecret
    return key
