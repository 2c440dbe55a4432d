"""What is told of each request once it is over: one count, one duration, one line in the log.

A line is written for every request when LEADLINE_LOG_REQUESTS is on; without it, only for those that ended with
5xx or took long. Neither path nor query is told as it was sent: what they name is told by the operation's own words.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from leadline.ids import parse_id

if TYPE_CHECKING:
    from starlette.types import Scope

    from leadline.web.app import Call
    from leadline.web.metrics import Metrics

log = logging.getLogger("leadline.requests")

SLOW_SECONDS = 2.0
"""Longer than any wait that is part of the contract (a key in use is waited for 1 s)."""
PATH_CHARACTERS_MAX = 200

_WORD = re.compile(r"[a-z][a-z._-]{0,40}[0-9]{0,2}", re.ASCII)


class RequestAccounts:
    """Counts requests and writes their lines. `scope["state"]["call"]` says what the API took a request for."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """One request is over: with this status (499 when nobody was left to answer)."""
        call: Call | None = scope["state"].get("call")
        name = "other" if call is None else call.operation.name
        self._metrics.request(name, scope["method"], status, seconds)
        streams = call is not None and call.operation.streams
        level = _level(status, 0.0 if streams else seconds)
        if log.isEnabledFor(level):
            _write(level, scope, call, status, seconds)


def _level(status: int, seconds: float) -> int:
    if status == 503:
        return logging.WARNING  # nothing is broken: busy, or going
    if status >= 500:
        return logging.ERROR
    return logging.WARNING if seconds >= SLOW_SECONDS else logging.INFO


def _write(level: int, scope: Scope, call: Call | None, status: int, seconds: float) -> None:
    state: dict[str, Any] = scope["state"]
    what = readable_path(scope["path"]) if call is None else call.operation.name
    client = scope.get("client")
    fields = {
        "request_id": state.get("request_id"),
        "method": scope["method"],
        "status": status,
        "error": state.get("error"),
        "duration_ms": round(seconds * 1000, 2),
        "caller_address": client[0] if client else None,
    }
    if call is not None:
        fields |= {"operation": call.operation.name, "workspace_id": call.principal.workspace_id}
        fields |= {"token_id": call.principal.token_id} | call.parameters
    log.log(level, "%s %s %d", scope["method"], what, status, extra=fields)


def readable_path(path: str) -> str:
    """A path that is no operation's, with ids and plain words only: the rest may be anybody's."""
    segments = [each if _may_be_told(each) else "[hidden]" for each in path.split("/")[:10]]
    return "/".join(segments)[:PATH_CHARACTERS_MAX]


def _may_be_told(segment: str) -> bool:
    return not segment or _WORD.fullmatch(segment) is not None or parse_id(segment) is not None
