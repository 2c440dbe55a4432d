"""The console: the agents' desk, and everything an administrator sets. The pages, all of them."""

from __future__ import annotations

from leadline.web.console.pages import (
    audit,
    calls,
    contact_files,
    contacts,
    deliveries,
    desk,
    home,
    outcomes,
    overview,
    profile,
    replays,
    reports,
    search,
    sign_in,
    smart_lists,
    tokens,
    users,
    webhooks,
    workspace,
)

PAGES = (
    *home.PAGES,
    *desk.PAGES,
    *overview.PAGES,
    *outcomes.PAGES,
    *smart_lists.PAGES,
    *contacts.PAGES,
    *overview.PAGES,
    *calls.PAGES,
    *deliveries.PAGES,
    *replays.PAGES,
    *webhooks.PAGES,
    *search.PAGES,
    *sign_in.PAGES,
    *contact_files.PAGES,
    *reports.PAGES,
    *workspace.PAGES,
    *tokens.PAGES,
    *users.PAGES,
    *audit.PAGES,
    *profile.PAGES,
)

__all__ = ["PAGES"]
