"""A page that was left keeps nothing open on the server."""

from __future__ import annotations

from console.browser import Watched, aside
from harness import Desk, eventually


def open_streams(desk: Desk) -> float:
    text = desk.api.at_root().get("/metrics").body.decode()
    return float(text.split("\nleadline_event_streams ")[1].split("\n")[0])


def test_a_closed_page_ends_its_event_stream(seen: Watched, desk: Desk) -> None:
    before = aside(lambda: open_streams(desk))
    seen.open_live("/")
    aside(lambda: eventually(lambda: open_streams(desk) == before + 1))
    seen.page.context.close()
    aside(lambda: eventually(lambda: open_streams(desk) == before))
