"""`leadline serve` and `leadline worker`: one process at work until it is told to stop."""

from __future__ import annotations

import asyncio
from pathlib import Path

from leadline.logs import set_up_logs
from leadline.settings import Settings
from leadline.wiring import FirstRun, Runtime, first_run, run_until_stopped


def serve(settings: Settings) -> None:
    """API, console and delivery in one process, until SIGTERM or SIGINT."""
    set_up_logs(settings.log_format, settings.log_level)
    _run(Runtime(settings))


def work(settings: Settings) -> None:
    """Delivery alone."""
    set_up_logs(settings.log_format, settings.log_level)
    _run(Runtime(settings, web=False))


def _run(runtime: Runtime) -> None:
    with asyncio.Runner(loop_factory=_fast_loop) as runner:
        runner.run(run_until_stopped(runtime, _started))


def _fast_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


async def _started(runtime: Runtime) -> None:
    first = await first_run(runtime.database)
    if runtime.server is None:
        print("Leadline is delivering. Stop it with Ctrl-C.", flush=True)
        return
    url = runtime.server.url
    _print_welcome(url, first)
    if runtime.settings.ready_file:
        Path(runtime.settings.ready_file).write_text(url)


def _print_welcome(url: str, first: FirstRun | None) -> None:
    print(f"Leadline is at {url}  (API reference: {url}/docs)", flush=True)
    if first is not None:
        print(f"A workspace was made. Its token, shown this once:\n\n  {first.token}\n", flush=True)
