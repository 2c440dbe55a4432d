"""The webhook's body: its bytes are fixed when the outcome is applied (contract § 5). Pure."""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from leadline.domain.outcomes import AddTo, Destination, RemoveFrom, RemoveFromAll, Stay


class Scope(msgspec.Struct, frozen=True):
    subaccount_id: str
    organization_id: str


class EventOutcome(msgspec.Struct, frozen=True):
    outcome_id: str
    outcome_name: str
    outcome_type: str


class EventCall(msgspec.Struct, frozen=True):
    call_id: str
    phone_number: str | None
    contact_id: str | None


class Event(msgspec.Struct, frozen=True):
    """Exactly these keys, in this order: receivers of the public contract parse it unchanged."""

    error_message: str
    timestamp: int
    scope: Scope
    outcome: EventOutcome
    call: EventCall
    destination: dict[str, Any]


_encode = msgspec.json.Encoder().encode


def payload(event: Event) -> str:
    """The body as it goes out on every attempt, UTF-8 JSON."""
    return _encode(event).decode()


def destination_json(destination: Destination) -> dict[str, Any]:
    """A destination as webhooks and applied outcomes carry it: as configured, without the list's name."""
    match destination:
        case Stay():
            return {"destination_type": "none"}
        case AddTo(smart_list_id):
            return {"destination_type": "smart_list", "destination_id": smart_list_id}
        case RemoveFromAll():
            return {"destination_type": "remove_from_smart_list", "remove_from_smart_lists": {"all": True}}
        case RemoveFrom(smart_list_ids):
            return {
                "destination_type": "remove_from_smart_list",
                "remove_from_smart_lists": {"list_ids": list(smart_list_ids)},
            }
        case _:
            assert_never(destination)
