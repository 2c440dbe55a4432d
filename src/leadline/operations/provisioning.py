"""Outcomes as code: a workspace's Smart Lists and outcomes as one document, planned and applied as one.

What must change is decided by `domain/provisioning.py`; here the workspace is read, and each change is carried
out by the operation that a single request of its kind runs. All of it is one transaction.
"""

from __future__ import annotations

import hashlib
import json

from leadline.domain.configuration import (
    Change,
    CreateList,
    CreateOutcome,
    Deleted,
    DeleteList,
    DeleteOutcome,
    Facts,
    JoinOne,
    KnownList,
    KnownOutcome,
    LeaveSome,
    Named,
    Plan,
    Reference,
    RenameList,
    ReplaceOutcome,
    Wanted,
    WantedDestination,
    WantedList,
    WantedOutcome,
)
from leadline.domain.errors import InvalidRequest, NoSubaccount, PreconditionFailed, Problem
from leadline.domain.outcomes import OutcomeType, RemoveFromAll, Stay, UrlRules, lists_named
from leadline.domain.provisioning import plan
from leadline.ids import new_id
from leadline.operations import outcomes as outcome_operations
from leadline.operations import smart_lists as list_operations
from leadline.operations.outcomes import definition_of, tag_matches
from leadline.operations.provisioning_views import Circumstances, configuration_view, plan_view
from leadline.store import outcomes, smart_lists, workspaces
from leadline.store.database import Tx
from leadline.store.outcomes import OutcomeRow
from leadline.store.workspaces import WorkspaceRow
from leadline.wire.configuration import (
    Configuration,
    ConfigurationAnswer,
    ConfiguredOutcome,
    ConfiguredWorkspace,
    DeletedSmartList,
    PlanAnswer,
)

# Where the document is in a request's body: problems say the whole path.
FIELD = "configuration"


async def export_configuration(tx: Tx, workspace_id: str) -> tuple[ConfigurationAnswer, str]:
    """The workspace as a document whose plan is empty, and the ETag of its state."""
    workspace = await _require_workspace(tx, workspace_id)
    facts, etag = await _read(tx, workspace_id)
    answer = ConfigurationAnswer(workspace=_shown(workspace), configuration=configuration_view(facts))
    return answer, etag


async def plan_configuration(
    tx: Tx, workspace_id: str, configuration: Configuration, *, prune: bool, rules: UrlRules
) -> tuple[PlanAnswer, str]:
    """What applying would change, and the ETag of the state that it was planned on. Raises InvalidRequest."""
    workspace = await _require_workspace(tx, workspace_id)
    facts, etag = await _read(tx, workspace_id)
    planned = _planned(configuration, facts, prune=prune, rules=rules)
    return await _answer(tx, workspace, facts, planned), etag


async def apply_configuration(
    tx: Tx,
    workspace_id: str,
    configuration: Configuration,
    *,
    prune: bool,
    rules: UrlRules,
    if_match: str | None = None,
) -> tuple[PlanAnswer, str]:
    """Make the workspace what the document says; what was changed, and the ETag of the state that is now.

    Raises InvalidRequest with every problem, and PreconditionFailed when the state is not that of `if_match`.
    """
    # Held until the commit: nobody changes an outcome or a list between the plan and its last step.
    await workspaces.lock_workspace(tx, workspace_id)
    workspace = await _require_workspace(tx, workspace_id)
    facts, etag = await _read(tx, workspace_id)
    if if_match is not None and not tag_matches(if_match, etag):
        raise PreconditionFailed("The outcomes or Smart Lists have changed since they were read.")
    planned = _planned(configuration, facts, prune=prune, rules=rules)
    answer = await _answer(tx, workspace, facts, planned)
    for change in planned.changes:
        await _carry_out(tx, workspace_id, change)
    return answer, etag if not planned.changes else (await _read(tx, workspace_id))[1]


async def _require_workspace(tx: Tx, workspace_id: str) -> WorkspaceRow:
    row = await workspaces.get_workspace(tx, workspace_id)
    if row is None or row.deleted_at is not None:
        raise NoSubaccount("This workspace no longer exists.")
    return row


def _shown(row: WorkspaceRow) -> ConfiguredWorkspace:
    return ConfiguredWorkspace(subaccount_id=row.workspace_id, name=row.name)


async def _read(tx: Tx, workspace_id: str) -> tuple[Facts, str]:
    lists = await smart_lists.list_names(tx, workspace_id)
    rows = await outcomes.all_outcomes(tx, workspace_id)
    facts = Facts(
        lists=tuple(KnownList(smart_list_id, name) for smart_list_id, name in sorted(lists.items())),
        outcomes=tuple(KnownOutcome(row.outcome_id, definition_of(row)) for row in rows),
    )
    return facts, _etag(facts, rows)


def _etag(facts: Facts, rows: list[OutcomeRow]) -> str:
    """The tag of a state: which lists there are, by which names, and which revision of which outcome."""
    state = [
        [[each.smart_list_id, each.name] for each in facts.lists],
        sorted([row.outcome_id, row.revision] for row in rows),
    ]
    return f'"{hashlib.blake2b(json.dumps(state).encode(), digest_size=12).hexdigest()}"'


def _planned(configuration: Configuration, facts: Facts, *, prune: bool, rules: UrlRules) -> Plan:
    shape = _shape_problems(configuration)
    found = plan(_wanted(configuration), facts, prune=prune, rules=rules, new_id=new_id)
    problems = [Problem(f"{FIELD}.{each.field}", each.message) for each in (*shape, *found.problems)]
    if problems:
        first = problems[0]
        raise InvalidRequest(f"{first.field} {first.message}.", details=problems)
    return found


def _shape_problems(configuration: Configuration) -> list[Problem]:
    """What an entry cannot be, though each of its fields could."""
    return [
        Problem(
            f"outcomes[{index}].remove_from", "is not allowed beside add_to: an outcome has one destination"
        )
        for index, each in enumerate(configuration.outcomes or ())
        if each.add_to is not None and each.remove_from is not None
    ]


def _wanted(configuration: Configuration) -> Wanted:
    lists, entries = configuration.smart_lists, configuration.outcomes
    return Wanted(
        lists=None
        if lists is None
        else tuple(WantedList(each.name.strip(), _trimmed(each.was)) for each in lists),
        outcomes=None if entries is None else tuple(_wanted_outcome(each) for each in entries),
    )


def _trimmed(name: str | None) -> str | None:
    return None if name is None else name.strip()


def _wanted_outcome(entry: ConfiguredOutcome) -> WantedOutcome:
    return WantedOutcome(
        name=entry.name.strip(),
        type=OutcomeType(entry.type),
        was=_trimmed(entry.was),
        outcome_id=None if entry.id is None else str(entry.id),
        order=entry.order or 0,
        destination=_wanted_destination(entry),
        webhook_url=entry.webhook_url,
    )


def _wanted_destination(entry: ConfiguredOutcome) -> WantedDestination:
    if entry.add_to is not None:
        return JoinOne(_reference(entry.add_to))
    if entry.remove_from is None:
        return Stay()
    if entry.remove_from == "all":
        return RemoveFromAll()
    return LeaveSome(tuple(_reference(each) for each in entry.remove_from))


def _reference(given: str | DeletedSmartList) -> Reference:
    return Named(given.strip()) if isinstance(given, str) else Deleted(str(given.deleted))


async def _answer(tx: Tx, workspace: WorkspaceRow, facts: Facts, planned: Plan) -> PlanAnswer:
    going = [each.smart_list_id for each in planned.changes if isinstance(each, DeleteList)]
    circumstances = Circumstances(
        contact_counts=await smart_lists.member_counts(tx, workspace.workspace_id, going),
        timeout_outcome_id=workspace.wrap_up_timeout_outcome_id,
    )
    return PlanAnswer(workspace=_shown(workspace), plan=plan_view(planned, facts, circumstances))


async def _carry_out(tx: Tx, workspace_id: str, change: Change) -> None:
    match change:
        case DeleteOutcome(outcome_id):
            await outcome_operations.delete_outcome(tx, workspace_id, outcome_id, if_match=None)
        case DeleteList(smart_list_id):
            # By force: those that still point to it are replaced later in this transaction.
            await list_operations.delete_smart_list(tx, workspace_id, smart_list_id, force=True)
        case RenameList(smart_list_id, _, name):
            await list_operations.rename_smart_list(tx, workspace_id, smart_list_id, name)
        case CreateList(smart_list_id, name):
            await list_operations.create_smart_list(tx, workspace_id, name, smart_list_id=smart_list_id)
        case ReplaceOutcome(outcome_id, before, definition):
            await outcome_operations.replace_outcome(
                tx,
                workspace_id,
                outcome_id,
                definition,
                if_match=None,
                may_be_gone=lists_named(before.destination),
            )
        case CreateOutcome(definition):
            await outcome_operations.define_outcome(tx, workspace_id, definition)
