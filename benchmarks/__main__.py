"""`python -m benchmarks`: measure, print the tables, write the JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.measuring import Plan
    from benchmarks.report import Part

ENGINES = ("sqlite", "postgresql")
PARTS = ("apply", "read", "deliver", "grow", "processes")
# A real PostgreSQL is that of the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))


def main() -> int:
    """0 when everything was measured; whether it was fast is said in the table. `compare`: 1 when it got worse."""
    arguments = _parser().parse_args()
    if arguments.what == "compare":
        return _compare(arguments.files)
    return _measure(arguments)


def _compare(files: Sequence[Path]) -> int:
    from benchmarks.comparing import NothingInCommon, compare, is_regression, render  # noqa: PLC0415 - as below
    from benchmarks.report import from_json  # noqa: PLC0415 - as below

    if len(files) != 2:
        sys.stderr.write("compare takes two files: of the old run, and of the new one\n")
        return 2
    try:
        old, new = (from_json(file.read_bytes()) for file in files)
        found = compare(old, new)
    except (OSError, ValueError, NothingInCommon) as wrong:
        sys.stderr.write(f"they cannot be compared: {wrong}\n")
        return 2
    print(render(found), flush=True)
    return 1 if is_regression(found) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="How fast Leadline is, as ratios within one run."
    )
    parser.add_argument("what", nargs="?", choices=(*PARTS, "all", "compare"), default="all")
    parser.add_argument(
        "files", nargs="*", type=Path, help="with compare: the JSON of the old run, and of the new"
    )
    parser.add_argument("--quick", action="store_true", help="a second of everything: does it run at all")
    parser.add_argument("--runs", type=int, help="how often each is measured (5)")
    parser.add_argument("--seconds", type=float, help="how long each run measures (3)")
    parser.add_argument("--engine", choices=(*ENGINES, "both"), default="both")
    parser.add_argument("--rows", type=int, help="with grow: fill up to so many, however long it takes")
    parser.add_argument("--connections", type=int, nargs="+", help="how many at a time (1 16 64 256)")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the figures go")
    return parser


def _plan(arguments: argparse.Namespace) -> Plan:
    from benchmarks.measuring import QUICK, Plan  # noqa: PLC0415 - needs the path above

    chosen: dict[str, Any] = {
        "runs": arguments.runs,
        "seconds": arguments.seconds,
        "connections": arguments.connections,
        "rows_max": arguments.rows,
        "engines": ENGINES if arguments.engine == "both" else (arguments.engine,),
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    return Plan(**{**(QUICK if arguments.quick else {}), **given})


def _measure(arguments: argparse.Namespace) -> int:
    from benchmarks.ceiling import measure_ceiling  # noqa: PLC0415 - needs the path above
    from benchmarks.machine import describe  # noqa: PLC0415 - needs the path above
    from benchmarks.report import Report, render, to_json  # noqa: PLC0415 - as above

    plan = _plan(arguments)
    wanted = PARTS if arguments.what == "all" else (arguments.what,)
    parts = [measure_ceiling(plan)]
    parts += [part for name in wanted for part in _parts(name, plan)]
    plan.tell("")
    report = Report(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=describe(),
        places=str(plan.places),
        runs=plan.runs,
        seconds=plan.seconds,
        parts=parts,
    )
    print(render(report), flush=True)
    arguments.json.write_bytes(to_json(report))
    return 0


def _parts(name: str, plan: Plan) -> Iterator[Part]:
    from benchmarks.applying import measure_apply  # noqa: PLC0415 - needs the path above
    from benchmarks.delivering import measure_deliver  # noqa: PLC0415 - as above
    from benchmarks.growing import measure_grow  # noqa: PLC0415 - as above
    from benchmarks.reading import measure_read  # noqa: PLC0415 - as above
    from benchmarks.scaling import measure_processes  # noqa: PLC0415 - as above

    if name == "processes":
        if "postgresql" in plan.engines:
            yield measure_processes(plan)
        return
    if name == "grow":
        for engine in plan.engines:
            yield from measure_grow(plan, engine)
        return
    measures = {"apply": measure_apply, "read": measure_read, "deliver": measure_deliver}
    for engine in plan.engines:
        yield measures[name](plan, engine)


if __name__ == "__main__":
    sys.exit(main())
