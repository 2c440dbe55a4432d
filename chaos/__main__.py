"""`python -m chaos`: run it, print the table, exit 1 when a promise was broken."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ENGINES = ("sqlite", "postgresql")
# A real PostgreSQL and the certificates are those of the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))


def main() -> int:
    """0 when every promise was kept."""
    arguments = _parser().parse_args()
    chosen = ENGINES if arguments.engine == "both" else (arguments.engine,)
    if arguments.what == "fairness":
        return _measure_fairness(chosen, arguments.seconds)
    kept = [_run(arguments, engine) for engine in chosen]
    return 0 if all(kept) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chaos", description="Leadline under fire, on loopback alone."
    )
    parser.add_argument("what", nargs="?", choices=("run", "fairness"), default="run")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="under fire; waiting for the end comes on top"
    )
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same plan of faults")
    parser.add_argument("--engine", choices=(*ENGINES, "both"), default="both")
    parser.add_argument("--lease", type=int, default=15, help="seconds of a claim's lease; as shipped: 40")
    parser.add_argument("--keep", type=Path, help="a folder for the logs of the processes")
    return parser


def _run(arguments: argparse.Namespace, engine: str) -> bool:
    from chaos.run import run  # noqa: PLC0415 - needs the path above
    from chaos.table import render  # noqa: PLC0415 - as above

    kept_in = arguments.keep / engine if arguments.keep else None
    report = run(arguments.seed, arguments.seconds, engine, lease_seconds=arguments.lease, kept_in=kept_in)
    print(render(report), end="\n\n", flush=True)
    return report.is_kept


def _measure_fairness(engines: tuple[str, ...], seconds: float) -> int:
    from chaos.fairness import measure  # noqa: PLC0415 - needs the path above

    for engine in engines:
        print(measure(engine, seconds), end="\n\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
