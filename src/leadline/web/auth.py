"""Who is calling: tokens, looked up once in a while and then remembered for half a second (contract § 2)."""

from __future__ import annotations

import re
from collections import OrderedDict

from leadline.clock import Clock, monotonic_seconds
from leadline.domain.access import Principal
from leadline.domain.errors import RateLimited, Unauthorized
from leadline.operations.workspaces import authenticate
from leadline.store.database import Database, Signal

# A revoked token stops working within a second on every node: half of that for what is remembered.
REMEMBERED_SECONDS = 0.5
REMEMBERED_MAX = 10_000
USED_MAX = 10_000

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/=-]{1,256})", re.ASCII)


class Authenticator:
    """Tokens to principals, for one process."""

    def __init__(self, database: Database, clock: Clock, *, per_minute_max: int | None) -> None:
        self._database = database
        self._clock = clock
        self._remembered: OrderedDict[str, tuple[float, Principal]] = OrderedDict()
        self._used: dict[tuple[str, str], int] = {}
        self._per_minute_max = per_minute_max
        self._buckets: dict[str, tuple[float, float]] = {}
        database.listen(self._heard)

    async def principal(self, header: bytes | None) -> Principal:
        """Who an Authorization header names. Raises Unauthorized, NoSubaccount, RateLimited."""
        principal = await self.known(token_of(header))
        if self._per_minute_max is not None:
            self._take_one(principal.token_id, self._per_minute_max)
        if len(self._used) < USED_MAX:
            self._used[principal.workspace_id, principal.token_id] = self._clock.now_ms()
        return principal

    async def known(self, token: str) -> Principal:
        """Who a token is, without counting it as a request: for streams, which ask again and again."""
        now = monotonic_seconds()
        remembered = self._remembered.get(token)
        if remembered is not None and remembered[0] > now:
            return remembered[1]
        self._remembered.pop(token, None)
        principal = await self._database.read(lambda tx: authenticate(tx, token))
        self._remembered[token] = (now + REMEMBERED_SECONDS, principal)
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return principal

    def take_used(self) -> list[tuple[str, str, int]]:
        """What was used since the last time: (workspace_id, token_id, Unix ms)."""
        used, self._used = self._used, {}
        return [(workspace_id, token_id, at) for (workspace_id, token_id), at in used.items()]

    def _heard(self, signal: Signal, workspace_id: str) -> None:
        if signal is Signal.WORKSPACE:
            for token, (_, principal) in tuple(self._remembered.items()):
                if principal.workspace_id == workspace_id:
                    del self._remembered[token]

    def _take_one(self, token_id: str, per_minute_max: int) -> None:
        """A token bucket: a minute's worth at once, then as they come back."""
        now = monotonic_seconds()
        per_second = per_minute_max / 60
        at, left = self._buckets.get(token_id, (now, float(per_minute_max)))
        left = min(float(per_minute_max), left + (now - at) * per_second)
        if left < 1:
            self._buckets[token_id] = (now, left)
            raise RateLimited(max(1, int((1 - left) / per_second + 0.999)))
        if len(self._buckets) > REMEMBERED_MAX:
            self._buckets.clear()
        self._buckets[token_id] = (now, left - 1)


def token_of(header: bytes | None) -> str:
    """The token in an Authorization header. Raises Unauthorized."""
    found = _BEARER.fullmatch(header.decode("latin-1").strip()) if header is not None else None
    if found is None:
        raise Unauthorized("This needs the header Authorization: Bearer <token>.")
    return found[1]
