"""One attempt: sign, send, and what came of it in the form in which it is recorded."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from leadline.clock import Clock
from leadline.delivery.sender import AttemptError, AttemptResult, Sender
from leadline.domain.schedule import parse_retry_after
from leadline.domain.signing import sign
from leadline.ids import random_fraction
from leadline.operations.record_attempts import Attempted
from leadline.store.deliveries import ClaimedRow

log = logging.getLogger("leadline.attempts")

_encode = msgspec.json.Encoder().encode


class Leased(msgspec.Struct, frozen=True, gc=False):
    """A delivery that is ours for the length of its lease."""

    workspace_id: str
    lease_id: str
    row: ClaimedRow
    timeout_seconds: float


async def make_attempt(sender: Sender, leased: Leased, secrets: Sequence[str], clock: Clock) -> Attempted:
    """Send it once. Every failure is in what it answers; only being cancelled is raised."""
    row = leased.row
    assert row.payload is not None
    body = row.payload.encode()
    started_at = clock.now_ms()
    timestamp_seconds = started_at // 1000
    signature = sign(secrets, message_id=row.delivery_id, timestamp_seconds=timestamp_seconds, body=body)
    result = await sender.send(
        url=row.webhook_url,
        headers={
            "Content-Type": "application/json",
            "webhook-id": row.delivery_id,
            "webhook-timestamp": str(timestamp_seconds),
            "webhook-signature": signature,
        },
        body=body,
        timeout_seconds=leased.timeout_seconds,
    )
    attempted = _attempted(leased, started_at, result)
    _log_attempt(attempted, result)
    return attempted


def _attempted(leased: Leased, started_at: int, result: AttemptResult) -> Attempted:
    return Attempted(
        workspace_id=leased.workspace_id,
        delivery_id=leased.row.delivery_id,
        endpoint_id=leased.row.endpoint_id,
        lease_id=leased.lease_id,
        number=leased.row.attempt_count,
        started_at=started_at,
        duration_ms=result.duration_ms,
        remote_address=result.remote_address,
        status=result.status,
        response_headers=result.response_headers,
        response_body=result.response_body,
        error=None if result.error is None else result.error.value,
        error_detail=result.error_detail,
        timings=_encode(result.timings).decode(),
        retry_after_seconds=_retry_after(result, started_at + result.duration_ms),
        jitter=0.0 if result.error is None else random_fraction(),
    )


def _retry_after(result: AttemptResult, now_ms: int) -> float | None:
    if result.error is not AttemptError.HTTP_STATUS or result.retry_after is None:
        return None
    return parse_retry_after(result.retry_after, now_seconds=now_ms / 1000)


def _log_attempt(attempted: Attempted, result: AttemptResult) -> None:
    """The one line that tells all of an attempt. The URL is not in it: receivers put keys into theirs."""
    level = logging.INFO if attempted.error is None else logging.WARNING
    if not log.isEnabledFor(level):
        return
    fields = {
        "workspace_id": attempted.workspace_id,
        "endpoint_id": attempted.endpoint_id,
        "delivery_id": attempted.delivery_id,
        "attempt": attempted.number,
        "status": attempted.status,
        "error": attempted.error,
        "error_detail": attempted.error_detail,
        "duration_ms": attempted.duration_ms,
        "remote_address": attempted.remote_address,
        "retry_after_seconds": attempted.retry_after_seconds,
    }
    came_to = attempted.error or attempted.status
    fields |= msgspec.structs.asdict(result.timings)
    log.log(level, "attempt %d: %s in %d ms", attempted.number, came_to, attempted.duration_ms, extra=fields)
