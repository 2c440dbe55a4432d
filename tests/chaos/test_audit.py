"""The audit of `make chaos` finds what it is there to find."""

from __future__ import annotations

from dataclasses import replace

import pytest
from chaos.audit import Evidence, StoredApplied, StoredDelivery, audit
from chaos.load import Acknowledged, Ledger
from chaos.plan import make_plan
from chaos.receivers import HOSTILE_KINDS, Receipt
from chaos.victim import Kill

BODY = b'{"call": 1}'
FIRST = Receipt("good", "d-1", BODY, 100.0, "sender-1", accepted=True)
SECOND = replace(FIRST, at=110.0, sender="sender-2")
DELIVERY = StoredDelivery("d-1", "a-1", BODY.decode(), "succeeded", attempt_count=1, attempts_recorded=1)


def evidence(**changes: object) -> Evidence:
    """One apply, acknowledged, delivered once."""
    seen = Evidence(
        ledger=Ledger(applied=[Acknowledged("good", "c-1", "o-1", "a-1", "d-1")]),
        applied=[StoredApplied("a-1", "c-1", "o-1", "d-1")],
        deliveries=[DELIVERY],
        receipts=[FIRST],
        kills=[],
        drift=0,
        trapped=0,
        followed=0,
    )
    return replace(seen, **changes)  # type: ignore[arg-type]


def canceled(*receipts: Receipt) -> Evidence:
    seen = evidence(receipts=receipts, deliveries=[replace(DELIVERY, state="canceled")])
    seen.ledger.canceled_at["d-1"] = 50.0
    return seen


def test_a_delivery_that_arrived_once_keeps_the_promise() -> None:
    verdict = audit(evidence())
    assert verdict.breaches == []
    assert verdict.deliveries == {"good": 1}


@pytest.mark.parametrize(
    "seen",
    [
        evidence(applied=[], deliveries=[]),
        evidence(applied=[StoredApplied("a-2", "c-1", "o-1", "d-1")]),
        evidence(deliveries=[]),
        evidence(receipts=[]),
        evidence(deliveries=[replace(DELIVERY, state="pending")]),
        evidence(deliveries=[replace(DELIVERY, state="exhausted")]),
    ],
)
def test_a_loss_is_found(seen: Evidence) -> None:
    verdict = audit(seen)
    assert verdict.lost["good"] >= 1
    assert verdict.breaches


@pytest.mark.parametrize(
    "seen",
    [
        evidence(receipts=[replace(FIRST, body=b"{}")]),
        evidence(receipts=[FIRST, replace(FIRST, webhook_id="d-2")]),
        evidence(
            applied=[StoredApplied("a-1", "c-1", "o-1", "d-1"), StoredApplied("a-2", "c-1", "o-1", None)]
        ),
        evidence(drift=1),
        evidence(trapped=1),
        evidence(followed=1),
    ],
)
def test_other_breaches_are_found(seen: Evidence) -> None:
    assert audit(seen).breaches


def test_a_duplicate_is_explained_by_the_death_of_its_sender() -> None:
    gap = replace(DELIVERY, attempt_count=2)
    kill = Kill("sender-1", "after send", 100.1)
    verdict = audit(evidence(receipts=[FIRST, SECOND], deliveries=[gap], kills=[kill]))
    assert verdict.breaches == []
    assert verdict.explained_by == {"after send": 1}


@pytest.mark.parametrize(
    ("delivery", "kill"),
    [
        (replace(DELIVERY, attempt_count=2), Kill("sender-2", "after send", 100.1)),
        (replace(DELIVERY, attempt_count=2), Kill("sender-1", "after send", 99.0)),
        (replace(DELIVERY, attempt_count=2), Kill("sender-1", "after send", 111.0)),
        (replace(DELIVERY, attempt_count=2, attempts_recorded=2), Kill("sender-1", "after send", 100.1)),
    ],
)
def test_a_duplicate_without_such_a_death_is_a_breach(delivery: StoredDelivery, kill: Kill) -> None:
    verdict = audit(evidence(receipts=[FIRST, SECOND], deliveries=[delivery], kills=[kill]))
    assert verdict.unexplained == {"good": 1}
    assert verdict.breaches


def test_what_arrives_after_its_cancel_is_a_breach() -> None:
    assert audit(canceled()).breaches == []
    assert audit(canceled(FIRST)).sent_after_cancel == {"good": 1}


def test_one_attempt_may_be_on_its_way_while_it_is_canceled() -> None:
    on_its_way = replace(FIRST, at=50.5)
    assert audit(canceled(on_its_way)).breaches == []
    assert audit(canceled(on_its_way, replace(on_its_way, at=51.0))).sent_after_cancel == {"good": 1}


@pytest.mark.parametrize("engine_name", ["sqlite", "postgresql"])
def test_the_same_seed_gives_the_same_plan(engine_name: str) -> None:
    plan = make_plan(7, 60, engine_name, HOSTILE_KINDS)
    assert plan == make_plan(7, 60, engine_name, HOSTILE_KINDS)
    assert plan != make_plan(8, 60, engine_name, HOSTILE_KINDS)
