"""What `serve --dev` adds: sample data, a sample receiver, and the token in a file for `leadline simulate`.

The sample receiver listens one port above the server's (any free one when that is taken). At a start where it
comes to another port than before, the outcomes that point to the old place are pointed to the new one.
"""

from __future__ import annotations

import functools
import os

from leadline.cli.printing import printable, style
from leadline.cli.sample_receiver import Arrival, SampleReceiver
from leadline.cli.token_file import token_file
from leadline.operations.sample_data import fill_sample_data, repoint_samples
from leadline.operations.workspaces import signing_secrets
from leadline.settings import Settings
from leadline.wiring import FirstRun, Runtime, first_run


async def start_dev(runtime: Runtime, receiver: SampleReceiver, server_port: int) -> FirstRun | None:
    """Start the receiver, fill an empty database, keep the token for `simulate`."""
    # A server on a port of chance must not take one that somebody counts on.
    await receiver.start(0 if runtime.settings.port == 0 else min(server_port + 1, 65535))
    fill = functools.partial(fill_sample_data, webhook_url=receiver.webhook_url)
    first = await first_run(runtime.database, fill=fill)
    if first is None:
        repoint = functools.partial(repoint_samples, webhook_url=receiver.webhook_url)
        await runtime.database.write(repoint)
    else:
        _keep_token(runtime.settings, first.token)
    return first


def make_receiver(runtime: Runtime) -> SampleReceiver:
    """A receiver that knows the secrets of the runtime's workspaces; it is not started yet."""

    async def secrets_of(workspace_id: str) -> list[str]:
        return await runtime.database.read(lambda tx: signing_secrets(tx, workspace_id))

    return SampleReceiver(secrets_of, _tell, runtime.clock)


def _tell(arrival: Arrival) -> None:
    mark = (
        style("verified ✓", "green") if arrival.verified else style(f"not verified: {arrival.problem}", "red")
    )
    again = "  (again: the same call and outcome)" if arrival.repeated else ""
    name, number = printable(arrival.outcome_name or "?"), printable(arrival.phone_number or "-")
    print(f"webhook  {name:<18} {number:<14} {mark}{again}", flush=True)


def _keep_token(settings: Settings, token: str) -> None:
    path = token_file(settings)
    if path is None:
        return
    # Made anew, so that nobody who held the old file open can read it and its mode is ours.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{token}\n")
