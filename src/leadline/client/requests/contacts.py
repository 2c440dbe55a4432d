"""Contacts and their history."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET, UnsetType

from leadline.client.models import Contact, HistoryEntry, Page
from leadline.client.requests.described import (
    Id,
    PageRequest,
    Reply,
    Request,
    changed,
    decoded,
    given,
    parameters,
    path,
)
from leadline.wire.contacts import (
    AttributeValue,
    ContactAnswer,
    ContactDeleted,
    ContactsAnswer,
    HistoryAnswer,
)


def list_contacts(
    *,
    phone_number: str | None = None,
    smart_list_id: Id | None = None,
    q: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> PageRequest[Contact]:
    """Contacts, newest first; `q` is a part of name, number or external id."""
    return PageRequest(
        operation="list_contacts",
        method="GET",
        path=path("/contacts"),
        read=_contacts,
        query=parameters(
            phone_number=phone_number, smart_list_id=smart_list_id, q=q, limit=limit, cursor=cursor
        ),
    )


def create_contact(
    *,
    phone_number: str,
    name: str | None = None,
    external_id: str | None = None,
    attributes: Mapping[str, AttributeValue] | None = None,
    idempotency_key: str | None = None,
) -> Request[Contact]:
    """Make a contact. Raises ContactExists with the `contact_id` that has this number."""
    return Request(
        operation="create_contact",
        method="POST",
        path=path("/contacts"),
        read=_contact,
        body=given(phone_number=phone_number, name=name, external_id=external_id, attributes=attributes),
        idempotency_key=idempotency_key,
    )


def get_contact(contact_id: Id) -> Request[Contact]:
    """One contact, with the Smart Lists it is on."""
    return Request(
        operation="get_contact", method="GET", path=path("/contacts/{}", contact_id), read=_contact
    )


def change_contact(
    contact_id: Id,
    *,
    phone_number: str | UnsetType = UNSET,
    name: str | UnsetType | None = UNSET,
    external_id: str | UnsetType | None = UNSET,
    attributes: Mapping[str, AttributeValue] | UnsetType | None = UNSET,
    idempotency_key: str | None = None,
) -> Request[Contact]:
    """Change the fields that are given; None empties `name`, `external_id` and `attributes`."""
    return Request(
        operation="change_contact",
        method="PATCH",
        path=path("/contacts/{}", contact_id),
        read=_contact,
        body=changed(phone_number=phone_number, name=name, external_id=external_id, attributes=attributes),
        idempotency_key=idempotency_key,
    )


def erase_contact(contact_id: Id, *, idempotency_key: str | None = None) -> Request[str]:
    """Erase the person from contacts, lists, calls, notes and stored payloads; answers the id."""
    return Request(
        operation="erase_contact",
        method="DELETE",
        path=path("/contacts/{}", contact_id),
        read=lambda reply: decoded(reply, ContactDeleted).contact_id,
        idempotency_key=idempotency_key,
    )


def contact_history(
    contact_id: Id, *, limit: int | None = None, cursor: str | None = None
) -> PageRequest[HistoryEntry]:
    """A contact's calls, applied outcomes and list moves, newest first."""
    return PageRequest(
        operation="contact_history",
        method="GET",
        path=path("/contacts/{}/history", contact_id),
        read=_history,
        query=parameters(limit=limit, cursor=cursor),
    )


def _contact(reply: Reply) -> Contact:
    return decoded(reply, ContactAnswer).contact


def _contacts(reply: Reply) -> Page[Contact]:
    answer = decoded(reply, ContactsAnswer)
    return Page(tuple(answer.contacts), answer.next_cursor)


def _history(reply: Reply) -> Page[HistoryEntry]:
    answer = decoded(reply, HistoryAnswer)
    return Page(tuple(answer.history), answer.next_cursor)
