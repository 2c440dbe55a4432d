"""The workspace's settings."""

from __future__ import annotations

from leadline.domain.access import Permission
from leadline.domain.contacts import regions
from leadline.operations import outcomes, workspaces
from leadline.store.database import Tx
from leadline.web.api.workspaces import changes_of, workspace_rules
from leadline.web.console.forms import checked
from leadline.web.console.table import Flash, Gone, Reply, Shown, Visit, act, show
from leadline.wire.workspaces import WorkspaceChange

_PATH = "/settings/workspace"


async def _show(tx: Tx, visit: Visit) -> Reply:
    answer = await workspaces.get_workspace(tx, visit.workspace_id)
    listed = await outcomes.list_outcomes(tx, visit.workspace_id)
    dispositions = [each for each in listed.outcomes if each.outcome_type == "disposition"]
    values = {
        "workspace": answer.workspace,
        "disposition_options": [(each.outcome_id, each.outcome_name) for each in dispositions],
        "region_options": [(each, each) for each in regions()],
    }
    return Shown("workspace.html", values)


async def _save(tx: Tx, visit: Visit) -> Reply:
    form = visit.form
    sent = {
        "name": form.text("name"),
        "region": form.text("region"),
        "outcomes_enabled": form.flag("outcomes_enabled"),
        "require_disposition": form.text("require_disposition"),
        "wrap_up_timeout_seconds": form.integer("wrap_up_timeout_seconds"),
        "wrap_up_timeout_outcome_id": form.optional("wrap_up_timeout_outcome_id"),
        "retention_days": form.integer("retention_days"),
    }
    change = checked(
        WorkspaceChange, sent, rules=workspace_rules, principal=visit.principal, context=visit.context
    )
    await workspaces.change_workspace(tx, visit.workspace_id, changes_of(change))
    return Gone(_PATH, Flash("The workspace was saved."))


PAGES = (
    show(_PATH, Permission.WORKSPACE, _show),
    act(_PATH, Permission.WORKSPACE, _save, again=_show),
)
