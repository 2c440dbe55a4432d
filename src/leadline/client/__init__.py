"""The Python client of Leadline, and the verification of its webhooks.

    from leadline.client import Client, Webhook

    with Client("https://leadline.example.com", token) as client:
        call = client.start_call(phone_number="+15555550100", agent_id="ada")

`Client` and `AsyncClient` have the same methods, one for each operation of the API. `Webhook` is for receivers.
Installing `leadline` alone brings this much; the server is `leadline[server]`. The tree of errors is drawn in
`leadline.client.errors`.
"""

from __future__ import annotations

from leadline.client import errors, models, requests
from leadline.client.asynchronous import AsyncClient
from leadline.client.errors import (
    BadRequest,
    ConfigurationError,
    Conflict,
    ConnectionFailed,
    DeadlineExceeded,
    LeadlineError,
    NoAnswer,
    NotFound,
    PermissionDenied,
    Refused,
    ServerFailed,
    Unauthorized,
    UnexpectedAnswer,
    WebhookProblem,
    WebhookVerificationError,
)
from leadline.client.models import Page, Response, WebhookEvent
from leadline.client.options import Options
from leadline.client.synchronous import Client
from leadline.client.webhook import Webhook

__all__ = [
    "AsyncClient", "BadRequest", "Client", "ConfigurationError", "Conflict", "ConnectionFailed", "DeadlineExceeded",
    "LeadlineError", "NoAnswer", "NotFound", "Options", "Page", "PermissionDenied", "Refused", "Response",
    "ServerFailed", "Unauthorized", "UnexpectedAnswer", "Webhook", "WebhookEvent", "WebhookProblem",
    "WebhookVerificationError", "errors", "models", "requests",
]  # fmt: skip
