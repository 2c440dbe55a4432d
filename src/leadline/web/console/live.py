"""The console's event stream: the workspace's events for the pages of one session."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from leadline.domain.access import Permission
from leadline.operations.sessions import SignedIn, require_session
from leadline.store.database import Database
from leadline.store.events import EventRow
from leadline.web.streams import EventStreams, Subscription

if TYPE_CHECKING:
    from starlette.types import Send

# What everybody may know: that the outcomes changed, and that a delivery (by its id) came to an end.
_FOR_ALL = frozenset({"outcomes.changed", "delivery.succeeded", "delivery.failed"})


class LiveStream:
    """Streams for the console, on the API's own."""

    def __init__(self, database: Database, streams: EventStreams) -> None:
        self._database = database
        self._streams = streams

    async def serve(
        self, user: SignedIn, session_text: str, last: bytes | None, since_ms: int | None, send: Send
    ) -> None:
        """One stream, until the page goes, the session ends or the server does.

        `since_ms` is when the page was made (Unix ms): what happened between it and its stream is told, too.
        """
        # As he is at each look: a stream outlives the role that it was opened with.
        known = user

        async def still_allowed() -> None:
            nonlocal known
            known = await self._database.read(lambda tx: require_session(tx, session_text))

        await self._streams.follow(
            Subscription(
                workspace_id=user.workspace_id,
                last_event_id=None if last is None else last.decode("latin-1").strip() or None,
                still_allowed=still_allowed,
                sees=lambda row: may_see(known, row),
                since_ms=since_ms,
            ),
            send,
        )


def may_see(user: SignedIn, row: EventRow) -> bool:
    """An agent hears of his own calls alone."""
    if user.may(Permission.CALLS) or row.type in _FOR_ALL:
        return True
    return user.agent_id is not None and json.loads(row.data).get("agent_id") == user.agent_id
