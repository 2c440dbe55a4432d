"""Where somebody begins."""

from __future__ import annotations

from leadline.domain.access import Permission
from leadline.store.database import Tx
from leadline.web.console.navigation import home_of
from leadline.web.console.table import Gone, Reply, Visit, show


async def _home(_tx: Tx, visit: Visit) -> Reply:
    from leadline.web.console import PAGES  # noqa: PLC0415 - the table of pages holds this one

    return Gone(home_of(visit.user, [page.path for page in PAGES if page.method == "GET"]))


PAGES = (show("/", Permission.PROFILE, _home),)
