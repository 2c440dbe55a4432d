"""The command `leadline`."""

from __future__ import annotations

from leadline.cli.commands import main

__all__ = ["main"]
