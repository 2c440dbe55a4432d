"""Pages out of templates: Jinja with escaping always on, and a few filters for what the console shows."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, UndefinedError
from markupsafe import Markup, escape

from leadline.clock import iso_from_ms
from leadline.domain.contacts import displayed_number
from leadline.web.console.assets import Assets

_JSON_TOKENS = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*")(?P<colon>:?)|(?P<plain>-?\d[\d.eE+-]*|true|false|null)'
)


class Renderer:
    """The templates of the console."""

    def __init__(self, assets: Assets) -> None:
        self._environment = Environment(
            loader=PackageLoader("leadline.web.console", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "when": when,
            "phone": displayed_number,
            "duration": duration,
            "clock": clock,
            "iso": iso_from_ms,
            "initials": initials,
            "browser": browser,
            "grouped": grouped,
            "json": highlighted,
            "digest": digest,
        }
        self._environment.globals["asset"] = assets.url
        self._environment.globals["style"] = partial(within, assets, "style")
        self._environment.globals["script"] = partial(within, assets, "script")
        # A global, so that a block that is rendered alone finds it too.
        self._environment.globals["ui"] = self._environment.get_template("macros.html").module

    def page(self, template: str, values: Mapping[str, Any]) -> bytes:
        return self._environment.get_template(template).render(values).encode()

    def fragment(self, template: str, block: str, values: Mapping[str, Any]) -> bytes | None:
        """One block of a page (or of what is around every page) alone; None when none can be rendered alone.

        A block that needs what its page sets or imports outside of it is a part of the page, but no fragment.
        """
        context = self._environment.get_template(template).new_context(dict(values))
        # As the page itself would put them together when it is rendered as a whole.
        for name, render in self._environment.get_template("base.html").blocks.items():
            context.blocks.setdefault(name, []).append(render)
        if block not in context.blocks:
            return None
        try:
            return "".join(context.blocks[block][0](context)).encode()
        except UndefinedError:
            return None


def within(assets: Assets, tag: str, name: str) -> Markup:
    """A style sheet or a script of ours inside the page: the first picture waits for no second request."""
    return Markup(f"<{tag}>{assets.text(name)}</{tag}>")  # noqa: S704 - a file of ours, known to the policy by its hash


def when(at: int | str | None, *, focus: bool = True) -> Markup:
    """A time (Unix ms or ISO 8601) that scripts show as relative, and exactly on hover and focus.

    `focus=False` is for one within a link or a button, which is focused itself.
    """
    if at is None:
        return Markup('<span class="quiet">-</span>')
    iso = iso_from_ms(at) if isinstance(at, int) else at
    exact = datetime.fromisoformat(iso).astimezone(UTC)
    template = '<time class="when" datetime="{}" data-exact="{}"{}>{}</time>'
    return Markup(template).format(  # noqa: S704 - a constant
        iso,
        exact.strftime("%Y-%m-%d %H:%M:%S UTC"),
        Markup(' tabindex="0"') if focus else "",
        exact.strftime("%b %d, %H:%M"),
    )


def duration(milliseconds: float | None) -> str:
    """`84 ms`, `1.2 s`, `02:14`, `1:02:14`."""
    if milliseconds is None:
        return "-"
    if milliseconds < 1_000:
        return f"{round(milliseconds)} ms"
    if milliseconds < 10_000:
        return f"{milliseconds / 1000:.1f} s"
    return clock(milliseconds)


def clock(milliseconds: float) -> str:
    """`00:07`, `02:14`, `1:02:14`: what a running timer shows."""
    minutes, seconds = divmod(int(max(milliseconds, 0) // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes:02d}:{seconds:02d}"


def initials(name: str | None) -> str:
    """One or two letters for a picture that is not there."""
    words = [word for word in re.split(r"[\s.@_-]+", name or "") if word and word[0].isalnum()]
    letters = [words[0][0], words[-1][0]] if len(words) > 1 else [word[0] for word in words]
    return "".join(letters).upper() or "?"


_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"),
            ("Linux", "Linux"))  # fmt: skip


def browser(user_agent: str) -> str:
    """What a User-Agent most likely is: `Firefox on Linux`."""
    name = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return " on ".join(part for part in (name, system) if part) or user_agent[:40] or "Unknown"


def grouped(number: int) -> str:
    return f"{number:,}"


def digest(content: object) -> str:
    """A short mark of what something looks like: a script sees by it whether a part of a page has changed."""
    return hashlib.blake2b(str(content).encode(), digest_size=8).hexdigest()


def highlighted(value: Any) -> Markup:
    """A JSON value (or its text), indented, with its keys, texts and other values marked."""
    plain = json.loads(value) if isinstance(value, str) else value
    text = json.dumps(plain, indent=2, ensure_ascii=False)
    found, end = Markup(), 0
    for token in _JSON_TOKENS.finditer(text):
        kind = "plain" if token["plain"] else "key" if token["colon"] else "text"
        found += escape(text[end : token.start()])
        found += Markup('<span class="json-{}">{}</span>').format(kind, token["text"] or token["plain"])
        found += token["colon"] or ""
        end = token.end()
    return found + escape(text[end:])
