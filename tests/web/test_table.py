from __future__ import annotations

import re
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.domain.errors import LeadlineError
from leadline.ids import NIL_ID
from leadline.web.api import OPERATIONS
from leadline.web.decoding import read_fields
from leadline.web.table import BodyUse, KeyUse, Operation, Routes
from leadline.wire.common import Answer, Page

ID = "0190f3a0-0000-7000-8000-00000000000a"
OTHER = "0190f3a0-0000-7000-8000-00000000000b"
ROUTES = Routes(OPERATIONS)
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def parameters(operation: Operation) -> list[str]:
    return re.findall(r"\{(\w+)\}", operation.path)


def answers(operation: Operation) -> list[type[Answer]]:
    """Every shape of its answers; one status may have two (apply and its dry run)."""
    return [shape for answer in operation.answers.values() for shape in get_args(answer) or (answer,)]


def all_subclasses(kind: type[LeadlineError]) -> set[type[LeadlineError]]:
    return {kind}.union(*(all_subclasses(each) for each in kind.__subclasses__()))


@each_operation
def test_every_operation_is_found_by_its_method_and_path(operation: Operation) -> None:
    path = operation.path
    for name in parameters(operation):
        path = path.replace(f"{{{name}}}", "Agent 7" if name == "agent_id" else ID)
    found = ROUTES.find(path)
    assert found is not None
    methods, values = found
    assert methods[operation.method] is operation
    assert set(values) == set(parameters(operation))
    assert set(values.values()) <= {ID, "Agent 7"}


@each_operation
def test_no_other_path_is_taken_for_an_operation(operation: Operation) -> None:
    path = re.sub(r"\{\w+\}", ID, operation.path)
    for wrong in (
        path + "/",
        path + "/" + ID + "/x",
        "/" + path,
        path.removeprefix("/phone-system"),
        path.upper(),
    ):
        found = ROUTES.find(wrong)
        assert found is None or operation not in found[0].values()


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        (ID, ID),
        (ID.upper(), ID),
        (ID.replace("-", ""), ID),
        ("{" + ID + "}", NIL_ID),
        ("urn:uuid:" + ID, NIL_ID),
        ("1", NIL_ID),
        (ID + "\n", NIL_ID),
    ],
)
def test_an_id_in_a_path_is_canonical_or_the_one_nobody_has(sent: str, canonical: str) -> None:
    found = ROUTES.find(f"/phone-system/calls/{sent}")
    assert found is not None
    assert list(found[1].values()) == [canonical]


def test_an_agent_keeps_the_phone_systems_own_text() -> None:
    found = ROUTES.find(f"/phone-system/agents/{ID.upper()}")
    assert found is not None
    assert found[1] == {"agent_id": ID.upper()}


@given(st.lists(st.sampled_from(["", "phone-system", "calls", "outcomes", "contacts", ID, "..", "é"])))
def test_any_path_leads_to_operations_of_its_shape_or_nowhere(segments: list[str]) -> None:
    found = ROUTES.find("/".join(segments))
    if found is not None:
        (path,) = {operation.path for operation in found[0].values()}
        pattern = re.sub(r"\{\w+\}", "[^/]+", path)
        assert re.fullmatch(pattern, "/".join(segments))
        assert all(value == NIL_ID or UUID(value) for name, value in found[1].items() if name != "agent_id")


def test_names_and_routes_are_unique() -> None:
    names = [operation.name for operation in OPERATIONS]
    routes = [(operation.method, operation.path) for operation in OPERATIONS]
    shapes = [(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in routes]
    assert len(set(names)) == len(names)
    assert len(set(shapes)) == len(shapes)


def test_two_operations_with_one_path_call_its_parameters_the_same() -> None:
    by_shape: dict[str, set[str]] = {}
    for operation in OPERATIONS:
        by_shape.setdefault(re.sub(r"\{\w+\}", "{}", operation.path), set()).add(operation.path)
    assert [paths for paths in by_shape.values() if len(paths) > 1] == []


@each_operation
def test_a_scope_reads_for_get_and_writes_for_what_writes(operation: Operation) -> None:
    verbs = {scope.value.partition(":")[2] for scope in operation.scopes}
    # A plan changes nothing, and is a POST because it is asked with a document.
    reads = operation.method == "GET" or operation.name == "plan_configuration"
    # A secret may be seen, masked, by those who may change it (contract § 2: `deliveries:read|write`).
    assert verbs == {"read" if reads else "write"}
    assert operation.writes is (operation.method != "GET")


@each_operation
def test_a_key_is_required_where_the_contract_says_and_honoured_on_every_other_write(
    operation: Operation,
) -> None:
    if operation.method == "GET":
        wanted = {KeyUse.NONE, KeyUse.HONOURED}  # a GET never reads one
    elif operation.path.startswith("/phone-system/outcomes") and operation.method in ("POST", "PATCH"):
        wanted = {KeyUse.REQUIRED}
    else:
        wanted = {KeyUse.HONOURED}
    assert operation.key_use in wanted


@each_operation
def test_bodies_come_with_a_struct_and_its_example_keeps_the_rules(operation: Operation) -> None:
    assert (operation.body is None) == (operation.body_use is BodyUse.NONE)
    if operation.body is not None:
        assert operation.method in ("POST", "PATCH", "PUT")
        # What may be left out altogether needs no example.
        assert operation.example is not None or operation.body_use is BodyUse.OPTIONAL
        assert read_fields(operation.body, operation.example or {}).problems == []


@each_operation
def test_answers_have_the_status_that_the_method_promises(operation: Operation) -> None:
    assert answers(operation)
    assert all(issubclass(answer, Answer) for answer in answers(operation))
    assert set(operation.answers) <= {200, 201, 202}
    if operation.method != "POST":
        assert set(operation.answers) == {200}


@each_operation
def test_an_answer_example_is_an_answer(operation: Operation) -> None:
    if operation.answer_example is not None:
        answer: Any = operation.answers[operation.status]
        msgspec.convert(operation.answer_example, answer, strict=True)


@each_operation
def test_lists_that_can_grow_have_pages(operation: Operation) -> None:
    paged = any("next_cursor" in answer.__struct_fields__ for answer in answers(operation))
    if issubclass(operation.query, Page):
        assert paged
    elif paged:
        # Events go on from the id of an event.
        assert "limit" in operation.query.__struct_fields__


@each_operation
def test_the_errors_named_are_refusals_with_codes_of_their_own(operation: Operation) -> None:
    assert set(operation.errors) <= all_subclasses(LeadlineError)
    codes = [error.code for error in operation.errors]
    assert len(set(codes)) == len(codes)
    assert "internal_error" not in codes
