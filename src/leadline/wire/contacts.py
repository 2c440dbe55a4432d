"""Contacts and their history (contract § 6)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from leadline.wire.calls import Applied, CallSummary
from leadline.wire.common import Answer, Body, Page, Time, Uuid, UuidInput

AttributeValue = str | int | float | bool
Attributes = Annotated[
    dict[str, AttributeValue], Meta(description="Flat: strings, numbers and booleans, at most 100.")
]


class ContactBody(Body, frozen=True, kw_only=True):
    phone_number: Annotated[
        str, Meta(description="E.164, or national in the workspace's region.", examples=["+15555550100"])
    ]
    name: str | None = None
    external_id: str | None = None
    attributes: Attributes | None = None


class ContactChange(Body, frozen=True, kw_only=True):
    """Only the fields sent change; null empties `name`, `external_id` and `attributes`."""

    phone_number: str | UnsetType = UNSET
    name: str | UnsetType | None = UNSET
    external_id: str | UnsetType | None = UNSET
    attributes: Attributes | UnsetType | None = UNSET


class ContactsQuery(Page, frozen=True, kw_only=True):
    phone_number: Annotated[str, Meta(min_length=1, max_length=40)] | None = None
    smart_list_id: UuidInput | None = None
    q: (
        Annotated[str, Meta(min_length=1, max_length=120, description="Part of name, number or external id.")]
        | None
    ) = None


class ContactList(Struct, frozen=True, kw_only=True):
    smart_list_id: Uuid
    smart_list_name: str
    since: Time


class Contact(Struct, frozen=True, kw_only=True):
    contact_id: Uuid
    phone_number: str
    name: str | None
    external_id: str | None
    attributes: dict[str, AttributeValue]
    smart_lists: list[ContactList]
    created_at: Time
    updated_at: Time


class ContactAnswer(Answer, frozen=True, kw_only=True):
    contact: Contact


class ContactsAnswer(Answer, frozen=True, kw_only=True):
    contacts: list[Contact]
    next_cursor: str | None


class ContactDeleted(Answer, frozen=True, kw_only=True):
    contact_id: Uuid


class ListMove(Struct, frozen=True, kw_only=True):
    smart_list_id: Uuid
    smart_list_name: str
    direction: Literal["joined", "left"]
    source: Literal["applied", "request"]
    applied_id: Uuid | None


class HistoryEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened to a contact; the key that `type` names is there."""

    type: Literal["call", "applied", "list_move"]
    at: Time
    call: CallSummary | UnsetType = UNSET
    applied: Applied | UnsetType = UNSET
    list_move: ListMove | UnsetType = UNSET


class HistoryAnswer(Answer, frozen=True, kw_only=True):
    history: list[HistoryEntry]
    next_cursor: str | None


HistoryQuery = Page
