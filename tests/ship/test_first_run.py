"""Servers that start side by side on an empty PostgreSQL make one workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from leadline.operations.workspaces import list_workspaces
from leadline.settings import Settings
from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.wiring import FirstRun, first_run, opened

# The first is still at it when the other looks.
_SLEEP = Statement("SELECT pg_sleep(0.3)", register=False)


async def _linger(tx: Tx, _workspace_id: str) -> None:
    await tx.first(_SLEEP)


async def test_servers_that_start_together_make_one_workspace(make_database: Callable[[str], str]) -> None:
    settings = Settings(database_url=make_database("postgresql"))
    async with opened(settings) as one, opened(settings) as other:
        for database in (one, other):
            await database.healthy()  # connected, so that both are equally quick
        made = await asyncio.gather(*(first_run(each, fill=_linger) for each in (one, other)))
        assert len([each for each in made if isinstance(each, FirstRun)]) == 1
        assert len(await one.read(list_workspaces)) == 1
