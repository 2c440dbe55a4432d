"""Answers that are a file: made and sent piece by piece, each piece read in a transaction of its own."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leadline.domain.errors import LeadlineError
from leadline.store.database import Database, Tx
from leadline.web.auth import Authenticator

if TYPE_CHECKING:
    from starlette.types import Send

# The text of a piece and where the next begins; None: this was the last.
Piece = tuple[str, Any | None]
Pieces = Callable[[Tx, Any, Any | None], Awaitable[Piece]]


@dataclass(frozen=True, slots=True)
class StreamedFile:
    """A file of any length that an operation answers to who accepts its media type."""

    media_type: str
    file_name: str
    pieces: Pieces
    example: str

    def is_wanted(self, accept: bytes | None) -> bool:
        return accept is not None and self.media_type.encode() in accept and b"application/json" not in accept


class DownloadCutShort(Exception):
    """A piece could not be read, and half the file is out: all that is left is to close the connection."""


async def send_download(
    send: Send,
    download: StreamedFile,
    request: Any,
    *,
    database: Database,
    authenticator: Authenticator,
    token: str,
) -> None:
    """Send the file. What is refused is refused before the first byte; a slow reader holds no transaction."""
    text, after = await database.read(functools.partial(_piece, download, request, None), long=True)
    await send({"type": "http.response.start", "status": 200, "headers": _headers(download)})
    try:
        while after is not None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            # Between two pieces a token may be revoked: the rest is then not for its holder.
            await authenticator.known(token)
            text, after = await database.read(functools.partial(_piece, download, request, after), long=True)
    except LeadlineError as refused:
        raise DownloadCutShort(refused.message) from refused
    await send({"type": "http.response.body", "body": text.encode(), "more_body": False})


async def _piece(download: StreamedFile, request: Any, after: Any, tx: Tx) -> Piece:
    return await download.pieces(tx, request, after)


def _headers(download: StreamedFile) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", f"{download.media_type}; charset=utf-8".encode()),
        (b"content-disposition", f'attachment; filename="{download.file_name}"'.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
