"""The console: the agents' desk, and everything an administrator sets. The pages, all of them."""

from __future__ import annotations

from leadline.web.console.pages import (
    audit,
    contacts,
    desk,
    home,
    outcomes,
    profile,
    reports,
    search,
    sign_in,
    smart_lists,
    tokens,
    users,
    workspace,
)

PAGES = (
    *home.PAGES,
    *desk.PAGES,
    *outcomes.PAGES,
    *smart_lists.PAGES,
    *contacts.PAGES,
    *search.PAGES,
    *sign_in.PAGES,
    *reports.PAGES,
    *workspace.PAGES,
    *tokens.PAGES,
    *users.PAGES,
    *audit.PAGES,
    *profile.PAGES,
)

__all__ = ["PAGES"]
