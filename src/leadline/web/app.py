"""The web application: every request of the API goes through `Api`, in the order of checks of contract § 3.

Framing and size are judged by the edge around it. Then: token, scope, route and method, media type, key form,
JSON, key look-up, fields, references, effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from leadline.domain.access import Principal, allows
from leadline.domain.errors import (
    FeatureDisabled,
    Forbidden,
    IdempotencyKeyInUse,
    InvalidRequest,
    LeadlineError,
    MethodNotAllowed,
    MissingIdempotencyKey,
    NotFound,
    Problem,
    Unauthorized,
    UnsupportedMediaType,
)
from leadline.domain.limits import IDEMPOTENCY_KEY_CHARACTERS_MAX, IDEMPOTENCY_WAIT_SECONDS
from leadline.operations.audit import Actor, ActorKind, acting
from leadline.operations.idempotency import (
    EncodedAnswer,
    Keyed,
    fingerprint,
    perform_once,
    perform_together,
    replay_of,
)
from leadline.store.database import Database, Together, Tx
from leadline.web.auth import Authenticator, token_of
from leadline.web.decoding import Fields, Malformed, decode_json, read_fields, read_query
from leadline.web.downloads import StreamedFile, send_download
from leadline.web.edge import ClientGone, EdgeRefusal, read_body, while_listened_to
from leadline.web.kept_answers import KeptAnswers
from leadline.web.problems import refusal_response
from leadline.web.table import PREFIX, BodyUse, Context, KeyUse, Operation, Reply, Request, Routes

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from leadline.web.console.app import Console

log = logging.getLogger("leadline.web")

_encode = msgspec.json.Encoder().encode
_VISIBLE = re.compile(rf"[!-~]{{1,{IDEMPOTENCY_KEY_CHARACTERS_MAX}}}")
_INSIDE = f"{PREFIX}/"
_JSON_TYPES = frozenset({b"application/json", b"application/json;charset=utf-8"})
_WANTED = frozenset(
    {
        b"authorization", b"content-type", b"content-length", b"transfer-encoding", b"idempotency-key",
        b"if-match", b"if-none-match", b"accept", b"last-event-id",
    }
)  # fmt: skip

Page = Callable[["Scope", "Receive", "Send"], Awaitable[None]]
Stream = Callable[["Call", "Send"], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Call:
    """One request on its way through the checks."""

    method: str
    path: str
    raw_query: bytes
    headers: dict[bytes, bytes]
    repeated: frozenset[bytes]
    request_id: str
    principal: Principal
    token: str
    operation: Operation
    parameters: dict[str, str]


class DownloadAnswer(EncodedAnswer, frozen=True):
    """A success that is no JSON."""

    media_type: str = ""
    file_name: str = ""


class Api:
    """ASGI application of the API and of the pages that need no token (`pages`, by exact path)."""

    def __init__(
        self,
        operations: tuple[Operation, ...],
        *,
        database: Database,
        authenticator: Authenticator,
        context: Context,
        keys_kept_ms: int,
        pages: dict[str, Page],
        stream: Stream,
        console: Console | None = None,
    ) -> None:
        self._console = console
        self._routes = Routes(operations)
        self._database = database
        self._authenticator = authenticator
        self._context = context
        self._keys_kept_ms = keys_kept_ms
        self._pages = pages
        self._stream = stream
        self._kept_answers = KeptAnswers(database)
        self._gate = KeyGate()
        self._together = {
            each.name: _work_together(each) for each in operations if each.handler_together is not None
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        request_id: str = scope["state"]["request_id"]
        try:
            if not (path == PREFIX or path.startswith(_INSIDE)):
                await self._page(path, scope, receive, send)
                return
            call = await self._admit(scope, path, request_id)
            if call.operation.streams and _wants_stream(call.headers.get(b"accept")):
                await while_listened_to(receive, self._stream(call, send))
                return
            download = call.operation.file
            if download is not None and download.is_wanted(call.headers.get(b"accept")):
                await self._download(call, download, receive, send)
                return
            answer = await self._answer(call, receive)
            await _send_answer(send, call, answer)
        except (EdgeRefusal, ClientGone):
            raise
        except LeadlineError as refused:
            scope["state"]["error"] = refused.code
            status, body, headers = refusal_response(refused, request_id)
            await _send(send, status, body, headers)

    async def _download(self, call: Call, download: StreamedFile, receive: Receive, send: Send) -> None:
        _check_media_type(call)
        request = _request(call, await _body_value(call, receive), self._context)
        sending = send_download(
            send,
            download,
            request,
            database=self._database,
            authenticator=self._authenticator,
            token=call.token,
        )
        await while_listened_to(receive, sending)

    async def _page(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        page = self._pages.get(path)
        if page is None and self._console is not None:
            accept = next((value for name, value in scope["headers"] if name == b"accept"), None)
            if self._console.knows(path, accept):
                await self._console(scope, receive, send)
                return
        if page is None:
            raise NotFound("There is no such path.")
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(("GET", "HEAD"))
        await page(scope, receive, send)

    async def _admit(self, scope: Scope, path: str, request_id: str) -> Call:
        """Token, scope, route and method."""
        headers, repeated = _wanted_headers(scope["headers"])
        if b"authorization" in repeated:
            raise Unauthorized("There is more than one Authorization header.")
        authorization = headers.get(b"authorization")
        principal = await self._authenticator.principal(authorization)
        found = self._routes.find(scope["raw_path"].decode("latin-1"))
        if found is None:
            raise NotFound("There is no such path.")
        methods, parameters = found
        method: str = scope["method"]
        operation = methods.get("GET" if method == "HEAD" else method)
        if operation is None:
            raise MethodNotAllowed([*methods, *(["HEAD"] if "GET" in methods else [])])
        for needed in operation.scopes:
            if not allows(principal.scopes, needed):
                raise Forbidden(f"This needs the scope {needed}.")
        if operation.needs_outcomes and not principal.outcomes_enabled:
            raise FeatureDisabled
        call = Call(
            method=operation.method,
            path=path,
            raw_query=scope["query_string"],
            headers=headers,
            repeated=repeated,
            request_id=request_id,
            principal=principal,
            token=token_of(authorization),
            operation=operation,
            parameters=parameters,
        )
        scope["state"]["call"] = call  # for the accounts of requests
        return call

    async def _answer(self, call: Call, receive: Receive) -> EncodedAnswer:
        operation = call.operation
        _check_media_type(call)
        key = idempotency_key(call)
        value = await _body_value(call, receive)
        keyed = None if key is None else self._keyed(call, key, value)
        try:
            request = _request(call, value, self._context)
        except LeadlineError:
            # The key is looked up before the fields: what is stored under it is the answer all the same.
            stored = None
            if keyed is not None:
                stored = await self._database.read(lambda tx: replay_of(tx, keyed))
            if stored is None:
                raise
            return stored
        return await self._perform(operation, request, keyed, call.request_id)

    def _keyed(self, call: Call, key: str, value: Any) -> Keyed:
        path = call.operation.path.format(**call.parameters)
        query = call.raw_query.decode("latin-1")
        return Keyed(
            workspace_id=call.principal.workspace_id,
            key=key,
            fingerprint=fingerprint(call.method, path, query, value),
            kept_ms=self._keys_kept_ms,
            seals=call.operation.shows_secret,
        )

    async def _perform(
        self, operation: Operation, request: Request, keyed: Keyed | None, request_id: str
    ) -> EncodedAnswer:
        if not operation.writes:
            effect = partial(_effect, operation, request)
            if operation.kept:
                return await self._kept_answers.answer(operation.name, request.workspace_id, effect)
            return await self._database.read(effect, long=operation.long)
        if keyed is None:
            return await self._write(operation, request, keyed, request_id)
        name = (keyed.workspace_id, keyed.key)
        await self._gate.enter(name)
        try:
            return await self._write(operation, request, keyed, request_id)
        finally:
            self._gate.leave(name)

    def _write(
        self, operation: Operation, request: Request, keyed: Keyed | None, request_id: str
    ) -> Awaitable[EncodedAnswer]:
        together = self._together.get(operation.name)
        if together is not None:
            return self._database.write_together(together, request.workspace_id, (request, keyed))
        principal = request.principal
        actor = Actor(ActorKind.TOKEN, principal.token_id, principal.token_name, request_id)
        effect = partial(_effect_of, actor, operation, request)
        if keyed is None:
            return self._database.write(effect, long=operation.long)
        return self._database.write(lambda tx: perform_once(tx, keyed, effect), long=operation.long)


async def _effect(operation: Operation, request: Request, tx: Tx) -> EncodedAnswer:
    assert operation.handler is not None
    return encoded(operation, await operation.handler(tx, request))


async def _effect_of(actor: Actor, operation: Operation, request: Request, tx: Tx) -> EncodedAnswer:
    with acting(actor):
        return await _effect(operation, request, tx)


def _work_together(operation: Operation) -> Together[EncodedAnswer]:
    handler = operation.handler_together
    assert handler is not None

    async def work(
        tx: Tx, items: Sequence[tuple[Request, Keyed | None]]
    ) -> Sequence[EncodedAnswer | LeadlineError]:
        async def effect(tx: Tx, todo: Sequence[int]) -> Sequence[EncodedAnswer | LeadlineError]:
            replies = await handler(tx, [items[at][0] for at in todo])
            return [each if isinstance(each, LeadlineError) else encoded(operation, each) for each in replies]

        return await perform_together(tx, [keyed for _, keyed in items], effect)

    return work


class KeyGate:
    """Requests of this process with one key go one after the other; between processes the database sees to it."""

    def __init__(self) -> None:
        # A key that is held, and who waits for it.
        self._held: dict[tuple[str, str], deque[asyncio.Future[None]]] = {}

    async def enter(self, name: tuple[str, str]) -> None:
        """Hold a key until `leave`. Raises IdempotencyKeyInUse when it is not free within a second."""
        waiting = self._held.get(name)
        if waiting is None:
            self._held[name] = deque()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            async with asyncio.timeout(IDEMPOTENCY_WAIT_SECONDS):
                await turn
        except BaseException as gone:
            if turn.done() and not turn.cancelled():
                self.leave(name)  # it came in the same moment: the next one is to have it
            else:
                with contextlib.suppress(ValueError):  # whoever left may have passed it over already
                    waiting.remove(turn)
            if isinstance(gone, TimeoutError):
                raise IdempotencyKeyInUse from None
            raise

    def leave(self, name: tuple[str, str]) -> None:
        """Let the next one have it."""
        waiting = self._held[name]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._held[name]


def _wanted_headers(sent: Iterable[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], frozenset[bytes]]:
    """The headers that mean something here, and those of them that came more than once."""
    headers: dict[bytes, bytes] = {}
    repeated: set[bytes] = set()
    for name, value in sent:
        if name in _WANTED:
            if name in headers:
                repeated.add(name)
            headers[name] = value
    return headers, frozenset(repeated)


def encoded(operation: Operation, reply: Reply) -> EncodedAnswer:
    """A reply as the bytes that go out and are stored."""
    if reply.download is not None:
        file = reply.download
        return DownloadAnswer(
            operation.status, file.body, media_type=file.media_type, file_name=file.file_name
        )
    body = _encode(reply.answer)
    etag = reply.etag
    if operation.tagged_by_content:
        etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    return EncodedAnswer(status=reply.status or operation.status, body=body, etag=etag)


def idempotency_key(call: Call) -> str | None:
    """The key of a request in its bare form. Raises MissingIdempotencyKey, InvalidRequest."""
    use = call.operation.key_use
    if use is KeyUse.NONE:
        return None
    raw = call.headers.get(b"idempotency-key")
    if b"idempotency-key" in call.repeated:
        raise _bad_key("is sent twice")
    text = "" if raw is None else raw.decode("latin-1").strip(" \t")
    if not text:
        if use is KeyUse.REQUIRED:
            raise MissingIdempotencyKey("This needs the header Idempotency-Key.")
        if raw is not None:
            raise _bad_key("is blank")
        return None
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = _unquoted(text)
    if _VISIBLE.fullmatch(text) is None:
        raise _bad_key(f"must be 1-{IDEMPOTENCY_KEY_CHARACTERS_MAX} visible ASCII characters")
    return text


def _unquoted(text: str) -> str:
    """A structured-field string (RFC 8941 § 3.3.3) as what it stands for."""
    inner = text[1:-1]
    bare = inner.replace("\\\\", "\0").replace('\\"', "\1")
    if "\\" in bare or '"' in bare:
        raise _bad_key("is not a well-formed quoted string")
    return bare.replace("\0", "\\").replace("\1", '"')


def _bad_key(problem: str) -> InvalidRequest:
    return InvalidRequest("The Idempotency-Key is malformed.", details=[Problem("Idempotency-Key", problem)])


def _has_body(headers: dict[bytes, bytes]) -> bool:
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


def _check_media_type(call: Call) -> None:
    wants = call.operation.body_use is BodyUse.REQUIRED
    if not wants and not _has_body(call.headers):
        return
    sent = call.headers.get(b"content-type")
    if sent == b"application/json" and b"content-type" not in call.repeated:
        return
    plain = b"" if sent is None else sent.lower().replace(b" ", b"").replace(b"\t", b"").replace(b'"', b"")
    if plain not in _JSON_TYPES or b"content-type" in call.repeated:
        raise UnsupportedMediaType("A body is sent as application/json.")


async def _body_value(call: Call, receive: Receive) -> Any:
    """The JSON value of the body. One that may be missing is then `{}`; an operation that takes none gets None.

    Raises the operation's own error for what is no JSON.
    """
    operation = call.operation
    nothing: Any = {} if operation.body_use is BodyUse.OPTIONAL else None
    if operation.body_use is not BodyUse.REQUIRED and not _has_body(call.headers):
        return nothing
    body = await read_body(receive)
    if operation.body_use is BodyUse.NONE and body:
        raise InvalidRequest("This takes no body.")
    if operation.body_use is not BodyUse.REQUIRED and not body:
        return nothing
    try:
        return decode_json(body)
    except Malformed as wrong:
        raise operation.body_error(str(wrong), details=[Problem("", str(wrong))]) from None


def _request(call: Call, value: Any, context: Context) -> Request:
    """Typed input. Raises with every problem of query, headers and body together."""
    operation = call.operation
    query = read_query(operation.query, call.raw_query)
    header_problems = [
        Problem("If-Match", "is sent twice") for _ in call.repeated if _ == b"if-match" and operation.if_match
    ]
    body = _read_body_fields(call, value, context)
    outside = query.problems + header_problems
    if outside:
        raise InvalidRequest("The request is not valid.", details=outside + body.problems)
    if body.problems:
        raise operation.body_error(_sentence(body.problems), details=body.problems)
    return Request(
        principal=call.principal,
        path=call.parameters,
        query=operation.query(**query.values),
        body=None if operation.body is None else operation.body(**body.values),
        if_match=_if_match(call) if operation.if_match else None,
        context=context,
    )


def _read_body_fields(call: Call, value: Any, context: Context) -> Fields:
    operation = call.operation
    if operation.body is None:
        return Fields({}, [])
    fields = read_fields(operation.body, value)
    if operation.rules is not None and isinstance(value, dict):
        fields.problems.extend(operation.rules(fields.values, call.principal, context))
    return fields


def _sentence(problems: list[Problem]) -> str:
    first = problems[0]
    return f"{first.field or 'The body'} {first.message}."


def _if_match(call: Call) -> str | None:
    sent = call.headers.get(b"if-match")
    return None if sent is None else sent.decode("latin-1")


def _wants_stream(accept: bytes | None) -> bool:
    """Server-sent events, unless JSON was asked for."""
    return accept is None or b"text/event-stream" in accept or b"application/json" not in accept


async def _send_answer(send: Send, call: Call, answer: EncodedAnswer) -> None:
    headers = []
    if answer.etag is not None:
        headers.append((b"etag", answer.etag.encode()))
    if answer.replayed:
        headers.append((b"idempotent-replayed", b"true"))
    if call.operation.tagged_by_content and answer.etag is not None and _is_known(call, answer.etag):
        await _send(send, 304, b"", headers)
        return
    media_type = b"application/json"
    if isinstance(answer, DownloadAnswer):
        media_type = answer.media_type.encode()
        headers.append((b"content-disposition", f'attachment; filename="{answer.file_name}"'.encode()))
    await _send(send, answer.status, answer.body, headers, media_type)


def _is_known(call: Call, etag: str) -> bool:
    sent = call.headers.get(b"if-none-match")
    if sent is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in sent.decode("latin-1").split(",")]
    return etag in tags or tags == ["*"]


async def _send(
    send: Send,
    status: int,
    body: bytes,
    headers: list[tuple[bytes, bytes]],
    media_type: bytes = b"application/json",
) -> None:
    if status != 304:
        headers = [
            (b"content-type", media_type),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            *headers,
        ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
