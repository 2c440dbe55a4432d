"""The database that the victims write to, what they do to it, and what has to be true of it afterwards."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from leadline.domain.calls import CallState
from leadline.domain.outcomes import AddTo, OutcomeDefinition, OutcomeType
from leadline.operations.apply_outcome import Application, apply_outcome
from leadline.operations.calls import NewCall, start_call
from leadline.operations.idempotency import EncodedAnswer, Keyed, fingerprint, perform_once
from leadline.operations.outcomes import define_outcome
from leadline.operations.smart_lists import create_smart_list
from leadline.operations.workspaces import create_workspace
from leadline.settings import Settings
from leadline.store.database import Database, Tx
from leadline.store.sqlite import connect
from leadline.wiring import opened

FILE = "leadline.db"
KEPT_MS = 7 * 86_400_000


@dataclass(frozen=True)
class Scene:
    """One outcome with a webhook and a Smart List, and live calls to apply it to."""

    workspace_id: str
    outcome_id: str
    calls: Sequence[str]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(**json.loads(path.read_text()))


def settings_for(directory: Path) -> Settings:
    """Deliveries may go to this machine, and retries come quickly."""
    return Settings(
        database_url=f"sqlite:///{directory / FILE}",
        webhook_allow_cidrs="127.0.0.0/8",
        webhook_retry_schedule="0.05,0.05,0.05,0.05,0.05",
        shutdown_seconds=5,
    )


def set_up(directory: Path, calls: int, webhook_url: str) -> tuple[Scene, Mapping[str, bytes]]:
    """A scene, and the files of its database, closed and complete."""
    directory.mkdir()

    async def run() -> Scene:
        async with opened(settings_for(directory)) as database:
            return await database.write(lambda tx: _stage(tx, calls, webhook_url))

    scene = asyncio.run(run())
    assert [path.name for path in directory.iterdir()] == [FILE]
    return scene, {FILE: (directory / FILE).read_bytes()}


async def _stage(tx: Tx, calls: int, webhook_url: str) -> Scene:
    workspace_id = (await create_workspace(tx, "Durable")).workspace_id
    smart_list = await create_smart_list(tx, workspace_id, "Follow up")
    definition = OutcomeDefinition(
        name="Interested",
        type=OutcomeType.ACTION,
        order=0,
        destination=AddTo(smart_list.smart_list.smart_list_id),
        webhook_url=webhook_url,
    )
    outcome, _ = await define_outcome(tx, workspace_id, definition)
    started = [await start_call(tx, workspace_id, _call(number)) for number in range(calls)]
    return Scene(workspace_id, outcome.outcome.outcome_id, [each.call.call_id for each, _ in started])


def _call(number: int) -> NewCall:
    return NewCall(
        phone_number=f"+1212555{number:04}",
        contact_id=None,
        agent_id=None,
        direction="outbound",
        external_id=None,
        state=CallState.LIVE,
        started_at_ms=None,
    )


async def apply_once(
    database: Database, scene: Scene, call_id: str, *, durable: bool = True
) -> EncodedAnswer:
    """Apply the outcome under the call's own Idempotency-Key, as the web does."""
    body = {"outcome_id": scene.outcome_id}
    keyed = Keyed(
        workspace_id=scene.workspace_id,
        key=key_of(call_id),
        fingerprint=fingerprint("POST", f"/calls/{call_id}/outcomes", "", body),
        kept_ms=KEPT_MS,
    )

    async def effect(tx: Tx) -> EncodedAnswer:
        answer, _ = await apply_outcome(tx, scene.workspace_id, Application(call_id, scene.outcome_id))
        return EncodedAnswer(201, msgspec.json.encode(answer))

    return await database.write(lambda tx: perform_once(tx, keyed, effect), durable=durable)


def key_of(call_id: str) -> str:
    return f"apply-{call_id}"


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def promises(acknowledged: str) -> dict[str, str]:
    """Call → digest of the answer, from the lines `applied <call> <digest>` that a victim wrote."""
    lines = [line.split() for line in acknowledged.splitlines()]
    return {line[1]: line[2] for line in lines if line[0] == "applied"}


@dataclass(frozen=True)
class Found:
    """What a database holds of a scene; `problems` is empty when it is sound."""

    problems: Sequence[Any]
    answers: Mapping[str, str]
    """Call → digest of the answer stored under its key."""
    applied: Sequence[str]
    delivered_to: Sequence[str]
    moved: int
    succeeded: int

    @property
    def is_whole(self) -> bool:
        """Nothing by half: the fact, its delivery, its list move and its stored answer, or none of them."""
        return sorted(self.answers) == sorted(self.applied) == sorted(
            self.delivered_to
        ) and self.moved == len(self.applied)

    def lost(self, promised: Mapping[str, str]) -> set[str]:
        """Calls whose apply was acknowledged and is gone, or answers otherwise now."""
        return {call_id for call_id, answer in promised.items() if self.answers.get(call_id) != answer}


def look(directory: Path) -> Found:
    """Open the database as a restart does, and read what is there. Raises the driver's errors."""
    connection: Any = connect(str(directory / FILE))
    try:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        problems += connection.execute("PRAGMA foreign_key_check").fetchall()
        keys = connection.execute("SELECT idempotency_key, body FROM idempotency_keys").fetchall()
        applied = connection.execute("SELECT call_id FROM applied_outcomes").fetchall()
        deliveries = connection.execute(
            "SELECT call_id FROM deliveries WHERE applied_id IS NOT NULL"
        ).fetchall()
        moves = connection.execute("SELECT COUNT(*) FROM list_moves").fetchone()
        succeeded = connection.execute("SELECT COUNT(*) FROM deliveries WHERE state = 'succeeded'").fetchone()
        return Found(
            problems=problems,
            answers={key.removeprefix("apply-"): digest(bytes(body)) for key, body in keys},
            applied=[row[0] for row in applied],
            delivered_to=[row[0] for row in deliveries],
            moved=moves[0],
            succeeded=succeeded[0],
        )
    finally:
        connection.close()


def repeat_all(directory: Path, scene: Scene) -> dict[str, EncodedAnswer]:
    """Ask for every apply again, as clients do that do not know what became of theirs."""

    async def run() -> dict[str, EncodedAnswer]:
        async with opened(settings_for(directory)) as database:
            answers = await asyncio.gather(*(apply_once(database, scene, call) for call in scene.calls))
        return dict(zip(scene.calls, answers, strict=True))

    return asyncio.run(run())
