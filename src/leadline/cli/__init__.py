"""The command `leadline`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit: 0 done, 1 it could not be done, 2 it was not understood."""
    from leadline.cli.commands import run

    sys.exit(run(sys.argv[1:]))


__all__ = ["main"]
