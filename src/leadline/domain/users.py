"""Users of the console: addresses, names and passwords as people type them. Pure."""

from __future__ import annotations

import re

from leadline.domain.access import Role
from leadline.domain.errors import Problem
from leadline.domain.limits import (
    AGENT_ID_CHARACTERS_MAX,
    EMAIL_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MIN,
)
from leadline.domain.text import name_problem

THEMES = ("system", "light", "dark")

# Not the whole grammar of RFC 5322: what people have, without what would break a header or a page.
_ODD = r"\s@\"<>()\[\],;:\\\x00-\x1f\x7f-\x9f"
_EMAIL = re.compile(rf"[^{_ODD}]+@[^{_ODD}.]+(?:\.[^{_ODD}.]+)*")


def email_key(email: str) -> str:
    """Two addresses with the same key are the same account."""
    return email.strip().casefold()


def email_problem(email: str) -> str | None:
    """What is wrong with an address; None when nothing is."""
    trimmed = email.strip()
    if not 3 <= len(trimmed) <= EMAIL_CHARACTERS_MAX or _EMAIL.fullmatch(trimmed) is None:
        return "is not an e-mail address, such as ada@example.com"
    return None


def password_problem(password: str, *, email: str = "", name: str = "") -> str | None:
    """What is wrong with a new password; None when nothing is (after NIST SP 800-63B: length, not classes)."""
    if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
        return f"must be {PASSWORD_CHARACTERS_MIN}-{PASSWORD_CHARACTERS_MAX} characters"
    if "\0" in password:
        return "must not contain NUL"
    folded = password.casefold()
    if len(set(folded)) < 5:
        return "repeats too few characters"
    for known in (email.strip(), email.partition("@")[0], name.strip()):
        if known and folded in (known.casefold(), known.casefold() * 2):
            return "must not be your name or address"
    return None


def user_problems(*, email: str, name: str, role: str, agent_id: str | None) -> list[Problem]:
    """Everything wrong with what a user is to be."""
    found = [
        ("email", email_problem(email)),
        ("name", name_problem(name, NAME_CHARACTERS_MAX)),
        ("role", None if role in tuple(Role) else f"must be one of {', '.join(Role)}"),
        ("agent_id", None if agent_id is None else name_problem(agent_id, AGENT_ID_CHARACTERS_MAX)),
    ]
    return [Problem(field, wrong) for field, wrong in found if wrong]
