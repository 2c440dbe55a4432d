"""Contacts and their history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from leadline.domain.access import Principal, Scope
from leadline.domain.contacts import contact_problems, normalised_number
from leadline.domain.errors import (
    ContactExists,
    ContactNotFound,
    InvalidRequest,
    Problem,
    SmartListNotFound,
)
from leadline.domain.paging import page_request
from leadline.operations import contacts as operations
from leadline.operations.contact_export import export_page
from leadline.store.database import Tx
from leadline.web.downloads import StreamedFile
from leadline.web.table import BodyUse, Context, KeyUse, Operation, Reply, Request, optional
from leadline.wire.common import Page
from leadline.wire.contacts import (
    ContactAnswer,
    ContactBody,
    ContactChange,
    ContactDeleted,
    ContactsAnswer,
    ContactsQuery,
    HistoryAnswer,
)

_TAG = "Contacts"
_CONTACTS = "/phone-system/contacts"
_CONTACT = "/phone-system/contacts/{contact_id}"


def number_problems(fields: Mapping[str, Any], principal: Principal) -> list[Problem]:
    """A `phone_number` that was sent and can be nobody's."""
    number = fields.get("phone_number")
    if isinstance(number, str) and normalised_number(number, principal.region) is None:
        return [Problem("phone_number", "is not a possible phone number")]
    return []


def contact_rules(fields: Mapping[str, Any], principal: Principal, _context: Context) -> list[Problem]:
    sent = {name: value for name, value in fields.items() if value is not msgspec.UNSET}
    return number_problems(sent, principal) + contact_problems(sent)


async def _list(tx: Tx, request: Request) -> Reply:
    query = request.query
    return Reply(
        await operations.list_contacts(
            tx,
            request.workspace_id,
            page_request(query.limit, query.cursor),
            phone_number=query.phone_number,
            smart_list_id=optional(query.smart_list_id),
            q=query.q,
        )
    )


async def _csv(tx: Tx, request: Request, after: Any) -> tuple[str, Any]:
    query = request.query
    if query.limit is not None or query.cursor is not None:
        problems = [
            Problem(name, "is not taken with text/csv, which has all that match")
            for name in ("limit", "cursor")
            if getattr(query, name) is not None
        ]
        raise InvalidRequest("A file has no pages.", details=problems)
    return await export_page(
        tx,
        request.workspace_id,
        after,
        phone_number=query.phone_number,
        smart_list_id=optional(query.smart_list_id),
        q=query.q,
    )


async def _create(tx: Tx, request: Request) -> Reply:
    body = request.body
    return Reply(
        await operations.create_contact(
            tx,
            request.workspace_id,
            phone_number=body.phone_number,
            name=body.name,
            external_id=body.external_id,
            attributes=body.attributes,
        )
    )


async def _get(tx: Tx, request: Request) -> Reply:
    return Reply(await operations.get_contact(tx, request.workspace_id, request.path["contact_id"]))


async def _change(tx: Tx, request: Request) -> Reply:
    sent = msgspec.structs.asdict(request.body)
    changes = {name: value for name, value in sent.items() if value is not msgspec.UNSET}
    return Reply(
        await operations.change_contact(tx, request.workspace_id, request.path["contact_id"], changes)
    )


async def _erase(tx: Tx, request: Request) -> Reply:
    return Reply(await operations.erase_contact(tx, request.workspace_id, request.path["contact_id"]))


async def _history(tx: Tx, request: Request) -> Reply:
    page = page_request(request.query.limit, request.query.cursor)
    return Reply(await operations.contact_history(tx, request.workspace_id, request.path["contact_id"], page))


_EXAMPLE = {
    "phone_number": "+15555550100",
    "name": "Dana Whitfield",
    "external_id": "crm-4417",
    "attributes": {"company": "Northwind Roofing"},
}

OPERATIONS = (
    Operation(
        name="list_contacts",
        method="GET",
        path=_CONTACTS,
        scope=Scope.CONTACTS_READ,
        tag=_TAG,
        summary="List contacts",
        description=(
            "With `Accept: text/csv`, all that match as a file: safe to open in a spreadsheet, and the same contacts"
            " when it is imported."
        ),
        handler=_list,
        writes=False,
        long=True,
        key_use=KeyUse.NONE,
        query=ContactsQuery,
        answers={200: ContactsAnswer},
        file=StreamedFile(
            "text/csv",
            "contacts.csv",
            _csv,
            example=(
                "phone_number,name,external_id,attributes,smart_lists\r\n"
                "+15555550100,Dana Whitfield,crm-4417,,Follow up\r\n"
            ),
        ),
        errors=(SmartListNotFound,),
    ),
    Operation(
        name="create_contact",
        method="POST",
        path=_CONTACTS,
        scope=Scope.CONTACTS_WRITE,
        tag=_TAG,
        summary="Create a contact",
        handler=_create,
        answers={201: ContactAnswer},
        body=ContactBody,
        body_use=BodyUse.REQUIRED,
        rules=contact_rules,
        errors=(ContactExists,),
        example=_EXAMPLE,
    ),
    Operation(
        name="get_contact",
        method="GET",
        path=_CONTACT,
        scope=Scope.CONTACTS_READ,
        tag=_TAG,
        summary="Get a contact",
        handler=_get,
        writes=False,
        key_use=KeyUse.NONE,
        answers={200: ContactAnswer},
        errors=(ContactNotFound,),
    ),
    Operation(
        name="change_contact",
        method="PATCH",
        path=_CONTACT,
        scope=Scope.CONTACTS_WRITE,
        tag=_TAG,
        summary="Change a contact",
        description="Only the fields sent change.",
        handler=_change,
        answers={200: ContactAnswer},
        body=ContactChange,
        body_use=BodyUse.REQUIRED,
        rules=contact_rules,
        errors=(ContactNotFound, ContactExists),
        example={"name": "Dana Whitfield"},
    ),
    Operation(
        name="erase_contact",
        method="DELETE",
        path=_CONTACT,
        scope=Scope.CONTACTS_WRITE,
        tag=_TAG,
        summary="Erase a contact",
        description="Erases the person from contacts, lists, calls, notes and stored payloads.",
        handler=_erase,
        long=True,
        answers={200: ContactDeleted},
        errors=(ContactNotFound,),
    ),
    Operation(
        name="contact_history",
        method="GET",
        path=f"{_CONTACT}/history",
        scope=Scope.CONTACTS_READ,
        tag=_TAG,
        summary="A contact's calls, applied outcomes and list moves",
        handler=_history,
        writes=False,
        key_use=KeyUse.NONE,
        query=Page,
        answers={200: HistoryAnswer},
        errors=(ContactNotFound,),
    ),
)
