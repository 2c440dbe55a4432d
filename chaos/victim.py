"""One process of Leadline with faults in it: the shipped `serve` or `worker`, wrapped from outside.

Run as `python -m chaos.victim ORDERS`, a file with `Orders` as JSON. What is wrapped: the steps at which it kills
itself, the resolver, the trusted certificates, the clock, the sender's name, and the lengths of lease and
renewal, which are shorter here so that a run ends.
"""

from __future__ import annotations

import importlib
import inspect
import json
import math
import os
import signal
import ssl
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from chaos.plan import KillPoint, Point, Spell
from chaos.receivers import TRAP_HOST

KILLS_FILE, CLOCK_FILE, FULL_FILE = "kills", "clock-offset", "disk-full"
RENEW_SECONDS = 2.0
# The exit status of a process whose faults could not be put in.
NOT_INJECTED = 70


class NameOrders(msgspec.Struct, frozen=True):
    """How a name resolves while its spell lasts: `fails`, `flaps` or `rebinds`."""

    mode: str
    spell: Spell


class Orders(msgspec.Struct, frozen=True):
    """What the driver wants of one life of one process. `started_at` in Unix seconds."""

    name: str
    life: int
    role: str
    kill_point: KillPoint | None
    directory: str
    started_at: float
    names: Mapping[str, NameOrders]
    trusted_file: str
    lease_seconds: int
    fills_pages: bool
    """The disk is not full, but SQLite is told that it is."""

    @property
    def sender(self) -> str:
        """What it calls itself to receivers, so that a receipt tells who sent it."""
        return sender_name(self.name, self.life)


def sender_name(name: str, life: int) -> str:
    return f"Leadline-chaos/{name}.{life}"


class Kill(msgspec.Struct, frozen=True):
    """A process that died by SIGKILL. `cause` is a point's or a fault's name; `at` in Unix seconds."""

    sender: str
    cause: str
    at: float


Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]
_WORKER = "leadline.delivery.worker"
# Where each point is: module, class (or ""), function, and whether it lies before or after it.
PLACES: Mapping[Point, Sequence[tuple[str, str, str, str]]] = {
    Point.BEFORE_CLAIM: [(_WORKER, "Worker", "_claim_in", "before")],
    Point.IN_CLAIM: [(_WORKER, "", "claim_deliveries", "after")],
    Point.AFTER_CLAIM: [(_WORKER, "Worker", "_set_going", "before")],
    Point.BEFORE_SEND: [(_WORKER, "", "make_attempt", "before")],
    Point.AFTER_SEND: [(_WORKER, "", "make_attempt", "after")],
    Point.BEFORE_RECORD: [(_WORKER, "Worker", "_record", "before")],
    Point.IN_RECORD: [(_WORKER, "", "record_attempts", "after")],
    Point.AFTER_RECORD: [(_WORKER, "Worker", "_record", "after")],
    Point.BEFORE_APPLY: [("leadline.web.api.calls", "", "apply_outcomes", "before")],
    Point.IN_APPLY: [("leadline.web.api.calls", "", "apply_outcomes", "after")],
    Point.AFTER_COMMIT: [
        ("leadline.store.sqlite", "SqliteDatabase", "write", "after"),
        ("leadline.store.sqlite", "SqliteDatabase", "write_together", "after"),
        ("leadline.store.postgresql", "PostgresqlDatabase", "write", "after"),
        ("leadline.store.postgresql", "PostgresqlDatabase", "write_together", "after"),
    ],
}


def main(orders_file: str) -> None:
    """Put the faults in and be Leadline."""
    orders = msgspec.json.decode(Path(orders_file).read_bytes(), type=Orders)
    try:
        _inject(orders)
    except Exception:  # noqa: BLE001 - whatever it was, it is told and ends the process
        # Not a start that failed, as one may when the database is away: a fault that is never injected shows nothing.
        traceback.print_exc()
        sys.exit(NOT_INJECTED)
    from leadline.cli.serving import serve, work  # noqa: PLC0415 - after the wrapping of what they import
    from leadline.settings import load_settings  # noqa: PLC0415

    settings = load_settings({})
    if orders.role == "serve":
        serve(settings)
    else:
        work(settings)


def _inject(orders: Orders) -> None:
    if orders.kill_point is not None:
        _arm(orders, orders.kill_point)
    _put(_WORKER, "", "LEASE_SECONDS", lambda _: orders.lease_seconds)
    # `WorkerSettings` wants an attempt to be over within the lease; attempts take 2 s here.
    _put(_WORKER, "", "ATTEMPT_SECONDS_MAX", lambda _: orders.lease_seconds - 5)
    _put(_WORKER, "", "RENEW_SECONDS", lambda _: RENEW_SECONDS)
    _put("leadline.delivery.guard", "", "SystemResolver", lambda _: lambda: Resolver(orders))
    _put("leadline.delivery.sender", "", "_trusting_context", lambda _: lambda: _trust(orders))
    _put("leadline.delivery.sender", "Sender", "__init__", lambda original: _renamed(original, orders.sender))
    _put("leadline.clock", "Clock", "now_ms", lambda original: _jumping(original, orders))
    _put("leadline.store.sqlite", "", "connect", lambda original: _jumping_database(original, orders))
    if orders.fills_pages:
        _put("leadline.store.sqlite", "SqliteDatabase", "_write_batch", lambda f: _filling(f, orders))


def _put(module: str, owner: str, name: str, make: Callable[[Any], Any]) -> None:
    """Replace `module.owner.name`; fails at once when it is no longer there."""
    place = importlib.import_module(module)
    if owner:
        place = getattr(place, owner)
    setattr(place, name, make(getattr(place, name)))


# Dying


def _arm(orders: Orders, kill_point: KillPoint) -> None:
    left = [kill_point.passing]
    calm_until = [math.inf]

    def begin() -> None:
        calm_until[0] = time.monotonic() + kill_point.calm_seconds

    def pass_by() -> None:
        if time.monotonic() < calm_until[0]:
            return
        left[0] -= 1
        if left[0] == 0:
            _die(orders, kill_point.point)

    _put(_WORKER, "Worker", "start", _passing_after(begin))
    for module, owner, name, when in PLACES[kill_point.point]:
        _put(module, owner, name, _passing_before(pass_by) if when == "before" else _passing_after(pass_by))


def _die(orders: Orders, point: Point) -> None:
    """As a power cut would have it. The note is in the kernel's hands before."""
    note = msgspec.json.encode(Kill(orders.sender, point.value, time.time())) + b"\n"
    file = os.open(Path(orders.directory) / KILLS_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, note)
    os.kill(os.getpid(), signal.SIGKILL)


def _passing_before(pass_by: Callable[[], None]) -> Wrapper:
    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            pass_by()
            return original(*arguments, **named)

        return wrapped

    return wrap


def _passing_after(pass_by: Callable[[], None]) -> Wrapper:
    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        assert inspect.iscoroutinefunction(original)

        async def wrapped(*arguments: Any, **named: Any) -> Any:
            answer = await original(*arguments, **named)
            pass_by()
            return answer

        return wrapped

    return wrap


# Names and certificates


class Resolver:
    """Knows the names of the run alone, each as hostile as its spell says."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._turn = 0

    async def __call__(self, host: str) -> Sequence[str]:
        self._turn += 1
        name = self._orders.names.get(host)
        elapsed_seconds = time.time() - self._orders.started_at
        if name is None or not name.spell.is_hostile(elapsed_seconds):
            return ["127.0.0.1"]
        if name.mode == "rebinds":
            # A second answer would lead to the trap; so does this one, every other time.
            return [TRAP_HOST] if self._turn % 2 else ["127.0.0.1", TRAP_HOST]
        if name.mode == "fails" or self._turn % 2:
            raise OSError("the name server is down")
        return ["127.0.0.1"]


def _trust(orders: Orders) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=orders.trusted_file)


def _renamed(original: Callable[..., None], sender: str) -> Callable[..., None]:
    def initialize(self: Any, **named: Any) -> None:
        original(self, **named | {"user_agent": sender})

    return initialize


# Clock and disk


def _offset_seconds(orders: Orders) -> float:
    try:
        return float(json.loads((Path(orders.directory) / CLOCK_FILE).read_text()))
    except (OSError, ValueError):
        return 0.0


def _jumping(original: Callable[[Any], int], orders: Orders) -> Callable[[Any], int]:
    return lambda clock: original(clock) + round(_offset_seconds(orders) * 1000)


def _jumping_database(original: Callable[[str], Any], orders: Orders) -> Callable[[str], Any]:
    """SQLite takes its time from the same machine, so its clock jumps too."""

    def connect(path: str) -> Any:
        connection = original(path)
        connection.create_scalar_function("unixepoch", lambda _: time.time() + _offset_seconds(orders), 1)
        return connection

    return connect


def _filling(original: Callable[..., None], orders: Orders) -> Callable[..., None]:
    full = Path(orders.directory) / FULL_FILE

    def write_batch(self: Any, *arguments: Any) -> None:
        pages = 1 if full.exists() else 2**30
        self._write_connection.execute(f"PRAGMA max_page_count={pages}").fetchall()
        original(self, *arguments)

    return write_batch


if __name__ == "__main__":
    main(sys.argv[1])
