"""Imports of contacts from a file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from leadline.client.models import ContactImport, ImportPart, ImportPreview, Page, RowProblems
from leadline.client.requests.described import (
    Id,
    PageRequest,
    Reply,
    Request,
    decoded,
    given,
    parameters,
    path,
    plain,
)
from leadline.wire.imports import (
    DelimiterText,
    DuplicatesName,
    EncodingName,
    ImportAnswer,
    ImportColumn,
    ImportPartAnswer,
    ImportsAnswer,
    PreviewAnswer,
    RowProblemsAnswer,
)


def list_contact_imports(
    *, limit: int | None = None, cursor: str | None = None
) -> PageRequest[ContactImport]:
    """Imports of contacts, newest first."""
    return PageRequest(
        operation="list_contact_imports",
        method="GET",
        path=path("/contact-imports"),
        read=_imports,
        query=parameters(limit=limit, cursor=cursor),
    )


def create_contact_import(
    *, file_name: str | None = None, idempotency_key: str | None = None
) -> Request[ContactImport]:
    """Begin an import: then send the file's parts, look at the preview, and start it."""
    return Request(
        operation="create_contact_import",
        method="POST",
        path=path("/contact-imports"),
        read=_import,
        body=given(file_name=file_name),
        idempotency_key=idempotency_key,
    )


def get_contact_import(import_id: Id) -> Request[ContactImport]:
    """How far an import is."""
    return Request(
        operation="get_contact_import",
        method="GET",
        path=path("/contact-imports/{}", import_id),
        read=_import,
    )


def put_contact_import_part(
    import_id: Id, *, number: int, data: bytes | str, idempotency_key: str | None = None
) -> Request[ImportPart]:
    """Send a part of the file: bytes, or the base64 of them. The same number again replaces it."""
    text = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    return Request(
        operation="put_contact_import_part",
        method="PUT",
        path=path("/contact-imports/{}/parts", import_id),
        read=lambda reply: decoded(reply, ImportPartAnswer).part,
        body=given(number=number, data=text),
        idempotency_key=idempotency_key,
    )


def preview_contact_import(
    import_id: Id,
    *,
    encoding: EncodingName | None = None,
    delimiter: DelimiterText | None = None,
    has_header: bool | None = None,
) -> Request[ImportPreview]:
    """How the file begins, and what its columns seem to mean."""
    return Request(
        operation="preview_contact_import",
        method="GET",
        path=path("/contact-imports/{}/preview", import_id),
        read=lambda reply: decoded(reply, PreviewAnswer).preview,
        query=parameters(encoding=encoding, delimiter=delimiter, has_header=has_header),
    )


def start_contact_import(
    import_id: Id,
    *,
    dry_run: bool | None = None,
    encoding: EncodingName | None = None,
    delimiter: DelimiterText | None = None,
    has_header: bool | None = None,
    columns: Sequence[ImportColumn | Mapping[str, Any]] | None = None,
    duplicates: DuplicatesName | None = None,
    smart_list_ids: Sequence[Id] | None = None,
    region: str | None = None,
    idempotency_key: str | None = None,
) -> Request[ContactImport]:
    """Import the file, or try it with `dry_run`. It is a stored job: `get_contact_import` says how far it is."""
    return Request(
        operation="start_contact_import",
        method="POST",
        path=path("/contact-imports/{}/start", import_id),
        read=_import,
        body=given(
            dry_run=dry_run,
            encoding=encoding,
            delimiter=delimiter,
            has_header=has_header,
            columns=None if columns is None else list(columns),
            duplicates=duplicates,
            smart_list_ids=None if smart_list_ids is None else [plain(each) for each in smart_list_ids],
            region=region,
        ),
        idempotency_key=idempotency_key,
    )


def cancel_contact_import(import_id: Id, *, idempotency_key: str | None = None) -> Request[ContactImport]:
    """Stop an import; what it has imported stays."""
    return Request(
        operation="cancel_contact_import",
        method="POST",
        path=path("/contact-imports/{}/cancel", import_id),
        read=_import,
        idempotency_key=idempotency_key,
    )


def list_contact_import_problems(
    import_id: Id, *, limit: int | None = None, cursor: str | None = None
) -> PageRequest[RowProblems]:
    """The rows that were passed over, in the order of the file."""
    return PageRequest(
        operation="list_contact_import_problems",
        method="GET",
        path=path("/contact-imports/{}/problems", import_id),
        read=_problems,
        query=parameters(limit=limit, cursor=cursor),
    )


def _import(reply: Reply) -> ContactImport:
    return decoded(reply, ImportAnswer).contact_import


def _imports(reply: Reply) -> Page[ContactImport]:
    answer = decoded(reply, ImportsAnswer)
    return Page(tuple(answer.contact_imports), answer.next_cursor)


def _problems(reply: Reply) -> Page[RowProblems]:
    answer = decoded(reply, RowProblemsAnswer)
    return Page(tuple(answer.problems), answer.next_cursor)
