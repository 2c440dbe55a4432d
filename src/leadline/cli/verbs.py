"""Commands from descriptions: a verb is one operation of the API, called over HTTP.

What a command is called and what its help says is written by hand, in `nouns.py`; which types its arguments have,
which of them must be given and what is sent follows from the operation's function in `leadline.client.requests`.
"""

from __future__ import annotations

import inspect
import operator
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import cyclopts
from cyclopts import Parameter
from msgspec import UnsetType

from leadline.cli.connecting import Token, Url, connect
from leadline.cli.failures import Failed, UsageError
from leadline.cli.flags import AsJson
from leadline.cli.reading import READERS
from leadline.cli.showing import Columns, Summary, show_answer, show_rows
from leadline.client import Client, requests
from leadline.client.requests import PageRequest

Row = Mapping[str, Any]
LIMIT_DEFAULT = 50
PAGE_MAX = 200
# What is asked of every request in the same way, and not by its verb.
_AROUND = frozenset({"limit", "cursor", "idempotency_key", "if_match", "known"})

Yes = Annotated[bool, Parameter(help="Do not ask.", show_default=False)]
Key = Annotated[
    str | None,
    Parameter(name="--idempotency-key", help="The same key again does nothing again, and answers the same."),
]
IfMatch = Annotated[
    str | None,
    Parameter(name="--if-match", help="Only if nobody has changed it since: the etag of an answer."),
]
Limit = Annotated[
    int, Parameter(name="--limit", help=f"How many at most; {LIMIT_DEFAULT}.", show_default=False)
]
All = Annotated[bool, Parameter(name="--all", help="All of them, however many.", show_default=False)]
Cursor = Annotated[str | None, Parameter(name="--cursor", help="Go on at this next_cursor.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One operation as a command.

    `places` and `flags` say what each parameter of the request is for; a flag's text may begin with its own name
    (`"--agent: …"`), else it is the parameter's. `infer` adds arguments that follow from those given (`inferred`).
    `summary` is what people see of the answer when it is not its one noun, and `done` says it in a sentence.
    `asks` is the question before something is gone for good.
    """

    name: str
    operation: str
    help: str
    places: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    columns: Columns = ()
    summary: Summary = None
    asks: str = ""
    done: str = ""
    # Flags that are not the request's, and who shows the answer (its value, its body) by them and by --json.
    extras: Sequence[inspect.Parameter] = ()
    show: Callable[[Any, bytes, Mapping[str, Any], bool], None] | None = None
    infer: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _given: {}
    inferred: Sequence[str] = ()

    @property
    def describe(self) -> Callable[..., requests.Request[Any]]:
        found: Callable[..., requests.Request[Any]] = getattr(requests, self.operation)
        return found


@dataclass(frozen=True, slots=True)
class Noun:
    name: str
    help: str
    verbs: Sequence[Verb]

    def app(self) -> cyclopts.App:
        """The noun as a command with its verbs."""
        app = cyclopts.App(name=self.name, help=self.help, default_parameter=Parameter(negative=()))
        self.add_to(app)
        return app

    def add_to(self, app: cyclopts.App) -> None:
        """Give the verbs to a command that has others of its own."""
        for verb in self.verbs:
            app.command(command_of(verb), name=verb.name)


def command_of(verb: Verb) -> Callable[..., None]:
    """The function that the command line runs for a verb."""
    signature = inspect.signature(verb.describe)
    clearable = _clearable(verb)
    typed = inspect.Signature(_parameters(verb, signature, clearable))

    def command(*places: Any, **flags: Any) -> None:
        bound = typed.bind(*places, **flags)
        bound.apply_defaults()
        values = bound.arguments
        url, token, as_json = values.pop("url"), values.pop("token"), values.pop("json_")
        confirmed = values.pop("yes", True)
        limits = {name: values.pop(name) for name in ("limit", "all_", "cursor") if name in values}
        extras = {each.name: values.pop(each.name) for each in verb.extras}
        arguments = _arguments(values, signature, clearable)
        arguments |= verb.infer(arguments)
        if not confirmed:
            _ask(verb, arguments)
        request = verb.describe(**arguments)
        with connect(url, token) as client:
            if isinstance(request, PageRequest):
                _show_pages(client, request, verb, **limits, as_json=as_json)
            elif verb.show is not None:
                response = client.send(request)
                verb.show(response.value, response.body, extras, as_json)
            else:
                body = client.send(request).body
                show_answer(body, verb.columns, as_json=as_json, done=verb.done, summary=verb.summary)

    command.__name__ = verb.name
    command.__doc__ = verb.help
    command.__signature__ = typed  # type: ignore[attr-defined]
    return command


def _parameters(
    verb: Verb, signature: inspect.Signature, clearable: Mapping[str, str]
) -> list[inspect.Parameter]:
    hints = get_type_hints(verb.describe)
    made = [_parameter(name, text, signature, hints[name], place=True) for name, text in verb.places.items()]
    made += [_parameter(name, text, signature, hints[name]) for name, text in verb.flags.items()]
    if clearable:
        help_text = "Empty this field; may be given more than once."
        chosen = _repeated(operator.getitem(cast("Any", Literal), tuple(clearable)))
        made.append(
            _keyword("clear", chosen, (), Parameter(name="--clear", help=help_text, show_default=False))
        )
    if "cursor" in signature.parameters or "after" in signature.parameters:
        made.append(_plain("limit", Limit, LIMIT_DEFAULT))
        made.append(_plain("all_", All, False))
    if "cursor" in signature.parameters:
        made.append(_plain("cursor", Cursor, None))
    if "if_match" in signature.parameters:
        made.append(_plain("if_match", IfMatch, None))
    if "idempotency_key" in signature.parameters:
        made.append(_plain("idempotency_key", Key, None))
    if verb.asks:
        made.append(_plain("yes", Yes, False))
    made += verb.extras
    made += [_plain("url", Url, None), _plain("token", Token, None), _plain("json_", AsJson, False)]
    return made


def _parameter(
    name: str, text: str, signature: inspect.Signature, hint: Any, *, place: bool = False
) -> inspect.Parameter:
    """One argument of a verb, with the type and the need of its request."""
    flag, help_text = _flag(name, text)
    is_required = signature.parameters[name].default is inspect.Parameter.empty
    kind = _annotation(name, hint)
    if place:
        parameter = Parameter(help=help_text)
        default = inspect.Parameter.empty if is_required else None
        annotation = _annotated(kind if is_required else kind | None, parameter)
        return inspect.Parameter(
            name, inspect.Parameter.POSITIONAL_ONLY, default=default, annotation=annotation
        )
    negative = (
        f"--no-{flag.removeprefix('--')}"
        if kind is bool and "force" not in flag and "dry" not in flag
        else ()
    )
    parameter = Parameter(name=flag, help=help_text, negative=negative, show_default=False)
    if is_required:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=_annotated(kind, parameter))
    if get_origin(kind) is tuple:
        return _keyword(name, kind, (), parameter)
    return _keyword(name, kind | None, None, parameter)


def _keyword(name: str, kind: Any, default: Any, parameter: Parameter) -> inspect.Parameter:
    return _plain(name, _annotated(kind, parameter), default)


def _plain(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _annotation(name: str, hint: Any) -> Any:
    """What is typed for a parameter: text where the request takes text or more, lists as repeated flags."""
    if name in READERS:
        return READERS[name].kind
    kinds = [each for each in _members(hint) if each not in (type(None), UnsetType)]
    if str in kinds:
        return str
    (kind,) = kinds
    if get_origin(kind) is not None and get_origin(kind) is not Literal:
        return _repeated(get_args(kind)[0])
    return kind


def _repeated(kind: Any) -> Any:
    """A type made at run time: any number of these."""
    return operator.getitem(cast("Any", tuple), (kind, ...))


def _annotated(kind: Any, parameter: Parameter) -> Any:
    """A type made at run time, with what the command line knows of it."""
    return operator.getitem(cast("Any", Annotated), (kind, parameter))


def _members(hint: Any) -> Sequence[Any]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _clearable(verb: Verb) -> dict[str, str]:
    """The fields of a change that may be emptied, by the names of their flags."""
    hints = get_type_hints(verb.describe)
    return {
        _flag(name, text)[0].removeprefix("--"): name
        for name, text in verb.flags.items()
        if UnsetType in _members(hints[name]) and type(None) in _members(hints[name])
    }


def _flag(name: str, text: str) -> tuple[str, str]:
    """A flag and its help: the flag's own name stands before its text, else it is the parameter's."""
    own_name, _, rest = text.partition(": ") if text.startswith("--") else ("", "", text)
    return own_name or f"--{name.replace('_', '-')}", rest


def _arguments(
    values: Mapping[str, Any], signature: inspect.Signature, clearable: Mapping[str, str]
) -> dict[str, Any]:
    """The arguments of the request: what was given, as its reader reads it. Raises UsageError."""
    given = {
        name: value for name, value in values.items() if value is not None and value != () and name != "clear"
    }
    given |= {name: READERS[name].read(value) for name, value in given.items() if name in READERS}
    for flag in values.get("clear", ()):
        if clearable[flag] in given:
            raise UsageError(f"--clear {flag} and --{flag} contradict each other")
        given[clearable[flag]] = None
    if clearable and not any(
        name in given for name in signature.parameters if name not in _identity(signature)
    ):
        raise UsageError("nothing to change was given")
    return given


def _identity(signature: inspect.Signature) -> set[str]:
    """The parameters that say which thing is meant, and those around."""
    return {
        name for name, each in signature.parameters.items() if each.default is inspect.Parameter.empty
    } | _AROUND


def _ask(verb: Verb, arguments: Mapping[str, Any]) -> None:
    """Go on only when a person at a terminal says yes. Raises UsageError, Failed."""
    if not sys.stdin.isatty():
        raise UsageError(f"{verb.name} needs --yes when nobody can be asked")
    print(verb.asks.format(**arguments), end=" [y/N] ", file=sys.stderr, flush=True)
    if input().strip().lower() not in ("y", "yes"):
        raise Failed("nothing was changed")


def _show_pages(
    client: Client,
    request: PageRequest[Any],
    verb: Verb,
    *,
    limit: int = LIMIT_DEFAULT,
    all_: bool = False,
    cursor: str | None = None,
    as_json: bool,
) -> None:
    """Fetch pages until there are enough, and show them as one list."""
    if limit < 1:
        raise UsageError("--limit must be at least 1")
    bodies, found = [], 0
    while True:
        size = PAGE_MAX if all_ else min(PAGE_MAX, limit - found)
        asked = request.after(cursor) if cursor else request
        response = client.send(asked.sized(size))
        bodies.append(response.body)
        found += len(response.value)
        cursor = response.value.next_cursor
        if cursor is None or (not all_ and found >= limit):
            break
    go_on = f"--{request.cursor_parameter} {cursor}" if cursor else ""
    show_rows(bodies, verb.columns, as_json=as_json, more=go_on)
