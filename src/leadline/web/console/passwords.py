"""Hashing and checking passwords with argon2id, in a few threads of their own.

A hash takes tens of milliseconds and 19 MiB by design, so it never runs in the event loop, few run at once, and few
may wait for one: a flood of sign-ins is answered `unavailable` and holds up nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from leadline.domain.errors import Unavailable

T = TypeVar("T")
THREADS = 2
WAITING_MAX = 64
# OWASP's minimum for argon2id: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


class Passwords:
    """The hasher of one process."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="leadline-passwords")
        self._waiting = 0
        self._dummy: str | None = None

    async def hash(self, password: str) -> str:
        """A hash to store. Raises Unavailable when too many wait."""
        return await self._run(_hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password. An account that is not there takes as long as one that is."""
        if self._dummy is None:
            self._dummy = await self._run(_hash, "nobody has this password")
        matches = await self._run(_verify, password_hash or self._dummy, password)
        return matches and password_hash is not None

    async def _run(self, work: Callable[..., T], *values: str) -> T:
        if self._waiting >= WAITING_MAX:
            raise Unavailable("Too many people are signing in at once; try again in a moment.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *values)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _hash(password: str) -> str:
    return _HASHER.hash(password)


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (Argon2Error, InvalidHashError):
        return False
