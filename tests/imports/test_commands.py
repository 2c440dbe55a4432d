"""Imports and exports over HTTP and on the command line, and the guide as it stands."""

from __future__ import annotations

import base64
import csv
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cli.shell import assert_refused_in_words, leadline
from harness import (
    ABSENT,
    Api,
    Desk,
    Json,
    Server,
    assert_done,
    assert_refused,
    eventually,
    server_environment,
    unknown_id,
)
from leadline.cli.contact_files import mapped_columns
from leadline.cli.failures import UsageError
from leadline.wire.imports import ImportedColumn, ImportPreview

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "import-contacts.md"
FILE = "phone,name\n+12125550101,Ada\n12,Bad\n"


def uploaded(api: Api, text: str = FILE) -> str:
    import_id: str = assert_done(api.post("/contact-imports", json={}), 201)["contact_import"]["import_id"]
    body = {"number": 1, "data": base64.b64encode(text.encode()).decode()}
    assert_done(api.put(f"/contact-imports/{import_id}/parts", json=body))
    return import_id


def finished(api: Api, import_id: str) -> Json:
    def over() -> Json:
        found = assert_done(api.get(f"/contact-imports/{import_id}"))["contact_import"]
        return found if found["state"] not in ("uploading", "running") else None

    return eventually(over)


def test_an_import_from_its_first_part_to_its_problems(api: Api) -> None:
    import_id = uploaded(api)
    preview = assert_done(api.get(f"/contact-imports/{import_id}/preview"))["preview"]
    assert (preview["header"], preview["rows"]) == (
        ["phone", "name"],
        [["+12125550101", "Ada"], ["12", "Bad"]],
    )
    start = f"/contact-imports/{import_id}/start"
    assert_done(api.post(start, json={"dry_run": True}), 202)
    assert finished(api, import_id)["state"] == "checked"
    assert assert_done(api.get("/contacts"))["contacts"] == []
    first = api.post(start, json={}, key="once")
    assert_done(first, 202)
    done = finished(api, import_id)
    assert (done["state"], done["created"], done["failed"]) == ("done", 1, 1)
    again = api.post(start, json={}, key="once")
    assert (again.body, again.header("Idempotent-Replayed")) == (first.body, "true")
    (problem,) = assert_done(api.get(f"/contact-imports/{import_id}/problems"))["problems"]
    assert (problem["row"], problem["cells"]) == (3, ["12", "Bad"])
    assert_refused(api.post(start, json={}), 400, "invalid_request")
    listed = assert_done(api.get("/contact-imports"))["contact_imports"]
    assert [each["import_id"] for each in listed] == [import_id]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"number": 0, "data": "eA=="}, {"number"}),
        ({"number": 1, "data": "?"}, {"data"}),
        ({"number": 1, "data": ""}, {"data"}),
        ({"number": 2049, "data": base64.b64encode(b"x" * 46_081).decode()}, {"number", "data"}),
        ({"number": 1, "data": "é"}, {"data"}),
        ({"data": "eA=="}, {"number"}),
    ],
)
def test_a_part_that_cannot_be_taken_is_refused(shared_api: Api, body: Json, fields: set[str]) -> None:
    answer = shared_api.put(f"/contact-imports/{unknown_id()}/parts", json=body)
    assert_refused(answer, 400, "invalid_request")
    assert answer.fields == fields


def test_what_is_not_there_is_not_found(api: Api, shared_api: Api) -> None:
    import_id = uploaded(api)
    for path in ("", "/preview", "/problems"):
        assert_refused(shared_api.get(f"/contact-imports/{import_id}{path}"), 404, "not_found")
    for path in ("/start", "/cancel"):
        assert_refused(shared_api.post(f"/contact-imports/{import_id}{path}", json=ABSENT), 404, "not_found")
    assert_refused(shared_api.get("/contact-imports/nothing"), 404, "not_found")
    assert (
        assert_done(api.post(f"/contact-imports/{import_id}/cancel"))["contact_import"]["state"] == "canceled"
    )


def test_lists_need_their_scope(desk: Desk) -> None:
    api = desk.api_with("contacts:write")
    hot = assert_done(desk.api.post("/smart-lists", json={"smart_list_name": "Hot"}), 201)["smart_list"]
    import_id = uploaded(api)
    start = f"/contact-imports/{import_id}/start"
    joining = {"smart_list_ids": [hot["smart_list_id"]]}
    assert_refused(api.post(start, json=joining), 403, "forbidden")
    assert assert_done(api.get(f"/contact-imports/{import_id}"))["contact_import"]["state"] == "uploading"
    assert_done(desk.api_with("contacts:write", "lists:write").post(start, json=joining), 202)
    finished(api, import_id)
    assert_refused(desk.api_with("lists:read").get("/contact-imports"), 403, "forbidden")


def test_contacts_are_a_file_to_who_accepts_csv(api: Api) -> None:
    text = "phone,name\n" + "".join(f"+1212555{number},=N{number}\n" for number in range(2000, 3200))
    import_id = uploaded(api, text)
    assert_done(api.post(f"/contact-imports/{import_id}/start"), 202)
    assert finished(api, import_id)["created"] == 1200
    answer = api.get("/contacts", headers=[("Accept", "text/csv")])
    assert answer.status == 200
    assert answer.header("Content-Type") == "text/csv; charset=utf-8"
    assert answer.header("Content-Disposition") == 'attachment; filename="contacts.csv"'
    rows = list(csv.reader(answer.body.decode().splitlines()))
    assert len(rows) == 1201
    assert rows[1] == ["+12125553199", "'=N3199", "", "", ""]
    some = api.get("/contacts?q=n2001", headers=[("Accept", "text/csv")])
    assert some.body.count(b"\r\n") == 2
    for query in ("limit=5", "q=", "nope=1", "limit=1&cursor=x"):
        assert_refused(
            api.get(f"/contacts?{query}", headers=[("Accept", "text/csv")]), 400, "invalid_request"
        )
    assert_done(api.get("/contacts?limit=1", headers=[("Accept", "text/csv, application/json")]))


def test_an_import_goes_on_after_its_server_was_killed(
    make_database: Callable[[str], str], make_server: Callable[..., Server]
) -> None:
    url = make_database("sqlite")
    server = make_server(url)
    desk = Desk.open(server)
    text = "phone\n" + "".join(f"+1212555{number}\n" for number in range(2000, 4000))
    import_id = uploaded(desk.api, text)
    assert_done(desk.api.post(f"/contact-imports/{import_id}/start"), 202)
    path = f"/contact-imports/{import_id}"
    eventually(lambda: assert_done(desk.api.get(path))["contact_import"]["rows"] > 0)
    server.kill()
    api = desk.api.on(make_server(url).base_url)
    done = finished(api, import_id)
    assert (done["state"], done["rows"], done["created"]) == ("done", 2000, 2000)
    assert len(api.pages("/contacts", "contacts")) == 2000


# The command line


@pytest.fixture
def run(server: Server, desk: Desk, tmp_path: Path) -> Callable[..., Any]:
    def go(*arguments: str) -> Any:
        token = desk.api.token or ""
        return leadline(tmp_path, *arguments, "--url", server.base_url, LEADLINE_TOKEN=token)

    return go


def test_a_file_is_imported_and_exported_again(run: Callable[..., Any], desk: Desk, tmp_path: Path) -> None:
    assert_done(desk.api.post("/smart-lists", json={"smart_list_name": "Hot"}), 201)
    (tmp_path / "leads.csv").write_text("Nr,Who\n+12125550101,Ada\n12,Bad\n")
    done = run(
        "contact", "import", "leads.csv", "--column", "who=name", "--list", "hot", "--problems", "p.csv"
    )
    assert done.returncode == 1, done.stderr
    assert "Imported 2 rows: 1 created, 1 failed." in done.stdout
    assert list(csv.reader((tmp_path / "p.csv").read_text().splitlines())) == [
        ["row", "problems", "Nr", "Who"],
        ["3", "phone_number '12' is not a possible phone number", "12", "Bad"],
    ]
    assert run("contact", "export", "-o", "all.csv", "--list", "Hot").returncode == 0
    assert (tmp_path / "all.csv").read_text().splitlines()[1:] == ["+12125550101,Ada,,,Hot"]
    assert [each.name for each in tmp_path.glob(".*")] == []
    again = run("contact", "import", "all.csv", "--json")
    assert again.returncode == 0, again.stderr
    assert '"unchanged": 1' in again.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("none.csv",), 1, ("none.csv",)),
        (("empty.csv",), 1, ("empty",)),
        (("leads.csv", "--column", "Nope=name"), 2, ("'Nope'", "'phone'")),
        (("leads.csv", "--column", "phone=-"), 2, ("phone_number",)),
        (("leads.csv", "--list", "Nowhere"), 1, ("'Nowhere'",)),
        (("leads.csv", "--region", "XX"), 2, ("region",)),
    ],
)
def test_what_cannot_be_imported_is_told_and_leaves_nothing_open(
    run: Callable[..., Any],
    desk: Desk,
    tmp_path: Path,
    arguments: tuple[str, ...],
    status: int,
    words: tuple[str, ...],
) -> None:
    (tmp_path / "leads.csv").write_text(FILE)
    (tmp_path / "empty.csv").write_text("")
    assert_refused_in_words(run("contact", "import", *arguments), status, *words)
    states = {each["state"] for each in assert_done(desk.api.get("/contact-imports"))["contact_imports"]}
    assert states <= {"canceled"}


def test_columns_of_the_command_line_take_the_place_of_suggestions() -> None:
    preview = ImportPreview(
        encoding="utf-8",
        delimiter=",",
        has_header=True,
        header=["phone", "mobile", "who"],
        columns=[
            ImportedColumn(column=0, field="phone_number", key=None, type=None),
            ImportedColumn(column=2, field="name", key=None, type=None),
        ],
        column_count=3,
        rows=[],
    )
    assert mapped_columns(preview, ["Mobile=phone_number", "#3=attributes.a:b:boolean", "phone=-"]) == [
        {"column": 1, "field": "phone_number"},
        {"column": 2, "field": "attribute", "key": "a:b", "type": "boolean"},
    ]
    for wrong in ("phone", "#9=name", "phone=who", "nobody=name"):
        with pytest.raises(UsageError):
            mapped_columns(preview, [wrong])


# The guide


def test_the_guide_works_as_it_stands(server: Server, desk: Desk, tmp_path: Path) -> None:
    text = GUIDE.read_text()
    for name, content in re.findall(
        r"^<!-- file: (\S+) -->\n```csv\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    ):
        (tmp_path / name).write_text(content)
    command = tmp_path / "leadline"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m leadline "$@"\n')
    command.chmod(0o755)
    blocks = re.findall(r"^<!-- tested -->\n```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    environment = server_environment(
        LEADLINE_PORT=str(urlsplit(server.base_url).port), LEADLINE_TOKEN=desk.api.token or ""
    )
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    done = subprocess.run(
        ["/bin/bash", "-eu", "-c", "\n".join(blocks)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)
    (shown,) = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert done.stdout.startswith(shown)
    assert "2 unchanged" in done.stdout
    assert len(assert_done(desk.api.get("/contacts"))["contacts"]) == 2
    assert (tmp_path / "problems.csv").read_text().count("\n") == 2
