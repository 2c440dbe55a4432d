"""Write down what became of attempts, and what it says of their endpoints (contract § 8).

All of one workspace's results are written together, a statement for each kind of row, however many they are. A
success at an endpoint that is well writes nothing to the endpoint itself: claims would have to wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from leadline.domain.deliveries import DeliveryState, Verdict, after_attempt
from leadline.domain.endpoints import GONE, EndpointState, Health, after_attempts, is_hopeless
from leadline.operations.count_ahead import LATE_MS, count_late_attempts
from leadline.operations.events import EventType, NewEvent, emit
from leadline.store import deliveries as store
from leadline.store import endpoints
from leadline.store.database import Signal, Tx
from leadline.store.deliveries import AttemptedRow, AttemptRow, ResultRow
from leadline.store.endpoints import HOUR_MS, HealthRow, HourRow

_encode = msgspec.json.Encoder().encode


class Attempted(msgspec.Struct, frozen=True, gc=False):
    """What became of one attempt, for the record. Times in Unix ms, durations in ms."""

    workspace_id: str
    delivery_id: str
    endpoint_id: str
    lease_id: str
    number: int
    started_at: int
    duration_ms: int
    remote_address: str | None
    status: int | None
    response_headers: Sequence[tuple[str, str]]
    response_body: str
    error: str | None
    error_detail: str | None
    timings: str
    retry_after_seconds: float | None
    jitter: float

    @property
    def succeeded(self) -> bool:
        return self.error is None

    @property
    def gone(self) -> bool:
        """Whether the receiver wants nothing any more."""
        return self.status == GONE and not self.succeeded

    @property
    def failure(self) -> str | None:
        """In a few words, for the endpoint's page."""
        return f"{self.error} {self.status}" if self.error == "http_status" else self.error


class _Judged(msgspec.Struct, frozen=True, gc=False):
    """An attempt, its delivery, and the verdict on it; None when somebody else answers for the delivery now."""

    attempted: Attempted
    row: AttemptedRow
    verdict: Verdict | None

    @property
    def touches_health(self) -> bool:
        return not self.attempted.succeeded or bool(self.row.endpoint_is_failing)

    @property
    def wait_ms(self) -> int | None:
        return None if self.verdict is None else self.verdict.wait_ms


async def record_attempts(
    tx: Tx, workspace_id: str, attempts: Sequence[Attempted], waits_seconds: Sequence[float]
) -> int | None:
    """Write down attempts of one workspace. With a stale lease only the attempt itself is kept.

    Answers how long until the first of their deliveries is due again (ms), None when none is.
    """
    delivery_ids = sorted({each.delivery_id for each in attempts})
    rows = {row.delivery_id: row for row in await store.lock_attempted(tx, workspace_id, delivery_ids)}
    # What is missing went with its workspace, which was deleted meanwhile.
    judged = [
        _judge(each, rows[each.delivery_id], waits_seconds) for each in attempts if each.delivery_id in rows
    ]
    ruled = [(each, each.verdict) for each in judged if each.verdict is not None]
    new = await _new_ones(tx, workspace_id, judged)
    await store.insert_attempts(tx, [_attempt_row(tx, each) for each in judged])
    await store.record_results(tx, [_result_row(tx, *each) for each in ruled])
    disabled = await _record_health(tx, workspace_id, new)
    # Last, as others who wait for the marks may wait for nothing else.
    await _count_late(tx, workspace_id, [each.attempted for each in new])
    await emit(tx, workspace_id, [*(_event(*each) for each in ruled), *disabled])
    return min((each.wait_ms for each in judged if each.wait_ms is not None), default=None)


async def _count_late(tx: Tx, workspace_id: str, attempts: Sequence[Attempted]) -> None:
    """What is written down long after it began, as after an outage, would be missing in reports."""
    late = [each for each in attempts if each.started_at < tx.now_ms - LATE_MS]
    if late:
        await count_late_attempts(tx, workspace_id, sorted((each.delivery_id, each.number) for each in late))


async def _new_ones(tx: Tx, workspace_id: str, judged: Sequence[_Judged]) -> list[_Judged]:
    """Those that are not on record: after a commit whose answer was lost they are recorded again, and count once.

    Recording an attempt ends its lease, so it is asked only of those whose lease is gone.
    """
    stale = sorted({each.row.delivery_id for each in judged if each.verdict is None})
    known = await store.numbers_of_attempts(tx, workspace_id, stale) if stale else frozenset()
    return [each for each in judged if (each.attempted.delivery_id, each.attempted.number) not in known]


def _judge(attempted: Attempted, row: AttemptedRow, waits_seconds: Sequence[float]) -> _Judged:
    if row.lease_id != attempted.lease_id:
        return _Judged(attempted, row, None)
    verdict = after_attempt(
        waits_seconds,
        row.schedule_step,
        succeeded=attempted.succeeded,
        gone=attempted.gone,
        jitter=attempted.jitter,
        retry_after_seconds=attempted.retry_after_seconds,
    )
    return _Judged(attempted, row, verdict)


def _attempt_row(tx: Tx, judged: _Judged) -> AttemptRow:
    attempted, wait_ms = judged.attempted, judged.wait_ms
    # The person may have been erased while the answer was on its way.
    erased = not judged.row.has_payload
    return AttemptRow(
        workspace_id=attempted.workspace_id,
        delivery_id=attempted.delivery_id,
        number=attempted.number,
        started_at=attempted.started_at,
        duration_ms=attempted.duration_ms,
        remote_address=attempted.remote_address,
        status=attempted.status,
        response_headers="[]" if erased else _encode(attempted.response_headers).decode(),
        response_body="" if erased else attempted.response_body,
        error=attempted.error,
        error_detail=attempted.error_detail,
        timings=attempted.timings,
        next_attempt_at=None if wait_ms is None else tx.now_ms + wait_ms,
    )


def _result_row(tx: Tx, judged: _Judged, verdict: Verdict) -> ResultRow:
    attempted = judged.attempted
    pending = verdict.state is DeliveryState.PENDING
    return ResultRow(
        workspace_id=attempted.workspace_id,
        delivery_id=attempted.delivery_id,
        lease_id=attempted.lease_id,
        state=verdict.state.value,
        due_at=judged.row.now + (verdict.wait_ms or 0) if pending else None,
        schedule_step=verdict.schedule_step,
        last_error=attempted.error,
        last_status=attempted.status,
        finished_at=None if pending else tx.now_ms,
    )


def _event(judged: _Judged, verdict: Verdict) -> NewEvent:
    attempted, row = judged.attempted, judged.row
    data = {
        "delivery_id": row.delivery_id,
        "endpoint_id": attempted.endpoint_id,
        "outcome_id": row.outcome_id,
        "call_id": row.call_id,
        "state": verdict.state.value,
        "attempt": attempted.number,
        "status": attempted.status,
        "error": attempted.error,
        "duration_ms": attempted.duration_ms,
    }
    kind = EventType.DELIVERY_SUCCEEDED if attempted.succeeded else EventType.DELIVERY_FAILED
    return NewEvent(kind, data, contact_id=row.contact_id)


async def _record_health(tx: Tx, workspace_id: str, judged: Sequence[_Judged]) -> list[NewEvent]:
    """Answers what is to be told of endpoints that this disables."""
    by_endpoint: dict[str, list[_Judged]] = {}
    for each in judged:
        by_endpoint.setdefault(each.attempted.endpoint_id, []).append(each)
    touched = [
        endpoint_id for endpoint_id, some in by_endpoint.items() if any(e.touches_health for e in some)
    ]
    before = await endpoints.lock_health(tx, workspace_id, touched) if touched else []
    after = [_changed_health(tx, row, by_endpoint[row.endpoint_id]) for row in before]
    await endpoints.update_health(tx, after)
    if touched:
        # Who wanted to claim for one of them meanwhile has passed it over.
        tx.signal(Signal.DELIVERIES, workspace_id)
    # In one order everywhere, so that two workers never wait for each other.
    hours = [_hour(tx, workspace_id, each, by_endpoint[each]) for each in sorted(by_endpoint)]
    await endpoints.add_to_hours(tx, hours)
    return [_disabled(row) for was, row in zip(before, after, strict=True) if row.state != was.state]


def _hour(tx: Tx, workspace_id: str, endpoint_id: str, judged: Sequence[_Judged]) -> HourRow:
    succeeded = sum(each.attempted.succeeded for each in judged)
    return HourRow(
        workspace_id=workspace_id,
        endpoint_id=endpoint_id,
        hour=tx.now_ms // HOUR_MS,
        succeeded_count=succeeded,
        failed_count=len(judged) - succeeded,
        last_success_at=tx.now_ms if succeeded else None,
    )


def _changed_health(tx: Tx, row: HealthRow, judged: Sequence[_Judged]) -> HealthRow:
    failures = [each.attempted for each in judged if not each.attempted.succeeded]
    # By the database's clock, as the probe that is put off is looked for by it.
    now_ms = max(each.row.now for each in judged)
    health = after_attempts(
        Health(row.failures_in_a_row, row.failing_since, row.probe_at),
        succeeded=len(judged) - len(failures),
        failed=len(failures),
        now_ms=now_ms,
    )
    row = msgspec.structs.replace(
        row,
        failures_in_a_row=health.failures_in_a_row,
        failing_since=health.failing_since,
        probe_at=health.probe_at,
        last_failure_at=tx.now_ms if failures else row.last_failure_at,
        last_failure=failures[-1].failure if failures else row.last_failure,
    )
    reason = _reason_to_disable(row, health, failures, now_ms)
    if reason is None:
        return row
    return msgspec.structs.replace(
        row, state=EndpointState.DISABLED.value, state_reason=reason, updated_at=tx.now_ms
    )


def _reason_to_disable(
    row: HealthRow, health: Health, failures: Sequence[Attempted], now_ms: int
) -> str | None:
    if row.state == EndpointState.DISABLED:
        return None
    if any(each.gone for each in failures):
        return "The receiver answered 410 Gone."
    return "Nothing but failure for five days." if is_hopeless(health, now_ms) else None


def _disabled(row: HealthRow) -> NewEvent:
    return NewEvent(EventType.ENDPOINT_DISABLED, {"endpoint_id": row.endpoint_id, "reason": row.state_reason})
