"""What both clients know of the other end: address, token, and how httpx2 is told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from leadline import __version__
from leadline.client.errors import ConfigurationError
from leadline.client.exchange import Broken, Send, Surroundings
from leadline.client.options import ANSWER_BYTES_MAX
from leadline.client.requests.described import Reply
from leadline.clock import monotonic_seconds
from leadline.ids import new_id, random_fraction

URL_VARIABLE = "LEADLINE_URL"
TOKEN_VARIABLE = "LEADLINE_TOKEN"  # noqa: S105 - a variable's name, no token

WORLD = Surroundings(now=monotonic_seconds, fraction=random_fraction, new_key=new_id)


@dataclass(frozen=True, slots=True)
class Address:
    """One server and one token. Raises ConfigurationError; the token is not in its repr."""

    url: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        try:
            fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            fits = False
        if (
            not fits
            or parts.query
            or parts.fragment
            or parts.username is not None
            or not self.url.isprintable()
        ):
            raise ConfigurationError(f"the url must be like https://leadline.example.com, not {self.url!r}")
        if not self.token or not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise ConfigurationError("the token is empty or has characters that no token has")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Address:
        """The address in LEADLINE_URL and LEADLINE_TOKEN. Raises ConfigurationError when one is missing."""
        found = os.environ if environ is None else environ
        missing = [name for name in (URL_VARIABLE, TOKEN_VARIABLE) if not found.get(name, "").strip()]
        if missing:
            raise ConfigurationError(f"{' and '.join(missing)} must be set")
        return cls(found[URL_VARIABLE].strip(), found[TOKEN_VARIABLE].strip())

    def arguments(self, send: Send) -> dict[str, Any]:
        """What `httpx2` is to be called with."""
        timeout = httpx2.Timeout(send.timeout_seconds, connect=send.connect_timeout_seconds)
        return {
            "method": send.method,
            "url": self.url.rstrip("/") + send.target,
            "params": send.query or None,
            "headers": {
                "authorization": f"Bearer {self.token}",
                "user-agent": f"leadline-python/{__version__}",
                **send.headers,
            },
            "content": send.content,
            "timeout": timeout,
        }


class Collector:
    """A body as it comes in, bounded in size and time."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._chunks: list[bytes] = []
        self._size_bytes = 0

    def add(self, chunk: bytes) -> Broken | None:
        """Keep a chunk. Answers what to give up with when it is too much or too late."""
        self._chunks.append(chunk)
        self._size_bytes += len(chunk)
        if self._size_bytes > ANSWER_BYTES_MAX:
            return Broken(f"the answer is over {ANSWER_BYTES_MAX} bytes")
        if monotonic_seconds() > self._deadline:
            return Broken("the answer came too slowly", timed_out=True)
        return None

    def reply(self, response: httpx2.Response) -> Reply:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, headers, b"".join(self._chunks))


def broken(error: httpx2.RequestError) -> Broken:
    """Why there is no answer, in words that hold nothing of the request."""
    reason = str(error) or type(error).__name__
    return Broken(reason, timed_out=isinstance(error, httpx2.TimeoutException))
