"""Logs: one line an event on standard error, as text for people or JSON for machines.

Whatever is handed to a logger, no token, secret, phone number or note comes out: texts are redacted
(`redaction`), an error's own words are shown only where they cannot hold anybody's data (`failures`), and
every control character is escaped, so that one event stays one line.
"""

from __future__ import annotations

from leadline.logs.lines import JsonFormatter, TextFormatter, add_fields, set_up_logs

__all__ = ["JsonFormatter", "TextFormatter", "add_fields", "set_up_logs"]
