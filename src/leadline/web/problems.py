"""Which HTTP status belongs to which error code (contract § 1). The only place that knows."""

from __future__ import annotations

from collections.abc import Iterable

from leadline.domain.errors import (
    LeadlineError,
    MethodNotAllowed,
    Unauthorized,
)
from leadline.web.edge import problem

STATUS_OF_CODE = {
    "invalid_outcome": 400,
    "invalid_request": 400,
    "missing_idempotency_key": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "feature_disabled": 403,
    "no_subaccount": 403,
    "outcome_not_found": 404,
    "destination_not_found": 404,
    "smart_list_not_found": 404,
    "contact_not_found": 404,
    "call_not_found": 404,
    "agent_not_found": 404,
    "delivery_not_found": 404,
    "endpoint_not_found": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "idempotency_key_in_use": 409,
    "call_not_live": 409,
    "call_still_live": 409,
    "disposition_already_applied": 409,
    "disposition_required": 409,
    "smart_list_exists": 409,
    "smart_list_in_use": 409,
    "contact_exists": 409,
    "limit_reached": 409,
    "precondition_failed": 412,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "idempotency_key_reused": 422,
    "rate_limited": 429,
    "internal_error": 500,
    "unavailable": 503,
}

# Users are made in the console and on the command line: no operation of the API answers with these.
STATUS_OF_CONSOLE_CODE = {"user_exists": 409, "last_administrator": 409}

Headers = list[tuple[bytes, bytes]]


def refusal_response(error: LeadlineError, request_id: str) -> tuple[int, bytes, Headers]:
    """Status, body and extra headers of a refusal."""
    details = [{"field": each.field, "message": each.message} for each in error.details]
    body = problem(error.code, error.message, request_id, details=details, **error.pointers)
    return STATUS_OF_CODE[error.code], body, list(_headers(error))


def _headers(error: LeadlineError) -> Iterable[tuple[bytes, bytes]]:
    if isinstance(error, Unauthorized):
        yield b"www-authenticate", b'Bearer realm="leadline"'
    if isinstance(error, MethodNotAllowed):
        yield b"allow", ", ".join(error.allowed).encode()
    if error.retry_after_seconds is not None:
        yield b"retry-after", str(error.retry_after_seconds).encode()
