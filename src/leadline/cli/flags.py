"""Flags that several commands have."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

DatabaseUrl = Annotated[
    str | None,
    Parameter(help="sqlite:///path or postgresql://user@host/name (LEADLINE_DATABASE_URL)."),
]
Config = Annotated[str | None, Parameter(help="A TOML file of settings (LEADLINE_CONFIG); leadline.toml.")]
AsJson = Annotated[bool, Parameter(name="--json", help="Print JSON for programs.", show_default=False)]
