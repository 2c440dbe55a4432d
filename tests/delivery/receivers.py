"""Receivers on loopback that speak raw TCP, so that they can be as rude as real ones."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Receiver:
    """What arrived, as raw bytes: one entry per request, and one per connection."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    server_names: list[str | None] = field(default_factory=list)
    connections: int = 0

    @property
    def request_line(self) -> bytes:
        """The first line of the only request."""
        (request,) = self.requests
        return request.partition(b"\r\n")[0]


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(*answers: bytes) -> Script:
    """Answers one request after the other on a connection, then closes it; the last answer repeats."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        turn = 0
        while await read_request(reader):
            writer.write(answers[min(turn, len(answers) - 1)])
            await writer.drain()
            turn += 1

    return script


def answering_once(answer: bytes) -> Script:
    """Answers one request, then closes the connection."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()

    return script


def flooding(first: bytes, chunk: bytes) -> Script:
    """Answers `first`, then `chunk` without end."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(first)
        while True:
            writer.write(chunk)
            await writer.drain()

    return script


def trickling(first: bytes, piece: bytes, pause_seconds: float = 0.02) -> Script:
    """Answers `first`, then `piece` again and again with pauses, without end."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(first)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_seconds)

    return script


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Takes the request and never answers."""
    await read_request(reader)
    await asyncio.Event().wait()


async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the request and resets the connection."""
    await read_request(reader)
    writer.transport.abort()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request with its body as raw bytes; empty when the connection ended."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(lengths[0].partition(b":")[2]) if lengths else 0)


class _Recording:
    """A reader that notes what the script reads."""

    def __init__(self, reader: asyncio.StreamReader, receiver: Receiver) -> None:
        self._reader = reader
        self._receiver = receiver

    async def readuntil(self, separator: bytes) -> bytes:
        head = await self._reader.readuntil(separator)
        self._receiver.requests.append(head)
        return head

    async def readexactly(self, length: int) -> bytes:
        body = await self._reader.readexactly(length)
        self._receiver.requests[-1] += body
        return body


@contextlib.asynccontextmanager
async def receiving(
    script: Script, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """A receiver on a free port of `host` that runs `script` for each connection."""
    receiver = Receiver()
    tasks: set[asyncio.Task[None]] = set()
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: receiver.server_names.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        receiver.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await script(_Recording(reader, receiver), writer)  # type: ignore[arg-type]
        finally:
            tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True)
class Certificates:
    """A self-signed certificate for `receiver.test` and 127.0.0.1: both sides of it."""

    server: ssl.SSLContext
    trusting_client: ssl.SSLContext


def make_certificates(directory: Path) -> Certificates:
    """A fresh certificate, stored in `directory` because `ssl` reads files only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver.test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1))  # noqa: DTZ001 - the library wants naive UTC
        .not_valid_after(datetime(2120, 1, 1))  # noqa: DTZ001 - as above
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("receiver.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "receiver.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return Certificates(server, ssl.create_default_context(cafile=str(path)))
