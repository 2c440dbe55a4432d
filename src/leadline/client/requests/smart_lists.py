"""Smart Lists and who is on them."""

from __future__ import annotations

from leadline.client.models import Member, Membership, MembershipDeleted, Page, SmartList
from leadline.client.requests.described import (
    Id,
    PageRequest,
    Reply,
    Request,
    decoded,
    given,
    parameters,
    path,
)
from leadline.wire.smart_lists import (
    MembersAnswer,
    MembershipAnswer,
    SmartListAnswer,
    SmartListDeleted,
    SmartListsAnswer,
)


def list_smart_lists(*, limit: int | None = None, cursor: str | None = None) -> PageRequest[SmartList]:
    """Smart Lists, newest first."""
    return PageRequest(
        operation="list_smart_lists",
        method="GET",
        path=path("/smart-lists"),
        read=_lists,
        query=parameters(limit=limit, cursor=cursor),
    )


def create_smart_list(*, smart_list_name: str, idempotency_key: str | None = None) -> Request[SmartList]:
    """Make a Smart List. Raises SmartListExists with the `smart_list_id` that has this name."""
    return Request(
        operation="create_smart_list",
        method="POST",
        path=path("/smart-lists"),
        read=_list,
        body={"smart_list_name": smart_list_name},
        idempotency_key=idempotency_key,
    )


def get_smart_list(smart_list_id: Id) -> Request[SmartList]:
    """One Smart List, with how many contacts are on it."""
    return Request(
        operation="get_smart_list", method="GET", path=path("/smart-lists/{}", smart_list_id), read=_list
    )


def rename_smart_list(
    smart_list_id: Id, *, smart_list_name: str | None = None, idempotency_key: str | None = None
) -> Request[SmartList]:
    """Give a Smart List another name."""
    return Request(
        operation="rename_smart_list",
        method="PATCH",
        path=path("/smart-lists/{}", smart_list_id),
        read=_list,
        body=given(smart_list_name=smart_list_name),
        idempotency_key=idempotency_key,
    )


def delete_smart_list(
    smart_list_id: Id, *, force: bool | None = None, idempotency_key: str | None = None
) -> Request[str]:
    """Delete a Smart List; answers its id. One that outcomes point to is deleted only with `force`."""
    return Request(
        operation="delete_smart_list",
        method="DELETE",
        path=path("/smart-lists/{}", smart_list_id),
        read=lambda reply: decoded(reply, SmartListDeleted).smart_list_id,
        query=parameters(force=force),
        idempotency_key=idempotency_key,
    )


def list_members(
    smart_list_id: Id, *, limit: int | None = None, cursor: str | None = None
) -> PageRequest[Member]:
    """Who is on a Smart List, and since when."""
    return PageRequest(
        operation="list_members",
        method="GET",
        path=path("/smart-lists/{}/contacts", smart_list_id),
        read=_members,
        query=parameters(limit=limit, cursor=cursor),
    )


def join_smart_list(
    smart_list_id: Id, contact_id: Id, *, idempotency_key: str | None = None
) -> Request[Membership]:
    """Put a contact on a Smart List. Once is enough: again changes nothing."""
    return Request(
        operation="join_smart_list",
        method="PUT",
        path=path("/smart-lists/{}/contacts/{}", smart_list_id, contact_id),
        read=lambda reply: decoded(reply, MembershipAnswer).membership,
        idempotency_key=idempotency_key,
    )


def leave_smart_list(
    smart_list_id: Id, contact_id: Id, *, idempotency_key: str | None = None
) -> Request[MembershipDeleted]:
    """Take a contact off a Smart List, also when it is not on it."""
    return Request(
        operation="leave_smart_list",
        method="DELETE",
        path=path("/smart-lists/{}/contacts/{}", smart_list_id, contact_id),
        read=lambda reply: decoded(reply, MembershipDeleted),
        idempotency_key=idempotency_key,
    )


def _list(reply: Reply) -> SmartList:
    return decoded(reply, SmartListAnswer).smart_list


def _lists(reply: Reply) -> Page[SmartList]:
    answer = decoded(reply, SmartListsAnswer)
    return Page(tuple(answer.smart_lists), answer.next_cursor)


def _members(reply: Reply) -> Page[Member]:
    answer = decoded(reply, MembersAnswer)
    return Page(tuple(answer.contacts), answer.next_cursor)
