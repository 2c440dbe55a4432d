"""Log records as lines, and where the lines go."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from leadline.logs.failures import describe, trace
from leadline.logs.redaction import one_line, redact, redact_field

log = logging.getLogger("leadline")

PER_REQUEST = ("leadline.requests", "leadline.attempts")
"""Loggers with one line for each request and each attempt. What went wrong is a warning or an error there."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_BARE = re.compile(r"[0-9A-Za-z_.:/+-]+", re.ASCII)
_TO_QUOTE = re.compile(r'[ "=]')
_more_fields: Callable[[], Mapping[str, Any]] | None = None


def add_fields(provider: Callable[[], Mapping[str, Any]] | None) -> None:
    """Fields for every line from now on, such as the trace it belongs to; None ends it."""
    global _more_fields  # noqa: PLW0603 - there is one standard error
    _more_fields = provider


class _Formatter(logging.Formatter):
    """What both forms have in common: what a record says once it is redacted."""

    def at(self, record: logging.LogRecord) -> str:
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{whole}.{int(record.msecs):03d}Z"

    def sentence(self, record: logging.LogRecord) -> str:
        """The message; errors among its arguments say only what they may."""
        args = record.args
        if isinstance(args, tuple):
            args = tuple(describe(each) if isinstance(each, BaseException) else each for each in args)
        try:
            text = str(record.msg) % args if args else str(record.msg)
        except Exception:  # noqa: BLE001 - a line must never bring down who logs
            text = str(record.msg)
        if not record.name.startswith("leadline"):
            # A library's first line says what; the next ones show its objects.
            text = text.partition("\n")[0]
        return redact(text)

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if _more_fields is not None:
            given |= _more_fields()
        return {
            name: describe(value) if isinstance(value, BaseException) else redact_field(name, value)
            for name, value in given.items()
            if value is not None
        }

    def trace(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        return trace(error) if error is not None else ""


class JsonFormatter(_Formatter):
    """A record as one line of JSON, with everything that `extra` gave; ASCII, so nothing in it can end a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": self.at(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.sentence(record),
        }
        line |= {name: value for name, value in self.fields(record).items() if name not in line}
        traced = self.trace(record)
        if traced:
            line["exception"] = traced
        return json.dumps(line, default=str)


class TextFormatter(_Formatter):
    """A record as one line for people: time, level, logger, message, `name=value`; a traceback is indented under it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_value(value)}" for name, value in self.fields(record).items())
        line = f"{self.at(record)} {record.levelname:<7} {record.name}: {one_line(self.sentence(record))}"
        if fields:
            line = f"{line} {fields}"
        traced = self.trace(record)
        if traced:
            line += "".join(f"\n    {one_line(each)}" for each in traced.splitlines())
        return line


def _value(value: Any) -> str:
    text = (
        json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    )
    if _BARE.fullmatch(text):
        return text
    text = one_line(text)
    return json.dumps(text, ensure_ascii=False) if _TO_QUOTE.search(text) or not text else text


def set_up_logs(log_format: str, level: str, *, requests: bool = False) -> None:
    """Send every log to standard error, and the errors that nobody caught as well.

    `requests` also gives the lines of requests and attempts that went well.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    ours = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger("leadline").setLevel(ours)
    for name in PER_REQUEST:
        logging.getLogger(name).setLevel(ours if requests else max(ours, logging.WARNING))
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _uncaught(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.critical("ended by an error that nobody foresaw", exc_info=(kind, error, at))


def _uncaught_in_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is None or ended.exc_type is SystemExit:
        return
    log.critical("a thread was ended by an error that nobody foresaw", exc_info=ended.exc_value)
