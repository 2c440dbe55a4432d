"""`leadline serve` and `leadline worker`: one process at work until it is told to stop."""

from __future__ import annotations

import asyncio
import functools
import shlex
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from leadline.cli.configuration_file import ConfigurationSource
from leadline.cli.dev import make_receiver, start_dev
from leadline.cli.failures import UsageError
from leadline.cli.printing import style
from leadline.cli.provisioning import provision, read_folder
from leadline.cli.sample_receiver import SampleReceiver
from leadline.cli.token_file import USUAL_TOKEN_FILES, token_file
from leadline.logs import set_up_logs
from leadline.settings import Settings
from leadline.store.engines import Engine
from leadline.store.migrating import engine_of
from leadline.wiring import FirstRun, Runtime, first_run, first_user_link, run_until_stopped

DEFAULTS = Settings()


def serve(settings: Settings) -> None:
    """API, console and delivery in one process, until SIGTERM or SIGINT."""
    set_up_logs(settings.log_format, settings.log_level, requests=settings.log_requests)
    # Before anything is opened: what cannot be read stops the start at once.
    sources = read_folder(settings.provision_dir) if settings.provision_dir else []
    _run(_serve(Runtime(settings), sources))


def work(settings: Settings) -> None:
    """Delivery alone, beside servers on the same PostgreSQL. Raises UsageError on SQLite."""
    if engine_of(settings.database_url) is Engine.SQLITE:
        raise UsageError(
            "a SQLite file is opened by one process, and `leadline serve` delivers by itself;"
            " workers are for PostgreSQL (--database postgresql://…)"
        )
    set_up_logs(settings.log_format, settings.log_level, requests=settings.log_requests)
    _run(run_until_stopped(Runtime(settings, web=False), _working))


def _run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=_fast_loop) as runner:
        runner.run(main)


def _fast_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


async def _working(_runtime: Runtime) -> None:
    print("Leadline is delivering. Stop it with Ctrl-C.", flush=True)


async def _serve(runtime: Runtime, sources: Sequence[ConfigurationSource]) -> None:
    receiver = make_receiver(runtime) if runtime.settings.dev else None
    try:
        await run_until_stopped(runtime, functools.partial(_serving, receiver, sources))
    finally:
        # After the runtime: a delivery that is on its way still finds somebody.
        if receiver is not None:
            await receiver.stop()


async def _serving(
    receiver: SampleReceiver | None, sources: Sequence[ConfigurationSource], runtime: Runtime
) -> None:
    server = runtime.server
    assert server is not None
    if receiver is None:
        first = await first_run(runtime.database)
    else:
        first = await start_dev(runtime, receiver, server.port)
    _print_welcome(server.url, first, runtime.settings)
    _print_link(await first_user_link(runtime.database), server.url, runtime.settings)
    if receiver is not None:
        _print_dev(receiver, server.url, runtime.settings)
    # After the welcome, which shows a first token this once, whatever becomes of the files.
    await provision(runtime.database, sources, runtime.url_rules)
    if runtime.settings.ready_file:
        Path(runtime.settings.ready_file).write_text(server.url)  # noqa: ASYNC240 - a few bytes, once


def _print_welcome(url: str, first: FirstRun | None, settings: Settings) -> None:
    print(
        f"Leadline is at {style(url, 'bold')}  (API reference: {url}/docs). Stop it with Ctrl-C.", flush=True
    )
    if first is None:
        return
    print(
        f"\nA workspace was made. Its token, shown this once:\n\n  {style(first.token, 'bold')}\n", flush=True
    )
    kept = token_file(settings) if settings.dev else None
    if kept is not None:
        print(f"(--dev has kept it in {kept} for `leadline simulate`.)\n", flush=True)


def _print_link(link: str | None, url: str, settings: Settings) -> None:
    if link is None:
        return
    address = f"{settings.public_url.rstrip('/') or url}/link/{link}"
    print("The console has no user yet. This link makes its first administrator, once, within 15 minutes")
    print(f"(`leadline user link` gives another):\n\n  {style(address, 'bold')}\n", flush=True)


def _print_dev(receiver: SampleReceiver, url: str, settings: Settings) -> None:
    print(f"Sample receiver: {receiver.webhook_url}  (what has arrived: {receiver.url})", flush=True)
    print(f"Play a few calls, in another terminal: {_simulate_command(url, settings)}\n", flush=True)
    if settings.host not in ("127.0.0.1", "localhost", "::1"):
        print("--dev opens webhooks to this machine: do not use it where others can reach it.", flush=True)


def _simulate_command(url: str, settings: Settings) -> str:
    """What to type: the command as this server was started with, and only the flags that are needed."""
    started_as = sys.argv[0]
    command = started_as if Path(started_as).name == "leadline" else "leadline"
    parts = [command, "simulate"]
    if url != f"http://127.0.0.1:{DEFAULTS.port}":
        parts += ["--url", url]
    kept = token_file(settings)
    if kept is None:
        parts += ["--token", "TOKEN"]
    elif str(kept) not in USUAL_TOKEN_FILES:
        parts += ["--database", settings.database_url]
    return shlex.join(parts)
