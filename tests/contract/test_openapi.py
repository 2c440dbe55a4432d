"""Contract § 10: /openapi.json is valid, complete, and true."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from harness import Api, Desk, Json, Server, loopback_settings, run_server, server_environment

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
TIME_MAX_SECONDS = 90

PUBLISHED = {
    "/outcomes": {"get", "post"},
    "/outcomes/{}": {"patch", "delete"},
    "/smart-lists": {"get", "post"},
    "/smart-lists/{}": {"get", "patch", "delete"},
    "/smart-lists/{}/contacts": {"get"},
    "/smart-lists/{}/contacts/{}": {"put", "delete"},
    "/contacts": {"get", "post"},
    "/contacts/{}": {"get", "patch", "delete"},
    "/contacts/{}/history": {"get"},
    "/calls": {"get", "post"},
    "/calls/{}": {"get"},
    "/calls/{}/answer": {"post"},
    "/calls/{}/end": {"post"},
    "/calls/{}/outcomes": {"post"},
    "/agents": {"get"},
    "/agents/{}": {"get"},
    "/events": {"get"},
    "/webhook-deliveries": {"get"},
    "/webhook-deliveries/{}": {"get"},
    "/webhook-deliveries/{}/retry": {"post"},
    "/webhook-deliveries/{}/cancel": {"post"},
    "/webhook-deliveries/replay": {"post"},
    "/webhook-replays/{}": {"get"},
    "/webhook-replays/{}/cancel": {"post"},
    "/webhook-endpoints": {"get"},
    "/webhook-endpoints/{}": {"get", "patch"},
    "/webhook-endpoints/{}/test": {"post"},
    "/webhook-secret": {"get"},
    "/webhook-secret/rotate": {"post"},
    "/workspace": {"get", "patch"},
}


@pytest.fixture(scope="module")
def own_server(
    make_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Generated requests fill a database of their own; the document does not depend on the engine."""
    yield from run_server(make_database("sqlite"), tmp_path_factory.mktemp("openapi"), **loopback_settings())


@pytest.fixture(scope="module")
def document(own_server: Server) -> Json:
    return Api(own_server.base_url, None, prefix="").get("/openapi.json").json


def test_the_document_is_valid_openapi_3_1(document: Json) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_the_document_describes_the_webhook(document: Json) -> None:
    assert document["webhooks"]
    assert all(operation["post"]["requestBody"] for operation in document["webhooks"].values())


def test_every_operation_of_the_contract_is_documented(document: Json) -> None:
    documented = {
        re.sub(r"\{[^}]+\}", "{}", path): set(item) & {"get", "post", "put", "patch", "delete"}
        for path, item in document["paths"].items()
    }
    for path, methods in PUBLISHED.items():
        assert documented.get(f"/phone-system{path}", documented.get(path)) == methods, path


def test_every_operation_has_its_own_id_and_a_summary(document: Json) -> None:
    operations = [
        operation
        for item in document["paths"].values()
        for method, operation in item.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    assert all(operation.get("summary") for operation in operations)


@pytest.mark.long
def test_generated_requests_find_nothing_that_the_document_does_not_say(
    own_server: Server, tmp_path: Path
) -> None:
    desk = Desk.open(own_server)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{own_server.base_url}/openapi.json",
            "--header",
            f"Authorization: Bearer {desk.api.token}",
            "--checks",
            ",".join(CHECKS),
            "--exclude-path-regex",
            "/events$|/docs$|/metrics$|^/$",
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "6",
            "--seed",
            "1",
            "--request-timeout",
            "10",
            "--suppress-health-check",
            "all",
            "--generation-database",
            "none",
            "--warnings",
            "off",
            "--continue-on-failure",
        ],
        env=server_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIME_MAX_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-2000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None, done.stdout[-12000:]
    assert int(tested[1]) >= 30
