"""What a process without an API serves: how it is, and its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadline.domain.errors import LeadlineError, MethodNotAllowed, NotFound
from leadline.web.edge import send_problem
from leadline.web.problems import refusal_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

    from leadline.web.app import Page

STATUS_PATHS = ("/healthz", "/readyz", "/metrics")


class StatusApp:
    """ASGI application of `STATUS_PATHS` alone, for a worker; refusals are those of the API."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = {path: pages[path] for path in STATUS_PATHS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            await self._page(scope)(scope, receive, send)
        except LeadlineError as refused:
            scope["state"]["error"] = refused.code
            status, body, headers = refusal_response(refused, scope["state"]["request_id"])
            await send_problem(send, status, body, headers=headers, closing=False)

    def _page(self, scope: Scope) -> Page:
        page = self._pages.get(scope["path"])
        if page is None:
            raise NotFound("There is no such path.")
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(("GET", "HEAD"))
        return page
