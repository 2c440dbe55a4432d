"""Leadline: a self-hosted call-outcomes engine.

Importing this package pulls in neither the server nor the database, so that a
program which only calls a Leadline or verifies its webhooks stays small.
"""

__version__ = "0.1.0"
