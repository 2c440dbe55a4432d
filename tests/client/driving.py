"""One scenario for both clients: each method is called by its name and settled, whichever client has it."""

from __future__ import annotations

import inspect
from typing import Any

from leadline.client import AsyncClient, Client


class Driver:
    """A client of either kind, driven from a coroutine."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self.client = client

    async def __call__(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """The settled answer of a method."""
        answer = getattr(self.client, method)(*args, **kwargs)
        return await answer if inspect.isawaitable(answer) else answer

    async def every(self, method: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Everything that an iterating method gives."""
        found = getattr(self.client, method)(*args, **kwargs)
        if hasattr(found, "__aiter__"):
            return [each async for each in found]
        return list(found)
