"""`leadline plan|apply|export|schema` against a running server, and the folder that `serve` applies."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from cli.shell import assert_refused_in_words, leadline
from harness import (
    Api,
    Desk,
    Server,
    ServerDidNotStart,
    assert_done,
    assert_refused,
    loopback_settings,
)
from leadline.cli.configuring import file_schema
from leadline.cli.yaml_reading import read_yaml

FILE = """\
smart_lists:
  - name: Hot
outcomes:
  - name: No
    type: disposition
    order: 10
    add_to: Hot
"""


class Shell:
    """The commands, with a token of the desk's workspace, in a folder."""

    def __init__(self, folder: Path, desk: Desk) -> None:
        self.folder = folder
        self.desk = desk

    def run(self, *arguments: str) -> Any:
        url, token = self.desk.api.base_url, self.desk.api.token or ""
        return leadline(self.folder, *arguments, "--url", url, LEADLINE_TOKEN=token)

    def file(self, text: str = FILE, name: str = "outcomes.yaml") -> str:
        (self.folder / name).write_text(text)
        return name

    def outcome_names(self) -> list[str]:
        return [each["outcome_name"] for each in assert_done(self.desk.api.get("/outcomes"))["outcomes"]]


def workspace_id_of(desk: Desk) -> str:
    found: str = assert_done(desk.api.get("/workspace"))["workspace"]["subaccount_id"]
    return found


@pytest.fixture
def shell(server: Server, desk: Desk, tmp_path: Path) -> Shell:
    return Shell(tmp_path, desk)


def test_plan_apply_export_and_plan_again(shell: Shell) -> None:
    name = shell.file()
    planned = shell.run("plan", "-f", name, "--detailed-exitcode")
    assert planned.returncode == 2, planned.stderr
    assert "+ 'Hot'" in planned.stdout
    assert "+ disposition 'No'" in planned.stdout
    assert shell.outcome_names() == []
    applied = shell.run("apply", "-f", name, "--yes")
    assert (applied.returncode, applied.stderr) == (0, "")
    assert "2 created" in applied.stdout
    assert shell.outcome_names() == ["No"]
    assert shell.run("plan", "-f", name, "--detailed-exitcode").returncode == 0
    exported = shell.run("export", "-o", "out.yaml", "--schema", "s.json")
    assert exported.returncode == 0, exported.stderr
    text = (shell.folder / "out.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=s.json\n")
    assert 'name: "No"' in text
    assert shell.run("plan", "-f", "out.yaml", "--prune", "--detailed-exitcode").returncode == 0


def test_problems_are_told_with_their_lines_and_nothing_is_changed(shell: Shell) -> None:
    name = shell.file(FILE + "  - name: 7\n    type: action\n  - name: B\n    typ: action\n")
    done = shell.run("apply", "-f", name, "--yes")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "leadline: outcomes.yaml has 3 problems; nothing was changed",
        "outcomes.yaml:8: outcomes[1].name must be text, got a whole number: put it in quotes",
        "outcomes.yaml:10: outcomes[2].type is required",
        "outcomes.yaml:11: outcomes[2].typ is not a known field",
    ]
    assert shell.outcome_names() == []


def test_applying_asks_and_nobody_can_be_asked_here(shell: Shell) -> None:
    assert_refused_in_words(shell.run("apply", "-f", shell.file()), 2, "--yes")
    assert shell.outcome_names() == []


def test_a_file_for_another_workspace_is_refused(shell: Shell) -> None:
    done = shell.run("apply", "-f", shell.file("workspace: Elsewhere\n" + FILE), "--yes")
    assert_refused_in_words(done, 1, "'Elsewhere'", workspace_id_of(shell.desk))
    named = shell.file(f"workspace: {workspace_id_of(shell.desk).upper()}\n" + FILE)
    assert shell.run("apply", "-f", named, "--yes").returncode == 0


def test_plans_and_configurations_are_json_for_programs(shell: Shell) -> None:
    plan = json.loads(shell.run("plan", "-f", shell.file(), "--json").stdout)["plan"]
    assert [each["name"] for each in plan["changes"]] == ["Hot", "No"]
    assert plan["created"] == 2
    assert json.loads(shell.run("apply", "-f", "outcomes.yaml", "-y", "--json").stdout)["plan"] == plan
    exported = json.loads(shell.run("export", "--json").stdout)
    assert exported["smart_lists"] == [{"name": "Hot", "was": None}]


def test_a_file_that_is_not_there_and_a_server_that_is_not_there_are_told(shell: Shell) -> None:
    assert_refused_in_words(shell.run("plan", "-f", "none.yaml"), 1, "none.yaml")
    done = leadline(shell.folder, "export", "--url", "http://127.0.0.1:9", "--token", "x")
    assert_refused_in_words(done, 6, "refused", "--url")


def test_the_schema_takes_what_the_server_takes(tmp_path: Path) -> None:
    printed = leadline(tmp_path, "schema")
    assert json.loads(printed.stdout) == file_schema()
    Draft202012Validator.check_schema(file_schema())
    schema = Draft202012Validator(file_schema())
    assert schema.is_valid(read_yaml(FILE.encode()).value)
    assert not schema.is_valid({"outcomes": [{"name": True, "type": "action"}]})
    assert not schema.is_valid({"outcomes": [{"name": "A", "type": "action", "typo": 1}]})
    assert not schema.is_valid({"outcomes": [{"name": "A", "type": "call"}]})


CONFIGURATION = read_yaml(FILE.encode()).value
BODY = {"configuration": CONFIGURATION}


def test_each_scope_of_both_nouns_is_needed(desk: Desk) -> None:
    reader = desk.api_with("outcomes:read", "lists:read")
    assert_done(reader.get("/configuration"))
    assert_done(reader.post("/configuration/plan", json=BODY))
    assert_refused(reader.put("/configuration", json=BODY), 403, "forbidden")
    for scopes in (("outcomes:write", "lists:read"), ("outcomes:read", "lists:write"), ("lists:write",)):
        assert_refused(desk.api_with(*scopes).put("/configuration", json=BODY), 403, "forbidden")
    assert_refused(desk.api_with("outcomes:write").get("/configuration"), 403, "forbidden")


def test_what_was_planned_is_applied_once_under_its_key(api: Api) -> None:
    planned = api.post("/configuration/plan", json=BODY)
    tag = planned.header("ETag") or ""
    assert tag == api.get("/configuration").header("ETag")
    first = api.put("/configuration", json=BODY, headers=[("If-Match", tag)], key="once")
    assert first.json["plan"] == assert_done(planned)["plan"]
    again = api.put("/configuration", json=BODY, headers=[("If-Match", tag)], key="once")
    assert (again.body, again.header("Idempotent-Replayed")) == (first.body, "true")
    stale = api.put("/configuration", json=BODY, headers=[("If-Match", tag)])
    assert_refused(stale, 412, "precondition_failed")
    assert first.header("ETag") == api.get("/configuration").header("ETag") != tag


def test_a_refusal_names_every_problem(api: Api) -> None:
    wrong = {
        "outcomes": [{"name": "A", "type": "action"}, {"name": "", "type": "disposition", "add_to": "X"}]
    }
    answer = api.put("/configuration", json={"configuration": wrong | {"smart_lists": []}})
    assert_refused(answer, 400, "invalid_request")
    assert answer.fields == {"configuration.outcomes[1].name", "configuration.outcomes[1].add_to"}
    both = {"name": "A", "type": "disposition", "add_to": "X", "remove_from": "all"}
    answer = api.put(
        "/configuration", json={"configuration": {"smart_lists": [{"name": "X"}], "outcomes": [both]}}
    )
    assert answer.fields == {"configuration.outcomes[0].remove_from"}


def test_a_document_that_is_too_large_for_a_request_comes_deflated(shell: Shell) -> None:
    lists = "".join(f"  - name: List number {number} of a campaign\n" for number in range(1000))
    outcomes = "".join(
        f"  - name: Outcome {number}\n    type: action\n    add_to: List number {number} of a campaign\n"
        f"    webhook_url: https://example.com/{'a' * 300}/{number}\n"
        for number in range(300)
    )
    name = shell.file(f"smart_lists:\n{lists}outcomes:\n{outcomes}")
    applied = shell.run("apply", "-f", name, "--yes", "--json")
    assert applied.returncode == 0, applied.stderr
    assert json.loads(applied.stdout)["plan"]["created"] == 1300
    assert shell.run("export", "-o", "all.yaml").returncode == 0
    planned = shell.run("plan", "-f", "all.yaml", "--prune", "--detailed-exitcode")
    assert planned.returncode == 0, (planned.stdout, planned.stderr)
    shell.file((shell.folder / "all.yaml").read_text() + "  - name: 7\n    type: action\n", "wrong.yaml")
    wrong = shell.run("plan", "-f", "wrong.yaml")
    assert "outcomes[300].name must be text" in wrong.stderr


@pytest.mark.parametrize(
    ("deflated", "says"),
    [
        ("?", "base64"),
        (base64.b64encode(b"xyz").decode(), "zlib"),
        (base64.b64encode(zlib.compress(b" " * 5_000_000)).decode(), "4 MiB"),
        (base64.b64encode(zlib.compress(b"{}")[:-1]).decode(), "cut short"),
        (base64.b64encode(zlib.compress(b"{}") + b"x").decode(), "follows"),
        (base64.b64encode(zlib.compress(b'{"a": NaN}')).decode(), "NaN"),
        (base64.b64encode(zlib.compress(b"[]")).decode(), "object"),
    ],
)
def test_what_does_not_inflate_to_a_document_is_refused(shared_api: Api, deflated: str, says: str) -> None:
    answer = shared_api.post("/configuration/plan", json={"configuration_deflated": deflated})
    assert_refused(answer, 400, "invalid_request")
    assert says in answer.json["details"][0]["message"]


@pytest.mark.parametrize("body", [{}, {"configuration": None}, BODY | {"configuration_deflated": "eA=="}])
def test_a_document_comes_in_one_form(shared_api: Api, body: Any) -> None:
    answer = shared_api.post("/configuration/plan", json=body)
    assert_refused(answer, 400, "invalid_request")
    assert answer.fields == {"configuration"}


# The folder


def folder(tmp_path: Path, **files: str) -> str:
    path = tmp_path / "provision"
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / f"{name}.yaml").write_text(text)
    return str(path)


def test_serve_applies_its_folder_before_it_says_that_it_is_ready(
    make_database: Callable[[str], str], make_server: Callable[..., Server], tmp_path: Path
) -> None:
    url = make_database("sqlite")
    (tmp_path / "provision").mkdir()
    (tmp_path / "provision" / ".hidden.yaml").write_text("not: taken")
    (tmp_path / "provision" / "notes.txt").write_text("not taken")
    where = folder(tmp_path, main=FILE)
    server = make_server(url, LEADLINE_PROVISION_DIR=where)
    token = next(word for word in server.log().split() if word.startswith("ll_"))
    names = [
        each["outcome_name"] for each in assert_done(Api(server.base_url, token).get("/outcomes"))["outcomes"]
    ]
    assert names == ["No"]
    assert server.stop() == 0
    folder(tmp_path, main=FILE + "  - name: B\n    type: action\n")
    with pytest.raises(ServerDidNotStart, match=r"main.yaml:8: outcomes\[1\].webhook_url is required"):
        make_server(url, LEADLINE_PROVISION_DIR=where)
    folder(tmp_path, main="workspace: Main\n" + FILE.replace("No", "Yes"))
    server = make_server(url, LEADLINE_PROVISION_DIR=where)
    outcomes = assert_done(Api(server.base_url, token).get("/outcomes"))["outcomes"]
    assert [each["outcome_name"] for each in outcomes] == ["No", "Yes"]


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    done = leadline(tmp_path, "serve", LEADLINE_PROVISION_DIR="nowhere", **loopback_settings())
    assert_refused_in_words(done, 1, "nowhere")
