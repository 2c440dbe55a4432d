"""The image, the compose file and the units, as far as they can be tried without an engine that runs them."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import fields
from importlib.metadata import distributions, requires
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import eventually, server_environment
from leadline import __version__
from leadline.cli.commands import app
from leadline.settings import PREFIX, SECRETS, Settings, load_settings
from leadline.wiring import secret_vault

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
NAMES = {PREFIX + each.name.upper() for each in fields(Settings)}
SECRET_FILES = {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}
BUILD_TOOLS = ("hatchling", "pathspec", "pluggy", "trove-classifiers")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def of_final_stage(word: str) -> list[str]:
    steps = instructions()
    last = max(at for at, (name, _) in enumerate(steps) if name == "FROM")
    return [rest for name, rest in steps[last:] if name == word]


def image_environment() -> dict[str, str]:
    (declared,) = of_final_stage("ENV")
    return dict(re.findall(r"(\w+)=(\S+)", declared))


def assert_command_exists(words: list[str]) -> None:
    """`leadline` knows this command and these flags."""
    app.parse_args(words, exit_on_error=False, print_error=False)


# The image


def test_the_image_copies_what_is_there_and_what_is_not_ignored() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    sources = [
        source
        for word, rest in instructions()
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]
    assert {"requirements/server.lock", "src", "pyproject.toml"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source in allowed, f"{source} is left out by .dockerignore"


def test_the_image_installs_by_hashes_and_leaves_its_tools_behind() -> None:
    steps = " ".join(rest for word, rest in instructions() if word == "RUN")
    assert "--require-hashes --requirement requirements/server.lock" in steps
    assert "--only-binary :all:" in steps
    assert "apt-get" not in steps
    assert f"uninstall --yes {' '.join(BUILD_TOOLS)}" in steps
    lock = (ROOT / "requirements" / "server.lock").read_text()
    for tool in BUILD_TOOLS:
        assert re.search(rf"^{tool}==", lock, re.MULTILINE), f"{tool} is no longer in the lock"


def test_nothing_that_serves_needs_the_tools_that_build() -> None:
    locked = set(
        re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / "server.lock").read_text(), re.MULTILINE)
    )
    for each in distributions():
        name = each.metadata["Name"].lower()
        if name not in locked or name in BUILD_TOOLS:
            continue
        needed = {
            re.split(r"[^\w.-]", need)[0].lower() for need in requires(name) or () if "extra ==" not in need
        }
        assert needed.isdisjoint(BUILD_TOOLS), name


def test_the_image_is_not_root_and_has_settings_that_exist() -> None:
    assert of_final_stage("USER") == ["10001:10001"]
    assert of_final_stage("STOPSIGNAL") == ["SIGTERM"]
    assert of_final_stage("VOLUME") == of_final_stage("WORKDIR") == ["/var/lib/leadline"]
    assert {name for name in image_environment() if name.startswith(PREFIX)} <= NAMES


def test_the_images_command_serves_and_its_health_check_sees_it(tmp_path: Path) -> None:
    """ENTRYPOINT, CMD, ENV and HEALTHCHECK as they stand, in a folder like the volume."""
    entry, command = json.loads(of_final_stage("ENTRYPOINT")[0]), json.loads(of_final_stage("CMD")[0])
    check = json.loads(re.sub(r"^.*?CMD ", "", of_final_stage("HEALTHCHECK")[0]))
    ready = tmp_path / "ready"
    settings = {name: value for name, value in image_environment().items() if name != "PATH"}
    place = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environ = (
        server_environment(**settings) | place | {"LEADLINE_PORT": "0", "LEADLINE_READY_FILE": str(ready)}
    )
    server = subprocess.Popen(
        [*entry, *command], cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        url = eventually(lambda: ready.read_text() if ready.exists() else "", 30)
        port = url.rpartition(":")[2]
        assert "/readyz" in check[-1]
        healthy = subprocess.run(check, env=environ | {"LEADLINE_PORT": port}, check=False, timeout=30)
        assert healthy.returncode == 0
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=30)
        assert server.returncode == 0
        assert all(json.loads(line)["level"] == "info" for line in log.splitlines())
    finally:
        server.kill()
        server.wait(timeout=10)
    down = subprocess.run(
        check, env=environ | {"LEADLINE_PORT": port}, check=False, timeout=30, capture_output=True
    )
    assert down.returncode == 1


# The compose file


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return read


@pytest.mark.parametrize("name", ["server", "worker"])
def test_a_service_has_a_command_and_settings_that_exist(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert_command_exists(service["command"])
    assert set(service["environment"]) <= NAMES | SECRET_FILES
    assert service["image"] == f"leadline:{__version__}"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    given = {value for key, value in service["environment"].items() if key.endswith("_FILE")}
    assert given == {f"/run/secrets/{secret}" for secret in service["secrets"]}


def test_the_compose_file_runs_two_servers_a_worker_and_a_database(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["server"]["deploy"]["replicas"] == 2
    first, last = re.findall(r"(\d{4})-(\d{4}):8080", services["server"]["ports"][0])[0]
    assert int(last) - int(first) == 1, "each replica needs a port of its own"
    assert services["postgres"]["image"] == "postgres:18"
    assert services["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    assert "pg_isready" in services["postgres"]["healthcheck"]["test"][1]
    assert services["worker"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    used = {secret for service in services.values() for secret in service["secrets"]}
    assert used == set(compose["secrets"])
    assert set(compose["volumes"]) == {"postgres"}


def test_the_compose_files_secrets_make_settings(compose: dict[str, Any], tmp_path: Path) -> None:
    """Its own instructions, run as they stand up to the engine's; what they make is read as a server would."""
    comments = [
        line[1:].strip() for line in (ROOT / "compose.yaml").read_text().splitlines() if line[:1] == "#"
    ]
    steps = [line for line in comments if re.match(r"(mkdir|openssl|printf|chmod) ", line)]
    assert len(steps) == 6
    script = "\n".join(re.sub(r"\s{3,}#.*", "", line) for line in steps)
    subprocess.run(["/bin/bash", "-eu", "-c", script], cwd=tmp_path, check=True, timeout=60)
    environment = compose["services"]["server"]["environment"]
    environ = {
        name: value.replace("/run/secrets", str(tmp_path / "secrets")) for name, value in environment.items()
    }
    settings = load_settings({}, environ=environ)
    password = (tmp_path / "secrets" / "postgres_password").read_text()
    assert settings.database_url == f"postgresql://leadline:{password}@postgres/leadline"
    assert len(password) == 48
    assert settings.shutdown_seconds < int(compose["services"]["server"]["stop_grace_period"].rstrip("s"))
    secret_vault(settings)


# The units


def unit(path: Path) -> configparser.RawConfigParser:
    class Several(dict[str, Any]):
        """A key that comes again is one more value."""

        def __setitem__(self, key: str, value: Any) -> None:
            if isinstance(value, list) and isinstance(self.get(key), list):
                self[key].extend(value)
            else:
                super().__setitem__(key, value)

    read = configparser.RawConfigParser(strict=False, dict_type=Several, interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read(path)
    return read


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_a_command_that_exists_and_outwaits_its_shutdown(path: Path) -> None:
    service = unit(path)["Service"]
    command = service["ExecStart"].split()
    assert command[0] == "/opt/leadline/bin/leadline"
    assert_command_exists(command[1:])
    assert float(service["TimeoutStopSec"]) > Settings().shutdown_seconds
    set_here = re.findall(rf"^#?Environment=({PREFIX}\w+)=", path.read_text(), re.MULTILINE)
    assert set_here
    assert set(set_here) <= NAMES | SECRET_FILES
    assert service["Type"] == "notify"
    for hardened in ("DynamicUser", "NoNewPrivileges", "PrivateDevices", "MemoryDenyWriteExecute"):
        assert service[hardened] == "yes"
    assert service["ProtectSystem"] == "strict"


SYSTEMD_ANALYZE = shutil.which("systemd-analyze")


@pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_understands_a_unit(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    # It insists on a program that is there.
    copy.write_text(path.read_text().replace("/opt/leadline/bin/leadline", "/bin/true"))
    checked = subprocess.run(
        [str(SYSTEMD_ANALYZE), "verify", "--man=no", str(copy)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    assert path.name not in checked.stderr
