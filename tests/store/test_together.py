"""Work that is done for many at once: on both engines the same, and nobody suffers for another (design.md, 5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from leadline.domain.errors import LeadlineError, OutcomeNotFound
from leadline.ids import new_id
from leadline.operations.workspaces import create_workspace
from leadline.store.database import Tx
from store.databases import Opened, add_agent, agents


class Broken(Exception):
    """Something nobody thought of."""


@pytest.fixture
async def opened(open_shared: Callable[[], AbstractAsyncContextManager[Opened]]) -> AsyncIterator[Opened]:
    async with open_shared() as database:
        yield database


class Adding:
    """Adds agents. One called `no` is refused, one called `broken` breaks whatever it is part of."""

    def __init__(self, workspace_id: str) -> None:
        self.workspace_id = workspace_id
        self.batches: list[list[str]] = []

    async def work(self, tx: Tx, names: Sequence[str]) -> Sequence[str | LeadlineError]:
        self.batches.append(list(names))
        answers: list[str | LeadlineError] = []
        for name in names:
            if name.startswith("no"):
                answers.append(OutcomeNotFound())
                continue
            await add_agent(tx, self.workspace_id, name)
            if name.startswith("broken"):
                raise Broken(name)
            answers.append(f"added {name}")
        return answers


async def add_all(opened: Opened, adding: Adding, names: Sequence[str]) -> list[object]:
    work = adding.work
    asked = [opened.database.write_together(work, adding.workspace_id, name) for name in names]
    return list(await asyncio.gather(*asked, return_exceptions=True))


async def test_what_waits_together_is_done_together_and_answered_each(opened: Opened) -> None:
    adding = Adding(opened.workspace_id)
    names = [f"agent-{number:03}" for number in range(200)]
    assert await add_all(opened, adding, names) == [f"added {name}" for name in names]
    assert await agents(opened.database, opened.workspace_id) == names
    assert sorted(name for batch in adding.batches for name in batch) == names
    assert len(adding.batches) < 50


async def test_a_refusal_is_its_own_and_nobody_elses(opened: Opened) -> None:
    adding = Adding(opened.workspace_id)
    answers = await add_all(opened, adding, ["a", "no-1", "b", "no-2"])
    assert [answers[0], answers[2]] == ["added a", "added b"]
    assert isinstance(answers[1], OutcomeNotFound)
    assert isinstance(answers[3], OutcomeNotFound)
    assert await agents(opened.database, opened.workspace_id) == ["a", "b"]


async def test_what_breaks_is_done_alone_and_leaves_nothing(opened: Opened) -> None:
    adding = Adding(opened.workspace_id)
    names = [f"{number:02}" for number in range(20)]
    answers = await add_all(opened, adding, [*names[:10], "broken", *names[10:]])
    assert isinstance(answers.pop(10), Broken)
    assert answers == [f"added {name}" for name in names]
    assert await agents(opened.database, opened.workspace_id) == names


async def test_workspaces_are_never_mixed(opened: Opened) -> None:
    others = [(await opened.database.write(lambda tx: create_workspace(tx, "Other"))).workspace_id]
    seen: dict[str, list[str]] = {opened.workspace_id: [], others[0]: []}

    async def work(tx: Tx, items: Sequence[tuple[str, str]]) -> Sequence[str]:
        (workspace_id,) = {workspace_id for workspace_id, _ in items}
        for _, name in items:
            await add_agent(tx, workspace_id, name)
            seen[workspace_id].append(name)
        return [name for _, name in items]

    await asyncio.gather(
        *(
            opened.database.write_together(work, workspace_id, (workspace_id, f"{number:02}"))
            for number in range(20)
            for workspace_id in seen
        )
    )
    for workspace_id, names in seen.items():
        assert sorted(names) == await agents(opened.database, workspace_id)
        assert len(names) == 20


async def test_a_caller_who_goes_takes_nobody_with_him(opened: Opened) -> None:
    adding = Adding(opened.workspace_id)
    work = adding.work
    async with asyncio.TaskGroup() as tasks:
        asked = [
            tasks.create_task(opened.database.write_together(work, opened.workspace_id, new_id()))
            for _ in range(10)
        ]
        await asyncio.sleep(0)
        asked[0].cancel()
        asked[5].cancel()
    kept = [task.result() for task in asked if not task.cancelled()]
    assert len(kept) == 8
    assert {f"added {name}" for name in await agents(opened.database, opened.workspace_id)} >= set(kept)
