"""Imports of contacts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from leadline.domain.access import Principal, Scope, allows
from leadline.domain.errors import Forbidden, ImportNotFound, LimitReached, Problem, SmartListNotFound
from leadline.domain.importing import AttributeType, Column, ColumnField
from leadline.domain.limits import IMPORT_PART_BYTES_MAX, NAME_CHARACTERS_MAX
from leadline.domain.paging import page_request
from leadline.domain.text import name_problem
from leadline.operations import contact_imports as operations
from leadline.operations.contact_imports import ReadAs, StartRequest
from leadline.store.database import Tx
from leadline.web.table import BodyUse, Context, KeyUse, Operation, Reply, Request, typed
from leadline.wire.calls import Nothing
from leadline.wire.common import Page
from leadline.wire.imports import (
    ImportAnswer,
    ImportBody,
    ImportPartAnswer,
    ImportPartBody,
    ImportsAnswer,
    ImportStart,
    PreviewAnswer,
    PreviewQuery,
    RowProblemsAnswer,
    RowProblemsQuery,
)

_TAG = "Contact imports"
_IMPORTS = "/phone-system/contact-imports"
_IMPORT = "/phone-system/contact-imports/{import_id}"


def creation_rules(fields: Mapping[str, Any], _principal: Principal, _context: Context) -> list[Problem]:
    name = fields.get("file_name")
    wrong = None if name is None else name_problem(name, NAME_CHARACTERS_MAX)
    return [Problem("file_name", wrong)] if wrong else []


def part_rules(fields: Mapping[str, Any], _principal: Principal, _context: Context) -> list[Problem]:
    data = fields.get("data")
    if data is None:
        return []
    content = _content(data)
    if content is None:
        return [Problem("data", "is not base64")]
    fits = 1 <= len(content) <= IMPORT_PART_BYTES_MAX
    return [] if fits else [Problem("data", f"must be 1-{IMPORT_PART_BYTES_MAX} bytes")]


def part_content(data: str) -> bytes:
    """The bytes of a part that keeps `part_rules`."""
    content = _content(data)
    assert content is not None
    return content


def _content(data: str) -> bytes | None:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def columns_of(body: ImportStart) -> list[Column] | None:
    """The mapping that was sent; None when the file's own is to be taken."""
    if body.columns is None:
        return None
    return [
        Column(each.column, ColumnField(each.field), each.key, AttributeType(each.type or "text"))
        for each in body.columns
    ]


def start_request(body: ImportStart) -> StartRequest:
    return StartRequest(
        read_as=ReadAs(body.encoding, body.delimiter, body.has_header),
        columns=columns_of(body),
        duplicates=body.duplicates or "update",
        smart_list_ids=[str(each) for each in body.smart_list_ids or ()],
        region=body.region,
        dry_run=bool(body.dry_run),
    )


async def _create(tx: Tx, request: Request) -> Reply:
    body = typed(request, ImportBody)
    return Reply(await operations.create_import(tx, request.workspace_id, body.file_name))


async def _put_part(tx: Tx, request: Request) -> Reply:
    body = typed(request, ImportPartBody)
    content = part_content(body.data)
    import_id = request.path["import_id"]
    return Reply(await operations.put_part(tx, request.workspace_id, import_id, body.number, content))


async def _preview(tx: Tx, request: Request) -> Reply:
    query = request.query
    read_as = ReadAs(query.encoding, query.delimiter, query.has_header)
    return Reply(
        await operations.preview_import(tx, request.workspace_id, request.path["import_id"], read_as)
    )


async def _start(tx: Tx, request: Request) -> Reply:
    wanted = start_request(typed(request, ImportStart))
    answer = await operations.start_import(tx, request.workspace_id, request.path["import_id"], wanted)
    options = answer.contact_import.options
    assert options is not None  # it was started
    joins = bool(options.smart_list_ids) or any(each.field == "smart_lists" for each in options.columns)
    # Known only now that the columns are: raised here, it undoes the start.
    if joins and not allows(request.principal.scopes, Scope.LISTS_WRITE):
        raise Forbidden(f"Putting contacts on Smart Lists needs the scope {Scope.LISTS_WRITE}.")
    return Reply(answer)


async def _get(tx: Tx, request: Request) -> Reply:
    return Reply(await operations.get_import(tx, request.workspace_id, request.path["import_id"]))


async def _list(tx: Tx, request: Request) -> Reply:
    page = page_request(request.query.limit, request.query.cursor)
    return Reply(await operations.list_imports(tx, request.workspace_id, page))


async def _cancel(tx: Tx, request: Request) -> Reply:
    return Reply(await operations.cancel_import(tx, request.workspace_id, request.path["import_id"]))


async def _problems(tx: Tx, request: Request) -> Reply:
    query = request.query
    return Reply(
        await operations.list_problems(
            tx, request.workspace_id, request.path["import_id"], limit=query.limit, cursor=query.cursor
        )
    )


OPERATIONS = (
    Operation(
        name="list_contact_imports",
        method="GET",
        path=_IMPORTS,
        scope=Scope.CONTACTS_READ,
        tag=_TAG,
        summary="List imports of contacts",
        description="Imports are kept for 7 days.",
        handler=_list,
        writes=False,
        key_use=KeyUse.NONE,
        query=Page,
        answers={200: ImportsAnswer},
    ),
    Operation(
        name="create_contact_import",
        method="POST",
        path=_IMPORTS,
        scope=Scope.CONTACTS_WRITE,
        tag=_TAG,
        summary="Begin an import of contacts",
        description="Then send the file in parts, look at its preview, and start it.",
        handler=_create,
        answers={201: ImportAnswer},
        body=ImportBody,
        body_use=BodyUse.OPTIONAL,
        rules=creation_rules,
        errors=(LimitReached,),
        example={"file_name": "leads.csv"},
    ),
    Operation(
        name="get_contact_import",
        method="GET",
        path=_IMPORT,
        scope=Scope.CONTACTS_READ,
        tag=_TAG,
        summary="How far an import is",
        handler=_get,
        writes=False,
        key_use=KeyUse.NONE,
        answers={200: ImportAnswer},
        errors=(ImportNotFound,),
    ),
    Operation(
        name="put_contact_import_part",
        method="PUT",
        path=f"{_IMPORT}/parts",
        scope=Scope.CONTACTS_WRITE,
        tag=_TAG,
        summary="Send a part of the file",
        description="In any order, and again after a failure: a number holds what was sent last.",
        handler=_put_part,
        long=True,
        answers={200: ImportPartAnswer},
        body=ImportPartBody,
        body_use=BodyUse.REQUIRED,
        rules=part_rules,
        errors=(ImportNotFound, LimitReached),
        example={"number": 1, "data": "cGhvbmVfbnVtYmVyLG5hbWUNCisxNTU1NTU1MDEwMCxEYW5hIFdoaXRmaWVsZA0K"},
    ),
    Operation(
        name="preview_contact_import",
        method="GET",
        path=f"{_IMPORT}/preview",
        scope=Scope.CONTACTS_READ,
        tag=_TAG,
        summary="How the file begins, and what its columns seem to mean",
        handler=_preview,
        writes=False,
        long=True,
        key_use=KeyUse.NONE,
        query=PreviewQuery,
        answers={200: PreviewAnswer},
        errors=(ImportNotFound,),
    ),
    Operation(
        name="start_contact_import",
        method="POST",
        path=f"{_IMPORT}/start",
        scope=Scope.CONTACTS_WRITE,
        tag=_TAG,
        summary="Import the file, or try it in a dry run",
        description=(
            "A stored job: it survives a restart and can be canceled. After a dry run it can be started again."
            " Rows with a problem are passed over and told. Putting contacts on Smart Lists needs `lists:write` too."
        ),
        handler=_start,
        long=True,
        answers={202: ImportAnswer},
        body=ImportStart,
        body_use=BodyUse.OPTIONAL,
        errors=(ImportNotFound, SmartListNotFound),
        example={
            "dry_run": True,
            "columns": [
                {"column": 0, "field": "phone_number"},
                {"column": 1, "field": "name"},
                {"column": 2, "field": "attribute", "key": "seats", "type": "number"},
            ],
        },
    ),
    Operation(
        name="cancel_contact_import",
        method="POST",
        path=f"{_IMPORT}/cancel",
        scope=Scope.CONTACTS_WRITE,
        tag=_TAG,
        summary="Stop an import",
        description="What it has imported stays.",
        handler=_cancel,
        answers={200: ImportAnswer},
        body=Nothing,
        body_use=BodyUse.OPTIONAL,
        errors=(ImportNotFound,),
    ),
    Operation(
        name="list_contact_import_problems",
        method="GET",
        path=f"{_IMPORT}/problems",
        scope=Scope.CONTACTS_READ,
        tag=_TAG,
        summary="The rows that were passed over",
        description="With what is wrong with each and what it held, in the order of the file; the first 1,000.",
        handler=_problems,
        writes=False,
        key_use=KeyUse.NONE,
        query=RowProblemsQuery,
        answers={200: RowProblemsAnswer},
        errors=(ImportNotFound,),
    ),
)
