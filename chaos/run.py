"""One run on one engine: fire for so many seconds, then wait until everything has ended, then look."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from chaos.audit import Evidence, StoredApplied, StoredDelivery, Verdict, audit
from chaos.caller import Caller, NeverAnswered
from chaos.faults import Disk, Faults, Postgres, put_database_on, small_disk
from chaos.load import Ledger, Load
from chaos.plan import Plan, make_plan
from chaos.processes import Common, Victim, base_urls, kills_of, process_environment
from chaos.receivers import DNS_MODES, HOSTILE_KINDS, KINDS, Receivers, TlsContexts, host_of
from chaos.victim import Kill, NameOrders
from delivery.receivers import make_certificates
from leadline.operations.maintenance import drift
from leadline.settings import Settings
from leadline.store.database import Tx
from leadline.store.engines import Statement
from leadline.wiring import Provisioned, opened, provision_workspace
from postgres import URL_VARIABLE, start_postgres

LEASE_SECONDS = 15
SETTLE_SECONDS_MAX = 120.0
ATTEMPT_TIMEOUT_SECONDS = 2
# As many attempts as a schedule can have, close together: it is not patience that is tested here.
RETRY_SCHEDULE = ",".join(["0.3"] * 100)

_APPLIED = Statement(
    "SELECT applied_id, call_id, outcome_id, delivery_id FROM applied_outcomes", register=False
)
_DELIVERIES = Statement(
    "SELECT d.delivery_id, d.applied_id, d.payload, d.state, d.attempt_count, (SELECT COUNT(*) FROM attempts a"
    " WHERE a.workspace_id = d.workspace_id AND a.delivery_id = d.delivery_id) FROM deliveries d",
    register=False,
)
_FAILURES = Statement(
    "SELECT d.webhook_url, COUNT(*) FROM attempts a JOIN deliveries d ON d.workspace_id = a.workspace_id"
    " AND d.delivery_id = a.delivery_id WHERE a.error IS NOT NULL GROUP BY d.webhook_url",
    register=False,
)


@dataclass(frozen=True)
class Report:
    """What a run has to say. `injected`: how often each receiver misbehaved."""

    plan: Plan
    verdict: Verdict
    ledger: Ledger
    kills: Sequence[Kill]
    faults: Counter[str]
    injected: Counter[str]
    attempts: int
    lives: int
    failed_starts: int
    settle_seconds: float
    disk_is_real: bool

    @property
    def is_kept(self) -> bool:
        """Whether nothing was lost, sent after a cancel, or repeated without a kill."""
        return not self.verdict.breaches


@dataclass(frozen=True)
class _Scene:
    plan: Plan
    directory: Path
    database_url: str
    disk: Disk
    postgres: Postgres | None
    provisioned: Provisioned
    lease_seconds: int


def run(
    seed: int, seconds: float, engine: str, *, lease_seconds: int = LEASE_SECONDS, kept_in: Path | None = None
) -> Report:
    """The whole of it, in a folder that is gone afterwards; `kept_in` takes the processes' logs out of it."""
    plan = make_plan(seed, seconds, engine, HOSTILE_KINDS)
    with tempfile.TemporaryDirectory(prefix="leadline-chaos-") as folder:
        directory = Path(folder)
        try:
            return _run_in(directory, plan, lease_seconds)
        finally:
            if kept_in is not None:
                _keep_logs(directory, kept_in)


def _run_in(directory: Path, plan: Plan, lease_seconds: int) -> Report:
    with small_disk(directory) as disk, _database(plan.engine, disk) as (database_url, postgres):
        provisioned = provision_workspace(database_url, "Chaos")
        scene = _Scene(plan, directory, database_url, disk, postgres, provisioned, lease_seconds)
        return asyncio.run(_run(scene))


def _keep_logs(directory: Path, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for log in directory.glob("*.log"):
        shutil.copy(log, place)


@contextlib.contextmanager
def _database(engine: str, disk: Disk) -> Iterator[tuple[str, Postgres | None]]:
    if engine == "sqlite":
        yield f"sqlite:///{disk.directory / 'chaos.db'}", None
        return
    with start_postgres() as cluster:
        database_url = cluster.create_database("chaos")
        if disk.is_real and not os.environ.get(URL_VARIABLE):
            put_database_on(disk, database_url, cluster.url)
        yield database_url, cluster


async def _run(scene: _Scene) -> Report:
    receivers = Receivers(scene.plan.spells, _certificates(scene.directory))
    await receivers.start()
    victims = _victims(scene, receivers)
    faults = Faults(
        victims, scene.directory, scene.disk, scene.postgres, urlsplit(scene.database_url).path[1:]
    )
    chance = random.Random(f"{scene.plan.seed}/caller")  # noqa: S311 - reproducible on purpose
    try:
        for victim in victims:
            victim.start()
        async with Caller(lambda: base_urls(victims), scene.provisioned.token, chance) as caller:
            load = Load(caller, await _make_outcomes(caller, receivers), scene.plan.seed)
            await asyncio.gather(load.run(scene.plan.seconds), faults.carry_out(scene.plan.injections))
            for victim in victims:
                victim.disarm()
            settle_seconds = await _settle(caller, load.ledger)
        await asyncio.gather(*(victim.stop() for victim in victims))
    finally:
        await asyncio.gather(*(victim.abandon() for victim in victims))
        await receivers.stop()
    load.ledger.complaints += _complaints(caller, victims)
    return await _report(scene, receivers, victims, faults, load.ledger, settle_seconds)


def _certificates(directory: Path) -> TlsContexts:
    contexts = []
    for name in ("trusted", "untrusted"):
        place = directory / name
        place.mkdir()
        contexts.append(make_certificates(place).server)
    return TlsContexts(*contexts)


def _victims(scene: _Scene, receivers: Receivers) -> list[Victim]:
    common = Common(
        directory=scene.directory,
        environment=process_environment(_settings(scene)),
        started_at=receivers.started_at,
        names={host_of(kind): NameOrders(mode, scene.plan.spells[kind]) for kind, mode in DNS_MODES.items()},
        trusted_file=scene.directory / "trusted" / "receiver.pem",
        lease_seconds=scene.lease_seconds,
        fills_pages=not scene.disk.is_real,
    )
    return [
        Victim(f"{role}-{number}", role, points, common)
        for number, (role, points) in enumerate(zip(scene.plan.roles, scene.plan.kill_points, strict=True))
    ]


def _settings(scene: _Scene) -> dict[str, str]:
    return {
        "LEADLINE_DATABASE_URL": scene.database_url,
        "LEADLINE_HOST": "127.0.0.1",
        "LEADLINE_PORT": "0",
        # This one address and no other, so that the trap beside it is closed.
        "LEADLINE_WEBHOOK_ALLOW_CIDRS": "127.0.0.1/32",
        "LEADLINE_WEBHOOK_RETRY_SCHEDULE": RETRY_SCHEDULE,
        "LEADLINE_WEBHOOK_TIMEOUT_SECONDS": str(ATTEMPT_TIMEOUT_SECONDS),
    }


async def _make_outcomes(caller: Caller, receivers: Receivers) -> Mapping[str, str]:
    """One action per receiver; answers its id by kind."""
    made = {}
    for kind in KINDS:
        fields = {"outcome_name": kind, "outcome_type": "action", "webhook_url": receivers.url(kind)}
        answer = await caller.post("/outcomes", fields, f"outcome-{kind.replace(' ', '-')}")
        assert answer.status == 201, answer
        made[kind] = answer.json["outcome"]["outcome_id"]
    return made


async def _settle(caller: Caller, ledger: Ledger) -> float:
    """Wait, bounded, until nothing is pending; how many seconds that took."""
    started_at = time.monotonic()
    while (waited_seconds := time.monotonic() - started_at) < SETTLE_SECONDS_MAX:
        try:
            if not (await caller.get("/webhook-deliveries?state=pending&limit=1"))["deliveries"]:
                return waited_seconds
        except NeverAnswered as silence:
            ledger.complaints.append(f"never answered: {silence}")
        await asyncio.sleep(0.25)
    ledger.complaints.append(f"deliveries were still pending after {SETTLE_SECONDS_MAX:g} s of peace")
    return time.monotonic() - started_at


def _complaints(caller: Caller, victims: Sequence[Victim]) -> list[str]:
    return [*caller.internal_errors, *(text for victim in victims for text in victim.complaints)]


async def _report(
    scene: _Scene,
    receivers: Receivers,
    victims: Sequence[Victim],
    faults: Faults,
    ledger: Ledger,
    settle_seconds: float,
) -> Report:
    kills = kills_of(victims, scene.directory)
    failed_starts = [death for victim in victims for death in victim.failed_starts]
    async with opened(Settings(database_url=scene.database_url), migrated=False) as database:
        applied, deliveries, failures, drifted = await database.read(_look)
    evidence = Evidence(
        ledger, applied, deliveries, receivers.receipts, [*kills, *failed_starts], drifted,
        receivers.trapped, receivers.followed,
    )  # fmt: skip
    kinds = {receivers.url(kind): kind for kind in KINDS}
    return Report(
        plan=scene.plan,
        verdict=audit(evidence),
        ledger=ledger,
        kills=kills,
        faults=faults.counts,
        injected=_injected({kinds[url]: count for url, count in failures.items()}, receivers.rudenesses),
        attempts=sum(delivery.attempt_count for delivery in deliveries),
        lives=sum(victim.life for victim in victims),
        failed_starts=len(failed_starts),
        settle_seconds=settle_seconds,
        disk_is_real=scene.disk.is_real,
    )


async def _look(tx: Tx) -> tuple[list[StoredApplied], list[StoredDelivery], dict[str, int], int]:
    applied = [StoredApplied(*row) for row in await tx.all(_APPLIED)]
    deliveries = [StoredDelivery(*row) for row in await tx.all(_DELIVERIES)]
    failures = {row[0]: row[1] for row in await tx.all(_FAILURES)}
    return applied, deliveries, failures, await drift(tx)


def _injected(failures: Mapping[str, int], rudenesses: Mapping[str, int]) -> Counter[str]:
    """How often each receiver misbehaved: as it counted itself, or, where it could not, as attempts failed."""
    return Counter(
        {kind: max(failures.get(kind, 0), rudenesses.get(kind, 0)) for kind in {*failures, *rudenesses}}
    )
