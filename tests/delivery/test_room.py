"""Places, results and the agenda by themselves: laws about who gets a turn, and that nothing is left behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.delivery import results as results_module
from leadline.delivery.agenda import Agenda
from leadline.delivery.attempt import Leased
from leadline.delivery.places import IN_FLIGHT_FIRST, IN_FLIGHT_MAX, WORKSPACE_SHARE, Flight, Places
from leadline.delivery.results import RECORD_MAX, Results
from leadline.operations.record_attempts import Attempted
from leadline.store.deliveries import ClaimedRow

T = TypeVar("T")
WORKSPACES = ("a", "b", "c")


def run(work: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await work()

    return asyncio.run(main())


def flight(workspace_id: str, number: int, endpoint_id: str = "e") -> Flight:
    row = ClaimedRow(str(number), endpoint_id, "http://127.0.0.1/", "{}", 1, 0, 0, None)
    return Flight(Leased(workspace_id, "lease", row, 15), 0.0)


def attempted(workspace_id: str, number: int, duration_ms: int = 0) -> Attempted:
    return Attempted(
        workspace_id=workspace_id,
        delivery_id=str(number),
        endpoint_id="e",
        lease_id="lease",
        number=1,
        started_at=0,
        duration_ms=duration_ms,
        remote_address=None,
        status=200,
        response_headers=(),
        response_body="",
        error=None,
        error_detail=None,
        timings="{}",
        retry_after_seconds=None,
        jitter=0.0,
    )


@given(st.lists(st.tuples(st.sampled_from(WORKSPACES), st.integers(1, 80), st.booleans()), max_size=40))
def test_nobody_has_more_places_than_there_are_or_than_his_share(
    turns: list[tuple[str, int, bool]],
) -> None:
    """Claim what there is room for, or let as many land: by the worker's own rule, `free_for`."""
    places, numbers = Places(), iter(range(10**6))
    under_way: list[Flight] = []
    for workspace_id, count, lands in turns:
        if lands:
            landing, under_way = under_way[:count], under_way[count:]
            for each in landing:
                places.give_up(each.key)
        else:
            before = sum(each.leased.workspace_id == workspace_id for each in under_way)
            free = max(0, min(count, places.free_for(workspace_id)))
            taken = [flight(workspace_id, next(numbers)) for _ in range(free)]
            for each in taken:
                places.take(each)
            under_way += taken
            if taken:
                assert before + len(taken) <= places.max // WORKSPACE_SHARE
                assert len(under_way) <= places.max
        assert IN_FLIGHT_FIRST <= places.max <= IN_FLIGHT_MAX
        assert {each.key for each in places.flights()} == {each.key for each in under_way}
        assert places.free == max(0, places.max - len(under_way))
        counted = Counter(each.leased.workspace_id for each in under_way)
        for each_id in WORKSPACES:
            assert bool(places.held_by(each_id)) == bool(counted[each_id])


def test_a_place_is_offered_to_who_waited_longest_and_then_to_its_own() -> None:
    places = Places()
    first, second = flight("a", 1), flight("a", 2)
    for each in (first, second):
        places.take(each)
    places.wait_for_room("b")
    places.wait_for_room("c")
    places.wait_for_endpoints("a", {"e"})
    assert places.give_up(first.key) == ["b", "a"]
    assert places.give_up(first.key) == (), "it has landed already"
    places.forget_waiting("b")
    places.wait_no_more("a", ["e"])
    assert places.give_up(second.key) == ["c"]


def test_who_is_full_is_waited_for_until_the_last_has_landed() -> None:
    async def work() -> bool:
        places, last = Places(), flight("a", 1)
        places.take(last)
        waiting = asyncio.create_task(places.until_empty())
        await asyncio.sleep(0)
        assert not waiting.done()
        places.give_up(last.key)
        await waiting
        return True

    assert run(work)


@given(
    st.lists(
        st.tuples(st.sampled_from(WORKSPACES), st.integers(1, 2 * RECORD_MAX), st.booleans()), max_size=12
    ),
    st.booleans(),
)
def test_results_are_given_once_each_in_their_order(
    turns: list[tuple[str, int, bool]], together: bool
) -> None:
    async def work() -> None:
        results, numbers = Results(together=together), iter(range(10**6))
        added: dict[str, list[str]] = {}
        given_out: dict[str, list[str]] = {}
        for workspace_id, count, fails in turns:
            for _ in range(count):
                one = attempted(workspace_id, next(numbers))
                results.add(one)
                added.setdefault(workspace_id, []).append(one.delivery_id)
            for batch in await results.due():
                assert len(batch) <= RECORD_MAX
                assert len({each.workspace_id for each in batch}) == 1
                if fails:
                    results.put_back(batch)
                else:
                    given_out.setdefault(batch[0].workspace_id, []).extend(each.delivery_id for each in batch)
        assert len(results) == sum(map(len, added.values())) - sum(map(len, given_out.values()))
        for batch in results.take_all():
            given_out.setdefault(batch[0].workspace_id, []).extend(each.delivery_id for each in batch)
        assert given_out == added
        assert len(results) == 0

    run(work)


@pytest.mark.parametrize("together", [False, True])
def test_what_took_its_time_waits_for_others_and_a_hurry_ends_that(
    together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_module, "GATHER_SECONDS_MAX", 3600.0)

    async def work() -> None:
        results = Results(together=together)
        results.add(attempted("a", 1, duration_ms=3_600_000))
        waiting = asyncio.create_task(results.due())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        results.add(attempted("b", 2))
        batches = await waiting
        workspaces = sorted(batch[0].workspace_id for batch in batches)
        assert workspaces == (["a", "b"] if together else ["b"])
        results.add(attempted("c", 3, duration_ms=3_600_000))
        results.hurry()
        assert {each.delivery_id for batch in await results.due() for each in batch} >= {"3"}
        results.add(attempted("c", 4, duration_ms=3_600_000))
        ((late,),) = await results.due()
        assert late.delivery_id == "4"

    run(work)


def test_who_could_not_be_reached_comes_first() -> None:
    async def work() -> None:
        agenda = Agenda()
        for each in ("a", "b", "c"):
            agenda.look_at(each)
        assert agenda.take() == ["a", "b", "c"]
        agenda.look_at("d")
        agenda.look_at("c")
        agenda.look_first(["b", "c"])
        assert agenda.take() == ["b", "c", "d"]
        assert agenda.take() == []

    run(work)


def test_who_is_left_alone_is_looked_at_when_that_is_over() -> None:
    async def work() -> None:
        agenda = Agenda()
        assert agenda.is_to_look_round()
        assert not agenda.is_to_look_round(), "once in a poll"
        agenda.leave_alone("a")
        assert agenda.is_left_alone("a")
        assert not agenda.is_left_alone("b")
        assert agenda.left_alone == 1
        while not (taken := agenda.take()):
            await agenda.wait()
        assert taken == ["a"]
        assert not agenda.is_left_alone("a")
        assert agenda.has_failed("a")
        assert agenda.leave_alone_no_more("a")
        assert not agenda.leave_alone_no_more("a")
        assert agenda.left_alone == 0
        agenda.close()

    run(work)
