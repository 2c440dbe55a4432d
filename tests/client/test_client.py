"""Both clients against the real server, over a socket and within the process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from client.driving import Driver
from harness import NOWHERE, Desk, fresh_phone_number
from leadline.client import AsyncClient, Client, ConfigurationError, Page, UnexpectedAnswer, errors, requests
from leadline.client.models import Outcomes


async def test_a_call_from_ringing_to_closed(driver: Driver) -> None:
    warm = await driver("create_smart_list", smart_list_name="Warm")
    action = await driver(
        "create_outcome",
        outcome_name="Interested",
        outcome_type="action",
        destination_type="smart_list",
        destination_id=UUID(warm.smart_list_id),
        webhook_url="https://example.com/hook",
    )
    sale = await driver("create_outcome", outcome_name="Sale", outcome_type="disposition")
    call = await driver("start_call", phone_number=fresh_phone_number(), agent_id="ada", state="ringing")
    assert call.state == "ringing"
    assert (await driver("answer_call", call.call_id)).state == "live"
    preview = await driver("apply_outcome", call.call_id, outcome_id=action.outcome.outcome_id, dry_run=True)
    assert preview.dry_run
    assert preview.applied.applied_id is None
    done = await driver("apply_outcome", call.call_id, outcome_id=action.outcome.outcome_id, note="Tuesday")
    assert not done.dry_run
    assert done.applied.destination.lists_added == [warm.smart_list_id]
    assert (await driver("end_call", call.call_id, line_result="completed")).state == "wrap_up"
    with pytest.raises(errors.DispositionRequired) as pending:
        await driver("start_call", phone_number=fresh_phone_number(), agent_id="ada")
    assert pending.value.call_id == call.call_id
    assert (await driver("get_agent", "ada")).pending == [call.call_id]
    closed = await driver("apply_outcome", call.call_id, outcome_id=sale.outcome.outcome_id)
    assert closed.call.state == "closed"
    (member,) = await driver("list_members", warm.smart_list_id)
    assert member.applied_id == done.applied.applied_id
    (delivery,) = await driver("list_deliveries", call_id=call.call_id)
    assert delivery.delivery_id == done.applied.delivery_id
    whole = await driver("get_delivery", delivery.delivery_id)
    assert whole.payload["outcome"]["outcome_name"] == "Interested"
    moves = await driver.every("iter_contact_history", call.contact_id, limit=1)
    assert {entry.type for entry in moves} == {"call", "applied", "list_move"}
    told = await driver.every("iter_events", limit=2)
    assert "call.closed" in [event.type for event in told]


async def test_refusals_are_errors_by_code_with_all_they_say(driver: Driver) -> None:
    known = await driver("create_contact", phone_number=fresh_phone_number())
    with pytest.raises(errors.ContactExists) as twice:
        await driver("create_contact", phone_number=known.phone_number)
    assert twice.value.contact_id == known.contact_id
    assert twice.value.status == 409
    assert twice.value.request_id
    with pytest.raises(errors.InvalidOutcome) as wrong:
        await driver("create_outcome", outcome_name=" ", outcome_type="action")
    assert {problem.field for problem in wrong.value.details} == {"outcome_name", "webhook_url"}
    assert str(wrong.value.request_id) in str(wrong.value)
    with pytest.raises(errors.ContactNotFound):
        await driver("get_contact", "no id at all / ?#%")
    for strange in ("..", ".", "a/../b", "Agent 7 ü"):
        with pytest.raises(errors.AgentNotFound):
            await driver("get_agent", strange)


async def test_a_change_leaves_what_is_not_given_and_none_empties(driver: Driver) -> None:
    contact = await driver(
        "create_contact",
        phone_number=fresh_phone_number(),
        name="Dana",
        external_id="7",
        attributes={"vip": True},
    )
    changed = await driver("change_contact", contact.contact_id, external_id=None)
    assert (changed.name, changed.external_id, changed.attributes) == ("Dana", None, {"vip": True})
    settings = await driver("change_workspace", wrap_up_timeout_seconds=60)
    assert settings.wrap_up_timeout_seconds == 60
    settings = await driver("change_workspace", wrap_up_timeout_seconds=None)
    assert settings.wrap_up_timeout_seconds is None


async def test_pages_follow_each_other_lazily(driver: Driver) -> None:
    made = [await driver("create_smart_list", smart_list_name=f"List {number}") for number in range(7)]
    first = await driver("list_smart_lists", limit=3)
    assert isinstance(first, Page)
    assert len(first) == 3
    assert first.next_cursor
    everything = await driver.every("iter_smart_lists", limit=3)
    assert [each.smart_list_id for each in everything] == [each.smart_list_id for each in reversed(made)]
    rest = await driver.every("iter_smart_lists", cursor=first.next_cursor)
    assert list(first) + rest == everything


async def test_what_has_not_changed_is_not_sent_again(driver: Driver) -> None:
    empty: Outcomes = await driver("list_outcomes")
    assert await driver("list_outcomes", known=empty) is empty
    await driver("create_outcome", outcome_name="Sale", outcome_type="disposition")
    fuller = await driver("list_outcomes", known=empty)
    assert [each.outcome_name for each in fuller.outcomes] == ["Sale"]
    assert fuller.etag != empty.etag


async def test_a_stale_tag_refuses_to_overwrite(driver: Driver) -> None:
    saved = await driver("create_outcome", outcome_name="A", outcome_type="disposition")
    outcome_id = saved.outcome.outcome_id
    fields = {"outcome_name": "B", "outcome_type": "disposition"}
    newer = await driver("replace_outcome", outcome_id, **fields, if_match=saved.etag)
    assert newer.etag != saved.etag
    with pytest.raises(errors.PreconditionFailed):
        await driver("replace_outcome", outcome_id, **fields, if_match=saved.etag)
    with pytest.raises(errors.PreconditionFailed):
        await driver("delete_outcome", outcome_id, if_match=saved.etag)
    deleted = await driver("delete_outcome", outcome_id, if_match=newer.etag)
    assert deleted.outcome_id == outcome_id


async def test_a_key_of_ones_own_makes_one_call_of_two(driver: Driver) -> None:
    describe = requests.create_contact(phone_number=fresh_phone_number(), idempotency_key="import-17")
    first = await driver("send", describe)
    second = await driver("send", describe)
    assert (first.status, first.replayed) == (201, False)
    assert (second.status, second.replayed) == (201, True)
    assert second.value == first.value
    assert second.body == first.body
    assert second.request_id != first.request_id


async def test_times_are_given_as_datetimes(driver: Driver) -> None:
    before = datetime.now(UTC) - timedelta(hours=1)
    call = await driver("start_call", phone_number=fresh_phone_number(), started_at=before)
    listed = await driver("list_calls", since=before.astimezone())
    assert [each.call_id for each in listed] == [call.call_id]
    with pytest.raises(ConfigurationError, match="offset"):
        await driver("list_calls", since=datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused


async def test_the_rest_of_the_table(driver: Driver) -> None:
    """Every method that the scenarios above do not call."""
    warm = await driver("create_smart_list", smart_list_name="Warm")
    warm = await driver("rename_smart_list", warm.smart_list_id, smart_list_name="Hot")
    contact = await driver("create_contact", phone_number=fresh_phone_number())
    joined = await driver("join_smart_list", warm.smart_list_id, contact.contact_id)
    assert joined.source == "request"
    assert (await driver("get_smart_list", warm.smart_list_id)).contact_count == 1
    (on_list,) = await driver.every("iter_contacts", smart_list_id=warm.smart_list_id)
    assert on_list.contact_id == contact.contact_id
    left = await driver("leave_smart_list", warm.smart_list_id, contact.contact_id)
    assert left.contact_id == contact.contact_id
    assert await driver("delete_smart_list", warm.smart_list_id, force=True) == warm.smart_list_id
    await driver(
        "create_outcome", outcome_name="A", outcome_type="action", webhook_url="https://example.com/hook"
    )
    (endpoint,) = await driver.every("iter_endpoints")
    paused = await driver("change_endpoint", endpoint.endpoint_id, state="paused", rate_limit_per_second=2)
    assert (paused.state, paused.rate_limit_per_second) == ("paused", 2)
    assert (await driver("get_endpoint", endpoint.endpoint_id)).state == "paused"
    sample = await driver("test_endpoint", endpoint.endpoint_id)
    assert (await driver("cancel_delivery", sample.delivery_id)).state == "canceled"
    assert (await driver("retry_delivery", sample.delivery_id)).state == "pending"
    replay = await driver("replay_deliveries", since="2026-01-01T00:00:00Z", states=["canceled"])
    assert (await driver("get_replay", replay.replay_id)).replay_id == replay.replay_id
    assert (await driver("cancel_replay", replay.replay_id)).state in ("canceled", "done")
    assert (await driver("get_webhook_secret")).signing_with == 1
    rotated = await driver("rotate_webhook_secret", overlap_seconds=60)
    assert rotated.secret.startswith("whsec_")
    assert rotated.secret not in repr(rotated)
    assert (await driver("get_workspace")).region == "US"
    assert list(await driver("list_agents")) == []
    assert await driver("erase_contact", contact.contact_id) == contact.contact_id
    (again,) = await driver("list_endpoints", limit=1)
    assert again.endpoint_id == endpoint.endpoint_id
    answer = await driver("send", requests.any_request("get", "/healthz"))
    assert answer.status == 200


def test_a_token_and_a_secret_are_in_no_log_and_no_repr(
    own_desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    token = own_desk.api.token or ""
    caplog.set_level(logging.DEBUG)
    with Client(own_desk.api.base_url, token) as client:
        secret = client.rotate_webhook_secret().secret
        with pytest.raises(errors.NotFound) as missing:
            client.get_contact("x")
        assert token not in repr(client) + repr(vars(client)) + repr(missing.value)
    assert "rotate_webhook_secret attempt=1 answer=200" in caplog.text
    assert token not in caplog.text
    assert secret not in caplog.text


def test_a_client_is_made_from_the_environment(own_desk: Desk) -> None:
    environ = {"LEADLINE_URL": f"{own_desk.api.base_url}/", "LEADLINE_TOKEN": f"{own_desk.api.token}\n"}
    with Client.from_env(environ, attempts_max=1) as client:
        assert client.get_workspace().subaccount_id == own_desk.subaccount_id
        assert client.options.attempts_max == 1
    with pytest.raises(ConfigurationError, match="LEADLINE_TOKEN must be set"):
        AsyncClient.from_env({"LEADLINE_URL": "http://127.0.0.1"})


@pytest.mark.parametrize(
    "url", ["", "ftp://a", "http://", "http://a?b", "http://a#b", "http://u:p@a", "http://a:x", "http://a\nb"]
)
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Client(url, "token")


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "ü"])
def test_a_token_that_is_none_is_refused_at_once_and_not_repeated(token: str) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        Client("http://127.0.0.1", token)
    assert repr(token)[1:-1] not in str(wrong.value) or not token


@pytest.mark.parametrize(
    "options", [{"attempts_max": 0}, {"deadline_seconds": 0}, {"timeout_seconds": float("inf")}, {"wat": 1}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        Client("http://127.0.0.1", "token", **options)  # type: ignore[arg-type]


def test_with_options_shares_the_connections(client: Client) -> None:
    with client.with_options(timeout_seconds=1) as other:
        assert other.options.timeout_seconds == 1
        assert client.options.timeout_seconds == 20
        other.get_workspace()
    client.get_workspace()


def test_something_that_is_no_leadline_is_named_so(client: Client) -> None:
    with pytest.raises(UnexpectedAnswer, match="not what it should be"):
        client.send(requests.Request(
            operation="get_contact", method="GET", path="/healthz", read=requests.get_contact("x").read
        ))  # fmt: skip


def test_an_iterator_fetches_no_page_before_it_is_reached(client: Client) -> None:
    for number in range(3):
        client.create_smart_list(smart_list_name=f"L{number}")
    pages: Iterator[object] = client.iter_smart_lists(limit=1)
    next(pages)
    client.create_smart_list(smart_list_name="later")
    assert len(list(pages)) == 2


def test_a_paused_endpoint_is_seen_as_it_is(own_desk: Desk, client: Client) -> None:
    own_desk.action()
    endpoint = next(client.iter_endpoints())
    assert endpoint.webhook_url == NOWHERE
    assert endpoint.health.success_rate is None
