"""Contract § 5: what a receiver gets, byte by byte and header by header."""

from __future__ import annotations

import json
import re

import pytest

from harness import ATTEMPTS_MAX, Desk, Json, assert_done
from receiver import Hit, Receiver, Reply, signature_of

PAYLOAD_KEYS = {"error_message", "timestamp", "scope", "outcome", "call", "destination"}


def apply_to(desk: Desk, receiver: Receiver, **fields: Json) -> tuple[Json, Json]:
    """A live call and the applied action whose webhook goes to `receiver`."""
    outcome = desk.action(receiver.url, **fields)
    call = desk.call(agent_id="agent-7")
    return call, desk.applied(call["call_id"], outcome["outcome_id"])


def payload(hit: Hit) -> Json:
    return json.loads(hit.body)


def test_the_payload_has_exactly_the_published_shape(desk: Desk, receiver: Receiver) -> None:
    call, applied = apply_to(desk, receiver)
    body = payload(receiver.wait_for()[0])
    assert set(body) == PAYLOAD_KEYS
    assert body["error_message"] == ""
    assert body["scope"] == {"subaccount_id": desk.subaccount_id, "organization_id": desk.organization_id}
    assert body["outcome"] == {
        "outcome_id": applied["outcome_id"],
        "outcome_name": "Interested",
        "outcome_type": "action",
    }
    assert body["call"] == {
        "call_id": call["call_id"],
        "phone_number": call["phone_number"],
        "contact_id": call["contact_id"],
    }
    assert body["destination"] == {"destination_type": "none"}


def test_the_timestamp_is_a_whole_number_of_unix_milliseconds(desk: Desk, receiver: Receiver) -> None:
    apply_to(desk, receiver)
    timestamp = payload(receiver.wait_for()[0])["timestamp"]
    assert type(timestamp) is int
    assert 1_600_000_000_000 < timestamp < 4_000_000_000_000


def test_the_smart_list_destination_has_no_name(desk: Desk, receiver: Receiver) -> None:
    list_id = desk.smart_list()["smart_list_id"]
    apply_to(desk, receiver, destination_type="smart_list", destination_id=list_id)
    destination = payload(receiver.wait_for()[0])["destination"]
    assert destination == {"destination_type": "smart_list", "destination_id": list_id}


def test_the_remove_destinations_travel_as_configured(desk: Desk, receiver: Receiver) -> None:
    lists = [desk.smart_list()["smart_list_id"] for _ in range(2)]
    for choice in ({"all": True}, {"list_ids": lists}):
        sink = receiver.another()
        remove = {"destination_type": "remove_from_smart_list", "remove_from_smart_lists": choice}
        apply_to(desk, sink, **remove)
        assert payload(sink.wait_for()[0])["destination"] == remove


def test_names_arrive_whole_in_utf_8(desk: Desk, receiver: Receiver) -> None:
    apply_to(desk, receiver, outcome_name='Zoë "🦜" </script>')
    hit = receiver.wait_for()[0]
    assert payload(hit)["outcome"]["outcome_name"] == 'Zoë "🦜" </script>'
    hit.body.decode("utf-8")


def test_the_headers_are_those_of_standard_webhooks(desk: Desk, receiver: Receiver) -> None:
    _, applied = apply_to(desk, receiver)
    hit = receiver.wait_for()[0]
    assert hit.method == "POST"
    assert hit.headers.get_all("Content-Type") == ["application/json"]
    assert re.fullmatch(r"Leadline/\d\S*", hit.headers["User-Agent"])
    assert hit.webhook_id == applied["delivery_id"]
    assert re.fullmatch(r"\d{10}", hit.headers["webhook-timestamp"])
    assert re.fullmatch(r"v1,[A-Za-z0-9+/]{43}=", hit.headers["webhook-signature"])
    assert hit.headers["Content-Length"] == str(len(hit.body))
    assert "Authorization" not in hit.headers


def test_the_signature_is_the_hmac_of_id_timestamp_and_body(desk: Desk, receiver: Receiver) -> None:
    secret = desk.rotate_secret(overlap_seconds=0)
    assert secret.startswith("whsec_")
    apply_to(desk, receiver)
    hit = receiver.wait_for()[0]
    assert hit.headers["webhook-signature"].split() == [signature_of(secret, hit)]


def test_old_secrets_sign_along_while_their_overlap_lasts(desk: Desk, receiver: Receiver) -> None:
    secrets = [
        desk.rotate_secret(overlap_seconds=0),
        desk.rotate_secret(),
        desk.rotate_secret(overlap_seconds=3600),
    ]
    assert len(set(secrets)) == 3
    apply_to(desk, receiver)
    hit = receiver.wait_for()[0]
    signatures = hit.headers["webhook-signature"].split(" ")
    assert {signature_of(secret, hit) for secret in secrets} == set(signatures)


def test_a_secret_without_overlap_stops_signing_at_once(desk: Desk, receiver: Receiver) -> None:
    old = desk.rotate_secret()
    new = desk.rotate_secret(overlap_seconds=0)
    apply_to(desk, receiver)
    hit = receiver.wait_for()[0]
    signatures = hit.headers["webhook-signature"].split(" ")
    assert signature_of(new, hit) in signatures
    assert signature_of(old, hit) not in signatures


def test_every_attempt_sends_the_same_bytes_under_the_same_id(desk: Desk, receiver: Receiver) -> None:
    secret = desk.rotate_secret(overlap_seconds=0)
    receiver.answer_with(500, 503, 404)
    _, applied = apply_to(desk, receiver)
    hits = receiver.wait_for(ATTEMPTS_MAX)
    assert len({hit.body for hit in hits}) == 1
    assert {hit.webhook_id for hit in hits} == {applied["delivery_id"]}
    times = [int(hit.headers["webhook-timestamp"]) for hit in hits]
    assert times == sorted(times)
    assert all(hit.headers["webhook-signature"] == signature_of(secret, hit) for hit in hits)
    assert desk.delivery_in(applied["delivery_id"], "succeeded")["payload"] == payload(hits[0])


def test_the_bytes_are_fixed_when_the_outcome_is_applied(desk: Desk, receiver: Receiver) -> None:
    list_id = desk.smart_list()["smart_list_id"]
    receiver.answer_with(500)
    outcome = desk.action(receiver.url, destination_type="smart_list", destination_id=list_id)
    desk.set_endpoint(receiver.url, state="paused")
    call = desk.call()
    desk.applied(call["call_id"], outcome["outcome_id"])
    assert_done(desk.api.delete(f"/outcomes/{outcome['outcome_id']}"))
    assert_done(desk.api.delete(f"/smart-lists/{list_id}"))
    desk.set_endpoint(receiver.url, state="active")
    for hit in receiver.wait_for(2):
        assert payload(hit)["outcome"]["outcome_name"] == "Interested"
        assert payload(hit)["error_message"] == ""
        assert payload(hit)["destination"] == {"destination_type": "smart_list", "destination_id": list_id}


def test_a_destination_that_fails_does_not_stop_the_recording_or_the_webhook(
    desk: Desk, receiver: Receiver
) -> None:
    list_id = desk.smart_list("Gone")["smart_list_id"]
    outcome = desk.action(receiver.url, destination_type="smart_list", destination_id=list_id)
    assert_done(desk.api.delete(f"/smart-lists/{list_id}?force=true"))
    call = desk.call()
    applied = desk.applied(call["call_id"], outcome["outcome_id"])
    assert applied["error_message"]
    body = payload(receiver.wait_for()[0])
    assert body["error_message"] == applied["error_message"]
    assert body["destination"] == {"destination_type": "smart_list", "destination_id": list_id}
    assert desk.read_call(call["call_id"])["applied"][0]["applied_id"] == applied["applied_id"]


def test_leaving_lists_of_which_some_are_gone_says_so(desk: Desk, receiver: Receiver) -> None:
    kept, gone = (desk.smart_list()["smart_list_id"] for _ in range(2))
    contact = desk.contact()["contact_id"]
    desk.join(kept, contact)
    remove = {
        "destination_type": "remove_from_smart_list",
        "remove_from_smart_lists": {"list_ids": [kept, gone]},
    }
    outcome = desk.action(receiver.url, **remove)
    assert_done(desk.api.delete(f"/smart-lists/{gone}?force=true"))
    applied = desk.applied(desk.call(contact_id=contact)["call_id"], outcome["outcome_id"])
    assert applied["error_message"]
    assert payload(receiver.wait_for()[0])["error_message"] == applied["error_message"]


def test_a_disposition_with_a_url_sends_and_one_without_does_not(desk: Desk, receiver: Receiver) -> None:
    loud = desk.disposition(webhook_url=receiver.url)["outcome_id"]
    silent = desk.disposition()["outcome_id"]
    quiet_call, loud_call = (desk.end(desk.call()["call_id"])["call_id"] for _ in range(2))
    assert desk.applied(quiet_call, silent)["delivery_id"] is None
    delivery_id = desk.applied(loud_call, loud)["delivery_id"]
    hit = receiver.wait_for()[0]
    assert hit.webhook_id == delivery_id
    assert payload(hit)["outcome"]["outcome_type"] == "disposition"
    assert len(assert_done(desk.api.get("/webhook-deliveries"))["deliveries"]) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_success_whatever_the_body(desk: Desk, receiver: Receiver, status: int) -> None:
    receiver.answer_with(Reply(status, body=b'{"ok": false}'))
    _, applied = apply_to(desk, receiver)
    delivery = desk.delivery_in(applied["delivery_id"], "succeeded")
    assert [attempt["status"] for attempt in delivery["attempts"]] == [status]


def test_a_redirect_is_not_followed(desk: Desk, receiver: Receiver) -> None:
    elsewhere = receiver.another()
    receiver.answer_with(*(Reply(status, [("Location", elsewhere.url)]) for status in (301, 302, 307, 308)))
    _, applied = apply_to(desk, receiver)
    delivery = desk.delivery_in(applied["delivery_id"], "exhausted")
    assert [attempt["status"] for attempt in delivery["attempts"]] == [301, 302, 307, 308]
    assert elsewhere.hits == []


def test_a_number_from_the_nation_travels_in_e_164(desk: Desk, receiver: Receiver) -> None:
    outcome_id = desk.action(receiver.url)["outcome_id"]
    call = assert_done(desk.api.post("/calls", json={"phone_number": "(415) 555-2671"}), 201)["call"]
    desk.applied(call["call_id"], outcome_id)
    assert payload(receiver.wait_for()[0])["call"]["phone_number"] == "+14155552671"
