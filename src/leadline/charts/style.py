"""The colours of charts, light and dark, by class.

Both follow the reader's system, unless a page has chosen by `data-theme` on its root.
"""

from __future__ import annotations

SERIES_MAX = 6
_LIGHT = """--chart-ground: #ffffff; --chart-text: #46505d; --chart-strong: #17202b; --chart-grid: #e6e9ed;
  --chart-axis: #aab3be; --chart-on: #ffffff; --chart-rest: #77818e; --chart-bad: #c2352b;
  --chart-1: #1d5bd8; --chart-2: #13693a; --chart-3: #9a3d00; --chart-4: #6a35b3; --chart-5: #a11d6b;
  --chart-6: #0b6a78;"""
_DARK = """--chart-ground: #161b22; --chart-text: #aeb8c4; --chart-strong: #e8edf3; --chart-grid: #2a313b;
  --chart-axis: #5b6673; --chart-on: #0e1116; --chart-rest: #8e99a6; --chart-bad: #ff9c94;
  --chart-1: #7aa5ff; --chart-2: #7ed6a0; --chart-3: #ffb077; --chart-4: #cbabff; --chart-5: #ff9cd0;
  --chart-6: #74d3e2;"""
_SERIES = "\n".join(
    f""".chart .s{number} {{ color: var(--chart-{number}); }}""" for number in range(1, SERIES_MAX + 1)
)
STYLE = f""":root, svg.chart {{ {_LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root, svg.chart {{ {_DARK} }} }}
:root[data-theme="light"], :root[data-theme="light"] svg.chart {{ {_LIGHT} }}
:root[data-theme="dark"], :root[data-theme="dark"] svg.chart {{ {_DARK} }}
.chart {{ display: block; max-width: 100%; height: auto; overflow: visible; }}
.chart text {{ font-family: Inter, system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  font-size: 11px; fill: var(--chart-text); font-variant-numeric: tabular-nums; }}
.chart .strong {{ fill: var(--chart-strong); }}
.chart .on {{ fill: var(--chart-on); font-weight: 600; }}
.chart .empty {{ font-size: 13px; }}
.chart .ground {{ fill: var(--chart-ground); }}
.chart .grid {{ stroke: var(--chart-grid); stroke-width: 1; }}
.chart .axis {{ stroke: var(--chart-axis); stroke-width: 1; }}
.chart .line {{ fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }}
.chart .area {{ fill: currentColor; opacity: 0.1; }}
.chart .mark {{ fill: currentColor; }}
.chart .hollow {{ fill: var(--chart-ground); stroke: currentColor; stroke-width: 1.5; }}
.chart .bar {{ fill: currentColor; }}
.chart .track {{ fill: var(--chart-grid); }}
.chart .bad {{ color: var(--chart-bad); }}
.chart .rest {{ color: var(--chart-rest); }}
.chart .hit {{ fill: transparent; }}
.chart .hit:hover {{ fill: var(--chart-axis); opacity: 0.18; }}
{_SERIES}
"""
