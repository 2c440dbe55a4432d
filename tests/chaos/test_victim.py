"""The faults of `make chaos` are put where they are meant to be, whatever has been renamed since."""

from __future__ import annotations

import importlib
import inspect

import pytest
from chaos.plan import Point
from chaos.victim import PLACES


@pytest.mark.parametrize("point", Point)
def test_every_point_at_which_a_process_dies_is_there(point: Point) -> None:
    for module, owner, name, when in PLACES[point]:
        place = importlib.import_module(module)
        found = getattr(getattr(place, owner) if owner else place, name)
        assert when == "before" or inspect.iscoroutinefunction(found)
