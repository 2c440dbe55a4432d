"""What a run found: rows of measurements, figures with what they should reach, as a table and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec


class Unit(StrEnum):
    RATIO = "ratio"
    """Of two things measured in turn in one run; the only figures that mean something on another day."""
    COUNT = "count"
    """Of events, such as statements for an apply; as good as a ratio."""
    PER_SECOND = "per_second"
    MS = "ms"
    US = "us"
    MB = "mb"
    PERCENT = "percent"


class Better(StrEnum):
    HIGHER = "higher"
    LOWER = "lower"


class Values(msgspec.Struct, frozen=True):
    """One value for each run. A run that could not measure it has none."""

    unit: Unit
    runs: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    def __str__(self) -> str:
        """The median, and from where to where the runs went."""
        if not self.runs:
            return "-"
        shown = _FORMATS[self.unit]
        if len(self.runs) == 1:
            return shown.format(self.median)
        return f"{shown.format(self.median)} ({shown.format(min(self.runs))}-{shown.format(max(self.runs))})"


_FORMATS: Mapping[Unit, str] = {
    Unit.RATIO: "{:.2f}",
    Unit.COUNT: "{:.2f}",
    Unit.PER_SECOND: "{:,.0f}",
    Unit.MS: "{:.1f}",
    Unit.US: "{:,.0f}",
    Unit.MB: "{:.0f}",
    Unit.PERCENT: "{:.0f}",
}


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number that says whether it is fast. `reach` is what it should be, None when nobody said."""

    name: str
    values: Values
    better: Better = Better.HIGHER
    reach: float | None = None

    @property
    def is_comparable(self) -> bool:
        """Whether it may be held against another run's: times may not, for the machine has moods."""
        return self.values.unit in (Unit.RATIO, Unit.COUNT)

    @property
    def is_reached(self) -> bool | None:
        if self.reach is None or not self.values.runs:
            return None
        median = self.values.median
        return median >= self.reach if self.better is Better.HIGHER else median <= self.reach


class Row(msgspec.Struct, frozen=True):
    """Measurements of one subject in one case, by column."""

    case: str
    subject: str
    columns: Mapping[str, Values]
    remarks: Sequence[str] = ()


class Part(msgspec.Struct, frozen=True):
    """One of the things that are measured. `notes` say how, where a reader could take it otherwise."""

    name: str
    command: str
    rows: Sequence[Row]
    figures: Sequence[Figure]
    notes: Sequence[str] = ()


class Report(msgspec.Struct, frozen=True):
    """A whole run."""

    made_at: str
    machine: Mapping[str, str]
    places: str
    runs: int
    seconds: float
    parts: Sequence[Part]


def ratio(over: Sequence[float], under: Sequence[float]) -> Values:
    """Run by run, so that what was slow for both in one run is slow for neither in the ratio."""
    return Values(Unit.RATIO, [a / b for a, b in zip(over, under, strict=True) if b])


def render(report: Report) -> str:
    """The tables for people."""
    machine = (
        f"{report.machine['processor']}, {report.machine['cores']} cores, {report.machine['system']},"
        f" Python {report.machine['python']}; {report.places}"
    )
    how = f"median of {report.runs} runs of {report.seconds:g} s each (lowest-highest), subjects in turn"
    return "\n\n".join([f"{machine}\n{how}", *map(render_part, report.parts)])


def render_part(part: Part) -> str:
    lines = [f"# {part.name}: {part.command}"]
    lines += [*aligned([*_row_cells(part)], left=2), ""] if part.rows else []
    if part.figures:
        lines += aligned(
            [("figure", "median (lowest-highest)", "reach", ""), *map(_figure_cells, part.figures)]
        )
    return "\n".join([*lines, *part.notes])


_COLUMNS = ("per second", "p50 ms", "p99 ms", "CPU µs", "PostgreSQL CPU µs", "statements", "generator %")


def _row_cells(part: Part) -> Iterator[Sequence[str]]:
    there = {name for row in part.rows for name in row.columns}
    columns = [name for name in _COLUMNS if name in there]
    assert len(columns) == len(there)
    yield ("case", "subject", *columns, "")
    for row in part.rows:
        cells = [str(row.columns[name]) if name in row.columns else "" for name in columns]
        yield (row.case, row.subject, *cells, "; ".join(row.remarks))


def _figure_cells(figure: Figure) -> Sequence[str]:
    if figure.reach is None:
        return (figure.name, str(figure.values), "", "")
    sign = "≥" if figure.better is Better.HIGHER else "≤"
    verdict = {True: "reached", False: "MISSED", None: "not measured"}[figure.is_reached]
    return (figure.name, str(figure.values), f"{sign} {figure.reach:g}", verdict)


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Cells under one another, with a line under the first row; the first columns and the last to the left."""
    last = len(rows[0]) - 1
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < left or column == last else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def to_json(report: Report) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def from_json(content: bytes) -> Report:
    """Raises msgspec.ValidationError and msgspec.DecodeError."""
    decoded: Any = msgspec.json.decode(content, type=Report)
    assert isinstance(decoded, Report)
    return decoded
