"""Charts as SVG text, drawn here: no script, no style attribute, colours by class (`style.STYLE`). Pure.

    line_chart       one or several series over time, with dashes and markers besides colour
    column_chart     vertical bars over time, stacked when there are several series
    bar_list         horizontal bars of named things
    mix_chart        the shares of a whole, as one bar
    sparkline        a line without words

Each has `role="img"`, a title and a description, stays within its view box whatever the data, and says so when
there is none. Widths are pixels at which the text has its natural size; narrow screens get one of their own.
"""

from __future__ import annotations

from leadline.charts.bars import Bar, bar_list, column_chart
from leadline.charts.lines import line_chart
from leadline.charts.mix import mix_chart
from leadline.charts.plot import Series
from leadline.charts.spark import sparkline
from leadline.charts.style import STYLE
from leadline.charts.times import time_labels

__all__ = [
    "STYLE",
    "Bar",
    "Series",
    "bar_list",
    "column_chart",
    "line_chart",
    "mix_chart",
    "sparkline",
    "time_labels",
]
