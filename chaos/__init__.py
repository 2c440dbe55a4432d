"""Leadline under fire: hostile receivers, broken DNS, jumping clocks, full disks, cut databases, killed processes.

`python -m chaos` runs it and prints what came of it; docs/internals/chaos.md says how to read that. Nothing in
`src/` knows of it: the faults are put into the processes from outside (`chaos.victim`).
"""
