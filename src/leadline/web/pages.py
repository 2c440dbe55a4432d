"""What needs no token: health, metrics, the API's description (contract § 10)."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from leadline.clock import Clock
from leadline.domain.errors import LeadlineError, Unauthorized
from leadline.store.database import Database
from leadline.store.deliveries import backlogs
from leadline.web.app import Page
from leadline.web.metrics import Metrics

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    b" form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def policy_with(*, styles: Sequence[str], scripts: Sequence[str]) -> bytes:
    """The policy of pages that hold these style sheets and scripts within, named by their hashes."""
    policy = CSP
    for directive, sources in ((b"style-src 'self'", styles), (b"script-src 'self'", scripts)):
        policy = policy.replace(directive, b" ".join([directive, *(each.encode() for each in sources)]))
    return policy


_STATIC_TYPES = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8"}


class Pages:
    """The pages of one server, by path. `health` answers what is wrong, None when nothing is."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        metrics_token: str,
        health: Callable[[], Awaitable[str | None]],
        document: Callable[[], dict[str, Any]],
        docs_page: Callable[[], bytes],
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._metrics_token = metrics_token.encode()
        self._health = health
        self._document = document
        self._docs_page = docs_page

    def by_path(self) -> dict[str, Page]:
        return {
            "/healthz": self.healthz,
            "/readyz": self.readyz,
            "/metrics": self.metrics,
            "/openapi.json": self.openapi,
            "/docs": self.docs,
            **_static_pages(),
        }

    async def healthz(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """The process is there."""
        await send_page(send, 200, b'{"ok":true}', b"application/json")

    async def readyz(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """The database can be written and is migrated, and deliveries go out."""
        wrong = await self._health()
        body = {"ok": wrong is None, "problem": wrong}
        await send_page(send, 200 if wrong is None else 503, msgspec.json.encode(body), b"application/json")

    async def metrics(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Prometheus' text format; with the token when one is set."""
        if self._metrics_token and not self._may_see_metrics(scope):
            raise Unauthorized("Metrics need the header Authorization: Bearer <metrics token>.")
        try:
            self._metrics.backlogs(await self._database.read(backlogs, long=True), self._clock.now_ms())
        except LeadlineError:
            self._metrics.backlogs([], 0)  # the rest is known all the same
        await send_page(send, 200, self._metrics.text(), b"text/plain; version=0.0.4; charset=utf-8")

    def _may_see_metrics(self, scope: Scope) -> bool:
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(sent) == 1 and hmac.compare_digest(sent[0], b"Bearer " + self._metrics_token)

    async def openapi(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send_page(send, 200, msgspec.json.encode(self._document()), b"application/json")

    async def docs(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send_page(send, 200, self._docs_page(), b"text/html; charset=utf-8")


def _static_pages() -> dict[str, Page]:
    """Our own style sheets and scripts, read once."""
    found: dict[str, Page] = {}
    folder = files("leadline.web").joinpath("static")
    for file in folder.iterdir() if folder.is_dir() else ():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in _STATIC_TYPES:
            found[f"/static/{file.name}"] = _static_page(file.read_bytes(), _STATIC_TYPES[suffix])
    return found


def _static_page(body: bytes, media_type: bytes) -> Page:
    async def page(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send_page(send, 200, body, media_type)

    return page


async def send_page(send: Send, status: int, body: bytes, media_type: bytes) -> None:
    """One whole answer, with the headers that every page has."""
    headers = [
        (b"content-type", media_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", CSP),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
