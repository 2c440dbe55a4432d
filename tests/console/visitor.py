"""The console over plain HTTP, as a browser without scripts would use it: cookies are kept, forms carry their token."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from harness import Answer

_CSRF = re.compile(r'name="csrf" value="([^"]+)"')
Fields = Mapping[str, str | Sequence[str]]


@dataclass
class Visitor:
    base_url: str
    cookies: dict[str, str] = field(default_factory=dict)
    # What a set cookie says about itself, by name.
    attributes: dict[str, str] = field(default_factory=dict)

    @classmethod
    def with_session(cls, base_url: str, session: str) -> Visitor:
        return cls(base_url, {"leadline_session": session})

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, None, headers)

    def post(
        self, path: str, fields: Fields | None = None, *, csrf: str | None = None, **headers: str
    ) -> Answer:
        """Send a form; without `csrf`, with the token of the pages that this visitor is shown."""
        token = self.csrf() if csrf is None else csrf
        body = urlencode({"csrf": token, **(fields or {})}, doseq=True).encode()
        return self.send("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"} | headers)

    def csrf(self) -> str:
        """The token of this visitor's forms."""
        for path in ("/settings/profile", "/sign-in"):
            found = _CSRF.search(self.get(path).body.decode())
            if found is not None:
                return found[1]
        raise LookupError("there is no form for this visitor")

    def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.base_url).netloc, timeout=20)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Accept": "text/html", "Cookie": cookies} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        self._keep(answer)
        return answer

    def _keep(self, answer: Answer) -> None:
        for line in answer.headers.get_all("Set-Cookie") or []:
            pair, _, rest = line.partition(";")
            name, _, value = pair.partition("=")
            self.attributes[name] = rest
            if "Max-Age=0" in rest:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value

    @property
    def is_signed_in(self) -> bool:
        return self.get("/settings/profile").status == 200


def location(answer: Answer) -> str:
    assert answer.status == 303, answer
    return answer.header("Location") or ""
