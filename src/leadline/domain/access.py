"""Who may do what: scopes and the shape of a token (contract § 2). Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    OUTCOMES_READ = "outcomes:read"
    OUTCOMES_WRITE = "outcomes:write"
    LISTS_READ = "lists:read"
    LISTS_WRITE = "lists:write"
    CONTACTS_READ = "contacts:read"
    CONTACTS_WRITE = "contacts:write"
    CALLS_READ = "calls:read"
    CALLS_WRITE = "calls:write"
    DELIVERIES_READ = "deliveries:read"
    DELIVERIES_WRITE = "deliveries:write"
    WORKSPACE_READ = "workspace:read"
    WORKSPACE_WRITE = "workspace:write"


ALL_SCOPES = frozenset(Scope)

# The workspace comes first in a token, so that looking it up names one workspace, as every query does.
_TOKEN = re.compile(r"ll_([0-9a-f]{32})_([0-9A-Za-z_-]{43})", re.ASCII)
TOKEN_PREFIX_CHARACTERS = 12


class UnknownScope(ValueError):
    """A scope that does not exist."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling: a token of one workspace, with its scopes."""

    workspace_id: str
    token_id: str
    scopes: frozenset[Scope]
    region: str
    outcomes_enabled: bool


def parse_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Scopes by name; `all` is every one. Raises UnknownScope."""
    found: set[Scope] = set()
    for name in names:
        if name == "all":
            found |= ALL_SCOPES
            continue
        try:
            found.add(Scope(name))
        except ValueError:
            raise UnknownScope(f"{name!r} is no scope; there are: all, {', '.join(Scope)}") from None
    return frozenset(found)


def allows(scopes: frozenset[Scope], needed: Scope) -> bool:
    """Whether they are enough: `write` includes `read`."""
    if needed in scopes:
        return True
    noun, _, verb = needed.partition(":")
    return verb == "read" and f"{noun}:write" in scopes


def format_token(workspace_id: str, secret: str) -> str:
    """A token out of 43 characters of base64url."""
    return f"ll_{workspace_id.replace('-', '')}_{secret}"


def workspace_of(token: str) -> str | None:
    """The workspace that a token names; None when it is no token of ours."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        return None
    digits = found[1]
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def hash_token(token: str) -> str:
    """What is stored. A token has 256 random bits, so a plain hash cannot be turned back."""
    return hashlib.sha256(token.encode()).hexdigest()
