"""Imports of contacts from a file: a stored job, made of parts that each fit a request."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from leadline.wire.common import Answer, Body, Page, Query, Time, Uuid, UuidInput

ImportStateName = Literal["uploading", "running", "checked", "done", "failed", "canceled"]
EncodingName = Literal["utf-8", "utf-16-le", "utf-16-be", "windows-1252"]
DelimiterText = Literal[",", ";", "\t", "|"]
DuplicatesName = Literal["update", "skip"]


class ImportBody(Body, frozen=True, kw_only=True):
    file_name: (
        Annotated[str, Meta(description="For people.", extra_json_schema={"minLength": 1, "maxLength": 200})]
        | None
    ) = None


class ImportPartBody(Body, frozen=True, kw_only=True):
    """A piece of the file. Sent again, it takes the place of what was sent under its number."""

    number: Annotated[int, Meta(ge=1, le=2048, description="1 for the first.")]
    data: Annotated[
        str,
        Meta(
            description="Base64 of the bytes: 45 KiB at most and, except in the last part, 16 KiB at least.",
            examples=["cGhvbmVfbnVtYmVyLG5hbWUNCisxNTU1NTU1MDEwMCxEYW5hIFdoaXRmaWVsZA0K"],
            extra_json_schema={"contentEncoding": "base64", "maxLength": 61_440},
        ),
    ]


class ImportColumn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one column of the file means. Columns that are not named are not read."""

    column: Annotated[int, Meta(ge=0, le=199, description="0 for the first.")]
    field: Literal["phone_number", "name", "external_id", "attribute", "attributes", "smart_lists"]
    key: Annotated[str, Meta(description="With `attribute`: its key.")] | None = None
    type: (
        Annotated[
            Literal["text", "number", "boolean"], Meta(description="With `attribute`; text when left out.")
        ]
        | None
    ) = None


class ImportStart(Body, frozen=True, kw_only=True):
    """How the file is to be read, and what is to be done with it. What is left out is found out."""

    dry_run: Annotated[bool, Meta(description="Count and tell problems, change nothing.")] | None = None
    encoding: EncodingName | None = None
    delimiter: DelimiterText | None = None
    has_header: Annotated[bool, Meta(description="Whether the first row names the columns.")] | None = None
    columns: list[ImportColumn] | None = None
    duplicates: (
        Annotated[
            DuplicatesName,
            Meta(
                description="A number that a contact has already: update it (the default), or skip the row."
            ),
        ]
        | None
    ) = None
    smart_list_ids: (
        Annotated[
            list[UuidInput], Meta(max_length=20, description="Lists that every contact of the file joins.")
        ]
        | None
    ) = None
    region: (
        Annotated[str, Meta(description="For national numbers, ISO 3166; the workspace's when left out.")]
        | None
    ) = None


class PreviewQuery(Query, frozen=True, kw_only=True):
    encoding: Annotated[EncodingName, Meta(description="Read it so; found out when left out.")] | None = None
    delimiter: Annotated[DelimiterText, Meta(description="As above.")] | None = None
    has_header: Annotated[bool, Meta(description="As above.")] | None = None


class ImportedColumn(Struct, frozen=True, kw_only=True):
    column: int
    field: str
    key: str | None
    type: str | None


class ImportOptions(Struct, frozen=True, kw_only=True):
    """How the file is read."""

    encoding: EncodingName
    delimiter: DelimiterText
    has_header: bool
    columns: list[ImportedColumn]
    duplicates: DuplicatesName
    smart_list_ids: list[Uuid]
    region: str


class ContactImport(Struct, frozen=True, kw_only=True):
    import_id: Uuid
    state: ImportStateName
    file_name: str | None
    dry_run: Annotated[bool, Meta(description="Whether the newest run changes nothing.")]
    options: Annotated[ImportOptions, Meta(description="Null before it was started.")] | None
    size_bytes: int
    read_bytes: Annotated[int, Meta(description="Of these, how many the run has read.")]
    rows: Annotated[int, Meta(description="Rows read so far: the sum of the next five.")]
    created: int
    updated: int
    unchanged: int
    skipped: Annotated[int, Meta(description="Had a number that was there, with `duplicates` skip.")]
    failed: Annotated[int, Meta(description="Had a problem and were passed over.")]
    repeated: Annotated[
        int, Meta(description="Of all rows, those whose number an earlier row of the file had.")
    ]
    failure: Annotated[str, Meta(description="Why the whole import failed.")] | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class ImportAnswer(Answer, frozen=True, kw_only=True):
    contact_import: ContactImport


class ImportsAnswer(Answer, frozen=True, kw_only=True):
    contact_imports: list[ContactImport]
    next_cursor: str | None


class ImportPart(Struct, frozen=True, kw_only=True):
    number: int
    size_bytes: int


class ImportPartAnswer(Answer, frozen=True, kw_only=True):
    part: ImportPart


class ImportPreview(Struct, frozen=True, kw_only=True):
    """How the file begins and what its columns seem to mean."""

    encoding: EncodingName
    delimiter: DelimiterText
    has_header: bool
    header: list[str] | None
    columns: Annotated[list[ImportedColumn], Meta(description="A suggestion: those that are recognised.")]
    column_count: int
    rows: Annotated[list[list[str]], Meta(description="The first rows behind the header.")]


class PreviewAnswer(Answer, frozen=True, kw_only=True):
    preview: ImportPreview


class RowProblem(Struct, frozen=True, kw_only=True):
    field: str
    message: str


class RowProblems(Struct, frozen=True, kw_only=True):
    """A row that was passed over."""

    row: Annotated[
        int, Meta(description="As a spreadsheet counts: 1 is the first of the file, header included.")
    ]
    problems: list[RowProblem]
    cells: list[str]


class RowProblemsAnswer(Answer, frozen=True, kw_only=True):
    problems: list[RowProblems]
    next_cursor: str | None


class RowProblemsQuery(Query, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=200, description="How many at most; 50 when left out.")] | None = None
    cursor: (
        Annotated[
            str, Meta(min_length=1, max_length=512, description="`next_cursor` of the answer before; opaque.")
        ]
        | None
    ) = None


ImportsQuery = Page
