"""Grow: the same work on more and more rows, among more and more workspaces, beside more and more event streams.

Every size has a database and a server of its own, and all take turns: what is compared was measured in the same
minutes.
"""

from __future__ import annotations

import contextlib
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from benchmarks import servers
from benchmarks.counted import Counter
from benchmarks.crowd import Crowd
from benchmarks.databases import Databases, databases
from benchmarks.delivering import Stage, stage
from benchmarks.filling import contact_ids, fill, past_of, room_for
from benchmarks.load import Window, request, run_load
from benchmarks.measuring import Key, Measure, Plan, Windows, in_turn
from benchmarks.neighbours import add_neighbours
from benchmarks.report import Figure, Part, ratio
from benchmarks.scene import Scene

SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000, 10_000_000), (100, 1_000)
WORKSPACES, QUICK_WORKSPACES = (1, 100, 10_000), (1, 20)
STREAMS, QUICK_STREAMS = (1, 100, 1_000), (1, 5)
# By itself it fills no longer than this on one engine; --rows takes the time it takes.
FILL_SECONDS_MAX = 120.0
FLAT = 0.85
CONTACTS_ASKED = 1_000
APPLY, CLAIM, DELIVERIES, CALLS, HISTORY = (
    "apply",
    "claim, send, record",
    "list of deliveries",
    "list of calls",
    "history of a contact",
)
TOLD = "apply at 10/s, each to every stream"
LISTS = {DELIVERIES: "/phone-system/webhook-deliveries", CALLS: "/phone-system/calls"}
APPLIES_BESIDE_STREAMS_PER_SECOND = 10.0


def measure_grow(plan: Plan, engine: str) -> Iterator[Part]:
    """The three parts on one engine."""
    with databases(engine, plan.places) as made:
        yield _measure_rows(plan, made)
    with databases(engine, plan.places) as made:
        yield _measure_workspaces(plan, made)
    with databases(engine, plan.places) as made:
        yield _measure_streams(plan, made)


# Rows


def _measure_rows(plan: Plan, made: Databases) -> Part:
    with contextlib.ExitStack() as stack:
        notes: list[str] = []
        by_size: dict[int, Mapping[str, Measure]] = {}
        filled, spent_seconds = 0, 0.0
        for size in QUICK_SIZES if plan.is_quick else SIZES:
            refusal = _refusal(plan, made, size, filled, spent_seconds)
            if refusal is not None:
                notes.append(f"{size:,} applied outcomes were left out: {refusal}.")
                continue
            began = time.monotonic()
            by_size[size] = stack.enter_context(_with_past(plan, made, size))
            filled, spent_seconds = filled + size, spent_seconds + time.monotonic() - began
        windows = _in_turn_by_case(
            plan, by_size, _rows_named, title=f"grow on {made.engine}, rows", failures=notes
        )
    return Part(
        name=f"Grow on {made.engine}: rows",
        command=_command(plan, made, f" --rows {max(by_size)}"),
        rows=windows.rows(),
        figures=list(_figures(made, windows, by_size, _rows_named)),
        notes=[
            *notes,
            "Each applied outcome has its call, delivery, attempt, event and stored answer with it.",
        ],
    )


@contextlib.contextmanager
def _with_past(plan: Plan, made: Databases, size: int) -> Iterator[Mapping[str, Measure]]:
    """A server on a database with a past of so many applied outcomes, and what is measured there."""
    contacts: list[str] = []

    def prepare(scene: Scene) -> None:
        past = past_of(scene, size)
        fill(scene, past, size, lambda done: plan.tell(f"filling {made.engine}: {done:,} applied"))
        contacts.extend(contact_ids(past, scene, size, CONTACTS_ASKED))

    with stage(plan, made, f"rows{size}", prepare=prepare) as on:
        yield _grown(on, contacts)


def _command(plan: Plan, made: Databases, more: str = "") -> str:
    return f"python -m benchmarks grow --engine {made.engine}{more} --runs {plan.runs}"


def _rows_named(size: int) -> str:
    return f"{size:,} applied"


def _refusal(plan: Plan, made: Databases, size: int, filled: int, spent_seconds: float) -> str | None:
    """Why so many rows are too many; None when they are not."""
    room = room_for(made.directory)
    if size > room:
        return f"the free disk has room for {room:,}"
    if plan.rows_max is not None:
        return None if size <= plan.rows_max else f"no more than {plan.rows_max:,} were asked for"
    expected_seconds = size * spent_seconds / filled if filled else 0.0
    if expected_seconds > FILL_SECONDS_MAX and not plan.is_quick:
        return f"filling would take about {expected_seconds:,.0f} s (--rows {size} takes them all the same)"
    return None


def _grown(on: Stage, contacts: Sequence[str]) -> Mapping[str, Measure]:
    """What is measured on a database with a past."""
    return {
        APPLY: partial(on.apply, None),
        CLAIM: on.deliver,
        **{name: partial(_get, on, path) for name, path in LISTS.items()},
        HISTORY: partial(_get, on, "/phone-system/contacts/{id}/history", contacts),
        **{f"report {path}": partial(_get, on, path) for path in _reports(on)},
    }


def _get(on: Stage, path: str, ids: Sequence[str] = ()) -> Window:
    """The first page of something, for each id in turn."""
    template = request("GET", path, headers=on.scene.authorization)
    orders = on.plan.orders(
        on.server, template, connections=on.plan.headline_connections, watched=on.made.watched
    )
    return run_load(orders, ids, again=True)


def _reports(on: Stage) -> Iterator[str]:
    """The reports that can be asked for without saying more."""
    from leadline.web.api import OPERATIONS  # noqa: PLC0415 - no other part needs the web

    for operation in OPERATIONS:
        if operation.method == "GET" and "/reports" in operation.path and "{" not in operation.path:
            url = f"http://127.0.0.1:{on.server.port}{operation.path}"
            asked = urllib.request.Request(url, headers=on.scene.authorization)
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(asked, timeout=60).close()  # noqa: S310 - as above
                yield operation.path


# Workspaces


def _measure_workspaces(plan: Plan, made: Databases) -> Part:
    with contextlib.ExitStack() as stack:
        by_count: dict[int, Mapping[str, Measure]] = {}
        for count in QUICK_WORKSPACES if plan.is_quick else WORKSPACES:
            plan.tell(f"making {count} workspaces on {made.engine}")
            on = stack.enter_context(stage(plan, made, f"workspaces{count}"))
            crowd = Crowd(on, [on.scene, *add_neighbours(on.scene, count - 1)])
            by_count[count] = {APPLY: crowd.apply, CLAIM: crowd.deliver}
        windows = _in_turn_by_case(
            plan, by_count, _workspaces_named, title=f"grow on {made.engine}, workspaces"
        )
    return Part(
        name=f"Grow on {made.engine}: workspaces",
        command=_command(plan, made),
        rows=windows.rows(),
        figures=list(_figures(made, windows, by_count, _workspaces_named)),
        notes=(
            "Applies and due deliveries are spread evenly over all workspaces, each with a token of its own.",
        ),
    )


def _workspaces_named(count: int) -> str:
    return f"{count:,} workspaces"


# Event streams


def _measure_streams(plan: Plan, made: Databases) -> Part:
    with contextlib.ExitStack() as stack:
        by_count: dict[int, Mapping[str, Measure]] = {}
        for count in QUICK_STREAMS if plan.is_quick else STREAMS:
            on = stack.enter_context(stage(plan, made, f"streams{count}"))
            (neighbour,) = add_neighbours(on.scene, 1)
            by_count[count] = {
                "apply, streams of another workspace": partial(
                    _beside_streams, on, neighbour.token, count, None
                ),
                TOLD: partial(_beside_streams, on, on.scene.token, count, APPLIES_BESIDE_STREAMS_PER_SECOND),
            }
        windows = _in_turn_by_case(plan, by_count, _streams_named, title=f"grow on {made.engine}, streams")
    return Part(
        name=f"Grow on {made.engine}: event streams",
        command=_command(plan, made),
        rows=windows.rows(),
        figures=list(_figures(made, windows, by_count, _streams_named)),
        notes=(
            "Streams of another workspace hear nothing of it; what they cost is that they are open.",
            "At 10 applies a second the processor time is that of an apply and of telling all the streams.",
        ),
    )


def _streams_named(count: int) -> str:
    return f"{count:,} streams"


def _beside_streams(on: Stage, token: str, count: int, rate_per_second: float | None) -> Window:
    counter_file = on.made.directory / f"streams{count}.{time.monotonic_ns()}"
    counter = Counter(counter_file)
    holder = servers.serving(
        "streams",
        ["-m", "benchmarks.streaming", str(on.server.port), token, str(count), str(counter_file)],
        port=0,
        cores=on.plan.places.generator,
    )
    with holder:
        on.await_number(counter.read, 1)
        window = on.apply_unsent(rate_per_second)
        if rate_per_second is not None:
            # Every stream hears of every apply.
            on.await_number(counter.read, 1 + count * window.requests_sent)
    return window


# Figures


def _in_turn_by_case(
    plan: Plan,
    measures: Mapping[int, Mapping[str, Measure]],
    named: Callable[[int], str],
    *,
    title: str,
    failures: list[str] | None = None,
) -> Windows:
    """All sizes in turn, case after case."""
    names = dict.fromkeys(name for each in measures.values() for name in each)
    cases: dict[Key, Measure] = {
        (name, named(size)): measures[size][name]
        for name in names
        for size in measures
        if name in measures[size]
    }
    return in_turn(plan, cases, title=title, failures=failures)


def _figures(
    made: Databases, windows: Windows, sizes: Mapping[int, Mapping[str, Measure]], named: Callable[[int], str]
) -> Iterator[Figure]:
    smallest, *others = sizes
    for name in sizes[smallest]:
        for size in others:
            if not (windows.of(name, named(smallest)) and windows.of(name, named(size))):
                continue  # the notes say why
            values = ratio(windows.per_second(name, named(size)), windows.per_second(name, named(smallest)))
            if name != TOLD:  # there the rate is given
                yield Figure(
                    name=f"{name}, {made.engine}: {named(size)} / {named(smallest)}",
                    values=values,
                    reach=FLAT,
                )
            yield Figure(
                name=f"the same by processor time: {name}, {made.engine}, {named(size)}",
                values=ratio(
                    windows.used_us(name, named(smallest), "server"),
                    windows.used_us(name, named(size), "server"),
                ),
            )
