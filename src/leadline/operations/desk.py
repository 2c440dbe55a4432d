"""An agent's desk: his calls as they stand, with whom they are, and what became of each (contract § 7).

Everything is asked with the agent's own id: a call of somebody else is a call that does not exist.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from leadline.domain.calls import CallState, Direction, LineResult
from leadline.domain.contacts import normalised_number
from leadline.domain.errors import CallNotFound, InvalidRequest, Problem
from leadline.domain.limits import OUTCOMES_PER_WORKSPACE_MAX, SEARCH_CHARACTERS_MAX
from leadline.domain.outcomes import OutcomeType
from leadline.domain.paging import START, PageRequest
from leadline.operations import calls, drafts
from leadline.operations.apply_outcome import Application, apply_outcome
from leadline.operations.calls import NewCall
from leadline.operations.contacts import contact_history, get_contact, search_pattern
from leadline.operations.sessions import SignedIn
from leadline.operations.views import applied_view
from leadline.store import calls as calls_store
from leadline.store import contacts, outcomes, smart_lists, workspaces
from leadline.store import desk as store
from leadline.store.contacts import ContactRow
from leadline.store.database import Tx
from leadline.store.desk import LineRow, WebhookRow
from leadline.store.drafts import DraftRow
from leadline.store.outcomes import OutcomeRow
from leadline.wire.calls import Applied, AppliedAnswer, Call
from leadline.wire.contacts import Contact, HistoryEntry

OPEN_LINES_MAX = 50
RECENT_MAX = 8
HISTORY_MAX = 30
FOUND_MAX = 8
# What tells a call that was started here from one that a phone system reports.
TEST_CALL = "desk-test-"


@dataclass(frozen=True, slots=True)
class ShownCall:
    """One call with all that is known around it. `webhooks` are by their delivery's id."""

    line: LineRow
    contact: Contact | None
    applied: Sequence[Applied]
    webhooks: Mapping[str, WebhookRow]
    history: Sequence[HistoryEntry]
    draft: DraftRow | None

    @property
    def is_test(self) -> bool:
        return is_test(self.line)

    @property
    def disposition(self) -> Applied | None:
        return next((each for each in self.applied if each.outcome_type == "disposition"), None)


@dataclass(frozen=True, slots=True)
class WrapUp:
    """The disposition that is asked for: of which call, what was typed so far, and when it closes by itself."""

    line: LineRow
    draft: DraftRow | None
    waiting: int
    closes_at_ms: int | None
    closes_as: str | None


@dataclass(frozen=True, slots=True)
class RecentCall:
    """A closed call and its disposition's name, if it has one."""

    line: LineRow
    disposition: str | None


@dataclass(frozen=True, slots=True)
class Desk:
    """All of it. `wrap_up` waits while a call is live: who talks cannot write."""

    now_ms: int
    shown: ShownCall | None
    lines: Sequence[LineRow]
    wrap_up: WrapUp | None
    outcomes: Sequence[OutcomeRow]
    list_names: Mapping[str, str]
    recent: Sequence[RecentCall] = field(default=())

    @property
    def others(self) -> Sequence[LineRow]:
        """Calls on the line beside the one that is shown."""
        shown = self.shown.line.call_id if self.shown else ""
        return [each for each in self.lines if is_on_line(each) and each.call_id != shown]

    @property
    def pending(self) -> Sequence[LineRow]:
        """Calls that wait for their disposition, oldest first."""
        return [each for each in self.lines if each.state == CallState.WRAP_UP]

    @property
    def actions(self) -> Sequence[OutcomeRow]:
        return [each for each in self.outcomes if each.outcome_type == OutcomeType.ACTION]

    @property
    def dispositions(self) -> Sequence[OutcomeRow]:
        return [each for each in self.outcomes if each.outcome_type == OutcomeType.DISPOSITION]


def is_on_line(line: LineRow) -> bool:
    return line.state in (CallState.RINGING, CallState.LIVE)


def is_test(line: LineRow) -> bool:
    """Whether it was started at a desk, and so is answered and ended there."""
    return (line.external_id or "").startswith(TEST_CALL)


async def load_desk(tx: Tx, user: SignedIn, call_id: str | None = None) -> Desk:
    """The desk of an agent, with one of his calls when it is named. Raises CallNotFound when it is not his."""
    agent_id = _agent_of(user)
    workspace_id = user.workspace_id
    lines = await store.open_lines(tx, workspace_id, agent_id, limit=OPEN_LINES_MAX)
    named = None if call_id is None else await _own_line(tx, user, call_id)
    line = named or _first_to_show(lines)
    return Desk(
        now_ms=tx.now_ms,
        shown=None if line is None else await _shown(tx, user, line),
        lines=lines,
        wrap_up=await _wrap_up(tx, user, lines, named),
        outcomes=await outcomes.all_outcomes(tx, workspace_id),
        list_names=await smart_lists.list_names(tx, workspace_id),
        recent=await _recent(tx, workspace_id, agent_id),
    )


def _agent_of(user: SignedIn) -> str:
    """Who works as no agent has no call."""
    if user.agent_id is None:
        raise CallNotFound
    return user.agent_id


async def _own_line(tx: Tx, user: SignedIn, call_id: str) -> LineRow:
    line = await store.own_line(tx, user.workspace_id, _agent_of(user), call_id)
    if line is None:
        raise CallNotFound
    return line


def _first_to_show(lines: Sequence[LineRow]) -> LineRow | None:
    """Who talks comes first, then who waits for a disposition, then who rings; of several the oldest."""
    for state in (CallState.LIVE, CallState.WRAP_UP, CallState.RINGING):
        for line in lines:
            if line.state == state:
                return line
    return None


async def _shown(tx: Tx, user: SignedIn, line: LineRow) -> ShownCall:
    workspace_id, call_id = user.workspace_id, line.call_id
    rows = (await calls_store.applied_to(tx, workspace_id, [call_id]))[call_id]
    contact = None
    history: Sequence[HistoryEntry] = ()
    if line.contact_id is not None:
        contact = (await get_contact(tx, workspace_id, line.contact_id)).contact
        page = PageRequest(HISTORY_MAX, START)
        answer = await contact_history(tx, workspace_id, line.contact_id, page)
        own = {call_id, *(row.applied_id for row in rows)}
        history = [each for each in answer.history if _is_past(each, own)]
    return ShownCall(
        line=line,
        contact=contact,
        applied=[applied_view(row) for row in rows],
        webhooks=await store.webhooks_of_call(tx, workspace_id, call_id, limit=OUTCOMES_PER_WORKSPACE_MAX),
        history=history,
        draft=None if line.state == CallState.CLOSED else await drafts.find_draft(tx, user, call_id),
    )


def _is_past(entry: HistoryEntry, own: Collection[str | None]) -> bool:
    """What this call did is shown by itself, and a call that somebody else is in is nobody's business yet."""
    if entry.call:
        return entry.call.call_id not in own and entry.call.ended_at is not None
    if entry.applied:
        return entry.applied.applied_id not in own
    return not (entry.list_move and entry.list_move.applied_id in own)


async def _wrap_up(tx: Tx, user: SignedIn, lines: Sequence[LineRow], named: LineRow | None) -> WrapUp | None:
    pending = [each for each in lines if each.state == CallState.WRAP_UP]
    if named is not None and named.state == CallState.WRAP_UP:
        pending = [named, *(each for each in pending if each.call_id != named.call_id)]
    if not pending or any(each.state == CallState.LIVE for each in lines):
        return None
    workspace = await workspaces.get_workspace(tx, user.workspace_id)
    assert workspace is not None  # foreign key
    line = pending[0]
    seconds = workspace.wrap_up_timeout_seconds
    assert line.wrap_up_since is not None  # CHECK wrap_up
    outcome_id = workspace.wrap_up_timeout_outcome_id
    outcome = None
    if outcome_id is not None and seconds is not None:
        outcome = await outcomes.get_outcome(tx, user.workspace_id, outcome_id)
    return WrapUp(
        line=line,
        draft=await drafts.find_draft(tx, user, line.call_id),
        waiting=len(pending) - 1,
        closes_at_ms=None if seconds is None else line.wrap_up_since + seconds * 1000,
        closes_as=outcome.outcome_name if outcome else None,
    )


async def _recent(tx: Tx, workspace_id: str, agent_id: str) -> list[RecentCall]:
    lines = await store.recent_lines(tx, workspace_id, agent_id, limit=RECENT_MAX)
    found = await calls_store.dispositions_of(tx, workspace_id, [line.call_id for line in lines])
    return [
        RecentCall(line, found[line.call_id].outcome_name if line.call_id in found else None)
        for line in lines
    ]


@dataclass(frozen=True, slots=True)
class TestCall:
    """A call that no phone system makes. `whom` is a number, or part of a name; `key` makes sending twice once."""

    __test__ = False

    whom: str
    contact_id: str | None
    direction: Direction
    rings: bool
    key: str


async def start_test_call(tx: Tx, user: SignedIn, wanted: TestCall) -> Call:
    """Begin it for the user's own agent.

    Raises InvalidRequest when `whom` is nobody or several, DispositionRequired as any outbound call does.
    """
    number, contact_id = await _whom(tx, user, wanted)
    new = NewCall(
        phone_number=number,
        contact_id=contact_id,
        agent_id=_agent_of(user),
        direction=wanted.direction.value,
        external_id=f"{TEST_CALL}{wanted.key}",
        state=CallState.RINGING if wanted.rings else CallState.LIVE,
        started_at_ms=None,
    )
    answer, _ = await calls.start_call(tx, user.workspace_id, new)
    return answer.call


async def _whom(tx: Tx, user: SignedIn, wanted: TestCall) -> tuple[str | None, str | None]:
    """(number, None) or (None, contact_id)."""
    if wanted.contact_id is not None:
        return None, wanted.contact_id
    number = normalised_number(wanted.whom, user.region)
    if number is not None:
        return number, None
    found = await find_contacts(tx, user, wanted.whom)
    if len(found) == 1:
        return None, found[0].contact_id
    wrong = "fits several contacts: choose one" if found else "is neither a phone number nor a contact's name"
    raise InvalidRequest("Whom do you want to call?", details=[Problem("whom", wrong)])


async def find_contacts(tx: Tx, user: SignedIn, text: str) -> list[ContactRow]:
    """The first that fit a number or a part of a name; nobody fits nothing."""
    text = text.strip()[:SEARCH_CHARACTERS_MAX]
    if not text:
        return []
    number = normalised_number(text, user.region)
    filters = {"phone_number": number} if number else {"q": search_pattern(text)}
    return (await contacts.page_of_contacts(tx, user.workspace_id, PageRequest(FOUND_MAX, START), filters))[
        :FOUND_MAX
    ]


async def answer_own_call(tx: Tx, user: SignedIn, call_id: str) -> Call:
    """The line is up. Raises CallNotFound, CallNotLive."""
    await _own_line(tx, user, call_id)
    return (await calls.answer_call(tx, user.workspace_id, call_id)).call


async def end_own_call(tx: Tx, user: SignedIn, call_id: str, line_result: LineResult | None) -> Call:
    """The line is down. Raises CallNotFound."""
    await _own_line(tx, user, call_id)
    answer = await calls.end_call(tx, user.workspace_id, call_id, line_result=line_result, ended_at_ms=None)
    return answer.call


async def apply_to_own_call(tx: Tx, user: SignedIn, application: Application) -> tuple[AppliedAnswer, bool]:
    """As `apply_outcome`, on a call of the user's own; what was typed has been saved with it, and is no draft."""
    line = await _own_line(tx, user, application.call_id)
    answer, is_new = await apply_outcome(tx, user.workspace_id, application)
    if is_new:
        await drafts.forget_drafts(tx, user.workspace_id, line.call_id)
    return answer, is_new


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a call. `timed_out`: nobody said how it ended in time."""

    line: LineRow
    disposition: Applied | None
    timed_out: bool


async def fate_of(tx: Tx, user: SignedIn, call_id: str) -> Fate:
    """How a call of the user's own came out of wrap-up. Raises CallNotFound."""
    line = await _own_line(tx, user, call_id)
    rows = (await calls_store.applied_to(tx, user.workspace_id, [call_id]))[call_id]
    applied = next((row for row in rows if row.outcome_type == OutcomeType.DISPOSITION), None)
    workspace = await workspaces.get_workspace(tx, user.workspace_id)
    assert workspace is not None  # foreign key
    seconds = workspace.wrap_up_timeout_seconds
    waited_ms = 0 if line.closed_at is None or line.ended_at is None else line.closed_at - line.ended_at
    in_time = seconds is None or waited_ms < seconds * 1000
    by_itself = applied is None or applied.outcome_id == workspace.wrap_up_timeout_outcome_id
    return Fate(
        line=line,
        disposition=None if applied is None else applied_view(applied),
        timed_out=line.state == CallState.CLOSED and by_itself and not in_time,
    )
