"""Webhook secrets at rest."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from leadline.clock import Clock
from leadline.ids import new_id
from leadline.operations.workspaces import create_workspace, rotate_secret, show_secret, signing_secrets
from leadline.store import sqlite_driver as driver
from leadline.store.migrating import migrate
from leadline.store.sqlite import SqliteDatabase
from leadline.store.vault import CannotOpen, InvalidKey, Vault

OLD_KEY = base64.b64encode(b"o" * 32).decode()
NEW_KEY = base64.b64encode(b"n" * 32).decode()
SECRET = "whsec_c2VjcmV0"
WORKSPACE = new_id()


def test_a_sealed_secret_opens_with_its_key_and_shows_nothing_of_itself() -> None:
    vault = Vault(OLD_KEY)
    sealed = vault.seal(SECRET, WORKSPACE)
    assert SECRET not in sealed
    assert vault.open(sealed, WORKSPACE) == SECRET
    assert vault.seal(SECRET, WORKSPACE) != sealed


def test_a_sealed_secret_does_not_open_in_another_workspace() -> None:
    vault = Vault(OLD_KEY)
    with pytest.raises(CannotOpen):
        vault.open(vault.seal(SECRET, WORKSPACE), new_id())


def test_a_key_is_changed_by_putting_the_new_one_in_front() -> None:
    sealed = Vault(OLD_KEY).seal(SECRET, WORKSPACE)
    both = Vault(f"{NEW_KEY},{OLD_KEY}")
    assert both.open(sealed, WORKSPACE) == SECRET
    assert Vault(NEW_KEY).open(both.seal(SECRET, WORKSPACE), WORKSPACE) == SECRET
    for without in (Vault(NEW_KEY), Vault()):
        with pytest.raises(CannotOpen):
            without.open(sealed, WORKSPACE)


def test_a_sealed_secret_that_was_changed_does_not_open() -> None:
    vault = Vault(OLD_KEY)
    sealed = vault.seal(SECRET, WORKSPACE)
    last = "A" if sealed[-5] != "A" else "B"
    with pytest.raises(CannotOpen):
        vault.open(sealed[:-5] + last + sealed[-4:], WORKSPACE)


def test_without_a_key_secrets_are_as_they_are_and_stay_readable_with_one() -> None:
    assert Vault().seal(SECRET, WORKSPACE) == SECRET
    assert Vault(OLD_KEY).open(SECRET, WORKSPACE) == SECRET


@pytest.mark.parametrize("key", ["short", base64.b64encode(b"x" * 31).decode(), "ä" * 44, f"{OLD_KEY},short"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(InvalidKey):
        Vault(key)


@contextlib.asynccontextmanager
async def sealed_database(path: Path) -> AsyncIterator[SqliteDatabase]:
    await migrate(f"sqlite:///{path}")
    database = SqliteDatabase(str(path), clock=Clock(), vault=Vault(OLD_KEY))
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def test_no_secret_of_a_workspace_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sealed.db"
    async with sealed_database(path) as database:
        row = await database.write(lambda tx: create_workspace(tx, "Sealed"))
        rotated = (await database.write(lambda tx: rotate_secret(tx, row.workspace_id, None))).secret
        secrets = await database.read(lambda tx: signing_secrets(tx, row.workspace_id))
        masked = (await database.read(lambda tx: show_secret(tx, row.workspace_id))).secret
    assert secrets[0] == rotated
    assert masked[-4:] == rotated[-4:]
    with contextlib.closing(driver.connect(str(path))) as connection:
        stored = [text for (text,) in connection.execute("SELECT secret FROM webhook_secrets")]
    assert len(stored) == 2
    assert all(text.startswith("sealed:v1:") for text in stored)
    content = path.read_bytes()
    assert not any(secret.encode() in content for secret in secrets)
