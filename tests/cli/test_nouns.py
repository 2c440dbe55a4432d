"""`leadline NOUN VERB`: every operation of the API is a command, and each does what it says on a real server."""

from __future__ import annotations

import inspect
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness import Desk, Server, fresh_phone_number, loopback_settings, run_server, server_environment
from leadline.cli.commands import run
from leadline.cli.nouns import NOUNS, WORKSPACE
from leadline.cli.printing import printable
from leadline.cli.reading import read_attributes, read_time
from leadline.cli.verbs import Verb
from leadline.client import Client, errors
from leadline.web.api import OPERATIONS

VERBS = [(noun.name, verb) for noun in (*NOUNS, WORKSPACE) for verb in noun.verbs]
AROUND = {"limit", "cursor", "idempotency_key", "if_match", "known"}
each_verb = pytest.mark.parametrize(
    ("noun", "verb"), VERBS, ids=[f"{noun} {verb.name}" for noun, verb in VERBS]
)


def test_every_operation_of_the_table_is_one_command() -> None:
    assert sorted(verb.operation for _, verb in VERBS) == sorted(operation.name for operation in OPERATIONS)


@each_verb
def test_a_command_takes_every_argument_of_its_operation(noun: str, verb: Verb) -> None:
    typed = {*verb.places, *verb.flags, *verb.inferred}
    assert typed == set(inspect.signature(verb.describe).parameters) - AROUND


@each_verb
def test_a_command_explains_itself(noun: str, verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([noun, verb.name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert verb.help.replace("`", "")[:40] in " ".join(shown.split())
    for place in verb.places:
        assert place.upper() in shown
    for text in (verb.help, *verb.places.values(), *verb.flags.values()):
        assert text.endswith(".")
        assert text[0].isupper() or text.startswith("--")


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("nouns")
    yield from run_server(f"sqlite:///{folder / 'nouns.db'}", folder, **loopback_settings())


@pytest.fixture
def own_desk(own_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    """A fresh workspace that the environment leads to."""
    desk = Desk.open(own_server)
    for name in [name for name in os.environ if name.startswith("LEADLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LEADLINE_URL", desk.api.base_url)
    monkeypatch.setenv("LEADLINE_TOKEN", desk.api.token or "")
    monkeypatch.chdir(tmp_path)
    return desk


@pytest.fixture
def client(own_desk: Desk) -> Iterator[Client]:
    with Client(own_desk.api.base_url, own_desk.api.token or "") as made:
        yield made


Call = Callable[..., Any]


@pytest.fixture
def leadline(own_desk: Desk, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command line; what it printed. With `--json`, parsed."""

    def call(*arguments: str, status: int = 0) -> Any:
        capsys.readouterr()
        came = run(arguments)
        printed = capsys.readouterr()
        assert came == status, printed
        if status:
            assert printed.err.startswith("leadline: ")
            assert len(printed.err.strip().splitlines()) == 1
            return printed.err
        return json.loads(printed.out) if "--json" in arguments else printed.out

    return call


def test_a_call_is_played_by_commands(leadline: Call, own_desk: Desk) -> None:
    warm = leadline("list", "create", "Warm", "--json")["smart_list"]["smart_list_id"]
    action = leadline(
        "outcome", "create", "Interested", "--type", "action", "--order", "5",
        "--to-list", warm, "--webhook-url", "https://example.com/hook", "--json",
    )["outcome"]  # fmt: skip
    assert (action["destination_type"], action["order"]) == ("smart_list", 5)
    sale = leadline("outcome", "create", "Sale", "--type", "disposition", "--remove-from", "all", "--json")[
        "outcome"
    ]
    assert sale["destination"]["remove_from_smart_lists"] == {"all": True}
    call = leadline("call", "start", "+1 555 555 0100", "--agent", "ada", "--state", "ringing", "--json")[
        "call"
    ]
    assert leadline("call", "answer", call["call_id"], "--json")["call"]["state"] == "live"
    preview = leadline("call", "apply", call["call_id"], action["outcome_id"], "--dry-run")
    assert "dry_run" in preview
    applied = leadline("call", "apply", call["call_id"], action["outcome_id"], "--note", "Tuesday")
    assert "call_state" in applied
    assert "Tuesday" in applied
    assert "wrap_up" in leadline("call", "end", call["call_id"], "--result", "completed")
    refused = leadline("call", "start", "+15555550101", "--agent", "ada", status=5)
    assert call["call_id"] in refused
    assert "call apply" in refused
    assert "required" in leadline("call", "list", "--agent", "ada", "--since", "1h")
    assert "wrap_up" in leadline("agent", "list")
    assert call["call_id"] in leadline("agent", "get", "ada")
    leadline("call", "apply", call["call_id"], sale["outcome_id"])
    assert "Sale" in leadline("call", "list")
    assert leadline("call", "get", call["call_id"], "--json")["call"]["state"] == "closed"
    inbound = leadline("call", "start", "--contact", call["contact_id"], "--direction", "inbound", "--json")[
        "call"
    ]
    assert inbound["phone_number"] == "+15555550100"
    history = leadline("contact", "history", call["contact_id"])
    assert "joined Warm" in history
    assert "left Warm" in history
    told = leadline("event", "list", "--all", "--json")["events"]
    assert "call.closed" in [event["type"] for event in told]
    # The webhook's attempt may come to its end meanwhile and tell of it, too.
    after = leadline("event", "list", "--after", told[-2]["event_id"], "--json")["events"]
    assert after[0] == told[-1]


def test_contacts_lists_and_their_changes(leadline: Call) -> None:
    contact = leadline(
        "contact", "create", "+15555550102", "--name", "Dana", "--external-id", "7",
        "--attribute", "plan=annual", "--attribute", "vip=true", "--attribute", "seats=12", "--json",
    )["contact"]  # fmt: skip
    assert contact["attributes"] == {"plan": "annual", "vip": True, "seats": 12}
    contact_id = contact["contact_id"]
    changed = leadline(
        "contact", "change", contact_id, "--name", "Dana W", "--clear", "external-id", "--json"
    )
    assert (changed["contact"]["name"], changed["contact"]["external_id"]) == ("Dana W", None)
    assert changed["contact"]["attributes"]["vip"] is True
    leadline("contact", "change", contact_id, "--clear", "attribute")
    assert "nothing to change" in leadline("contact", "change", contact_id, status=2)
    leadline("contact", "change", contact_id, "--clear", "name", "--name", "x", status=2)
    leadline("contact", "change", contact_id, "--attribute", "novalue", status=2)
    smart_list_id = leadline("list", "create", "Warm", "--json")["smart_list"]["smart_list_id"]
    assert "request" in leadline("list", "add", smart_list_id, contact_id)
    assert "Dana W" in leadline("list", "members", smart_list_id)
    assert "Warm" in leadline("contact", "list", "--search", "Dana")
    assert "1" in leadline("list", "get", smart_list_id)
    assert "Hot" in leadline("list", "rename", smart_list_id, "Hot")
    assert contact_id in leadline("list", "remove", smart_list_id, contact_id)
    assert leadline("list", "delete", smart_list_id, "--yes").strip().endswith("was deleted.")
    assert leadline("contact", "erase", contact_id, "--yes").strip().endswith("was erased.")
    assert "contact_not_found" in leadline("contact", "get", contact_id, status=3)


def test_deliveries_endpoints_replays_and_secrets(leadline: Call, own_desk: Desk) -> None:
    action = own_desk.action()
    endpoint_id = leadline("endpoint", "list", "--json")["endpoints"][0]["endpoint_id"]
    paused = leadline("endpoint", "change", endpoint_id, "--state", "paused", "--rate-limit", "2.5", "--json")
    assert paused["endpoint"]["rate_limit_per_second"] == 2.5
    leadline("endpoint", "change", endpoint_id, "--clear", "rate-limit", "--timeout", "3")
    assert "paused" in leadline("endpoint", "get", endpoint_id)
    sample = leadline("endpoint", "test", endpoint_id, "--json")["delivery"]["delivery_id"]
    assert "canceled" in leadline("delivery", "cancel", sample)
    assert "pending" in leadline("delivery", "retry", sample)
    assert sample in leadline("delivery", "list", "--endpoint", endpoint_id, "--since", "1h")
    assert "payload.outcome.outcome_name" in leadline("delivery", "get", sample)
    replay = leadline(
        "replay", "start", "--since", "2h", "--state", "canceled", "--state", "exhausted", "--json"
    )["replay"]
    assert sorted(replay["states"]) == ["canceled", "exhausted"]
    assert replay["replay_id"] in leadline("replay", "get", replay["replay_id"])
    leadline("replay", "cancel", replay["replay_id"])
    assert "signing_with" in leadline("secret", "get")
    assert leadline("secret", "rotate", "--overlap", "60").startswith("whsec_")
    replaced = leadline(
        "outcome", "replace", action["outcome_id"], "Done", "--type", "disposition", "--json"
    )["outcome"]
    assert replaced["webhook_url"] is None
    leadline(
        "outcome",
        "replace",
        action["outcome_id"],
        "X",
        "--type",
        "disposition",
        "--if-match",
        '"old"',
        status=5,
    )
    assert "Done" in leadline("outcome", "list")
    assert "was deleted" in leadline("outcome", "delete", action["outcome_id"], "--yes")


def test_the_tokens_own_workspace_is_shown_and_changed(leadline: Call, own_desk: Desk) -> None:
    assert own_desk.subaccount_id in leadline("workspace", "get")
    changed = leadline("workspace", "change", "--wrap-up-timeout", "60", "--no-outcomes", "--json")[
        "workspace"
    ]
    assert (changed["wrap_up_timeout_seconds"], changed["outcomes_enabled"]) == (60, False)
    changed = leadline("workspace", "change", "--clear", "wrap-up-timeout", "--outcomes", "--json")[
        "workspace"
    ]
    assert (changed["wrap_up_timeout_seconds"], changed["outcomes_enabled"]) == (None, True)


def test_a_list_goes_on_where_it_stopped(
    leadline: Call, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [client.create_smart_list(smart_list_name=f"L{number}").smart_list_id for number in range(5)]
    made.reverse()

    def ids(*arguments: str) -> list[str]:
        return [
            each["smart_list_id"] for each in leadline("list", "list", *arguments, "--json")["smart_lists"]
        ]

    assert ids() == made
    assert ids("--limit", "2") == made[:2]
    assert ids("--limit", "1", "--all") == made
    cursor = leadline("list", "list", "--limit", "2", "--json")["next_cursor"]
    assert ids("--cursor", cursor) == made[2:]
    assert run(["list", "list", "--limit", "2"]) == 0
    printed = capsys.readouterr()
    assert f"--cursor {cursor}" in printed.err
    assert len(printed.out.splitlines()) == 3
    leadline("list", "list", "--limit", "0", status=2)


def test_a_long_list_takes_several_pages(leadline: Call, client: Client) -> None:
    for number in range(205):
        client.create_smart_list(smart_list_name=f"L{number}")
    assert len(leadline("list", "list", "--all", "--json")["smart_lists"]) == 205
    assert len(leadline("list", "list", "--limit", "203", "--json")["smart_lists"]) == 203


def test_the_same_key_does_nothing_twice(leadline: Call) -> None:
    arguments = ("contact", "create", "+15555550103", "--idempotency-key", "k-1", "--json")
    assert leadline(*arguments) == leadline(*arguments)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("contact", "get", "x"), 3, "contact_not_found"),
        (("outcome", "create", " ", "--type", "action"), 2, "webhook_url"),
        (("outcome", "create", "A", "--type", "shout"), 2, "action"),
        (
            ("outcome", "create", "A", "--type", "action", "--to-list", "a", "--remove-from", "b"),
            2,
            "not both",
        ),
        (
            ("outcome", "create", "A", "--type", "action", "--remove-from", "all", "--remove-from", "b"),
            2,
            "all",
        ),
        (("contact", "list", "--token", "wrong"), 4, "LEADLINE_TOKEN"),
        (("contact", "list", "--url", "http://127.0.0.1:1"), 6, "leadline serve"),
        (("contact", "list", "--url", "ftp://x"), 2, "url"),
        (("call", "list", "--since", "whenever"), 2, "no time"),
        (("contact", "frobnicate"), 2, ""),
        (("contact", "list", "--wat"), 2, ""),
        (("contact",), 0, ""),
        (("outcome", "delete", "x"), 2, "--yes"),
        (("contact", "erase", "x"), 2, "--yes"),
        (("contact", "get", ""), 2, "empty"),
    ],
    ids=str,
)
def test_exit_statuses_say_what_went_wrong(
    leadline: Call, arguments: tuple[str, ...], status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        assert words in leadline(*arguments, status=status)


def test_a_token_without_the_scope_is_told_how_to_get_one(leadline: Call, own_desk: Desk) -> None:
    weak = own_desk.api_with("lists:read").token or ""
    assert "token create" in leadline("contact", "list", "--token", weak, status=4)
    leadline("list", "list", "--token", weak)


def test_every_refusal_has_an_exit_status_that_is_documented() -> None:
    from leadline.cli.failures import explain  # noqa: PLC0415 - only here

    page = (Path(__file__).parents[2] / "docs" / "reference" / "commands.md").read_text()
    for kind in errors.CLASS_OF_CODE.values():
        explained = explain(kind(errors.Refusal(status=400, code="c", message="m.")))
        assert explained is not None
        assert explained[1] in (2, 3, 4, 5, 6)
        assert f"| {explained[1]} |" in page


def on_a_terminal(arguments: list[str], typed: bytes, **settings: str) -> tuple[int, str]:
    """A command with a person before it: exit status, and what the terminal showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "leadline", *arguments],
        stdin=theirs, stdout=theirs, stderr=theirs, env=server_environment(TERM="xterm", COLUMNS="200", **settings),
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, typed)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux says so at the end of a terminal
            break
        if not chunk:
            break
        shown += chunk
    os.close(ours)
    return process.wait(timeout=30), shown.decode()


def test_a_person_is_asked_before_something_is_gone(own_desk: Desk) -> None:
    where = {"LEADLINE_URL": own_desk.api.base_url, "LEADLINE_TOKEN": own_desk.api.token or ""}
    contact_id = own_desk.contact()["contact_id"]
    status, shown = on_a_terminal(["contact", "erase", contact_id], b"n\n", **where)
    assert status == 1
    assert "Erase the contact" in shown
    assert own_desk.api.get(f"/contacts/{contact_id}").status == 200
    status, shown = on_a_terminal(["contact", "erase", contact_id], b"y\n", **where)
    assert status == 0, shown
    assert own_desk.api.get(f"/contacts/{contact_id}").status == 404


def test_a_table_has_colour_on_a_terminal_unless_nobody_wants_it(own_desk: Desk) -> None:
    where = {"LEADLINE_URL": own_desk.api.base_url, "LEADLINE_TOKEN": own_desk.api.token or ""}
    contact = own_desk.contact(name="Dana [bold]W[/bold]")
    status, shown = on_a_terminal(["contact", "list"], b"", **where)
    assert status == 0
    assert "\033[1m" in shown
    assert contact["contact_id"] in shown
    assert "Dana [bold]W[/bold]" in shown
    _, plain = on_a_terminal(["contact", "list"], b"", NO_COLOR="1", **where)
    assert "\033[3" not in plain


def test_a_reader_that_has_enough_is_no_error(own_desk: Desk) -> None:
    where = {"LEADLINE_URL": own_desk.api.base_url, "LEADLINE_TOKEN": own_desk.api.token or ""}
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m leadline workspace get --json | true"],
        env=server_environment(PYTHONUNBUFFERED="1", **where), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""


def test_any_request_can_be_made(leadline: Call, tmp_path: Path) -> None:
    assert json.loads(leadline("api", "GET", "/workspace"))["ok"] is True
    assert json.loads(leadline("api", "GET", "/phone-system/calls?limit=1"))["calls"] == []
    assert json.loads(leadline("api", "GET", "/openapi.json"))["openapi"].startswith("3.1")
    assert "# HELP" in leadline("api", "GET", "/metrics")
    number = fresh_phone_number()
    body = json.dumps({"phone_number": number})
    made = json.loads(leadline("api", "POST", "/contacts", "--data", body, "--idempotency-key", "api-1"))
    (tmp_path / "body.json").write_text(body)
    again = leadline("api", "POST", "/contacts", "--data", "@body.json", "--idempotency-key", "api-1")
    assert json.loads(again) == made
    assert "contact_exists" in leadline("api", "POST", "/contacts", "--data", body, status=5)
    assert "not JSON" in leadline("api", "POST", "/contacts", "--data", "{", status=2)
    leadline("api", "GET", "workspace", status=2)
    leadline("api", "GET", "/nowhere", status=3)
    leadline("api", "POST", "/contacts", "--data", "@missing.json", status=1)


def test_times_are_read_as_people_write_them() -> None:
    now = datetime.now(UTC)
    assert abs(now - timedelta(hours=2) - read_time("2h")) < timedelta(minutes=1)
    assert read_time("2026-06-25T12:00:00Z") == datetime(2026, 6, 25, 12, tzinfo=UTC)
    assert read_time("2026-06-25").tzinfo is not None


def test_attributes_are_what_they_look_like() -> None:
    assert read_attributes(["a=1", "b=x=y", 'c="1"', "d=", "e=null", "f=[1]"]) == {
        "a": 1, "b": "x=y", "c": "1", "d": "", "e": "null", "f": "[1]",
    }  # fmt: skip


def test_nothing_that_is_shown_moves_the_terminals_cursor() -> None:
    assert printable("a\033[2Jb\r\nc\u202ed") == "a [2Jb  c d"


def test_the_token_is_found_where_dev_left_it(
    own_desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LEADLINE_TOKEN")
    assert run(["workspace", "get"]) == 1
    assert "no token" in capsys.readouterr().err
    (tmp_path / "leadline.db.token").write_text(f"{own_desk.api.token}\n")
    assert run(["workspace", "get"]) == 0


def test_what_only_shows_a_version_or_help_loads_no_client() -> None:
    code = "import sys\nfrom leadline.cli.commands import run\nrun(['--help'])\nrun(['--version'])\n"
    code += "print(sorted({'httpx2', 'starlette', 'aiohttp', 'sqlalchemy'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_that_completes_every_noun(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    for noun in NOUNS:
        assert noun.name in script
    assert "--webhook-url" in script
    if shell == "bash":
        subprocess.run(["/bin/bash", "-n"], input=script, text=True, check=True, timeout=30)
