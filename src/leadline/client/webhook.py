"""Webhook verification for receivers (contract § 5): signature, age and shape, in this order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec

from leadline.client.errors import ConfigurationError, WebhookProblem, WebhookVerificationError
from leadline.client.models import WebhookEvent
from leadline.clock import Clock
from leadline.domain.signing import (
    TOLERANCE_SECONDS,
    InvalidTimestamp,
    SignatureError,
    TimestampOutsideTolerance,
    sign,
    verify,
)


class HasItems(Protocol):
    """Headers that are nearly a mapping, such as those of `http.server`."""

    def items(self) -> Iterable[tuple[Any, Any]]: ...


Headers = Mapping[Any, Any] | HasItems | Iterable[tuple[Any, Any]]
"""Headers as frameworks give them: any mapping in any case, pairs of text or bytes, or a WSGI environment."""

_ID, _TIMESTAMP, _SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_WANTED = {name: name for name in (_ID, _TIMESTAMP, _SIGNATURE)}
_WANTED |= {f"HTTP_{name.upper().replace('-', '_')}": name for name in (_ID, _TIMESTAMP, _SIGNATURE)}

_decode = msgspec.json.Decoder(WebhookEvent).decode


class Webhook:
    """Verifies webhooks with the workspace's secret, or with several while one is being rotated.

    `tolerance_seconds` is how far the sender's clock and yours may be apart, and how long a captured webhook
    could be sent again. Raises ConfigurationError when a secret is no `whsec_…`.
    """

    def __init__(self, secret: str | Iterable[str], *, tolerance_seconds: float = TOLERANCE_SECONDS) -> None:
        self._secrets = (secret,) if isinstance(secret, str) else tuple(secret)
        self._tolerance_seconds = tolerance_seconds
        if not self._secrets:
            raise ConfigurationError("a webhook is verified with at least one secret")
        if not tolerance_seconds > 0:
            raise ConfigurationError("tolerance_seconds must be above 0")
        try:
            sign(self._secrets, message_id="", timestamp_seconds=0, body=b"")
        except (SignatureError, AttributeError) as wrong:
            raise ConfigurationError(str(wrong)) from None

    def __repr__(self) -> str:
        return f"Webhook({len(self._secrets)} secrets)"

    def verify(self, headers: Headers, body: bytes | str) -> WebhookEvent:
        """The event of a webhook that may be trusted. `body` is the raw body, before any parsing.

        Raises WebhookVerificationError and nothing else, whatever came in. The comparison takes the same time
        whichever bytes differ. One that is verified may still come again: see
        `WebhookEvent.deduplication_key`.
        """
        raw = _body(body)
        found = _found(headers)
        try:
            verify(
                self._secrets,
                message_id=found[_ID],
                timestamp=found[_TIMESTAMP],
                signature_header=found[_SIGNATURE],
                body=raw,
                now_seconds=Clock().now_ms() / 1000,
                tolerance_seconds=self._tolerance_seconds,
            )
        except (InvalidTimestamp, TimestampOutsideTolerance) as wrong:
            raise WebhookVerificationError(WebhookProblem.TIMESTAMP, str(wrong)) from None
        except SignatureError as wrong:
            raise WebhookVerificationError(WebhookProblem.SIGNATURE, str(wrong)) from None
        return _event(raw, found[_ID])

    def sign(self, body: bytes, *, webhook_id: str, timestamp_seconds: int | None = None) -> dict[str, str]:
        """The headers that Leadline would send with this body: for tests of your receiver."""
        at = Clock().now_ms() // 1000 if timestamp_seconds is None else timestamp_seconds
        signature = sign(self._secrets, message_id=webhook_id, timestamp_seconds=at, body=body)
        return {_ID: webhook_id, _TIMESTAMP: str(at), _SIGNATURE: signature}


def _body(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    raise WebhookVerificationError(WebhookProblem.BODY, "the body must be the raw bytes, not what was parsed")


def _found(headers: Any) -> dict[str, str]:
    """The three headers. One that is missing, or there twice with different values, is refused."""
    found: dict[str, str] = {}
    for name, value in _pairs(headers):
        wanted = _wanted(name)
        if wanted is None:
            continue
        text = _text(value)
        if found.setdefault(wanted, text) != text:
            raise WebhookVerificationError(WebhookProblem.HEADERS, f"{wanted} is there more than once")
    missing = [name for name in (_ID, _TIMESTAMP, _SIGNATURE) if not found.get(name)]
    if missing:
        raise WebhookVerificationError(WebhookProblem.HEADERS, f"there is no {' and no '.join(missing)}")
    return found


def _pairs(headers: Any) -> list[tuple[Any, Any]]:
    try:
        items = headers.items() if hasattr(headers, "items") else headers
        return [(name, value) for name, value in items]
    except Exception:  # noqa: BLE001 - whatever a framework hands over, callers see one kind of error
        raise WebhookVerificationError(WebhookProblem.HEADERS, "the headers cannot be read") from None


def _wanted(name: Any) -> str | None:
    """Which header this is. In a WSGI environment names are `HTTP_…`; elsewhere case does not matter."""
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    if not isinstance(name, str):
        return None
    return _WANTED.get(name) or _WANTED.get(name.lower())


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        raise WebhookVerificationError(WebhookProblem.HEADERS, "a header's value must be text or bytes")
    return value.strip()


def _event(raw: bytes, webhook_id: str) -> WebhookEvent:
    try:
        event = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        message = "the signature fits, but the body is no event that this version knows"
        raise WebhookVerificationError(WebhookProblem.BODY, message) from None
    return msgspec.structs.replace(event, webhook_id=webhook_id)
