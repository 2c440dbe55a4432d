"""Smart Lists and who is on them (contract § 6)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from leadline.wire.common import Answer, Body, Page, Query, Time, Uuid


class SmartListBody(Body, frozen=True, kw_only=True):
    smart_list_name: Annotated[str, Meta(description="Unique in the workspace, without regard to case.")]


class SmartListChange(Body, frozen=True, kw_only=True):
    smart_list_name: str | None = None


class SmartListDeletion(Query, frozen=True, kw_only=True):
    force: Annotated[bool, Meta(description="Delete it also when outcomes point to it.")] | None = None


class SmartList(Struct, frozen=True, kw_only=True):
    smart_list_id: Uuid
    smart_list_name: str
    contact_count: int
    created_at: Time
    updated_at: Time


class Member(Struct, frozen=True, kw_only=True):
    """One contact on one list, since when, and by which applied outcome or request it came."""

    contact_id: Uuid
    phone_number: str
    name: str | None
    since: Time
    source: Literal["applied", "request"]
    applied_id: Uuid | None


class SmartListAnswer(Answer, frozen=True, kw_only=True):
    smart_list: SmartList


class SmartListsAnswer(Answer, frozen=True, kw_only=True):
    smart_lists: list[SmartList]
    next_cursor: str | None


class SmartListDeleted(Answer, frozen=True, kw_only=True):
    smart_list_id: Uuid


class MembersAnswer(Answer, frozen=True, kw_only=True):
    contacts: list[Member]
    next_cursor: str | None


class Membership(Struct, frozen=True, kw_only=True):
    smart_list_id: Uuid
    contact_id: Uuid
    since: Time
    source: Literal["applied", "request"]
    applied_id: Uuid | None


class MembershipAnswer(Answer, frozen=True, kw_only=True):
    membership: Membership


class MembershipDeleted(Answer, frozen=True, kw_only=True):
    smart_list_id: Uuid
    contact_id: Uuid


SmartListsQuery = Page
MembersQuery = Page
