"""What applying an outcome does: decided here from facts, carried out elsewhere. Pure (contract § 5 and § 7)."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import assert_never

import msgspec

from leadline.domain.calls import CallState, has_ended
from leadline.domain.errors import CallNotLive, CallStillLive, DispositionAlreadyApplied
from leadline.domain.outcomes import AddTo, Destination, OutcomeType, RemoveFrom, RemoveFromAll, Stay


class Moves(msgspec.Struct, frozen=True):
    """Smart Lists that the contact joins and leaves. Never the same list twice."""

    join: frozenset[str] = frozenset()
    leave: frozenset[str] = frozenset()


class ApplyFacts(msgspec.Struct, frozen=True):
    """What the database says at the moment of applying, all of it under the call's lock."""

    call_state: CallState
    has_disposition: bool
    outcome_type: OutcomeType
    destination: Destination
    has_contact: bool
    joined: frozenset[str]
    existing_lists: AbstractSet[str]
    has_webhook: bool


class Plan(msgspec.Struct, frozen=True):
    """What is to be written. `error_message` is the destination's failure; it stops nothing else."""

    moves: Moves
    error_message: str
    call_state: CallState
    sends_webhook: bool


def plan(facts: ApplyFacts) -> Plan:
    """Decide. Raises the refusal when this outcome cannot be applied to the call as it stands.

    An outcome that was applied to the call before is not planned again: the caller answers with the first.
    """
    _refuse_out_of_turn(facts)
    moves, error_message = _moves(facts)
    closes = facts.outcome_type is OutcomeType.DISPOSITION
    return Plan(
        moves=moves,
        error_message=error_message,
        call_state=CallState.CLOSED if closes else facts.call_state,
        sends_webhook=facts.has_webhook,
    )


def _refuse_out_of_turn(facts: ApplyFacts) -> None:
    match facts.outcome_type:
        case OutcomeType.ACTION:
            if facts.call_state is not CallState.LIVE:
                raise CallNotLive("An action is applied while the call is live.")
        case OutcomeType.DISPOSITION:
            if not has_ended(facts.call_state):
                raise CallStillLive("A disposition is applied after the call has ended.")
            if facts.has_disposition:
                raise DispositionAlreadyApplied("This call has its disposition.")


def _moves(facts: ApplyFacts) -> tuple[Moves, str]:
    destination = facts.destination
    if isinstance(destination, Stay):
        return Moves(), ""
    if not facts.has_contact:
        return Moves(), "The contact of this call no longer exists."
    if isinstance(destination, AddTo) and destination.smart_list_id not in facts.existing_lists:
        return Moves(), f"Smart List {destination.smart_list_id} no longer exists."
    moves = memberships_after(destination, facts.joined)
    if isinstance(destination, RemoveFrom):
        gone = [each for each in destination.smart_list_ids if each not in facts.existing_lists]
        if gone:
            # What can be left is left; the rest is told.
            return moves, f"Smart List {', '.join(gone)} no longer exists."
    return moves, ""


def memberships_after(destination: Destination, joined: frozenset[str]) -> Moves:
    """The moves that bring a contact in `joined` to where the destination wants it."""
    match destination:
        case Stay():
            return Moves()
        case AddTo(smart_list_id):
            return Moves(join=frozenset({smart_list_id}) - joined)
        case RemoveFromAll():
            return Moves(leave=joined)
        case RemoveFrom(smart_list_ids):
            return Moves(leave=frozenset(smart_list_ids) & joined)
        case _:
            assert_never(destination)
