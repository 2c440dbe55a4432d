"""What every error code means, with an example of its answer, and which codes an operation can give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from leadline.domain.errors import PreconditionFailed
from leadline.domain.limits import OUTCOMES_PER_WORKSPACE_MAX
from leadline.web.problems import STATUS_OF_CODE
from leadline.web.table import KeyUse, Operation

_REQUEST_ID = "01980d2c-7f3a-7c41-9d2b-5a1f0c9e8b77"
RETRIED_CODES = frozenset({"idempotency_key_in_use", "rate_limited", "unavailable"})


class ErrorEntry(NamedTuple):
    """`meaning` is for the reference; the rest is one example of the answer."""

    meaning: str
    message: str
    details: tuple[tuple[str, str], ...] = ()
    pointers: Mapping[str, Any] = {}


ERRORS: Mapping[str, ErrorEntry] = {
    "invalid_outcome": ErrorEntry(
        "The outcome breaks a rule. `details` lists every breach.",
        "webhook_url is required for an action.",
        (("webhook_url", "is required for an action"),),
    ),
    "invalid_request": ErrorEntry(
        "A body, query parameter or header is wrong. `details` lists every problem.",
        "The request is not valid.",
        (("limt", "is not a known parameter"),),
    ),
    "missing_idempotency_key": ErrorEntry(
        "The header `Idempotency-Key` is needed here, and is missing or blank.",
        "This needs the header Idempotency-Key.",
    ),
    "unauthorized": ErrorEntry(
        "There is no token, or it is unknown, expired or revoked.", "The token is not valid."
    ),
    "forbidden": ErrorEntry("The token lacks the scope.", "This needs the scope calls:write."),
    "feature_disabled": ErrorEntry(
        "Outcomes are switched off for the workspace.",
        "Phone-system outcomes are switched off for this workspace.",
    ),
    "no_subaccount": ErrorEntry("The token's workspace is gone.", "The token belongs to no workspace."),
    "outcome_not_found": ErrorEntry("The workspace has no such outcome.", "There is no such outcome."),
    "destination_not_found": ErrorEntry(
        "A Smart List that the outcome names is not in the workspace.",
        "There is no such Smart List in this workspace.",
        (("destination_id", "is no Smart List of this workspace"),),
    ),
    "smart_list_not_found": ErrorEntry(
        "The workspace has no such Smart List.", "There is no such Smart List."
    ),
    "contact_not_found": ErrorEntry("The workspace has no such contact.", "There is no such contact."),
    "call_not_found": ErrorEntry("The workspace has no such call.", "There is no such call."),
    "agent_not_found": ErrorEntry(
        "No call of the workspace ever named this agent.", "There is no such agent."
    ),
    "delivery_not_found": ErrorEntry("The workspace has no such delivery.", "There is no such delivery."),
    "endpoint_not_found": ErrorEntry("The workspace has no such endpoint.", "There is no such endpoint."),
    "not_found": ErrorEntry("There is no such path, or nothing under this id.", "There is no such path."),
    "method_not_allowed": ErrorEntry(
        "The path does not take this method; `Allow` names those it takes.",
        "This path takes GET, HEAD, POST.",
    ),
    "idempotency_key_in_use": ErrorEntry(
        "The first request with this key is still running. Try again after `Retry-After`.",
        "A request with this Idempotency-Key is still running.",
    ),
    "call_not_live": ErrorEntry("This takes a live call, and the call is not live.", "The call is not live."),
    "call_still_live": ErrorEntry(
        "A disposition is applied after the call, and the call has not ended.", "The call has not ended."
    ),
    "disposition_already_applied": ErrorEntry(
        "The call has its disposition already.", "The call has its disposition already."
    ),
    "disposition_required": ErrorEntry(
        "The agent's last call waits for its disposition; `call_id` names it.",
        "The agent has a call that waits for its disposition.",
        pointers={"call_id": "00000000-0000-4000-8000-000000000004"},
    ),
    "smart_list_exists": ErrorEntry(
        "Another list has this name; `smart_list_id` is its id.",
        "There is a Smart List of this name.",
        pointers={"smart_list_id": "00000000-0000-4000-8000-000000000002"},
    ),
    "smart_list_in_use": ErrorEntry(
        "Outcomes point to the list; `outcome_ids` names them.",
        "Outcomes point to this Smart List.",
        pointers={"outcome_ids": ["00000000-0000-4000-8000-000000000001"]},
    ),
    "contact_exists": ErrorEntry(
        "Another contact has this number; `contact_id` is its id.",
        "There is a contact with this number.",
        pointers={"contact_id": "00000000-0000-4000-8000-000000000003"},
    ),
    "limit_reached": ErrorEntry(
        "The workspace has as many as it may have.",
        f"A workspace has at most {OUTCOMES_PER_WORKSPACE_MAX} outcomes.",
    ),
    "precondition_failed": ErrorEntry(
        "`If-Match` was sent, and the resource has changed since.", "The outcome has changed since."
    ),
    "payload_too_large": ErrorEntry(
        "The body is larger than 64 KiB.", "The body is larger than 65536 bytes."
    ),
    "unsupported_media_type": ErrorEntry(
        "The body is not `application/json`.", "A body is sent as application/json."
    ),
    "idempotency_key_reused": ErrorEntry(
        "The key belongs to another request. Nothing was changed.",
        "This Idempotency-Key belongs to another request; nothing was changed.",
    ),
    "rate_limited": ErrorEntry(
        "The token's requests are used up for the moment. Try again after `Retry-After`.",
        "This token has used up its requests for the moment.",
    ),
    "internal_error": ErrorEntry(
        "A fault of the server. Its log has the `request_id`.", "Something went wrong on our side."
    ),
    "unavailable": ErrorEntry(
        "The database is busy or the server is stopping. Safe to send again after `Retry-After`.",
        "The server is busy; nothing is lost, try again.",
    ),
}

_ALWAYS = (
    "invalid_request",
    "unauthorized",
    "forbidden",
    "no_subaccount",
    "payload_too_large",
    "unsupported_media_type",
    "rate_limited",
    "unavailable",
)


def error_codes(operation: Operation) -> list[str]:
    """Every code that the operation can give, in the order of contract § 1.

    `internal_error` is never among them: nothing that a caller sends leads to it.
    """
    codes = {*_ALWAYS, operation.body_error.code, *(error.code for error in operation.errors)}
    if operation.needs_outcomes:
        codes.add("feature_disabled")
    if operation.key_use is not KeyUse.NONE:
        codes |= {"idempotency_key_in_use", "idempotency_key_reused"}
    if operation.key_use is KeyUse.REQUIRED:
        codes.add("missing_idempotency_key")
    if operation.if_match:
        codes.add(PreconditionFailed.code)
    if "{" in operation.path:
        # An id may hold a slash, sent as %2F, and so lead to another path or to none.
        codes |= {"not_found", "method_not_allowed"}
    return in_order(codes)


def in_order(codes: Iterable[str]) -> list[str]:
    """The codes as contract § 1 lists them."""
    wanted = set(codes)
    return [code for code in STATUS_OF_CODE if code in wanted]


def by_status(codes: Iterable[str]) -> dict[int, list[str]]:
    """The codes under the status that each has."""
    grouped: dict[int, list[str]] = {}
    for code in codes:
        grouped.setdefault(STATUS_OF_CODE[code], []).append(code)
    return dict(sorted(grouped.items()))


def example_of(code: str) -> dict[str, Any]:
    """One answer with this code."""
    entry = ERRORS[code]
    return {
        "ok": False,
        "error": code,
        "message": entry.message,
        "details": [{"field": field, "message": message} for field, message in entry.details],
        "request_id": _REQUEST_ID,
        **entry.pointers,
    }
