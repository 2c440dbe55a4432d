"""`leadline simulate`: an agent's calls, played over HTTP against a running server.

It uses nothing but the public API, in the order in which a phone system and an agent's screen would.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from leadline.cli.connecting import connect
from leadline.cli.failures import Failed, UsageError
from leadline.cli.printing import style
from leadline.client import Client, errors
from leadline.client.models import Applied, Call, Delivery, Outcome
from leadline.clock import monotonic_seconds
from leadline.settings import Settings

CALLS_MAX = 1000
PAUSE_SECONDS = 0.5
DELIVERY_WAIT_SECONDS = 3.0
DELIVERY_POLL_SECONDS = 0.05
NOTES = ("Asked for a call next week.", None, "Wants the annual plan.", None, "Prefers e-mail.")
# Numbers of fiction, for a workspace that has no contacts.
NUMBERS = tuple(f"+155555501{position:02}" for position in range(1, 13))


@dataclass(frozen=True, slots=True)
class Play:
    """What was asked for on the command line. Raises UsageError when it cannot be played."""

    url: str | None
    token: str | None
    calls: int
    agent_id: str
    speed: float

    def __post_init__(self) -> None:
        if not 1 <= self.calls <= CALLS_MAX:
            raise UsageError(f"--calls must be 1-{CALLS_MAX}")
        if not 0 < self.speed < float("inf"):
            raise UsageError("--speed must be above 0")
        if not 1 <= len(self.agent_id) <= 128:
            raise UsageError("--agent must be 1-128 characters")


def simulate(settings: Settings, play: Play) -> None:
    """Play the calls and print what happens, line by line. Raises Failed, UsageError, LeadlineError."""
    with connect(play.url, play.token, settings) as client:
        Simulation(client, play).run()


class Simulation:
    """One run. Keeps what it needs to speak in names, and what it counts for the last line."""

    def __init__(self, client: Client, play: Play) -> None:
        self._client = client
        self._play = play
        self._pause_seconds = PAUSE_SECONDS / play.speed
        self._lists: Mapping[str, str] = {}
        self._applied = 0
        self._arrived = 0
        self._deliveries = 0

    def run(self) -> None:
        """Every call, one after the other."""
        actions, dispositions = self._outcomes()
        self._lists = {
            each.smart_list_id: each.smart_list_name for each in self._client.list_smart_lists(limit=200)
        }
        self._clear_desk(dispositions)
        whom = itertools.cycle(self._whom())
        for number in range(self._play.calls):
            self._call(number, next(whom), actions, dispositions)
        print(
            f"{self._play.calls} calls, {self._applied} outcomes applied,"
            f" {self._arrived} of {self._deliveries} webhooks answered with 2xx so far."
        )

    def _outcomes(self) -> tuple[Sequence[Outcome], Sequence[Outcome]]:
        outcomes = self._client.list_outcomes().outcomes
        actions = [each for each in outcomes if each.outcome_type == "action"]
        if not actions:
            raise Failed(
                "the workspace has no action to apply: create one, or use a fresh `serve --dev` database"
            )
        return actions, [each for each in outcomes if each.outcome_type == "disposition"]

    def _whom(self) -> Sequence[tuple[dict[str, str], str]]:
        """Whom to call, as the call's fields, and how to name them; the oldest contacts first."""
        known = [
            ({"contact_id": each.contact_id}, f"{each.name or 'somebody'} {each.phone_number}")
            for each in reversed(self._client.list_contacts(limit=200).items)
        ]
        return known or [({"phone_number": number}, number) for number in NUMBERS]

    def _clear_desk(self, dispositions: Sequence[Outcome]) -> None:
        """End what an interrupted run left behind, or the first call would be refused."""
        try:
            agent = self._client.get_agent(self._play.agent_id)
        except errors.NotFound:
            return
        pending = list(agent.pending)
        if agent.call_id is not None:
            call = self._client.end_call(agent.call_id)
            pending += [call.call_id] if call.disposition_required else []
        for call_id in pending:
            print(f"{self._play.agent_id} has a call from before that waits for its disposition:")
            self._dispose(call_id, dispositions[0])

    def _call(
        self,
        number: int,
        whom: tuple[dict[str, str], str],
        actions: Sequence[Outcome],
        dispositions: Sequence[Outcome],
    ) -> None:
        fields, name = whom
        print(style(f"Call {number + 1}: {self._play.agent_id} calls {name}", "bold"), flush=True)
        call_id = self._start(fields).call_id
        self._line("live", style(call_id, "dim"))
        deliveries = [self._apply(call_id, each, number) for each in _chosen(actions, number)]
        call = self._client.end_call(call_id)
        self._line("end", f"{call.line_result}, now {call.state}")
        if call.disposition_required:
            self._try_next_call(fields)
            deliveries.append(self._dispose(call_id, dispositions[number % len(dispositions)]))
        for delivery_id in filter(None, deliveries):
            self._watch(delivery_id)
        print(flush=True)

    def _start(self, fields: Mapping[str, str]) -> Call:
        return self._client.start_call(
            contact_id=fields.get("contact_id"),
            phone_number=fields.get("phone_number"),
            agent_id=self._play.agent_id,
        )

    def _try_next_call(self, fields: Mapping[str, str]) -> None:
        """What the wrap-up is for: the agent may not go on before the call has its disposition."""
        try:
            call = self._start(fields)
        except errors.DispositionRequired as refused:
            self._line("next call?", style(f"{refused.status} {refused.code}: not yet", "yellow"))
            return
        self._client.end_call(call.call_id, line_result="canceled")
        raise Failed("a second call was let through although a disposition is pending")

    def _apply(self, call_id: str, outcome: Outcome, number: int) -> str | None:
        note = NOTES[number % len(NOTES)]
        done = self._client.apply_outcome(call_id, outcome_id=outcome.outcome_id, note=note)
        return self._tell_applied(done.applied)

    def _dispose(self, call_id: str, outcome: Outcome) -> str | None:
        done = self._client.apply_outcome(call_id, outcome_id=outcome.outcome_id)
        delivery_id = self._tell_applied(done.applied)
        self._line("call", f"now {done.call.state}")
        return delivery_id

    def _tell_applied(self, applied: Applied) -> str | None:
        self._applied += 1
        name = f"{applied.outcome_name:<18}"
        self._line(applied.outcome_type, f"{style(name, 'cyan')} {self._moves(applied)}".rstrip())
        return applied.delivery_id

    def _moves(self, applied: Applied) -> str:
        moves = [f"+ {self._list_name(each)}" for each in applied.destination.lists_added]
        moves += [f"- {self._list_name(each)}" for each in applied.destination.lists_removed]
        if applied.error_message:
            moves.append(style(applied.error_message, "red"))
        return "  ".join(moves) or "(no list changes)"

    def _list_name(self, smart_list_id: str) -> str:
        return self._lists.get(smart_list_id, smart_list_id)

    def _watch(self, delivery_id: str) -> None:
        """Say how the first attempt of a delivery went; a slow one is left to the server."""
        self._deliveries += 1
        deadline = monotonic_seconds() + DELIVERY_WAIT_SECONDS
        while True:
            delivery = self._client.get_delivery(delivery_id)
            if delivery.state != "pending" or delivery.attempts or monotonic_seconds() > deadline:
                break
            time.sleep(DELIVERY_POLL_SECONDS)
        self._arrived += delivery.state == "succeeded"
        self._line("webhook", _told(delivery), pause=False)

    def _line(self, label: str, text: str, *, pause: bool = True) -> None:
        print(f"  {label:<12} {text}", flush=True)
        if pause:
            time.sleep(self._pause_seconds)


def _chosen(actions: Sequence[Outcome], number: int) -> Iterator[Outcome]:
    """One action for each call in turn, and on every second call the next one too, unless it ends all contact."""
    first, second = actions[number % len(actions)], actions[(number + 1) % len(actions)]
    yield first
    if number % 2 and len(actions) > 1 and first.destination_type != "remove_from_smart_list":
        yield second


def _told(delivery: Delivery) -> str:
    """A delivery's state and the answer of its last attempt."""
    if not delivery.attempts:
        return f"{delivery.state}, not attempted yet, to {delivery.webhook_url}"
    last = delivery.attempts[-1]
    answer = str(last.status) if last.status is not None else str(last.error)
    told = f"{delivery.state}, {answer} in {last.duration_ms} ms from {delivery.webhook_url}"
    if delivery.next_attempt_at:
        told += f", next attempt at {delivery.next_attempt_at}"
    return style(told, "green" if delivery.state == "succeeded" else "yellow")
