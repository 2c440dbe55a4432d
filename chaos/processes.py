"""The processes under fire: started, killed, and started again until the run is over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from chaos.plan import KillPoint
from chaos.victim import KILLS_FILE, NOT_INJECTED, Kill, NameOrders, Orders, sender_name

RESTART_PAUSE_SECONDS = 0.2
STOP_SECONDS_MAX = 20.0
FAILED_START = "a start that failed"
ROOT = Path(__file__).resolve().parents[1]


class Common(msgspec.Struct, frozen=True):
    """What all processes of a run share. `environment` is theirs in full."""

    directory: Path
    environment: Mapping[str, str]
    started_at: float
    names: Mapping[str, NameOrders]
    trusted_file: Path
    lease_seconds: int
    fills_pages: bool


class Victim:
    """One process slot: `serve` or `worker`, with the kill points of its lives."""

    def __init__(self, name: str, role: str, kill_points: Sequence[KillPoint], common: Common) -> None:
        self.name = name
        self.role = role
        self.base_url: str | None = None
        self.life = 0
        self.kills: list[Kill] = []
        self.failed_starts: list[Kill] = []
        self.complaints: list[str] = []
        self._points = list(kill_points)
        self._common = common
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._cause: str | None = None
        self._is_told_to_stop = False
        self._over = False
        self._log_starts_at = 0

    def start(self) -> None:
        """Keep a process running from now on."""
        self._keeper = asyncio.create_task(self._keep(), name=f"chaos-{self.name}")

    def disarm(self) -> None:
        """The lives to come have no kill points; the present one keeps its own."""
        self._points.clear()

    def kill(self, cause: str) -> bool:
        """SIGKILL, now; False when nothing runs."""
        return self._signal(signal.SIGKILL, cause)

    def terminate(self, cause: str) -> bool:
        """SIGTERM, now: it must finish what it does and exit with 0. False when it does not run yet, or has been told.

        A second one may find it past its last line, where Python no longer listens.
        """
        if self._is_told_to_stop or not self._is_ready():
            return False
        return self._signal(signal.SIGTERM, cause)

    async def stop(self) -> None:
        """SIGTERM for good; a complaint when it does not end with 0 in time."""
        self._over = True
        if not self._is_told_to_stop:
            self._signal(signal.SIGTERM, "end of the run")
        assert self._keeper is not None
        try:
            await asyncio.wait_for(asyncio.shield(self._keeper), STOP_SECONDS_MAX)
        except TimeoutError:
            self.complaints.append(f"{self.name} did not stop within {STOP_SECONDS_MAX:g} s of SIGTERM")
            await self.abandon()

    async def abandon(self) -> None:
        """End it whatever it does."""
        self._over = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        if self._keeper is not None:
            await asyncio.gather(self._keeper, return_exceptions=True)

    @property
    def log_path(self) -> Path:
        return self._common.directory / f"{self.name}.log"

    def _signal(self, number: signal.Signals, cause: str) -> bool:
        if self._process is None or self._process.returncode is not None:
            return False
        self._cause = cause
        self._is_told_to_stop |= number is signal.SIGTERM
        if number is signal.SIGKILL:
            self.kills.append(Kill(sender_name(self.name, self.life), cause, time.time()))
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        return True

    async def _keep(self) -> None:
        while not self._over:
            self.life += 1
            await self._live()
            if not self._over:
                await asyncio.sleep(RESTART_PAUSE_SECONDS)

    async def _live(self) -> None:
        """One life, from its orders to its end."""
        self._cause, self.base_url, self._is_told_to_stop = None, None, False
        point = self._points.pop(0) if self._points else None
        self._ready_path.unlink(missing_ok=True)
        self._log_starts_at = self.log_path.stat().st_size if self.log_path.exists() else 0
        orders_path = self._common.directory / f"{self.name}.orders"
        orders_path.write_bytes(msgspec.json.encode(self._orders(point)))
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "chaos.victim", str(orders_path),
                cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                env={**self._common.environment, "LEADLINE_READY_FILE": str(self._ready_path)},
            )  # fmt: skip
        ended = asyncio.create_task(self._process.wait())
        while not ended.done() and not self._is_ready():
            await asyncio.wait([ended], timeout=0.02)
        self.base_url = self._ready_path.read_text() if self._ready_path.exists() else None
        status = await ended
        was_ready, self.base_url = self._is_ready(), None
        self._judge_end(status, was_ready=was_ready)

    def _judge_end(self, status: int, *, was_ready: bool) -> None:
        if status == 0 and self._cause is not None:
            return
        if status == -signal.SIGKILL:
            return  # by its point, which it noted itself, or by us
        if not was_ready and status != NOT_INJECTED:
            # The database was away, say: whoever keeps it running tries again. It may have begun to send by then, and
            # could not write down what became of it (the disk was full): to the audit that is a death like others.
            self.failed_starts.append(Kill(sender_name(self.name, self.life), FAILED_START, time.time()))
            return
        self.complaints.append(f"{self.name} ended with status {status} ({self._cause or 'by itself'})")

    def _is_ready(self) -> bool:
        if self.role == "serve":
            return self._ready_path.exists() and bool(self._ready_path.read_text())
        return (
            self.log_path.exists() and b"is delivering" in self.log_path.read_bytes()[self._log_starts_at :]
        )

    @property
    def _ready_path(self) -> Path:
        return self._common.directory / f"{self.name}.ready"

    def _orders(self, point: KillPoint | None) -> Orders:
        return Orders(
            name=self.name,
            life=self.life,
            role=self.role,
            kill_point=point,
            directory=str(self._common.directory),
            started_at=self._common.started_at,
            names=self._common.names,
            trusted_file=str(self._common.trusted_file),
            lease_seconds=self._common.lease_seconds,
            fills_pages=self._common.fills_pages,
        )


def kills_of(victims: Sequence[Victim], directory: Path) -> list[Kill]:
    """Every death by SIGKILL: those the processes gave themselves, and those the driver gave them."""
    path = directory / KILLS_FILE
    lines = path.read_bytes().splitlines() if path.exists() else []
    own = [msgspec.json.decode(line, type=Kill) for line in lines]
    died_before = {kill.sender for kill in own}
    # A process that the driver hit a moment after its own blow died of its own.
    given = [kill for victim in victims for kill in victim.kills if kill.sender not in died_before]
    return sorted([*own, *given], key=lambda kill: kill.at)


def process_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without anybody's Leadline settings, but with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEADLINE_")}
    return kept | dict(settings)


def base_urls(victims: Sequence[Victim]) -> list[str]:
    """Where the API listens right now."""
    return [victim.base_url for victim in victims if victim.base_url]
