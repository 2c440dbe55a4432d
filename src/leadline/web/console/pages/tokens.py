"""Tokens of the API: made, shown once, revoked."""

from __future__ import annotations

from leadline.domain.access import Permission, Scope, parse_scopes
from leadline.domain.errors import NotFound, Problem
from leadline.domain.limits import NAME_CHARACTERS_MAX
from leadline.domain.text import name_problem
from leadline.operations import workspaces
from leadline.store.database import Tx
from leadline.store.workspaces import TokenRow
from leadline.web.console.forms import invalid
from leadline.web.console.table import Flash, Gone, Reply, Shown, Visit, act, show

_PATH = "/settings/tokens"
_DAY_MS = 86_400_000
_DAYS = ("7", "30", "90", "365", "")
_NOUNS = {
    "outcomes": "Outcomes",
    "lists": "Smart Lists and members",
    "contacts": "Contacts",
    "calls": "Calls, agents, events, reports",
    "deliveries": "Deliveries, endpoints, secret",
    "workspace": "Workspace settings",
}


async def _show(tx: Tx, visit: Visit) -> Reply:
    return await _page(tx, visit)


async def _page(tx: Tx, visit: Visit, *, made: workspaces.NewToken | None = None) -> Shown:
    rows = await workspaces.list_tokens(tx, visit.workspace_id)
    rows.sort(key=lambda row: row.created_at, reverse=True)
    scopes = [
        (noun, label, [each for each in Scope if each.startswith(f"{noun}:")])
        for noun, label in _NOUNS.items()
    ]
    values = {
        "tokens": [(row, _state(row, tx.now_ms)) for row in rows],
        "scopes": scopes,
        "all_scopes": len(Scope),
        "made": made,
    }
    return Shown("tokens.html", values)


def _state(row: TokenRow, now_ms: int) -> str:
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= now_ms else "active"


async def _create(tx: Tx, visit: Visit) -> Reply:
    """The token is on this one page and nowhere else: it is not kept, and a reload does not show it again."""
    form = visit.form
    name, days = form.text("name"), form.text("days")
    problems = []
    if wrong := name_problem(name, NAME_CHARACTERS_MAX):
        problems.append(Problem("name", wrong))
    chosen = [each for each in form.texts("scopes") if each in (*Scope, "all")]
    if not chosen:
        problems.append(Problem("scopes", "choose at least one"))
    if days not in _DAYS:
        problems.append(Problem("days", "is none of the choices"))
    if problems:
        raise invalid(*problems)
    made = await workspaces.create_token(
        tx,
        visit.workspace_id,
        parse_scopes(chosen),
        name=name,
        expires_at=tx.now_ms + int(days) * _DAY_MS if days else None,
    )
    return await _page(tx, visit, made=made)


async def _revoke(tx: Tx, visit: Visit) -> Reply:
    if not await workspaces.revoke_token_of(tx, visit.workspace_id, visit.parameters["token_id"]):
        raise NotFound("There is no such token, or it was revoked before.")
    return Gone(_PATH, Flash("The token was revoked. Within a second it works nowhere."))


PAGES = (
    show(_PATH, Permission.TOKENS, _show),
    act(_PATH, Permission.TOKENS, _create, again=_show),
    act(f"{_PATH}/{{token_id}}/revoke", Permission.TOKENS, _revoke),
)
