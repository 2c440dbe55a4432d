"""The table that a run prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from chaos.plan import FAULTS, Fault, Point
from chaos.processes import FAILED_START
from chaos.receivers import KINDS
from chaos.run import Report

HEAD = (
    "fault",
    "injected",
    "deliveries",
    "lost",
    "dup. explained",
    "dup. unexplained",
    "after cancel",
    "verdict",
)
NO_DISK = {
    "sqlite": "SQLite was told that the disk is full (max_page_count).",
    "postgresql": "its disk was never full.",
}
BREACHES_SHOWN_MAX = 20
Cells = Sequence[str]


def render(report: Report) -> str:
    """The whole report as text: a table, the totals, and every breach."""
    rows = [*_receiver_rows(report), *_process_rows(report), _total(report)]
    lines = [_title(report), "", *_aligned([HEAD, *rows]), "", _summary(report)]
    if not report.disk_is_real:
        lines.append(f"No tmpfs could be mounted: {NO_DISK[report.plan.engine]}")
    breaches = report.verdict.breaches
    lines += [f"BREACH: {text}" for text in breaches[:BREACHES_SHOWN_MAX]]
    if len(breaches) > BREACHES_SHOWN_MAX:
        lines.append(f"BREACH: and {len(breaches) - BREACHES_SHOWN_MAX} more")
    lines.append("kept" if report.is_kept else f"BROKEN: {len(breaches)} breaches")
    return "\n".join(lines)


def _title(report: Report) -> str:
    plan = report.plan
    return f"engine {plan.engine}, seed {plan.seed}, {plan.seconds:g} s under fire, {' + '.join(plan.roles)}"


def _receiver_rows(report: Report) -> Iterator[Cells]:
    verdict = report.verdict
    for kind in KINDS:
        counts = [
            each[kind]
            for each in (verdict.lost, verdict.explained, verdict.unexplained, verdict.sent_after_cancel)
        ]
        bad = verdict.lost[kind] + verdict.unexplained[kind] + verdict.sent_after_cancel[kind]
        numbers = map(str, (report.injected[kind], verdict.deliveries[kind], *counts))
        yield (f"receiver: {kind}", *numbers, "BROKEN" if bad else "kept")


def _process_rows(report: Report) -> Iterator[Cells]:
    """Deaths have no deliveries of their own: their row says which duplicates they explain."""
    deaths = Counter(kill.cause for kill in report.kills)
    for point in Point:
        yield _process_row(f"killed: {point}", deaths[point], report.verdict.explained_by[point])
    for fault in FAULTS[report.plan.engine]:
        times = deaths[fault] if fault is Fault.KILL else report.faults[fault]
        yield _process_row(fault, times, report.verdict.explained_by[fault])
    yield _process_row(FAILED_START, report.failed_starts, report.verdict.explained_by[FAILED_START])


def _process_row(name: str, times: int, explained: int) -> Cells:
    return (name, str(times), "", "", str(explained), "", "", "")


def _total(report: Report) -> Cells:
    verdict = report.verdict
    sums = (
        verdict.deliveries,
        verdict.lost,
        verdict.explained,
        verdict.unexplained,
        verdict.sent_after_cancel,
    )
    injected = report.injected.total() + len(report.kills) + report.faults.total() - report.faults[Fault.KILL]
    numbers = map(str, (injected, *(each.total() for each in sums)))
    return ("total", *numbers, "kept" if report.is_kept else "BROKEN")


def _summary(report: Report) -> str:
    ledger = report.ledger
    return (
        f"{len(ledger.applied)} applies acknowledged in {ledger.tries} requests, {ledger.repeated} of them asked"
        f" again; {len(ledger.canceled_at)} deliveries canceled; {report.attempts} attempts;"
        f" {report.lives} lives, {len(report.kills)} killed, {report.failed_starts} did not come up;"
        f" everything had ended after {report.settle_seconds:.1f} s of peace"
    )


def _aligned(rows: Sequence[Cells]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for number, row in enumerate(rows):
        first, *middle, last = (
            cell.ljust(width) if column in {0, len(HEAD) - 1} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join([first, *middle, last]).rstrip()
        if number in {0, len(rows) - 2}:
            yield "-" * (sum(widths) + 2 * (len(HEAD) - 1))
