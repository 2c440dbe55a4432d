"""A webhook receiver with Flask.

LEADLINE_WEBHOOK_SECRET=whsec_… flask --app examples/flask_receiver.py run --port 9000
"""

from __future__ import annotations

import os

from flask import Flask, request
from follow_ups import FollowUps

from leadline.client import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["LEADLINE_WEBHOOK_SECRET"].split())
follow_ups = FollowUps(os.environ.get("RECEIVER_DATABASE", "receiver.db"))
app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 64 * 1024


@app.post("/leadline")
def receive() -> tuple[dict[str, bool | str], int]:
    """2xx once the event is stored; anything else, and Leadline comes again."""
    try:
        # The raw body: the signature is over these bytes, not over what they mean.
        event = webhook.verify(request.headers, request.get_data())
    except WebhookVerificationError as refused:
        return {"error": str(refused)}, 401
    return {"new": follow_ups.act_once(event)}, 200
