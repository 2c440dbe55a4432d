"""What may go wrong, in one line for people, and the exit status that belongs to it.

2: the command was given something it cannot take (flags, settings, scopes, fields). 1: it could not be done. What
the API answers has statuses of its own. Whatever is not listed here is a bug and shows its traceback.
"""

from __future__ import annotations

from collections.abc import Mapping

from cyclopts import CycloptsError

from leadline.settings import InvalidSetting

FAILED = 1
USAGE = 2
NOT_FOUND = 3
NOT_ALLOWED = 4
CONFLICT = 5
NOT_ANSWERED = 6
INTERRUPTED = 130

# By name, because only `store` may import a driver and `web` a server, and most commands need neither.
_DRIVERS = frozenset({"apsw", "asyncpg", "sqlalchemy"})
_NAMED = frozenset({"CannotListen", "DatabaseInUse", "LeadlineError", "SqliteTooOld", "UnknownRevision"})
_NAMED_USAGE = frozenset({"InvalidDatabaseUrl", "UnknownScope"})


# The client's errors: the exit status and what to do. The first that fits, so the particular come first.
_OF_THE_CLIENT = (
    ("ConfigurationError", USAGE, ""),
    ("BadRequest", USAGE, ""),
    ("NotFound", NOT_FOUND, ""),
    ("Unauthorized", NOT_ALLOWED, "give another one with --token or LEADLINE_TOKEN"),
    ("Forbidden", NOT_ALLOWED, "`leadline token create --scopes …` makes a token that may"),
    ("PermissionDenied", NOT_ALLOWED, ""),
    ("DispositionRequired", CONFLICT, "`leadline call apply CALL_ID OUTCOME_ID` gives it"),
    ("SmartListInUse", CONFLICT, "--force deletes it all the same"),
    ("Conflict", CONFLICT, ""),
    ("PreconditionFailed", CONFLICT, "somebody was faster: look again"),
    ("IdempotencyKeyReused", CONFLICT, ""),
    ("NoAnswer", NOT_ANSWERED, "is `leadline serve` running? --url or LEADLINE_URL says where"),
    ("RateLimited", NOT_ANSWERED, "wait and try again"),
    ("ServerFailed", NOT_ANSWERED, "try again; the server's log has the request"),
)


class UsageError(Exception):
    """The command cannot be carried out as it was given: exit status 2."""


class Failed(Exception):
    """The command was understood and could not be done: exit status 1."""


class FailedInParts(Failed):
    """As Failed, with one line for each thing that is wrong."""


def explain(error: BaseException) -> tuple[str, int] | None:
    """The sentence and the exit status for an expected error; None for a bug."""
    if isinstance(error, CycloptsError | UsageError | InvalidSetting):
        return _sentence(error), USAGE
    names = {each.__name__ for each in type(error).__mro__ if each.__module__.startswith("leadline.")}
    if isinstance(error, Exception) and "leadline.client.errors" in {
        each.__module__ for each in type(error).__mro__
    }:
        return _of_the_client(error, names)
    if names & _NAMED_USAGE:
        return _sentence(error), USAGE
    if isinstance(error, Failed) or names & _NAMED:
        return _sentence(error), FAILED
    return _of_the_machine(error)


def _of_the_machine(error: BaseException) -> tuple[str, int] | None:
    """What packages, drivers and the system raise; None for a bug."""
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("leadline"):
        return f"the package {error.name} is not installed: pip install 'leadline[server]'", FAILED
    if _is_of_a_driver(error):
        return f"the database refused: {_sentence(error)}", FAILED
    if isinstance(error, ConnectionError):
        return f"the database cannot be reached: {_sentence(error)}", FAILED
    if isinstance(error, OSError | TimeoutError):
        return _sentence(error) or "it took too long", FAILED
    return None


def _of_the_client(error: Exception, names: set[str]) -> tuple[str, int]:
    """A refusal of the API, or none from it: what it said, what it points at, and what to do."""
    exit_status, advice = next(
        ((status, advice) for name, status, advice in _OF_THE_CLIENT if name in names), (FAILED, "")
    )
    pointers: Mapping[str, object] = getattr(error, "pointers", {})
    pointed = "".join(f"; {name} {_listed(value)}" for name, value in pointers.items())
    return f"{_sentence(error)}{pointed}" + (f"; {advice}" if advice else ""), exit_status


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _is_of_a_driver(error: BaseException) -> bool:
    """Whether a database driver raised it: an error of its own, or a plain one about what it was given."""
    raised_in = ""
    trace = error.__traceback__
    while trace is not None:
        raised_in = trace.tb_frame.f_globals.get("__name__", "")
        trace = trace.tb_next
    modules = [raised_in] if isinstance(error, ValueError) else []
    modules += [each.__module__ for each in type(error).__mro__]
    return any(each.partition(".")[0] in _DRIVERS for each in modules)


def _sentence(error: BaseException) -> str:
    """The error's own words in one line, unless it has a line for each of its parts."""
    if isinstance(error, FailedInParts):
        return str(error)
    if isinstance(error, CycloptsError):
        return " ".join(str(error).split())
    return " ".join(str(error).split()) or type(error).__name__
