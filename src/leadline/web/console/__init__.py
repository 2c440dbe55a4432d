"""The console: the agents' desk, and everything an administrator sets. The pages, all of them."""

from __future__ import annotations

from leadline.web.console.pages import (
    audit,
    contact_files,
    desk,
    home,
    profile,
    reports,
    search,
    sign_in,
    tokens,
    users,
    workspace,
)

PAGES = (
    *home.PAGES,
    *desk.PAGES,
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
