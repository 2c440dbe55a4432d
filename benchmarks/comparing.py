"""The regression check: an old run's ratios against a new one's. Times are never compared, machines have moods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from benchmarks.report import Better, Figure, Report, aligned

TOLERANCE = 0.10
"""By so much of the old median a figure may get worse before anybody is told."""


class Verdict(StrEnum):
    BETTER = "better"
    SAME = "same"
    WORSE = "WORSE"
    GONE = "GONE"
    """The old run measured it, the new one measured its part and not this."""
    NEW = "new"


class Comparison(msgspec.Struct, frozen=True):
    """One figure in both runs; what is missing in one has None there."""

    part: str
    name: str
    old: Figure | None
    new: Figure | None
    verdict: Verdict


class NothingInCommon(Exception):
    """The two runs have no figure in common, so nothing can be said."""


def compare(old: Report, new: Report, *, tolerance: float = TOLERANCE) -> list[Comparison]:
    """Every ratio and count of the parts that both have. Raises NothingInCommon."""
    before, after = _by_part(old), _by_part(new)
    shared = [name for name in before if name in after]
    found = [each for part in shared for each in _compare_part(part, before[part], after[part], tolerance)]
    if not any(each.old is not None and each.new is not None for each in found):
        raise NothingInCommon("the two runs have no figure in common")
    return found


def _by_part(report: Report) -> dict[str, dict[str, Figure]]:
    return {
        part.name: {
            figure.name: figure for figure in part.figures if figure.is_comparable and figure.values.runs
        }
        for part in report.parts
    }


def _compare_part(
    part: str, before: Mapping[str, Figure], after: Mapping[str, Figure], tolerance: float
) -> Iterator[Comparison]:
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        yield Comparison(part, name, old, new, _verdict(old, new, tolerance))


def _verdict(old: Figure | None, new: Figure | None, tolerance: float) -> Verdict:
    if new is None:
        return Verdict.GONE
    if old is None:
        return Verdict.NEW
    if _is_worse(old, new, tolerance):
        return Verdict.WORSE
    return Verdict.BETTER if _is_worse(new, old, tolerance) else Verdict.SAME


def _is_worse(old: Figure, new: Figure, tolerance: float) -> bool:
    """Worse by more than the tolerance, and outside of everything that the old runs saw: noise is neither."""
    was, is_now = old.values.median, new.values.median
    if old.better is Better.HIGHER:
        return is_now < was * (1 - tolerance) and is_now < min(old.values.runs)
    return is_now > was * (1 + tolerance) and is_now > max(old.values.runs)


def is_regression(comparisons: Sequence[Comparison]) -> bool:
    """Whether anything got worse, or is no longer measured."""
    return any(each.verdict in (Verdict.WORSE, Verdict.GONE) for each in comparisons)


def render(comparisons: Sequence[Comparison]) -> str:
    """What differs, and how many do not."""
    rows = [
        (each.name, _shown(each.old), _shown(each.new), each.verdict.value)
        for each in comparisons
        if each.verdict is not Verdict.SAME
    ]
    same = len(comparisons) - len(rows)
    lines = aligned([("figure", "old", "new", ""), *rows]) if rows else []
    return "\n".join(
        [*lines, f"{same} of {len(comparisons)} figures are the same within {TOLERANCE:.0%} or their runs"]
    )


def _shown(figure: Figure | None) -> str:
    return "-" if figure is None else str(figure.values)
