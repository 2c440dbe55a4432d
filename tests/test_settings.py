from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leadline.settings import PREFIX, SECRETS, InvalidSetting, Settings, load_settings

NAMES = [field.name for field in fields(Settings)]
# For each setting, three values that it can have, none of them the default.
VALUES: dict[str, tuple[Any, Any, Any]] = {
    "database_url": ("sqlite:///a.db", "sqlite:///b.db", "sqlite:///c.db"),
    "host": ("127.0.0.2", "127.0.0.3", "::1"),
    "port": (1, 2, 3),
    "worker_port": (1, 2, 3),
    "public_url": ("https://a.example.com", "https://b.example.com", "http://c.example.com:8443"),
    "webhook_allow_cidrs": ("10.0.0.0/8", "fd00::/8", "192.168.0.0/16"),
    "webhook_require_https": (True, True, True),
    "webhook_retry_schedule": ("1", "2", "3"),
    "webhook_timeout_seconds": (1.5, 2.0, 30.0),
    "log_format": ("json", "json", "json"),
    "log_level": ("debug", "warning", "error"),
    "webhook_traceparent": (True, True, True),
    "log_requests": (True, True, True),
    "metrics_token": ("a", "b", "c"),
    "rate_limit_per_minute": (1, 2, 3),
    "idempotency_days": (1.0, 2.0, 3.5),
    "events_kept_hours": (1.0, 2.0, 3.5),
    "database_connections": (2, 3, 4),
    "shutdown_seconds": (0.0, 1.0, 2.0),
    "provision_dir": ("a", "b", "c"),
    "ready_file": ("a", "b", "c"),
    "dev": (True, True, True),
    "secret_key": ("a", "b", "c"),
}
BAD_TEXT: dict[str, tuple[str, ...]] = {
    "port": ("-1", "65536", "http", "80.5", "true", "[]"),
    "worker_port": ("-1", "65536", "http"),
    "public_url": ("calls.example.com", "ftp://a.example.com", "https://"),
    "webhook_require_https": ("maybe", "2"),
    "webhook_timeout_seconds": ("0.9", "31", "nan", "inf", "soon"),
    "log_format": ("xml", "JSON"),
    "log_level": ("verbose",),
    "rate_limit_per_minute": ("-1", "1.5", "many"),
    "idempotency_days": ("0.5", "366", "nan"),
    "events_kept_hours": ("0.5", "9999", "nan"),
    "database_connections": ("1", "1001", "ten"),
    "shutdown_seconds": ("-1", "601", "nan"),
    "log_requests": ("all",),
    "webhook_traceparent": ("00-1",),
    "dev": ("perhaps",),
}


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """So that no leadline.toml of the one who runs the tests is found."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)


def toml_file(directory: Path, text: str) -> str:
    path = directory / "settings.toml"
    path.write_text(text)
    return str(path)


def test_every_setting_is_in_these_tests() -> None:
    assert set(VALUES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_flag_outweighs_a_variable_a_variable_the_file_and_the_file_the_default(
    name: str, empty_directory: Path
) -> None:
    in_flag, in_variable, in_file = VALUES[name]
    file = toml_file(empty_directory, f"{name} = {toml(in_file)}")
    environ = {PREFIX + name.upper(): str(in_variable)}
    flags = {name: in_flag}
    assert getattr(load_settings({}, environ={}), name) == getattr(Settings(), name) != in_flag
    assert getattr(load_settings({}, environ={}, file=file), name) == in_file
    assert getattr(load_settings({}, environ=environ, file=file), name) == in_variable
    assert getattr(load_settings(flags, environ=environ, file=file), name) == in_flag
    assert getattr(load_settings({name: None}, environ=environ, file=file), name) == in_variable


@pytest.mark.parametrize("name", ["webhook_require_https", "webhook_traceparent", "log_requests", "dev"])
@pytest.mark.parametrize("text", ["false", "0", "no", "off", "FALSE"])
def test_a_truth_can_be_taken_back(name: str, text: str, empty_directory: Path) -> None:
    file = toml_file(empty_directory, f"{name} = true")
    assert getattr(load_settings({}, environ={PREFIX + name.upper(): text}, file=file), name) is False
    assert getattr(load_settings({name: False}, environ={PREFIX + name.upper(): "1"}), name) is False


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in BAD_TEXT.items() for text in texts]
)
def test_a_value_that_cannot_be_is_refused_by_the_settings_name(
    name: str, text: str, empty_directory: Path
) -> None:
    with pytest.raises(InvalidSetting, match=name):
        load_settings({}, environ={PREFIX + name.upper(): text})
    with pytest.raises(InvalidSetting, match=name):
        load_settings({}, environ={}, file=toml_file(empty_directory, f"{name} = '{text}'"))


def test_a_bad_flag_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidSetting, match="port"):
        load_settings({"port": 70_000}, environ={})


def test_unknown_keys_of_the_file_are_all_named(empty_directory: Path) -> None:
    file = toml_file(empty_directory, "prot = 1\nport = 2\n[webhook]\ntimeout = 3\n")
    with pytest.raises(InvalidSetting, match="prot, webhook"):
        load_settings({}, environ={}, file=file)


@pytest.mark.parametrize("text", ["port = ", "\x00", "port = 1\nport = 2"])
def test_a_file_that_is_no_toml_is_refused_by_its_path(text: str, empty_directory: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"settings\.toml"):
        load_settings({}, environ={}, file=toml_file(empty_directory, text))


def test_a_file_that_is_no_text_is_refused(empty_directory: Path) -> None:
    (empty_directory / "settings.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidSetting, match=r"settings\.toml"):
        load_settings({}, environ={}, file="settings.toml")


def test_a_file_that_was_named_must_be_there(empty_directory: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"missing\.toml"):
        load_settings({}, environ={"LEADLINE_CONFIG": str(empty_directory / "missing.toml")})


def test_the_file_in_the_working_directory_is_read_unless_another_is_named(empty_directory: Path) -> None:
    (empty_directory / "leadline.toml").write_text("port = 1")
    assert load_settings({}, environ={}).port == 1
    other = toml_file(empty_directory, "port = 2")
    assert load_settings({}, environ={"LEADLINE_CONFIG": other}).port == 2


def test_a_list_in_the_file_is_the_same_as_its_text(empty_directory: Path) -> None:
    file = toml_file(
        empty_directory, "webhook_retry_schedule = [1, 2.5]\nwebhook_allow_cidrs = ['10.0.0.0/8', '::1']"
    )
    settings = load_settings({}, environ={}, file=file)
    assert settings.webhook_retry_schedule == "1,2.5"
    assert settings.webhook_allow_cidrs == "10.0.0.0/8,::1"


def test_a_blank_variable_is_none() -> None:
    assert load_settings({}, environ={"LEADLINE_PORT": " ", "LEADLINE_HOST": ""}) == Settings()


@given(st.sampled_from(NAMES), st.text(st.characters(codec="utf-8"), max_size=20))
@example("port", "9" * 5000)
@example("idempotency_days", "1e400")
def test_any_text_is_a_setting_or_is_refused_as_one(name: str, text: str) -> None:
    try:
        settings = load_settings({}, environ={PREFIX + name.upper(): text})
    except InvalidSetting as refused:
        assert name in str(refused)  # noqa: PT017 - it may as well be accepted
    else:
        value = getattr(settings, name)
        assert not isinstance(value, float) or math.isfinite(value)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_come_from_a_file_of_its_own(name: str, empty_directory: Path) -> None:
    file = empty_directory / "secret"
    file.write_text(" from-a-file\n")
    environ = {f"{PREFIX}{name.upper()}_FILE": str(file)}
    assert getattr(load_settings({}, environ=environ), name) == "from-a-file"
    assert getattr(load_settings({name: "flag"}, environ=environ), name) == "flag"
    with pytest.raises(InvalidSetting, match=f"{name} is given twice"):
        load_settings({}, environ=environ | {PREFIX + name.upper(): "variable"})


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe", b"x" * 70_000])
def test_a_secret_file_that_cannot_be_is_refused_without_its_content(
    content: bytes | None, empty_directory: Path
) -> None:
    file = empty_directory / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidSetting, match="secret_key") as refused:
        load_settings({}, environ={"LEADLINE_SECRET_KEY_FILE": str(file)})
    assert "xxx" not in str(refused.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]
