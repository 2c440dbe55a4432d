"""A caller as the contract wants them: every request has its key and is repeated until it is answered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

TRY_SECONDS_MAX = 8.0
ANSWER_SECONDS_MAX = 90.0
PAUSE_SECONDS = 0.1


class NeverAnswered(Exception):
    """The bound was over before anybody answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, after so many tries."""

    status: int
    body: bytes
    replayed: bool
    tries: int

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Caller:
    """One workspace's caller, at whatever process listens."""

    def __init__(self, base_urls: Callable[[], Sequence[str]], token: str, chance: random.Random) -> None:
        self.internal_errors: list[str] = []
        self._base_urls = base_urls
        self._chance = chance
        self._headers = {"Authorization": f"Bearer {token}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=TRY_SECONDS_MAX)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def get(self, path: str) -> Any:
        """The body of a GET that was answered."""
        return (await self._until_answered("GET", path, None, None)).json

    async def post(self, path: str, json: Mapping[str, Any], key: str) -> Answer:
        """The first answer that is one: not a dropped connection, not `unavailable`, not a key still in use."""
        return await self._until_answered("POST", path, json, key)

    async def _until_answered(
        self, method: str, path: str, json: Mapping[str, Any] | None, key: str | None
    ) -> Answer:
        tries = 0
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                while True:
                    tries += 1
                    answer = await self._try(method, path, json, key, tries)
                    if answer is not None:
                        return answer
                    await asyncio.sleep(PAUSE_SECONDS)
        except TimeoutError:
            raise NeverAnswered(f"{method} {path} after {tries} tries") from None

    async def _try(
        self, method: str, path: str, json: Mapping[str, Any] | None, key: str | None, tries: int
    ) -> Answer | None:
        assert self._session is not None
        urls = self._base_urls()
        if not urls:
            return None
        url = f"{self._chance.choice(urls)}/phone-system{path}"
        headers = {} if key is None else {"Idempotency-Key": key}
        try:
            async with self._session.request(method, url, json=json, headers=headers) as response:
                body = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        if response.status >= 500 and response.status != 503:
            self.internal_errors.append(f"{method} {path}: {response.status} {body[:200]!r}")
            return None
        in_use = response.status == 409 and b'"idempotency_key_in_use"' in body
        if response.status == 503 or in_use:
            return None
        return Answer(response.status, body, response.headers.get("Idempotent-Replayed") == "true", tries)
