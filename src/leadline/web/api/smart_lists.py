"""Smart Lists and who is on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leadline.domain.access import Principal, Scope
from leadline.domain.errors import (
    ContactNotFound,
    LimitReached,
    Problem,
    SmartListExists,
    SmartListInUse,
    SmartListNotFound,
)
from leadline.domain.limits import SMART_LIST_NAME_CHARACTERS_MAX
from leadline.domain.paging import page_request
from leadline.domain.text import name_problem
from leadline.operations import smart_lists as operations
from leadline.store.database import Tx
from leadline.web.table import BodyUse, Context, KeyUse, Operation, Reply, Request
from leadline.wire.common import Page
from leadline.wire.smart_lists import (
    MembersAnswer,
    MembershipAnswer,
    MembershipDeleted,
    SmartListAnswer,
    SmartListBody,
    SmartListChange,
    SmartListDeleted,
    SmartListDeletion,
    SmartListsAnswer,
)

_TAG = "Smart Lists"
_LISTS = "/phone-system/smart-lists"
_LIST = "/phone-system/smart-lists/{smart_list_id}"
_MEMBER = "/phone-system/smart-lists/{smart_list_id}/contacts/{contact_id}"


def smart_list_rules(fields: Mapping[str, Any], _principal: Principal, _context: Context) -> list[Problem]:
    name = fields.get("smart_list_name")
    wrong = None if name is None else name_problem(name, SMART_LIST_NAME_CHARACTERS_MAX)
    return [Problem("smart_list_name", wrong)] if wrong else []


async def _list(tx: Tx, request: Request) -> Reply:
    page = page_request(request.query.limit, request.query.cursor)
    return Reply(await operations.list_smart_lists(tx, request.workspace_id, page))


async def _create(tx: Tx, request: Request) -> Reply:
    name = request.body.smart_list_name.strip()
    return Reply(await operations.create_smart_list(tx, request.workspace_id, name))


async def _get(tx: Tx, request: Request) -> Reply:
    return Reply(await operations.get_smart_list(tx, request.workspace_id, request.path["smart_list_id"]))


async def _rename(tx: Tx, request: Request) -> Reply:
    name = request.body.smart_list_name
    return Reply(
        await operations.rename_smart_list(
            tx, request.workspace_id, request.path["smart_list_id"], None if name is None else name.strip()
        )
    )


async def _delete(tx: Tx, request: Request) -> Reply:
    return Reply(
        await operations.delete_smart_list(
            tx, request.workspace_id, request.path["smart_list_id"], force=bool(request.query.force)
        )
    )


async def _members(tx: Tx, request: Request) -> Reply:
    page = page_request(request.query.limit, request.query.cursor)
    return Reply(await operations.list_members(tx, request.workspace_id, request.path["smart_list_id"], page))


async def _join(tx: Tx, request: Request) -> Reply:
    path = request.path
    return Reply(
        await operations.join_smart_list(tx, request.workspace_id, path["smart_list_id"], path["contact_id"])
    )


async def _leave(tx: Tx, request: Request) -> Reply:
    path = request.path
    return Reply(
        await operations.leave_smart_list(tx, request.workspace_id, path["smart_list_id"], path["contact_id"])
    )


OPERATIONS = (
    Operation(
        name="list_smart_lists",
        method="GET",
        path=_LISTS,
        scope=Scope.LISTS_READ,
        tag=_TAG,
        summary="List Smart Lists",
        handler=_list,
        writes=False,
        key_use=KeyUse.NONE,
        query=Page,
        answers={200: SmartListsAnswer},
    ),
    Operation(
        name="create_smart_list",
        method="POST",
        path=_LISTS,
        scope=Scope.LISTS_WRITE,
        tag=_TAG,
        summary="Create a Smart List",
        handler=_create,
        answers={201: SmartListAnswer},
        body=SmartListBody,
        body_use=BodyUse.REQUIRED,
        rules=smart_list_rules,
        errors=(SmartListExists, LimitReached),
        example={"smart_list_name": "Follow up"},
    ),
    Operation(
        name="get_smart_list",
        method="GET",
        path=_LIST,
        scope=Scope.LISTS_READ,
        tag=_TAG,
        summary="Get a Smart List",
        handler=_get,
        writes=False,
        key_use=KeyUse.NONE,
        answers={200: SmartListAnswer},
        errors=(SmartListNotFound,),
    ),
    Operation(
        name="rename_smart_list",
        method="PATCH",
        path=_LIST,
        scope=Scope.LISTS_WRITE,
        tag=_TAG,
        summary="Rename a Smart List",
        handler=_rename,
        answers={200: SmartListAnswer},
        body=SmartListChange,
        body_use=BodyUse.REQUIRED,
        rules=smart_list_rules,
        errors=(SmartListNotFound, SmartListExists),
        example={"smart_list_name": "Warm leads"},
    ),
    Operation(
        name="delete_smart_list",
        method="DELETE",
        path=_LIST,
        scope=Scope.LISTS_WRITE,
        tag=_TAG,
        summary="Delete a Smart List",
        description="One that outcomes point to is deleted only with `force`.",
        handler=_delete,
        query=SmartListDeletion,
        long=True,
        answers={200: SmartListDeleted},
        errors=(SmartListNotFound, SmartListInUse),
    ),
    Operation(
        name="list_members",
        method="GET",
        path=f"{_LIST}/contacts",
        scope=Scope.LISTS_READ,
        tag=_TAG,
        summary="List who is on a Smart List",
        handler=_members,
        writes=False,
        key_use=KeyUse.NONE,
        query=Page,
        answers={200: MembersAnswer},
        errors=(SmartListNotFound,),
    ),
    Operation(
        name="join_smart_list",
        method="PUT",
        path=_MEMBER,
        scope=Scope.LISTS_WRITE,
        tag=_TAG,
        summary="Put a contact on a Smart List",
        handler=_join,
        answers={200: MembershipAnswer},
        errors=(SmartListNotFound, ContactNotFound),
    ),
    Operation(
        name="leave_smart_list",
        method="DELETE",
        path=_MEMBER,
        scope=Scope.LISTS_WRITE,
        tag=_TAG,
        summary="Take a contact off a Smart List",
        handler=_leave,
        answers={200: MembershipDeleted},
        errors=(SmartListNotFound, ContactNotFound),
    ),
)
