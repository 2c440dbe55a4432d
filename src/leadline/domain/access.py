"""Who may do what: scopes of tokens (contract § 2), roles of users, and how their secrets look. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
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
_SECRET = re.compile(r"([0-9a-f]{32})\.([0-9A-Za-z_-]{43})", re.ASCII)
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
    token_name: str = ""


class Role(StrEnum):
    """What a user of the console is."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"


class Permission(StrEnum):
    """What somebody may do in the console."""

    PROFILE = "profile"
    DESK = "desk"
    CALLS = "calls"
    CONTACTS = "contacts"
    LISTS = "lists"
    DELIVERIES = "deliveries"
    REPORTS = "reports"
    OUTCOMES = "outcomes"
    ENDPOINTS = "endpoints"
    WORKSPACE = "workspace"
    TOKENS = "tokens"
    USERS = "users"
    AUDIT = "audit"


_OF_AGENTS = frozenset({Permission.PROFILE, Permission.DESK})
_OF_SUPERVISORS = _OF_AGENTS | {
    Permission.CALLS,
    Permission.CONTACTS,
    Permission.LISTS,
    Permission.DELIVERIES,
    Permission.REPORTS,
}
PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    # An agent sees his own desk: his own calls, and the contact that he talks to.
    Role.AGENT: _OF_AGENTS,
    Role.SUPERVISOR: _OF_SUPERVISORS,
    Role.ADMINISTRATOR: frozenset(Permission),
}


def may(role: Role, permission: Permission) -> bool:
    return permission in PERMISSIONS[role]


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
    return None if found is None else _dashed(found[1])


def format_secret(workspace_id: str, secret: str) -> str:
    """What a session's cookie and a one-use link hold, out of 43 characters of base64url."""
    return f"{workspace_id.replace('-', '')}.{secret}"


def workspace_of_secret(text: str) -> str | None:
    """The workspace that a session's cookie or a link names; None when it is none of ours."""
    found = _SECRET.fullmatch(text)
    return None if found is None else _dashed(found[1])


def _dashed(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def hash_token(token: str) -> str:
    """What is stored. A token has 256 random bits, so a plain hash cannot be turned back."""
    return hashlib.sha256(token.encode()).hexdigest()
