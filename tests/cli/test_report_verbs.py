"""`leadline report`: the API's numbers as tables, CSV and charts in the terminal."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness import Desk, Server, loopback_settings, run_server
from leadline.cli.commands import run
from leadline.cli.report_verbs import _KINDS, REPORT
from leadline.web.api.reports import KINDS


@pytest.fixture(scope="module")
def report_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("reports")
    servers: Iterator[Server] = run_server(f"sqlite:///{folder / 'r.db'}", folder, **loopback_settings())
    for server in servers:
        desk = Desk.open(server)
        outcome = desk.disposition(outcome_name="=Sale")
        desk.applied(desk.wrapping_call("ada")["call_id"], outcome["outcome_id"])
        yield desk


@pytest.fixture
def leadline(
    report_desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    for name in [name for name in os.environ if name.startswith("LEADLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LEADLINE_URL", report_desk.api.base_url)
    monkeypatch.setenv("LEADLINE_TOKEN", report_desk.api.token or "")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, status: int = 0) -> str:
        capsys.readouterr()
        came = run(["report", *arguments])
        printed = capsys.readouterr()
        assert came == status, printed
        return printed.err if status else printed.out

    return call


@pytest.mark.parametrize("verb", REPORT.verbs, ids=lambda verb: verb.name)
def test_a_report_is_a_table_csv_json_or_chart(verb: object, leadline: Callable[..., str]) -> None:
    name: str = verb.name  # type: ignore[attr-defined]
    kind = _KINDS[name.replace("-", "_")]
    assert "UTC" in leadline(name)
    assert json.loads(leadline(name, "--json"))["report"]["tz"] == "UTC"
    for table in kind.tables:
        rows = list(csv.reader(io.StringIO(leadline(name, "--csv", "--of", table))))
        assert rows[0] == list(kind.tables[table].__struct_fields__)
    for chart in kind.charts:
        root = ElementTree.fromstring(leadline(name, "--svg", "--of", chart))  # noqa: S314 - our own
        assert any(each.tag.endswith("style") for each in root)


def test_the_command_has_the_tables_of_the_api() -> None:
    assert {name: set(kind.tables) for name, kind in _KINDS.items()} == {
        name.replace("-", "_"): set(kind.tables) for name, kind in KINDS.items()
    }


def test_figures_and_names_are_shown(leadline: Callable[..., str]) -> None:
    shown = leadline("dispositions", "--agent", "ada", "--since", "2d", "--tz", "America/New_York")
    assert "=Sale" in shown
    assert "100%" in shown
    assert "'=Sale" in leadline("dispositions", "--csv")
    assert "applied" in leadline("outcomes")


def test_what_cannot_be_shown_is_said_in_a_line(leadline: Callable[..., str]) -> None:
    assert "there are: buckets, outcomes" in leadline("outcomes", "--of", "x", status=2)
    assert "contradict" in leadline("outcomes", "--csv", "--json", status=2)
    assert "time zone" in leadline("outcomes", "--tz", "Mars/Olympus", status=2)
