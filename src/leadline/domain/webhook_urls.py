"""Which webhook URLs may be saved, judged by their text alone, and how they are called (contract § 4, § 9).

A URL is kept and called byte for byte, so nothing is repaired here: no trimming, no percent-encoding, no
dropping of dots. What could not be sent unchanged (spaces, control characters, non-ASCII characters after the
host) is refused. Only the host has a second form: an international name is resolved and called as ASCII
(`xn--…`), and all rules about hosts judge that form, so that no spelling slips past them.

Names that lead to closed addresses can be saved when `LEADLINE_WEBHOOK_ALLOW_CIDRS` opens the way:
`localhost` and its kin when it opens a loopback address; single labels, `.local`, `.internal`, `.home.arpa`
and `.svc` when it opens any range. The addresses they resolve to are judged at every attempt all the same.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import idna

if TYPE_CHECKING:
    from leadline.domain.addresses import Address, AddressPolicy

URL_CHARACTERS_MAX = 2048
_HOST_CHARACTERS_MAX = 253
_PORT_MAX = 65_535
_UNPRIVILEGED_PORT_MIN = 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK_NAMES = ("localhost", "localdomain")
_PRIVATE_SUFFIXES = ("local", "internal", "home.arpa", "svc")

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)"
    r"(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.DOTALL,
)
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_DOTTED_QUAD = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]")
_IDEOGRAPHIC_DOTS = "\u3002\uff61"  # IDNA reads them as dots, NFKC does not


class UnusableUrl(ValueError):
    """The text is no URL that can be called; `problems` are sentences for people."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Target:
    """Where one URL leads: what to resolve and connect to, and what to send unchanged."""

    scheme: str
    """`http` or `https`."""
    ascii_host: str
    """Lower-case ASCII name, or an address (IPv6 without brackets)."""
    port: int
    host_header: str
    """Host as the URL spells it (international names as ASCII), with the port unless it is the default."""
    request_target: bytes
    """Path and query exactly as in the URL; `/` stands for a path that is left out."""

    literal: Address | None
    """The address the URL spells out, or None when its host is a name."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what a connection can be shared for."""
        return self.scheme, self.ascii_host, self.port


@dataclass(frozen=True, slots=True)
class _Parts:
    scheme: str
    authority: str
    path: str
    query: str
    fragment: str | None

    @property
    def host_and_port(self) -> tuple[str, str | None]:
        """Host (IPv6 with brackets) and the text after its colon; user info, a fault of its own, cut off."""
        text = self.authority.rpartition("@")[2]
        if text.startswith("["):
            host, bracket, rest = text.partition("]")
            return host + bracket, rest.removeprefix(":") if rest else None
        host, colon, port = text.partition(":")
        return host, port if colon else None


def url_problems(url: str, *, policy: AddressPolicy, require_https: bool) -> list[str]:
    """Every rule of contract § 4 and § 9 that `url` breaks, as sentences for people; empty when it is fine.

    Judges the text alone, resolves nothing, and never raises, whatever the text.
    """
    problems = _length_problems(url)
    parts = _split(url[:URL_CHARACTERS_MAX])
    if parts is None:
        return [*problems, "It must be an absolute URL such as https://example.com/hook."]
    problems += _scheme_problems(parts, require_https)
    problems += _authority_problems(parts.authority)
    problems += _tail_problems(parts)
    problems += _port_problems(parts)
    return problems + _host_problems(parts, policy)


def split_target(url: str) -> Target:
    """What to connect to and send for `url`.

    Takes every URL that may be saved and raises `UnusableUrl` for what cannot be called at all. Whether the
    address may be called is not judged here.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in _DEFAULT_PORTS:
        raise UnusableUrl(["It must be an absolute http or https URL."])
    host, port_text = parts.host_and_port
    ascii_host = _ascii_host(host)
    problems = _authority_problems(parts.authority) + _tail_problems(parts)
    port = _DEFAULT_PORTS[parts.scheme] if port_text is None else _parse_port(port_text)
    if ascii_host is None or port is None or problems:
        raise UnusableUrl(problems or ["Its host or port is not valid."])
    spelled = host if host.isascii() else ascii_host
    bare_host = ascii_host.lower().strip("[]")
    return Target(
        scheme=parts.scheme,
        ascii_host=bare_host,
        literal=parse_literal(bare_host),
        port=port,
        host_header=spelled if port == _DEFAULT_PORTS[parts.scheme] else f"{spelled}:{port}",
        request_target=((parts.path or "/") + parts.query).encode("ascii"),
    )


def parse_literal(host: str) -> Address | None:
    """The address when `host` is a plain dotted quad or an IPv6 address without brackets, else None."""
    if _DOTTED_QUAD.fullmatch(host):
        numbers = [int(number) for number in host.split(".")]
        return IPv4Address(bytes(numbers)) if max(numbers) <= 255 else None
    if ":" not in host or "%" in host or not host.isascii():
        return None
    try:
        return IPv6Address(host)
    except ValueError:
        return None


def _split(url: str) -> _Parts | None:
    match = _URL.fullmatch(url)
    if match is None:
        return None
    return _Parts(
        match["scheme"].lower(), match["authority"], match["path"], match["query"] or "", match["fragment"]
    )


def _length_problems(url: str) -> list[str]:
    if len(url) <= URL_CHARACTERS_MAX:
        return []
    return [f"It must be at most {URL_CHARACTERS_MAX} characters long; it has {len(url)}."]


def _scheme_problems(parts: _Parts, require_https: bool) -> list[str]:
    if parts.scheme not in _DEFAULT_PORTS:
        return ["It must start with https:// or http://."]
    if require_https and parts.scheme != "https":
        return ["It must start with https://: this server does not call plain http."]
    return []


def _authority_problems(authority: str) -> list[str]:
    problems = []
    if "@" in authority:
        problems.append("It must not contain a user name or password.")
    if _UNPRINTABLE.search(authority):
        problems.append("Its host must not contain spaces or control characters.")
    if "\\" in authority:
        problems.append("Its host must not contain a backslash.")
    if "%" in authority:
        problems.append("Its host must not contain a percent sign.")
    if any(_looks_ascii(character) for character in authority if not character.isascii()):
        problems.append(
            "Its host must not contain characters that only look like digits, dots or ASCII punctuation."
        )
    return problems


def _looks_ascii(character: str) -> bool:
    """True for a non-ASCII character that reads as a digit, a dot or a delimiter after normalization.

    Letters may: a full-width A becomes `a` in the ASCII form of the host, and that form is judged.
    """
    plain = unicodedata.normalize("NFKC", character)
    return character in _IDEOGRAPHIC_DOTS or any(part.isascii() and not part.isalpha() for part in plain)


def _tail_problems(parts: _Parts) -> list[str]:
    problems = []
    if parts.fragment is not None:
        problems.append("It must not contain a fragment (#…).")
    tail = parts.path + parts.query
    if _UNPRINTABLE.search(tail):
        problems.append("It must not contain spaces or control characters; percent-encode them.")
    if not _UNPRINTABLE.sub("", tail).isascii():
        problems.append(
            "After the host it must be ASCII, since it is called byte for byte; percent-encode the rest."
        )
    return problems


def _port_problems(parts: _Parts) -> list[str]:
    port_text = parts.host_and_port[1]
    if port_text is None:
        return []
    port = _parse_port(port_text)
    if port is None:
        return ["Its port must be a number from 1 to 65535."]
    if port in _DEFAULT_PORTS.values() or port >= _UNPRIVILEGED_PORT_MIN:
        return []
    return ["Its port must be 80, 443, or 1024 and above."]


def _parse_port(text: str) -> int | None:
    return int(text) if _PORT.fullmatch(text) and int(text) <= _PORT_MAX else None


def _host_problems(parts: _Parts, policy: AddressPolicy) -> list[str]:
    host = parts.host_and_port[0]
    if not host:
        return ["It must name a host."]
    ascii_host = _ascii_host(host)
    if ascii_host is None:
        return ["Its host is not a valid name or address."]
    literal = parse_literal(ascii_host.strip("[]"))
    if literal is not None:
        return _literal_problems(literal, policy)
    return _name_problems(ascii_host.lower(), policy)


def _literal_problems(literal: Address, policy: AddressPolicy) -> list[str]:
    rule = policy.refusal(literal)
    return [] if rule is None else [f"Its address is not public ({rule.replace('_', ' ')})."]


def _name_problems(name: str, policy: AddressPolicy) -> list[str]:
    labels = name.removesuffix(".").split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        return ["A host whose last part is a number must be a plain IPv4 address such as 192.0.2.10."]
    if labels[-1] in _LOOPBACK_NAMES:
        return [] if policy.opens_loopback else [f"Its host leads to this machine (.{labels[-1]})."]
    if policy.opens_anything:
        return []
    if len(labels) == 1:
        return ["Its host must be a full name with a dot, such as example.com."]
    bare = ".".join(labels)
    return [
        f"Names under .{suffix} are not public."
        for suffix in _PRIVATE_SUFFIXES
        if f".{bare}".endswith(f".{suffix}")
    ]


def _ascii_host(host: str) -> str | None:
    """The form of `host` that is resolved and called (IPv6 keeps its brackets); None if it has none."""
    if host.startswith("["):
        inner = host.removeprefix("[").removesuffix("]")
        return host if host.endswith("]") and ":" in inner and parse_literal(inner) else None
    if not host.isascii():
        host = _idna_form(host) or ""
    labels = host.removesuffix(".").split(".")
    if len(host.removesuffix(".")) > _HOST_CHARACTERS_MAX:
        return None
    return host if all(_LABEL.fullmatch(label) for label in labels) else None


def _idna_form(host: str) -> str | None:
    try:
        return idna.encode(host, uts46=True, std3_rules=True, transitional=False).decode("ascii")
    except (idna.IDNAError, UnicodeError, ValueError, IndexError):
        return None
