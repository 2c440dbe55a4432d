"""What somebody at a browser sees when a request is refused before any page of the console is asked.

It is whole in itself: no file is fetched for it, and its policy allows its own style sheet and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape

_STYLE = (
    ":root{color-scheme:light dark;background:Canvas;color:CanvasText}"
    "body{max-width:560px;margin:12vh auto;padding:0 14px;font:15px/1.5 Inter,system-ui,sans-serif}"
    "main{padding:20px;border:1px solid GrayText;border-radius:14px}"
    "h1{font-size:22px;line-height:1.25;margin:0 0 8px}p{margin:8px 0}small{font-size:13px}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'".encode(),
    ),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


def wants_page(headers: Iterable[tuple[bytes, bytes]], path: str) -> bool:
    """Whether a person looks at the answer: a browser goes there, and it is not the API."""
    if path.startswith("/phone-system"):
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in headers)


def refusal_page(status: int, message: str, request_id: str) -> bytes:
    if status < 500:
        message += " Nothing was changed."
    title = {413: "Too much at once", 500: "Something went wrong"}.get(status, "That did not work")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title} · Leadline</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>{title}</h1><p>{escape(message)}</p>"
        f'<p><a href="/">To the start</a></p><p><small>{status}, request {escape(request_id)}</small></p>'
        f"</main></body></html>"
    ).encode()
