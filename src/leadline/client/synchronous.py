"""The client for programs without an event loop. It carries out what `exchange` and `EventFeed` say."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Self, TypeVar, Unpack

import httpx2

from leadline.client.base import BaseClient
from leadline.client.connection import WORLD, Collector, broken
from leadline.client.event_feed import EventFeed
from leadline.client.exchange import Broken, Outcome, Send, Wait, exchange
from leadline.client.files import contacts_file, no_file
from leadline.client.models import Event, Response
from leadline.client.options import OptionFields
from leadline.client.requests import PageRequest, Request
from leadline.client.requests.described import Id, Reply

T = TypeVar("T")


class Client(BaseClient):
    """Calls one Leadline with one token; safe to use from many threads.

    Every write carries an Idempotency-Key of its own, so that it is retried without being done twice; give
    `idempotency_key` to make one call of several runs of your program. Close it, or use it in a `with`.
    Options are those of `Options`.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        transport: httpx2.BaseTransport | None = None,
        **options: Unpack[OptionFields],
    ) -> None:
        super().__init__(url, token, **options)
        self._http = httpx2.Client(transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._owns_connections:
            self._http.close()

    def send(self, request: Request[T]) -> Response[T]:
        """Make a described request; the value with status, tag and request id. Raises LeadlineError."""
        steps = exchange(request, self._options, WORLD)
        came: Outcome = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration as done:
                response: Response[T] = done.value
                return response
            came = self._carry_out(step)

    def value_of(self, request: Request[T]) -> T:
        """The value of `send`."""
        return self.send(request).value

    def items_of(self, request: PageRequest[T]) -> Generator[T, None, None]:
        """Everything from this page on, page after page."""
        while True:
            page = self.value_of(request)
            yield from page.items
            if page.next_cursor is None:
                return
            request = request.after(page.next_cursor)

    def stream_events(self, *, after: Id | None = None) -> Generator[Event, None, None]:
        """Events as they happen: after the event `after`, or from now on.

        A connection that is lost is made again where it broke off; nothing is left out. Raises Refused when the
        token ends, and ConnectionFailed when the server was away for `reconnect_seconds_max`.
        """
        feed = EventFeed(self._options, WORLD, None if after is None else str(after))
        while True:
            came: Outcome = None
            try:
                with self._http.stream(**self._address.arguments(feed.request())) as response:
                    if response.status_code == 200:
                        for chunk in response.iter_bytes():
                            yield from feed.read(chunk)
                    else:
                        came = _collected(response, WORLD.now() + self._options.timeout_seconds)
            except httpx2.RequestError as error:
                came = broken(error)
            time.sleep(feed.wait_seconds(came))

    def export_contacts(
        self, *, phone_number: str | None = None, smart_list_id: Id | None = None, q: str | None = None
    ) -> Generator[bytes, None, None]:
        """The contacts that match as a CSV file, in pieces. Raises Refused, and ConnectionFailed when it breaks off."""
        send = contacts_file(self._options, phone_number=phone_number, smart_list_id=smart_list_id, q=q)
        try:
            with self._http.stream(**self._address.arguments(send)) as response:
                if response.status_code != 200:
                    raise no_file(_collected(response, WORLD.now() + self._options.timeout_seconds))
                yield from response.iter_bytes()
        except httpx2.RequestError as error:
            raise no_file(broken(error)) from None

    def _carry_out(self, step: Send | Wait) -> Outcome:
        if isinstance(step, Wait):
            time.sleep(step.seconds)
            return None
        try:
            with self._http.stream(**self._address.arguments(step)) as response:
                return _collected(response, step.deadline)
        except httpx2.RequestError as error:
            return broken(error)


def _collected(response: httpx2.Response, deadline: float) -> Reply | Broken:
    collected = Collector(deadline)
    for chunk in response.iter_bytes():
        if (stopped := collected.add(chunk)) is not None:
            return stopped
    return collected.reply(response)
