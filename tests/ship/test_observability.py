"""What is shipped to watch a Leadline asks for numbers that it gives, and every number is documented."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from pathlib import Path

import pytest
import yaml

from harness import NOWHERE, Api, Desk, Server, eventually
from leadline import __version__
from leadline.delivery import worker as worker_module
from leadline.settings import Settings
from leadline.store.database import Tx
from leadline.wiring import Runtime

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "operating" / "runbook.md").read_text()
ALERTS = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "leadline.json").read_text())
NAME = re.compile(r"\b(?:leadline|process)_[a-z_]+")
# The words of PromQL that are used, so that a typo in a function is seen too.
FUNCTIONS = {
    "sum",
    "max",
    "rate",
    "increase",
    "topk",
    "histogram_quantile",
    "vector",
    "changes",
    "label_values",
}


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], set[str]]:
    """Families and sample names of a server that has answered a request and made an attempt."""
    folder = tmp_path_factory.mktemp("metrics")
    server = Server(
        f"sqlite:///{folder / 'metrics.db'}", folder, LEADLINE_WEBHOOK_ALLOW_CIDRS="127.0.0.0/8"
    ).start()
    desk = Desk.open(server)
    desk.apply(desk.call()["call_id"], desk.action(webhook_url=NOWHERE)["outcome_id"])
    eventually(lambda: b"leadline_webhook_attempts_total{" in desk.api.at_root().get("/metrics").body)
    text = desk.api.at_root().get("/metrics").body.decode()
    server.kill()
    families = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    # `_created` are times of birth that come with counters and histograms; nobody asks for them.
    families = {name for name in families if not name.endswith("_created")}
    samples = set(re.findall(r"^(\w+?)(?:\{| )", text, re.MULTILINE)) - {"#"}
    assert f'leadline_info{{version="{__version__}"}} 1.0' in text
    return families, samples


def queries() -> list[str]:
    """Every query of the dashboard and of the alerts."""
    found = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    found += [each["expr"] for each in DASHBOARD["annotations"]["list"]]
    found += [each["definition"] for each in DASHBOARD["templating"]["list"] if "definition" in each]
    return found + [rule["expr"] for rule in ALERTS]


@pytest.mark.parametrize("query", queries())
def test_a_query_asks_for_what_is_exposed(query: str, exposed: tuple[set[str], set[str]]) -> None:
    _, samples = exposed
    names = set(NAME.findall(query)) | ({"up"} & set(re.findall(r"\w+", query)))
    assert names
    assert names - {"up"} <= samples
    assert set(re.findall(r"\b([a-z_]+)\(", query)) <= FUNCTIONS
    for opening, closing in ("()", "[]", "{}"):
        assert query.count(opening) == query.count(closing)


def test_every_metric_is_documented_and_no_other(exposed: tuple[set[str], set[str]]) -> None:
    families, _ = exposed
    page = (ROOT / "docs" / "operating" / "metrics.md").read_text()
    rows = "\n".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)(?:\{[^}]*\})?`", rows)) == families


def test_the_dashboards_panels_do_not_overlap_and_have_names() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["description"] for panel in DASHBOARD["panels"] if panel["type"] != "row")


def test_every_alert_has_a_section_in_the_runbook_and_every_section_an_alert() -> None:
    names = [rule["alert"] for rule in ALERTS]
    assert re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE) == names
    for rule in ALERTS:
        assert rule["annotations"]["runbook"] == f"docs/operating/runbook.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")
    for section in RUNBOOK.split("\n## ")[1:]:
        assert all(f"**{part}.**" in section for part in ("Means", "Look at", "Do")), section[:40]


async def status(port: int, path: str, *, token: str | None = None, method: str = "GET") -> int:
    """What a request on a connection of its own is answered with."""
    api = Api(f"http://127.0.0.1:{port}", token, prefix="")
    answer = await asyncio.to_thread(api.request, method, path, key=None)
    return answer.status


async def test_a_worker_tells_its_health_and_its_numbers_and_nothing_else(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'worker.db'}", worker_port=port, metrics_token="numbers"
    )
    worker = Runtime(settings, web=False)
    await worker.start()
    try:
        assert await status(port, "/readyz") == 200
        assert await status(port, "/healthz") == 200
        assert await status(port, "/metrics") == 401
        assert await status(port, "/metrics", token="numbers") == 200
        assert await status(port, "/healthz", method="POST") == 405
        for path in ("/phone-system/outcomes", "/docs", "/", "/openapi.json", "/sign-in"):
            assert await status(port, path) == 404
    finally:
        await worker.stop()


async def test_a_worker_that_cannot_do_its_work_is_not_ready_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    look = worker_module.workspaces_due  # type: ignore[attr-defined]

    async def look_or_fail(tx: Tx) -> list[str]:
        if fails:
            raise ValueError("nobody foresaw this")
        return list(await look(tx))

    async def answers(wanted: int) -> None:
        async with asyncio.timeout(30):
            while await status(port, "/readyz") != wanted:  # noqa: ASYNC110 - it rings no bell
                await asyncio.sleep(0.05)

    fails = True
    monkeypatch.setattr(worker_module, "workspaces_due", look_or_fail)
    worker = Runtime(
        Settings(database_url=f"sqlite:///{tmp_path / 'worker.db'}", worker_port=port), web=False
    )
    await worker.start()
    try:
        await answers(503)
        assert await status(port, "/healthz") == 200
        fails = False
        await answers(200)
    finally:
        await worker.stop()
