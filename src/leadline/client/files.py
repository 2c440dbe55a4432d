"""Answers that are files, without I/O: what to ask for, and what an answer that is none means."""

from __future__ import annotations

from leadline.client.errors import ConnectionFailed, LeadlineError
from leadline.client.exchange import Broken, Send, refusal_of
from leadline.client.options import Options
from leadline.client.requests.described import PREFIX, Id, Reply, parameters


def contacts_file(
    options: Options, *, phone_number: str | None, smart_list_id: Id | None, q: str | None
) -> Send:
    """A request for the contacts that match, as CSV. It may take as long as it takes; a silence may not."""
    return Send(
        method="GET",
        target=f"{PREFIX}/contacts",
        query=parameters(phone_number=phone_number, smart_list_id=smart_list_id, q=q),
        headers={"accept": "text/csv"},
        content=None,
        timeout_seconds=options.timeout_seconds,
        connect_timeout_seconds=options.connect_timeout_seconds,
        deadline=float("inf"),
    )


def no_file(came: Reply | Broken) -> LeadlineError:
    """The error of what came instead of a file, or of one that broke off."""
    if isinstance(came, Reply):
        return refusal_of(came)
    return ConnectionFailed(f"the file did not come whole: {came.reason}")
