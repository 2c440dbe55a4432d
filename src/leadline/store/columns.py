"""The column types, the same on both engines as far as they can be.

Differs because SQLite's STRICT tables know INTEGER, TEXT and BLOB only: an id is a `uuid` on PostgreSQL
and 36 characters of text on SQLite, where it reads the same in every tool. Migrations use these too.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine


def identifier() -> TypeEngine[Any]:
    """A UUID, handed over as lower-case text on both engines."""
    return sa.Text().with_variant(postgresql.UUID(as_uuid=False), "postgresql")


def integer() -> TypeEngine[Any]:
    """A whole number of 64 bits: counts, and times as Unix milliseconds."""
    return sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def flag() -> TypeEngine[Any]:
    """0 or 1. Always with a CHECK, since neither engine is asked for a boolean of its own."""
    return sa.Integer().with_variant(sa.SmallInteger(), "postgresql")


def number() -> TypeEngine[Any]:
    """A number with a fraction, of 64 bits."""
    return sa.REAL().with_variant(sa.Double(), "postgresql")


def text() -> TypeEngine[Any]:
    """Text of any length; the bounds are kept where input is read."""
    return sa.Text()


def blob() -> TypeEngine[Any]:
    """Bytes."""
    return sa.LargeBinary()
