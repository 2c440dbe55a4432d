"""A small HTTP client for commands: one request, one answer, errors in words."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from leadline.cli.failures import Failed, UsageError

TIMEOUT_SECONDS = 15.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024
PIECE_BYTES = 64 * 1024


class NoAnswer(Failed):
    """Nobody answered; whether the request was carried out is not known."""


@dataclass(frozen=True, slots=True)
class Refused(Exception):
    """The server refused with this code of the contract."""

    status: int
    error: str
    message: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Api:
    """The API at one address, with one token. `token_source` says in messages where the token is from."""

    url: str
    token: str
    token_source: str

    def get(self, path: str) -> dict[str, Any]:
        """The answer's body. Raises Failed when there is no answer, Refused when there is a refusal."""
        return self._request("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """As `get`."""
        return self._request("POST", path, body)

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        return self.send(method, path, body)[0]

    def send(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[dict[str, Any], str | None]:
        """The answer's body and its ETag. Raises as `get`."""
        status, raw, etag = self._exchange(method, f"/phone-system{path}", body, headers or {})
        return self._judge(method, path, status, raw), etag

    def _judge(self, method: str, path: str, status: int, raw: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or "ok" not in answer:
            raise Failed(f"{self.url} is no Leadline: it answered {status} to {method} /phone-system{path}")
        if status < 400:
            return answer
        if status in (401, 403):
            raise Failed(f"{self.url} refuses the token {self.token_source}: {answer.get('message')}")
        raise Refused(status, str(answer.get("error")), str(answer.get("message")), answer)

    def download(self, path: str, media_type: str) -> Iterator[bytes]:
        """An answer that is a file, piece by piece. Raises as `get`, and Failed when it is cut short."""
        connection, headers = self._connection(), {**self._headers(), "Accept": media_type}
        try:
            connection.request("GET", f"/phone-system{path}", headers=headers)
            response = connection.getresponse()
            if response.status != 200:
                self._judge("GET", path, response.status, response.read(ANSWER_BYTES_MAX))
            while piece := response.read(PIECE_BYTES):
                yield piece
        except (OSError, http.client.HTTPException) as gone:
            raise Failed(f"the answer of {self.url} was cut short: {_words(gone)}") from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        address = urlsplit(self.url)
        make = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        return make(address.hostname or "", address.port, timeout=TIMEOUT_SECONDS)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def _exchange(
        self, method: str, path: str, body: dict[str, Any] | None, more: Mapping[str, str]
    ) -> tuple[int, bytes, str | None]:
        connection, headers = self._connection(), {**self._headers(), **more}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            response = connection.getresponse()
            return response.status, response.read(ANSWER_BYTES_MAX), response.headers.get("ETag")
        except (OSError, http.client.HTTPException) as gone:
            raise NoAnswer(f"there is no Leadline at {self.url}: {_words(gone)}") from None
        finally:
            connection.close()


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def checked_url(url: str) -> str:
    """An `http` or `https` address without a slash at the end. Raises UsageError."""
    address = urlsplit(url)
    try:
        fits = address.scheme in ("http", "https") and bool(address.hostname) and (address.port or 1) > 0
    except ValueError:
        fits = False
    if not fits or address.path.strip("/") or address.query or address.fragment:
        raise UsageError(f"--url must be like http://127.0.0.1:8080, not {url!r}")
    return url.rstrip("/")
