"""The worker: claim what is due, send it with nothing open in the database, record what came of it.

Workspaces take turns and each endpoint has its slots, so that neither a busy workspace nor a dead endpoint delays
the others. The claim is a lease: when the worker dies, the delivery falls due again by itself. Results of many
attempts are recorded in one transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from leadline.clock import Clock
from leadline.delivery.agenda import Agenda
from leadline.delivery.attempt import Leased, make_attempt
from leadline.delivery.places import Flight, FlightKey, Places
from leadline.delivery.results import Results
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

# Longer than any attempt can take (30 s) and its recording; contract § 8 wants it over within 45 s.
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
ATTEMPT_SECONDS_MAX = 30
CLAIMS_AT_ONCE = 4
STOP_CLAIMING_SECONDS = 5.0
STOP_RECORDING_SECONDS = 5.0
STOP_RELEASING_SECONDS = 5.0
# How long it waits before it tries again what failed.
TROUBLE_SECONDS = 1.0
# How long until an endpoint is looked at again that another worker was claiming for.
PASSED_OVER_SECONDS = 0.02
# When the database comes back, those who were sending meanwhile may first write down what came of it: for so long
# nobody's lease is taken over, though it has run out. Contract § 8 leaves 5 s beyond the lease.
NOBODY_TAKEN_OVER_SECONDS = 4.0
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
        self._agenda = Agenda()
        self._places = Places()
        self._results = Results(together=database.engine is Engine.SQLITE)
        self._takes_over_at = 0.0
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._forget_listener: Callable[[], None] = lambda: None
        # By step, what it met the last time.
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
        self._agenda.close()
        # A claim under way is let through: cut off, what it has taken would wait for its lease to end.
        self._stopping = True
        self._agenda.wake()
        self._results.hurry()
        await asyncio.wait(self._tasks[:1], timeout=STOP_CLAIMING_SECONDS)
        await _cancel(self._tasks[:1])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self._places.until_empty()
        flights = self._places.flights()
        await _cancel([flight.task for flight in flights if flight.task is not None])
        await _cancel(self._tasks[1:])
        # What was answered is recorded, or waits for its lease to end: given back it would be sent again at once.
        answered = self._results.keys()
        await self._record_rest()
        await self._give_back([flight.leased for flight in flights if flight.key not in answered])

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
        if signal is Signal.DELIVERIES:
            self._agenda.look_if_it_pays(workspace_id)

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do a step again and again. Trouble is told and waited out, so that no task of the worker ends."""
        name = step.__name__
        while not (self._stopping and step == self._claim_due):
            try:
                await step()
                self._troubles.pop(name, None)
            except LeadlineError as away:
                self._troubles[name] = away.message
                await asyncio.sleep(TROUBLE_SECONDS)
            except (Exception, asyncio.CancelledError) as broken:
                if _is_being_cancelled():
                    raise
                # Also what it waited for being called off by somebody else, which would end this task without a word.
                self._troubles[name] = f"the delivery task failed: {describe(broken)}"
                log.exception("the delivery task failed and goes on")
                await asyncio.sleep(TROUBLE_SECONDS)

    def _begin_anew(self) -> None:
        """After an outage, as after a start: with few at once, and leaving to others what they have under way."""
        self._places.begin_anew()
        self._takes_over_at = asyncio.get_running_loop().time() + NOBODY_TAKEN_OVER_SECONDS

    # Claiming

    async def _claim_due(self) -> None:
        waiting = deque(await self._workspaces())
        while waiting and not self._stopping:
            # A few side by side: one that has many endpoints to look through holds up no other.
            turn = [waiting.popleft() for _ in range(min(len(waiting), CLAIMS_AT_ONCE))]
            share = -(-self._places.free // len(turn))
            try:
                await _all([self._claim_for(workspace_id, share) for workspace_id in turn])
            except BaseException:
                # Who was not reached comes first the next time, for it may go the same way again.
                self._agenda.look_first(waiting)
                raise
        if not self._stopping:
            await self._agenda.wait()

    async def _workspaces(self) -> list[str]:
        """Those we were told of, and once in a while all that have something due."""
        told = self._agenda.take()
        if not self._agenda.is_to_look_round():
            return told
        try:
            due = await self._database.read(workspaces_due)
        except LeadlineError:
            # The one look that nothing but an outage can fail.
            self._begin_anew()
            raise
        return list(dict.fromkeys([*told, *due]))

    async def _claim_for(self, workspace_id: str, share: int) -> None:
        """One that cannot be claimed for holds up no other. A database that is away is everybody's trouble."""
        if self._agenda.is_left_alone(workspace_id):
            return
        try:
            await self._claim_in(workspace_id, share)
        except LeadlineError:
            raise
        except Exception as broken:  # noqa: BLE001 - whatever it is, it is this workspace's
            self._leave_alone(workspace_id, broken)
        else:
            if self._agenda.leave_alone_no_more(workspace_id):
                self._observer.leaving_alone(self._agenda.left_alone)

    def _leave_alone(self, workspace_id: str, broken: Exception) -> None:
        log.error("nothing can be claimed in workspace %s", workspace_id, exc_info=broken)
        self._agenda.leave_alone(workspace_id)
        self._observer.leaving_alone(self._agenda.left_alone)

    async def _claim_in(self, workspace_id: str, share: int) -> None:
        free = min(share, self._places.free_for(workspace_id))
        if free <= 0:
            self._places.wait_for_room(workspace_id)
            return
        prospect = await self._database.read(partial(_find, workspace_id))
        # Only now: as long as it is known that more is due, what is recorded meanwhile takes up its places itself.
        self._places.forget_waiting(workspace_id)
        self._take_note(workspace_id, prospect)
        if not prospect.endpoint_ids:
            return
        self._places.wait_for_endpoints(workspace_id, frozenset(prospect.endpoint_ids))
        request = self._claim_request(workspace_id, free)
        # Leases run from the claim, however long its answer takes.
        held_since = asyncio.get_running_loop().time()
        # A claim that a power cut takes back is made again: what it had sent arrives twice, as after any death between
        # an answer and its record. So it waits for no disk.
        claim = await self._database.write(
            partial(_claim, workspace_id, prospect.endpoint_ids, request), durable=False
        )
        self._places.wait_no_more(workspace_id, prospect.endpoint_ids)
        await self._take_up(workspace_id, request, claim, held_since)

    def _take_note(self, workspace_id: str, prospect: Prospect) -> None:
        if prospect.wait_ms is not None:
            self._agenda.look_later(workspace_id, prospect.wait_ms / 1000)
        self._agenda.looked(workspace_id, in_vain=not prospect.endpoint_ids)
        self._places.wait_for_endpoints(workspace_id, prospect.waiting)

    async def _take_up(
        self, workspace_id: str, request: ClaimRequest, claim: Claim, held_since: float
    ) -> None:
        await self._set_going(workspace_id, request.lease_id, claim, held_since)
        self._places.wait_for_endpoints(workspace_id, claim.waiting)
        if len(claim.deliveries) == request.limit:
            self._agenda.look_at(workspace_id)
        elif not claim.deliveries:
            # Somebody else was faster, or holds an endpoint at this moment and may leave something.
            self._agenda.look_later(workspace_id, PASSED_OVER_SECONDS)

    def _claim_request(self, workspace_id: str, limit: int) -> ClaimRequest:
        return ClaimRequest(
            lease_id=new_id(),
            lease_ms=LEASE_SECONDS * 1000,
            attempts_max=self._settings.attempts_max,
            limit=limit,
            held=self._places.held_by(workspace_id),
            takes_over=asyncio.get_running_loop().time() >= self._takes_over_at,
        )

    async def _set_going(self, workspace_id: str, lease_id: str, claim: Claim, held_since: float) -> None:
        if claim.takeovers:
            self._observer.taken_over(claim.takeovers)
        flights = []
        for row in claim.deliveries:
            timeout = claim.timeouts_seconds.get(row.endpoint_id) or self._settings.timeout_seconds
            flight = Flight(Leased(workspace_id, lease_id, row, timeout), held_since)
            self._places.take(flight)
            flights.append(flight)
        for number, flight in enumerate(flights, start=1):
            flight.task = asyncio.create_task(self._deliver(flight.leased, claim.secrets))
            flight.task.add_done_callback(partial(self._answered, flight.key))
            if number % SENT_IN_ONE_GO == 0:
                await asyncio.sleep(0)

    def _answered(self, key: FlightKey, task: asyncio.Task[bool]) -> None:
        """What was answered stays until it is on record; whatever else became of it is over."""
        if task.cancelled():
            self._landed(key)
        elif (broken := task.exception()) is not None:
            # Nothing is lost: the lease runs out and the delivery falls due again.
            log.error("an attempt could not be finished", exc_info=broken)
            self._landed(key)
        elif not task.result():
            self._landed(key)

    def _landed(self, key: FlightKey) -> None:
        for workspace_id in self._places.give_up(key):
            self._agenda.look_at(workspace_id)

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
        self._results.add(attempted)
        return True

    # Recording

    async def _record_some(self) -> None:
        """Record what is due. What the database does not take now is kept and tried again."""
        await self._record_batches(await self._results.due())

    async def _record_rest(self) -> None:
        """Once more what is left when the worker stops."""
        try:
            async with asyncio.timeout(STOP_RECORDING_SECONDS):
                await self._record_batches(self._results.take_all())
        except Exception as failure:  # noqa: BLE001 - whatever it was, the worker stops, and leases end by themselves
            count = len(self._results)
            log.warning("%d attempts were answered and could not be recorded: %s", count, describe(failure))

    async def _record_batches(self, batches: Sequence[list[Attempted]]) -> None:
        # Side by side: on PostgreSQL none waits for another.
        failures = await asyncio.gather(*(self._record_or_keep(batch) for batch in batches))
        for failure in failures:
            if failure is not None:
                raise failure

    async def _record_or_keep(self, batch: list[Attempted]) -> LeadlineError | None:
        """Once more after a failure that hides a commit is harmless: the leases of what was recorded are gone."""
        workspace_id = batch[0].workspace_id
        request = self._request_for_places_of(workspace_id, batch)
        held_since = asyncio.get_running_loop().time()
        try:
            prospect, claim = await self._record(workspace_id, batch, request)
        except BaseException as failure:
            if request is not None:
                self._places.wait_for_room(workspace_id)  # who waits has been forgotten
            if isinstance(failure, Exception) and not isinstance(failure, LeadlineError):
                return await self._record_apart(batch, failure, claimed=request is not None)
            self._results.put_back(batch)
            if isinstance(failure, LeadlineError):
                return failure
            raise
        for attempted in batch:
            self._landed((attempted.delivery_id, attempted.lease_id))
        if request is not None:
            self._take_note(workspace_id, prospect)
            if prospect.endpoint_ids:
                await self._take_up(workspace_id, request, claim, held_since)
        return None

    async def _record_apart(
        self, batch: list[Attempted], failure: Exception, *, claimed: bool
    ) -> LeadlineError | None:
        """What failed for these and would not for others: without a claim, then each alone, and one alone is left."""
        if claimed:
            self._leave_alone(batch[0].workspace_id, failure)  # nothing is claimed along with it any more
            return await self._record_or_keep(batch)
        if len(batch) > 1:
            return await self._record_each(batch)
        (attempted,) = batch
        # Nothing is lost: its lease runs out and the delivery falls due again, as often as it has attempts left.
        log.error("what came of delivery %s cannot be recorded", attempted.delivery_id, exc_info=failure)
        self._landed((attempted.delivery_id, attempted.lease_id))
        return None

    async def _record_each(self, batch: list[Attempted]) -> LeadlineError | None:
        left = deque(batch)
        try:
            while left:
                failure = await self._record_or_keep([left.popleft()])
                if failure is not None:
                    return failure
        finally:
            if left:
                self._results.put_back(list(left))
        return None

    def _request_for_places_of(self, workspace_id: str, attempts: Sequence[Attempted]) -> ClaimRequest | None:
        """What is claimed in the transaction in which these attempts are recorded: the places that they give up.

        They are taken up again where more is due than there was room for, unless other workspaces may wait for room.
        """
        free = self._places.free_for(workspace_id, len(attempts))
        if free <= 0 or not self._places.free or self._stopping or self._agenda.has_failed(workspace_id):
            return None
        if not self._places.has_waiting(workspace_id, [each.endpoint_id for each in attempts]):
            return None
        self._places.forget_waiting(workspace_id)
        return self._claim_request(workspace_id, free)

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
            self._agenda.look_later(workspace_id, wait_ms / 1000)
        return prospect, claim

    # Holding

    async def _renew_leases(self) -> None:
        """Hold on to what takes long, or is sent but cannot be recorded while the database is away, say."""
        await asyncio.sleep(RENEW_SECONDS)
        old = asyncio.get_running_loop().time() - RENEW_SECONDS
        held: dict[str, dict[str, list[str]]] = {}
        for flight in self._places.flights():
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
