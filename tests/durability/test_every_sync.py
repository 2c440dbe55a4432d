"""A process that dies at its n-th disk sync, for every n of one apply and its delivery (contract § 3 and § 8).

Twice for each n: killed, so that its files stay as they are, and with a power cut on top of it, so that what was
unsynced is gone. Then it starts again, and the delivery is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from durability.conftest import Run, Victims
from durability.disk import Disk, disk_after, write_files
from durability.scene import Scene, look, promises, repeat_all, set_up, settings_for
from leadline.domain.paging import page_request
from leadline.operations.deliveries import list_deliveries
from leadline.store.database import Database
from leadline.wiring import Runtime
from receiver import Receiver, ReceiverServer

KILLED = -9
AT_ONCE = 2
# Some syncs of a whole run come by time (maintenance, the alarm of a wrap-up) and may shift between others.
SYNCS_MIN = 6


@pytest.fixture(scope="module")
def receiver(receiver_server: ReceiverServer) -> Receiver:
    return Receiver(receiver_server)


@pytest.fixture(scope="module")
def stage(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, Mapping[str, bytes]]:
    return set_up(tmp_path_factory.mktemp("stage") / "data", 1, receiver.url)


def deaths(run_victim: Victims, scene: Scene, files: Mapping[str, bytes], syncs: int) -> Iterator[Run]:
    """One victim for each sync, killed before it takes effect, and one killed after."""
    moments = [(number, when) for number in range(1, syncs + 1) for when in ("BEFORE", "AFTER")]

    def die(moment: tuple[int, str]) -> Run:
        number, when = moment
        return run_victim(scene, files, "deliver", **{f"POWERCUT_KILL_{when}": str(number)})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(die, moments)


def test_a_process_that_dies_at_any_sync_keeps_its_promises(
    run_victim: Victims,
    stage: tuple[Scene, Mapping[str, bytes]],
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    scene, files = stage
    whole = run_victim(scene, files, "deliver")
    assert whole.status == 0, whole.output
    assert "delivered" in disk_after(files, whole.events).acknowledged
    assert whole.syncs >= SYNCS_MIN
    killed = 0
    for turn, run in enumerate(deaths(run_victim, scene, files, whole.syncs)):
        assert run.status in {KILLED, 0}, run.output
        killed += run.status == KILLED
        disk = disk_after(files, run.events)
        cut = tmp_path / f"cut-{turn}"
        write_files(cut, disk.after_cut())
        for directory in (run.directory, cut):
            assert_goes_on(directory, scene, disk, receiver)
    assert killed >= 2 * SYNCS_MIN


def assert_goes_on(directory: Path, scene: Scene, disk: Disk, receiver: Receiver) -> None:
    """What was promised is there, the retry changes nothing more, and the webhook goes out with the same bytes."""
    found = look(directory)
    assert not found.problems
    assert found.is_whole
    assert not found.lost(promises(disk.acknowledged))
    repeat_all(directory, scene)
    before = receiver.hits
    delivery_id, state = asyncio.run(deliver_rest(directory, scene))
    assert state == "succeeded"
    hits = [hit for hit in receiver.hits if hit.webhook_id == delivery_id]
    assert hits
    if found.succeeded:
        told = [hit for hit in before if hit.webhook_id == delivery_id]
        assert hits == told, "what is recorded as sent is not sent again"
    assert len({hit.body for hit in hits}) == 1


async def deliver_rest(directory: Path, scene: Scene) -> tuple[str, str]:
    """Start again and work until nothing is pending: the delivery's id and state."""
    runtime = Runtime(settings_for(directory), web=False)
    await runtime.start()
    try:
        async with asyncio.timeout(20):
            while (found := await the_delivery(runtime.database, scene))[1] == "pending":  # noqa: ASYNC110 - seen in the database
                await asyncio.sleep(0.005)
    finally:
        await runtime.stop()
    return found


async def the_delivery(database: Database, scene: Scene) -> tuple[str, str]:
    answer = await database.read(
        lambda tx: list_deliveries(tx, scene.workspace_id, page_request(None, None), {})
    )
    (row,) = answer.deliveries
    return row.delivery_id, row.state
