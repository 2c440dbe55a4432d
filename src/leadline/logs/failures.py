"""An error as it may be logged: where it happened and what kind it is, and its words only where they are safe.

The text of an error can hold what somebody sent: `ValueError: 'call Ann after 5'`, or PostgreSQL's "Failing row
contains (…)". So it is told only for kinds whose text is about code or the system; of that, the first line, with
everything between the first and the last quotation mark left out, unless those are names of code.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator

from leadline.logs.redaction import HIDDEN, redact

FRAMES_MAX = 40
LINKS_MAX = 8

# Their text comes from the interpreter or the operating system.
_PLAIN = (
    AttributeError, ImportError, MemoryError, NameError, NotImplementedError, OSError, RecursionError, TypeError,
)  # fmt: skip
_PLAIN_EXACTLY = (RuntimeError, TimeoutError)
# Ours are written for callers; the drivers' first line names tables and constraints, their values are in the next.
_PLAIN_MODULES = frozenset({"leadline", "apsw", "asyncpg"})
_QUOTED = re.compile(r"[\"'`\u00ab\u2018\u201c].*", re.DOTALL)
# What the interpreter quotes in errors about code: names of types, attributes, modules and arguments.
_ABOUT_NAMES = (AttributeError, ImportError, NameError, TypeError)
_NAMES_ONLY = re.compile(r"[^'\"`\u2018\u201c]*(?:'[A-Za-z_][\w.]{0,80}'[^'\"`\u2018\u201c]*)+")
_QUOTES = "\"'`\u00bb\u2019\u201d"


def safe_text(error: BaseException) -> str:
    """What an error says, without anybody's data; empty when it says nothing that may be told."""
    if not _may_speak(error):
        return ""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - an error that cannot tell its text has none
        return ""
    line = said.strip().partition("\n")[0]
    names_code = isinstance(error, _ABOUT_NAMES) and _NAMES_ONLY.fullmatch(line)
    return redact(line if names_code else _unquoted(line))


def _may_speak(error: BaseException) -> bool:
    kind = type(error)
    if kind.__module__.partition(".")[0] in _PLAIN_MODULES:
        return True
    return kind in _PLAIN_EXACTLY or (kind.__module__ == "builtins" and isinstance(error, _PLAIN))


def _unquoted(text: str) -> str:
    """From the first quotation mark to the last, whatever is between: quoting can be nested, or broken."""
    found = _QUOTED.search(text)
    if found is None:
        return text
    end = max(text.rfind(quote) for quote in _QUOTES)
    after = text[end + 1 :] if end > found.start() else ""
    return f"{text[: found.start()]}'{HIDDEN}'{after}"


def describe(error: BaseException) -> str:
    """One line: the kind of an error, and what it may say."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    said = safe_text(error)
    return f"{name}: {said}" if said else name


def trace(error: BaseException) -> str:
    """The traceback of an error and of those that led to it, the first of them on top; bounded."""
    return "\n".join(_blocks(error, LINKS_MAX, "")).rstrip()


def _blocks(error: BaseException, links: int, indent: str) -> Iterator[str]:
    """`error` and its causes, the oldest first; `links` is how many more may be told."""
    earlier, because = _before(error)
    if earlier is not None and links > 0:
        yield from _blocks(earlier, links - 1, indent)
        yield f"{indent}-- {because} --"
    frames = traceback.format_tb(error.__traceback__, limit=-FRAMES_MAX)
    if frames:
        yield f"{indent}Traceback (most recent call last):"
        yield "".join(frames).rstrip().replace("\n", f"\n{indent}")
    yield indent + describe(error)
    if isinstance(error, BaseExceptionGroup) and links > 0:
        for each in error.exceptions[:LINKS_MAX]:
            yield from _blocks(each, min(links - 1, 2), f"{indent}  | ")


def _before(error: BaseException) -> tuple[BaseException | None, str]:
    if error.__cause__ is not None:
        return error.__cause__, "which was the cause of"
    if error.__suppress_context__:
        return None, ""
    return error.__context__, "while that was handled, this happened"
