"""One delivery as people look at it: what was sent, what came back, and where the time went."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from leadline import __version__
from leadline.clock import iso_from_ms
from leadline.operations.supervision import ShownDelivery, WholeDelivery
from leadline.web.console.pages.desk import WENT_WRONG, Webhook, state_of
from leadline.wire.deliveries import Attempt

BODY_BYTES_KEPT = 16 * 1024
# What a terminal or a reader would obey instead of showing: controls, and marks that turn the direction of text.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of an attempt, from `start` on; both are percent of the whole."""

    label: str
    milliseconds: int
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class ShownAttempt:
    """One request and its answer. Headers and body are text in which nothing is unseen."""

    attempt: Attempt
    state: Webhook
    request_headers: Sequence[tuple[str, str]]
    headers: Sequence[tuple[str, str]]
    body: str
    is_cut: bool
    phases: Sequence[Phase]


@dataclass(frozen=True, slots=True)
class Detail:
    """All that the page and the drawer say of a delivery."""

    whole: WholeDelivery
    state: Webhook
    attempts: Sequence[ShownAttempt]
    request_headers: Sequence[tuple[str, str]]
    payload: str | None
    payload_bytes: int
    curl: str | None
    next_at: str | None
    is_sending: bool

    @property
    def waits_for_endpoint(self) -> bool:
        """Whether it is pending and its endpoint takes nothing."""
        return self.whole.view.state == "pending" and self.whole.shown.about.endpoint_state != "active"


def detail_of(whole: WholeDelivery) -> Detail:
    view = whole.view
    payload = None if view.payload is None else bytes(view.payload).decode()
    row = whole.shown.row
    attempts = [_shown(whole, each) for each in view.attempts]
    return Detail(
        whole=whole,
        state=badge_of(whole.shown),
        attempts=attempts,
        request_headers=_request_headers(whole, None),
        payload=payload,
        payload_bytes=len((payload or "").encode()),
        curl=None if payload is None else _curl(view.webhook_url, view.delivery_id, payload),
        next_at=None if row.due_at is None or row.lease_id else iso_from_ms(row.due_at),
        is_sending=row.lease_id is not None,
    )


def badge_of(shown: ShownDelivery) -> Webhook:
    """How it stands, in a few characters."""
    return state_of(shown.webhook)


def visible(text: str) -> str:
    """The text with everything that cannot be seen written out, as in a Python string."""
    return _UNSEEN.sub(lambda found: _written(ord(found[0])), text.replace("\r\n", "\n"))


def _written(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _shown(whole: WholeDelivery, attempt: Attempt) -> ShownAttempt:
    failed = attempt.error is not None
    # What went wrong says more than a status that came all the same.
    said = WENT_WRONG.get(attempt.error or "") or str(attempt.status or "Failed")
    label = f"{said} · {attempt.duration_ms} ms"
    return ShownAttempt(
        attempt=attempt,
        state=Webhook(label, "bad" if failed else "good"),
        request_headers=_request_headers(whole, attempt),
        headers=[(visible(name), visible(value)) for name, value in attempt.response_headers],
        body=visible(attempt.response_body),
        is_cut=len(attempt.response_body.encode()) >= BODY_BYTES_KEPT,
        phases=phases_of(attempt),
    )


def _request_headers(whole: WholeDelivery, attempt: Attempt | None) -> list[tuple[str, str]]:
    """As they are sent. The signature is not kept: it is shown as what it is made of."""
    view = whole.view
    timestamp = "<Unix seconds of the attempt>"
    if attempt is not None:
        timestamp = str(_seconds(attempt.started_at))
    signature = " ".join(["v1,<base64 of HMAC-SHA256>"] * max(1, whole.signatures))
    return [
        ("Host", urlsplit(view.webhook_url).netloc),
        ("Content-Type", "application/json"),
        ("User-Agent", f"Leadline/{__version__}"),
        ("webhook-id", view.delivery_id),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", signature),
    ]


def _seconds(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp())


def phases_of(attempt: Attempt) -> list[Phase]:
    """Where the time went, one after the other; what did not happen is left out."""
    timings, total = attempt.timings, attempt.duration_ms
    found: list[tuple[str, int]] = [
        (label, took)
        for label, took in (("DNS", timings.dns_ms), ("Connect", timings.connect_ms), ("TLS", timings.tls_ms))
        if took is not None
    ]
    before = sum(took for _, took in found)
    if timings.first_byte_ms is not None:
        found.append(("First byte", max(0, timings.first_byte_ms - before)))
        found.append(("Answer", max(0, total - max(before, timings.first_byte_ms))))
    elif total > before:
        found.append(("Waiting", total - before))
    whole = max(total, sum(took for _, took in found), 1)
    phases, at = [], 0
    for label, took in found:
        phases.append(Phase(label, took, round(100 * at / whole, 2), round(100 * took / whole, 2)))
        at += took
    return phases


def _curl(url: str, delivery_id: str, payload: str) -> str:
    """The request for a terminal, without a signature: only who has the secret can make one."""
    parts = [
        "curl --globoff --request POST", shlex.quote(url),
        "--header 'Content-Type: application/json'",
        f"--header 'webhook-id: {delivery_id}'",
        "--data-raw", shlex.quote(payload),
    ]  # fmt: skip
    return " ".join(parts)
