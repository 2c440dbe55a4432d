"""Whatever is logged, however: no token, secret, phone number or note comes out, and one event is one line."""

from __future__ import annotations

import io
import json
import logging
import re
import uuid
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.domain.access import format_token
from leadline.logs import JsonFormatter, TextFormatter
from leadline.logs.redaction import TEXT_CHARACTERS_MAX, redact

NOTE = "call Zebulon's wife; he's \"ill\" (kidney)\nDETAIL: Zebulon"
MARKER = "Zebulon"

separators = st.sampled_from(["", " ", "-", ".", "\u00a0", " (", ") ", "/", "\u2011", "%20", "\u200b"])
surroundings = st.text(st.characters(exclude_characters="0123456789+("), max_size=30).filter(
    # Digits of other scripts beside a number would only make it longer.
    lambda text: not any(each.isdigit() for each in text)
)


@st.composite
def phone_numbers(draw: st.DrawFn) -> tuple[str, str]:
    """A number as people write it, and its digits."""
    digits = draw(st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True))
    written = draw(st.sampled_from(["+", "", "(", "+("])) + digits[0]
    for digit in digits[1:]:
        written += draw(separators) + digit
    return written, digits


@st.composite
def secrets(draw: st.DrawFn) -> str:
    """A token, a webhook secret, or what an authorization header holds."""
    body = draw(st.from_regex(r"[0-9A-Za-z]{40,44}", fullmatch=True))
    token = format_token(str(uuid.UUID(int=draw(st.integers(0, 2**128 - 1)))), body[:43].ljust(43, "x"))
    return draw(st.sampled_from([token, f"whsec_{body}=", f"Bearer {body}", f"basic {body}"]))


def digits_of(text: str) -> str:
    return re.sub(r"\D", "", text)


def lines_of(*args: Any, exc_info: Any = None, **extra: Any) -> list[str]:
    """What both forms write for one event, and what a machine reads out of the JSON."""
    record = logging.makeLogRecord({"name": "leadline.test", "msg": args[0], "levelname": "ERROR"})
    record.args = args[1:]
    record.exc_info = None if exc_info is None else (type(exc_info), exc_info, exc_info.__traceback__)
    vars(record).update(extra)
    written = JsonFormatter().format(record)
    assert "\n" not in written
    read = json.loads(written)
    read.pop("at")
    text = TextFormatter().format(record)
    return [json.dumps(read, ensure_ascii=False), text.partition(" ")[2]]


@given(phone_numbers(), surroundings, surroundings)
@settings(max_examples=150)
def test_no_phone_number_comes_out(number: tuple[str, str], before: str, after: str) -> None:
    written, digits = number
    text = f"{before}{written}{after}"
    fields = {"agent_id": text, "nested": {"list": [text, {text: text}]}, "request_id": written}
    for line in lines_of("about %s", text, **fields) + lines_of(text.replace("%", "%%")):
        assert digits not in digits_of(line)


@given(secrets(), surroundings, surroundings)
@settings(max_examples=150)
def test_no_token_or_secret_comes_out(secret: str, before: str, after: str) -> None:
    value = secret.rpartition(" ")[2]
    value = value.removeprefix("ll_").removeprefix("whsec_")
    text = f"{before} {secret} {after}"
    fields = {"path": text, "nested": [text], "request_id": secret.partition(" ")[0], "headers": {"a": value}}
    for line in lines_of("%s", text, **fields):
        assert value not in line
        assert value[:20] not in line


@pytest.mark.parametrize(
    "name", ["note", "phone_number", "token", "authorization", "cookie", "password", "body"]
)
@given(st.text(min_size=8, max_size=40))
@settings(max_examples=25)
def test_fields_of_people_and_of_secrets_are_hidden_by_name(name: str, value: str) -> None:
    value = f"{MARKER}{value}"
    fields: dict[str, Any] = {name: value, "deep": {f"call_{name}": value, "more": [{name: [value]}]}}
    for line in lines_of("applied", **fields):
        assert MARKER not in line


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgresql://leadline:hunter2@db.internal/leadline", "hunter2"),
        ("postgresql://:p@ss@db/x", "p@ss"),
        ('{"note": "call \\"Ann\\" at five", "a": 1}', "Ann"),
        ("note=call Ann at five", "Ann"),
        ("Cookie: __Host-session=abcdef; theme=dark", "abcdef"),
        ("LEADLINE_SECRET_KEY=c2VjcmV0", "c2VjcmV0"),
        ("metrics_token: 'very secret'", "very secret"),
        ("Authorization: Bearer abc", "abc"),
        ("session " + "a1" * 20, "a1a1"),
    ],
)
def test_what_is_named_is_hidden(text: str, hidden: str) -> None:
    assert hidden not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "delivery 00000000-0000-4000-8000-000000000031 took 123456 ms",
        "019f0000-0000-7000-8000-000000000000 at 2026-06-25T00:00:00.000Z",
        "listening on 127.0.0.1:8080 and 192.168.100.200",
        "GET /phone-system/calls 503 after 4096 writes",
        "a batch of 256 writes was rolled back: database or disk is full",
    ],
)
def test_ids_times_and_counts_stay(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("form", [JsonFormatter(), TextFormatter()])
@given(st.text(max_size=60))
@settings(max_examples=60)
def test_one_event_is_one_line_whatever_it_holds(form: logging.Formatter, hostile: str) -> None:
    record = logging.makeLogRecord({"name": "leadline", "msg": "%s", "args": (hostile,), "path": hostile})
    line = form.format(record)
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    line.encode("utf-8")


def test_a_text_has_a_bound_and_a_token_is_not_cut_into_view() -> None:
    token = "ll_" + "a" * 32 + "_" + "B" * 43
    shown = redact("x " * (TEXT_CHARACTERS_MAX // 2 - 20) + token + "y " * 100_000)
    assert len(shown) <= TEXT_CHARACTERS_MAX + 1
    assert "B" not in shown


class Unsayable(Exception):
    def __str__(self) -> str:
        raise ValueError(NOTE)


def broken_row() -> None:
    error = asyncpg.exceptions.NotNullViolationError('null value in column "name"')
    error.detail = f"Failing row contains ({NOTE})"
    raise error


RAISERS: dict[str, Callable[[], Any]] = {
    "int": lambda: int(NOTE),
    "key": lambda: dict[str, str]()[NOTE],
    "attribute": lambda: getattr(object(), NOTE),
    "open": lambda: Path(NOTE).read_text(),
    "import": lambda: import_module(NOTE.replace("\n", " ")),
    "ascii": lambda: f"{NOTE}\u1234".encode("ascii"),
    "json": lambda: json.loads(NOTE),
    "msgspec": lambda: msgspec.convert(NOTE, int),
    "uuid": lambda: uuid.UUID(NOTE),
    "format": lambda: format(NOTE, "d"),
    "assert": lambda: pytest.fail(NOTE),
    "index": lambda: [][NOTE],  # type: ignore[call-overload]
    "row": broken_row,
}


def caught(raiser: Callable[[], Any]) -> BaseException:
    try:
        raiser()
    except BaseException as error:  # noqa: BLE001 - any kind
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("name", RAISERS)
def test_an_error_does_not_tell_a_note(name: str) -> None:
    error = caught(RAISERS[name])
    assert not isinstance(error, AssertionError)
    error.add_note(NOTE)
    outer = ValueError(NOTE)
    outer.__cause__ = error
    grouped = ExceptionGroup(NOTE, [outer, Unsayable()])
    for each in (error, outer, grouped):
        for line in lines_of("it failed: %s", each, exc_info=each, reason=each):
            assert MARKER not in line
            assert type(error).__name__ in line


@pytest.mark.parametrize("kind", [ValueError, KeyError, RuntimeError, LookupError, UnicodeError, Unsayable])
@given(st.text(min_size=1, max_size=40))
@settings(max_examples=25)
def test_an_error_of_a_kind_that_may_hold_anything_tells_only_its_kind(
    kind: type[Exception], text: str
) -> None:
    text = f"'{MARKER}{text}" if kind is RuntimeError else f"{MARKER}{text}"
    for line in lines_of("failed", exc_info=kind(text)):
        assert MARKER not in line
        assert kind.__name__ in line


def test_a_traceback_still_tells_where_and_of_what_kind() -> None:
    error = caught(lambda: int("x"))
    for line in lines_of("failed", exc_info=error):
        assert "test_redaction.py" in line
        assert "ValueError" in line
    missing = caught(lambda: object().missing)  # type: ignore[attr-defined]
    said = "'object' object has no attribute 'missing'"
    assert all(said in line for line in lines_of("failed", exc_info=missing))


@pytest.mark.parametrize(
    "request_id",
    ["019f0000-0000-7000-8000-000000000000", "4bf92f3577b34da6a3ce929d0e0e4736", "sync-2026/7", "a.b:c+d="],
)
def test_a_sane_request_id_comes_through(request_id: str) -> None:
    assert all(request_id in line for line in lines_of("failed", request_id=request_id))


def test_errors_that_lead_to_each_other_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert all(len(line) < 5_000 for line in lines_of("failed", exc_info=first))


def test_a_task_that_nobody_awaited_does_not_tell_its_error() -> None:
    record = logging.makeLogRecord(
        {
            "name": "asyncio",
            "msg": f"Task exception was never retrieved\nfuture: <Task exception=ValueError({NOTE!r})>",
        }
    )
    assert MARKER not in JsonFormatter().format(record)


def test_a_bad_format_is_a_line_all_the_same() -> None:
    assert all("%d of %s" in line for line in lines_of("%d of %s", "x"))


def test_a_real_logger_writes_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("leadline.example")
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "propagate", False)
    try:
        int(NOTE)
    except ValueError:
        logger.exception("calling %s", "+1 555 555 0100", extra={"delivery_id": "d-1"})
    line = json.loads(stream.getvalue())
    assert line["message"] == "calling [hidden]"
    assert line["delivery_id"] == "d-1"
    assert line["level"] == "error"
    assert line["exception"].endswith("ValueError")
