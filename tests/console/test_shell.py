"""What every page has around it."""

from __future__ import annotations

from console.browser import Watched, assert_accessible


def test_the_profile_is_accessible(seen: Watched) -> None:
    assert_accessible(seen.open("/settings/profile"))


def test_the_workspaces_settings_are_accessible(seen: Watched) -> None:
    assert_accessible(seen.open("/settings/workspace"))
