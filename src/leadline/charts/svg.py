"""SVG as text: elements, and the frame that every chart has."""

from __future__ import annotations

from collections.abc import Iterable

from leadline.charts.style import STYLE
from leadline.charts.words import escaped

Attribute = str | float


def element(name: str, content: str = "", /, **attributes: Attribute | None) -> str:
    """One element. `content` is XML; values of attributes are escaped here, and those that are None left out.

    Python's names become SVG's: `class_` is `class`, `stroke_dasharray` is `stroke-dasharray`.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_written(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def _written(value: Attribute) -> str:
    return escaped(value) if isinstance(value, str) else number(value)


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def label(x: float, y: float, text: str, *, anchor: str = "start", class_: str = "label") -> str:
    """A line of text with its baseline at `y`; `anchor` is start, middle or end."""
    place = None if anchor == "start" else anchor
    return element("text", escaped(text), x=x, y=y, text_anchor=place, class_=class_)


def hint(text: str) -> str:
    """What a browser shows when the pointer rests on the element that this is in."""
    return element("title", escaped(text))


def document(
    name: str,
    size: tuple[float, float],
    title: str,
    description: str,
    parts: Iterable[str],
    *,
    kind: str,
    standalone: bool = False,
) -> str:
    """The whole chart. `name` makes its ids its own within a page; `standalone` brings the style along."""
    width, height = size
    ids = escaped(name)
    head = [
        f'<title id="{ids}-title">{escaped(title)}</title>',
        f'<desc id="{ids}-desc">{escaped(description)}</desc>',
    ]
    if standalone:
        head.append(f"<style>{escaped(STYLE)}</style>")
        head.append(element("rect", class_="ground", width=width, height=height))
    body = "".join([*head, *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart chart-{kind}" role="img"'
        f' aria-labelledby="{ids}-title" aria-describedby="{ids}-desc" viewBox="0 0 {number(width)} {number(height)}"'
        f' width="{number(width)}" height="{number(height)}">{body}</svg>'
    )
