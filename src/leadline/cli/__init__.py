"""The command `leadline`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit: 0 done, 1 it could not be done, 2 it was not understood."""
    try:
        from leadline.cli.commands import run
    except ModuleNotFoundError as missing:
        if (missing.name or "leadline").startswith("leadline"):
            raise
        # `pip install leadline` brings the client alone.
        sys.exit(
            f"leadline: the command needs the package {missing.name}, which is not installed:"
            " pip install 'leadline[server]'"
        )
    sys.exit(run(sys.argv[1:]))


__all__ = ["main"]
