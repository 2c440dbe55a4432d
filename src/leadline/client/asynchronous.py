"""The client for programs on asyncio. It carries out what `exchange` and `EventFeed` say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
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


class AsyncClient(BaseClient):
    """`Client` for asyncio: the same methods, to be awaited; `iter_…` and `stream_events` are for `async for`."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        **options: Unpack[OptionFields],
    ) -> None:
        super().__init__(url, token, **options)
        self._http = httpx2.AsyncClient(transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._owns_connections:
            await self._http.aclose()

    async def send(self, request: Request[T]) -> Response[T]:
        """Make a described request; the value with status, tag and request id. Raises LeadlineError."""
        steps = exchange(request, self._options, WORLD)
        came: Outcome = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration as done:
                response: Response[T] = done.value
                return response
            came = await self._carry_out(step)

    async def value_of(self, request: Request[T]) -> T:
        """The value of `send`."""
        return (await self.send(request)).value

    async def items_of(self, request: PageRequest[T]) -> AsyncGenerator[T, None]:
        """Everything from this page on, page after page."""
        while True:
            page = await self.value_of(request)
            for item in page.items:
                yield item
            if page.next_cursor is None:
                return
            request = request.after(page.next_cursor)

    async def stream_events(self, *, after: Id | None = None) -> AsyncGenerator[Event, None]:
        """As `Client.stream_events`. `contextlib.aclosing` ends it at once when you break out of the loop."""
        feed = EventFeed(self._options, WORLD, None if after is None else str(after))
        while True:
            came: Outcome = None
            try:
                async with self._http.stream(**self._address.arguments(feed.request())) as response:
                    if response.status_code == 200:
                        async for chunk in response.aiter_bytes():
                            for event in feed.read(chunk):
                                yield event
                    else:
                        came = await _collected(response, WORLD.now() + self._options.timeout_seconds)
            except httpx2.RequestError as error:
                came = broken(error)
            await asyncio.sleep(feed.wait_seconds(came))

    async def export_contacts(
        self, *, phone_number: str | None = None, smart_list_id: Id | None = None, q: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        """As `Client.export_contacts`. `contextlib.aclosing` ends it at once when you break out of the loop."""
        send = contacts_file(self._options, phone_number=phone_number, smart_list_id=smart_list_id, q=q)
        try:
            async with self._http.stream(**self._address.arguments(send)) as response:
                if response.status_code != 200:
                    raise no_file(await _collected(response, WORLD.now() + self._options.timeout_seconds))
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx2.RequestError as error:
            raise no_file(broken(error)) from None

    async def _carry_out(self, step: Send | Wait) -> Outcome:
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
            return None
        try:
            async with self._http.stream(**self._address.arguments(step)) as response:
                return await _collected(response, step.deadline)
        except httpx2.RequestError as error:
            return broken(error)


async def _collected(response: httpx2.Response, deadline: float) -> Reply | Broken:
    collected = Collector(deadline)
    async for chunk in response.aiter_bytes():
        if (stopped := collected.add(chunk)) is not None:
            return stopped
    return collected.reply(response)
