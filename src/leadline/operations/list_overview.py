"""Smart Lists as those who work with them look at them: how long, which outcomes feed or empty them, how they grow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from leadline.domain.errors import SmartListNotFound
from leadline.domain.outcomes import AddTo, OutcomeType, RemoveFrom, RemoveFromAll
from leadline.domain.periods import DAY_MS, Span
from leadline.domain.reports import Measure
from leadline.operations.views import smart_list_view
from leadline.store import calls, outcomes, reports
from leadline.store import smart_lists as store
from leadline.store.database import Tx
from leadline.store.outcomes import OutcomeRow, destination_of
from leadline.wire.smart_lists import SmartList

GROWTH_DAYS = 30
ROWS = 50


class ListSort(StrEnum):
    """By what lists are ordered; a dash before it turns it round."""

    NAME = "name"
    MEMBERS = "members"
    JOINED = "joined"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Named:
    """An outcome that points to a list."""

    outcome_id: str
    name: str
    type: OutcomeType


@dataclass(frozen=True, slots=True)
class Links:
    """The outcomes that put contacts on a list, and those that take them off."""

    feeding: Sequence[Named] = ()
    emptying: Sequence[Named] = ()

    @property
    def in_use(self) -> bool:
        return bool(self.feeding or self.emptying)


@dataclass(frozen=True, slots=True)
class Growth:
    """Contacts who joined and left on each of the last days (UTC), the last of which is today."""

    joined: Sequence[int] = field(default_factory=lambda: [0] * GROWTH_DAYS)
    left: Sequence[int] = field(default_factory=lambda: [0] * GROWTH_DAYS)

    @property
    def joined_total(self) -> int:
        return sum(self.joined)

    @property
    def left_total(self) -> int:
        return sum(self.left)

    def sizes(self, now: int) -> list[int]:
        """How long the list was at the end of each day, from how long it is now."""
        found = [now]
        for joined, left in zip(reversed(self.joined[1:]), reversed(self.left[1:]), strict=True):
            found.append(max(found[-1] - joined + left, 0))
        return found[::-1]


@dataclass(frozen=True, slots=True)
class ListLine:
    """One Smart List of the overview."""

    smart_list: SmartList
    links: Links
    growth: Growth


@dataclass(frozen=True, slots=True)
class Overview:
    """A page of lists; `found` is how many fit, `total` how many there are."""

    lines: Sequence[ListLine]
    found: int
    total: int
    page: int
    pages: int


async def load_overview(
    tx: Tx, workspace_id: str, *, q: str = "", sort: ListSort = ListSort.NAME, descending: bool = False,
    page: int = 1,
) -> Overview:  # fmt: skip
    """The lists whose name holds `q`. There are at most 1,000, so they are sorted here."""
    names = await store.list_names(tx, workspace_id)
    fitting = [each for each, name in names.items() if q.casefold() in name.casefold()]
    growth = await load_growth(tx, workspace_id)
    sizes = await store.member_counts(tx, workspace_id, fitting) if sort is ListSort.MEMBERS else {}
    numbers = {
        ListSort.NAME: lambda _: 0,
        ListSort.MEMBERS: lambda each: sizes.get(each, 0),
        ListSort.JOINED: lambda each: growth[each].joined_total,
        ListSort.LEFT: lambda each: growth[each].left_total,
    }
    fitting.sort(
        key=lambda each: (names[each].casefold(), each), reverse=descending and sort is ListSort.NAME
    )
    fitting.sort(key=numbers[sort], reverse=descending)
    pages = max(1, -(-len(fitting) // ROWS))
    page = min(max(page, 1), pages)
    shown = fitting[(page - 1) * ROWS : page * ROWS]
    return Overview(await _lines(tx, workspace_id, shown, growth), len(fitting), len(names), page, pages)


async def _lines(
    tx: Tx, workspace_id: str, smart_list_ids: Sequence[str], growth: Mapping[str, Growth]
) -> list[ListLine]:
    rows = {row.smart_list_id: row for row in await store.get_lists(tx, workspace_id, smart_list_ids)}
    sizes = await store.member_counts(tx, workspace_id, smart_list_ids)
    links = await links_of_lists(tx, workspace_id)
    return [
        ListLine(smart_list_view(rows[each], sizes.get(each, 0)), links[each], growth[each])
        for each in smart_list_ids
    ]


async def load_line(tx: Tx, workspace_id: str, smart_list_id: str) -> ListLine:
    """One list. Raises SmartListNotFound."""
    row = await store.get_list(tx, workspace_id, smart_list_id)
    if row is None:
        raise SmartListNotFound
    sizes = await store.member_counts(tx, workspace_id, [smart_list_id])
    links = await links_of_lists(tx, workspace_id)
    growth = await load_growth(tx, workspace_id, smart_list_id)
    view = smart_list_view(row, sizes.get(smart_list_id, 0))
    return ListLine(view, links[smart_list_id], growth[smart_list_id])


async def links_of_lists(tx: Tx, workspace_id: str) -> Mapping[str, Links]:
    """By list. An outcome that empties all lists points to none of them, as for deleting one."""
    feeding: dict[str, list[Named]] = defaultdict(list)
    emptying: dict[str, list[Named]] = defaultdict(list)
    for row in await outcomes.all_outcomes(tx, workspace_id):
        match destination_of(row):
            case AddTo(smart_list_id):
                feeding[smart_list_id].append(_named(row))
            case RemoveFrom(smart_list_ids):
                for each in smart_list_ids:
                    emptying[each].append(_named(row))
    found = {each: Links(feeding[each], emptying[each]) for each in feeding.keys() | emptying.keys()}
    return defaultdict(Links, found)


async def outcomes_emptying_all(tx: Tx, workspace_id: str) -> list[Named]:
    """Those that take a contact off every list."""
    rows = await outcomes.all_outcomes(tx, workspace_id)
    return [_named(row) for row in rows if isinstance(destination_of(row), RemoveFromAll)]


async def load_growth(
    tx: Tx, workspace_id: str, smart_list_id: str | None = None
) -> Mapping[str, Growth]:  # fmt: skip
    """By list: those that nobody joined or left lately grew by nothing."""
    spans = _days(tx.now_ms)
    if smart_list_id is None:
        rows = await reports.counts_by_subject(tx, workspace_id, Measure.LIST_MOVES, spans)
    else:
        name = reports.subject_of(smart_list_id)
        rows = await reports.counts_of(tx, workspace_id, Measure.LIST_MOVES, spans, name)
    return _growth(rows)


def _growth(rows: Iterable[reports.CountRow]) -> Mapping[str, Growth]:
    days: dict[str, dict[str, list[int]]] = defaultdict(
        lambda: {"joined": [0] * GROWTH_DAYS, "left": [0] * GROWTH_DAYS}
    )
    for row in rows:
        days[row.subject.removeprefix("=")][row.label][row.span] += row.counted
    return defaultdict(Growth, {each: Growth(**moved) for each, moved in days.items()})


def _days(now_ms: int) -> list[Span]:
    tomorrow = now_ms - now_ms % DAY_MS + DAY_MS
    starts = [tomorrow - DAY_MS * back for back in range(GROWTH_DAYS, 0, -1)]
    return [Span(each, each + DAY_MS) for each in starts]


async def outcomes_behind(
    tx: Tx, workspace_id: str, applied_ids: Iterable[str | None]
) -> dict[str, tuple[str, str]]:
    """By applied outcome: its name as it was applied, and the call."""
    wanted = [each for each in applied_ids if each is not None]
    rows = await calls.applied_named(tx, workspace_id, wanted) if wanted else []
    return {row.applied_id: (row.outcome_name, row.call_id) for row in rows}


def _named(row: OutcomeRow) -> Named:
    return Named(row.outcome_id, row.outcome_name, OutcomeType(row.outcome_type))


async def list_options(tx: Tx, workspace_id: str) -> list[tuple[str, str]]:
    """(id, name) of every list, by name."""
    names = await store.list_names(tx, workspace_id)
    return sorted(names.items(), key=lambda each: each[1].casefold())
