"""What systemd is told of this process (`Type=notify`, `WatchdogSec=`): a datagram each, when it asks for them.

The protocol is sd_notify(3): a Unix datagram socket named by `NOTIFY_SOCKET`, lines of `NAME=value`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Mapping

log = logging.getLogger("leadline")


class Supervisor:
    """Whoever started this process, when it wants to know how it goes; else nobody, and nothing is sent."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        named = environ.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with @ for the NUL that it begins with.
        self._address = "\0" + named[1:] if named.startswith("@") else named
        self._watchdog_seconds = _watchdog_seconds(environ) if named else None

    def tell(self, *lines: str) -> None:
        """Send `lines` together. Trouble is logged and nothing else: the service is not its supervisor's."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.setblocking(False)
                to.sendto("\n".join(lines).encode(), self._address)
        except OSError as away:
            log.warning("the supervisor could not be told: %s", away)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Ready from here on; stopping at the end. In between the watchdog hears that the event loop turns."""
        self.tell("READY=1", "STATUS=Serving.")
        alive = asyncio.create_task(self._say_alive(), name="leadline-watchdog")
        try:
            yield
        finally:
            alive.cancel()
            self.tell("STOPPING=1", "STATUS=Finishing what is running.")

    async def _say_alive(self) -> None:
        while self._watchdog_seconds is not None:
            self.tell("WATCHDOG=1")
            # Twice as often as is asked for, as sd_watchdog_enabled(3) has it.
            await asyncio.sleep(self._watchdog_seconds / 2)


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """How long systemd waits for a sign of life; None when it does not, or means another process."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    micros = environ.get("WATCHDOG_USEC", "")
    return int(micros) / 1_000_000 if micros.isascii() and micros.isdigit() and int(micros) > 0 else None
