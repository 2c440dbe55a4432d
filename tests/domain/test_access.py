from __future__ import annotations

import base64
from itertools import product
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leadline.domain.access import (
    ALL_SCOPES,
    TOKEN_PREFIX_CHARACTERS,
    Scope,
    UnknownScope,
    allows,
    format_token,
    hash_token,
    parse_scopes,
    workspace_of,
)

SECRET = "A" * 43
secrets = st.binary(min_size=32, max_size=32).map(
    lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")
)


@given(st.uuids().map(str), secrets)
def test_a_token_names_its_workspace(workspace_id: str, secret: str) -> None:
    assert workspace_of(format_token(workspace_id, secret)) == workspace_id


@given(st.text())
@example("")
@example(f"ll_{'0' * 32}_{SECRET}\n")
@example(f"ll_{'0' * 32}_{SECRET}A")
@example(f"LL_{'0' * 32}_{SECRET}")
@example(f"ll_{'F' * 32}_{SECRET}")
@example(f"ll_{'٠' * 32}_{SECRET}")  # noqa: RUF001 - digits that are none of ours
@example(f"ll_{UUID(int=1)}_{SECRET}")
def test_what_is_no_token_names_no_workspace(text: str) -> None:
    assert workspace_of(text) is None


@given(st.uuids().map(str), secrets, secrets)
def test_what_is_shown_and_stored_of_a_token_does_not_open_it(
    workspace_id: str, secret: str, other: str
) -> None:
    token = format_token(workspace_id, secret)
    assert secret not in hash_token(token)
    assert secret not in token[:TOKEN_PREFIX_CHARACTERS]
    assert (hash_token(token) == hash_token(format_token(workspace_id, other))) == (secret == other)


@pytest.mark.parametrize(("held", "needed"), list(product(Scope, Scope)))
def test_a_scope_allows_itself_and_write_includes_read(held: Scope, needed: Scope) -> None:
    wanted = held is needed or (needed == held.replace(":write", ":read"))
    assert allows(frozenset({held}), needed) is wanted


@given(st.frozensets(st.sampled_from(Scope)), st.sampled_from(Scope), st.sampled_from(Scope))
def test_one_more_scope_never_takes_anything_away(held: frozenset[Scope], more: Scope, needed: Scope) -> None:
    assert allows(held | {more}, needed) or not allows(held, needed)


@given(st.lists(st.sampled_from(Scope)))
def test_scopes_are_read_by_their_names(scopes: list[Scope]) -> None:
    assert parse_scopes([scope.value for scope in scopes]) == frozenset(scopes)
    assert parse_scopes(["all", *scopes]) == ALL_SCOPES


@pytest.mark.parametrize(
    "name", ["", "ALL", "outcomes", "outcomes:", "outcomes:delete", " outcomes:read", "*"]
)
def test_an_unknown_scope_is_named(name: str) -> None:
    with pytest.raises(UnknownScope, match=r"is no scope") as unknown:
        parse_scopes(["outcomes:read", name])
    assert repr(name) in str(unknown.value)


def test_the_scopes_are_those_of_the_contract() -> None:
    nouns = ("outcomes", "lists", "contacts", "calls", "deliveries", "workspace")
    assert set(Scope) == {f"{noun}:{verb}" for noun in nouns for verb in ("read", "write")}
