"""A webhook receiver with FastAPI (Starlette's request and threads are all it uses, so it is the same there).

LEADLINE_WEBHOOK_SECRET=whsec_… uvicorn --app-dir examples fastapi_receiver:app --port 9000
"""

from __future__ import annotations

import os

from fastapi import FastAPI, HTTPException, Request
from follow_ups import FollowUps
from starlette.concurrency import run_in_threadpool

from leadline.client import Webhook, WebhookVerificationError

BODY_BYTES_MAX = 64 * 1024

webhook = Webhook(os.environ["LEADLINE_WEBHOOK_SECRET"].split())
follow_ups = FollowUps(os.environ.get("RECEIVER_DATABASE", "receiver.db"))
app = FastAPI()


@app.post("/leadline")
async def receive(request: Request) -> dict[str, bool]:
    """2xx once the event is stored; anything else, and Leadline comes again."""
    body = await read_body(request)
    try:
        event = webhook.verify(request.headers, body)
    except WebhookVerificationError as refused:
        raise HTTPException(401, str(refused)) from None
    return {"new": await run_in_threadpool(follow_ups.act_once, event)}


async def read_body(request: Request) -> bytes:
    """The raw body: the signature is over these bytes, not over what they mean."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise HTTPException(413)
    return body
