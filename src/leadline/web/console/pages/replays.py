"""Replays: many deliveries sent again, with counts that are true at every moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from leadline.domain.access import Permission
from leadline.domain.deliveries import DeliveryState
from leadline.domain.errors import InvalidRequest, Problem, ReplayNotFound
from leadline.ids import parse_id
from leadline.operations import replays, supervision
from leadline.operations.replays import ReplayRequest
from leadline.operations.supervision import REPLAYS_SHOWN
from leadline.store.database import Tx
from leadline.web.console.forms import Form, invalid
from leadline.web.console.pages.choosing import moment
from leadline.web.console.pages.deliveries import choices_for
from leadline.web.console.table import Data, Flash, Gone, Reply, Shown, Visit, act, show

PATH = "/deliveries/replays"
_ONE = f"{PATH}/{{replay_id}}"


async def _list(tx: Tx, visit: Visit) -> Reply:
    found, next_cursor = await supervision.list_replays(tx, visit.workspace_id, visit.page(REPLAYS_SHOWN))
    values = await _naming(tx, visit)
    return Shown("replays.html", values | {"replays": found, "next_cursor": next_cursor})


async def _show(tx: Tx, visit: Visit) -> Reply:
    found = await supervision.show_replay(tx, visit.workspace_id, visit.parameters["replay_id"])
    if found is None:
        raise ReplayNotFound
    return Shown("replay.html", await _naming(tx, visit) | {"replay": found})


async def _naming(tx: Tx, visit: Visit) -> dict[str, Any]:
    choices = await choices_for(tx, visit)
    return choices | {
        "outcome_names": dict(choices["outcome_choices"]),
        "endpoint_urls": dict(choices["endpoint_choices"]),
    }


@dataclass(frozen=True, slots=True)
class _Wanted:
    since_ms: int
    until_ms: int | None
    states: list[str]
    outcome_id: str | None
    endpoint_id: str | None


def _wanted(form: Form) -> _Wanted:
    """Raises InvalidRequest with every problem."""
    problems: list[Problem] = []
    since, until = _moment(form, "since", problems), _moment(form, "until", problems)
    if since is None and not problems:
        problems.append(Problem("since", "is required"))
    if since is not None and until is not None and until <= since:
        problems.append(Problem("until", "must be after the start"))
    states = [each for each in form.texts("states") if each in tuple(DeliveryState)]
    if not states:
        problems.append(Problem("states", "choose at least one"))
    if problems:
        raise invalid(*problems)
    assert since is not None
    return _Wanted(since, until, states, _id(form, "outcome_id"), _id(form, "endpoint_id"))


def _id(form: Form, name: str) -> str | None:
    text = form.optional(name)
    if text is None:
        return None
    wanted = parse_id(text)
    if wanted is None:
        raise invalid(Problem(name, "is not an id"))
    return wanted


def _moment(form: Form, name: str, problems: list[Problem]) -> int | None:
    try:
        return moment(form, name)
    except InvalidRequest as refused:
        problems.extend(refused.details)
        return None


async def _preview(tx: Tx, visit: Visit) -> Reply:
    """How many deliveries it would be about, for the dialog."""
    wanted = _wanted(visit.query)
    counted = await supervision.count_replay(
        tx, visit.workspace_id, since_ms=wanted.since_ms, until_ms=wanted.until_ms, states=wanted.states,
        outcome_id=wanted.outcome_id, endpoint_id=wanted.endpoint_id,
    )  # fmt: skip
    number = f"{'More than ' if counted.more else ''}{counted.count:,}"
    noun = "delivery" if counted.count == 1 and not counted.more else "deliveries"
    return Data({"count": counted.count, "more": counted.more, "text": f"{number} {noun} at this moment."})


async def _start(tx: Tx, visit: Visit) -> Reply:
    wanted = _wanted(visit.form)
    answer = await replays.start_replay(
        tx,
        visit.workspace_id,
        ReplayRequest(
            since_ms=wanted.since_ms, until_ms=wanted.until_ms, states=wanted.states,
            outcome_id=wanted.outcome_id, endpoint_id=wanted.endpoint_id,
        ),
    )  # fmt: skip
    return Gone(f"{PATH}/{answer.replay.replay_id}")


async def _cancel(tx: Tx, visit: Visit) -> Reply:
    replay_id = visit.parameters["replay_id"]
    answer = await replays.cancel_replay(tx, visit.workspace_id, replay_id)
    text = "Stopped. What it has made due is sent all the same."
    if answer.replay.state != "canceled":
        text = "It was done before it could be stopped."
    return Gone(f"{PATH}/{replay_id}", Flash(text, "info"))


PAGES = (
    show(PATH, Permission.DELIVERIES, _list),
    show(f"{PATH}/preview", Permission.DELIVERIES, _preview, scripted=True, long=True),
    show(_ONE, Permission.DELIVERIES, _show),
    act(PATH, Permission.DELIVERIES, _start, again=_list),
    act(f"{_ONE}/cancel", Permission.DELIVERIES, _cancel),
)
