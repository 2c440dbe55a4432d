from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import uvloop


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Mapping[str, Callable[[], Any]]:
    """The loop that `leadline serve` runs on: its transports are not asyncio's, and fail in ways of their own."""
    return {"uvloop": uvloop.new_event_loop}
