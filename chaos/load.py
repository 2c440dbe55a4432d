"""What callers do meanwhile: start calls, apply outcomes, ask again with the same key, cancel deliveries."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.caller import Answer, Caller, NeverAnswered

CLIENTS = 8
APPLIES_PER_SECOND = 24
CANCEL_SHARE = 0.15
REPEAT_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An apply that was answered 201 or, as its own repetition, replayed."""

    kind: str
    call_id: str
    outcome_id: str
    applied_id: str
    delivery_id: str


@dataclass
class Ledger:
    """What the callers were told. Times in Unix seconds."""

    applied: list[Acknowledged] = field(default_factory=list)
    canceled_at: dict[str, float] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    repeated: int = 0
    tries: int = 0


class Load:
    """Clients at work until a moment; everything begun by then is finished."""

    def __init__(self, caller: Caller, outcome_ids: Mapping[str, str], seed: int) -> None:
        self.ledger = Ledger()
        self._caller = caller
        self._outcome_ids = outcome_ids
        self._chance = random.Random(f"{seed}/load")  # noqa: S311 - reproducible on purpose
        self._numbers = itertools.count()

    async def run(self, seconds: float) -> None:
        """Apply outcomes for so long, to each receiver in turn."""
        over_at = time.monotonic() + seconds
        kinds = itertools.cycle(self._outcome_ids)
        clients = (self._client(over_at, kinds) for _ in range(CLIENTS))
        await asyncio.gather(*clients)

    async def _client(self, over_at: float, kinds: itertools.cycle[str]) -> None:
        while time.monotonic() < over_at:
            try:
                await self._one_call(next(kinds))
            except NeverAnswered as silence:
                self.ledger.complaints.append(f"never answered: {silence}")
            await asyncio.sleep(CLIENTS / APPLIES_PER_SECOND * self._chance.uniform(0.5, 1.0))

    async def _one_call(self, kind: str) -> None:
        number = next(self._numbers)
        call = await self._post(
            "/calls", {"phone_number": f"+1212{5_550_000 + number}"}, f"call-{number}", {200, 201}
        )
        if call is None:
            return
        call_id = call.json["call"]["call_id"]
        path, key = f"/calls/{call_id}/outcomes", f"apply-{number}"
        outcome_id = self._outcome_ids[kind]
        answer = await self._post(path, {"outcome_id": outcome_id}, key, {201})
        if answer is None:
            return
        applied = answer.json["applied"]
        self.ledger.applied.append(
            Acknowledged(kind, call_id, outcome_id, applied["applied_id"], applied["delivery_id"])
        )
        if self._chance.random() < REPEAT_SHARE:
            await self._repeat(path, outcome_id, key, answer)
        if self._chance.random() < CANCEL_SHARE:
            await self._cancel(applied["delivery_id"], number)

    async def _repeat(self, path: str, outcome_id: str, key: str, first: Answer) -> None:
        """The same request again answers the same bytes (contract § 3)."""
        again = await self._post(path, {"outcome_id": outcome_id}, key, {201})
        self.ledger.repeated += 1
        if again is not None and (again.body != first.body or not again.replayed):
            self.ledger.complaints.append(f"{key} was answered differently the second time")

    async def _cancel(self, delivery_id: str, number: int) -> None:
        await asyncio.sleep(self._chance.uniform(0, 0.5))
        path = f"/webhook-deliveries/{delivery_id}/cancel"
        answer = await self._post(path, {}, f"cancel-{number}", {200})
        if answer is not None and answer.json["delivery"]["state"] == "canceled":
            self.ledger.canceled_at[delivery_id] = time.time()

    async def _post(self, path: str, body: Mapping[str, Any], key: str, wanted: set[int]) -> Answer | None:
        answer = await self._caller.post(path, body, key)
        self.ledger.tries += answer.tries
        if answer.status in wanted:
            return answer
        self.ledger.complaints.append(f"POST {path} was answered {answer.status}: {answer.body[:200]!r}")
        return None
