"""The rows of the API's table, one file per noun."""

from __future__ import annotations

from leadline.web.api import (
    calls,
    configuration,
    contact_imports,
    contacts,
    deliveries,
    endpoints,
    events,
    outcomes,
    reports,
    smart_lists,
    workspaces,
)
from leadline.web.table import Operation

OPERATIONS: tuple[Operation, ...] = (
    *outcomes.OPERATIONS,
    *smart_lists.OPERATIONS,
    *contacts.OPERATIONS,
    *contact_imports.OPERATIONS,
    *calls.OPERATIONS,
    *events.OPERATIONS,
    *reports.OPERATIONS,
    *deliveries.OPERATIONS,
    *endpoints.OPERATIONS,
    *configuration.OPERATIONS,
    *workspaces.OPERATIONS,
)
