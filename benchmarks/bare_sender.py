"""The bare loop: aiohttp posting the same bytes with the same headers, and keeping no record of anything.

`python -m benchmarks.bare_sender PORT AT_ONCE`. What is missing here is everything that makes it a delivery: the claim,
the judged address, the signature, the record.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import uvloop

PAYLOAD = (
    b'{"error_message":"","timestamp":1781935984000,'
    b'"scope":{"subaccount_id":"00000000-0000-4000-8000-000000000001",'
    b'"organization_id":"00000000-0000-4000-8000-000000000002"},'
    b'"outcome":{"outcome_id":"00000000-0000-4000-8000-000000000003","outcome_name":"Interested",'
    b'"outcome_type":"action"},'
    b'"call":{"call_id":"00000000-0000-4000-8000-000000000004","phone_number":"+12000000000",'
    b'"contact_id":"00000000-0000-4000-8000-000000000005"},'
    b'"destination":{"destination_type":"smart_list","destination_id":"00000000-0000-4000-8000-000000000006"}}'
)
_HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "Leadline/0.0.0",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "webhook-id": "00000000-0000-4000-8000-000000000007",
    "webhook-timestamp": "1781935984",
    "webhook-signature": f"v1,{'A' * 43}=",
}
TIMEOUT_SECONDS = 15


async def _send(port: int, at_once: int) -> None:
    connector = aiohttp.TCPConnector(limit=at_once)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        await asyncio.gather(*(_send_on(session, f"http://127.0.0.1:{port}/hook") for _ in range(at_once)))


async def _send_on(session: aiohttp.ClientSession, url: str) -> None:
    while True:
        async with session.post(url, data=PAYLOAD, headers=_HEADERS, allow_redirects=False) as answer:
            assert answer.status == 200
            await answer.read()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_send(int(sys.argv[1]), int(sys.argv[2])))
