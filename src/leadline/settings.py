"""Settings: flags first, then `LEADLINE_…` variables, then a TOML file (contract § 10).

A secret may be in a file of its own instead, which `LEADLINE_…_FILE` names, as container runtimes hand them out.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints
from urllib.parse import urlsplit

PREFIX = "LEADLINE_"
CONFIG_VARIABLE = "LEADLINE_CONFIG"
DEFAULT_FILE = "leadline.toml"
FILE_SUFFIX = "_FILE"
# What a file that only we can read may hold instead of the environment: LEADLINE_SECRET_KEY_FILE, say.
SECRETS = ("database_url", "metrics_token", "secret_key")
SECRET_BYTES_MAX = 64 * 1024


class InvalidSetting(ValueError):
    """A setting has a value that it cannot have; the sentence names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. The variable of a setting is its name in capitals with `LEADLINE_` before it."""

    database_url: str = "sqlite:///leadline.db"
    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = ""
    worker_port: int = 0
    webhook_allow_cidrs: str = ""
    webhook_require_https: bool = False
    webhook_retry_schedule: str = ""
    webhook_timeout_seconds: float = 15.0
    webhook_traceparent: bool = False
    log_format: str = "text"
    log_level: str = "info"
    log_requests: bool = False
    metrics_token: str = ""
    secret_key: str = ""
    rate_limit_per_minute: int = 0
    idempotency_days: float = 7.0
    events_kept_hours: float = 24.0
    database_connections: int = 10
    shutdown_seconds: float = 20.0
    provision_dir: str = ""
    ready_file: str = ""
    dev: bool = False

    def __post_init__(self) -> None:
        _check(0 <= self.port <= 65535, "port", "must be 0-65535")
        _check(_is_public_url(self.public_url), "public_url", "must be like https://calls.example.com")
        _check(0 <= self.worker_port <= 65535, "worker_port", "must be 0-65535")
        _check(1 <= self.webhook_timeout_seconds <= 30, "webhook_timeout_seconds", "must be 1-30")
        _check(self.log_format in ("text", "json"), "log_format", "must be text or json")
        _check(
            self.log_level in ("debug", "info", "warning", "error"),
            "log_level",
            "must be debug, info, warning or error",
        )
        _check(self.rate_limit_per_minute >= 0, "rate_limit_per_minute", "must not be negative")
        _check(1 <= self.idempotency_days <= 365, "idempotency_days", "must be 1-365")
        _check(1 <= self.events_kept_hours <= 24 * 365, "events_kept_hours", "must be 1-8760")
        _check(2 <= self.database_connections <= 1000, "database_connections", "must be 2-1000")
        _check(0 <= self.shutdown_seconds <= 600, "shutdown_seconds", "must be 0-600")


def _check(holds: bool, name: str, problem: str) -> None:
    if not holds:
        raise InvalidSetting(f"{name} {problem}")


def _is_public_url(url: str) -> bool:
    """Empty, or an origin: the console's cookies and links are made for it."""
    if not url:
        return True
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    rest = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not rest


def load_settings(
    flags: Mapping[str, Any], *, environ: Mapping[str, str] | None = None, file: str | None = None
) -> Settings:
    """The settings that hold. `flags` of None were not given. Raises InvalidSetting."""
    environ = os.environ if environ is None else environ
    values = _from_file(file or environ.get(CONFIG_VARIABLE))
    values |= _from_environ(environ)
    values |= {name: value for name, value in flags.items() if value is not None}
    return Settings(**values)


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for name, reader in _readers().items():
        text = environ.get(PREFIX + name.upper())
        if text is not None and text.strip():
            found[name] = reader(name, text.strip())
    for name in SECRETS:
        file = environ.get(PREFIX + name.upper() + FILE_SUFFIX, "").strip()
        if file:
            _check(name not in found, name, f"is given twice: by its variable and by {FILE_SUFFIX}")
            found[name] = _secret_in(name, Path(file))
    return found


def _secret_in(name: str, path: Path) -> str:
    """What the file holds, without white space around it. Raises InvalidSetting, which never tells the content."""
    try:
        with path.open("rb") as file:
            text = file.read(SECRET_BYTES_MAX + 1).decode().strip()
    except (OSError, UnicodeDecodeError) as wrong:
        raise InvalidSetting(f"{name}: {path} cannot be read: {type(wrong).__name__}") from None
    _check(0 < len(text) <= SECRET_BYTES_MAX, name, f"cannot come from {path}: it is empty or far too long")
    return text


def _from_file(named: str | None) -> dict[str, Any]:
    path = Path(named or DEFAULT_FILE)
    if named is None and not path.exists():
        return {}
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise InvalidSetting(f"{path} cannot be read: {wrong}") from wrong
    readers = _readers()
    unknown = sorted(set(content) - set(readers))
    if unknown:
        raise InvalidSetting(f"{path} has unknown settings: {', '.join(unknown)}")
    return {name: readers[name](name, _as_text(value)) for name, value in content.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(str(each) for each in value)
    return str(value)


def _readers() -> dict[str, Callable[[str, str], Any]]:
    hints = get_type_hints(Settings)
    by_type: dict[Any, Callable[[str, str], Any]] = {
        str: lambda _name, text: text,
        int: _integer,
        float: _number,
        bool: _truth,
    }
    return {
        each.name: by_type[(get_args(hints[each.name]) or (hints[each.name],))[0]]
        for each in fields(Settings)
    }


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidSetting(f"{name} must be a whole number") from None


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidSetting(f"{name} must be a number") from None


def _truth(name: str, text: str) -> bool:
    known = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in known:
        raise InvalidSetting(f"{name} must be true or false")
    return known[text.lower()]
