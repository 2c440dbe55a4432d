"""Read: the list of a workspace's outcomes against two echoes of as many bytes."""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Iterator
from functools import partial

import msgspec

from benchmarks import bulk, servers
from benchmarks.databases import databases
from benchmarks.load import request, run_load
from benchmarks.measuring import Key, Measure, Plan, Windows, in_turn
from benchmarks.report import Figure, Part, ratio
from benchmarks.scene import ANY_AUTHORIZATION, NOWHERE, Scene, make_scene
from leadline.ids import new_id
from leadline.store.database import Tx
from leadline.store.outcomes import OutcomeRow, get_outcome
from leadline.wiring import write_once

OUTCOMES = (5, 50, 500)
HEADLINE_OUTCOMES = 50
LIST, ECHO, BARE = "list", "echo", "bare echo"
PATH = "/phone-system/outcomes"


def measure_read(plan: Plan, engine: str) -> Part:
    """The part on one engine."""
    with databases(engine, plan.places) as made:
        database_url = made.create("read")
        scenes = {count: _workspace_of(database_url, count) for count in OUTCOMES}
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(servers.leadline(database_url, plan.places.server))
            bare = stack.enter_context(servers.echo(plan.places.server))
            cases: dict[Key, Measure] = {}
            for count, scene in scenes.items():
                asking = request("GET", PATH, headers=scene.authorization)
                size_bytes = _size_bytes(server, scene, count)
                echoed = make_scene(made.create(f"echo{count}"), NOWHERE, paused=True)
                echo = stack.enter_context(
                    servers.checked_echo(echoed.database_url, plan.places.server, size_bytes)
                )
                asking_echo = request("GET", PATH, headers=echoed.authorization)
                as_many = request("GET", f"{PATH}/{size_bytes:08d}", headers=ANY_AUTHORIZATION)
                case = f"{count} outcomes, {size_bytes / 1000:.0f} kB"
                orders = partial(plan.orders, connections=plan.headline_connections)
                cases[case, LIST] = partial(run_load, orders(server, asking, watched=made.watched))
                cases[case, ECHO] = partial(run_load, orders(echo, asking_echo))
                cases[case, BARE] = partial(run_load, orders(bare, as_many))
            windows = in_turn(plan, cases, title=f"read on {engine}")
    return Part(
        name=f"Read on {engine}",
        command=f"python -m benchmarks read --engine {engine} --runs {plan.runs}",
        rows=windows.rows(),
        figures=list(_figures(engine, windows, [case for case, subject in cases if subject == LIST])),
        notes=(
            f"{plan.headline_connections} connections, which ask for the same list again and again.",
            "The echo passes every check of the request and answers as many bytes; the bare echo has HTTP alone.",
        ),
    )


def _workspace_of(database_url: str, count: int) -> Scene:
    """A workspace with so many outcomes, all with a list and a webhook."""
    scene = make_scene(database_url, NOWHERE, paused=True)

    async def first(tx: Tx) -> OutcomeRow:
        row = await get_outcome(tx, scene.workspace_id, scene.outcome_id)
        assert row is not None
        return row

    row = write_once(database_url, first)
    others = [
        msgspec.structs.replace(
            row, outcome_id=new_id(), outcome_name=f"Interested {number}", display_order=number
        )
        for number in range(1, count)
    ]
    bulk.insert(database_url, [("outcomes", others)])
    return scene


def _size_bytes(server: servers.Server, scene: Scene, count: int) -> int:
    """How long the answer is: of one, looked at closely."""
    asked = urllib.request.Request(f"http://127.0.0.1:{server.port}{PATH}", headers=scene.authorization)
    with urllib.request.urlopen(asked, timeout=30) as answered:  # noqa: S310 - our own server
        content: bytes = answered.read()
    assert len(msgspec.json.decode(content)["outcomes"]) == count
    return len(content)


def _figures(engine: str, windows: Windows, cases: list[str]) -> Iterator[Figure]:
    for count, case in zip(OUTCOMES, cases, strict=True):
        yield Figure(
            name=f"list of {count} outcomes / echo, {engine}",
            values=ratio(windows.per_second(case, LIST), windows.per_second(case, ECHO)),
            reach=0.70 if count == HEADLINE_OUTCOMES else None,
        )
        yield Figure(
            name=f"the same by processor time, {engine}, {count} outcomes",
            values=ratio(windows.used_us(case, ECHO, "server"), windows.used_us(case, LIST, "server")),
        )
        yield Figure(
            name=f"list of {count} outcomes / bare echo, {engine}",
            values=ratio(windows.per_second(case, LIST), windows.per_second(case, BARE)),
        )
