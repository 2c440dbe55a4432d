"""One load: what is sent, over how many connections, for how long; and what came of it.

The load runs in a process of its own (`benchmarks.generator`) on a core of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.histogram import Histogram

ROOT = Path(__file__).resolve().parents[1]
ID_MARK = b"{id}"
TOKEN_MARK = b"{token}"
# Above this share of its core, the generator may be what is measured.
BOTTLENECK_SHARE = 0.9
SPARE_SECONDS = 60.0


class LoadFailed(Exception):
    """The generator did not get what it wanted: wrong answers, no connection, no answer."""


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a generator is to do. `rate_per_second` None: each connection asks again once it is answered."""

    ports: Sequence[int]
    """The connections are dealt out to them in turn."""
    template: bytes
    """The request; `{id}` in it is replaced by an id that no other request has, `{token}` by what follows the id."""
    ids_file: str | None = None
    again: bool = False
    """Whether the ids are gone through more than once."""
    sent_file: str | None = None
    """Where to leave the moments at which the requests were meant to be sent."""
    expected_status: int
    connections: int
    warm_up_seconds: float
    seconds: float
    rate_per_second: float | None = None
    cores: Sequence[int]
    watched: Mapping[str, Sequence[int]]
    """Whose processor time is to be read at both ends of the window: a name → the first processes of families."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen between the end of warming up and the end of the load."""

    answers: int
    seconds: float
    requests_sent: int
    """In all, warming up included: so many ids are used up."""
    statuses: Mapping[int, int]
    buckets: Mapping[int, int]
    used_seconds: Mapping[str, float]
    generator_share: float
    """Of its core, by the generator alone."""
    core_share: float
    """Of the generator's core, by everybody on it."""
    began_ns: int
    """By the monotonic clock."""
    statements: int | None = None
    """Of the database, when they were counted."""
    overrun: bool = False
    """The rate could not be held: requests waited for a connection until there were too many."""

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds

    @property
    def latency(self) -> Histogram:
        return Histogram(self.buckets)

    def with_latency(self, latency: Histogram) -> Window:
        """The same window, with other latencies."""
        return msgspec.structs.replace(self, buckets=latency.buckets)

    @property
    def is_bottleneck(self) -> bool:
        """Whether the generator, or somebody who shares its core, may be what was measured."""
        return max(self.generator_share, self.core_share) >= BOTTLENECK_SHARE

    def used_us(self, name: str) -> float | None:
        """Processor time of a watched family for each answer, in µs."""
        used = self.used_seconds.get(name)
        return None if used is None or not self.answers else used * 1e6 / self.answers


def request(
    method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> bytes:
    """A request as it goes over the wire, `{id}` marks included.

    A mark in the body would need another length: ids are 36 characters long, the mark 4.
    """
    fields = {"Host": "127.0.0.1", **(headers or {})}
    if body is not None:
        assert ID_MARK not in body
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + (body or b"")


def read_sent(path: Path) -> array[int]:
    """When each request was meant to be sent (monotonic ns), in the order of their ids."""
    moments = array("Q")
    moments.frombytes(path.read_bytes())
    return moments


def run_load(
    orders: Orders, ids: Sequence[str] = (), *, sent_file: Path | None = None, again: bool = False
) -> Window:
    """Run a generator to its end. Raises LoadFailed when any answer was not as expected.

    `again`: ids may be used as often as there is time. Otherwise the window ends with the last of them.
    """
    with tempfile.TemporaryDirectory(prefix="leadline-bench-") as directory:
        ids_path = Path(directory) / "ids"
        ids_path.write_text("\n".join(ids))
        orders = msgspec.structs.replace(
            orders,
            ids_file=str(ids_path) if ids else None,
            sent_file=str(sent_file) if sent_file else None,
            again=again,
        )
        orders_path = Path(directory) / "orders"
        orders_path.write_bytes(msgspec.json.encode(orders))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.generator", str(orders_path)],
            cwd=ROOT, check=False, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=orders.warm_up_seconds + orders.seconds + SPARE_SECONDS,
        )  # fmt: skip
    if done.returncode:
        raise LoadFailed(done.stderr.decode(errors="replace").strip())
    return _checked(msgspec.json.decode(done.stdout, type=Window), orders)


def _checked(window: Window, orders: Orders) -> Window:
    wrong = {status: count for status, count in window.statuses.items() if status != orders.expected_status}
    if wrong:
        raise LoadFailed(f"wanted {orders.expected_status} alone, but there were {wrong}")
    if not window.answers:
        raise LoadFailed("nothing was answered within the window")
    return window
