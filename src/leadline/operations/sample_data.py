"""What `serve --dev` puts into an empty workspace: Smart Lists, outcomes and contacts to play with.

The ids of the first outcome and of four lists are those of the published outcomes page, so that each request
shown there works on a fresh sample workspace as it stands. No number leads to anybody: 555-01xx is fiction.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from leadline.domain.errors import DestinationNotFound
from leadline.domain.outcomes import (
    AddTo,
    Destination,
    OutcomeDefinition,
    OutcomeType,
    RemoveFrom,
    RemoveFromAll,
    Stay,
)
from leadline.operations.contacts import create_contact
from leadline.operations.outcomes import define_outcome, replace_outcome
from leadline.operations.smart_lists import create_smart_list, join_smart_list
from leadline.operations.workspaces import list_workspaces
from leadline.store import outcomes as store
from leadline.store.database import Tx
from leadline.store.outcomes import OutcomeRow, destination_of

# The path is what tells the sample receiver's URLs from others; its port may be another at every start.
RECEIVER_PATH = "/sample-receiver"
_RECEIVER_URL = re.compile(rf"http://127\.0\.0\.1:\d{{1,5}}{RECEIVER_PATH}")


def sample_id(number: int) -> str:
    """The id of the sample with this number (hexadecimal in the last digits)."""
    return f"00000000-0000-4000-8000-{number:012x}"


WARM = sample_id(0x00)
INTERESTED = sample_id(0x01)
FOLLOW_UP = sample_id(0x02)
CALL_BACK = sample_id(0x10)
SPRING_CAMPAIGN = sample_id(0x11)
CUSTOMERS = sample_id(0x12)

LISTS = {
    FOLLOW_UP: "Follow up",
    WARM: "Warm leads",
    CALL_BACK: "Call back",
    SPRING_CAMPAIGN: "Spring campaign",
    CUSTOMERS: "Customers",
}


class SampleOutcome(NamedTuple):
    """One outcome; `sends` says whether it has a webhook."""

    outcome_id: str
    name: str
    type: OutcomeType
    order: int
    destination: Destination
    sends: bool


OUTCOMES = (
    SampleOutcome(INTERESTED, "Interested", OutcomeType.ACTION, 10, AddTo(FOLLOW_UP), True),
    SampleOutcome(sample_id(0x21), "Send pricing", OutcomeType.ACTION, 20, AddTo(WARM), True),
    SampleOutcome(sample_id(0x22), "Call back later", OutcomeType.ACTION, 30, AddTo(CALL_BACK), True),
    SampleOutcome(sample_id(0x23), "Do not call", OutcomeType.ACTION, 40, RemoveFromAll(), True),
    SampleOutcome(sample_id(0x31), "Sale", OutcomeType.DISPOSITION, 110, AddTo(CUSTOMERS), True),
    SampleOutcome(sample_id(0x32), "Voicemail left", OutcomeType.DISPOSITION, 120, Stay(), False),
    SampleOutcome(sample_id(0x33), "Not qualified", OutcomeType.DISPOSITION, 130, Stay(), False),
    SampleOutcome(
        sample_id(0x34),
        "Not interested",
        OutcomeType.DISPOSITION,
        140,
        RemoveFrom((FOLLOW_UP, WARM, CALL_BACK)),
        True,
    ),
)

PEOPLE = (
    ("Amara Okafor", "Okafor Logistics"),
    ("Björn Lindqvist", "Nordkap Möbler"),
    ("Chen Wei", "Harbour Optics"),
    ("Dolores Fuentes", "Fuentes y Hijas"),
    ("Elif Yüksel", "Bosphorus Foods"),
    ("Farid Haddad", "Cedar Printing"),
    ("Grace O'Neill", "O'Neill Veterinary"),
    ("Hina Sato", "Sato Cycles"),
    ("Ivana Kovačević", "Adriatic Tours"),
    ("Jamal Washington", "Washington Roofing"),
    ("Keoni Kahale", "Kahale Surf School"),
    ("Lakshmi Raman", "Raman Textiles"),
)


async def fill_sample_data(tx: Tx, workspace_id: str, *, webhook_url: str) -> None:
    """Everything of the above in a workspace that has none of it; the outcomes send to `webhook_url`."""
    for smart_list_id, name in LISTS.items():
        await create_smart_list(tx, workspace_id, name, smart_list_id=smart_list_id)
    for outcome in OUTCOMES:
        definition = OutcomeDefinition(
            name=outcome.name,
            type=outcome.type,
            order=outcome.order,
            destination=outcome.destination,
            webhook_url=webhook_url if outcome.sends else None,
        )
        await define_outcome(tx, workspace_id, definition, outcome_id=outcome.outcome_id)
    for position, (name, company) in enumerate(PEOPLE, start=1):
        await _create_person(tx, workspace_id, position, name, company)


async def _create_person(tx: Tx, workspace_id: str, position: int, name: str, company: str) -> None:
    contact_id = sample_id(0x100 + position)
    await create_contact(
        tx,
        workspace_id,
        phone_number=f"+155555501{position:02}",
        name=name,
        external_id=f"sample-{position}",
        attributes={"company": company},
        contact_id=contact_id,
    )
    await join_smart_list(tx, workspace_id, SPRING_CAMPAIGN, contact_id)
    if position % 4 == 0:
        await join_smart_list(tx, workspace_id, FOLLOW_UP, contact_id)


async def repoint_samples(tx: Tx, *, webhook_url: str) -> int:
    """Point what still points to a sample receiver of an earlier start to this one; how many outcomes did."""
    rows = [
        row
        for workspace in await list_workspaces(tx)
        for row in await store.all_outcomes(tx, workspace.workspace_id)
        if row.webhook_url != webhook_url and is_receiver_url(row.webhook_url)
    ]
    return sum([await _repointed(tx, row, webhook_url) for row in rows])


async def _repointed(tx: Tx, row: OutcomeRow, webhook_url: str) -> bool:
    definition = OutcomeDefinition(
        name=row.outcome_name,
        type=OutcomeType(row.outcome_type),
        order=row.display_order,
        destination=destination_of(row),
        webhook_url=webhook_url,
    )
    try:
        await replace_outcome(tx, row.workspace_id, row.outcome_id, definition, if_match=None)
    except DestinationNotFound:
        return False  # its list was deleted by force: nobody may save it as it is, not even we
    return True


def is_receiver_url(url: str | None) -> bool:
    """Whether a webhook URL is that of a sample receiver, at whatever port."""
    return url is not None and _RECEIVER_URL.fullmatch(url) is not None
