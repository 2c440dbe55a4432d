"""The worker: claim what is due, send it with nothing open in the database, record what came of it.

Workspaces take turns and each endpoint has its slots, so that neither a busy workspace nor a dead endpoint delays
the others. The claim is a lease: when the worker dies, the delivery falls due again by itself. Results of many
attempts are recorded in one transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from leadline.clock import Clock
from leadline.delivery.attempt import Leased, make_attempt
from leadline.delivery.sender import Sender
from leadline.domain.errors import LeadlineError
from leadline.ids import new_id
from leadline.logs.failures import describe
from leadline.operations.claim_deliveries import (
    Claim,
    ClaimRequest,
    Prospect,
    claim_deliveries,
    find_claimable,
)
from leadline.operations.delivering import cancel_empty, release, renew_leases, workspaces_due
from leadline.operations.record_attempts import Attempted, record_attempts
from leadline.store.database import Database, Signal, Tx
from leadline.store.engines import Engine

log = logging.getLogger("leadline.delivery")

# Found by itself within this time when every wake-up is lost.
POLL_SECONDS = 1.0
# Longer than any attempt can take (30 s) and its recording; contract § 8 wants it over within 45 s.
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
ATTEMPT_SECONDS_MAX = 30
CLAIM_MAX = 64
CLAIMS_AT_ONCE = 4
STOP_CLAIMING_SECONDS = 5.0
STOP_RECORDING_SECONDS = 5.0
STOP_RELEASING_SECONDS = 5.0
# How long until an endpoint is looked at again that another worker was claiming for.
PASSED_OVER_SECONDS = 0.02
# A workspace for which nothing can be claimed, whatever it is about it, is left alone: 1, 2, 4, … up to 60 s.
FAILED_SECONDS_FIRST, FAILED_SECONDS_MAX = 1.0, 60.0
# When the database comes back, those who were sending meanwhile may first write down what came of it: for so long
# nobody's lease is taken over, though it has run out. Contract § 8 leaves 5 s beyond the lease.
NOBODY_TAKEN_OVER_SECONDS = 4.0
# Where everything is paused, or has no room, each commit would have us look in vain. After a few such looks in a row
# the next wait for each other: 4, 8, then 16 ms.
VAIN_LOOKS_FREE = 3
VAIN_SECONDS_MIN, VAIN_SECONDS_MAX = 0.004, 0.016
# What took its time is recorded a tenth of that later, together with others: each delivery of a slow receiver would
# cost a commit and a claim of its own. What came back at once is recorded at once.
GATHER_SHARE, GATHER_SECONDS_MIN, GATHER_SECONDS_MAX = 0.1, 0.005, 0.1
IN_FLIGHT_MAX = 256
# After a start there may be a mountain waiting: begin small, and grow with each attempt that ends.
IN_FLIGHT_FIRST = 32
# No workspace takes more than one in so many of what a worker may have in flight, however many endpoints it has.
WORKSPACE_SHARE = 2
RECORD_MAX = 128
# So many requests are begun before the event loop is let go round: what others wait for is done in between.
SENT_IN_ONE_GO = 4


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How it sends. `waits_seconds` between attempts: one more attempt than waits."""

    waits_seconds: Sequence[float]
    timeout_seconds: float

    @property
    def attempts_max(self) -> int:
        return len(self.waits_seconds) + 1

    def __post_init__(self) -> None:
        if self.timeout_seconds > ATTEMPT_SECONDS_MAX:
            raise ValueError(f"an attempt takes {ATTEMPT_SECONDS_MAX} s at most")
        if ATTEMPT_SECONDS_MAX + RECORD_SECONDS_SPARE > LEASE_SECONDS:
            raise ValueError(f"an attempt must be over within the lease of {LEASE_SECONDS} s")


RECORD_SECONDS_SPARE = 5


class Observer:
    """Who is told of what happens, for metrics. This one does nothing."""

    def attempted(self, attempted: Attempted, created_at: int) -> None:
        """An attempt ended; `created_at` is when its delivery was made (Unix ms)."""

    def taken_over(self, count: int) -> None:
        """So many attempts were begun by a worker whose lease ran out."""

    def leaving_alone(self, count: int) -> None:
        """Nothing can be claimed at this moment in so many workspaces."""


@dataclass(slots=True)
class _Unrecorded:
    """What of one workspace was answered and is to be recorded, and when (by the loop's clock)."""

    due: float
    attempts: deque[Attempted] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class _Failure:
    """How often in a row a workspace could not be claimed for, and until when it is left alone (the loop's clock)."""

    count: int
    until: float


@dataclass(slots=True)
class _Flight:
    """A delivery from its claim until what came of it is on record. Its task ends when it has been answered."""

    leased: Leased
    held_since: float
    task: asyncio.Task[bool] | None = None


class Worker:
    """Delivers for every workspace of one database, until it is stopped."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        settings: WorkerSettings,
        clock: Clock,
        observer: Observer | None = None,
    ) -> None:
        self._database = database
        self._sender = sender
        self._settings = settings
        self._clock = clock
        self._observer = observer or Observer()
        self._wake = asyncio.Event()
        self._stopping = False
        # In the order in which they are looked at, and in which they wait for room: dicts, for sets have none.
        self._hinted: dict[str, None] = {}
        self._without_room: dict[str, None] = {}
        # By workspace, the endpoints that have more due than they may have at once: they wait for their own attempts.
        self._endpoints_waiting: dict[str, set[str]] = {}
        # Looks in a row that found nothing to claim.
        self._vain_looks: Counter[str] = Counter()
        self._next_look = 0.0
        self._alarms: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, _Failure] = {}
        self._takes_over_at = 0.0
        self._in_flight_max = IN_FLIGHT_FIRST
        # By delivery and lease: one that was canceled and retried by hand may be on its way twice in one process.
        self._flights: dict[tuple[str, str], _Flight] = {}
        self._none_in_flight = asyncio.Event()
        self._none_in_flight.set()
        self._of_workspace: Counter[str] = Counter()
        self._unrecorded: dict[str, _Unrecorded] = {}
        self._record_now = asyncio.Event()
        self._record_alarm: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._forget_listener: Callable[[], None] = lambda: None
        self._troubles: dict[str, str] = {}

    @property
    def trouble(self) -> str | None:
        """What keeps it from all of its work at this moment; one workspace's trouble is that workspace's."""
        return next(iter(self._troubles.values()), None)

    async def start(self) -> None:
        self._forget_listener = self._database.listen(self._heard)
        steps = (self._claim_due, self._record_some, self._renew_leases)
        self._tasks = [
            asyncio.create_task(self._forever(step), name=f"leadline{step.__name__}") for step in steps
        ]

    async def stop(self, grace_seconds: float = ATTEMPT_SECONDS_MAX) -> None:
        """Claim no more, finish and record what is in flight, and give back what the grace was too short for."""
        self._forget_listener()
        for alarm in self._alarms.values():
            alarm.cancel()
        # A claim under way is let through: cut off, what it has taken would wait for its lease to end.
        self._stopping = True
        self._wake.set()
        self._record_now.set()
        await asyncio.wait(self._tasks[:1], timeout=STOP_CLAIMING_SECONDS)
        await _cancel(self._tasks[:1])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                # The last to land may have taken up places a moment before.
                while self._flights:
                    await self._none_in_flight.wait()
        flights = dict(self._flights)
        await _cancel([flight.task for flight in flights.values() if flight.task is not None])
        await _cancel(self._tasks[1:])
        # What was answered is recorded, or waits for its lease to end: given back it would be sent again at once.
        answered = {
            (attempted.delivery_id, attempted.lease_id)
            for waiting in self._unrecorded.values()
            for attempted in waiting.attempts
        }
        await self._record_rest()
        await self._give_back([flight.leased for key, flight in flights.items() if key not in answered])

    async def _give_back(self, unanswered: Sequence[Leased]) -> None:
        """Let others have them at once. Whoever stops the process does not wait for a database that is away."""
        try:
            async with asyncio.timeout(STOP_RELEASING_SECONDS):
                for leased in unanswered:
                    with contextlib.suppress(LeadlineError):
                        await self._database.write(
                            partial(_release, leased.workspace_id, leased.row.delivery_id, leased.lease_id)
                        )
        except TimeoutError:
            log.warning("deliveries could not be given back; they are due again when their leases end")

    def _heard(self, signal: Signal, workspace_id: str) -> None:
        if signal is not Signal.DELIVERIES:
            return
        beyond = self._vain_looks[workspace_id] - VAIN_LOOKS_FREE
        if beyond < 0:
            self._look_at(workspace_id)
        else:
            self._set_alarm(workspace_id, min(VAIN_SECONDS_MAX, VAIN_SECONDS_MIN * 2**beyond))

    def _look_at(self, workspace_id: str) -> None:
        self._hinted[workspace_id] = None
        self._wake.set()

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do a step again and again. Trouble is told and waited out, so that no task of the worker ends."""
        name = step.__name__
        while not (self._stopping and step == self._claim_due):
            try:
                await step()
                self._troubles.pop(name, None)
            except LeadlineError as away:
                self._troubles[name] = away.message
                await asyncio.sleep(POLL_SECONDS)
            except (Exception, asyncio.CancelledError) as broken:
                if _is_being_cancelled():
                    raise
                # Also what it waited for being called off by somebody else, which would end this task without a word.
                self._troubles[name] = f"the delivery task failed: {describe(broken)}"
                log.exception("the delivery task failed and goes on")
                await asyncio.sleep(POLL_SECONDS)

    def _begin_anew(self) -> None:
        """After an outage, as after a start: with few at once, and leaving to others what they have under way."""
        self._in_flight_max = IN_FLIGHT_FIRST
        self._takes_over_at = asyncio.get_running_loop().time() + NOBODY_TAKEN_OVER_SECONDS

    # Claiming

    async def _claim_due(self) -> None:
        self._wake.clear()
        waiting = deque(await self._workspaces())
        while waiting and not self._stopping:
            # A few side by side: one that has many endpoints to look through holds up no other.
            turn = [waiting.popleft() for _ in range(min(len(waiting), CLAIMS_AT_ONCE))]
            room = max(0, self._in_flight_max - len(self._flights))
            share = -(-room // len(turn))
            try:
                await _all([self._claim_for(workspace_id, share) for workspace_id in turn])
            except BaseException:
                # Who was not reached comes first the next time, for it may go the same way again.
                self._hinted = dict.fromkeys([*waiting, *self._hinted])
                raise
        if self._stopping:
            return
        with contextlib.suppress(TimeoutError):
            # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the event.
            async with asyncio.timeout(self._sleep_seconds()):
                await self._wake.wait()

    async def _workspaces(self) -> list[str]:
        """Those we were told of, and once in a while all that have something due."""
        now = asyncio.get_running_loop().time()
        hinted, self._hinted = self._hinted, {}
        if now < self._next_look:
            return list(hinted)
        self._next_look = now + POLL_SECONDS
        try:
            due = await self._database.read(workspaces_due)
        except LeadlineError:
            # The one look that nothing but an outage can fail.
            self._begin_anew()
            raise
        return [*hinted, *(each for each in due if each not in hinted)]

    def _sleep_seconds(self) -> float:
        return max(0.002, self._next_look - asyncio.get_running_loop().time())

    async def _claim_for(self, workspace_id: str, share: int) -> None:
        """One that cannot be claimed for holds up no other. A database that is away is everybody's trouble."""
        failure = self._failures.get(workspace_id)
        if failure is not None:
            wait_seconds = failure.until - asyncio.get_running_loop().time()
            if wait_seconds > 0:
                self._set_alarm(workspace_id, wait_seconds)
                return
        try:
            await self._claim_in(workspace_id, share)
        except LeadlineError:
            raise
        except Exception:
            log.exception("nothing can be claimed in workspace %s", workspace_id)
            self._leave_alone(workspace_id)
        else:
            if failure is not None:
                del self._failures[workspace_id]
                self._observer.leaving_alone(len(self._failures))

    def _leave_alone(self, workspace_id: str) -> None:
        """For a while, and look again then: also at one that has nothing due any more, which ends its trouble."""
        known = self._failures.get(workspace_id)
        count = 1 if known is None else known.count + 1
        wait_seconds = min(FAILED_SECONDS_MAX, FAILED_SECONDS_FIRST * 2 ** min(count - 1, 16))
        self._failures[workspace_id] = _Failure(count, asyncio.get_running_loop().time() + wait_seconds)
        self._observer.leaving_alone(len(self._failures))
        self._set_alarm(workspace_id, wait_seconds)

    async def _claim_in(self, workspace_id: str, share: int) -> None:
        free = min(share, self._places(workspace_id))
        if free <= 0:
            self._without_room[workspace_id] = None
            return
        prospect = await self._database.read(partial(_find, workspace_id))
        # Only now: as long as it is known that more is due, what is recorded meanwhile takes up its places itself.
        self._forget_waiting(workspace_id)
        self._take_note(workspace_id, prospect)
        if not prospect.endpoint_ids:
            return
        self._remember_waiting(workspace_id, frozenset(prospect.endpoint_ids))
        request = self._claim_request(workspace_id, free)
        # Leases run from the claim, however long its answer takes.
        held_since = asyncio.get_running_loop().time()
        # A claim that a power cut takes back is made again: what it had sent arrives twice, as after any death between
        # an answer and its record. So it waits for no disk.
        claim = await self._database.write(
            partial(_claim, workspace_id, prospect.endpoint_ids, request), durable=False
        )
        left = self._endpoints_waiting.pop(workspace_id, set()).difference(prospect.endpoint_ids)
        self._remember_waiting(workspace_id, left)
        await self._take_up(workspace_id, request, claim, held_since)

    def _places(self, workspace_id: str, given_up: int = 0) -> int:
        """How many more attempts a workspace may have under way, once it has given up so many of its places."""
        return given_up + min(
            CLAIM_MAX - given_up,
            self._in_flight_max - len(self._flights),
            # Of what it may have now: just after a start, too, there is room for the others.
            self._in_flight_max // WORKSPACE_SHARE - self._of_workspace[workspace_id],
        )

    def _take_note(self, workspace_id: str, prospect: Prospect) -> None:
        if prospect.wait_ms is not None:
            self._set_alarm(workspace_id, prospect.wait_ms / 1000)
        self._count_vain_look(workspace_id, prospect)
        self._remember_waiting(workspace_id, prospect.waiting)

    def _count_vain_look(self, workspace_id: str, prospect: Prospect) -> None:
        if not prospect.endpoint_ids:
            # No higher than matters.
            self._vain_looks[workspace_id] = min(self._vain_looks[workspace_id] + 1, VAIN_LOOKS_FREE + 8)
        else:
            self._vain_looks.pop(workspace_id, None)

    async def _take_up(
        self, workspace_id: str, request: ClaimRequest, claim: Claim, held_since: float
    ) -> None:
        await self._set_going(workspace_id, request.lease_id, claim, held_since)
        self._remember_waiting(workspace_id, claim.waiting)
        if len(claim.deliveries) == request.limit:
            self._look_at(workspace_id)
        elif not claim.deliveries:
            # Somebody else was faster, or holds an endpoint at this moment and may leave something.
            self._set_alarm(workspace_id, PASSED_OVER_SECONDS)

    def _claim_request(self, workspace_id: str, limit: int) -> ClaimRequest:
        return ClaimRequest(
            lease_id=new_id(),
            lease_ms=LEASE_SECONDS * 1000,
            attempts_max=self._settings.attempts_max,
            limit=limit,
            # A copy, as the claim may be carried out in another thread. Those of other workspaces do no harm.
            held=frozenset(self._flights) if self._of_workspace[workspace_id] else frozenset(),
            takes_over=asyncio.get_running_loop().time() >= self._takes_over_at,
        )

    async def _set_going(self, workspace_id: str, lease_id: str, claim: Claim, held_since: float) -> None:
        if claim.takeovers:
            self._observer.taken_over(claim.takeovers)
        flights = []
        for row in claim.deliveries:
            timeout = claim.timeouts_seconds.get(row.endpoint_id) or self._settings.timeout_seconds
            flight = _Flight(Leased(workspace_id, lease_id, row, timeout), held_since)
            self._flights[row.delivery_id, lease_id] = flight
            self._none_in_flight.clear()
            self._of_workspace[workspace_id] += 1
            flights.append(flight)
        for number, flight in enumerate(flights, start=1):
            flight.task = asyncio.create_task(self._deliver(flight.leased, claim.secrets))
            key = (flight.leased.row.delivery_id, lease_id)
            flight.task.add_done_callback(partial(self._answered, key))
            if number % SENT_IN_ONE_GO == 0:
                await asyncio.sleep(0)

    def _answered(self, key: tuple[str, str], task: asyncio.Task[bool]) -> None:
        """What was answered stays until it is on record; whatever else became of it is over."""
        if task.cancelled():
            self._landed(key)
        elif (broken := task.exception()) is not None:
            # Nothing is lost: the lease runs out and the delivery falls due again.
            log.error("an attempt could not be finished", exc_info=broken)
            self._landed(key)
        elif not task.result():
            self._landed(key)

    def _landed(self, key: tuple[str, str]) -> None:
        flight = self._flights.pop(key, None)
        if flight is None:
            return
        if not self._flights:
            self._none_in_flight.set()
        workspace_id = flight.leased.workspace_id
        self._of_workspace[workspace_id] -= 1
        if not self._of_workspace[workspace_id]:
            del self._of_workspace[workspace_id]
        self._in_flight_max = min(IN_FLIGHT_MAX, self._in_flight_max + 1)
        # First whoever has waited longest: a busy workspace would take its own place again each time.
        if self._without_room and len(self._flights) < self._in_flight_max:
            longest_waiting = next(iter(self._without_room))
            if longest_waiting != workspace_id:
                self._look_at(longest_waiting)
        if self._is_waiting(workspace_id, [flight.leased.row.endpoint_id]):
            self._look_at(workspace_id)

    def _is_waiting(self, workspace_id: str, endpoint_ids: Iterable[str]) -> bool:
        """Whether more is due that these endpoints' places could be for: theirs, or the workspace's own."""
        waiting = self._endpoints_waiting.get(workspace_id)
        return workspace_id in self._without_room or (
            waiting is not None and not waiting.isdisjoint(endpoint_ids)
        )

    def _remember_waiting(self, workspace_id: str, endpoint_ids: AbstractSet[str]) -> None:
        if endpoint_ids:
            self._endpoints_waiting.setdefault(workspace_id, set()).update(endpoint_ids)

    def _forget_waiting(self, workspace_id: str) -> None:
        """It is looked at, which shows who waits."""
        self._without_room.pop(workspace_id, None)
        self._endpoints_waiting.pop(workspace_id, None)

    # Sending

    async def _deliver(self, leased: Leased, secrets: Sequence[str]) -> bool:
        """Whether there is something to be recorded."""
        if leased.row.payload is None:
            await self._database.write(
                partial(_cancel_empty, leased.workspace_id, leased.row.delivery_id, leased.lease_id)
            )
            return False
        attempted = await make_attempt(self._sender, leased, secrets, self._clock)
        self._observer.attempted(attempted, leased.row.created_at)
        self._record_soon(attempted)
        return True

    # Recording

    def _record_soon(self, attempted: Attempted) -> None:
        now = asyncio.get_running_loop().time()
        wait_seconds = min(GATHER_SECONDS_MAX, attempted.duration_ms / 1000 * GATHER_SHARE)
        due = now if wait_seconds < GATHER_SECONDS_MIN else now + wait_seconds
        waiting = self._unrecorded.setdefault(attempted.workspace_id, _Unrecorded(due))
        waiting.attempts.append(attempted)
        if len(waiting.attempts) >= RECORD_MAX:
            due = now
        waiting.due = min(waiting.due, due)
        self._wake_recorder(waiting.due, now)

    def _wake_recorder(self, due: float, now: float) -> None:
        """At that time, if it does not wake before."""
        if due <= now or self._stopping:
            self._record_now.set()
            return
        alarm = self._record_alarm
        if alarm is not None:
            if alarm.when() <= due:
                return
            alarm.cancel()
        self._record_alarm = asyncio.get_running_loop().call_at(due, self._record_now.set)

    async def _record_some(self) -> None:
        """Record what is due. What the database does not take now is kept and tried again."""
        await self._record_now.wait()
        self._record_now.clear()
        if self._record_alarm is not None:
            self._record_alarm.cancel()
            self._record_alarm = None
        now = asyncio.get_running_loop().time()
        batches = [self._take(workspace_id) for workspace_id in self._to_record(now)]
        if self._unrecorded:
            self._wake_recorder(min(waiting.due for waiting in self._unrecorded.values()), now)
        await self._record_batches(batches)

    def _to_record(self, now: float) -> list[str]:
        # On SQLite they share a commit: who has one to make takes everybody along.
        if self._stopping or self._database.engine is Engine.SQLITE:
            return list(self._unrecorded)
        # A timer may be early by what it is measured in.
        latest = now + 0.001
        return [workspace_id for workspace_id, waiting in self._unrecorded.items() if waiting.due <= latest]

    def _take(self, workspace_id: str) -> list[Attempted]:
        waiting = self._unrecorded[workspace_id].attempts
        batch = [waiting.popleft() for _ in range(min(len(waiting), RECORD_MAX))]
        if not waiting:
            del self._unrecorded[workspace_id]
        return batch

    async def _record_rest(self) -> None:
        """Once more what is left when the worker stops."""
        batches = [list(waiting.attempts) for waiting in self._unrecorded.values()]
        self._unrecorded.clear()
        try:
            async with asyncio.timeout(STOP_RECORDING_SECONDS):
                await self._record_batches(batches)
        except Exception as failure:  # noqa: BLE001 - whatever it was, the worker stops, and leases end by themselves
            count = sum(len(waiting.attempts) for waiting in self._unrecorded.values())
            log.warning("%d attempts were answered and could not be recorded: %s", count, describe(failure))

    async def _record_batches(self, batches: Sequence[list[Attempted]]) -> None:
        # Side by side: on PostgreSQL none waits for another.
        failures = await asyncio.gather(*(self._record_or_keep(batch) for batch in batches))
        for failure in failures:
            if failure is not None:
                raise failure

    async def _record_or_keep(self, batch: list[Attempted]) -> Exception | None:
        """Once more after a failure that hides a commit is harmless: the leases of what was recorded are gone."""
        workspace_id = batch[0].workspace_id
        request = self._request_for_places_of(workspace_id, batch)
        held_since = asyncio.get_running_loop().time()
        try:
            prospect, claim = await self._record(workspace_id, batch, request)
        except BaseException as failure:
            if request is not None:
                self._without_room[workspace_id] = None  # who waits has been forgotten
                if isinstance(failure, Exception) and not isinstance(failure, LeadlineError):
                    # Perhaps it is only the claim that fails: the next time they are recorded without one.
                    self._leave_alone(workspace_id)
            now = asyncio.get_running_loop().time()
            waiting = self._unrecorded.setdefault(workspace_id, _Unrecorded(now))
            waiting.attempts.extendleft(reversed(batch))
            waiting.due = now
            self._record_now.set()
            if isinstance(failure, Exception):
                return failure
            raise
        for attempted in batch:
            self._landed((attempted.delivery_id, attempted.lease_id))
        if request is not None:
            self._take_note(workspace_id, prospect)
            if prospect.endpoint_ids:
                await self._take_up(workspace_id, request, claim, held_since)
        return None

    def _request_for_places_of(self, workspace_id: str, attempts: Sequence[Attempted]) -> ClaimRequest | None:
        """What is claimed in the transaction in which these attempts are recorded: the places that they give up.

        They are taken up again where more is due than there was room for, unless other workspaces may wait for room.
        """
        places = self._places(workspace_id, len(attempts))
        is_full = len(self._flights) >= self._in_flight_max
        if places <= 0 or is_full or self._stopping or workspace_id in self._failures:
            return None
        if not self._is_waiting(workspace_id, [each.endpoint_id for each in attempts]):
            return None
        self._forget_waiting(workspace_id)
        return self._claim_request(workspace_id, places)

    async def _record(
        self, workspace_id: str, attempts: Sequence[Attempted], request: ClaimRequest | None
    ) -> tuple[Prospect, Claim]:
        # Like a claim it waits for no disk: what a power cut takes back is sent again, as it is after any death between
        # an answer and its record.
        wait_ms, prospect, claim = await self._database.write(
            partial(_record, workspace_id, attempts, self._settings.waits_seconds, request),
            durable=False,
            patient=True,
        )
        if wait_ms is not None:
            self._set_alarm(workspace_id, wait_ms / 1000)
        return prospect, claim

    def _set_alarm(self, workspace_id: str, wait_seconds: float) -> None:
        """Look at a workspace then, not a poll later. What this misses, the poll finds."""
        loop = asyncio.get_running_loop()
        known = self._alarms.get(workspace_id)
        if known is not None:
            if known.when() <= loop.time() + wait_seconds:
                return
            known.cancel()
        # A touch late rather than early: early finds nothing.
        self._alarms[workspace_id] = loop.call_later(wait_seconds + 0.002, self._ring, workspace_id)

    def _ring(self, workspace_id: str) -> None:
        self._alarms.pop(workspace_id, None)
        self._look_at(workspace_id)

    async def _renew_leases(self) -> None:
        """Hold on to what takes long, or is sent but cannot be recorded while the database is away, say."""
        await asyncio.sleep(RENEW_SECONDS)
        old = asyncio.get_running_loop().time() - RENEW_SECONDS
        held: dict[str, dict[str, list[str]]] = {}
        for flight in self._flights.values():
            if flight.held_since <= old:
                leased = flight.leased
                leases = held.setdefault(leased.workspace_id, {})
                leases.setdefault(leased.lease_id, []).append(leased.row.delivery_id)
        # Like a claim it waits for no disk.
        await _all(
            [
                self._database.write(partial(_renew, workspace_id, leases), durable=False)
                for workspace_id, leases in held.items()
            ]
        )


async def _all(works: Sequence[Awaitable[None]]) -> None:
    """Wait for all of them, and then raise what the first met: when one fails, the others go on and are ours still."""
    for failure in await asyncio.gather(*works, return_exceptions=True):
        if failure is not None:
            raise failure


def _is_being_cancelled() -> bool:
    """Whether this very task is to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _find(workspace_id: str, tx: Tx) -> Prospect:
    return await find_claimable(tx, workspace_id)


async def _claim(workspace_id: str, endpoint_ids: Sequence[str], request: ClaimRequest, tx: Tx) -> Claim:
    return await claim_deliveries(tx, workspace_id, endpoint_ids, request)


async def _record(
    workspace_id: str,
    attempts: Sequence[Attempted],
    waits_seconds: Sequence[float],
    request: ClaimRequest | None,
    tx: Tx,
) -> tuple[int | None, Prospect, Claim]:
    """Record attempts, and take up the places that they give up if there is a request: two in one transaction."""
    wait_ms = await record_attempts(tx, workspace_id, attempts, waits_seconds)
    prospect, claim = Prospect(), Claim()
    if request is not None:
        prospect = await find_claimable(tx, workspace_id)
        if prospect.endpoint_ids:
            claim = await claim_deliveries(tx, workspace_id, prospect.endpoint_ids, request)
    return wait_ms, prospect, claim


async def _renew(workspace_id: str, held: Mapping[str, Sequence[str]], tx: Tx) -> None:
    await renew_leases(tx, workspace_id, held, LEASE_SECONDS * 1000)


async def _release(workspace_id: str, delivery_id: str, lease_id: str, tx: Tx) -> None:
    await release(tx, workspace_id, delivery_id, lease_id)


async def _cancel_empty(workspace_id: str, delivery_id: str, lease_id: str, tx: Tx) -> None:
    await cancel_empty(tx, workspace_id, delivery_id, lease_id)
