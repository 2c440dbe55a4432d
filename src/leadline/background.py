"""What goes by itself: wrap-ups time out, replays and imports go on, old things go, reports are counted ahead."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from leadline.clock import Clock, monotonic_seconds
from leadline.domain.errors import LeadlineError
from leadline.domain.reports import Measure
from leadline.operations import maintenance
from leadline.operations.count_ahead import count_ahead, uncounted
from leadline.operations.importing import running_imports, step_import
from leadline.operations.replays import running_replays, step_replay
from leadline.operations.time_out_wrap_up import next_timeout_ms, time_out_wrap_up, timed_out_calls
from leadline.store.database import Database, Tx

T = TypeVar("T")
log = logging.getLogger("leadline")

TIMEOUTS_MAX = 100
MAINTENANCE_SECONDS = 300.0
# How far back it is looked whether anything is missing: all of a large database would be read for minutes each time.
DRIFT_MS = 86_400_000
COUNT_SECONDS = 30.0
# After each step of counting ahead, and of looking for drift, this many times as long for everybody else.
PAUSE_FACTOR = 9
TOUCH_SECONDS = 30.0
REPLAY_PAUSE_SECONDS = 0.05
REPLAY_LOOK_SECONDS = 0.5
IMPORT_PAUSE_SECONDS = 0.02
IMPORT_LOOK_SECONDS = 0.25
FAILED_SECONDS = 5.0
# After a step of a job that failed in a way that nobody foresaw; twice as long after each that follows.
JOB_FAILED_SECONDS_FIRST, JOB_FAILED_SECONDS_MAX = 5.0, 300.0

TakeUsed = Callable[[], list[tuple[str, str, int]]]


class Background:
    """The tasks of one process that nobody asks for. Any number of processes may have them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        events_kept_ms: int,
        tell_drift: Callable[[float], None],
        take_used: TakeUsed | None,
    ) -> None:
        """`take_used` gives the tokens used since it was last asked: (workspace_id, token_id, Unix ms)."""
        self._database = database
        self._clock = clock
        self._events_kept_ms = events_kept_ms
        self._tell_drift = tell_drift
        self._take_used = take_used
        self._tasks: list[asyncio.Task[None]] = []
        # Jobs that failed in a way nobody foresaw: how often in a row, and until when they are left alone.
        self._passed_over: dict[str, tuple[int, float]] = {}

    def start(self) -> None:
        steps = {
            "timeouts": self._time_out_wrap_ups,
            "maintenance": self._maintain,
            "drift": self._look_for_drift,
            "reports": self._count_ahead,
            "tokens": self._touch_tokens,
            "replays": self._replay,
            "imports": self._import,
        }
        self._tasks = [
            asyncio.create_task(self._repeat(step), name=f"leadline-{name}") for name, step in steps.items()
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do a step again and again; each says itself how long it waits."""
        while True:
            try:
                await step()
            except LeadlineError as away:
                log.warning("waiting for the database: %s", away.message)
                await asyncio.sleep(1)
            except (Exception, asyncio.CancelledError):
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                # Also what it waited for being called off by somebody else, which would end this task without a word.
                log.exception("a background task failed and goes on")
                await asyncio.sleep(FAILED_SECONDS)

    async def _time_out_wrap_ups(self) -> None:
        is_stuck = False
        for workspace_id, call_id in await self._database.read(
            lambda tx: timed_out_calls(tx, limit=TIMEOUTS_MAX)
        ):
            time_out = functools.partial(_time_out, workspace_id, call_id)
            is_stuck |= await self._step("wrap-up of call", call_id, time_out, long=False) is None
        due = None if is_stuck else await self._database.read(next_timeout_ms)
        wait_ms = 1000 if due is None else due - self._clock.now_ms()
        await asyncio.sleep(min(1.0, max(0.01, wait_ms / 1000)))

    async def _replay(self) -> None:
        """A page of each replay in turn, with a pause that leaves the database to everybody else."""
        for workspace_id, replay_id in await self._database.read(running_replays):
            await self._step("replay", replay_id, functools.partial(_step_replay, workspace_id, replay_id))
            await asyncio.sleep(REPLAY_PAUSE_SECONDS)
        if not await self._database.read(running_replays):
            await asyncio.sleep(REPLAY_LOOK_SECONDS)

    async def _import(self) -> None:
        """A step of each import in turn, as with replays."""
        running = await self._database.read(running_imports)
        for workspace_id, import_id in running:
            await self._step("import", import_id, functools.partial(_step_import, workspace_id, import_id))
            await asyncio.sleep(IMPORT_PAUSE_SECONDS)
        if not running:
            await asyncio.sleep(IMPORT_LOOK_SECONDS)

    async def _step(
        self, noun: str, job_id: str, work: Callable[[Tx], Awaitable[T]], *, long: bool = True
    ) -> T | None:
        """A step of one job, and its answer; None when it could not be taken.

        A job that cannot go on holds up no other, of whatever workspace.
        """
        failures, until = self._passed_over.get(job_id, (0, 0.0))
        if monotonic_seconds() < until:
            return None
        try:
            answer = await self._database.write(work, long=long)
        except LeadlineError:
            raise
        except Exception:
            log.exception("the %s %s cannot go on", noun, job_id)
            wait_seconds = min(JOB_FAILED_SECONDS_MAX, JOB_FAILED_SECONDS_FIRST * 2 ** min(failures, 16))
            self._passed_over[job_id] = (failures + 1, monotonic_seconds() + wait_seconds)
            return None
        self._passed_over.pop(job_id, None)
        return answer

    async def _maintain(self) -> None:
        for workspace_id in await self._database.read(maintenance.workspace_ids):
            more: bool | None = True
            while more:
                prune = functools.partial(self._prune, workspace_id)
                more = await self._step("maintenance of workspace", workspace_id, prune)
                await asyncio.sleep(0.05)  # small steps, so that nobody waits for them
        await asyncio.sleep(MAINTENANCE_SECONDS)

    async def _look_for_drift(self) -> None:
        """A step at a time: a day may have ten million outcomes, and take a minute and all of the disk at once."""
        since_ms = self._clock.now_ms() - DRIFT_MS
        look = maintenance.DriftLook(await self._database.read(maintenance.workspace_ids), since_ms)
        while not look.is_over:
            began = monotonic_seconds()
            look = await self._database.read(functools.partial(_look_on, look), long=True)
            await asyncio.sleep(PAUSE_FACTOR * (monotonic_seconds() - began))
        self._tell_drift(look.missing)
        await asyncio.sleep(MAINTENANCE_SECONDS)

    async def _count_ahead(self) -> None:
        """Count what has come to rest, for reports: a step of each workspace and measure in turn."""
        went_on = False
        for workspace_id, measure in await self._database.read(uncounted, long=True):
            began = monotonic_seconds()
            step = functools.partial(_count_step, workspace_id, measure)
            went_on |= await self._step("count for reports", f"{workspace_id} {measure}", step) is not None
            await asyncio.sleep(PAUSE_FACTOR * (monotonic_seconds() - began))
        if not went_on:
            await asyncio.sleep(COUNT_SECONDS)

    async def _prune(self, workspace_id: str, tx: Tx) -> bool:
        return await maintenance.prune_workspace(
            tx,
            workspace_id,
            events_kept_ms=self._events_kept_ms,
        )

    async def _touch_tokens(self) -> None:
        await asyncio.sleep(TOUCH_SECONDS)
        await self.touch_tokens()

    async def touch_tokens(self) -> None:
        """Write down when tokens were last used."""
        used = self._take_used() if self._take_used is not None else []
        if used:
            await self._database.write(lambda tx: maintenance.touch_tokens(tx, used))


async def _step_replay(workspace_id: str, replay_id: str, tx: Tx) -> None:
    await step_replay(tx, workspace_id, replay_id)


async def _step_import(workspace_id: str, import_id: str, tx: Tx) -> None:
    await step_import(tx, workspace_id, import_id)


async def _count_step(workspace_id: str, measure: Measure, tx: Tx) -> bool:
    return await count_ahead(tx, workspace_id, measure)


async def _look_on(look: maintenance.DriftLook, tx: Tx) -> maintenance.DriftLook:
    return await maintenance.look_on(tx, look)


async def _time_out(workspace_id: str, call_id: str, tx: Tx) -> bool:
    return await time_out_wrap_up(tx, workspace_id, call_id)
