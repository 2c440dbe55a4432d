"""The console: the agents' desk, and everything an administrator sets. The pages, all of them."""

from __future__ import annotations

from leadline.web.console.pages import home, profile, search, sign_in, workspace

PAGES = (
    *home.PAGES,
    *search.PAGES,
    *sign_in.PAGES,
    *workspace.PAGES,
    *profile.PAGES,
)

__all__ = ["PAGES"]
