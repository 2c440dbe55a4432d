"""What is in the database before a load: a workspace that can be called into, and live calls to apply outcomes to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks import bulk
from benchmarks.load import request
from leadline.domain.outcomes import AddTo, OutcomeDefinition, OutcomeType
from leadline.ids import new_id
from leadline.operations.endpoints import change_endpoint
from leadline.operations.outcomes import define_outcome
from leadline.operations.smart_lists import create_smart_list
from leadline.store.calls import AgentRow, CallRow
from leadline.store.contacts import ContactRow
from leadline.store.database import Tx
from leadline.store.migrating import migrate
from leadline.store.outcomes import get_outcome
from leadline.wiring import provision_workspace, write_once

AGENTS = 5
NOTE = "Asked for the spring prices, wants a call back on Thursday."


@dataclass
class Scene:
    """A workspace with an action that moves the contact to a list and has a webhook.

    `live_call_ids` are calls that nothing was applied to yet; whoever uses them takes them out.
    """

    database_url: str
    workspace_id: str
    token: str
    smart_list_id: str
    outcome_id: str
    endpoint_id: str
    webhook_url: str
    live_call_ids: list[str] = field(default_factory=list)
    contacts_made: int = 0

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def apply_request(self, *, token: str | None = None) -> bytes:
        """The template of an apply: `{id}` is the call, and its key. `token` is instead of the workspace's own."""
        body = f'{{"outcome_id": "{self.outcome_id}", "note": "{NOTE}"}}'.encode()
        headers = {"Authorization": f"Bearer {token or self.token}", "Idempotency-Key": "bench-{id}"}
        return request("POST", "/phone-system/calls/{id}/outcomes", headers=headers, body=body)

    def want_live_calls(self, count: int) -> None:
        """Have at least so many live calls, each with a contact of its own."""
        contacts, calls = self.more_live_calls(count)
        if calls:
            bulk.insert(self.database_url, [("contacts", contacts), ("calls", calls)])

    def more_live_calls(self, count: int) -> tuple[list[ContactRow], list[CallRow]]:
        """The rows that are missing for so many; whoever asks inserts them."""
        missing = max(0, count - len(self.live_call_ids))
        numbers = range(self.contacts_made, self.contacts_made + missing)
        self.contacts_made += missing
        contacts = {new_id(): f"+1{2_000_000_000 + number}" for number in numbers}
        calls = [self._call(contact_id, number) for contact_id, number in contacts.items()]
        self.live_call_ids += [call.call_id for call in calls]
        return list(self._contacts(contacts)), calls

    def take(self, count: int) -> list[str]:
        """Take the first live calls out: they are used up."""
        taken, self.live_call_ids = self.live_call_ids[:count], self.live_call_ids[count:]
        return taken

    def _contacts(self, contacts: dict[str, str]) -> Iterator[ContactRow]:
        for contact_id, number in contacts.items():
            yield ContactRow(
                workspace_id=self.workspace_id,
                contact_id=contact_id,
                phone_number=number,
                name="Ada Lovelace",
                external_id=None,
                attributes="{}",
                search_text=f"{number} ada lovelace",
                created_at=_BEGINNING,
                updated_at=_BEGINNING,
            )

    def _call(self, contact_id: str, number: str) -> CallRow:
        return CallRow(
            workspace_id=self.workspace_id,
            call_id=new_id(),
            state="live",
            direction="outbound",
            phone_number=number,
            contact_id=contact_id,
            agent_id=f"agent-{int(number) % AGENTS}",
            external_id=None,
            line_result=None,
            started_at=_BEGINNING,
            answered_at=_BEGINNING,
            ended_at=None,
            wrap_up_since=None,
            closed_at=None,
            created_at=_BEGINNING,
        )


# A webhook of a paused endpoint is never sent; nobody listens here.
NOWHERE = "http://127.0.0.1:9/hook"
# As long as a real one, for servers that do not look at it.
ANY_AUTHORIZATION = {"Authorization": f"Bearer ll_{'0' * 32}_{'0' * 43}"}
# When everything that was there before the load has happened (Unix ms).
_BEGINNING = 1_780_000_000_000


def make_scene(database_url: str, webhook_url: str, *, paused: bool) -> Scene:
    """A fresh database's workspace. `paused`: deliveries are made and wait; nothing is sent."""
    asyncio.run(migrate(database_url))
    provisioned = provision_workspace(database_url, "Bench")
    workspace_id = provisioned.subaccount_id

    async def make(tx: Tx) -> Scene:
        created = await create_smart_list(tx, workspace_id, "Call back")
        smart_list_id = str(created.smart_list.smart_list_id)
        definition = OutcomeDefinition(
            name="Interested",
            type=OutcomeType.ACTION,
            order=10,
            destination=AddTo(smart_list_id),
            webhook_url=webhook_url,
        )
        answer, _ = await define_outcome(tx, workspace_id, definition)
        outcome = await get_outcome(tx, workspace_id, str(answer.outcome.outcome_id))
        assert outcome is not None
        assert outcome.endpoint_id is not None
        changes = {"state": "paused" if paused else "active", "max_concurrency": 1000}
        await change_endpoint(tx, workspace_id, outcome.endpoint_id, changes, timeout_seconds=15)
        return Scene(
            database_url=database_url,
            workspace_id=workspace_id,
            token=provisioned.token,
            smart_list_id=smart_list_id,
            outcome_id=outcome.outcome_id,
            endpoint_id=outcome.endpoint_id,
            webhook_url=webhook_url,
        )

    scene = write_once(database_url, make)
    agents = [AgentRow(workspace_id, f"agent-{number}", _BEGINNING) for number in range(AGENTS)]
    bulk.insert(database_url, [("agents", agents)])
    return scene
