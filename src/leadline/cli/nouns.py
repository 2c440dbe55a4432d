"""Every operation of the API as a command: `leadline NOUN VERB`. What it is called and says is written here."""

from __future__ import annotations

from leadline.cli import contact_commands
from leadline.cli.failures import UsageError
from leadline.cli.file_nouns import CONFIGURATION, IMPORT
from leadline.cli.report_verbs import REPORT
from leadline.cli.verbs import Noun, Row, Verb, command_of
from leadline.cli.webhook_nouns import DELIVERY, ENDPOINT, REPLAY, SECRET

_OUTCOME_FLAGS = {
    "outcome_type": "--type: For the live call (action) or after it (disposition).",
    "order": "Lower comes first; 0.",
    "destination_id": "--to-list: Id of the Smart List that the contact joins.",
    "remove_from_smart_lists": (
        "--remove-from: Id of a Smart List that the contact leaves, or all; may be given more than once."
    ),
    "webhook_url": "Where to post what happened; an action must have one.",
}


def _destination_type(given: Row) -> Row:
    """What happens to the contact, by which of the two flags was given."""
    joins, leaves = "destination_id" in given, "remove_from_smart_lists" in given
    if joins and leaves:
        raise UsageError("a contact joins a list (--to-list) or leaves lists (--remove-from), not both")
    if not joins and not leaves:
        return {}
    return {"destination_type": "smart_list" if joins else "remove_from_smart_list"}


def _destination(row: Row) -> str:
    destination = row["destination"]
    match destination["destination_type"]:
        case "smart_list":
            return f"join {destination['destination_name'] or 'a list that was deleted'}"
        case "remove_from_smart_list":
            removal = destination["remove_from_smart_lists"]
            return "leave all lists" if removal.get("all") else f"leave {len(removal['list_ids'])} lists"
        case _:
            return ""


def _disposition(row: Row) -> str:
    given = row["disposition"]
    if given is not None:
        return str(given["outcome_name"])
    return "required" if row["disposition_required"] else ""


def _application(answer: Row) -> Row:
    """What was applied, and what became of the call."""
    said = {"dry_run": True} if answer.get("dry_run") else {}
    return {**said, **answer["applied"], "call_state": answer["call"]["state"]}


def _happened(row: Row) -> str:
    """What an entry of a contact's history tells."""
    match row["type"]:
        case "call":
            return f"{row['call']['direction']}, {row['call']['line_result'] or row['call']['state']}"
        case "applied":
            return str(row["applied"]["outcome_name"])
        case _:
            return f"{row['list_move']['direction']} {row['list_move']['smart_list_name']}"


def event_summary(row: Row) -> str:
    """The ids and states of an event in one line."""
    return " ".join(f"{name}={value}" for name, value in row["data"].items() if value not in (None, ""))


OUTCOME = Noun(
    "outcome",
    "What agents apply to calls: actions and dispositions.",
    (
        Verb(
            name="list",
            operation="list_outcomes",
            help="List all outcomes in display order.",
            columns=(
                "outcome_id",
                "order",
                "outcome_name",
                ("type", lambda row: row["outcome_type"]),
                ("destination", _destination),
                "webhook_url",
            ),
        ),
        Verb(
            name="create",
            operation="create_outcome",
            help="Make an outcome.",
            places={"outcome_name": "What agents see."},
            flags=_OUTCOME_FLAGS,
            infer=_destination_type,
            inferred=("destination_type",),
        ),
        Verb(
            name="replace",
            operation="replace_outcome",
            help="Replace an outcome's whole configuration: what is left out takes its default.",
            places={"outcome_id": "Id of the outcome.", "outcome_name": "What agents see from now on."},
            flags=_OUTCOME_FLAGS,
            infer=_destination_type,
            inferred=("destination_type",),
        ),
        Verb(
            name="delete",
            operation="delete_outcome",
            help="Delete an outcome. What was applied keeps its name and type.",
            places={"outcome_id": "Id of the outcome."},
            asks="Delete the outcome {outcome_id}?",
            done="Outcome {outcome_id} was deleted.",
        ),
    ),
)

LIST = Noun(
    "list",
    "Smart Lists and who is on them.",
    (
        Verb(
            name="list",
            operation="list_smart_lists",
            help="List the Smart Lists, newest first.",
            columns=("smart_list_id", "smart_list_name", "contact_count", "created_at"),
        ),
        Verb(
            name="create",
            operation="create_smart_list",
            help="Make a Smart List.",
            places={"smart_list_name": "What it is called; no other list may have the name."},
        ),
        Verb(
            name="get",
            operation="get_smart_list",
            help="Show a Smart List.",
            places={"smart_list_id": "Id of the list."},
        ),
        Verb(
            name="rename",
            operation="rename_smart_list",
            help="Give a Smart List another name.",
            places={"smart_list_id": "Id of the list.", "smart_list_name": "Its new name."},
        ),
        Verb(
            name="delete",
            operation="delete_smart_list",
            help="Delete a Smart List. The contacts on it stay.",
            places={"smart_list_id": "Id of the list."},
            flags={"force": "Also when outcomes point to it; they then fail to move their contact."},
            asks="Delete the Smart List {smart_list_id}?",
            done="Smart List {smart_list_id} was deleted.",
        ),
        Verb(
            name="members",
            operation="list_members",
            help="List who is on a Smart List, since when, and what brought them.",
            places={"smart_list_id": "Id of the list."},
            columns=("contact_id", "phone_number", "name", "since", "source"),
        ),
        Verb(
            name="add",
            operation="join_smart_list",
            help="Put a contact on a Smart List.",
            places={"smart_list_id": "Id of the list.", "contact_id": "Id of the contact."},
        ),
        Verb(
            name="remove",
            operation="leave_smart_list",
            help="Take a contact off a Smart List.",
            places={"smart_list_id": "Id of the list.", "contact_id": "Id of the contact."},
            done="Contact {contact_id} is not on Smart List {smart_list_id}.",
        ),
    ),
)

_CONTACT_FLAGS = {
    "name": "What the person is called.",
    "external_id": "Your own system's id of the person.",
    "attributes": "--attribute: A fact as name=value; may be given more than once.",
}

CONTACT = Noun(
    "contact",
    "People with phone numbers.",
    (
        Verb(
            name="list",
            operation="list_contacts",
            help="List contacts, newest first.",
            flags={
                "phone_number": "Only the one with this number.",
                "smart_list_id": "--list: Only those on the Smart List with this id.",
                "q": "--search: Only those with this in their name, number or external id.",
            },
            columns=(
                "contact_id",
                "phone_number",
                "name",
                "external_id",
                ("lists", lambda row: [each["smart_list_name"] for each in row["smart_lists"]]),
            ),
        ),
        Verb(
            name="create",
            operation="create_contact",
            help="Make a contact.",
            places={"phone_number": "E.164, or national in the workspace's region."},
            flags=_CONTACT_FLAGS,
        ),
        Verb(
            name="get",
            operation="get_contact",
            help="Show a contact and the Smart Lists it is on.",
            places={"contact_id": "Id of the contact."},
        ),
        Verb(
            name="change",
            operation="change_contact",
            help="Change what is given of a contact. Attributes are replaced together.",
            places={"contact_id": "Id of the contact."},
            flags={"phone_number": "The new number.", **_CONTACT_FLAGS},
        ),
        Verb(
            name="erase",
            operation="erase_contact",
            help="Erase a person from contacts, lists, calls, notes and stored payloads.",
            places={"contact_id": "Id of the contact."},
            asks="Erase the contact {contact_id} everywhere, for good?",
            done="Contact {contact_id} was erased.",
        ),
        Verb(
            name="history",
            operation="contact_history",
            help="List a contact's calls, applied outcomes and list moves, newest first.",
            places={"contact_id": "Id of the contact."},
            columns=("at", "type", ("what", _happened)),
        ),
    ),
)

CALL = Noun(
    "call",
    "Calls, and applying outcomes to them.",
    (
        Verb(
            name="start",
            operation="start_call",
            help="Report that a call begins, to a number or to a contact. An unknown number makes a contact.",
            places={"phone_number": "The number; left out with --contact."},
            flags={
                "contact_id": "--contact: Id of the contact.",
                "agent_id": "--agent: Who calls or is called.",
                "direction": "Who called whom; outbound.",
                "external_id": "The phone system's own id; a known one answers the call that has it.",
                "state": "Whether it rings or is answered already; live.",
                "started_at": "When it began; now.",
            },
        ),
        Verb(
            name="list",
            operation="list_calls",
            help="List calls by their start, newest first.",
            flags={
                "state": "Only calls in this state.",
                "agent_id": "--agent: Only calls of this agent.",
                "contact_id": "--contact: Only calls with the contact of this id.",
                "since": "Only calls that began then or later: a time, or an age such as 2h.",
            },
            columns=(
                "call_id",
                "started_at",
                "state",
                "direction",
                ("agent", lambda row: row["agent_id"]),
                "phone_number",
                ("disposition", _disposition),
            ),
        ),
        Verb(
            name="get",
            operation="get_call",
            help="Show a call and what was applied to it.",
            places={"call_id": "Id of the call."},
        ),
        Verb(
            name="answer",
            operation="answer_call",
            help="Report that a ringing call is answered.",
            places={"call_id": "Id of the call."},
        ),
        Verb(
            name="end",
            operation="end_call",
            help="Report that the line is down. The call then waits for its disposition, or is closed.",
            places={"call_id": "Id of the call."},
            flags={"line_result": "--result: How the line ended.", "ended_at": "When it ended; now."},
        ),
        Verb(
            name="apply",
            operation="apply_outcome",
            help="Apply an outcome to a call. The same again answers the first application.",
            places={"call_id": "Id of the call.", "outcome_id": "Id of the outcome."},
            flags={
                "agent_id": "--agent: Who applies it; the call's agent.",
                "note": "What the agent wants to be remembered.",
                "dry_run": "Say what would happen and change nothing.",
            },
            summary=_application,
        ),
    ),
)

AGENT = Noun(
    "agent",
    "Agents, as calls have named them.",
    (
        Verb(
            name="list",
            operation="list_agents",
            help="List the agents and what they do.",
            columns=("agent_id", "status", "call_id", ("pending", lambda row: len(row["pending"]))),
        ),
        Verb(
            name="get",
            operation="get_agent",
            help="Show what an agent does, and which calls wait for a disposition.",
            places={"agent_id": "The phone system's own name of the agent."},
        ),
    ),
)

EVENT = Noun(
    "event",
    "What has happened. `leadline tail` shows it as it happens.",
    (
        Verb(
            name="list",
            operation="list_events",
            help="List the events that are kept, oldest first.",
            flags={"after": "Only those after the event with this id."},
            columns=("event_id", "at", "type", ("data", event_summary)),
        ),
    ),
)

# The other verbs of `workspace` are on the database: see `workspace_commands.py`.
WORKSPACE = Noun(
    "workspace",
    "",
    (
        Verb(
            name="get",
            operation="get_workspace",
            help="Show the workspace of the token, with its settings.",
        ),
        Verb(
            name="change",
            operation="change_workspace",
            help="Change what is given of the settings of the token's workspace.",
            flags={
                "name": "What people call it.",
                "region": "Where national numbers are from, such as US.",
                "outcomes_enabled": "--outcomes: Whether outcomes can be applied and configured.",
                "require_disposition": "Which calls need a disposition: those answered, all, or none.",
                "wrap_up_timeout_seconds": "--wrap-up-timeout: Seconds after which a call closes by itself.",
                "wrap_up_timeout_outcome_id": "--wrap-up-outcome: Id of the disposition that is then applied.",
                "retention_days": "Days for which payloads and attempts are kept.",
            },
        ),
    ),
)

NOUNS = (
    OUTCOME, LIST, CONTACT, IMPORT, CONFIGURATION, CALL, AGENT, DELIVERY, REPLAY, ENDPOINT, EVENT, SECRET, REPORT,
)  # fmt: skip
(
    outcome, list_, contact, import_, configuration, call, agent, delivery, replay, endpoint, event, secret, report,
) = (noun.app() for noun in NOUNS)  # fmt: skip
contact.command(contact_commands.import_, name="import")
contact.command(contact_commands.export)
get_workspace, change_workspace = (command_of(verb) for verb in WORKSPACE.verbs)
