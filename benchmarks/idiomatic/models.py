"""ORM classes on Leadline's own tables. The annotations are for the type checker; the tables say what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.orm import DeclarativeBase

from leadline.store import tables

if TYPE_CHECKING:
    from sqlalchemy.orm import Mapped


class Base(DeclarativeBase):
    metadata = tables.metadata


class Workspace(Base):
    __table__ = tables.workspaces

    if TYPE_CHECKING:
        workspace_id: Mapped[str]
        organization_id: Mapped[str]
        name: Mapped[str]
        region: Mapped[str]
        outcomes_enabled: Mapped[int]
        require_disposition: Mapped[str]
        wrap_up_timeout_seconds: Mapped[int | None]
        wrap_up_timeout_outcome_id: Mapped[str | None]
        retention_days: Mapped[int]
        created_at: Mapped[int]
        updated_at: Mapped[int]
        deleted_at: Mapped[int | None]


class Token(Base):
    __table__ = tables.tokens

    if TYPE_CHECKING:
        workspace_id: Mapped[str]
        token_id: Mapped[str]
        token_hash: Mapped[str]
        token_prefix: Mapped[str]
        name: Mapped[str | None]
        scopes: Mapped[str]
        created_at: Mapped[int]
        expires_at: Mapped[int | None]
        last_used_at: Mapped[int | None]
        revoked_at: Mapped[int | None]


class IdempotencyKey(Base):
    __table__ = tables.idempotency_keys

    if TYPE_CHECKING:
        workspace_id: Mapped[str]
        idempotency_key: Mapped[str]
        fingerprint: Mapped[str]
        status: Mapped[int | None]
        body: Mapped[bytes | None]
        etag: Mapped[str | None]
        created_at: Mapped[int]
        kept_until: Mapped[int]


class SmartList(Base):
    __table__ = tables.smart_lists

    if TYPE_CHECKING:
        workspace_id: Mapped[str]
        smart_list_id: Mapped[str]
        smart_list_name: Mapped[str]
        name_key: Mapped[str]
        created_at: Mapped[int]
        updated_at: Mapped[int]


class Outcome(Base):
    __table__ = tables.outcomes

    if TYPE_CHECKING:
        workspace_id: Mapped[str]
        outcome_id: Mapped[str]
        outcome_name: Mapped[str]
        outcome_type: Mapped[str]
        display_order: Mapped[int]
        destination_type: Mapped[str]
        destination_id: Mapped[str | None]
        remove_all: Mapped[int | None]
        remove_list_ids: Mapped[str | None]
        webhook_url: Mapped[str | None]
        endpoint_id: Mapped[str | None]
        revision: Mapped[int]
        created_at: Mapped[int]
        updated_at: Mapped[int]


class Membership(Base):
    __table__ = tables.memberships

    if TYPE_CHECKING:
        workspace_id: Mapped[str]
        smart_list_id: Mapped[str]
        contact_id: Mapped[str]
        since: Mapped[int]
        source: Mapped[str]
        applied_id: Mapped[str | None]


class ListMove(Base):
    __table__ = tables.list_moves

    if TYPE_CHECKING:
        workspace_id: Mapped[str]
        move_id: Mapped[str]
        contact_id: Mapped[str]
        smart_list_id: Mapped[str]
        smart_list_name: Mapped[str]
        direction: Mapped[str]
        source: Mapped[str]
        applied_id: Mapped[str | None]
        moved_at: Mapped[int]


class Call(Base):
    __table__ = tables.calls

    if TYPE_CHECKING:
        workspace_id: Mapped[str]
        call_id: Mapped[str]
        state: Mapped[str]
        direction: Mapped[str]
        phone_number: Mapped[str | None]
        contact_id: Mapped[str | None]
        agent_id: Mapped[str | None]
        external_id: Mapped[str | None]
        line_result: Mapped[str | None]
        started_at: Mapped[int]
        answered_at: Mapped[int | None]
        ended_at: Mapped[int | None]
        wrap_up_since: Mapped[int | None]
        closed_at: Mapped[int | None]
        created_at: Mapped[int]


class AppliedOutcome(Base):
    __table__ = tables.applied_outcomes

    if TYPE_CHECKING:
        workspace_id: Mapped[str]
        applied_id: Mapped[str]
        call_id: Mapped[str]
        contact_id: Mapped[str | None]
        outcome_id: Mapped[str]
        outcome_name: Mapped[str]
        outcome_type: Mapped[str]
        agent_id: Mapped[str | None]
        note: Mapped[str | None]
        destination: Mapped[str]
        lists_added: Mapped[str]
        lists_removed: Mapped[str]
        error_message: Mapped[str]
        delivery_id: Mapped[str | None]
        applied_at: Mapped[int]


class Delivery(Base):
    __table__ = tables.deliveries

    if TYPE_CHECKING:
        workspace_id: Mapped[str]
        delivery_id: Mapped[str]
        endpoint_id: Mapped[str]
        applied_id: Mapped[str | None]
        outcome_id: Mapped[str | None]
        call_id: Mapped[str | None]
        contact_id: Mapped[str | None]
        webhook_url: Mapped[str]
        payload: Mapped[str | None]
        state: Mapped[str]
        due_at: Mapped[int | None]
        attempt_count: Mapped[int]
        schedule_step: Mapped[int]
        lease_id: Mapped[str | None]
        last_error: Mapped[str | None]
        last_status: Mapped[int | None]
        created_at: Mapped[int]
        finished_at: Mapped[int | None]


class Event(Base):
    __table__ = tables.events

    if TYPE_CHECKING:
        workspace_id: Mapped[str]
        commit_order: Mapped[int]
        event_id: Mapped[str]
        type: Mapped[str]
        data: Mapped[str]
        contact_id: Mapped[str | None]
        at: Mapped[int]
