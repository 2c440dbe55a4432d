"""`leadline tail`, `listen` and `api`: the server at work, a receiver in the terminal, and any request."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from leadline.cli.connecting import connect
from leadline.cli.failures import UsageError
from leadline.cli.printing import print_json, printable, style
from leadline.cli.sample_receiver import Arrival, SampleReceiver
from leadline.clock import Clock
from leadline.settings import Settings

DATA_BYTES_MAX = 64 * 1024
PREFIX = "/phone-system"
PAGES = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs")


def tail(
    url: str | None, token: str | None, *, types: Sequence[str], after: str | None, as_json: bool
) -> None:
    """Print events as they happen, until Ctrl-C. Comes back by itself when the server was away."""
    with connect(url, token) as client:
        if not as_json:
            print("Waiting for events; Ctrl-C ends it.", file=sys.stderr)
        for event in client.stream_events(after=after):
            if types and event.type not in types:
                continue
            if as_json:
                # A line each, so that a program can read them as they come.
                print(msgspec.json.encode(event).decode(), flush=True)
            else:
                print(_event_line(event.at, event.type, event.data), flush=True)


def _event_line(at: str, kind: str, data: dict[str, Any]) -> str:
    said = " ".join(f"{name}={value}" for name, value in data.items() if value not in (None, ""))
    return f"{at}  {style(f'{printable(kind):<20}', 'cyan')} {printable(said)}"


def api(
    url: str | None, token: str | None, *, method: str, path: str, data: str | None, key: str | None
) -> None:
    """Make one request and print what is answered."""
    from leadline.client import requests

    if not path.startswith("/"):
        raise UsageError(f"a path begins with a slash: /{path}")
    is_whole = path.startswith(PREFIX) or path.partition("?")[0] in PAGES
    body = None if data is None else _json(_data(data))
    request = requests.any_request(
        method, path if is_whole else PREFIX + path, body=body, idempotency_key=key
    )
    with connect(url, token) as client:
        answer = client.send(request).value
    try:
        print_json(json.loads(answer))
    except ValueError:
        print(answer.decode("utf-8", "replace"), end="")


def _data(given: str) -> bytes:
    """The body: as it stands, from a file (`@file`), or from standard input (`-`)."""
    if given == "-":
        read = sys.stdin.buffer.read(DATA_BYTES_MAX + 1)
    elif given.startswith("@"):
        with Path(given[1:]).open("rb") as file:
            read = file.read(DATA_BYTES_MAX + 1)
    else:
        read = given.encode()
    if len(read) > DATA_BYTES_MAX:
        raise UsageError(f"the body is over {DATA_BYTES_MAX} bytes")
    return read


def _json(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except msgspec.MsgspecError as wrong:
        raise UsageError(f"--data is not JSON: {wrong}") from None


def listen(settings: Settings, *, port: int, secrets: Sequence[str], status: int, as_json: bool) -> None:
    """Receive webhooks on this machine, verify and print them, until Ctrl-C. Raises UsageError."""
    if not 200 <= status <= 599:
        raise UsageError("--status must be 200-599")
    if not 0 <= port <= 65535:
        raise UsageError("--port must be 0-65535")
    tell = _tell_json if as_json else _tell
    receiver = SampleReceiver(_secrets_of(settings, secrets), tell, Clock(), path=None, status=status)
    asyncio.run(_listen(receiver, port))


async def _listen(receiver: SampleReceiver, port: int) -> None:
    await receiver.start(port)
    print(f"Listening at {receiver.url}  (any path; Ctrl-C ends it).", file=sys.stderr, flush=True)
    if port not in (0, receiver.port):
        print(f"Port {port} was taken.", file=sys.stderr)
    try:
        await asyncio.Event().wait()
    finally:
        await receiver.stop()


def _secrets_of(settings: Settings, given: Sequence[str]) -> Callable[[str], Awaitable[list[str]]]:
    """The secrets to verify with: those given, else those in the database of the settings."""
    if given:
        from leadline.client import Webhook

        Webhook(given)  # refuses what is none

        async def known(_workspace_id: str) -> list[str]:
            return list(given)

        return known
    return _from_database(settings)


def _from_database(settings: Settings) -> Callable[[str], Awaitable[list[str]]]:
    from leadline.operations.workspaces import signing_secrets
    from leadline.store.engines import Engine
    from leadline.store.migrating import engine_of, sqlite_path
    from leadline.wiring import opened

    url = settings.database_url
    if engine_of(url) is Engine.SQLITE and not Path(sqlite_path(url)).exists():
        raise UsageError(
            "no secret to verify with: give --secret or LEADLINE_WEBHOOK_SECRET (`leadline secret rotate`"
            f" makes one), or the --database that has it; there is none at {sqlite_path(url)}"
        )

    async def found(workspace_id: str) -> list[str]:
        async with opened(settings, migrated=False) as database:
            return await database.read(lambda tx: signing_secrets(tx, workspace_id))

    return found


def _tell(arrival: Arrival) -> None:
    mark = (
        style("verified", "green") if arrival.verified else style(f"not verified: {arrival.problem}", "red")
    )
    again = "  (again: the same call and outcome)" if arrival.repeated else ""
    print(f"{arrival.received_at}  {mark}{again}  {printable(arrival.webhook_id)}", flush=True)
    print(json.dumps(arrival.payload, ensure_ascii=True, indent=2), flush=True)


def _tell_json(arrival: Arrival) -> None:
    print(msgspec.json.encode(arrival).decode(), flush=True)
