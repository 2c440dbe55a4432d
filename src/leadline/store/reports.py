"""Facts counted ahead, by measure, subject and time; and the newest facts, counted as they are.

A row of `report_counts` says how many facts of a measure fell into a slot (a quarter, hour or day, UTC), about
whom (`subject`), of which kind (`label`). `report_marks` says until when that is done. What is read is always both:
the counts, and the facts from the mark on, in one statement, so that no fact is counted twice or not at all
while the mark moves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from leadline.domain.periods import QUARTER_MS, WIDTHS_MS, Piece
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


def _outcomes(lower: str, upper: str, _as_of: str) -> str:
    return (
        "SELECT applied_at AS at, '=' || COALESCE(agent_id, '') AS subject,"
        " substr(outcome_type, 1, 1) || CAST(outcome_id AS text) AS label, 1 AS counted, 0 AS total_ms"
        " FROM applied_outcomes WHERE workspace_id = :workspace_id"
        f" AND applied_at >= {lower} AND applied_at < {upper}"
    )


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


def _calls(lower: str, upper: str, as_of: str) -> str:
    """Closed calls; and those that were counted already and got their disposition since: out and in again."""
    about = "calls.closed_at AS at, '=' || COALESCE(calls.agent_id, '') AS subject"
    late = (
        f" FROM calls WHERE workspace_id = :workspace_id AND +closed_at < {lower} AND call_id IN"
        " (SELECT call_id FROM applied_outcomes WHERE workspace_id = :workspace_id"
        f" AND applied_at >= {lower} AND applied_at < {as_of})"
    )
    return (
        f"SELECT {about}, {_call_label(as_of)} AS label, 1 AS counted, 0 AS total_ms FROM calls"
        f" WHERE workspace_id = :workspace_id AND closed_at >= {lower} AND closed_at < {upper}"
        f" UNION ALL SELECT {about}, {_call_label(as_of)}, 1, 0{late}"
        f" UNION ALL SELECT {about}, {_call_label(lower)}, -1, 0{late}"
    )


def _wrap_up(lower: str, upper: str, _as_of: str) -> str:
    waited = "(closed_at - wrap_up_since)"
    return (
        "SELECT closed_at AS at, '=' || COALESCE(agent_id, '') AS subject,"
        f" CAST({_cut(waited)} AS text) AS label, 1 AS counted, {waited} AS total_ms FROM calls"
        " WHERE workspace_id = :workspace_id AND wrap_up_since IS NOT NULL"
        f" AND closed_at >= {lower} AND closed_at < {upper}"
    )


def _list_moves(lower: str, upper: str, _as_of: str) -> str:
    return (
        "SELECT moved_at AS at, '=' || CAST(smart_list_id AS text) AS subject, direction AS label,"
        " 1 AS counted, 0 AS total_ms FROM list_moves WHERE workspace_id = :workspace_id"
        f" AND moved_at >= {lower} AND moved_at < {upper}"
    )


_ATTEMPTS_FROM = (
    " FROM attempts JOIN deliveries ON deliveries.workspace_id = attempts.workspace_id"
    " AND deliveries.delivery_id = attempts.delivery_id WHERE attempts.workspace_id = :workspace_id"
)


def _attempts(lower: str, upper: str, _as_of: str) -> str:
    return (
        "SELECT attempts.started_at AS at, '=' || CAST(deliveries.endpoint_id AS text) AS subject,"
        " COALESCE(attempts.error, 'succeeded') AS label, 1 AS counted, attempts.duration_ms AS total_ms"
        f"{_ATTEMPTS_FROM} AND attempts.started_at >= {lower} AND attempts.started_at < {upper}"
    )


def _latency(lower: str, upper: str, _as_of: str) -> str:
    """Only the first success of a delivery: one that is sent again by hand was not late."""
    taken = "(attempts.started_at + attempts.duration_ms - deliveries.created_at)"
    # Two machines' clocks may say that it arrived before it was made.
    taken = f"(CASE WHEN {taken} < 0 THEN 0 ELSE {taken} END)"
    return (
        "SELECT attempts.started_at AS at, '=' || CAST(deliveries.endpoint_id AS text) AS subject,"
        f" CAST({_cut(taken)} AS text) AS label, 1 AS counted, {taken} AS total_ms{_ATTEMPTS_FROM}"
        f" AND attempts.started_at >= {lower} AND attempts.started_at < {upper} AND attempts.error IS NULL"
        " AND deliveries.applied_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attempts earlier"
        " WHERE earlier.workspace_id = attempts.workspace_id AND earlier.delivery_id = attempts.delivery_id"
        " AND earlier.number < attempts.number AND earlier.error IS NULL)"
    )


_FACTS = {
    Measure.OUTCOMES: _outcomes,
    Measure.CALLS: _calls,
    Measure.WRAP_UP: _wrap_up,
    Measure.LIST_MOVES: _list_moves,
    Measure.ATTEMPTS: _attempts,
    Measure.LATENCY: _latency,
}
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


def _reading(measure: Measure, whom: str, having: str = "") -> Statement:
    """Counts and newest facts by span, subject and label. `whom` and `having` choose the subjects of either."""
    mark = _mark(measure)
    newest = _FACTS[measure](mark, f"{_END_OF_TIME}", f"{_END_OF_TIME}")
    slot = f"at / {QUARTER_MS} * {QUARTER_MS}"
    return Statement(
        "WITH pieces AS (SELECT span, width_ms, starts, ends FROM {pieces:pieces} AS given),"
        f" newest AS (SELECT {slot} AS slot, subject, label, SUM(counted) AS counted, SUM(total_ms) AS total_ms"
        f" FROM ({newest}) AS facts GROUP BY {slot}, subject, label{having})"
        " SELECT pieces.span, report_counts.subject, report_counts.label,"
        " CAST(SUM(report_counts.counted) AS bigint), CAST(SUM(report_counts.total_ms) AS bigint)"
        " FROM pieces CROSS JOIN report_counts WHERE report_counts.workspace_id = :workspace_id"
        f" AND report_counts.measure = '{measure}' AND report_counts.width_ms = pieces.width_ms"
        f" AND report_counts.slot >= pieces.starts AND report_counts.slot < pieces.ends AND {whom}"
        " GROUP BY pieces.span, report_counts.subject, report_counts.label"
        " UNION ALL SELECT pieces.span, newest.subject, newest.label,"
        " CAST(SUM(newest.counted) AS bigint), CAST(SUM(newest.total_ms) AS bigint)"
        " FROM newest JOIN pieces ON newest.slot >= pieces.starts AND newest.slot < pieces.ends"
        " GROUP BY pieces.span, newest.subject, newest.label"
    )


_OF_ALL = {measure: _reading(measure, "report_counts.subject = ''") for measure in Measure}
_OF_ONE = {
    measure: _reading(measure, "report_counts.subject = :subject", " HAVING subject = :subject")
    for measure in Measure
}
_BY_SUBJECT = {measure: _reading(measure, "report_counts.subject <> ''") for measure in Measure}


def _counting(measure: Measure) -> Statement:
    """Add the facts of a stretch of time to the counts, for each width, with and without the subject."""
    facts = _FACTS[measure](":counted_from", ":counted_until", ":counted_until")
    widths = " UNION ALL ".join(f"SELECT {width_ms} AS width_ms" for width_ms in WIDTHS_MS)
    return Statement(
        f"WITH facts AS ({facts}), widths AS ({widths}), whom AS (SELECT 0 AS named UNION ALL SELECT 1 AS named)"
        " INSERT INTO report_counts (workspace_id, measure, width_ms, subject, slot, label, counted, total_ms)"
        f" SELECT CAST(:workspace_id AS {{id}}), '{measure}', widths.width_ms,"
        " CASE WHEN whom.named = 1 THEN facts.subject ELSE '' END,"
        " facts.at / widths.width_ms * widths.width_ms, facts.label, SUM(facts.counted), SUM(facts.total_ms)"
        " FROM facts CROSS JOIN widths CROSS JOIN whom"
        " GROUP BY widths.width_ms, CASE WHEN whom.named = 1 THEN facts.subject ELSE '' END,"
        " facts.at / widths.width_ms * widths.width_ms, facts.label"
        " ON CONFLICT (workspace_id, measure, width_ms, subject, slot, label) DO UPDATE SET"
        " counted = report_counts.counted + excluded.counted,"
        " total_ms = report_counts.total_ms + excluded.total_ms"
    )


_COUNT = {measure: _counting(measure) for measure in Measure}
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
    tx: Tx, workspace_id: str, measure: Measure, pieces: Iterable[Piece], subject: str = EVERYBODY
) -> list[CountRow]:
    """What happened in each span, of everybody together or of one subject."""
    values = {"workspace_id": workspace_id, "pieces": _json(pieces)}
    if subject == EVERYBODY:
        return [CountRow(*row) for row in await tx.all(_OF_ALL[measure], **values)]
    return [CountRow(*row) for row in await tx.all(_OF_ONE[measure], **values, subject=subject)]


async def counts_by_subject(
    tx: Tx, workspace_id: str, measure: Measure, pieces: Iterable[Piece]
) -> list[CountRow]:
    """What happened in each span, subject by subject; a subject may come twice, to be added up."""
    values = {"workspace_id": workspace_id, "pieces": _json(pieces)}
    return [CountRow(*row) for row in await tx.all(_BY_SUBJECT[measure], **values)]


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


def _json(pieces: Iterable[Piece]) -> str:
    return json.dumps([[each.span, each.width_ms, each.starts, each.ends] for each in pieces])
