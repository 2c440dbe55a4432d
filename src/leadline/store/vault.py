"""Webhook secrets at rest: sealed with AES-256-GCM when `LEADLINE_SECRET_KEY` is set (contract § 8)."""

from __future__ import annotations

import base64
import binascii
import contextlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from leadline.ids import random_bytes

_SEALED = "sealed:v1:"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class InvalidKey(ValueError):
    """It is not the base64 of 32 bytes."""


class CannotOpen(Exception):
    """A sealed secret, and none of the keys opens it."""


class Vault:
    """Seals with the first key and opens with any, so that a key can be changed. Without a key it does neither."""

    def __init__(self, keys: str = "") -> None:
        """`keys`: base64 of 32 bytes each, comma-separated. Raises InvalidKey."""
        self._keys = [_parse(each) for each in keys.split(",") if each.strip()]

    def seal(self, secret: str, workspace_id: str) -> str:
        """As it is stored. Bound to its workspace: copied to another row it does not open."""
        if not self._keys:
            return secret
        nonce = random_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._keys[0]).encrypt(nonce, secret.encode(), workspace_id.encode())
        return _SEALED + base64.b64encode(nonce + sealed).decode()

    def open(self, stored: str, workspace_id: str) -> str:
        """The secret itself; one stored before there was a key is as it is. Raises CannotOpen."""
        if not stored.startswith(_SEALED):
            return stored
        sealed = base64.b64decode(stored.removeprefix(_SEALED))
        for key in self._keys:
            with contextlib.suppress(InvalidTag):
                nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
                return AESGCM(key).decrypt(nonce, text, workspace_id.encode()).decode()
        raise CannotOpen("A webhook secret is sealed with a key that LEADLINE_SECRET_KEY does not have.")


def _parse(text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise InvalidKey(f"a key is the base64 of {_KEY_BYTES} bytes")
    return key
