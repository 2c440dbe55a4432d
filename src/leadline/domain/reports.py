"""What reports count, and how numbers are made of the counts (contract § 2: reports need `calls:read`). Pure.

Facts are counted by when the server saw them: an outcome when it was applied, a call when it was closed, a move
when it happened, an attempt when it began. None of these changes later, so neither does a number of the past;
with one exception: a closed call may still get its disposition, and counts with it from then on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

# A call's outcomes beyond this many do not count towards rates: a bound, far above what happens.
OUTCOMES_OF_A_CALL_MAX = 40
COUNTING_OUTCOMES_MAX = 100
# Rows of one table of an answer; the largest first, and `…_total` says how many there are.
ROWS_MAX = 500


class Measure(StrEnum):
    """A kind of fact that is counted ahead."""

    OUTCOMES = "outcomes"
    CALLS = "calls"
    WRAP_UP = "wrap_up"
    LIST_MOVES = "list_moves"
    ATTEMPTS = "attempts"
    LATENCY = "latency"


FORMULAS: Mapping[str, str] = {
    "applied": "Outcomes applied in the period, by the moment they were applied.",
    "actions": "Of these, the ones that were actions when they were applied.",
    "dispositions": "Of these, the ones that were dispositions when they were applied.",
    "share": "Count ÷ all counts of the period.",
    "calls": "Calls closed in the period, by the moment they were closed.",
    "answered": "Of these calls, the ones whose line was up.",
    "contacts": "Calls that were answered and ended `completed`, or that converted.",
    "contacts_chosen": "Calls with at least one of the chosen outcomes (`contact_outcome_ids`), or that converted.",
    "contact_rate": "Contacts ÷ calls.",
    "conversions": "Calls with at least one action.",
    "conversions_chosen": "Calls with at least one of the chosen outcomes (`conversion_outcome_ids`).",
    "conversion_rate": "Conversions ÷ contacts.",
    "wrap_up": "From the moment the server asked for the disposition to the closing of the call.",
    "mean_ms": "Sum ÷ count, rounded to a millisecond.",
    "percentile": "The smallest time that this share of all do not exceed, cut to its two leading digits.",
    "owed": "Calls closed in the period that had waited in wrap-up for a disposition.",
    "missing": "Of these, the ones that have none.",
    "missing_rate": "Missing ÷ owed.",
    "waiting": "Calls in wrap-up at this moment.",
    "joined": "Contacts that joined a list in the period.",
    "left": "Contacts that left a list in the period; a contact that was erased left.",
    "net": "Joined - left.",
    "size": "Contacts on the list at the end of the period: all that ever joined - all that ever left.",
    "attempts": "Webhook requests begun in the period, test sends included.",
    "success_rate": "Attempts answered 2xx ÷ attempts.",
    "latency": "From applying the outcome to the first attempt that succeeded.",
    "change": "(Value - previous) ÷ previous; of rates, value - previous.",
}


@dataclass(frozen=True, slots=True)
class Counting:
    """Which calls count as a contact and as a conversion. None: what holds when nothing is chosen."""

    contact_ids: frozenset[str] | None = None
    conversion_ids: frozenset[str] | None = None

    @property
    def formulas(self) -> tuple[str, str]:
        """The names of the formulas that hold for contacts and conversions."""
        return (
            "contacts" if self.contact_ids is None else "contacts_chosen",
            "conversions" if self.conversion_ids is None else "conversions_chosen",
        )


@dataclass(frozen=True, slots=True)
class CallKind:
    """What a label of closed calls says: `ac-:a<id>,d<id>` is answered, completed, not owed, with two outcomes."""

    answered: bool
    completed: bool
    owed: bool
    outcome_ids: frozenset[str]
    has_action: bool
    has_disposition: bool

    @property
    def missing(self) -> bool:
        return self.owed and not self.has_disposition

    def converted(self, counting: Counting) -> bool:
        if counting.conversion_ids is None:
            return self.has_action
        return not self.outcome_ids.isdisjoint(counting.conversion_ids)

    def contacted(self, counting: Counting) -> bool:
        if self.converted(counting):
            return True
        if counting.contact_ids is None:
            return self.completed
        return not self.outcome_ids.isdisjoint(counting.contact_ids)


def call_kind(label: str) -> CallKind:
    """Read a label that the store has made."""
    flags, _, applied = label.partition(":")
    outcomes = applied.split(",") if applied else []
    return CallKind(
        answered=flags[0] == "a",
        completed=flags[1] == "c",
        owed=flags[2] == "o",
        outcome_ids=frozenset(each[1:] for each in outcomes),
        has_action=any(each[0] == "a" for each in outcomes),
        has_disposition=any(each[0] == "d" for each in outcomes),
    )


@dataclass(frozen=True, slots=True)
class CallCounts:
    """Calls of one bucket or agent, by what they were."""

    calls: int = 0
    answered: int = 0
    contacts: int = 0
    conversions: int = 0
    owed: int = 0
    missing: int = 0


def call_counts(labels: Iterable[tuple[str, int]], counting: Counting) -> CallCounts:
    """Add up (label, count) pairs."""
    found: Counter[str] = Counter()
    for label, counted in labels:
        kind = call_kind(label)
        found["calls"] += counted
        found["answered"] += counted * kind.answered
        found["contacts"] += counted * kind.contacted(counting)
        found["conversions"] += counted * kind.converted(counting)
        found["owed"] += counted * kind.owed
        found["missing"] += counted * kind.missing
    return CallCounts(**found)


def two_digits(duration_ms: int) -> int:
    """A duration cut to its two leading digits: 1,999 is 1,900. How durations are kept in counts."""
    assert duration_ms >= 0
    step = 1
    while duration_ms // step >= 100:
        step *= 10
    return duration_ms // step * step


@dataclass(slots=True)
class Histogram:
    """Durations, each cut to two leading digits, and their exact sum. Two are merged by adding up.

    Cutting keeps the order, so a percentile of it is the true percentile, cut likewise.
    """

    counts: Counter[int]
    total_ms: int = 0

    @classmethod
    def empty(cls) -> Histogram:
        return cls(Counter())

    def add(self, cut_ms: int, counted: int, total_ms: int) -> None:
        self.counts[cut_ms] += counted
        self.total_ms += total_ms

    @property
    def count(self) -> int:
        return self.counts.total()

    @property
    def mean_ms(self) -> int | None:
        return round(self.total_ms / self.count) if self.count else None

    def percentile_ms(self, percent: int) -> int | None:
        """The nearest-rank percentile; None when there is nothing."""
        rank = math.ceil(self.count * percent / 100)
        seen = 0
        for cut_ms in sorted(self.counts):
            seen += self.counts[cut_ms]
            if seen >= rank > 0:
                return cut_ms
        return None


def ratio(part: int, whole: int) -> float | None:
    """To four digits; None of nothing."""
    return round(part / whole, 4) if whole else None


def change_of_count(value: float | None, previous: float | None) -> float | None:
    """By how much of the previous one, to four digits; None when there is nothing to compare with."""
    if value is None or not previous:
        return None
    return round((value - previous) / previous, 4)


def change_of_rate(value: float | None, previous: float | None) -> float | None:
    """The difference, to four digits."""
    return None if value is None or previous is None else round(value - previous, 4)
