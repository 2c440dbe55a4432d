"""Was the promise of contract § 8 kept? Pure: everything that was seen goes in, breaches come out."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chaos.load import Ledger
from chaos.receivers import Receipt
from chaos.victim import Kill

# A cancel ends what is not on its way; an attempt that is takes this long at most to reach its receiver.
IN_FLIGHT_SECONDS = 2.0
CLOCK_SLACK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class StoredApplied:
    """An applied outcome as the database has it at the end."""

    applied_id: str
    call_id: str
    outcome_id: str
    delivery_id: str | None


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery as the database has it at the end; `attempts_recorded` of `attempt_count` were written down."""

    delivery_id: str
    applied_id: str | None
    payload: str
    state: str
    attempt_count: int
    attempts_recorded: int


@dataclass(frozen=True)
class Evidence:
    """All that was seen of one run."""

    ledger: Ledger
    applied: Sequence[StoredApplied]
    deliveries: Sequence[StoredDelivery]
    receipts: Sequence[Receipt]
    kills: Sequence[Kill]
    drift: int
    trapped: int
    followed: int


@dataclass
class Verdict:
    """What was kept and what was broken, by receiver (`kind`) and by what killed the sender (`cause`)."""

    deliveries: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: Counter[str] = field(default_factory=Counter)
    sent_after_cancel: Counter[str] = field(default_factory=Counter)
    explained_by: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)


def audit(seen: Evidence) -> Verdict:
    """Every breach of the promise, and every duplicate with its cause."""
    verdict = Verdict()
    receipts: dict[str, list[Receipt]] = defaultdict(list)
    for receipt in sorted(seen.receipts, key=lambda each: each.at):
        receipts[receipt.webhook_id].append(receipt)
    _check_applied(seen, verdict)
    _check_deliveries(seen, receipts, verdict)
    _check_strangers(seen, receipts, verdict)
    verdict.breaches += seen.ledger.complaints
    for text, count in (
        ("applied outcomes without their delivery (drift)", seen.drift),
        ("connections to an address that is not allowed", seen.trapped),
        ("redirects followed", seen.followed),
    ):
        if count:
            verdict.breaches.append(f"{text}: {count}")
    return verdict


def _check_applied(seen: Evidence, verdict: Verdict) -> None:
    """Every acknowledged apply is there once, as it was told; and nothing else is."""
    stored = {(each.call_id, each.outcome_id): each for each in seen.applied}
    if len(stored) != len(seen.applied):
        verdict.breaches.append("an outcome is applied twice to one call")
    for told in seen.ledger.applied:
        found = stored.pop((told.call_id, told.outcome_id), None)
        if found is None or found.applied_id != told.applied_id or found.delivery_id != told.delivery_id:
            verdict.lost[told.kind] += 1
            verdict.breaches.append(f"lost: the acknowledged apply {told.applied_id}")
    if stored and not seen.ledger.complaints:
        verdict.breaches.append(f"applied outcomes that nobody was told of: {len(stored)}")


def _check_deliveries(seen: Evidence, receipts: Mapping[str, Sequence[Receipt]], verdict: Verdict) -> None:
    stored = {each.delivery_id: each for each in seen.deliveries}
    for told in seen.ledger.applied:
        verdict.deliveries[told.kind] += 1
        delivery = stored.get(told.delivery_id)
        if delivery is None or delivery.applied_id != told.applied_id:
            verdict.lost[told.kind] += 1
            verdict.breaches.append(f"lost: the delivery {told.delivery_id}")
            continue
        arrived = receipts.get(told.delivery_id, ())
        _check_arrival(told.kind, delivery, arrived, seen.ledger.canceled_at, verdict)
        _count_duplicates(told.kind, delivery, arrived, seen.kills, verdict)


def _check_arrival(
    kind: str,
    delivery: StoredDelivery,
    arrived: Sequence[Receipt],
    canceled_at: Mapping[str, float],
    verdict: Verdict,
) -> None:
    at = canceled_at.get(delivery.delivery_id)
    if at is not None:
        late = _after_cancel(arrived, at)
        if late:
            verdict.sent_after_cancel[kind] += late
            verdict.breaches.append(f"sent after its cancel: {delivery.delivery_id}, {late} times")
    wanted = "succeeded" if at is None else "canceled"
    if delivery.state != wanted:
        verdict.lost[kind] += 1
        verdict.breaches.append(f"{delivery.delivery_id} ({kind}) is {delivery.state}, not {wanted}")
    elif at is None and not arrived:
        verdict.lost[kind] += 1
        verdict.breaches.append(f"lost: {delivery.delivery_id} ({kind}) succeeded and never arrived")
    if any(receipt.body != delivery.payload.encode() for receipt in arrived):
        verdict.breaches.append(f"{delivery.delivery_id} arrived with other bytes")


def _after_cancel(arrived: Sequence[Receipt], at: float) -> int:
    """What arrived after the cancel, less the one attempt that may have been on its way."""
    after = [receipt.at - at for receipt in arrived if receipt.at > at]
    on_its_way = bool(after) and after[0] <= IN_FLIGHT_SECONDS
    return len(after) - on_its_way


def _count_duplicates(
    kind: str,
    delivery: StoredDelivery,
    arrived: Sequence[Receipt],
    kills: Sequence[Kill],
    verdict: Verdict,
) -> None:
    """A duplicate is whatever comes after a receipt that was accepted.

    It is explained when the sender of that receipt was killed after it and before the next one, and the attempt
    was never written down.
    """
    unrecorded = delivery.attempt_count - delivery.attempts_recorded
    for first, second in itertools.pairwise(arrived):
        if not first.accepted:
            continue
        kill = _kill_between(first, second, kills)
        if kill is not None and unrecorded > 0:
            unrecorded -= 1
            verdict.explained[kind] += 1
            verdict.explained_by[kill.cause] += 1
        else:
            verdict.unexplained[kind] += 1
            verdict.breaches.append(f"duplicate without a kill: {delivery.delivery_id} ({kind})")


def _kill_between(first: Receipt, second: Receipt, kills: Sequence[Kill]) -> Kill | None:
    for kill in kills:
        if kill.sender == first.sender and first.at - CLOCK_SLACK_SECONDS <= kill.at <= second.at:
            return kill
    return None


def _check_strangers(seen: Evidence, receipts: Mapping[str, Sequence[Receipt]], verdict: Verdict) -> None:
    """Nothing arrives that nobody stored, and every event of the database belongs to an apply."""
    stored = {each.delivery_id for each in seen.deliveries}
    strangers = set(receipts) - stored
    if strangers:
        verdict.breaches.append(f"arrived without a delivery: {len(strangers)}")
    promised = {each.delivery_id for each in seen.applied}
    if stored - promised:
        verdict.breaches.append(f"deliveries without an applied outcome: {len(stored - promised)}")
