"""The console's cookies, its CSRF tokens, and whether a form came from a page of ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from leadline.web.console.table import Flash

FLASH_CHARACTERS_MAX = 500
_SAME_ORIGIN = frozenset({"same-origin", "none"})


@dataclass(frozen=True, slots=True)
class Names:
    """Over https the names begin with `__Host-`: no other host and no plain http can then set them."""

    secure: bool

    def _name(self, name: str) -> str:
        return f"__Host-leadline_{name}" if self.secure else f"leadline_{name}"

    @property
    def session(self) -> str:
        return self._name("session")

    @property
    def visitor(self) -> str:
        """A random secret of somebody who is not signed in, to which his CSRF tokens are bound."""
        return self._name("visitor")

    @property
    def flash(self) -> str:
        return self._name("flash")


def read_cookies(headers: list[str]) -> dict[str, str]:
    """The cookies of a request; of one name the first counts."""
    found: dict[str, str] = {}
    for header in headers:
        for part in header.split(";"):
            name, separator, value = part.strip().partition("=")
            if separator:
                found.setdefault(name, value)
    return found


def set_cookie(name: str, value: str, *, secure: bool, seconds: int | None = None) -> bytes:
    """A `Set-Cookie` value; 0 seconds takes the cookie away."""
    parts = [f"{name}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    if seconds is not None:
        parts.append(f"Max-Age={seconds}")
    if secure:
        parts.append("Secure")
    return "; ".join(parts).encode("ascii")


def csrf_token(secret: str) -> str:
    """The token of the forms that a session (or a visitor) is shown."""
    digest = hmac.digest(secret.encode(), b"leadline csrf", hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def is_csrf_token(sent: str, secret: str) -> bool:
    return bool(secret) and hmac.compare_digest(sent.encode(), csrf_token(secret).encode())


def comes_from_us(*, origin: str | None, fetch_site: str | None, host: str, public_url: str) -> bool:
    """Whether a form was sent by a page of this site, as far as the browser says."""
    if fetch_site is not None and fetch_site not in _SAME_ORIGIN:
        return False
    if origin is None:
        return True
    try:
        sent = urlsplit(origin)
    except ValueError:
        return False  # no address at all, such as `http://[`
    # A proxy may end TLS before us, so that only the host tells.
    known = {host.lower(), urlsplit(public_url).netloc.lower()}
    return sent.scheme in ("http", "https") and sent.netloc.lower() in known


def flash_text(flash: Flash) -> str:
    """A sentence as a cookie's value."""
    plain = json.dumps([flash.kind, flash.text[:FLASH_CHARACTERS_MAX]]).encode()
    return base64.urlsafe_b64encode(plain).decode()


def read_flash(text: str) -> Flash | None:
    """What `flash_text` wrote; None for anything else."""
    try:
        kind, sentence = json.loads(base64.urlsafe_b64decode(text.encode("ascii")))
    except (ValueError, TypeError, RecursionError):
        return None
    if kind not in ("success", "error", "info") or not isinstance(sentence, str):
        return None
    return Flash(sentence[:FLASH_CHARACTERS_MAX], kind)
