"""The client has what the API's table has, both clients have the same, and neither needs the server."""

from __future__ import annotations

import inspect
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import leadline
from leadline.client import AsyncClient, Client, errors, models, requests
from leadline.client.operations import Method, Operations, PagesMethod
from leadline.domain.webhooks import Event as SentEvent
from leadline.web.api import OPERATIONS
from leadline.web.problems import STATUS_OF_CODE
from leadline.web.table import BodyUse, Operation
from leadline.wire.deliveries import Delivery as SentDelivery
from leadline.wire.webhooks import WebhookBody

ID = "0190f3a0-0000-7000-8000-00000000000a"
# What belongs to the request and not to its body, query or path.
AROUND = {"idempotency_key", "if_match", "known"}
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def described(operation: Operation) -> Any:
    return getattr(requests, operation.name)


def example_of(operation: Operation) -> requests.Request[Any]:
    """The request of an operation with every argument that it must have."""
    describe = described(operation)
    values = {
        name: ID
        for name, parameter in inspect.signature(describe).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    request: requests.Request[Any] = describe(**values)
    return request


@each_operation
def test_every_operation_of_the_table_has_a_method(operation: Operation) -> None:
    for client in (Client, AsyncClient):
        method = getattr(client, operation.name)
        assert isinstance(method, Method)
        assert method.describe is described(operation)
        assert method.__doc__


@each_operation
def test_a_method_asks_for_its_operations_path(operation: Operation) -> None:
    request = example_of(operation)
    assert request.operation == operation.name
    assert request.method == operation.method
    assert request.path == re.sub(r"\{\w+\}", ID, operation.path)
    assert request.writes is operation.writes


@each_operation
def test_a_method_takes_every_field_of_its_operation_and_no_other(operation: Operation) -> None:
    wanted = set(re.findall(r"\{(\w+)\}", operation.path)) | set(operation.query.__struct_fields__)
    if operation.body is not None:
        wanted |= set(operation.body.__struct_fields__)
    if operation.writes:
        wanted.add("idempotency_key")
    if operation.offers_csv:
        wanted -= {"format", "table"}  # a method answers numbers
    if operation.if_match:
        wanted.add("if_match")
    if operation.tagged_by_content:
        wanted.add("known")
    assert set(inspect.signature(described(operation)).parameters) == wanted


@each_operation
def test_required_fields_have_no_default(operation: Operation) -> None:
    parameters = inspect.signature(described(operation)).parameters
    required = set() if operation.body is None else _required(operation.body)
    for name in required:
        assert parameters[name].default is inspect.Parameter.empty, name


def _required(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct) if field.required}


@each_operation
def test_a_body_that_is_required_is_always_sent(operation: Operation) -> None:
    if operation.body_use is BodyUse.REQUIRED:
        assert example_of(operation).body is not None


@each_operation
def test_a_list_that_can_grow_can_be_iterated(operation: Operation) -> None:
    is_paged = isinstance(example_of(operation), requests.PageRequest)
    paged = {
        name for name, each in vars(Operations).items() if isinstance(each, PagesMethod)
        and each.describe is described(operation)
    }  # fmt: skip
    assert len(paged) == int(is_paged)
    usual = operation.answers[operation.status]
    assert is_paged is ("next_cursor" in getattr(usual, "__struct_fields__", ()))


def test_no_method_is_left_without_an_operation() -> None:
    named = {name for name, each in vars(Operations).items() if isinstance(each, Method)}
    assert named == {operation.name for operation in OPERATIONS}


def test_both_clients_have_the_same_surface() -> None:
    def surface(client: type) -> set[str]:
        return {name for name in dir(client) if not name.startswith("_")}

    assert surface(Client) == surface(AsyncClient)
    for name in ("send", "value_of", "items_of", "stream_events", "export_contacts", "close"):
        ours, theirs = getattr(Client, name), getattr(AsyncClient, name)
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


def test_every_error_code_has_a_class_in_the_branch_of_its_status() -> None:
    assert set(errors.CLASS_OF_CODE) == set(STATUS_OF_CODE)
    branches = {
        400: errors.BadRequest, 403: errors.PermissionDenied, 404: errors.NotFound, 409: errors.Conflict,
        500: errors.ServerFailed, 503: errors.ServerFailed,
    }  # fmt: skip
    for code, status in STATUS_OF_CODE.items():
        assert issubclass(errors.CLASS_OF_CODE[code], branches.get(status, errors.Refused)), code


def test_every_error_is_in_the_tree_that_the_module_draws() -> None:
    drawn = set(re.findall(r"\b[A-Z]\w+", errors.__doc__ or ""))
    named = {
        name
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, errors.LeadlineError)
    }
    assert named <= drawn


def test_every_error_survives_the_way_to_another_process() -> None:
    refusal = errors.Refusal(status=409, code="contact_exists", message="No.", pointers={"contact_id": "c"})
    made: list[errors.LeadlineError] = [kind(refusal) for kind in errors.CLASS_OF_CODE.values()]
    made += [
        errors.ConfigurationError("x"),
        errors.ConnectionFailed("gone", idempotency_key="k", attempts=3),
        errors.UnexpectedAnswer("what", 502, "r-1"),
        errors.WebhookVerificationError(errors.WebhookProblem.BODY, "no"),
    ]
    for error in made:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        assert type(again) is type(error)
        assert (str(again), vars(again)) == (str(error), vars(error))


def test_receivers_read_what_the_sender_writes() -> None:
    def shape(struct: Any) -> Any:
        return {
            field.name: shape(field.type) if isinstance(field.type, type) and issubclass(
                field.type, msgspec.Struct) else None
            for field in msgspec.structs.fields(struct) if field.name != "destination"
        }  # fmt: skip

    assert shape(SentEvent) == shape(WebhookBody)


def test_the_clients_own_delivery_has_the_fields_of_the_servers() -> None:
    assert models.Delivery.__struct_fields__ == SentDelivery.__struct_fields__


BLOCKED_IMPORT = """
import importlib.abc, json, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Blocked())
"""


def server_packages() -> list[str]:
    """The import names of the extra `server`, but for `idna`, which the client's HTTP library needs as well."""
    import tomllib  # noqa: PLC0415 - only here

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = [re.split(r"[\[<>=; ]", each)[0] for each in project["optional-dependencies"]["server"]]
    renamed = {"argon2-cffi": "argon2", "phonenumberslite": "phonenumbers", "pyyaml": "yaml"}
    return [renamed.get(each, each.replace("-", "_")) for each in extras if each != "idna"]


def run_without_the_server(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python with every package of the extra `server` out of reach."""
    program = f"BLOCKED = {server_packages()!r}\n{BLOCKED_IMPORT}\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_client_works_without_the_servers_packages() -> None:
    done = run_without_the_server(
        "import leadline.client as c\n"
        "hook = c.Webhook('whsec_' + 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')\n"
        "try: hook.verify({}, b'')\n"
        "except c.WebhookVerificationError: pass\n"
        "try: c.Client('http://127.0.0.1:1', 't', attempts_max=1).get_workspace()\n"
        "except c.ConnectionFailed as failed: print('refused')\n"
        "print(json.dumps(sorted(name for name in sys.modules if name.startswith('leadline'))))\n"
    )
    assert done.returncode == 0, done.stderr
    first, loaded = done.stdout.splitlines()
    assert first == "refused"
    ours = {name for name in json.loads(loaded) if name.count(".") >= 1}
    allowed = re.compile(r"leadline\.(client|wire)(\..*)?|leadline\.domain(\.signing)?|leadline\.(clock|ids)")
    assert {name for name in ours if not allowed.fullmatch(name)} == set()


def test_the_command_says_what_to_install_when_the_server_is_missing() -> None:
    done = run_without_the_server(
        "sys.argv = ['leadline', '--version']\nfrom leadline.cli import main\nmain()"
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "pip install 'leadline[server]'" in line


def test_the_client_is_typed() -> None:
    assert (Path(leadline.__file__).parent / "py.typed").exists()
