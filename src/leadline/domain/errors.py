"""Everything that can be refused, by name.

    LeadlineError
    ├── Invalid: InvalidRequest, InvalidOutcome, MissingIdempotencyKey
    ├── Unauthorized, Forbidden, FeatureDisabled, NoSubaccount
    ├── NotFound: OutcomeNotFound, DestinationNotFound, SmartListNotFound, ContactNotFound, CallNotFound, …
    ├── Conflict: IdempotencyKeyInUse, CallNotLive, CallStillLive, DispositionAlreadyApplied, …
    ├── IdempotencyKeyReused, PreconditionFailed, RateLimited, PayloadTooLarge, UnsupportedMediaType, …
    └── Unavailable

`code` is the public error code of contract § 1 and never changes meaning; `web/problems.py` alone
knows which HTTP status belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple


class Problem(NamedTuple):
    """One thing wrong with a request: the field (dotted path) and a sentence for people."""

    field: str
    message: str


class LeadlineError(Exception):
    """A refusal that the caller is told about. Nothing has been changed when it is raised."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, details: Iterable[Problem] = (), **pointers: object) -> None:
        """`pointers` are extra keys of the answer: the id of what the error points at."""
        super().__init__(message)
        self.message = message
        self.details: Sequence[Problem] = tuple(details)
        self.pointers = pointers
        self.retry_after_seconds: int | None = None


class InvalidRequest(LeadlineError):
    code = "invalid_request"


class InvalidOutcome(LeadlineError):
    code = "invalid_outcome"


class MissingIdempotencyKey(LeadlineError):
    code = "missing_idempotency_key"


class Unauthorized(LeadlineError):
    code = "unauthorized"


class Forbidden(LeadlineError):
    code = "forbidden"


class FeatureDisabled(LeadlineError):
    code = "feature_disabled"

    def __init__(self) -> None:
        super().__init__("Phone-system outcomes are switched off for this workspace.")


class NoSubaccount(LeadlineError):
    code = "no_subaccount"


class NotFound(LeadlineError):
    code = "not_found"
    noun: ClassVar[str] = "route"

    def __init__(self, message: str | None = None, *, details: Iterable[Problem] = ()) -> None:
        # The id is not repeated: another workspace's id must answer exactly like one that does not exist.
        super().__init__(message or f"There is no such {self.noun}.", details=details)


class OutcomeNotFound(NotFound):
    code, noun = "outcome_not_found", "outcome"


class DestinationNotFound(NotFound):
    code, noun = "destination_not_found", "Smart List in this workspace"


class SmartListNotFound(NotFound):
    code, noun = "smart_list_not_found", "Smart List"


class ContactNotFound(NotFound):
    code, noun = "contact_not_found", "contact"


class CallNotFound(NotFound):
    code, noun = "call_not_found", "call"


class AgentNotFound(NotFound):
    code, noun = "agent_not_found", "agent"


class DeliveryNotFound(NotFound):
    code, noun = "delivery_not_found", "delivery"


class EndpointNotFound(NotFound):
    code, noun = "endpoint_not_found", "endpoint"


class ReplayNotFound(NotFound):
    # The contract has no code of its own for it.
    noun = "replay"


class UserNotFound(NotFound):
    # Users live in the console and on the command line; the contract has no code of their own for them.
    noun = "user"


class ImportNotFound(NotFound):
    # As for a replay.
    noun = "import"


class MethodNotAllowed(LeadlineError):
    code = "method_not_allowed"

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = tuple(sorted(allowed))
        super().__init__(f"This path takes {', '.join(self.allowed)}.")


class PayloadTooLarge(LeadlineError):
    code = "payload_too_large"


class UnsupportedMediaType(LeadlineError):
    code = "unsupported_media_type"


class RateLimited(LeadlineError):
    code = "rate_limited"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("This token has used up its requests for the moment.")
        self.retry_after_seconds = retry_after_seconds


class IdempotencyKeyInUse(LeadlineError):
    code = "idempotency_key_in_use"

    def __init__(self) -> None:
        super().__init__("A request with this Idempotency-Key is still running.")
        self.retry_after_seconds = 1


class IdempotencyKeyReused(LeadlineError):
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key belongs to another request; nothing was changed.")


class CallNotLive(LeadlineError):
    code = "call_not_live"


class CallStillLive(LeadlineError):
    code = "call_still_live"


class DispositionAlreadyApplied(LeadlineError):
    code = "disposition_already_applied"


class DispositionRequired(LeadlineError):
    code = "disposition_required"


class SmartListExists(LeadlineError):
    code = "smart_list_exists"


class SmartListInUse(LeadlineError):
    code = "smart_list_in_use"


class ContactExists(LeadlineError):
    code = "contact_exists"


class UserExists(LeadlineError):
    """Another user of the workspace has this address, or works as this agent."""

    code = "user_exists"


class LastAdministrator(LeadlineError):
    code = "last_administrator"

    def __init__(self) -> None:
        super().__init__("A workspace needs an administrator: make somebody else one first.")


class LimitReached(LeadlineError):
    code = "limit_reached"


class PreconditionFailed(LeadlineError):
    code = "precondition_failed"


class Unavailable(LeadlineError):
    """The database is busy or the server is draining; the request is safe to send again."""

    code = "unavailable"

    def __init__(self, message: str = "The server is busy; nothing is lost, try again.") -> None:
        super().__init__(message)
        self.retry_after_seconds = 1
