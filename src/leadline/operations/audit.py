"""The audit log: every change of a workspace's configuration, written in the transaction that changes it.

Who acts is said once, around the operation, by whoever calls it (`acting`): the API with its token, the console
with its user, the command line with its own. What happens by itself is the system's.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from leadline.domain.limits import AUDIT_JSON_CHARACTERS_MAX
from leadline.domain.paging import PageRequest, Position, cut_page
from leadline.ids import new_id
from leadline.store import audit as store
from leadline.store.audit import AuditRow
from leadline.store.database import Tx

# Never written down, whatever a struct or a row may hold.
_SECRET_FIELDS = frozenset({"secret", "token", "token_hash", "password_hash", "secret_hash", "workspace_id"})


class ActorKind(StrEnum):
    USER = "user"
    TOKEN = "token"  # noqa: S105 - a kind of actor
    COMMAND_LINE = "command_line"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is behind a change."""

    kind: ActorKind
    id: str | None = None
    name: str = ""
    request_id: str | None = None


SYSTEM = Actor(ActorKind.SYSTEM, name="Leadline")
_actor: ContextVar[Actor] = ContextVar("leadline_actor", default=SYSTEM)


@contextlib.contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Within it, changes are this actor's. Goes around the operation inside its transaction."""
    before = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(before)


async def record(
    tx: Tx,
    workspace_id: str,
    action: str,
    thing_id: str | None,
    *,
    before: Any = None,
    after: Any = None,
) -> None:
    """Write an entry. `action` is `thing.verb`; before and after are structs or mappings without secrets."""
    actor = _actor.get()
    row = AuditRow(
        workspace_id=workspace_id,
        entry_id=new_id(),
        at=tx.now_ms,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name,
        request_id=actor.request_id,
        action=action,
        thing=action.partition(".")[0],
        thing_id=thing_id,
        before=_as_json(before),
        after=_as_json(after),
    )
    await store.insert_entry(tx, row)


async def forget(tx: Tx, workspace_id: str, thing: str, thing_id: str) -> None:
    """Take away what entries say of an erased thing; that there were changes stays."""
    await store.forget(tx, workspace_id, thing, thing_id)


async def list_entries(
    tx: Tx, workspace_id: str, page: PageRequest, filters: Mapping[str, Any]
) -> tuple[list[AuditRow], str | None]:
    """A page, newest first, and the cursor of the next."""
    rows = await store.page_of_entries(tx, workspace_id, page, filters)
    return cut_page(rows, page, lambda row: Position(row.at, row.entry_id))


def _as_json(value: Any) -> str | None:
    if value is None:
        return None
    plain = msgspec.to_builtins(value)
    kept = {name: each for name, each in plain.items() if name not in _SECRET_FIELDS}
    text = json.dumps(kept, ensure_ascii=False, sort_keys=True)
    if len(text) > AUDIT_JSON_CHARACTERS_MAX:
        text = json.dumps({"too_long": f"{len(text)} characters"})
    return text
