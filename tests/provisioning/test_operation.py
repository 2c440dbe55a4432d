"""Export, plan and apply on both engines: what is exported plans to nothing, and a failure changes nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadline.cli.configuration_file import parse_source, written
from leadline.domain.addresses import AddressPolicy
from leadline.domain.errors import InvalidRequest, LimitReached, PreconditionFailed, SmartListExists
from leadline.domain.outcomes import (
    AddTo,
    Destination,
    OutcomeDefinition,
    OutcomeType,
    RemoveFrom,
    RemoveFromAll,
    Stay,
    UrlRules,
)
from leadline.operations import provisioning
from leadline.operations.outcomes import define_outcome, delete_outcome
from leadline.operations.provisioning import apply_configuration, export_configuration, plan_configuration
from leadline.operations.smart_lists import create_smart_list, delete_smart_list
from leadline.operations.workspaces import create_workspace
from leadline.store.database import Database, Tx
from leadline.web.decoding import read_fields
from leadline.wire.configuration import Configuration, ConfigurationAnswer, ConfiguredList, ConfiguredOutcome

T = TypeVar("T")
RULES = UrlRules(AddressPolicy.parse(""))
FEW = settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
URL = "https://example.com/hook?a=1&b=2%20:c"
# Words that other readers of YAML take for something else, and characters that a file must escape.
NAMES = ("No", "yes", "1", "0x1F", "~", "- a", "a: b", "#x", "'q' \"d\"", "日本 \U0001f600", "\ufeffbom", "a")
names = st.sampled_from(NAMES)


class Desk:
    """A workspace of its own, and transactions on it."""

    def __init__(self, database: Database, runner: asyncio.Runner) -> None:
        self.database = database
        self.runner = runner
        self.workspace_id = self.write(lambda tx: create_workspace(tx, "Provisioned")).workspace_id

    def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        return self.runner.run(self.database.write(work))

    def export(self) -> tuple[ConfigurationAnswer, str]:
        return self.write(lambda tx: export_configuration(tx, self.workspace_id))

    def outcomes(self) -> list[ConfiguredOutcome]:
        return self.export()[0].configuration.outcomes or []

    def plan(self, configuration: Configuration, *, prune: bool = False) -> Any:
        answer, _ = self.write(
            lambda tx: plan_configuration(tx, self.workspace_id, configuration, prune=prune, rules=RULES)
        )
        return answer.plan

    def apply(self, configuration: Configuration, **more: Any) -> tuple[Any, str]:
        chosen = {"prune": False} | more
        answer, etag = self.write(
            lambda tx: apply_configuration(tx, self.workspace_id, configuration, rules=RULES, **chosen)
        )
        return answer.plan, etag

    def make_list(self, name: str) -> str:
        answer = self.write(lambda tx: create_smart_list(tx, self.workspace_id, name))
        return answer.smart_list.smart_list_id

    def delete_list(self, smart_list_id: str) -> None:
        self.write(lambda tx: delete_smart_list(tx, self.workspace_id, smart_list_id, force=True))

    def make_outcome(self, name: str, destination: Destination, **more: Any) -> str:
        fields: dict[str, Any] = {"type": OutcomeType.DISPOSITION, "order": 0, "webhook_url": None} | more
        definition = OutcomeDefinition(name=name, destination=destination, **fields)
        answer, _ = self.write(lambda tx: define_outcome(tx, self.workspace_id, definition))
        return answer.outcome.outcome_id


@pytest.fixture
def make_desk(database: Database, runner: asyncio.Runner) -> Callable[[], Desk]:
    return lambda: Desk(database, runner)


def from_file(answer: ConfigurationAnswer) -> Configuration:
    """What is exported, as a file, read again."""
    builtins = msgspec.to_builtins(answer.configuration)
    text = written(builtins, workspace={"subaccount_id": "x", "name": "a\nb"}, schema="x.json")
    fields = read_fields(Configuration, parse_source("f", text.encode()).configuration)
    assert fields.problems == []
    return Configuration(**fields.values)


@st.composite
def states(draw: st.DrawFn) -> dict[str, Any]:
    """What a workspace may have gone through: lists made and deleted under outcomes of any name, also twice."""
    lists = draw(st.lists(names, unique_by=str.casefold, min_size=1, max_size=4))
    places = st.integers(0, len(lists) - 1)
    destination = st.one_of(
        st.just(("stay", ())),
        st.just(("all", ())),
        places.map(lambda place: ("add", (place,))),
        st.lists(places, min_size=1, unique=True).map(lambda found: ("some", tuple(found))),
    )
    outcome = st.tuples(names, st.sampled_from(OutcomeType), st.integers(-2, 2), destination)
    return {
        "lists": lists,
        "outcomes": draw(st.lists(outcome, max_size=5)),
        "deleted": draw(st.frozensets(places, max_size=2)),
    }


def reach(desk: Desk, state: dict[str, Any]) -> None:
    ids = [desk.make_list(name) for name in state["lists"]]
    for name, kind, order, (how, places) in state["outcomes"]:
        chosen = tuple(ids[place] for place in places)
        destinations: dict[str, Destination] = {
            "stay": Stay(),
            "all": RemoveFromAll(),
            "add": AddTo(chosen[0] if chosen else ""),
            "some": RemoveFrom(chosen),
        }
        desk.make_outcome(name, destinations[how], type=kind, order=order, webhook_url=URL)
    for place in state["deleted"]:
        desk.delete_list(ids[place])


@FEW
@given(states())
def test_what_is_exported_plans_to_nothing(make_desk: Callable[[], Desk], state: dict[str, Any]) -> None:
    desk = make_desk()
    reach(desk, state)
    exported, etag = desk.export()
    for configuration in (exported.configuration, from_file(exported)):
        for prune in (False, True):
            assert desk.plan(configuration, prune=prune).changes == []
            assert desk.apply(configuration, prune=prune)[1] == etag
    assert desk.export()[0] == exported


@st.composite
def documents(draw: st.DrawFn) -> Configuration:
    """Mostly such as can be applied: outcomes point to the document's own lists, now and then to another."""
    lists = draw(st.lists(names, unique_by=str.casefold, min_size=1, max_size=4))
    reference = st.sampled_from((*lists, *lists, *lists, *NAMES[:2]))
    entry = st.builds(
        ConfiguredOutcome,
        name=names,
        type=st.sampled_from(("action", "disposition")),
        was=st.none() | st.just("an earlier name"),
        order=st.none() | st.integers(-2, 2),
        webhook_url=st.just(URL),
    )
    destination: st.SearchStrategy[dict[str, Any]] = st.one_of(
        st.just({}),
        reference.map(lambda name: {"add_to": name}),
        st.just({"remove_from": "all"}),
        st.lists(reference, min_size=1, max_size=2, unique=True).map(lambda found: {"remove_from": found}),
    )
    entries = draw(st.lists(entry, max_size=3, unique_by=lambda each: (each.type, each.name)))
    return Configuration(
        smart_lists=[ConfiguredList(name=name) for name in lists],
        outcomes=[msgspec.structs.replace(each, **draw(destination)) for each in entries],
    )


@FEW
@given(states(), documents(), st.booleans())
def test_after_applying_there_is_nothing_to_plan_and_a_refusal_changes_nothing(
    make_desk: Callable[[], Desk], state: dict[str, Any], document: Configuration, prune: bool
) -> None:
    desk = make_desk()
    reach(desk, state)
    before = desk.export()
    planned = refusal_or(lambda: desk.plan(document, prune=prune))
    if isinstance(planned, InvalidRequest):
        refused = refusal_or(lambda: desk.apply(document, prune=prune))
        assert isinstance(refused, InvalidRequest)
        assert refused.details == planned.details
        assert desk.export() == before
        return
    applied, etag = desk.apply(document, prune=prune)
    assert [(each.change, each.name) for each in applied.changes] == [
        (each.change, each.name) for each in planned.changes
    ]
    assert desk.plan(document, prune=prune).changes == []
    assert desk.apply(document, prune=prune)[1] == etag == desk.export()[1]
    if prune:
        assert {each.name for each in document.smart_lists or ()} == {
            each.name for each in desk.export()[0].configuration.smart_lists or ()
        }


def refusal_or(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except InvalidRequest as refused:
        return refused


DOCUMENT = Configuration(
    smart_lists=[ConfiguredList(name="New"), ConfiguredList(name="Renamed", was="Old")],
    outcomes=[
        ConfiguredOutcome(name="First", type="disposition", add_to="New"),
        ConfiguredOutcome(name="Second", type="disposition", remove_from=["Renamed", "New"]),
    ],
)


def full_desk(desk: Desk) -> Desk:
    old = desk.make_list("Old")
    desk.make_list("Pruned")
    desk.make_outcome("First", AddTo(old))
    desk.make_outcome("Also pruned", Stay())
    return desk


@pytest.mark.parametrize("steps", range(7))
def test_a_failure_at_any_step_changes_nothing(
    make_desk: Callable[[], Desk], monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    desk = full_desk(make_desk())
    before = desk.export()
    count = itertools.count()
    carry_out = provisioning._carry_out

    async def failing(*arguments: Any) -> None:
        if next(count) == steps:
            raise LimitReached("As when somebody pulls the plug.")
        await carry_out(*arguments)

    monkeypatch.setattr(provisioning, "_carry_out", failing)
    if steps == 6:
        assert len(desk.apply(DOCUMENT, prune=True)[0].changes) == 6
        return
    with pytest.raises(LimitReached):
        desk.apply(DOCUMENT, prune=True)
    assert desk.export() == before


def test_what_was_shown_is_what_is_applied(make_desk: Callable[[], Desk]) -> None:
    desk = full_desk(make_desk())
    _, etag = desk.export()
    desk.make_list("By somebody else")
    with pytest.raises(PreconditionFailed):
        desk.apply(DOCUMENT, prune=True, if_match=etag)
    assert len(desk.apply(DOCUMENT, prune=True, if_match=desk.export()[1])[0].changes) == 7


def test_every_change_of_the_state_has_another_tag(make_desk: Callable[[], Desk]) -> None:
    desk = make_desk()
    tags = [desk.export()[1]]
    first = desk.make_list("A")
    tags.append(desk.export()[1])
    outcome_id = desk.make_outcome("A", AddTo(first))
    tags.append(desk.export()[1])
    desk.delete_list(first)
    tags.append(desk.export()[1])
    desk.write(lambda tx: delete_outcome(tx, desk.workspace_id, outcome_id, if_match=None))
    tags.append(desk.export()[1])
    assert len(set(tags)) == 4
    assert tags[-1] == tags[0]


def test_an_outcome_whose_list_is_gone_can_be_changed_otherwise(make_desk: Callable[[], Desk]) -> None:
    desk = make_desk()
    gone = desk.make_list("Gone")
    desk.make_outcome("A", AddTo(gone))
    desk.delete_list(gone)
    (entry,) = desk.outcomes()
    changed = ConfiguredOutcome(name="A", type="disposition", add_to=entry.add_to, order=7)
    desk.apply(Configuration(outcomes=[changed]))
    assert [each.order for each in desk.outcomes()] == [7]


def test_another_workspace_is_neither_seen_nor_touched(make_desk: Callable[[], Desk]) -> None:
    desk, other = full_desk(make_desk()), full_desk(make_desk())
    before = other.export()
    theirs = other.make_outcome("Theirs", Stay())
    foreign = Configuration(outcomes=[ConfiguredOutcome(name="A", type="disposition", id=theirs)])  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match=r"no outcome of this workspace"):
        desk.apply(foreign)
    other.write(lambda tx: delete_outcome(tx, other.workspace_id, theirs, if_match=None))
    desk.apply(DOCUMENT, prune=True)
    assert other.export() == before


def test_processes_that_apply_the_same_at_once_make_it_once(make_desk: Callable[[], Desk]) -> None:
    desk = full_desk(make_desk())

    async def apply_all() -> list[int]:
        async def one(tx: Tx) -> int:
            answer, _ = await apply_configuration(tx, desk.workspace_id, DOCUMENT, prune=True, rules=RULES)
            return len(answer.plan.changes)

        return list(await asyncio.gather(*(desk.database.write(one) for _ in range(6))))

    assert sorted(desk.runner.run(apply_all())) == [0, 0, 0, 0, 0, 6]
    assert desk.plan(DOCUMENT, prune=True).changes == []
    with pytest.raises(SmartListExists):
        desk.make_list("renamed")
