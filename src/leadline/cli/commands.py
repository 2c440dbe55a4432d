"""The commands and their flags."""

from __future__ import annotations

import cyclopts

from leadline.settings import load_settings

app = cyclopts.App(name="leadline")


@app.command
def serve(
    *, host: str | None = None, port: int | None = None, database: str | None = None, dev: bool = False
) -> None:
    """Run the API, the console and delivery in one process."""
    from leadline.cli.serving import serve as run

    flags = {"host": host, "port": port, "database_url": database, "dev": dev or None}
    run(load_settings(flags))


def main() -> None:
    """Run the command line."""
    app()
