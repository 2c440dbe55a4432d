"""The API reference for people: one page, made from the OpenAPI document alone, that loads one stylesheet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from leadline.domain.limits import INT32_MAX

Json = dict[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
DEPTH_MAX = 3
_MARKS = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*")
_JSON_TOKENS = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*")(?P<colon>:?)|(?P<plain>-?\d[\d.eE+-]*|true|false|null)'
)
_PATH_PARAMETER = re.compile(r"\{(\w+)\}")
_LIMITS = (
    ("minLength", "maxLength", " characters"),
    ("minimum", "maximum", ""),
    ("minItems", "maxItems", " entries"),
    ("minProperties", "maxProperties", " entries"),
)
# What the schema of every time says; the page's introduction says it once.
_OF_EVERY_TIME = "ISO 8601, UTC, with milliseconds."
_FORMATS = {"uuid": "UUID", "date-time": "time", "uri": "URL"}


@dataclass(frozen=True, slots=True)
class FieldRow:
    """A parameter or a field. `depth` is how deep it lies within the body."""

    name: str
    type: str
    values: tuple[str, ...]
    required: bool
    description: str
    depth: int = 0


@dataclass(frozen=True, slots=True)
class ErrorRow:
    status: str
    code: str
    meaning: str


@dataclass(frozen=True, slots=True)
class ExampleBlock:
    title: str
    text: Markup


@dataclass(frozen=True, slots=True)
class Section:
    """One operation, or the webhook, as the page shows it."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    scopes: tuple[str, ...]
    parameters: Mapping[str, Sequence[FieldRow]]
    body: Sequence[FieldRow]
    answer: Sequence[FieldRow]
    answers: Sequence[ErrorRow]
    errors: Sequence[ErrorRow]
    general_errors: Sequence[str]
    examples: Sequence[ExampleBlock]

    @property
    def is_webhook(self) -> bool:
        return not self.path.startswith("/")


def docs_page(document: Json, *, nonce: None = None) -> bytes:
    """The reference of an OpenAPI document as one HTML page, UTF-8.

    It has no script and no style of its own, so it needs no `nonce`; it loads `/static/docs.css` and nothing else.
    """
    assert nonce is None
    reader = _Reader(document)
    page = _template().render(
        info=document["info"],
        tags=[(tag, _anchor(tag["name"]), reader.sections_of(tag["name"])) for tag in document["tags"]],
        webhooks=[reader.webhook(name, item["post"]) for name, item in document["webhooks"].items()],
        errors=reader.all_errors(),
    )
    return page.encode()


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("leadline.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    environment.filters["paragraphs"] = lambda text: [part for part in text.split("\n\n") if part.strip()]
    return environment.get_template("docs.html")


def prose(text: str) -> Markup:
    """Text with `code` and **strong** as HTML; everything else is escaped."""
    found, end = Markup(), 0
    for mark in _MARKS.finditer(text):
        found += escape(text[end : mark.start()])
        tag, inner = ("code", mark[1]) if mark[1] else ("strong", mark[2])
        found += Markup("<{0}>{1}</{0}>").format(Markup(tag), inner)  # noqa: S704 - one of two constants
        end = mark.end()
    return found + escape(text[end:])


def highlighted(value: Any) -> Markup:
    """A JSON value, indented, with its keys, texts and other values marked."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    found, end = Markup(), 0
    for token in _JSON_TOKENS.finditer(text):
        kind = "plain" if token["plain"] else "key" if token["colon"] else "text"
        found += escape(text[end : token.start()])
        found += Markup('<span class="json-{}">{}</span>').format(kind, token["text"] or token["plain"])
        found += token["colon"] or ""
        end = token.end()
    return found + escape(text[end:])


def _anchor(name: str) -> str:
    return "tag-" + re.sub(r"[^a-z0-9]+", "-", name.lower())


class _Reader:
    """Reads a document into what the page shows."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._meanings = {
            code: example["summary"] for code, example in document["components"]["examples"].items()
        }

    def sections_of(self, tag: str) -> list[Section]:
        return [
            self._section(method, path, item[method])
            for path, item in self._document["paths"].items()
            for method in METHODS
            if method in item and tag in item[method]["tags"]
        ]

    def webhook(self, name: str, operation: Json) -> Section:
        """The webhook: its request is ours, its answers are the receiver's."""
        section = self._section("post", name, operation)
        answers = [
            ErrorRow(status, "", response["description"])
            for status, response in operation["responses"].items()
        ]
        head = "\n".join(f"{each['name']}: {each['example']}" for each in operation["parameters"])
        body = _json_content(operation["requestBody"])["example"]
        sent = Markup("POST /leadline/outcomes\n{}\n\n{}").format(head, highlighted(body))
        return replace(section, answers=answers, examples=[ExampleBlock("What you receive", sent)])

    def all_errors(self) -> list[ErrorRow]:
        """Every code there is."""
        examples = self._document["components"]["examples"].items()
        return [ErrorRow(str(example["x-status"]), code, example["summary"]) for code, example in examples]

    def _resolve(self, value: Json) -> Json:
        while "$ref" in value:
            found: Any = self._document
            for part in value["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            value = found
        return value

    def _section(self, method: str, path: str, operation: Json) -> Section:
        rows = self._error_rows(operation) if path.startswith("/") else []
        return Section(
            anchor=operation["operationId"],
            method=method.upper(),
            path=path,
            summary=operation["summary"],
            description=operation.get("description", ""),
            scopes=tuple(role for each in operation["security"] for roles in each.values() for role in roles),
            parameters=self._parameters(operation),
            body=self._body_rows(operation),
            answer=self._answer_rows(operation),
            answers=self._answers(operation),
            errors=[row for row in rows if row.code not in _GENERAL_CODES],
            general_errors=[row.code for row in rows if row.code in _GENERAL_CODES],
            examples=self._examples(method, path, operation),
        )

    def _parameters(self, operation: Json) -> dict[str, list[FieldRow]]:
        titles = {"path": "Path", "query": "Query", "header": "Headers"}
        found: dict[str, list[FieldRow]] = {}
        for reference in operation.get("parameters", ()):
            parameter = self._resolve(reference)
            if parameter["name"] == "X-Request-Id":
                continue  # the introduction tells of it once
            row = self._row(
                parameter["name"],
                parameter["schema"],
                required=parameter["required"],
                description=parameter["description"],
            )
            found.setdefault(titles[parameter["in"]], []).append(row)
        return found

    def _body_rows(self, operation: Json) -> list[FieldRow]:
        content = _json_content(operation.get("requestBody", {}))
        return list(self._rows(content["schema"])) if content else []

    def _answer_rows(self, operation: Json) -> list[FieldRow]:
        for response in operation["responses"].values():
            content = _json_content(response)
            if content:
                return list(self._rows(content["schema"]))
        return []

    def _answers(self, operation: Json) -> list[ErrorRow]:
        return [
            ErrorRow(status, "", response["description"])
            for status, response in operation["responses"].items()
            if status < "400" and "$ref" not in response
        ]

    def _error_rows(self, operation: Json) -> list[ErrorRow]:
        return [
            ErrorRow(status, code, self._meanings[code])
            for status, reference in operation["responses"].items()
            if "$ref" in reference
            for code in _codes(self._resolve(reference))
        ]

    def _rows(self, schema: Json, depth: int = 0) -> Iterator[FieldRow]:
        """The fields of an object, each followed by the fields within it."""
        schema = self._resolve(schema)
        if "anyOf" in schema and "properties" not in schema:
            schema = self._resolve(schema["anyOf"][0])
        for name, field in schema.get("properties", {}).items():
            if name == "ok" and depth == 0:
                continue
            yield self._row(name, field, required=name in schema.get("required", ()), depth=depth)
            if depth < DEPTH_MAX:
                yield from self._rows(self._inner(field), depth + 1)

    def _inner(self, schema: Json) -> Json:
        """The schema of the objects in a field: its own, its items' or that of its alternative to null."""
        schema = self._resolve(schema)
        if "items" in schema and isinstance(schema["items"], dict):
            return self._inner(schema["items"])
        if "anyOf" in schema:
            return self._inner(schema["anyOf"][0])
        return schema

    def _row(
        self, name: str, schema: Json, *, required: bool, description: str | None = None, depth: int = 0
    ) -> FieldRow:
        resolved = self._resolve(schema)
        told = description or resolved.get("description", "")
        return FieldRow(
            name=name,
            type=self._kind(schema) + _bounds(self._resolve(schema)),
            values=tuple(str(value) for value in _values(resolved)),
            required=required,
            description="" if told == _OF_EVERY_TIME else told,
            depth=depth,
        )

    def _kind(self, schema: Json) -> str:
        """What kind of value it is, in words."""
        schema = self._resolve(schema)
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(self._kind(each) for each in schema["anyOf"]))
        kind = schema.get("type", "object" if "oneOf" in schema else "string")
        if isinstance(kind, list):
            return " or ".join(kind)
        if kind == "array" and isinstance(schema.get("items"), dict):
            return f"array of {self._kind(schema['items'])}"
        return _FORMATS.get(schema.get("format", ""), str(kind))

    def _examples(self, method: str, path: str, operation: Json) -> list[ExampleBlock]:
        if not path.startswith("/"):
            return []
        blocks = [ExampleBlock("Request", escape(self._curl(method, path, operation)))]
        for status, response in operation["responses"].items():
            if status >= "300" or "$ref" in response:
                continue
            for media_type, content in response.get("content", {}).items():
                if "example" in content:
                    is_json = media_type == "application/json"
                    text = highlighted(content["example"]) if is_json else escape(content["example"])
                    title = f"Answer {status}" if is_json else f"Answer {status} as {media_type}"
                    blocks.append(ExampleBlock(title, text))
        return _without_repeats(blocks)

    def _curl(self, method: str, path: str, operation: Json) -> str:
        """The request as a shell runs it, with LEADLINE_URL, LEADLINE_TOKEN and the ids as variables."""
        where = _PATH_PARAMETER.sub(lambda name: f"${name[1].upper()}", path)
        verb = "" if method == "get" else f"-X {method.upper()} "
        lines = [f'curl {verb}"$LEADLINE_URL{where}"']
        if any("bearer" in each for each in operation["security"]):
            lines.append('-H "Authorization: Bearer $LEADLINE_TOKEN"')
        for reference in operation.get("parameters", ()):
            parameter = self._resolve(reference)
            if parameter["name"] == "Idempotency-Key":
                lines.append(f'-H "Idempotency-Key: {parameter["example"]}"')
        content = _json_content(operation.get("requestBody", {}))
        if content and content["example"]:
            lines.append('-H "Content-Type: application/json"')
            body = json.dumps(content["example"], indent=2, ensure_ascii=False)
            lines.append("-d '{}'".format(body.replace("'", "'\\''")))
        return " \\\n  ".join(lines)


# Nearly every operation can give these; the page explains them once.
_GENERAL_CODES = frozenset(
    {
        "invalid_request", "unauthorized", "forbidden", "no_subaccount", "not_found", "method_not_allowed",
        "payload_too_large", "unsupported_media_type", "idempotency_key_in_use", "idempotency_key_reused",
        "rate_limited", "unavailable",
    }
)  # fmt: skip


def _json_content(holder: Json) -> Json:
    found: Json = holder.get("content", {}).get("application/json", {})
    return found


def _codes(response: Json) -> list[str]:
    codes: list[str] = list(_json_content(response)["examples"])
    return codes


def _values(schema: Json) -> Iterable[Any]:
    """The values that an enumeration allows."""
    for each in (schema, *schema.get("anyOf", ())):
        if "enum" in each:
            return [value for value in each["enum"] if value is not None]
    return []


def _bounds(schema: Json) -> str:
    """The limits of a schema in words, led by a comma; empty when there are none."""
    for each in (schema, *schema.get("anyOf", ())):
        for low, high, unit in _LIMITS:
            if high in each:
                return f", {_range(each.get(low), each[high])}{unit}"
    return ""


def _range(least: int | None, most: int) -> str:
    if most == INT32_MAX:
        return "32 bits"
    return f"at most {most}" if least is None else f"{least} to {most}"


def _without_repeats(blocks: Iterable[ExampleBlock]) -> list[ExampleBlock]:
    """Answers that look alike are shown once, under both their titles."""
    titles: dict[Markup, list[str]] = {}
    for block in blocks:
        titles.setdefault(block.text, []).append(block.title)
    return [ExampleBlock(_joined(same), text) for text, same in titles.items()]


def _joined(titles: Sequence[str]) -> str:
    return " or ".join([titles[0], *(title.removeprefix("Answer ") for title in titles[1:])])
