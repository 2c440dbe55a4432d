"""Settings → database → runtime → web application and worker. The only place that constructs things."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from leadline import __version__
from leadline.background import Background
from leadline.clock import Clock
from leadline.domain.access import Scope, parse_scopes
from leadline.domain.addresses import AddressPolicy
from leadline.domain.errors import LeadlineError, Unavailable
from leadline.domain.outcomes import UrlRules
from leadline.domain.schedule import DEFAULT_WAITS_SECONDS, parse_waits
from leadline.operations.delivering import end_leases
from leadline.operations.record_attempts import Attempted
from leadline.operations.workspaces import create_token, create_workspace
from leadline.settings import InvalidSetting, Settings
from leadline.store.database import Database, Tx
from leadline.store.engines import Engine
from leadline.store.migrating import engine_of, migrate, sqlite_path
from leadline.store.vault import Vault
from leadline.supervisor import Supervisor
from leadline.tracing import Tracing, start_tracing

if TYPE_CHECKING:
    from leadline.delivery.sender import Sender
    from leadline.delivery.worker import Observer, Worker
    from leadline.web.auth import Authenticator
    from leadline.web.console.app import Console
    from leadline.web.metrics import Metrics
    from leadline.web.pages import Pages
    from leadline.web.server import Server
    from leadline.web.streams import EventStreams
    from leadline.web.table import Context

T = TypeVar("T")
log = logging.getLogger("leadline")

HEALTH_SECONDS = 1.0
# What --dev opens: a webhook to this machine.
LOOPBACK_CIDRS = "127.0.0.0/8,::1/128"
# So many new objects before a look for garbage among them; Python's own bound is 700.
YOUNG_OBJECTS_MAX = 10_000


def address_policy(settings: Settings) -> AddressPolicy:
    """Where webhooks may go. Raises InvalidSetting."""
    cidrs = [each for each in (settings.webhook_allow_cidrs, LOOPBACK_CIDRS if settings.dev else "") if each]
    try:
        return AddressPolicy.parse(",".join(cidrs))
    except ValueError as wrong:
        raise InvalidSetting(f"webhook_allow_cidrs: {wrong}") from wrong


def retry_waits(settings: Settings) -> Sequence[float]:
    """The waits between attempts, in seconds. Raises InvalidSetting."""
    if not settings.webhook_retry_schedule:
        return DEFAULT_WAITS_SECONDS
    try:
        return parse_waits(settings.webhook_retry_schedule)
    except ValueError as wrong:
        raise InvalidSetting(f"webhook_retry_schedule: {wrong}") from wrong


def secret_vault(settings: Settings) -> Vault:
    """What seals webhook secrets. Raises InvalidSetting."""
    try:
        return Vault(settings.secret_key)
    except ValueError as wrong:
        raise InvalidSetting(f"secret_key: {wrong}") from wrong


def make_database(
    settings: Settings,
    *,
    exclusive: bool = False,
    listening: bool = True,
    on_failure: Callable[[str], None] | None = None,
) -> Database:
    """A database that is not open yet. `exclusive` is for who delivers: one process per SQLite file.

    `on_failure` is told when a SQLite file can no longer be trusted; PostgreSQL looks after itself.
    """
    url = settings.database_url
    vault = secret_vault(settings)
    if engine_of(url) is Engine.SQLITE:
        from leadline.store.sqlite import SqliteDatabase

        return SqliteDatabase(
            sqlite_path(url), clock=Clock(), exclusive=exclusive, vault=vault, on_failure=on_failure
        )
    from leadline.store.postgresql import PostgresqlDatabase

    return PostgresqlDatabase(
        url,
        clock=Clock(),
        connections_max=settings.database_connections,
        listening=listening,
        vault=vault,
    )


@contextlib.asynccontextmanager
async def opened(settings: Settings, *, migrated: bool = True) -> AsyncIterator[Database]:
    """A database for a command: opened, and closed at the end."""
    if migrated:
        await migrate(settings.database_url)
    database = make_database(settings, listening=False)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A workspace made for somebody, with the token that opens it."""

    organization_id: str
    subaccount_id: str
    token: str


def provision_workspace(
    database_url: str, name: str, scopes: Sequence[str] = ("all",), *, organization_id: str | None = None
) -> Provisioned:
    """Make a workspace and a token for it, also while a server runs on the database."""

    async def make(tx: Tx) -> Provisioned:
        row = await create_workspace(tx, name, organization_id=organization_id)
        token = await create_token(tx, row.workspace_id, parse_scopes(scopes))
        return Provisioned(row.organization_id, row.workspace_id, token.token)

    return write_once(database_url, make)


def provision_token(database_url: str, workspace_id: str, scopes: Sequence[str]) -> str:
    """One more token of a workspace."""

    async def make(tx: Tx) -> str:
        return (await create_token(tx, workspace_id, parse_scopes(scopes))).token

    return write_once(database_url, make)


async def first_user_link(database: Database) -> str | None:
    """What the link for the first administrator holds, while the only workspace has no user; else None."""
    from leadline.operations.users import make_first_link
    from leadline.operations.workspaces import list_workspaces

    async def make(tx: Tx) -> str | None:
        rows = await list_workspaces(tx)
        return await make_first_link(tx, rows[0].workspace_id) if len(rows) == 1 else None

    return await database.write(make)


@dataclass(frozen=True, slots=True)
class ProvisionedUser:
    """A user made for somebody, with what the cookie of a session of his holds."""

    user_id: str
    session: str


def provision_user(
    database_url: str,
    workspace_id: str,
    role: str,
    *,
    email: str,
    name: str,
    agent_id: str | None = None,
    password_hash: str | None = None,
) -> ProvisionedUser:
    """Make a user of a workspace and sign him in, also while a server runs on the database."""
    from leadline.operations.sessions import start_session
    from leadline.operations.users import NewUser, create_user, get_user, set_password

    async def make(tx: Tx) -> ProvisionedUser:
        user = await create_user(tx, workspace_id, NewUser(email, name, role, agent_id))
        if password_hash is not None:
            await set_password(tx, workspace_id, user.user_id, password_hash)
            user = await get_user(tx, workspace_id, user.user_id)
        return ProvisionedUser(user.user_id, await start_session(tx, user))

    return write_once(database_url, make)


def write_once(database_url: str, work: Callable[[Tx], Awaitable[T]]) -> T:
    """One transaction on a database, from a program that has no event loop."""

    async def run() -> T:
        async with opened(Settings(database_url=database_url)) as database:
            return await database.write(work)

    return asyncio.run(run())


def _spare_the_collector() -> None:
    """Take what is here to stay, some 60,000 objects, out of garbage collection, and look for garbage less often.

    A full collection went through all of it twice a second under load and stopped everything for 35 ms. And what the
    requests of a moment hold, some thousand objects, is gone by itself a moment later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX)


class Runtime:
    """One process at work: deliveries and what goes by itself, and, unless it is a worker only, the web."""

    def __init__(self, settings: Settings, *, web: bool = True) -> None:
        self.settings = settings
        self.clock = Clock()
        self.policy = address_policy(settings)
        self.url_rules = UrlRules(self.policy, settings.webhook_require_https)
        self.waits_seconds = retry_waits(settings)
        self._web = web
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self._health: tuple[float, str | None] = (0.0, None)
        self.failed = asyncio.Event()
        self.server: Server | None = None
        self._streams: EventStreams | None = None
        self._authenticator: Authenticator | None = None
        self._tracing: Tracing | None = None

    async def start(self) -> None:
        """Migrate, open, deliver and serve. When it fails, what was opened is closed again."""
        try:
            await self._start()
        except BaseException:
            await self._close()
            raise

    async def _close(self) -> None:
        while self._closers:
            await self._closers.pop()()

    async def _start(self) -> None:
        from leadline.web.metrics import Metrics

        self._tracing = start_tracing(__version__)
        if self._tracing is not None:
            self._closers.append(self._tracing.close)
        if engine_of(self.settings.database_url) is Engine.SQLITE:
            Path(sqlite_path(self.settings.database_url)).parent.mkdir(parents=True, exist_ok=True)
        await migrate(self.settings.database_url)
        self.database = make_database(self.settings, exclusive=True, on_failure=self._fail)
        self._closers.append(self.database.close)
        await self.database.open()
        self.metrics = Metrics()
        if self.database.engine is Engine.SQLITE:
            # Nobody else delivers from this file, so a lease that is left belongs to a process that died.
            await self.database.write(end_leases)
        self.worker = self._make_worker(self.metrics)
        self._closers.append(self._sender.close)
        await self._sender.start()
        if self._web:
            await self._start_web()
        elif self.settings.worker_port:
            await self._start_status()
        await self.worker.start()
        self._background = Background(
            self.database,
            self.clock,
            events_kept_ms=int(self.settings.events_kept_hours * 3_600_000),
            tell_drift=self.metrics.drift.set,
            take_used=None if self._authenticator is None else self._authenticator.take_used,
        )
        self._background.start()
        _spare_the_collector()

    def _make_worker(self, metrics: Metrics) -> Worker:
        from leadline.delivery.worker import Worker, WorkerSettings

        self._sender = self._make_sender()
        sending = WorkerSettings(
            waits_seconds=self.waits_seconds, timeout_seconds=self.settings.webhook_timeout_seconds
        )
        return Worker(self.database, self._sender, sending, self.clock, _observer(metrics, self.clock))

    def _make_sender(self) -> Sender:
        from leadline.delivery.sender import Sender

        sending: dict[str, Any] = {
            "policy": self.policy,
            "user_agent": f"Leadline/{__version__}",
            "require_https": self.settings.webhook_require_https,
        }
        if self._tracing is None:
            return Sender(**sending)
        from leadline.delivery.tracing import TracedSender

        propagating = self.settings.webhook_traceparent
        return TracedSender(self._tracing.tracer, propagating=propagating, **sending)

    async def _start_web(self) -> None:
        from leadline.web.api import OPERATIONS
        from leadline.web.app import Api
        from leadline.web.auth import Authenticator
        from leadline.web.streams import EventStreams
        from leadline.web.table import Context

        settings = self.settings
        limit = settings.rate_limit_per_minute or None
        self._authenticator = Authenticator(self.database, self.clock, per_minute_max=limit)
        self._streams = EventStreams(self.database, self._authenticator, self.metrics)
        context = Context(
            self.url_rules,
            webhook_timeout_seconds=round(settings.webhook_timeout_seconds),
        )
        api = Api(
            OPERATIONS,
            database=self._request_database(),
            authenticator=self._authenticator,
            context=context,
            keys_kept_ms=int(settings.idempotency_days * 86_400_000),
            pages=self._pages().by_path(),
            stream=self._streams.serve,
            console=self._make_console(context),
        )
        await self._listen(api, settings.port)

    async def _start_status(self) -> None:
        """A worker's own port: health and metrics, nothing else."""
        from leadline.web.status import StatusApp

        await self._listen(StatusApp(self._pages().by_path()), self.settings.worker_port)

    def _pages(self) -> Pages:
        from leadline.web.api import OPERATIONS
        from leadline.web.docs_page import docs_page
        from leadline.web.openapi import document
        from leadline.web.pages import Pages

        described = functools.cache(lambda: document(OPERATIONS, version=__version__))
        return Pages(
            database=self.database,
            clock=self.clock,
            metrics=self.metrics,
            metrics_token=self.settings.metrics_token,
            health=self.health,
            document=described,
            docs_page=functools.cache(lambda: docs_page(described())),
        )

    async def _listen(self, app: Any, port: int) -> None:
        """Serve an ASGI application, guarded, counted and, when it is asked for, traced."""
        from leadline.web.accounts import RequestAccounts
        from leadline.web.edge import guarded
        from leadline.web.server import Server

        served = guarded(app, answered=RequestAccounts(self.metrics).answered)
        if self._tracing is not None:
            from leadline.web.tracing import traced

            served = traced(served, self._tracing.tracer)
        grace_seconds = self.settings.shutdown_seconds
        self.server = Server(served, host=self.settings.host, port=port, grace_seconds=grace_seconds)
        await self.server.start()

    def _make_console(self, context: Context) -> Console:
        from leadline.web.console import PAGES
        from leadline.web.console.app import Console
        from leadline.web.console.live import LiveStream
        from leadline.web.console.passwords import Passwords
        from leadline.web.console.table import Doors
        from leadline.web.console.throttle import Throttle

        assert self._streams is not None
        passwords = Passwords()
        self._closers.append(passwords.close)
        return Console(
            PAGES,
            database=self.database,
            doors=Doors(self.database, passwords, Throttle()),
            context=context,
            public_url=self.settings.public_url,
            stream=LiveStream(self.database, self._streams).serve,
            clock=self.clock,
        )

    def _request_database(self) -> Database:
        if self._tracing is None:
            return self.database
        from leadline.web.tracing import traced_database

        return traced_database(self.database, self._tracing.tracer)

    async def stop(self) -> None:
        """Stop taking work, finish what is running, give leases back, close."""
        if self._streams is not None:
            self._streams.stop()
        await self._background.stop()
        # Side by side: both have the same deadline.
        # After a failure nothing can be recorded, so nothing is waited for.
        grace_seconds = 0.0 if self.failed.is_set() else self.settings.shutdown_seconds
        delivering = asyncio.create_task(self.worker.stop(grace_seconds))
        if self.server is not None:
            await self.server.stop()
        await delivering
        with contextlib.suppress(LeadlineError):
            await self._background.touch_tokens()
        await self._close()

    def _fail(self, reason: str) -> None:
        """End the process: whoever looks after it starts it again, from what the disk holds."""
        if not self.failed.is_set():
            log.critical("the database has failed: %s", reason)
            self.failed.set()

    async def health(self) -> str | None:
        """What is wrong, None when nothing is; asked at most once a second."""
        now = asyncio.get_running_loop().time()
        if now - self._health[0] >= HEALTH_SECONDS:
            self._health = (now, await self.database.healthy() or self.worker.trouble)
        return self._health[1]


def _observer(metrics: Metrics, clock: Clock) -> Observer:
    """What the worker tells, as metrics."""
    from leadline.delivery.worker import Observer

    class MetricsObserver(Observer):
        def attempted(self, attempted: Attempted, created_at: int) -> None:
            metrics.attempt(attempted.error)
            if attempted.succeeded:
                metrics.delivered(max(0, clock.now_ms() - created_at) / 1000)

        def taken_over(self, count: int) -> None:
            metrics.lease_takeovers.inc(count)

        def leaving_alone(self, count: int) -> None:
            metrics.left_alone.set(count)

    return MetricsObserver()


@dataclass(frozen=True, slots=True)
class FirstRun:
    """What `serve` prints once on an empty database."""

    workspace_id: str
    token: str


async def first_run(
    database: Database, name: str = "Main", *, fill: Callable[[Tx, str], Awaitable[None]] | None = None
) -> FirstRun | None:
    """A workspace and its token on a database that has none; None when it has.

    `fill` puts something into it in the same transaction, so that a crash leaves no half of it.
    """
    from leadline.operations.workspaces import has_workspaces

    async def make(tx: Tx) -> FirstRun | None:
        if await has_workspaces(tx):
            return None
        row = await create_workspace(tx, name)
        token = await create_token(tx, row.workspace_id, frozenset(Scope), name="first run")
        if fill is not None:
            await fill(tx, row.workspace_id)
        return FirstRun(row.workspace_id, token.token)

    return await database.write(make)


async def run_until_stopped(runtime: Runtime, started: Callable[[Runtime], Awaitable[None]]) -> None:
    """Start, tell, and work until SIGTERM or SIGINT; then stop gracefully. Needs the main thread's loop.

    Raises Unavailable when the database has failed for good; the process is to end with an error, so that
    whoever supervises it starts it again.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await runtime.start()
    try:
        await started(runtime)
        async with Supervisor().watching():
            await _first_of(stopping, runtime.failed)
        log.info("stopping")
    finally:
        await runtime.stop()
    if runtime.failed.is_set():
        raise Unavailable("The database has failed; see the log. A restart reads what the disk holds.")


async def _first_of(*events: asyncio.Event) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
