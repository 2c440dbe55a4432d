"""The worker: claim what is due, send it with nothing open in the database, record what came of it.

Workspaces take turns, so that a busy one delays nobody. The claim is a lease: when the worker dies, the
delivery falls due again by itself. Results of many attempts are recorded in one transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from leadline.clock import Clock
from leadline.delivery.sender import AttemptError, AttemptResult, Sender
from leadline.domain.errors import LeadlineError
from leadline.domain.schedule import parse_retry_after
from leadline.domain.signing import sign
from leadline.ids import new_id, random_fraction
from leadline.operations.deliveries import Attempted, claim_deliveries, give_back, record_attempt
from leadline.operations.workspaces import signing_secrets
from leadline.store.database import Database, Signal, Tx
from leadline.store.deliveries import ClaimedRow, next_due_ms, workspaces_due

log = logging.getLogger("leadline.delivery")

# Found by itself within this time when every wake-up is lost.
POLL_SECONDS = 1.0
# Longer than any attempt can take (30 s) and its recording; contract § 8 wants it over within 45 s.
LEASE_SECONDS = 40
CLAIM_MAX = 64
IN_FLIGHT_MAX = 256
RECORD_MAX = 128
_RETRY_AFTER_STATUSES = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How it sends. `waits_seconds` between attempts: one more attempt than waits."""

    waits_seconds: Sequence[float]
    timeout_seconds: float

    @property
    def attempts_max(self) -> int:
        return len(self.waits_seconds) + 1

    def __post_init__(self) -> None:
        if self.timeout_seconds + 5 > LEASE_SECONDS:
            raise ValueError(f"an attempt must be over within the lease of {LEASE_SECONDS} s")


@dataclass(slots=True)
class _Outcome:
    """An attempt waiting to be recorded."""

    attempted: Attempted
    recorded: asyncio.Future[None]


class Worker:
    """Delivers for every workspace of one database, until it is stopped."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        settings: WorkerSettings,
        clock: Clock,
        *,
        count: Callable[[str | None], None] = lambda _error: None,
    ) -> None:
        """`count` is told the error class of each attempt, None for a success."""
        self._database = database
        self._sender = sender
        self._settings = settings
        self._clock = clock
        self._count = count
        self._wake = asyncio.Event()
        self._stopping = False
        self._in_flight: set[asyncio.Task[None]] = set()
        self._unrecorded: deque[_Outcome] = deque()
        self._has_unrecorded = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._forget_listener: Callable[[], None] = lambda: None
        self.trouble: str | None = None

    async def start(self) -> None:
        self._forget_listener = self._database.listen(self._heard)
        self._tasks = [
            asyncio.create_task(self._forever(self._claim_due), name="leadline-claim"),
            asyncio.create_task(self._forever(self._record_some), name="leadline-record"),
        ]

    async def stop(self) -> None:
        """Claim no more, finish what is in flight and record it."""
        self._stopping = True
        self._forget_listener()
        self._wake.set()
        await self._cancel(self._tasks[:1])
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=LEASE_SECONDS)
        await self._cancel(self._tasks[1:])

    async def _cancel(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _heard(self, signal: Signal, _workspace_id: str) -> None:
        if signal is Signal.DELIVERIES:
            self._wake.set()

    async def _forever(self, step: Callable[[], asyncio.Future[None] | object]) -> None:
        """Do a step again and again. Trouble is told and waited out, so that no task of the worker ends."""
        while True:
            try:
                await step()  # type: ignore[misc]
                self.trouble = None
            except LeadlineError as away:
                self.trouble = away.message
                await asyncio.sleep(POLL_SECONDS)
            except Exception as broken:
                self.trouble = f"the delivery task failed: {broken}"
                log.exception("the delivery task failed and goes on")
                await asyncio.sleep(POLL_SECONDS)

    async def _claim_due(self) -> None:
        self._wake.clear()
        full = False
        for workspace_id in await self._database.read(workspaces_due):
            full |= await self._claim_in(workspace_id)
        if full and len(self._in_flight) < IN_FLIGHT_MAX:
            return  # there is more of it
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), await self._sleep_seconds())

    async def _sleep_seconds(self) -> float:
        due = await self._database.read(next_due_ms)
        if due is None or len(self._in_flight) >= IN_FLIGHT_MAX:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.005, (due - self._clock.now_ms()) / 1000))

    async def _claim_in(self, workspace_id: str) -> bool:
        """Claim in one workspace and set it going; whether there may be more."""
        room = min(CLAIM_MAX, IN_FLIGHT_MAX - len(self._in_flight))
        if room <= 0:
            return False
        lease_id = new_id()

        async def claim(tx: Tx) -> tuple[list[ClaimedRow], list[str]]:
            claimed = await claim_deliveries(
                tx,
                workspace_id,
                lease_id=lease_id,
                lease_ms=LEASE_SECONDS * 1000,
                attempts_max=self._settings.attempts_max,
                limit=room,
            )
            return claimed, await signing_secrets(tx, workspace_id) if claimed else []

        claimed, secrets = await self._database.write(claim)
        for delivery in claimed:
            task = asyncio.create_task(self._deliver(workspace_id, delivery, lease_id, secrets))
            self._in_flight.add(task)
            task.add_done_callback(self._landed)
        return len(claimed) == room

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if not task.cancelled() and (broken := task.exception()) is not None:
            # Nothing is lost: the lease runs out and the delivery falls due again.
            log.error("an attempt could not be finished", exc_info=broken)
        if len(self._in_flight) == IN_FLIGHT_MAX - 1:
            self._wake.set()

    async def _deliver(
        self, workspace_id: str, delivery: ClaimedRow, lease_id: str, secrets: Sequence[str]
    ) -> None:
        if self._stopping:
            await self._database.write(lambda tx: give_back(tx, workspace_id, delivery.delivery_id, lease_id))
            return
        started_at = self._clock.now_ms()
        result = await self._send(delivery, secrets, started_at // 1000)
        self._count(None if result.error is None else result.error.value)
        attempted = _attempted(workspace_id, delivery, lease_id, started_at, result)
        _log_attempt(attempted)
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unrecorded.append(_Outcome(attempted, recorded))
        self._has_unrecorded.set()
        await recorded

    async def _send(
        self, delivery: ClaimedRow, secrets: Sequence[str], timestamp_seconds: int
    ) -> AttemptResult:
        assert delivery.payload is not None  # what is erased is canceled with it
        body = delivery.payload.encode()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery.delivery_id,
            "webhook-timestamp": str(timestamp_seconds),
            "webhook-signature": sign(
                secrets, message_id=delivery.delivery_id, timestamp_seconds=timestamp_seconds, body=body
            ),
        }
        return await self._sender.send(
            url=delivery.webhook_url,
            headers=headers,
            body=body,
            timeout_seconds=self._settings.timeout_seconds,
        )

    async def _record_some(self) -> None:
        """Record what waits, together. What the database does not take now is kept and tried again."""
        await self._has_unrecorded.wait()
        batch = [self._unrecorded.popleft() for _ in range(min(len(self._unrecorded), RECORD_MAX))]
        if not self._unrecorded:
            self._has_unrecorded.clear()
        try:
            await self._record(batch)
        except BaseException:
            self._unrecorded.extendleft(reversed(batch))
            self._has_unrecorded.set()
            raise
        for outcome in batch:
            if not outcome.recorded.done():
                outcome.recorded.set_result(None)

    async def _record(self, batch: Sequence[_Outcome]) -> None:
        by_workspace: dict[str, list[Attempted]] = {}
        for outcome in batch:
            attempted = outcome.attempted
            by_workspace.setdefault(attempted.workspace_id, []).append(attempted)

        async def record_all(tx: Tx, results: list[Attempted]) -> None:
            # In one order everywhere, so that two workers never wait for each other.
            for each in sorted(results, key=lambda attempted: attempted.delivery_id):
                await record_attempt(tx, each, self._settings.waits_seconds)

        for results in by_workspace.values():
            await self._database.write(lambda tx, results=results: record_all(tx, results))  # type: ignore[misc]
        if any(each.error is not None for each in (outcome.attempted for outcome in batch)):
            self._wake.set()  # what failed has a new due time


def _attempted(
    workspace_id: str, delivery: ClaimedRow, lease_id: str, started_at: int, result: AttemptResult
) -> Attempted:
    return Attempted(
        workspace_id=workspace_id,
        delivery_id=delivery.delivery_id,
        lease_id=lease_id,
        number=delivery.attempt_count,
        started_at=started_at,
        duration_ms=result.duration_ms,
        remote_address=result.remote_address,
        status=result.status,
        response_headers=result.response_headers,
        response_body=result.response_body,
        error=None if result.error is None else result.error.value,
        error_detail=result.error_detail,
        timings=msgspec.json.encode(result.timings).decode(),
        retry_after_seconds=_retry_after(result, started_at + result.duration_ms),
        jitter=random_fraction(),
    )


def _retry_after(result: AttemptResult, now_ms: int) -> float | None:
    if result.error is not AttemptError.HTTP_STATUS or result.status not in _RETRY_AFTER_STATUSES:
        return None
    for name, value in result.response_headers:
        if name.lower() == "retry-after":
            return parse_retry_after(value, now_seconds=now_ms / 1000)
    return None


def _log_attempt(attempted: Attempted) -> None:
    log.info(
        "attempt %d of %s: %s in %d ms",
        attempted.number,
        attempted.delivery_id,
        attempted.error or attempted.status,
        attempted.duration_ms,
        extra={
            "workspace_id": attempted.workspace_id,
            "delivery_id": attempted.delivery_id,
            "attempt": attempted.number,
            "status": attempted.status,
            "error": attempted.error,
            "error_detail": attempted.error_detail,
            "duration_ms": attempted.duration_ms,
            "remote_address": attempted.remote_address,
        },
    )
