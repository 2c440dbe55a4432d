"""Outcomes as those who configure them look at them: with what stands behind them, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leadline.domain.endpoints import EndpointState
from leadline.domain.errors import DeliveryNotFound, EndpointNotFound, OutcomeNotFound
from leadline.domain.outcomes import OutcomeType, lists_named
from leadline.operations.deliveries import get_delivery
from leadline.operations.endpoints import send_test
from leadline.operations.outcomes import etag_of
from leadline.operations.views import outcome_view
from leadline.store import endpoints, smart_lists, workspaces
from leadline.store import outcomes as store
from leadline.store.database import Tx
from leadline.store.endpoints import EndpointRow
from leadline.store.outcomes import OutcomeRow, destination_of
from leadline.wire.deliveries import Delivery
from leadline.wire.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class SetOutcome:
    """One outcome. `lists_gone` are the Smart Lists that it points to and that are no more."""

    outcome: Outcome
    etag: str
    lists_gone: int
    endpoint_id: str | None
    endpoint_state: EndpointState | None
    endpoint_reason: str | None
    closes_wrap_up: bool


@dataclass(frozen=True, slots=True)
class OutcomeSetup:
    """All of a workspace, each type in display order."""

    actions: Sequence[SetOutcome]
    dispositions: Sequence[SetOutcome]
    list_names: Mapping[str, str]
    require_disposition: str

    @property
    def all(self) -> Sequence[SetOutcome]:
        return [*self.actions, *self.dispositions]

    def find(self, outcome_id: str) -> SetOutcome | None:
        return next((each for each in self.all if each.outcome.outcome_id == outcome_id), None)

    @property
    def orders(self) -> list[int]:
        return [each.outcome.order for each in self.all]

    def place_of(self, outcome_id: str | None, outcome_type: str) -> int:
        """At which place among those of a type an outcome stands, or would when it came last; from 0."""
        column = self.actions if outcome_type == OutcomeType.ACTION else self.dispositions
        ids = [each.outcome.outcome_id for each in column]
        return ids.index(outcome_id) if outcome_id in ids else len(ids)


async def load_outcome_setup(tx: Tx, workspace_id: str) -> OutcomeSetup:
    rows = await store.all_outcomes(tx, workspace_id)
    names = await smart_lists.list_names(tx, workspace_id)
    wanted = {row.endpoint_id for row in rows if row.endpoint_id is not None}
    behind = await endpoints.endpoints_named(tx, workspace_id, wanted) if wanted else {}
    workspace = await workspaces.get_workspace(tx, workspace_id)
    assert workspace is not None  # whoever asks is signed in to it
    timeout_id = workspace.wrap_up_timeout_outcome_id
    found = [_set(row, names, behind.get(row.endpoint_id or ""), timeout_id) for row in rows]
    return OutcomeSetup(
        actions=[each for each in found if each.outcome.outcome_type == OutcomeType.ACTION.value],
        dispositions=[each for each in found if each.outcome.outcome_type == OutcomeType.DISPOSITION.value],
        list_names=names,
        require_disposition=workspace.require_disposition,
    )


def _set(
    row: OutcomeRow, names: Mapping[str, str], endpoint: EndpointRow | None, timeout_id: str | None
) -> SetOutcome:
    return SetOutcome(
        outcome=outcome_view(row, names),
        etag=etag_of(row),
        lists_gone=sum(each not in names for each in lists_named(destination_of(row))),
        endpoint_id=row.endpoint_id,
        endpoint_state=None if endpoint is None else EndpointState(endpoint.state),
        endpoint_reason=None if endpoint is None else endpoint.state_reason,
        closes_wrap_up=row.outcome_id == timeout_id,
    )


async def test_outcome_webhook(tx: Tx, workspace_id: str, outcome_id: str) -> str:
    """Send a signed sample to where an outcome's webhook goes; the delivery's id.

    Raises OutcomeNotFound, and EndpointNotFound for an outcome that has no webhook.
    """
    row = await store.get_outcome(tx, workspace_id, outcome_id)
    if row is None:
        raise OutcomeNotFound
    if row.endpoint_id is None:
        raise EndpointNotFound("This outcome has no webhook.")
    return (await send_test(tx, workspace_id, row.endpoint_id)).delivery.delivery_id


async def find_test(tx: Tx, workspace_id: str, endpoint_id: str | None, delivery_id: str) -> Delivery | None:
    """How a test of this endpoint went so far; None when there is no such test."""
    try:
        delivery = (await get_delivery(tx, workspace_id, delivery_id)).delivery
    except DeliveryNotFound:
        return None
    is_test = delivery.outcome_id is None and delivery.endpoint_id == endpoint_id
    return delivery if is_test else None
