"""Who the audit log is to name for what a page does."""

from __future__ import annotations

from leadline.operations.audit import Actor, ActorKind
from leadline.web.console.table import Visit


def actor_of(visit: Visit) -> Actor:
    """The user who is signed in."""
    user = visit.signed_in
    if user is None:
        return Actor(ActorKind.SYSTEM, name="Somebody who is not signed in", request_id=visit.request_id)
    return Actor(ActorKind.USER, user.user_id, user.name, visit.request_id)
