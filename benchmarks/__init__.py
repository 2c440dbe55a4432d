"""`make bench`: how fast Leadline is, always as ratios within one run (docs/internals/performance.md).

Nothing in `src/` knows of it. Everything stays on the loopback.
"""
