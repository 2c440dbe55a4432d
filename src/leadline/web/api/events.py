"""Events of the workspace."""

from __future__ import annotations

from leadline.domain.access import Scope
from leadline.operations.events import list_events
from leadline.store.database import Tx
from leadline.web.table import KeyUse, Operation, Reply, Request, optional
from leadline.wire.events import EventsAnswer, EventsQuery


async def _list(tx: Tx, request: Request) -> Reply:
    query = request.query
    return Reply(await list_events(tx, request.workspace_id, optional(query.after), query.limit))


OPERATIONS = (
    Operation(
        name="list_events",
        method="GET",
        path="/phone-system/events",
        scope=Scope.CALLS_READ,
        tag="Events",
        summary="Events, as a stream or as JSON",
        description=(
            "Server-sent events that start now, or after `Last-Event-ID` without a gap. With"
            " `Accept: application/json` one page, oldest first: after `after`, or from the oldest kept."
        ),
        handler=_list,
        writes=False,
        key_use=KeyUse.NONE,
        query=EventsQuery,
        answers={200: EventsAnswer},
        streams=True,
    ),
)
