"""Every operation as a function that describes its request.

Clients have a method of the same name for each; `client.send(requests.get_call(call_id))` answers with status,
tag and request id around the value.
"""

from __future__ import annotations

from leadline.client.requests.calls import (
    answer_call,
    apply_outcome,
    end_call,
    get_agent,
    get_call,
    list_agents,
    list_calls,
    start_call,
)
from leadline.client.requests.configuration import (
    apply_configuration,
    get_configuration,
    plan_configuration,
)
from leadline.client.requests.contact_imports import (
    cancel_contact_import,
    create_contact_import,
    get_contact_import,
    list_contact_import_problems,
    list_contact_imports,
    preview_contact_import,
    put_contact_import_part,
    start_contact_import,
)
from leadline.client.requests.contacts import (
    change_contact,
    contact_history,
    create_contact,
    erase_contact,
    get_contact,
    list_contacts,
)
from leadline.client.requests.deliveries import (
    cancel_delivery,
    cancel_replay,
    change_endpoint,
    get_delivery,
    get_endpoint,
    get_replay,
    get_webhook_secret,
    list_deliveries,
    list_endpoints,
    replay_deliveries,
    retry_delivery,
    rotate_webhook_secret,
    test_endpoint,
)
from leadline.client.requests.described import PageRequest, Reply, Request
from leadline.client.requests.outcomes import (
    create_outcome,
    delete_outcome,
    list_outcomes,
    replace_outcome,
)
from leadline.client.requests.reports import (
    report_agents,
    report_dispositions,
    report_missing_dispositions,
    report_outcomes,
    report_rates,
    report_smart_lists,
    report_webhooks,
    report_wrap_up,
)
from leadline.client.requests.smart_lists import (
    create_smart_list,
    delete_smart_list,
    get_smart_list,
    join_smart_list,
    leave_smart_list,
    list_members,
    list_smart_lists,
    rename_smart_list,
)
from leadline.client.requests.workspace import any_request, change_workspace, get_workspace, list_events

__all__ = [
    "PageRequest", "Reply", "Request", "answer_call", "any_request", "apply_configuration", "apply_outcome",
    "cancel_contact_import", "cancel_delivery", "cancel_replay", "change_contact", "change_endpoint",
    "change_workspace", "contact_history", "create_contact", "create_contact_import", "create_outcome",
    "create_smart_list", "delete_outcome", "delete_smart_list", "end_call", "erase_contact", "get_agent",
    "get_call", "get_configuration", "get_contact", "get_contact_import", "get_delivery", "get_endpoint",
    "get_replay", "get_smart_list", "get_webhook_secret", "get_workspace", "join_smart_list",
    "leave_smart_list", "list_agents", "list_calls", "list_contact_import_problems", "list_contact_imports",
    "list_contacts", "list_deliveries", "list_endpoints", "list_events", "list_members", "list_outcomes",
    "list_smart_lists", "plan_configuration", "preview_contact_import", "put_contact_import_part",
    "rename_smart_list", "replace_outcome", "replay_deliveries", "report_agents", "report_dispositions",
    "report_missing_dispositions", "report_outcomes", "report_rates", "report_smart_lists", "report_webhooks",
    "report_wrap_up", "retry_delivery", "rotate_webhook_secret", "start_call", "start_contact_import",
    "test_endpoint",
]  # fmt: skip
