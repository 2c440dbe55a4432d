"""The nouns of webhooks as commands: deliveries, replays, endpoints and the secret. See `nouns.py`."""

from __future__ import annotations

from leadline.cli.verbs import Noun, Row, Verb


def _success(row: Row) -> str:
    rate = row["health"]["success_rate"]
    return "" if rate is None else f"{rate:.0%}"


DELIVERY = Noun(
    "delivery",
    "Webhooks on their way.",
    (
        Verb(
            name="list",
            operation="list_deliveries",
            help="List deliveries, newest first.",
            flags={
                "state": "Only those in this state.",
                "outcome_id": "--outcome: Only those of the outcome with this id.",
                "call_id": "--call: Only those of the call with this id.",
                "contact_id": "--contact: Only those about the contact with this id.",
                "endpoint_id": "--endpoint: Only those to the endpoint with this id.",
                "since": "Only those made then or later: a time, or an age such as 2h.",
                "until": "Only those made before.",
            },
            columns=(
                "delivery_id",
                "created_at",
                "state",
                ("attempts", lambda row: row["attempt_count"]),
                ("last", lambda row: row["last_status"] or row["last_error"]),
                "webhook_url",
            ),
        ),
        Verb(
            name="get",
            operation="get_delivery",
            help="Show a delivery, what is sent, and how each attempt went.",
            places={"delivery_id": "Id of the delivery: its webhook-id."},
        ),
        Verb(
            name="retry",
            operation="retry_delivery",
            help="Send a delivery again, from any state: due now, with the full schedule.",
            places={"delivery_id": "Id of the delivery."},
        ),
        Verb(
            name="cancel",
            operation="cancel_delivery",
            help="Give a pending delivery up; `retry` takes it up again.",
            places={"delivery_id": "Id of the delivery."},
        ),
    ),
)

REPLAY = Noun(
    "replay",
    "Sending many deliveries again.",
    (
        Verb(
            name="start",
            operation="replay_deliveries",
            help="Send all deliveries of a time again, as a job that survives a restart.",
            flags={
                "since": "Those made then or later: a time, or an age such as 2h.",
                "until": "Those made before; now.",
                "states": "--state: Those in this state; may be given more than once; exhausted.",
                "outcome_id": "--outcome: Only those of the outcome with this id.",
                "endpoint_id": "--endpoint: Only those to the endpoint with this id.",
            },
        ),
        Verb(
            name="get",
            operation="get_replay",
            help="Show how far a replay is.",
            places={"replay_id": "Id of the replay."},
        ),
        Verb(
            name="cancel",
            operation="cancel_replay",
            help="Stop a replay; what it has made due stays due.",
            places={"replay_id": "Id of the replay."},
        ),
    ),
)

ENDPOINT = Noun(
    "endpoint",
    "The addresses that webhooks go to.",
    (
        Verb(
            name="list",
            operation="list_endpoints",
            help="List the endpoints and how they do.",
            columns=("endpoint_id", "state", "backlog", ("success", _success), "webhook_url"),
        ),
        Verb(
            name="get",
            operation="get_endpoint",
            help="Show an endpoint and how it does.",
            places={"endpoint_id": "Id of the endpoint."},
        ),
        Verb(
            name="change",
            operation="change_endpoint",
            help="Pause, resume or bound an endpoint. What is due to a paused one waits and is not lost.",
            places={"endpoint_id": "Id of the endpoint."},
            flags={
                "state": "Whether it is sent to.",
                "max_concurrency": "Attempts under way at once, 1-1000.",
                "rate_limit_per_second": "--rate-limit: Attempts in a second.",
                "timeout_seconds": "--timeout: Seconds for an attempt, 1-30.",
            },
        ),
        Verb(
            name="test",
            operation="test_endpoint",
            help="Send a signed sample to an endpoint.",
            places={"endpoint_id": "Id of the endpoint."},
        ),
    ),
)

SECRET = Noun(
    "secret",
    "The secret that signs webhooks.",
    (
        Verb(
            name="get",
            operation="get_webhook_secret",
            help="Show the secret, masked, and how many sign at this moment.",
        ),
        Verb(
            name="rotate",
            operation="rotate_webhook_secret",
            help="Make a new secret and print it: it is shown this once.",
            flags={"overlap_seconds": "--overlap: Seconds for which the old one signs along; 86400."},
            done="{secret}",
        ),
    ),
)
