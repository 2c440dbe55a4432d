"""What both clients are before either touches a network."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Self, Unpack

from leadline.client.connection import Address
from leadline.client.operations import Operations
from leadline.client.options import OptionFields, Options


class BaseClient(Operations):
    """An address, options, and every operation as a method."""

    def __init__(self, url: str, token: str, **options: Unpack[OptionFields]) -> None:
        self._address = Address(url, token)
        self._options = Options().with_fields(**options)
        self._owns_connections = True

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Unpack[OptionFields]) -> Self:
        """A client by LEADLINE_URL and LEADLINE_TOKEN. Raises ConfigurationError when one is missing."""
        address = Address.from_env(environ)
        return cls(address.url, address.token, **options)

    def with_options(self, **options: Unpack[OptionFields]) -> Self:
        """The same client with other options, over the same connections; they close with the first."""
        other = copy.copy(self)
        vars(other).update(_options=self._options.with_fields(**options), _owns_connections=False)
        return other

    @property
    def options(self) -> Options:
        return self._options

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address.url!r})"
