"""The event stream without I/O: what to ask for, what the bytes say, and when to come back (contract § 7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import msgspec

from leadline.client.errors import ConnectionFailed, UnexpectedAnswer
from leadline.client.exchange import (
    PASSING_STATUSES,
    Broken,
    Send,
    Surroundings,
    refusal_of,
    retry_after_seconds,
)
from leadline.client.models import Event
from leadline.client.options import Options
from leadline.client.requests.described import PREFIX, Reply

# The server says something every 15 s; thrice that is no silence but a dead line.
SILENCE_SECONDS_MAX = 45.0
LINE_BYTES_MAX = 1024 * 1024
EVENT_BYTES_MAX = 4 * 1024 * 1024

_decode = msgspec.json.Decoder(Event).decode


class EventParser:
    """Server-sent events from chunks, however they are cut. `last_event_id` is what to resume with."""

    def __init__(self, last_event_id: str | None = None) -> None:
        self.last_event_id = last_event_id
        # What the server asks to be waited for before coming back.
        self.retry_seconds = 0.0
        self.restart()

    def restart(self) -> None:
        """Another connection: what was cut off in the last one comes again."""
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0
        # An event's id counts once the event is whole: one that is cut off after its id has not been seen.
        self._id = self.last_event_id

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The `data` of each event that is whole now. Raises UnexpectedAnswer for one that never ends."""
        searched = len(self._rest)
        self._rest += chunk
        while (end := self._rest.find(b"\n", searched)) >= 0:
            line = bytes(self._rest[:end]).removesuffix(b"\r")
            del self._rest[: end + 1]
            searched = 0
            yield from self._line(line)
        _check(len(self._rest), LINE_BYTES_MAX)

    def _line(self, line: bytes) -> Iterator[bytes]:
        if not line:
            data, self._data, self._data_bytes = self._data, [], 0
            self.last_event_id = self._id
            if data:
                yield b"\n".join(data)
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._data_bytes += len(value)
            _check(self._data_bytes, EVENT_BYTES_MAX)
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace") or None
        elif name == b"retry" and value.isdigit() and len(value) <= 9:
            self.retry_seconds = int(value) / 1000


def _check(size_bytes: int, size_bytes_max: int) -> None:
    if size_bytes > size_bytes_max:
        raise UnexpectedAnswer("the event stream sends an event without an end", status=200)


class EventFeed:
    """One event stream over as many connections as it takes."""

    def __init__(self, options: Options, world: Surroundings, after: str | None) -> None:
        self._options = options
        self._world = world
        self._parser = EventParser(after)
        self._failures = 0
        self._lost_at: float | None = None

    def request(self) -> Send:
        """What to ask for: the stream from where it stands."""
        self._parser.restart()
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        if self._parser.last_event_id is not None:
            headers["last-event-id"] = self._parser.last_event_id
        return Send(
            method="GET",
            target=f"{PREFIX}/events",
            query={},
            headers=headers,
            content=None,
            timeout_seconds=SILENCE_SECONDS_MAX,
            connect_timeout_seconds=self._options.connect_timeout_seconds,
            deadline=float("inf"),
        )

    def read(self, chunk: bytes) -> Iterator[Event]:
        """The events of a chunk of the open stream. Raises UnexpectedAnswer."""
        self._failures, self._lost_at = 0, None
        for data in self._parser.feed(chunk):
            try:
                yield _decode(data)
            except msgspec.MsgspecError as wrong:
                raise UnexpectedAnswer(
                    f"the event stream sends what is no event: {wrong}", status=200
                ) from wrong

    def wait_seconds(self, came: Reply | Broken | None) -> float:
        """How long to wait before coming back, after a refusal, a break or an end (None).

        Raises Refused for what does not pass, and when there was nothing for `reconnect_seconds_max`.
        """
        now = self._world.now()
        self._lost_at = now if self._lost_at is None else self._lost_at
        self._failures += 1
        if isinstance(came, Reply) and came.status not in PASSING_STATUSES:
            raise refusal_of(came)
        wait = self._options.backoff_seconds(self._failures, self._world.fraction())
        asked = retry_after_seconds(came) if isinstance(came, Reply) else None
        asked = min(self._parser.retry_seconds, self._options.backoff_max_seconds) if asked is None else asked
        wait = max(wait, asked)
        if now + wait - self._lost_at > self._options.reconnect_seconds_max:
            self._give_up(came)
        return wait

    def _give_up(self, came: Reply | Broken | None) -> NoReturn:
        if isinstance(came, Reply):
            raise refusal_of(came)
        reason = "it ends at once" if came is None else came.reason
        raise ConnectionFailed(f"the event stream did not come back: {reason}", attempts=self._failures)
