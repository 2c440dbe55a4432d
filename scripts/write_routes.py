"""Write docs/reference/routes.md from the table of operations (`make docs`); `--check` only compares."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from leadline.web.api import OPERATIONS
from leadline.web.table import KeyUse, Operation

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "routes.md"
HEAD = """# Routes

Every operation of the API. Bodies, parameters and errors of each, with examples, are at `/docs` of a running server,
and for programs in `/openapi.json`; both come from the same table as this page (`make docs` writes it).

A token needs the scope; `write` includes `read`. *Key* says what an `Idempotency-Key` means: required, honoured when
it is sent, or nothing. Statuses are those of success; what else can come is in [errors](errors.md).
"""
TAIL = """## Without a token

| | |
|---|---|
| `GET /` | the console |
| `GET /docs` | the API reference, offline |
| `GET /openapi.json` | OpenAPI 3.1, with `webhooks` |
| `GET /healthz` | the process is there |
| `GET /readyz` | the database can be written, its migrations are current, deliveries go out; else 503 with `problem` |
| `GET /metrics` | [metrics](../operating/metrics.md); with `LEADLINE_METRICS_TOKEN`, as a bearer token |
"""
_KEYS = {KeyUse.REQUIRED: "required", KeyUse.HONOURED: "honoured", KeyUse.NONE: ""}


def row(operation: Operation) -> str:
    """One operation as a row of its table."""
    statuses = ", ".join(map(str, sorted(operation.answers)))
    return (
        f"| `{operation.method} {operation.path}` | `{operation.name}` | {operation.summary} | `{operation.scope}` |"
        f" {_KEYS[operation.key_use]} | {statuses} |"
    )


def page() -> str:
    """The whole page: a table for each tag, in the order in which the tags first come."""
    tags = list(dict.fromkeys(each.tag for each in OPERATIONS))
    in_order = sorted(OPERATIONS, key=lambda each: tags.index(each.tag))
    parts = [HEAD]
    for tag, operations in groupby(in_order, key=lambda each: each.tag):
        head = "| route | operation | | scope | key | status |\n|---|---|---|---|---|---|"
        parts.append("\n".join([f"## {tag}\n", head, *map(row, operations)]) + "\n")
    return "\n".join([*parts, TAIL])


def main() -> int:
    """Write the page, or say whether it is as it would be written: 1 when it is not."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page())
        return 0
    if PAGE.read_text() == page():
        return 0
    print(f"{PAGE.name} is behind the table of operations: make docs", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
