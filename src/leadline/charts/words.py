"""Text in a chart: how wide it is, what of it fits, and how it is written in XML."""

from __future__ import annotations

import re
import unicodedata

SIZE = 11.0
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INVISIBLE = frozenset({"Mn", "Me", "Cf", "Cc"})
_NARROW = frozenset("iIjl.,:;|!'`()[]{}rtf ")
_WIDE = frozenset("mwMW@%&")


def escaped(text: str) -> str:
    """Text for XML, between tags or in double quotes; what XML cannot hold is replaced."""
    clean = _NOT_XML.sub("\ufffd", text)
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def width_of(text: str, size: float = SIZE) -> float:
    """How wide a line of text is, in pixels: an upper estimate for the fonts that browsers take."""
    return sum(_em(character) for character in text) * size


def _em(character: str) -> float:
    if character in _NARROW:
        return 0.38
    if character in _WIDE:
        return 0.98
    if character.isascii():
        return 0.72 if character.isupper() else 0.62
    if unicodedata.category(character) in _INVISIBLE:
        return 0.0
    return 1.05 if unicodedata.east_asian_width(character) in "WF" else 0.8


def one_line(text: str) -> str:
    """Control characters and runs of white space are one space; what turns the direction of writing is dropped."""
    shown = (
        "" if unicodedata.category(each) == "Cf" and unicodedata.bidirectional(each) != "BN"
        else " " if unicodedata.category(each) in ("Cc", "Zl", "Zp")
        else each
        for each in text
    )  # fmt: skip
    return " ".join("".join(shown).split())


def fitted(text: str, width: float, size: float = SIZE) -> str:
    """As much of a text as fits, with an ellipsis when that is not all; nothing when not even that fits."""
    text = one_line(text)
    if width_of(text, size) <= width:
        return text
    room = width - width_of("…", size)
    kept = 0
    for character in text:
        room -= _em(character) * size
        if room < 0:
            break
        kept += 1
    return f"{text[:kept].rstrip()}…" if kept else ""
