"""Outcomes: what agents may apply, in which order, and what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from leadline.domain.access import Permission
from leadline.domain.errors import (
    FeatureDisabled,
    OutcomeNotFound,
    PreconditionFailed,
    Problem,
)
from leadline.domain.limits import INT32_MAX, OUTCOME_NAME_CHARACTERS_MAX, WEBHOOK_URL_CHARACTERS_MAX
from leadline.domain.outcome_order import order_behind
from leadline.domain.outcomes import DestinationType, OutcomeDefinition, OutcomeType, definition_from
from leadline.domain.webhook_urls import url_problems
from leadline.ids import parse_id
from leadline.operations import outcomes
from leadline.operations.outcome_setup import (
    OutcomeSetup,
    SetOutcome,
    find_test,
    load_outcome_setup,
    test_outcome_webhook,
)
from leadline.operations.outcome_templates import TEMPLATES, use_template
from leadline.operations.reorder_outcomes import move_outcome, reorder_outcomes
from leadline.store.database import Tx
from leadline.web.api.outcomes import outcome_rules
from leadline.web.console.forms import checked, invalid
from leadline.web.console.table import Data, Flash, Gone, Reply, Shown, Visit, act, show
from leadline.wire.deliveries import Delivery
from leadline.wire.outcomes import Outcome, OutcomeBody

_PATH = "/outcomes"
_ONE = f"{_PATH}/{{outcome_id}}"
KEYS = "1234567890"
TYPES = (
    (OutcomeType.ACTION, "Action", "A button during the call. Its webhook is called at once."),
    (OutcomeType.DISPOSITION, "Disposition", "Chosen after the call, one of them, to say what it achieved."),
)
DESTINATIONS = (
    (DestinationType.NONE, "Stays where it is", ""),
    (DestinationType.SMART_LIST, "Joins a Smart List", ""),
    (DestinationType.REMOVE, "Leaves Smart Lists", ""),
)
_LABELS = {
    "outcome_name": "Name",
    "outcome_type": "Type",
    "destination": "The contact",
    "webhook_url": "Webhook",
    "order": "Order",
}
_DESCRIBED_LISTS_MAX = 3


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that an outcome does besides being written down, and the lists, (id, name), that it does it to.

    `more` are further lists, `gone` says that a list is no longer there.
    """

    text: str
    lists: Sequence[tuple[str, str]] = ()
    more: int = 0
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """A field in which what is stored and what was typed differ."""

    label: str
    stored: str
    typed: str


async def _show(tx: Tx, visit: Visit) -> Reply:
    setup = await load_outcome_setup(tx, visit.workspace_id)
    columns = (
        (OutcomeType.ACTION, "Actions", "During the call, in this order", setup.actions),
        (OutcomeType.DISPOSITION, "Dispositions", "After the call, one of them", setup.dispositions),
    )
    values = {
        "setup": setup,
        "columns": columns,
        "effects_of": lambda outcome: effects_of(outcome, setup.list_names),
        "host_of": host_of,
        "keys": KEYS,
        "templates": TEMPLATES,
    }
    return Shown("outcomes.html", values)


def effects_of(outcome: Outcome, list_names: Mapping[str, str]) -> list[Effect]:
    """Where an outcome sends the contact: `→ Follow up`, `removes from all lists`."""
    destination = outcome.destination
    match destination.destination_type:
        case "smart_list":
            return [_joins(str(destination.destination_id), list_names)]
        case "remove_from_smart_list":
            removal = destination.remove_from_smart_lists
            assert removal is not msgspec.UNSET  # of this type there is one
            if removal.all is True:
                return [Effect("removes from all lists")]
            return _leaves([] if removal.list_ids is msgspec.UNSET else removal.list_ids, list_names)
        case _:
            return []


def _joins(smart_list_id: str, list_names: Mapping[str, str]) -> Effect:
    if smart_list_id in list_names:
        return Effect("→", [(smart_list_id, list_names[smart_list_id])])
    return Effect("→ a list that is gone", gone=True)


def _leaves(smart_list_ids: Sequence[str], list_names: Mapping[str, str]) -> list[Effect]:
    there = [(each, list_names[each]) for each in smart_list_ids if each in list_names]
    gone = len(smart_list_ids) - len(there)
    more = max(len(there) - _DESCRIBED_LISTS_MAX, 0)
    found = [Effect("removes from", there[:_DESCRIBED_LISTS_MAX], more)] if there else []
    if gone:
        found.append(Effect(f"removes from {gone} list{'' if gone == 1 else 's'} no longer there", gone=True))
    return found


def host_of(url: str) -> str:
    """The host that a webhook URL names."""
    return urlsplit(url).hostname or url


async def _reorder(tx: Tx, visit: Visit) -> Reply:
    _require_switched_on(visit)
    form = visit.form
    if form.text("outcome_type") not in tuple(OutcomeType):
        raise invalid(Problem("outcome_type", "is unknown"))
    outcome_type = OutcomeType(form.text("outcome_type"))
    changed = await reorder_outcomes(tx, visit.workspace_id, outcome_type, form.texts("outcome_ids"))
    return Data({"changed": changed})


async def _move(tx: Tx, visit: Visit) -> Reply:
    _require_switched_on(visit)
    places = {"up": -1, "down": 1}.get(visit.form.text("direction"), 0)
    row = await move_outcome(tx, visit.workspace_id, visit.parameters["outcome_id"], places=places)
    return Gone(f"{_PATH}#outcome-{row.outcome_id}", Flash(f"“{row.outcome_name}” was moved."))


async def _new(tx: Tx, visit: Visit) -> Reply:
    setup = await load_outcome_setup(tx, visit.workspace_id)
    return _editor(visit, setup, None)


async def _edit(tx: Tx, visit: Visit) -> Reply:
    """Also the page on which a refused change is shown, with what was typed; even when the outcome is gone."""
    setup = await load_outcome_setup(tx, visit.workspace_id)
    edited = setup.find(visit.parameters["outcome_id"])
    if edited is None and visit.refusal is None:
        raise OutcomeNotFound
    test_id = parse_id(visit.query.text("test"))
    test = None
    if edited is not None and test_id is not None:
        test = await find_test(tx, visit.workspace_id, edited.endpoint_id, test_id)
    return _editor(visit, setup, edited, test=test)


def _editor(
    visit: Visit, setup: OutcomeSetup, edited: SetOutcome | None, *, test: Delivery | None = None
) -> Shown:
    values = _stored(edited, visit, setup)
    chosen_type = visit.value("outcome_type", values["outcome_type"])
    outcome_id = None if edited is None else edited.outcome.outcome_id
    place = setup.place_of(outcome_id, chosen_type)
    conflict = isinstance(visit.refusal, PreconditionFailed) and edited is not None
    return Shown(
        "outcome.html",
        {
            "edited": edited,
            "stored": values,
            "types": TYPES,
            "destinations": DESTINATIONS,
            "lists": _choices(setup.list_names, values),
            "preview_key": KEYS[place] if place < len(KEYS) else "",
            "places": {each: setup.place_of(outcome_id, each) for each in OutcomeType},
            "differences": _differences(visit, values, setup.list_names) if conflict else None,
            "test": test,
            "name_max": OUTCOME_NAME_CHARACTERS_MAX,
            "url_max": WEBHOOK_URL_CHARACTERS_MAX,
            "host_of": host_of,
        },
    )


def _stored(edited: SetOutcome | None, visit: Visit, setup: OutcomeSetup) -> dict[str, Any]:
    """What the form shows when nothing was typed yet: the outcome as it is, or the beginnings of a new one."""
    if edited is None:
        asked = visit.query.text("type")
        return {
            "outcome_name": "",
            "outcome_type": asked if asked in tuple(OutcomeType) else OutcomeType.ACTION,
            "order": order_behind(setup.orders, INT32_MAX),
            "destination_type": DestinationType.NONE,
            "destination_id": "",
            "remove_scope": "all",
            "list_ids": [],
            "webhook_url": "",
        }
    outcome, destination = edited.outcome, edited.outcome.destination
    removal = destination.remove_from_smart_lists or None
    list_ids = [] if removal is None or removal.list_ids is msgspec.UNSET else list(removal.list_ids)
    return {
        "outcome_name": outcome.outcome_name,
        "outcome_type": outcome.outcome_type,
        "order": outcome.order,
        "destination_type": outcome.destination_type,
        "destination_id": destination.destination_id or "",
        "remove_scope": "some" if list_ids else "all",
        "list_ids": list_ids,
        "webhook_url": outcome.webhook_url or "",
    }


def _choices(list_names: Mapping[str, str], stored: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every list by name; those that the outcome points to and that are gone come first."""
    pointed = [each for each in (stored["destination_id"], *stored["list_ids"]) if each]
    gone = [(each, f"(deleted list {each[:8]})") for each in dict.fromkeys(pointed) if each not in list_names]
    return gone + sorted(list_names.items(), key=lambda each: each[1].casefold())


def _differences(visit: Visit, stored: Mapping[str, Any], names: Mapping[str, str]) -> list[Difference]:
    typed = {name: visit.form.text(name) for name in stored} | {"list_ids": visit.form.texts("list_ids")}
    left, right = _described(stored, names), _described(typed, names)
    return [
        Difference(_LABELS[name], left[name], right[name]) for name in _LABELS if left[name] != right[name]
    ]


def _described(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """The fields of the form in words."""
    return {
        "outcome_name": str(fields["outcome_name"]),
        "outcome_type": str(fields["outcome_type"]).capitalize(),
        "destination": _destination_in_words(fields, names),
        "webhook_url": str(fields["webhook_url"]) or "None",
        "order": str(fields["order"]),
    }


def _destination_in_words(fields: Mapping[str, Any], names: Mapping[str, str]) -> str:
    match fields["destination_type"]:
        case DestinationType.SMART_LIST:
            return f"Joins {names.get(fields['destination_id'], 'a list that is gone')}"
        case DestinationType.REMOVE if fields["remove_scope"] == "all":
            return "Leaves all lists"
        case DestinationType.REMOVE:
            found = [names.get(each, "a list that is gone") for each in fields["list_ids"]]
            more = len(found) - _DESCRIBED_LISTS_MAX
            shown = ", ".join(found[:_DESCRIBED_LISTS_MAX]) + (f" and {more} more" if more > 0 else "")
            return f"Leaves {shown or 'no list'}"
        case _:
            return "Stays where it is"


def _definition(visit: Visit) -> OutcomeDefinition:
    """What was typed, by the rules of the API. Raises InvalidRequest with every problem."""
    form = visit.form
    kind = form.text("destination_type")
    removal: dict[str, Any] = {"list_ids": list(dict.fromkeys(form.texts("list_ids")))}
    if form.text("remove_scope") != "some":
        removal = {"all": True}
    sent = {
        "outcome_name": form.text("outcome_name"),
        "outcome_type": form.text("outcome_type"),
        "order": form.integer("order"),
        "destination_type": kind or None,
        "destination_id": form.optional("destination_id") if kind == DestinationType.SMART_LIST else None,
        "remove_from_smart_lists": removal if kind == DestinationType.REMOVE else None,
        "webhook_url": form.optional("webhook_url"),
    }
    body = checked(OutcomeBody, sent, rules=outcome_rules, principal=visit.principal, context=visit.context)
    return definition_from(msgspec.structs.asdict(body))


async def _create(tx: Tx, visit: Visit) -> Reply:
    _require_switched_on(visit)
    answer, _ = await outcomes.define_outcome(tx, visit.workspace_id, _definition(visit))
    return _saved(answer.outcome, "was added")


async def _save(tx: Tx, visit: Visit) -> Reply:
    _require_switched_on(visit)
    outcome_id = visit.parameters["outcome_id"]
    answer, _ = await outcomes.replace_outcome(
        tx, visit.workspace_id, outcome_id, _definition(visit), if_match=visit.form.text("if_match")
    )
    return _saved(answer.outcome, "was saved")


def _saved(outcome: Outcome, what: str) -> Gone:
    return Gone(f"{_PATH}#outcome-{outcome.outcome_id}", Flash(f"“{outcome.outcome_name}” {what}."))


async def _ask_deletion(tx: Tx, visit: Visit) -> Reply:
    setup = await load_outcome_setup(tx, visit.workspace_id)
    found = setup.find(visit.parameters["outcome_id"])
    if found is None:
        raise OutcomeNotFound
    is_disposition = found.outcome.outcome_type == "disposition"
    values = {
        "deleted": found,
        "is_last_disposition": is_disposition and len(setup.dispositions) == 1,
        "asks_for_dispositions": setup.require_disposition != "never",
    }
    return Shown("outcome-delete.html", values)


async def _delete(tx: Tx, visit: Visit) -> Reply:
    _require_switched_on(visit)
    answer = await outcomes.delete_outcome(
        tx, visit.workspace_id, visit.parameters["outcome_id"], if_match=visit.form.text("if_match")
    )
    asked = "" if answer.disposition_popup_enabled else " Agents are no longer asked how a call ended."
    return Gone(_PATH, Flash(f"The outcome was deleted.{asked}"))


async def _test(tx: Tx, visit: Visit) -> Reply:
    outcome_id = visit.parameters["outcome_id"]
    delivery_id = await test_outcome_webhook(tx, visit.workspace_id, outcome_id)
    return Gone(f"{_PATH}/{outcome_id}?test={delivery_id}")


async def _begin(tx: Tx, visit: Visit) -> Reply:
    """Lists and outcomes of a template."""
    _require_switched_on(visit)
    url = visit.form.text("webhook_url")
    rules = visit.context.url_rules
    wrong = url_problems(url, policy=rules.policy, require_https=rules.require_https)
    if not url:
        wrong = ["is where the actions are sent"]
    if wrong:
        raise invalid(*(Problem("webhook_url", each) for each in wrong))
    made = await use_template(tx, visit.workspace_id, visit.form.text("template"), webhook_url=url)
    return Gone(_PATH, Flash(f"The outcomes for {made.name.lower()} are there. Change them as you like."))


def _require_switched_on(visit: Visit) -> None:
    """As the API: switched off, outcomes are neither applied nor changed."""
    if not visit.user.outcomes_enabled:
        raise FeatureDisabled


PAGES = (
    show(_PATH, Permission.OUTCOMES, _show),
    act(_PATH, Permission.OUTCOMES, _create, again=_new),
    show(f"{_PATH}/new", Permission.OUTCOMES, _new),
    act(f"{_PATH}/order", Permission.OUTCOMES, _reorder),
    act(f"{_PATH}/template", Permission.OUTCOMES, _begin, again=_show),
    show(_ONE, Permission.OUTCOMES, _edit),
    act(_ONE, Permission.OUTCOMES, _save, again=_edit),
    act(f"{_ONE}/move", Permission.OUTCOMES, _move),
    act(f"{_ONE}/test", Permission.OUTCOMES, _test),
    show(f"{_ONE}/delete", Permission.OUTCOMES, _ask_deletion),
    act(f"{_ONE}/delete", Permission.OUTCOMES, _delete, again=_ask_deletion),
)
