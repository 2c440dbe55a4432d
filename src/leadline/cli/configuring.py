"""`leadline plan`, `apply`, `export` and `schema`: outcomes as code, over the API of a running server."""

from __future__ import annotations

import base64
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from leadline.cli.configuration_file import (
    BadFile,
    ConfigurationSource,
    is_workspace,
    read_source,
    written,
)
from leadline.cli.failures import Failed, UsageError
from leadline.cli.printing import print_json, style
from leadline.client import Client, Response, requests
from leadline.client.errors import InvalidRequest, PreconditionFailed
from leadline.domain.limits import BODY_BYTES_MAX
from leadline.wire.configuration import ConfigurationFile

DIFFERENT = 2
_PATH = "/configuration"
_SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}
_TITLES = {"smart_list": "Smart Lists", "outcome": "Outcomes"}


@dataclass(frozen=True, slots=True)
class ConfigurationApi:
    """The three requests that configurations need. The seam to the transport."""

    client: Client

    def get(self) -> dict[str, Any]:
        return _answer(self.client.send(requests.get_configuration()))

    def plan(self, source: ConfigurationSource, *, prune: bool) -> tuple[dict[str, Any], str]:
        """The plan and the tag of the state that it is for. Raises BadFile."""
        with _told_by_line(source):
            response = self.client.send(requests.plan_configuration(**_body(source), prune=prune or None))
        return _answer(response), response.etag or ""

    def apply(self, source: ConfigurationSource, etag: str, *, prune: bool) -> dict[str, Any]:
        """Apply what was planned on the state of this tag. Raises BadFile, Failed."""
        request = requests.apply_configuration(**_body(source), prune=prune or None, if_match=etag)
        with _told_by_line(source):
            try:
                return _answer(self.client.send(request))
            except PreconditionFailed:
                raise Failed(
                    "the workspace has changed since the plan was made; nothing was applied: plan again"
                ) from None


def _answer(response: Response[Any]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(response.body)
    return answer


@contextmanager
def _told_by_line(source: ConfigurationSource) -> Iterator[None]:
    """A refusal of the document is told as problems of the file. Raises BadFile."""
    try:
        yield
    except InvalidRequest as refused:
        if not refused.details:
            raise
        problems = [{"field": each.field, "message": each.message} for each in refused.details]
        raise BadFile(source.explain(problems)) from None


def _body(source: ConfigurationSource) -> dict[str, Any]:
    """The document as it fits a request. Raises BadFile."""
    plain: dict[str, Any] = {"configuration": source.configuration}
    if len(json.dumps(plain)) <= BODY_BYTES_MAX:
        return plain
    deflated = zlib.compress(json.dumps(source.configuration).encode(), 9)
    body = {"configuration_deflated": base64.b64encode(deflated).decode()}
    if len(json.dumps(body)) > BODY_BYTES_MAX:
        raise BadFile(
            f"{source.name}: it is too large, also compressed, for the {BODY_BYTES_MAX // 1024} KiB of a request;"
            " put its sections into two files, or use LEADLINE_PROVISION_DIR"
        )
    return body


def plan(api: ConfigurationApi, name: str, *, prune: bool, as_json: bool, detailed_exit_status: bool) -> int:
    """Show what applying the file would change. The exit status is 2 for changes when it is to be detailed."""
    source = read_source(name)
    answer, _ = _planned(api, source, prune=prune)
    if as_json:
        print_json(answer)
    else:
        print("\n".join(diff(answer["plan"])))
    return DIFFERENT if detailed_exit_status and answer["plan"]["changes"] else 0


def apply(api: ConfigurationApi, name: str, *, prune: bool, yes: bool, as_json: bool) -> None:
    """Plan, show, ask, and apply what was shown. Raises BadFile, Failed, UsageError."""
    source = read_source(name)
    answer, etag = _planned(api, source, prune=prune)
    if not as_json:
        print("\n".join(diff(answer["plan"])))
    if answer["plan"]["changes"]:
        if not yes:
            _ask(name)
        answer = api.apply(source, etag, prune=prune or source.prune)
        if not as_json:
            print(f"Applied to {answer['workspace']['name']!r}: {_counted(answer['plan'], done=True)}.")
    if as_json:
        print_json(answer)


def _planned(
    api: ConfigurationApi, source: ConfigurationSource, *, prune: bool
) -> tuple[dict[str, Any], str]:
    answer, etag = api.plan(source, prune=prune or source.prune)
    workspace = answer["workspace"]
    if source.workspace is not None and not is_workspace(
        source.workspace, workspace["subaccount_id"], workspace["name"]
    ):
        raise BadFile(
            f"{source.name}: it is for the workspace {source.workspace!r}, and the token is for"
            f" {workspace['name']!r} ({workspace['subaccount_id']})"
        )
    return answer, etag


def _ask(name: str) -> None:
    if name == "-" or not sys.stdin.isatty():
        raise UsageError("applying needs --yes when nobody can be asked")
    if input("Apply? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Failed("nothing was applied")


def diff(plan_: Mapping[str, Any]) -> Iterable[str]:
    """A plan for people, line by line."""
    for kind, title in _TITLES.items():
        changes = [each for each in plan_["changes"] if each["kind"] == kind]
        if changes:
            yield style(title, "bold")
            for each in changes:
                yield from _change(each)
            yield ""
    yield f"{_counted(plan_)}; {plan_['unchanged']} as the file says{_unmanaged(plan_['unmanaged'])}."


def _unmanaged(count: int) -> str:
    return f", {count} not in the file and left alone" if count else ""


def _counted(plan_: Mapping[str, Any], *, done: bool = False) -> str:
    if not plan_["changes"]:
        return "Nothing to change"
    counts = (("created", "create"), ("updated", "update"), ("deleted", "delete"))
    parts = [f"{plan_[key]} {key if done else f'to {verb}'}" for key, verb in counts if plan_[key]]
    return ", ".join(parts)


def _change(change: Mapping[str, Any]) -> Iterable[str]:
    sign, colour = _SIGNS[change["change"]]
    title = f"{change['type']} {change['name']!r}" if change["type"] else repr(change["name"])
    yield style(f"  {sign} {title}", colour)
    for each in change["fields"]:
        yield f"      {each['field']:<12} {_transition(change['change'], each)}"
    for note in change["notes"]:
        yield style(f"      ! {note}", "red")


def _transition(change: str, field: Mapping[str, Any]) -> str:
    if change == "create":
        return _shown(field["after"])
    if change == "delete":
        return style(_shown(field["before"]), "dim")
    return f"{_shown(field['before'])} → {_shown(field['after'])}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value)
    return f"the deleted list {value['deleted']}" if isinstance(value, dict) else str(value)


def export(api: ConfigurationApi, output: str | None, *, schema: str | None, as_json: bool) -> None:
    """Print or write the workspace's configuration as a file whose plan is empty."""
    answer = api.get()
    if as_json:
        text = json.dumps(answer["configuration"], ensure_ascii=False, indent=2) + "\n"
    else:
        text = written(answer["configuration"], workspace=answer["workspace"], schema=schema)
    if output is None:
        sys.stdout.write(text)
    else:
        Path(output).write_text(text, encoding="utf-8")


def file_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a file, for editors."""
    (reference,), components = msgspec.json.schema_components(
        [ConfigurationFile], ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Leadline: outcomes as code",
        **reference,
        "$defs": components,
    }
