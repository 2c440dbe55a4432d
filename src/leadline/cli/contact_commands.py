"""`leadline contact import|export`: files of contacts."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from leadline.cli.connecting import Token, Url, connect
from leadline.cli.flags import AsJson
from leadline.wire.imports import DelimiterText

_DELIMITERS: dict[str, DelimiterText] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


def import_(
    file: Annotated[str, Parameter(help="A CSV file; - reads standard input.", allow_leading_hyphen=True)],
    /,
    *,
    column: Annotated[
        list[str] | None,
        Parameter(
            help="What a column means: 'Mobile=phone_number', 'Seats=attributes.seats:number', '#3=name', 'Notes=-'."
        ),
    ] = None,
    list_: Annotated[
        list[str] | None, Parameter(name="--list", help="A Smart List that every contact joins, by name.")
    ] = None,
    dry_run: Annotated[bool, Parameter(help="Count and tell problems; change nothing.")] = False,
    duplicates: Annotated[
        Literal["update", "skip"],
        Parameter(help="A number that is there already: update it, or skip the row."),
    ] = "update",
    encoding: Annotated[
        Literal["utf-8", "utf-16-le", "utf-16-be", "windows-1252"] | None,
        Parameter(help="How the file is written; found out when left out."),
    ] = None,
    delimiter: Annotated[
        Literal["comma", "semicolon", "tab", "pipe"] | None, Parameter(help="As above.")
    ] = None,
    header: Annotated[
        bool | None,
        Parameter(negative="--no-header", help="Whether the first row names the columns; as above."),
    ] = None,
    region: Annotated[
        str | None, Parameter(help="For national numbers, such as US; the workspace's when left out.")
    ] = None,
    problems: Annotated[
        str | None, Parameter(help="Write the rows that are passed over, with the reason, to this CSV file.")
    ] = None,
    url: Url = None,
    token: Token = None,
    json_: AsJson = False,
) -> int:
    """Import contacts from a CSV file. Exit status 1 when rows were passed over."""
    from leadline.cli.contact_files import Wanted, import_contacts

    wanted = Wanted(
        file=file,
        columns=column or (),
        lists=list_ or (),
        encoding=encoding,
        delimiter=None if delimiter is None else _DELIMITERS[delimiter],
        has_header=header,
        duplicates=duplicates,
        region=region,
        dry_run=dry_run,
        problems_file=problems,
        as_json=json_,
    )
    with connect(url, token) as client:
        return import_contacts(client, wanted)


def export(
    *,
    output: Annotated[
        str | None,
        Parameter(name=("--output", "-o"), help="Write to this file; standard output when left out."),
    ] = None,
    list_: Annotated[
        str | None, Parameter(name="--list", help="Only who is on this Smart List, by name.")
    ] = None,
    search: Annotated[str | None, Parameter(help="Only who has this in name, number or external id.")] = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Export contacts as CSV, safe to open in a spreadsheet, and the same contacts when imported."""
    from leadline.cli.contact_files import export_contacts

    with connect(url, token) as client:
        export_contacts(client, output, smart_list=list_, q=search)
