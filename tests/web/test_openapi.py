"""The document says what the table says, and the page says what the document says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]
from openapi_spec_validator import OpenAPIV31SpecValidator

from leadline.domain.webhooks import Event
from leadline.web.api import OPERATIONS
from leadline.web.docs_page import docs_page, highlighted, prose
from leadline.web.openapi import document
from leadline.web.openapi_errors import ERRORS, error_codes, example_of
from leadline.web.problems import STATUS_OF_CODE
from leadline.web.table import BodyUse, KeyUse, Operation

DOCUMENT = document(OPERATIONS, version="1.2.3", server_url="https://calls.example.com/")
Json = dict[str, Any]


def resolve(value: Json) -> Json:
    while "$ref" in value:
        found: Any = DOCUMENT
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def described(operation: Operation) -> Json:
    found: Json = DOCUMENT["paths"][operation.path][operation.method.lower()]
    return found


def all_operations() -> Iterator[Json]:
    for item in DOCUMENT["paths"].values():
        yield from item.values()
    for item in DOCUMENT["webhooks"].values():
        yield item["post"]


def breaches(schema: Json, value: Any) -> list[str]:
    whole = schema | {"components": DOCUMENT["components"]}
    found = Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in found]


def contents_with_examples() -> Iterator[tuple[str, Json, Any]]:
    """Where, schema and value of every example of a body."""
    for operation in all_operations():
        holders = {"request": operation.get("requestBody", {})}
        holders |= {status: resolve(each) for status, each in operation["responses"].items()}
        for name, holder in holders.items():
            for media_type, content in holder.get("content", {}).items():
                values = [resolve(each)["value"] for each in content.get("examples", {}).values()]
                for value in [*values, *([content["example"]] if "example" in content else [])]:
                    yield f"{operation['operationId']} {name} {media_type}", content["schema"], value


def parameters(operation: Operation, place: str) -> dict[str, Json]:
    found = [resolve(each) for each in described(operation)["parameters"]]
    return {each["name"]: each for each in found if each["in"] == place}


def test_the_document_is_valid_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_the_document_is_nothing_but_json() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT


def test_version_and_server_are_those_given() -> None:
    assert DOCUMENT["info"]["version"] == "1.2.3"
    assert DOCUMENT["servers"] == [{"url": "https://calls.example.com"}]
    assert document(OPERATIONS, version="1")["servers"] == [{"url": "/"}]


def test_every_row_of_the_table_is_documented_and_nothing_else_under_the_prefix() -> None:
    found = {
        (method.upper(), path, each["operationId"])
        for path, item in DOCUMENT["paths"].items()
        for method, each in item.items()
        if path.startswith("/phone-system")
    }
    assert found == {(each.method, each.path, each.name) for each in OPERATIONS}


def test_the_pages_that_need_no_token_are_documented() -> None:
    pages = [path for path in DOCUMENT["paths"] if not path.startswith("/phone-system")]
    assert pages == ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"]
    assert all({} in (DOCUMENT["paths"][path]["get"]["security"] or [{}]) for path in pages)


def test_no_two_operations_share_an_id() -> None:
    ids = [operation["operationId"] for operation in all_operations()]
    assert len(ids) == len(set(ids))


def test_every_tag_in_use_is_described() -> None:
    described_tags = {tag["name"]: tag["description"] for tag in DOCUMENT["tags"]}
    used = {tag for item in DOCUMENT["paths"].values() for each in item.values() for tag in each["tags"]}
    assert used == set(described_tags)
    assert [name for name, description in described_tags.items() if name == description] == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_every_error_of_an_operation_is_under_its_status(operation: Operation) -> None:
    found = {}
    for status, reference in described(operation)["responses"].items():
        if "$ref" in reference:
            content = resolve(reference)["content"]["application/json"]
            for code in content["examples"]:
                found[code] = int(status)
            assert set(content["schema"]["allOf"][1]["properties"]["error"]["enum"]) == set(
                content["examples"]
            )
    assert found == {code: STATUS_OF_CODE[code] for code in error_codes(operation)}
    assert {error.code for error in operation.errors} <= set(found)
    assert {"invalid_request", "unauthorized", "forbidden", "no_subaccount", "unavailable"} <= set(found)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_every_operation_names_its_scope_and_its_parameters(operation: Operation) -> None:
    found = described(operation)
    assert found["security"] == [{"bearer": [str(scope) for scope in operation.scopes]}]
    assert all(f"`{scope}`" in found["description"] for scope in operation.scopes)
    assert set(parameters(operation, "query")) == {
        each.name for each in msgspec.structs.fields(operation.query)
    }
    assert all(f"{{{name}}}" in operation.path for name in parameters(operation, "path"))
    assert operation.path.count("{") == len(parameters(operation, "path"))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_the_headers_of_an_operation_are_those_it_reads(operation: Operation) -> None:
    headers = parameters(operation, "header")
    key = headers.get("Idempotency-Key")
    assert (key is not None) == (operation.key_use is not KeyUse.NONE)
    assert key is None or key["required"] == (operation.key_use is KeyUse.REQUIRED)
    assert ("If-Match" in headers) == operation.if_match
    assert ("If-None-Match" in headers) == operation.tagged_by_content
    assert ("304" in described(operation)["responses"]) == operation.tagged_by_content
    assert ("Last-Event-ID" in headers) == operation.streams


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_bodies_and_answers_of_an_operation_are_those_of_the_table(operation: Operation) -> None:
    found = described(operation)
    assert ("requestBody" in found) == (operation.body is not None)
    if operation.body is not None:
        assert found["requestBody"]["required"] == (operation.body_use is BodyUse.REQUIRED)
    for status in operation.answers:
        content = found["responses"][str(status)]["content"]
        assert ("text/event-stream" in content) == operation.streams
        assert "application/json" in content


def test_no_query_parameter_can_be_null() -> None:
    for operation in OPERATIONS:
        for parameter in parameters(operation, "query").values():
            assert "null" not in json.dumps(parameter["schema"]), (operation.name, parameter)
            assert parameter["description"]


def test_every_error_code_has_an_example_and_a_meaning() -> None:
    assert list(ERRORS) == list(STATUS_OF_CODE) == list(DOCUMENT["components"]["examples"])
    failure = DOCUMENT["components"]["schemas"]["Failure"]
    assert [code for code in ERRORS if breaches(failure, example_of(code))] == []


def test_every_example_is_as_its_schema_says() -> None:
    wrong = {
        where: found
        for where, schema, value in contents_with_examples()
        if (found := breaches(schema, value))
    }
    assert wrong == {}


def test_every_request_and_every_success_has_an_example() -> None:
    with_example = {where for where, _, _ in contents_with_examples()}
    for operation in OPERATIONS:
        assert operation.body is None or f"{operation.name} request application/json" in with_example
        for status in operation.answers:
            assert f"{operation.name} {status} application/json" in with_example


def test_an_answer_without_one_of_its_keys_breaks_its_schema() -> None:
    for operation in OPERATIONS:
        content = described(operation)["responses"][str(operation.status)]["content"]["application/json"]
        for key in content["example"]:
            rest = {name: value for name, value in content["example"].items() if name != key}
            assert breaches(content["schema"], rest), (operation.name, key)


def test_the_pointers_of_errors_are_in_the_schema_of_failures() -> None:
    known = DOCUMENT["components"]["schemas"]["Failure"]["properties"]
    assert {name for entry in ERRORS.values() for name in entry.pointers} <= set(known)
    assert {"call_id", "contact_id", "smart_list_id", "outcome_ids"} <= set(known)


def test_the_webhook_has_exactly_the_keys_that_are_sent() -> None:
    webhook = DOCUMENT["webhooks"]["outcome.applied"]["post"]
    content = webhook["requestBody"]["content"]["application/json"]
    example = content["example"]
    assert msgspec.to_builtins(msgspec.convert(example, Event)) == example
    assert breaches(content["schema"], example | {"extra": 1})
    for noun in ("scope", "outcome", "call"):
        assert breaches(content["schema"], example | {noun: example[noun] | {"extra": 1}})
    headers = [each["name"] for each in webhook["parameters"]]
    assert headers == ["webhook-id", "webhook-timestamp", "webhook-signature", "User-Agent"]


@pytest.mark.parametrize(
    ("destination", "is_fine"),
    [
        ({"destination_type": "none"}, True),
        ({"destination_type": "none", "destination_id": "00000000-0000-4000-8000-000000000002"}, False),
        ({"destination_type": "smart_list"}, False),
        ({"destination_type": "remove_from_smart_list", "remove_from_smart_lists": {"all": True}}, True),
        ({"destination_type": "remove_from_smart_list", "remove_from_smart_lists": {"list_ids": []}}, True),
        ({"destination_type": "remove_from_smart_list", "remove_from_smart_lists": {}}, False),
    ],
)
def test_the_webhook_destination_is_one_of_three_shapes(destination: Json, is_fine: bool) -> None:
    event = DOCUMENT["components"]["schemas"]["Event"]
    example = DOCUMENT["webhooks"]["outcome.applied"]["post"]["requestBody"]["content"]["application/json"][
        "example"
    ]
    assert (breaches(event, example | {"destination": destination}) == []) is is_fine


@pytest.mark.parametrize(
    ("body", "is_fine"),
    [
        ({"phone_number": "+15555550100"}, True),
        ({"phone_number": "+15555550100", "contact_id": None}, True),
        ({"contact_id": "00000000-0000-4000-8000-000000000003"}, True),
        ({"phone_number": "+15555550100", "contact_id": "00000000-0000-4000-8000-000000000003"}, False),
        ({"agent_id": "ada"}, False),
    ],
)
def test_a_call_begins_with_a_number_or_a_contact(body: Json, is_fine: bool) -> None:
    assert (breaches(DOCUMENT["components"]["schemas"]["CallBody"], body) == []) is is_fine


class _Page(HTMLParser):
    """What could run or be fetched, and what the page shows."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


PAGE = _Page(docs_page(DOCUMENT))


def test_the_page_shows_every_operation_with_its_path_and_scope() -> None:
    ids = {value for _, name, value in PAGE.attributes if name == "id"}
    for operation in OPERATIONS:
        assert operation.name in ids
        assert operation.summary in PAGE.text
        assert operation.path in PAGE.text
        assert str(operation.scope) in PAGE.text
    assert "outcome_applied" in ids


def test_the_page_explains_every_error_code() -> None:
    ids = {value for _, name, value in PAGE.attributes if name == "id"}
    assert {f"error-{code}" for code in STATUS_OF_CODE} <= ids


def test_what_is_true_of_every_time_is_said_once() -> None:
    assert "ISO 8601 in UTC with milliseconds" in PAGE.text
    assert "ISO 8601, UTC, with milliseconds." not in PAGE.text


def test_every_link_within_the_page_leads_somewhere_and_no_id_is_there_twice() -> None:
    ids = [value for _, name, value in PAGE.attributes if name == "id"]
    links = {value[1:] for _, name, value in PAGE.attributes if name == "href" and value.startswith("#")}
    assert len(ids) == len(set(ids))
    assert links <= set(ids)


def test_the_page_has_no_script_no_style_and_loads_only_our_stylesheet() -> None:
    assert not {"script", "style", "iframe", "img", "object", "embed", "base"} & set(PAGE.tags)
    assert [each for each in PAGE.attributes if each[1].startswith("on") or each[1] == "style"] == []
    loaded = [
        value for tag, name, value in PAGE.attributes if name == "src" or (tag == "link" and name == "href")
    ]
    assert loaded == ["data:,", "/static/docs.css"]
    assert not any("//" in value for _, name, value in PAGE.attributes if name in {"href", "src", "action"})


def test_what_the_document_says_cannot_become_markup() -> None:
    hostile = json.loads(json.dumps(DOCUMENT))
    payload = "<script>alert(1)</script> `<b>` **<i>**"
    operation = hostile["paths"]["/phone-system/outcomes"]["post"]
    operation["summary"] = operation["description"] = payload
    operation["requestBody"]["content"]["application/json"]["example"] = {payload: payload}
    operation["responses"]["201"]["content"]["application/json"]["example"] = {payload: payload}
    page = _Page(docs_page(hostile))
    assert not {"script", "b", "i"} & set(page.tags)
    assert "<script>alert(1)</script>" in page.text


def test_a_quote_in_an_example_does_not_end_the_shell_word() -> None:
    quoted = json.loads(json.dumps(DOCUMENT))
    body = quoted["paths"]["/phone-system/outcomes"]["post"]["requestBody"]["content"]["application/json"]
    body["example"] = {"outcome_name": "Won't"}
    assert "Won'\\''t" in _Page(docs_page(quoted)).text


def test_prose_knows_code_and_strong_and_nothing_else() -> None:
    assert str(prose("a `b<c` **d** & e")) == "a <code>b&lt;c</code> <strong>d</strong> &amp; e"


def test_highlighting_changes_no_character_of_the_json() -> None:
    value = {"a": [1, -2.5, True, None, 'b"c: 1'], "d": {"true": "1 null"}}
    assert json.loads(_Page(str(highlighted(value)).encode()).text) == value
