"""The processes that are measured: started on their cores, found to be listening, and ended."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import ROOT
from benchmarks.machine import memory_peak_mb, pin

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 20.0
LOOPBACK = "127.0.0.0/8"


class ServerFailed(Exception):
    """A process that did not come up, or ended by itself; the message ends with what it said."""


@dataclass(frozen=True, slots=True)
class Server:
    """A process that runs. `port` 0: it listens nowhere."""

    name: str
    pid: int
    port: int

    @property
    def memory_peak_mb(self) -> float:
        return memory_peak_mb(self.pid)


@contextlib.contextmanager
def serving(
    name: str,
    arguments: Sequence[str],
    *,
    port: int,
    cores: frozenset[int],
    settings: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A Python process, `arguments` after the interpreter, until the block ends. Raises ServerFailed."""
    with tempfile.TemporaryFile(prefix="leadline-bench-log-") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(settings or {}),
        )  # fmt: skip
        try:
            pin([process.pid], cores)
            if port:
                _await_listening(process, port)
            yield Server(name, process.pid, port)
            if process.poll() is not None:
                raise ServerFailed(f"{name} ended with {process.returncode}")
        except Exception as failed:
            if process.poll() is None and not isinstance(failed, ServerFailed):
                raise
            # Whoever was refused a connection is told why.
            log.seek(0)
            said = log.read()[-4000:].decode(errors="replace")
            raise ServerFailed(f"{failed}\n{name} ended with {process.returncode}\n{said}") from failed
        finally:
            _end(process)


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Ours without anybody's Leadline settings, but with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEADLINE_")}
    return kept | dict(settings)


def _await_listening(process: subprocess.Popen[bytes], port: int) -> None:
    latest = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < latest:
        if process.poll() is not None:
            raise ServerFailed(f"it ended with {process.returncode} before it listened")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise ServerFailed(f"nobody listened on port {port} within {START_SECONDS_MAX:g} s")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def leadline(
    database_url: str,
    cores: frozenset[int],
    *,
    role: str = "serve",
    counter_file: Path | None = None,
) -> contextlib.AbstractContextManager[Server]:
    """The shipped command, `serve` or `worker`. With `counter_file` it counts its SQLite statements there."""
    port = free_port() if role == "serve" else 0
    flags = ["--database", database_url, *(["--port", str(port)] if port else [])]
    counted = ["-m", "benchmarks.counted", str(counter_file)] if counter_file else []
    settings = {
        "LEADLINE_WEBHOOK_ALLOW_CIDRS": LOOPBACK,  # where the sink is
        "LEADLINE_LOG_LEVEL": "warning",
    }
    return serving(
        f"leadline {role}",
        [*counted, *([] if counted else ["-m"]), "leadline", role, *flags],
        port=port,
        cores=cores,
        settings=settings,
    )


def echo(cores: frozenset[int]) -> contextlib.AbstractContextManager[Server]:
    """Leadline's own HTTP stack with nothing behind it (`benchmarks.echo`)."""
    port = free_port()
    return serving("echo", ["-m", "benchmarks.echo", str(port)], port=port, cores=cores)


def checked_echo(
    database_url: str, cores: frozenset[int], answer_bytes: int
) -> contextlib.AbstractContextManager[Server]:
    """The shipped server with every check and none of the work (`benchmarks.echo`)."""
    port = free_port()
    arguments = ["-m", "benchmarks.echo", str(port), database_url, str(answer_bytes)]
    return serving("checked echo", arguments, port=port, cores=cores)


def idiomatic(
    database_url: str, cores: frozenset[int], *, counter_file: Path | None = None
) -> contextlib.AbstractContextManager[Server]:
    """The application of `benchmarks/idiomatic/`."""
    port = free_port()
    counted = ["-m", "benchmarks.counted", str(counter_file)] if counter_file else []
    return serving(
        "idiomatic",
        [*counted, *([] if counted else ["-m"]), "benchmarks.idiomatic", str(port)],
        port=port,
        cores=cores,
        settings={"BENCH_DATABASE_URL": database_url},
    )
