"""What the OpenAPI document says in words, and the headers that many operations share."""

from __future__ import annotations

from collections.abc import Mapping

from leadline.domain.limits import IDEMPOTENCY_KEY_CHARACTERS_MAX
from leadline.web.openapi_schemas import Schema

SERVICE = "Service"
TAGS: Mapping[str, str] = {
    "Outcomes": (
        "What an agent can choose: an `action` is applied during the call, a `disposition` after it. Both may move"
        " the contact between Smart Lists and notify a webhook."
    ),
    "Smart Lists": "Named lists of contacts, and who is on them since when.",
    "Contacts": "The people at the other end, one per phone number, and what happened to each.",
    "Contact imports": (
        "Contacts from a CSV file: sent in parts, previewed, tried in a dry run, and imported by a stored job that"
        " survives a restart."
    ),
    "Calls": (
        "A call goes `ringing` → `live` → `wrap_up` → `closed`. In `wrap_up` it waits for its disposition, whatever"
        " becomes of the agent's browser."
    ),
    "Agents": "Who is free, on a call or in wrap-up. Agents are known from their first call.",
    "Events": "What happens in the workspace, as it happens.",
    "Reports": (
        "Numbers of a period beside those of the period before, each with its formula. With `format=csv` a table of"
        " the report instead. Edges lie on quarters of an hour."
    ),
    "Deliveries": (
        "A delivery brings one applied outcome to one webhook URL, attempt by attempt, until the receiver answers"
        " 2xx or the schedule is used up."
    ),
    "Webhooks": "Where webhooks go, the secret that signs them, and sending them again.",
    "Configuration": (
        "Smart Lists and outcomes as one document, by name: planned, applied and read as a whole."
    ),
    "Workspace": "The settings of the workspace that the token belongs to.",
    SERVICE: "Health, metrics and this reference. No token is needed.",
}
INTRODUCTION = """\
Leadline records what a call achieved, moves the contact to where that leads, ends the wrap-up and tells your systems.

**Authentication.** Send `Authorization: Bearer <token>`. A token belongs to one workspace and carries scopes; \
`write` includes `read`.

**Answers.** A success is `{"ok": true, …}`, a failure `{"ok": false, "error": …}` with a code that never changes \
meaning. `details` lists every problem found. An id of another workspace answers like one that does not exist.

**Sending twice.** Put an `Idempotency-Key` of your own on a request that writes: the same key with the same request \
answers what the first one answered, for 7 days, with `Idempotent-Replayed: true`. After a 409 \
`idempotency_key_in_use`, a 429 or a 503, wait for `Retry-After` and send the request again.

**Lists.** Those that grow come in pages: pass `next_cursor` back as `cursor` until it is null. A query parameter that \
is not known is refused, so a typo is never ignored.

**Forms.** Ids are lower-case UUIDs. Times are ISO 8601 in UTC with milliseconds. Bodies are JSON in UTF-8, at most \
64 KiB.

**Request ids.** Every answer carries an `X-Request-Id`: yours when you sent one, else one of ours. \
The server's log has it.
"""

PARAMETERS: Mapping[str, Schema] = {
    "IdempotencyKeyRequired": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "Your own name of this request: 1-255 visible ASCII characters, with or without quotes.",
        "schema": {"type": "string", "pattern": f"^[!-~]{{1,{IDEMPOTENCY_KEY_CHARACTERS_MAX}}}$"},
        "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Your own name of this request: sent again with it, it takes effect only once.",
        "schema": {"type": "string", "pattern": f"^[!-~]{{1,{IDEMPOTENCY_KEY_CHARACTERS_MAX}}}$"},
        "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": "Go on only when the outcome still has this `ETag`, or exists (`*`).",
        "schema": {"type": "string"},
        "example": "*",
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "The `ETag` you have: the answer is 304 when nothing has changed.",
        "schema": {"type": "string"},
        "example": '"5d41402abc4b2a76b9719d91"',
    },
    "LastEventId": {
        "name": "Last-Event-ID",
        "in": "header",
        "required": False,
        "description": "The last event seen: the stream goes on behind it, without a gap for at least an hour.",
        "schema": {"type": "string", "format": "uuid"},
    },
    "RequestId": {
        "name": "X-Request-Id",
        "in": "header",
        "required": False,
        "description": "Your own id of this request, 1-128 of `A-Z a-z 0-9 . _ : / + = -`; comes back.",
        "schema": {"type": "string"},
    },
}
HEADERS: Mapping[str, Schema] = {
    "X-Request-Id": {
        "description": "The id of this request, in the log too.",
        "required": True,
        "schema": {"type": "string"},
    },
    "ETag": {"description": "The tag of this state.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true` when this is the stored answer of an earlier request with the key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}},
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
    "Allow": {"description": "The methods that the path takes.", "schema": {"type": "string"}},
}
STREAM_EXAMPLE = (
    "id: 00000000-0000-4000-8000-00000000000a\n"
    "event: outcome.applied\n"
    'data: {"event_id":"00000000-0000-4000-8000-00000000000a","type":"outcome.applied",'
    '"at":"2026-06-25T00:00:00.000Z","data":{}}\n\n'
)
