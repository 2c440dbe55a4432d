"""The small parts of the console that decide something by themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.domain.errors import InvalidRequest
from leadline.web.console.cookies import (
    comes_from_us,
    csrf_token,
    flash_text,
    is_csrf_token,
    read_cookies,
    read_flash,
    set_cookie,
)
from leadline.web.console.forms import Form
from leadline.web.console.pages.sign_in import local_path
from leadline.web.console.rendering import browser, duration, highlighted, initials, when
from leadline.web.console.table import Flash


def test_a_form_keeps_every_value_of_a_name() -> None:
    form = Form.parse(b"a=1&a=2&b=+x+&c=l1%0D%0Al2&d")
    assert form.texts("a") == ["1", "2"]
    assert (form.text("a"), form.text("b"), form.raw("b"), form.text("c")) == ("2", "x", " x ", "l1\nl2")
    assert (form.optional("d"), form.optional("e"), form.text("e", "default")) == (None, None, "default")
    assert [form.integer(name) for name in ("a", "b", "e")] == [2, "x", None]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_form_or_are_refused(body: bytes) -> None:
    try:
        form = Form.parse(body)
    except InvalidRequest:
        return
    assert all("\0" not in form.raw(name) for name in form.names())


@pytest.mark.parametrize("path", ["/", "/calls?state=live", "/settings/users/1"])
def test_a_path_of_ours_is_where_one_goes_after_signing_in(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    ["", "calls", "//evil.example", "https://evil.example", "/\\evil", "/a\r\nSet-Cookie: x=y", "/ü", "/a\0"],
)
def test_what_leads_elsewhere_leads_home(path: str) -> None:
    assert local_path(path) == "/"


@pytest.mark.parametrize(
    ("origin", "site", "ours"),
    [
        (None, None, True), ("http://calls.test", "same-origin", True), ("https://calls.test", None, True),
        ("https://public.test", None, True), ("https://evil.test", None, False), ("null", None, False),
        ("http://calls.test:81", None, False), ("http://calls.test", "cross-site", False), (None, "same-site", False),
        ("ftp://calls.test", None, False), ("", None, False), ("http://[", None, False),
    ],
)  # fmt: skip
def test_a_form_is_ours_by_what_the_browser_says(origin: str | None, site: str | None, ours: bool) -> None:
    judged = comes_from_us(
        origin=origin, fetch_site=site, host="calls.test", public_url="https://public.test"
    )
    assert judged is ours


def test_a_csrf_token_is_bound_to_its_secret() -> None:
    assert is_csrf_token(csrf_token("secret"), "secret")
    assert not is_csrf_token(csrf_token("secret"), "another")
    assert not is_csrf_token(csrf_token(""), "")
    assert not is_csrf_token("é", "secret")


@given(st.text(max_size=600), st.sampled_from(["success", "error", "info"]))
def test_a_flash_survives_its_cookie(text: str, kind: str) -> None:
    assert read_flash(flash_text(Flash(text, kind))) == Flash(text[:500], kind)


@pytest.mark.parametrize(
    "text", ["", "x", "é", "bnVsbA==", "WzEsMl0=", "WyJldmlsIiwgIngiXQ==", "W1tb" * 1000], ids=len
)
def test_what_is_no_flash_is_passed_over(text: str) -> None:
    assert read_flash(text) is None


def test_cookies_are_read_as_browsers_send_them() -> None:
    assert read_cookies(["a=1; b=2; a=3", "c=x=y; broken"]) == {"a": "1", "b": "2", "c": "x=y"}
    cookie = set_cookie("s", "v", secure=True, seconds=5)
    assert cookie == b"s=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=5; Secure"


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(None, "-"), (0, "0 ms"), (84.4, "84 ms"), (1_234, "1.2 s"), (134_000, "02:14"), (3_734_000, "1:02:14")],
)
def test_a_duration_is_as_exact_as_it_is_long(milliseconds: float | None, shown: str) -> None:
    assert duration(milliseconds) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ada Brooks", "AB"),
        ("ada", "A"),
        ("", "?"),
        (None, "?"),
        ("<img src=x>", "S"),
        ("Ada van der Berg", "AB"),
    ],
)
def test_initials_are_letters_whatever_the_name(name: str | None, shown: str) -> None:
    assert initials(name) == shown


def test_a_time_is_marked_up_once_and_escaped() -> None:
    assert 'datetime="1970-01-01T00:00:00.000Z"' in when(0)
    assert "tabindex" not in when(0, focus=False)
    assert "quiet" in when(None)


def test_highlighted_json_escapes_what_it_holds() -> None:
    assert "<img" not in highlighted({"<img>": "</pre><img src=x>"})
    assert "json-key" in highlighted('{"a": 1}')


def test_a_browser_is_named_by_what_it_most_likely_is() -> None:
    edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0 Safari/537.36 Edg/120.0"
    assert browser(edge) == "Edge on Windows"
    assert browser("") == "Unknown"
