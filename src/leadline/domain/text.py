"""What text may look like."""

from __future__ import annotations

import re

# C0, DEL and C1, and the two Unicode line breaks (contract § 4).
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_BUT_LAYOUT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def name_problem(name: str, characters_max: int) -> str | None:
    """What is wrong with a name, once white space around it is gone; None when nothing is."""
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= characters_max:
        return f"must be 1-{characters_max} characters"
    if _CONTROL.search(trimmed):
        return "must not contain control characters"
    return None


def note_problem(note: str) -> str | None:
    """A note may have line breaks and tabs, and no other control character."""
    return "must not contain control characters" if _CONTROL_BUT_LAYOUT.search(note) else None


def name_key(name: str) -> str:
    """What makes two names of Smart Lists the same: case does not tell them apart (contract § 6)."""
    return name.casefold()
