"""Facts counted ahead, by measure, subject and time; and the newest facts, counted as they are.

A row of `report_counts` says how many facts of a measure fell into a slot (a quarter, hour or day, UTC), about
whom (`subject`), of which kind (`label`). `report_marks` says until when that is done. What is read is always both:
the counts, and the facts from the mark on, in one statement, so that no fact is counted twice or not at all
while the mark moves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from leadline.domain.periods import (
    AS_FACTS,
    DAY_MS,
    QUARTER_MS,
    WIDTHS_MS,
    WIDTHS_OF_ONE_MS,
    Piece,
    Span,
    pieces_of,
)
from leadline.domain.reports import OUTCOMES_OF_A_CALL_MAX, Measure
from leadline.store.database import Tx
from leadline.store.engines import Statement

EVERYBODY = ""
_END_OF_TIME = 2**62


def subject_of(name: str) -> str:
    """The subject of one agent, list or endpoint; of nobody when the name is empty."""
    return f"={name}"


class CountRow(NamedTuple):
    """`counted` facts of a label, lasting `total_ms` together, in the span with this number."""

    span: int
    subject: str
    label: str
    counted: int
    total_ms: int


def _cut(expression: str) -> str:
    """`domain.reports.two_digits` in SQL."""
    steps = " ".join(
        f"WHEN {expression} < {10 ** (digits + 2)} THEN {expression} / {10**digits} * {10**digits}"
        for digits in range(1, 13)
    )
    return f"CASE WHEN {expression} < 100 THEN {expression} {steps} ELSE {10**14} END"


def _call_label(as_of: str) -> str:
    """What `domain.reports.call_kind` reads; the outcomes are those applied before `as_of`.

    The `+` here and below keeps a planner from going by time, through all there ever was, instead of by the call.
    """
    return (
        "CASE WHEN calls.answered_at IS NULL THEN '--' WHEN calls.line_result = 'completed' THEN 'ac' ELSE 'a-' END"
        " || CASE WHEN calls.wrap_up_since IS NULL THEN '-' ELSE 'o' END || ':' || COALESCE((SELECT {joined:kind} FROM"
        " (SELECT substr(outcome_type, 1, 1) || CAST(outcome_id AS text) AS kind FROM applied_outcomes"
        " WHERE workspace_id = :workspace_id AND call_id = calls.call_id"
        f" AND +applied_at < {as_of} ORDER BY +applied_at, applied_id LIMIT {OUTCOMES_OF_A_CALL_MAX}) AS kinds), '')"
    )


@dataclass(frozen=True, slots=True)
class _Facts:
    """Where the facts of a measure are: SQL for each column. `{as_of}` in `label` is a moment."""

    table: str
    at: str
    subject: str
    label: str
    total_ms: str = "0"
    joined: str = ""
    condition: str = ""

    def select(self, lower: str, upper: str, as_of: str) -> str:
        """Those of [lower, upper): at, subject, label, counted, total_ms."""
        return f"SELECT {self._columns(as_of, '1')} FROM {self.table}{self.joined} WHERE {self._within(lower, upper)}"

    def select_of_pieces(self, mark: str) -> str:
        """Those of pieces that are read as facts, with their spans; what is behind the mark is not among them."""
        return (
            f"SELECT pieces.span AS span, {self._columns(mark, '1')} FROM pieces CROSS JOIN {self.table}{self.joined}"
            f" WHERE {self._within('pieces.starts', 'pieces.ends')} AND {self.at} < {mark}"
            f" AND pieces.width_ms = {AS_FACTS}"
        )

    def select_changed(self, lower: str, as_of: str) -> str:
        """Calls that were closed before, and had something applied since: out of the old label, into the new."""
        changed = (
            f" FROM calls WHERE workspace_id = :workspace_id AND +closed_at < {lower} AND call_id IN"
            " (SELECT call_id FROM applied_outcomes WHERE workspace_id = :workspace_id"
            f" AND applied_at >= {lower} AND applied_at < {as_of})"
        )
        return f"SELECT {self._columns(as_of, '1')}{changed} UNION ALL SELECT {self._columns(lower, '-1')}{changed}"

    def _columns(self, as_of: str, counted: str) -> str:
        label = self.label.replace("{as_of}", as_of)
        return (
            f"{self.at} AS at, '=' || {self.subject} AS subject, {label} AS label,"
            f" {counted} AS counted, {self.total_ms} AS total_ms"
        )

    def _within(self, lower: str, upper: str) -> str:
        return (
            f"{self.table}.workspace_id = :workspace_id AND {self.at} >= {lower} AND {self.at} < {upper}"
            f"{self.condition}"
        )


_WAITED = "(calls.closed_at - calls.wrap_up_since)"
_TAKEN = "(attempts.started_at + attempts.duration_ms - deliveries.created_at)"
# Two machines' clocks may say that it arrived before it was made.
_TAKEN = f"(CASE WHEN {_TAKEN} < 0 THEN 0 ELSE {_TAKEN} END)"
_WITH_DELIVERY = (
    " JOIN deliveries ON deliveries.workspace_id = attempts.workspace_id"
    " AND deliveries.delivery_id = attempts.delivery_id"
)
_FACTS = {
    Measure.OUTCOMES: _Facts(
        table="applied_outcomes",
        at="applied_outcomes.applied_at",
        subject="COALESCE(applied_outcomes.agent_id, '')",
        label="substr(applied_outcomes.outcome_type, 1, 1) || CAST(applied_outcomes.outcome_id AS text)",
    ),
    Measure.CALLS: _Facts(
        table="calls",
        at="calls.closed_at",
        subject="COALESCE(calls.agent_id, '')",
        label=_call_label("{as_of}"),
    ),
    Measure.WRAP_UP: _Facts(
        table="calls",
        at="calls.closed_at",
        subject="COALESCE(calls.agent_id, '')",
        label=f"CAST({_cut(_WAITED)} AS text)",
        total_ms=_WAITED,
        condition=" AND calls.wrap_up_since IS NOT NULL",
    ),
    Measure.LIST_MOVES: _Facts(
        table="list_moves",
        at="list_moves.moved_at",
        subject="CAST(list_moves.smart_list_id AS text)",
        label="list_moves.direction",
    ),
    Measure.ATTEMPTS: _Facts(
        table="attempts",
        at="attempts.started_at",
        subject="CAST(deliveries.endpoint_id AS text)",
        label="COALESCE(attempts.error, 'succeeded')",
        total_ms="attempts.duration_ms",
        joined=_WITH_DELIVERY,
    ),
    Measure.LATENCY: _Facts(
        table="attempts",
        at="attempts.started_at",
        subject="CAST(deliveries.endpoint_id AS text)",
        label=f"CAST({_cut(_TAKEN)} AS text)",
        total_ms=_TAKEN,
        joined=_WITH_DELIVERY,
        # Only the first success of a delivery: one that is sent again by hand was not late.
        condition=(
            " AND attempts.error IS NULL AND deliveries.applied_id IS NOT NULL AND NOT EXISTS (SELECT 1"
            " FROM attempts earlier WHERE earlier.workspace_id = attempts.workspace_id"
            " AND earlier.delivery_id = attempts.delivery_id AND earlier.number < attempts.number"
            " AND earlier.error IS NULL)"
        ),
    ),
}


def _uncounted(measure: Measure, lower: str, upper: str) -> str:
    """What the counts do not know yet of what happened in [lower, upper)."""
    found = _FACTS[measure].select(lower, upper, upper)
    if measure is Measure.CALLS:
        found += f" UNION ALL {_FACTS[measure].select_changed(lower, upper)}"
    return found


# Where the facts of a measure are, and by which time. Calls change once more when a late disposition is applied.
_TIMES = {
    Measure.OUTCOMES: (("applied_outcomes", "applied_at"),),
    Measure.CALLS: (("calls", "closed_at"), ("applied_outcomes", "applied_at")),
    Measure.WRAP_UP: (("calls", "closed_at"),),
    Measure.LIST_MOVES: (("list_moves", "moved_at"),),
    Measure.ATTEMPTS: (("attempts", "started_at"),),
    Measure.LATENCY: (("attempts", "started_at"),),
}


def _mark(measure: Measure) -> str:
    return (
        "COALESCE((SELECT counted_until FROM report_marks"
        f" WHERE workspace_id = :workspace_id AND measure = '{measure}'), 0)"
    )


_SUMS = "CAST(SUM(counted) AS bigint), CAST(SUM(total_ms) AS bigint)"
_OF_PIECES = (
    "report_counts.width_ms = pieces.width_ms AND report_counts.slot >= pieces.starts"
    " AND report_counts.slot < pieces.ends"
)


def _of_newest(measure: Measure, having: str = "") -> str:
    """The facts behind the mark, by span. First by slot, of which there are few, then by piece."""
    slot = f"at / {QUARTER_MS} * {QUARTER_MS}"
    newest = _uncounted(measure, _mark(measure), f"{_END_OF_TIME}")
    return (
        f" SELECT pieces.span, newest.subject, newest.label, {_SUMS} FROM (SELECT {slot} AS slot, subject, label,"
        " SUM(counted) AS counted, SUM(total_ms) AS total_ms"
        f" FROM ({newest}) AS facts GROUP BY {slot}, subject, label{having}) AS newest"
        " JOIN pieces ON newest.slot >= pieces.starts AND newest.slot < pieces.ends"
        " GROUP BY pieces.span, newest.subject, newest.label"
    )


def _of_edges(measure: Measure, having: str = "") -> str:
    """The facts of the pieces that are too small for counts."""
    facts = _FACTS[measure].select_of_pieces(_mark(measure))
    return (
        f" SELECT span, subject, label, {_SUMS} FROM ({facts}) AS edges GROUP BY span, subject, label{having}"
    )


def _counts(measure: Measure, whom: str, subjects: str = "") -> str:
    return (
        f" SELECT pieces.span, report_counts.subject, report_counts.label, {_SUMS}"
        f" FROM {subjects}pieces CROSS JOIN report_counts WHERE report_counts.workspace_id = :workspace_id"
        f" AND report_counts.measure = '{measure}' AND {whom} AND {_OF_PIECES}"
        " GROUP BY pieces.span, report_counts.subject, report_counts.label"
    )


def _subjects(measure: Measure) -> str:
    """Everyone in the counts, found by a step of the key for each."""
    following = (
        "(SELECT MIN(report_counts.subject) FROM report_counts WHERE report_counts.workspace_id = :workspace_id"
        f" AND measure = '{measure}' AND width_ms = {DAY_MS} AND report_counts.subject > {{after}})"
    )
    return (
        " names(workspace_id, subject) AS (SELECT CAST(:workspace_id AS {id}), "
        + following.replace("{after}", "''")
        + " UNION ALL SELECT names.workspace_id, "
        + following.replace("{after}", "names.subject")
        + " FROM names WHERE names.workspace_id = :workspace_id AND names.subject IS NOT NULL)"
    )


_EVERYBODY = "report_counts.subject = ''"
_PIECES = "pieces AS (SELECT span, width_ms, starts, ends FROM {pieces:pieces} AS given)"
_ONE = " HAVING subject = :subject"
_OF_ALL = {
    measure: Statement(f"WITH {_PIECES}{_counts(measure, _EVERYBODY)} UNION ALL{_of_newest(measure)}")
    for measure in Measure
}
_OF_ONE = {
    measure: Statement(
        f"WITH {_PIECES}{_counts(measure, 'report_counts.subject = :subject')}"
        f" UNION ALL{_of_newest(measure, _ONE)} UNION ALL{_of_edges(measure, _ONE)}"
    )
    for measure in Measure
}
_BY_SUBJECT = {
    measure: Statement(
        f"WITH RECURSIVE {_PIECES},{_subjects(measure)}"
        f"{_counts(measure, 'report_counts.subject = names.subject', 'names CROSS JOIN ')}"
        f" UNION ALL{_of_newest(measure)} UNION ALL{_of_edges(measure)}"
    )
    for measure in Measure
}


def _counting(measure: Measure, facts: str) -> Statement:
    """Add facts to the counts: of everybody together, and of each subject."""
    widths = " UNION ALL ".join(
        f"SELECT {width_ms} AS width_ms, {named} AS named"
        for named, widths_ms in enumerate((WIDTHS_MS, WIDTHS_OF_ONE_MS))
        for width_ms in widths_ms
    )
    subject = "CASE WHEN widths.named = 1 THEN facts.subject ELSE '' END"
    slot = "facts.at / widths.width_ms * widths.width_ms"
    return Statement(
        f"WITH facts AS ({facts}), widths AS ({widths})"
        " INSERT INTO report_counts (workspace_id, measure, width_ms, subject, slot, label, counted, total_ms)"
        f" SELECT CAST(:workspace_id AS {{id}}), '{measure}', widths.width_ms, {subject}, {slot}, facts.label,"
        " SUM(facts.counted), SUM(facts.total_ms) FROM facts CROSS JOIN widths"
        f" GROUP BY widths.width_ms, {subject}, {slot}, facts.label"
        " ON CONFLICT (workspace_id, measure, width_ms, subject, slot, label) DO UPDATE SET"
        " counted = report_counts.counted + excluded.counted,"
        " total_ms = report_counts.total_ms + excluded.total_ms"
    )


# Those of a stretch of time.
_COUNT = {
    measure: _counting(measure, _uncounted(measure, ":counted_from", ":counted_until")) for measure in Measure
}
# What one attempt is, if the mark has passed it.
MEASURES_OF_ATTEMPTS = (Measure.ATTEMPTS, Measure.LATENCY)
_COUNT_ATTEMPT = {
    measure: _counting(
        measure,
        _FACTS[measure].select("0", ":counted_until", ":counted_until")
        + " AND attempts.delivery_id = :delivery_id AND attempts.number = :number",
    )
    for measure in MEASURES_OF_ATTEMPTS
}
_NTH = {
    (measure, table): Statement(
        f"SELECT {at} FROM {table} WHERE workspace_id = :workspace_id AND {at} >= :counted_from"
        f" ORDER BY {at} LIMIT 1 OFFSET :skipped"
    )
    for measure, times in _TIMES.items()
    for table, at in times
}
_LOCK_MARK = Statement(
    "SELECT counted_until FROM report_marks"
    " WHERE workspace_id = :workspace_id AND measure = :measure {skip_locked}"
)
_WAIT_FOR_MARK = Statement(
    "SELECT counted_until FROM report_marks"
    " WHERE workspace_id = :workspace_id AND measure = :measure {for_update}"
)
_INSERT_MARK = Statement(
    "INSERT INTO report_marks (workspace_id, measure, counted_until) VALUES (:workspace_id, :measure, 0)"
    " ON CONFLICT (workspace_id, measure) DO NOTHING"
)
_MOVE_MARK = Statement(
    "UPDATE report_marks SET counted_until = :counted_until"
    " WHERE workspace_id = :workspace_id AND measure = :measure"
)
_HORIZON = Statement("SELECT {oldest_write_ms}")
_WAITING = Statement(
    "SELECT COALESCE(agent_id, ''), COUNT(*), MIN(wrap_up_since) FROM calls"
    " WHERE workspace_id = :workspace_id AND state = 'wrap_up' GROUP BY COALESCE(agent_id, '')"
)


def _due(measure: Measure) -> str:
    found = " OR ".join(
        f"EXISTS (SELECT 1 FROM {table} WHERE {table}.workspace_id = workspaces.workspace_id"
        f" AND {table}.{at} < :counted_until AND {table}.{at} >= COALESCE((SELECT counted_until FROM report_marks"
        f" WHERE report_marks.workspace_id = workspaces.workspace_id AND measure = '{measure}'), 0))"
        for table, at in _TIMES[measure]
    )
    return f"SELECT workspaces.workspace_id, '{measure}' FROM workspaces WHERE {found}"


_DUE = Statement(" UNION ALL ".join(_due(measure) for measure in Measure))


async def counts_of(
    tx: Tx, workspace_id: str, measure: Measure, spans: Sequence[Span], subject: str = EVERYBODY
) -> list[CountRow]:
    """What happened in each span, of everybody together or of one subject; a row may come twice, to be added up."""
    if subject == EVERYBODY:
        found = await tx.all(_OF_ALL[measure], workspace_id=workspace_id, pieces=_json(tx, spans, WIDTHS_MS))
        return [CountRow(*row) for row in found]
    pieces = _json(tx, spans, WIDTHS_OF_ONE_MS)
    found = await tx.all(_OF_ONE[measure], workspace_id=workspace_id, pieces=pieces, subject=subject)
    return [CountRow(*row) for row in found]


async def counts_by_subject(
    tx: Tx, workspace_id: str, measure: Measure, spans: Sequence[Span]
) -> list[CountRow]:
    """What happened in each span, subject by subject; a row may come twice, to be added up."""
    pieces = _json(tx, spans, WIDTHS_OF_ONE_MS)
    found = await tx.all(_BY_SUBJECT[measure], workspace_id=workspace_id, pieces=pieces)
    return [CountRow(*row) for row in found]


async def waiting_calls(tx: Tx, workspace_id: str) -> list[tuple[str, int, int]]:
    """By agent: how many calls are in wrap-up now, and since when the oldest waits (Unix ms)."""
    return [(row[0], row[1], row[2]) for row in await tx.all(_WAITING, workspace_id=workspace_id)]


async def horizon_ms(tx: Tx) -> int:
    """When the oldest transaction began that may still write (Unix ms), by the database's clock."""
    row = await tx.first(_HORIZON)
    assert row is not None
    return int(row[0])


async def due_measures(tx: Tx, counted_until: int) -> list[tuple[str, Measure]]:
    """(workspace_id, measure) of those that have facts before this time which are not counted yet."""
    return [(row[0], Measure(row[1])) for row in await tx.all(_DUE, counted_until=counted_until)]


async def lock_mark(tx: Tx, workspace_id: str, measure: Measure) -> int | None:
    """Until when it is counted; None while another process counts it."""
    values = {"workspace_id": workspace_id, "measure": measure.value}
    await tx.run(_INSERT_MARK, **values)
    row = await tx.first(_LOCK_MARK, **values)
    return None if row is None else int(row[0])


async def hold_mark(tx: Tx, workspace_id: str, measure: Measure) -> int:
    """Until when it is counted, which does not change before the commit; waits while another process counts it."""
    values = {"workspace_id": workspace_id, "measure": measure.value}
    await tx.run(_INSERT_MARK, **values)
    row = await tx.first(_WAIT_FOR_MARK, **values)
    assert row is not None
    return int(row[0])


async def count_attempt(
    tx: Tx, workspace_id: str, measure: Measure, counted_until: int, delivery_id: str, number: int
) -> None:
    """Count an attempt of [0, counted_until) that was written down when the mark had passed it; no other."""
    await tx.run(
        _COUNT_ATTEMPT[measure],
        workspace_id=workspace_id,
        counted_until=counted_until,
        delivery_id=delivery_id,
        number=number,
    )


async def time_of_fact(
    tx: Tx, workspace_id: str, measure: Measure, counted_from: int, *, skipped: int
) -> int | None:
    """When the fact happened that comes after `skipped` others from a time on; None when there are not so many."""
    values = {"workspace_id": workspace_id, "counted_from": counted_from, "skipped": skipped}
    found = [await tx.first(_NTH[measure, table], **values) for table, _ in _TIMES[measure]]
    return min((int(row[0]) for row in found if row is not None), default=None)


async def count_facts(
    tx: Tx, workspace_id: str, measure: Measure, counted_from: int, counted_until: int
) -> None:
    """Count the facts of [counted_from, counted_until) and move the mark there."""
    values = {"workspace_id": workspace_id, "counted_until": counted_until}
    await tx.run(_COUNT[measure], **values, counted_from=counted_from)
    await tx.run(_MOVE_MARK, **values, measure=measure.value)


def _json(tx: Tx, spans: Sequence[Span], widths_ms: Sequence[int]) -> str:
    pieces: Iterator[Piece] = pieces_of(spans, widths_ms, now_ms=tx.now_ms)
    return json.dumps([[each.span, each.width_ms, each.starts, each.ends] for each in pieces])
