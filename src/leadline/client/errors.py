"""Everything that can go wrong with a call, by name.

    LeadlineError
    ├── ConfigurationError                 the client was given something it cannot work with
    ├── NoAnswer                           retried as often as allowed, and the fate of a write may be unknown
    │   ├── ConnectionFailed               nobody there, or gone in the middle
    │   └── DeadlineExceeded               the time for all attempts together has run out
    ├── UnexpectedAnswer                   an answer that is none of Leadline's: a proxy's page, say
    ├── Refused                            Leadline's own refusal; `code` never changes its meaning
    │   ├── BadRequest                     400
    │   │   ├── InvalidRequest, InvalidOutcome, MissingIdempotencyKey
    │   │   └── MethodNotAllowed, PayloadTooLarge, UnsupportedMediaType   405, 413, 415
    │   ├── Unauthorized                   401
    │   ├── PermissionDenied               403
    │   │   └── Forbidden, FeatureDisabled, NoSubaccount
    │   ├── NotFound                       404
    │   │   └── OutcomeNotFound, DestinationNotFound, SmartListNotFound, ContactNotFound, CallNotFound,
    │   │       AgentNotFound, DeliveryNotFound, EndpointNotFound
    │   ├── Conflict                       409
    │   │   ├── CallNotLive, CallStillLive, DispositionAlreadyApplied, LimitReached, IdempotencyKeyInUse
    │   │   ├── DispositionRequired        has `call_id`
    │   │   ├── ContactExists              has `contact_id`
    │   │   ├── SmartListExists            has `smart_list_id`
    │   │   └── SmartListInUse             has `outcome_ids`
    │   ├── PreconditionFailed             412
    │   ├── IdempotencyKeyReused           422
    │   ├── RateLimited                    429
    │   └── ServerFailed                   5xx
    │       └── InternalError, Unavailable
    └── WebhookVerificationError           a webhook must not be trusted (see `leadline.client.Webhook`)

A code that this version does not know becomes the class of its status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from leadline.wire.common import ProblemDetail


class LeadlineError(Exception):
    """Base of all errors of this package."""


class ConfigurationError(LeadlineError, ValueError):
    """The client was given an address, a token, an option or an argument that it cannot use."""


class NoAnswer(LeadlineError):
    """No answer came. A write may have happened: its Idempotency-Key makes it safe to send once more."""

    def __init__(self, message: str, *, idempotency_key: str | None = None, attempts: int = 1) -> None:
        super().__init__(message)
        self.idempotency_key = idempotency_key
        self.attempts = attempts


class ConnectionFailed(NoAnswer):
    """Nobody listens there, or the connection broke."""


class DeadlineExceeded(NoAnswer):
    """`deadline_seconds` have passed."""


class UnexpectedAnswer(LeadlineError):
    """What answered is no Leadline, or one that this version does not understand."""

    def __init__(self, message: str, status: int, request_id: str | None = None) -> None:
        super().__init__(message, status, request_id)
        self.status = status
        self.request_id = request_id

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal as it came. `pointers` are the ids of what it points at, under their own names."""

    status: int
    code: str
    message: str
    details: tuple[ProblemDetail, ...] = ()
    request_id: str | None = None
    retry_after_seconds: float | None = None
    pointers: Mapping[str, Any] = field(default_factory=dict)


class Refused(LeadlineError):
    """Leadline refused; nothing was changed."""

    known_code: ClassVar[str | None] = None

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal

    def __str__(self) -> str:
        named = "; ".join(f"{each.field or 'the body'} {each.message}" for each in self.details)
        # With details, the message is a summary of them.
        return f"{self.code}: {named or self.message} (request {self.request_id})"

    @property
    def status(self) -> int:
        return self.refusal.status

    @property
    def code(self) -> str:
        """The public error code, such as `contact_not_found`."""
        return self.refusal.code

    @property
    def message(self) -> str:
        """For people; it may change."""
        return self.refusal.message

    @property
    def details(self) -> tuple[ProblemDetail, ...]:
        """All problems found, each with its `field`; empty when there is nothing to list."""
        return self.refusal.details

    @property
    def request_id(self) -> str | None:
        """What the server's log calls this request."""
        return self.refusal.request_id

    @property
    def retry_after_seconds(self) -> float | None:
        return self.refusal.retry_after_seconds

    @property
    def pointers(self) -> Mapping[str, Any]:
        return self.refusal.pointers


class BadRequest(Refused): ...


class InvalidRequest(BadRequest):
    known_code = "invalid_request"


class InvalidOutcome(BadRequest):
    known_code = "invalid_outcome"


class MissingIdempotencyKey(BadRequest):
    known_code = "missing_idempotency_key"


class MethodNotAllowed(BadRequest):
    known_code = "method_not_allowed"


class PayloadTooLarge(BadRequest):
    known_code = "payload_too_large"


class UnsupportedMediaType(BadRequest):
    known_code = "unsupported_media_type"


class Unauthorized(Refused):
    known_code = "unauthorized"


class PermissionDenied(Refused): ...


class Forbidden(PermissionDenied):
    """The token lacks the scope."""

    known_code = "forbidden"


class FeatureDisabled(PermissionDenied):
    known_code = "feature_disabled"


class NoSubaccount(PermissionDenied):
    known_code = "no_subaccount"


class NotFound(Refused):
    known_code = "not_found"


class OutcomeNotFound(NotFound):
    known_code = "outcome_not_found"


class DestinationNotFound(NotFound):
    known_code = "destination_not_found"


class SmartListNotFound(NotFound):
    known_code = "smart_list_not_found"


class ContactNotFound(NotFound):
    known_code = "contact_not_found"


class CallNotFound(NotFound):
    known_code = "call_not_found"


class AgentNotFound(NotFound):
    known_code = "agent_not_found"


class DeliveryNotFound(NotFound):
    known_code = "delivery_not_found"


class EndpointNotFound(NotFound):
    known_code = "endpoint_not_found"


class Conflict(Refused): ...


class IdempotencyKeyInUse(Conflict):
    known_code = "idempotency_key_in_use"


class CallNotLive(Conflict):
    known_code = "call_not_live"


class CallStillLive(Conflict):
    known_code = "call_still_live"


class DispositionAlreadyApplied(Conflict):
    known_code = "disposition_already_applied"


class DispositionRequired(Conflict):
    """The agent has a call that waits for its disposition."""

    known_code = "disposition_required"

    @property
    def call_id(self) -> str:
        return str(self.pointers["call_id"])


class SmartListExists(Conflict):
    known_code = "smart_list_exists"

    @property
    def smart_list_id(self) -> str:
        return str(self.pointers["smart_list_id"])


class SmartListInUse(Conflict):
    """Outcomes point to the list."""

    known_code = "smart_list_in_use"

    @property
    def outcome_ids(self) -> tuple[str, ...]:
        return tuple(self.pointers["outcome_ids"])


class ContactExists(Conflict):
    known_code = "contact_exists"

    @property
    def contact_id(self) -> str:
        return str(self.pointers["contact_id"])


class LimitReached(Conflict):
    known_code = "limit_reached"


class PreconditionFailed(Refused):
    known_code = "precondition_failed"


class IdempotencyKeyReused(Refused):
    known_code = "idempotency_key_reused"


class RateLimited(Refused):
    known_code = "rate_limited"


class ServerFailed(Refused): ...


class InternalError(ServerFailed):
    known_code = "internal_error"


class Unavailable(ServerFailed):
    known_code = "unavailable"


class WebhookProblem(StrEnum):
    """Why a webhook must not be trusted."""

    HEADERS = "headers"
    TIMESTAMP = "timestamp"
    SIGNATURE = "signature"
    BODY = "body"


class WebhookVerificationError(LeadlineError):
    """The webhook must not be trusted: answer 4xx and do nothing. `problem` says which part is wrong."""

    def __init__(self, problem: WebhookProblem, message: str) -> None:
        super().__init__(problem, message)
        self.problem = problem

    def __str__(self) -> str:
        return str(self.args[1])


def _below(kind: type[Refused]) -> dict[str, type[Refused]]:
    found = {} if kind.known_code is None else {kind.known_code: kind}
    for each in kind.__subclasses__():
        found |= _below(each)
    return found


CLASS_OF_CODE: Mapping[str, type[Refused]] = _below(Refused)
_CLASS_OF_STATUS: Mapping[int, type[Refused]] = {
    400: BadRequest,
    401: Unauthorized,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    422: IdempotencyKeyReused,
    429: RateLimited,
}


def refused(refusal: Refusal) -> Refused:
    """The error of a refusal: by its code, else by its status."""
    known = CLASS_OF_CODE.get(refusal.code)
    if known is None:
        known = ServerFailed if refusal.status >= 500 else _CLASS_OF_STATUS.get(refusal.status, Refused)
    return known(refusal)
