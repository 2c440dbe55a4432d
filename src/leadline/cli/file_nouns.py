"""The operations behind files as commands: imports of contacts, and the configuration.

`contact import`, `plan` and `apply` are made of these, and are what people want; programs may want the single steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leadline.cli.verbs import Noun, Verb

Row = Mapping[str, Any]

_READING = {
    "encoding": "How the file is written; found out when left out.",
    "delimiter": "What is between columns; as above.",
    "has_header": "--header: Whether the first row names the columns; as above.",
}
_DOCUMENT = {
    "configuration": "--file: A YAML or JSON file of Smart Lists and outcomes; - reads standard input.",
    "configuration_deflated": "--deflated: Instead, base64 of the document's JSON compressed by zlib.",
    "prune": "Delete what the workspace has and the document has not, in its sections.",
}


def _progress(row: Row) -> str:
    return f"{row['read_bytes'] / row['size_bytes']:.0%}" if row["size_bytes"] else ""


def _problems(row: Row) -> str:
    return "; ".join(f"{each['field']} {each['message']}".strip() for each in row["problems"])


IMPORT = Noun(
    "import",
    "Imports of contacts, as the server keeps them.",
    (
        Verb(
            name="list",
            operation="list_contact_imports",
            help="List imports, newest first. `contact import` makes one of a file.",
            columns=("import_id", "file_name", "state", ("read", _progress), "rows", "created", "failed"),
        ),
        Verb(
            name="create",
            operation="create_contact_import",
            help="Begin an import without a file yet.",
            flags={"file_name": "What people call the file."},
        ),
        Verb(
            name="get",
            operation="get_contact_import",
            help="Show how far an import is.",
            places={"import_id": "Id of the import."},
        ),
        Verb(
            name="put",
            operation="put_contact_import_part",
            help="Send a part of the file; the same number again replaces it.",
            places={"import_id": "Id of the import."},
            flags={
                "number": "Which part it is; 1 is the first.",
                "data": "Base64 of its bytes, 45 KiB of them at most.",
            },
        ),
        Verb(
            name="preview",
            operation="preview_contact_import",
            help="Show how the file begins, and what its columns seem to mean.",
            places={"import_id": "Id of the import."},
            flags=_READING,
        ),
        Verb(
            name="start",
            operation="start_contact_import",
            help="Import the file, or try it.",
            places={"import_id": "Id of the import."},
            flags={
                "dry_run": "Count and tell problems; change nothing.",
                **_READING,
                "columns": (
                    "--column: What a column means, by its number: 1=phone_number, 3=attribute:seats:number;"
                    " may be given more than once."
                ),
                "duplicates": "A number that is there already: update it, or skip the row.",
                "smart_list_ids": "--list: Id of a Smart List that everybody joins; may be given more than once.",
                "region": "For national numbers, such as US; the workspace's when left out.",
            },
        ),
        Verb(
            name="cancel",
            operation="cancel_contact_import",
            help="Stop an import; what it has imported stays.",
            places={"import_id": "Id of the import."},
        ),
        Verb(
            name="problems",
            operation="list_contact_import_problems",
            help="List the rows that were passed over, and why.",
            places={"import_id": "Id of the import."},
            columns=("row", ("problems", _problems), ("cells", lambda row: ", ".join(row["cells"]))),
        ),
    ),
)

CONFIGURATION = Noun(
    "configuration",
    "Smart Lists and outcomes as one document, as the server takes it.",
    (
        Verb(
            name="get",
            operation="get_configuration",
            help="Show the document. `export` writes it as a file.",
        ),
        Verb(
            name="plan",
            operation="plan_configuration",
            help="Ask what applying a document would change. `plan` shows it to people.",
            flags=_DOCUMENT,
        ),
        Verb(
            name="apply",
            operation="apply_configuration",
            help="Apply a document without showing a plan first. `apply` shows one and asks.",
            flags=_DOCUMENT,
            asks="Make Smart Lists and outcomes what the document says?",
        ),
    ),
)
