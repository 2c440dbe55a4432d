"""Our own style sheets and scripts, compressed once, under addresses that change with what they hold."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from leadline.charts import STYLE

PREFIX = "/static/console/"
_TYPES = {
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    media_type: bytes
    body: bytes
    compressed: bytes
    etag: bytes


class Assets:
    """All files of a folder. One version for all of them, so that a script finds the others beside itself."""

    def __init__(self) -> None:
        found = {file.name: file.read_bytes() for file in _files()}
        found["charts.css"] = STYLE.encode()
        whole = hashlib.blake2b(digest_size=8)
        for name in sorted(found):
            whole.update(name.encode() + b"\0" + found[name] + b"\0")
        self.version = whole.hexdigest()
        self._assets: Mapping[str, Asset] = {name: _asset(name, body) for name, body in found.items()}

    def url(self, name: str) -> str:
        """The address of a file, which holds this content for ever. Raises KeyError for one that is not there."""
        self._assets[name]
        return f"{PREFIX}{self.version}/{name}"

    def text(self, name: str) -> str:
        """What is in a file. Raises KeyError for one that is not there."""
        return self._assets[name].body.decode()

    def sources(self, ending: str) -> list[str]:
        """Files of ours as the policy names those that a page holds within (CSP level 3, § 2.3.1, hash-source)."""
        held = [each.body for name, each in sorted(self._assets.items()) if name.endswith(ending)]
        return [f"'sha256-{base64.b64encode(hashlib.sha256(each).digest()).decode()}'" for each in held]

    def names(self) -> list[str]:
        return sorted(self._assets)

    def find(self, path: str) -> tuple[Asset, bool] | None:
        """The file at an address, and whether its address is this version's."""
        version, _, name = path.removeprefix(PREFIX).partition("/")
        asset = self._assets.get(name)
        return None if asset is None else (asset, version == self.version)


def _files() -> Iterator[Traversable]:
    for file in files("leadline.web.console").joinpath("static").iterdir():
        if file.name.rpartition(".")[2] in _TYPES:
            yield file


def _asset(name: str, body: bytes) -> Asset:
    # Without a time in its head, the same content is the same bytes.
    compressed = gzip.compress(body, 9, mtime=0)
    etag = b'"%b"' % hashlib.blake2b(body, digest_size=12).hexdigest().encode()
    return Asset(_TYPES[name.rpartition(".")[2]], body, compressed, etag)
