from __future__ import annotations

import pytest
import uvloop


@pytest.fixture(params=[uvloop.EventLoopPolicy()], ids=["uvloop"], scope="session")
def event_loop_policy(request: pytest.FixtureRequest) -> uvloop.EventLoopPolicy:
    """The loop that `leadline serve` runs on: its transports are not asyncio's, and fail in ways of their own."""
    policy: uvloop.EventLoopPolicy = request.param
    return policy
