"""Contacts: looked up, made, changed, put on lists, erased; and what happened with them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from leadline.domain.access import Permission
from leadline.domain.contacts import normalised_number
from leadline.domain.errors import ContactExists, Problem
from leadline.domain.limits import (
    ATTRIBUTE_KEY_CHARACTERS_MAX,
    ATTRIBUTE_TEXT_CHARACTERS_MAX,
    EXTERNAL_ID_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    SEARCH_CHARACTERS_MAX,
)
from leadline.domain.paging import page_request
from leadline.ids import NIL_ID, parse_id
from leadline.operations import contacts, smart_lists
from leadline.operations.list_overview import list_options, outcomes_behind
from leadline.store.database import Tx
from leadline.web.api.contacts import contact_rules
from leadline.web.console.forms import checked, invalid
from leadline.web.console.pages.desk import LINE_RESULTS
from leadline.web.console.table import Flash, Gone, Reply, Shown, Visit, act, show
from leadline.wire.contacts import AttributeValue, Contact, ContactBody

_PATH = "/contacts"
_ONE = f"{_PATH}/{{contact_id}}"
EMPTY_ROWS = 2
KINDS = (("text", "Text"), ("number", "Number"), ("yes_no", "Yes or no"))
_NUMBER_LIKE = re.compile(r"[\d\s().+-]{3,}")
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0")
# Digits of a number as somebody dials it: fewer are a part of one.
_WHOLE_NUMBER_DIGITS = 10


class AttributeRow(NamedTuple):
    """One line of the attributes' editor, as text; `wrong` is what is the matter with it."""

    key: str
    kind: str
    value: str
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What was typed into the attributes' editor."""

    rows: Sequence[AttributeRow]
    values: Mapping[str, AttributeValue]

    @property
    def problems(self) -> list[Problem]:
        return [
            Problem("attributes", f"{row.key[:40] or 'a line'}: {row.wrong}")
            for row in self.rows
            if row.wrong
        ]


def search_filters(visit: Visit, text: str) -> dict[str, str | None]:
    """What somebody looks for: a whole number in any form, else a part of a name, a number or an external id."""
    text = text[:SEARCH_CHARACTERS_MAX]
    if not text:
        return {"phone_number": None, "q": None}
    digits = re.sub(r"\D", "", text)
    if _NUMBER_LIKE.fullmatch(text):
        is_whole = text.startswith("+") or len(digits) >= _WHOLE_NUMBER_DIGITS
        if is_whole and normalised_number(text, visit.user.region) is not None:
            return {"phone_number": text, "q": None}
        return {"phone_number": None, "q": digits or text}
    return {"phone_number": None, "q": text}


async def found_contacts(tx: Tx, visit: Visit, text: str, found_max: int) -> list[Contact]:
    """The first contacts that fit; none for no text."""
    if not text:
        return []
    page = page_request(found_max, None)
    filters = search_filters(visit, text)
    answer = await contacts.list_contacts(tx, visit.workspace_id, page, smart_list_id=None, **filters)
    return answer.contacts


async def _show(tx: Tx, visit: Visit) -> Reply:
    query = visit.query
    asked = query.text("smart_list_id")
    smart_list_id = (parse_id(asked) or NIL_ID) if asked else None
    filters = search_filters(visit, query.text("q"))
    answer = await contacts.list_contacts(
        tx, visit.workspace_id, visit.page(), smart_list_id=smart_list_id, **filters
    )
    values = {
        "contacts": answer.contacts,
        "next_cursor": answer.next_cursor,
        "list_options": [("", "All lists"), *await list_options(tx, visit.workspace_id)],
        "filtered": bool(query.text("q") or smart_list_id),
    }
    return Shown("contacts.html", values)


async def _look(tx: Tx, visit: Visit) -> Reply:
    contact_id = visit.parameters["contact_id"]
    answer = await contacts.get_contact(tx, visit.workspace_id, contact_id)
    history = await contacts.contact_history(tx, visit.workspace_id, contact_id, visit.page())
    moved_by = [
        each.list_move.applied_id for each in history.history if each.type == "list_move" and each.list_move
    ]
    options = await list_options(tx, visit.workspace_id)
    on = {each.smart_list_id for each in answer.contact.smart_lists}
    values = {
        "contact": answer.contact,
        "history": history.history,
        "next_cursor": history.next_cursor,
        "behind": await outcomes_behind(tx, visit.workspace_id, moved_by),
        "list_options": [each for each in options if each[0] not in on],
        "list_names": dict(options),
        "line_results": LINE_RESULTS,
    }
    return Shown("contact.html", values)


async def _new(_tx: Tx, visit: Visit) -> Reply:
    return _form(visit, None)


async def _edit(tx: Tx, visit: Visit) -> Reply:
    answer = await contacts.get_contact(tx, visit.workspace_id, visit.parameters["contact_id"])
    return _form(visit, answer.contact)


def _form(visit: Visit, contact: Contact | None) -> Shown:
    rows = _rows_of(contact.attributes if contact else {})
    if visit.refusal is not None:
        rows = list(_typed_attributes(visit, {}).rows)
    exists = visit.refusal if isinstance(visit.refusal, ContactExists) else None
    values = {
        "contact": contact,
        "rows": [*rows, *[AttributeRow("", "text", "")] * EMPTY_ROWS],
        "kinds": KINDS,
        "taken_by": None if exists is None else exists.pointers.get("contact_id"),
        "limits": {
            "name": NAME_CHARACTERS_MAX,
            "external_id": EXTERNAL_ID_CHARACTERS_MAX,
            "key": ATTRIBUTE_KEY_CHARACTERS_MAX,
            "value": ATTRIBUTE_TEXT_CHARACTERS_MAX,
        },
    }
    return Shown("contact-edit.html", values)


def _rows_of(attributes: Mapping[str, AttributeValue]) -> list[AttributeRow]:
    return [AttributeRow(key, *_as_text(value)) for key, value in attributes.items()]


def _as_text(value: AttributeValue) -> tuple[str, str]:
    if isinstance(value, bool):
        return "yes_no", "yes" if value else "no"
    return ("text", value) if isinstance(value, str) else ("number", json.dumps(value))


def _typed_attributes(visit: Visit, old: Mapping[str, AttributeValue]) -> Attributes:
    """The rows of the form; a line without a name and a value is none."""
    columns = (visit.form.texts(f"attribute_{each}") for each in ("key", "kind", "value"))
    rows: list[AttributeRow] = []
    values: dict[str, AttributeValue] = {}
    for key, kind, raw in zip(*columns, strict=False):
        text = raw.replace("\r\n", "\n")
        if not key and not text:
            continue
        value, wrong = _value(kind, text)
        if not key:
            wrong = "needs a name"
        elif key in values:
            wrong = "is there twice"
        elif not wrong:
            values[key] = _kept(old.get(key), value)
        rows.append(AttributeRow(key, kind, text, wrong))
    return Attributes(rows, values)


def _kept(old: AttributeValue | None, new: AttributeValue) -> AttributeValue:
    """A text that differs only by the white space around it, which forms lose, stays as it was."""
    return old if isinstance(old, str) and isinstance(new, str) and old.strip() == new else new


def _value(kind: str, text: str) -> tuple[AttributeValue, str]:
    """A typed value, and what is wrong with it."""
    match kind:
        case "yes_no":
            lowered = text.casefold()
            return lowered in _YES, "" if lowered in (*_YES, *_NO) else "must be yes or no"
        case "number":
            return _number(text)
        case _:
            return text, ""


def _number(text: str) -> tuple[AttributeValue, str]:
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return text, "must be a number such as 12 or 3.5"
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value in (float("inf"), float("-inf"))
    ):
        return text, "must be a number such as 12 or 3.5"
    return value, ""


def _no_number(text: str) -> float:
    raise ValueError(text)


def _typed(visit: Visit, old: Mapping[str, AttributeValue]) -> ContactBody:
    """What was typed, by the rules of the API. Raises InvalidRequest with every problem."""
    form, attributes = visit.form, _typed_attributes(visit, old)
    sent = {
        "phone_number": form.text("phone_number"),
        "name": form.optional("name"),
        "external_id": form.optional("external_id"),
        "attributes": dict(attributes.values),
    }
    context: dict[str, Any] = {"principal": visit.principal, "context": visit.context}
    if not attributes.problems:
        return checked(ContactBody, sent, rules=contact_rules, **context)
    found = contact_rules(sent, visit.principal, visit.context)
    raise invalid(*found, *attributes.problems)


async def _create(tx: Tx, visit: Visit) -> Reply:
    body = _typed(visit, {})
    answer = await contacts.create_contact(
        tx,
        visit.workspace_id,
        phone_number=body.phone_number,
        name=body.name,
        external_id=body.external_id,
        attributes=body.attributes,
    )
    return Gone(f"{_PATH}/{answer.contact.contact_id}", Flash("The contact is there."))


async def _save(tx: Tx, visit: Visit) -> Reply:
    contact_id = visit.parameters["contact_id"]
    old = (await contacts.get_contact(tx, visit.workspace_id, contact_id)).contact
    body = _typed(visit, old.attributes)
    typed = {
        "phone_number": body.phone_number,
        "name": body.name,
        "external_id": body.external_id,
        "attributes": body.attributes,
    }
    # Only what this form changed: what somebody else changed meanwhile in other fields stays.
    changes = {name: each for name, each in typed.items() if _differs(visit, name, each, getattr(old, name))}
    if changes:
        await contacts.change_contact(tx, visit.workspace_id, contact_id, changes)
    return Gone(f"{_PATH}/{contact_id}", Flash("The contact was saved."))


def _differs(visit: Visit, name: str, typed: Any, now: Any) -> bool:
    """Whether a field was changed in the form, which says how it was when it was opened."""
    if typed == now:
        return False
    if name == "attributes":
        return True
    return visit.form.text(f"was_{name}") != visit.form.text(name) or f"was_{name}" not in visit.form


async def _join(tx: Tx, visit: Visit) -> Reply:
    contact_id, asked = visit.parameters["contact_id"], visit.form.text("smart_list_id")
    if not asked:
        raise invalid(Problem("smart_list_id", "choose a list"))
    await smart_lists.join_smart_list(tx, visit.workspace_id, parse_id(asked) or NIL_ID, contact_id)
    return Gone(f"{_PATH}/{contact_id}", Flash("The contact is on the list."))


async def _leave(tx: Tx, visit: Visit) -> Reply:
    contact_id, asked = visit.parameters["contact_id"], visit.form.text("smart_list_id")
    await smart_lists.leave_smart_list(tx, visit.workspace_id, parse_id(asked) or NIL_ID, contact_id)
    return Gone(f"{_PATH}/{contact_id}", Flash("The contact is off the list."))


async def _ask_erasure(tx: Tx, visit: Visit) -> Reply:
    answer = await contacts.get_contact(tx, visit.workspace_id, visit.parameters["contact_id"])
    return Shown("contact-erase.html", {"contact": answer.contact})


async def _erase(tx: Tx, visit: Visit) -> Reply:
    """Only for who has typed the number: a click is too little for what cannot be undone."""
    contact_id = visit.parameters["contact_id"]
    contact = (await contacts.get_contact(tx, visit.workspace_id, contact_id)).contact
    typed = normalised_number(visit.form.text("confirmation"), visit.user.region)
    if typed != contact.phone_number:
        raise invalid(Problem("confirmation", "is not the number of this contact"))
    await contacts.erase_contact(tx, visit.workspace_id, contact_id)
    return Gone(_PATH, Flash("The contact was erased."))


PAGES = (
    show(_PATH, Permission.CONTACTS, _show, long=True),
    act(_PATH, Permission.CONTACTS, _create, again=_new),
    show(f"{_PATH}/new", Permission.CONTACTS, _new),
    show(_ONE, Permission.CONTACTS, _look),
    act(_ONE, Permission.CONTACTS, _save, again=_edit),
    show(f"{_ONE}/edit", Permission.CONTACTS, _edit),
    act(f"{_ONE}/join", Permission.CONTACTS, _join, again=_look),
    act(f"{_ONE}/leave", Permission.CONTACTS, _leave),
    show(f"{_ONE}/erase", Permission.CONTACTS, _ask_erasure),
    act(f"{_ONE}/erase", Permission.CONTACTS, _erase, again=_ask_erasure, long=True),
)
